//! footplate's own messages: one format, on standard error, without secrets.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{OnceLock, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::Relay;
use super::timestamp::Timestamp;
use crate::redact::{Redactor, visible_message};

/// The lowest level of messages that are shown, in the numbers of Python's `logging`, which
/// `sagemaker_container_log_level` uses.
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
        // Only a test can have set another subscriber. In that case the messages go there.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Messages));
    }
}

impl Level {
    /// Shows messages from this level on.
    pub fn apply(self) {
        LEVEL.store(self.0, Ordering::Relaxed);
    }
}

/// Sets the redactor that removes secrets from messages.
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
        // Messages of other crates are meant for their developers.
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
