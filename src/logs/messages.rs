//! footplate's own messages: one format, on standard error, without secrets.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{OnceLock, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::Relay;
use crate::redact::{Redactor, visible_message};

/// The importance from which on messages are shown, as one of Python's numbers, which `sagemaker_container_log_level`
/// uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub i64);

impl Level {
    /// Python's `logging.INFO`.
    pub const INFO: Level = Level(20);
}

static LEVEL: AtomicI64 = AtomicI64::new(Level::INFO.0);
static REDACTOR: RwLock<Option<Redactor>> = RwLock::new(None);
static RELAY: OnceLock<Relay> = OnceLock::new();

/// Sends the messages of this process through `relay`. Later calls have no effect.
pub fn init(relay: Relay) {
    if RELAY.set(relay).is_ok() {
        // Another subscriber can only be a test's. Then messages go there.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Messages));
    }
}

impl Level {
    /// Shows messages from this level on.
    pub fn apply(self) {
        LEVEL.store(self.0, Ordering::Relaxed);
    }
}

/// Sets the redactor that takes the secrets out of messages.
pub fn set_redactor(redactor: Redactor) {
    if let Ok(mut place) = REDACTOR.write() {
        *place = Some(redactor);
    }
}

/// Returns the present redactor.
pub fn redactor() -> Redactor {
    REDACTOR.read().ok().and_then(|redactor| redactor.clone()).unwrap_or_default()
}

/// Returns a text without the secrets that the present redactor knows.
pub fn clean(text: &str) -> String {
    match REDACTOR.read().as_deref() {
        Ok(Some(redactor)) => redactor.clean(text).into_owned(),
        _ => Redactor::default().clean(text).into_owned(),
    }
}

struct Messages;

impl<S: tracing::Subscriber> Layer<S> for Messages {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let (number, name) = match *metadata.level() {
            tracing::Level::ERROR => (40, "ERROR"),
            tracing::Level::WARN => (30, "WARN "),
            tracing::Level::INFO => (20, "INFO "),
            tracing::Level::DEBUG | tracing::Level::TRACE => (10, "DEBUG"),
        };
        // Messages of other crates are for their developers.
        if number < LEVEL.load(Ordering::Relaxed) || !metadata.target().starts_with("footplate") {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let message = clean(&message.0);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = format!("{} footplate {name} ", Timestamp(since_epoch));
        line.push_str(&visible_message(&message));
        line.push('\n');
        if let Some(relay) = RELAY.get() {
            relay.message(line.into_bytes());
        }
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// A time in the form of RFC 3339, in UTC with milliseconds.
struct Timestamp(Duration);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Days are counted from 1 March of the year 0, so that the leap day is the last of its year; 146,097 days are
        // 400 years of the Gregorian calendar.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Timestamp;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        // Each was made by `date -u -d @SECONDS`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(Timestamp(Duration::new(seconds, 7_000_000)).to_string(), text);
        }
    }
}
