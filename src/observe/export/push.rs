//! The thread that sends metrics to an OpenTelemetry collector at an interval.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;

use super::otlp::{self, Times};
use crate::job::Variables;
use crate::observe::metrics::Metrics;
use crate::observe::resources::Resources;
use crate::storage::Poster;
use crate::system::kernel;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 512 << 10;

/// The default interval of requests, which is that of the OpenTelemetry SDKs.
const INTERVAL: Duration = Duration::from_secs(60);

/// The default timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit for the last request, including the rest of a request in progress.
const LAST_TIME: Duration = Duration::from_secs(2);

/// The collector and the way of sending, as OpenTelemetry's variables describe them.
#[derive(Clone, PartialEq, Eq)]
pub struct PushSettings {
    /// The URL that metrics are sent to. It may hold a password.
    url: String,
    /// Further headers. Their values may be secrets.
    headers: Vec<(String, String)>,
    interval: Duration,
    timeout: Duration,
    /// The attributes that describe this host.
    resource: Vec<(String, String)>,
}

impl std::fmt::Debug for PushSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushSettings").finish_non_exhaustive()
    }
}

impl PushSettings {
    /// Reads the variables. Returns `None` if they do not request metrics. A warning is added to `warnings` for each
    /// value that cannot be used.
    pub fn of(variables: &Variables, job: &str, host: &str, warnings: &mut Vec<String>) -> Option<PushSettings> {
        let get = |name: &str| variables.get_non_empty(name).map(|value| value.trim().to_owned());
        let either = |name: &str| {
            get(&format!("OTEL_EXPORTER_OTLP_METRICS_{name}")).or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is_off = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || get("OTEL_METRICS_EXPORTER").is_some_and(|value| !value.split(',').any(|name| name.trim() == "otlp"));
        let url = get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").or_else(|| {
            get("OTEL_EXPORTER_OTLP_ENDPOINT").map(|endpoint| format!("{}/v1/metrics", endpoint.trim_end_matches('/')))
        });
        let url = url.filter(|_| !is_off)?;
        if either("PROTOCOL").is_some_and(|protocol| protocol == "grpc") {
            warnings.push(
                "metrics are sent to the OpenTelemetry endpoint by HTTP, although OTEL_EXPORTER_OTLP_PROTOCOL is grpc: the \
                 collector's port for HTTP is 4318 by default"
                    .to_owned(),
            );
        }
        let milliseconds = |name: &str, default: Duration| {
            let given = get(name).and_then(|text| text.parse().ok()).filter(|time| *time > 0);
            given.map_or(default, Duration::from_millis)
        };
        let mut resource = pairs(&get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        let own = [
            ("service.name", get("OTEL_SERVICE_NAME").unwrap_or_else(|| "footplate".to_owned())),
            ("host.name", host.to_owned()),
            ("footplate.job.name", job.to_owned()),
        ];
        for (name, value) in own {
            // `OTEL_SERVICE_NAME` wins over the list of attributes. For other attributes, the user's values win.
            let is_given = resource.iter().any(|(given, _)| given == name);
            if name == "service.name" && get("OTEL_SERVICE_NAME").is_some() {
                resource.retain(|(given, _)| given != name);
            } else if is_given {
                continue;
            }
            resource.push((name.to_owned(), value));
        }
        Some(PushSettings {
            url,
            headers: either("HEADERS").map(|text| pairs(&text)).unwrap_or_default(),
            interval: milliseconds("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL),
            timeout: milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT),
            resource,
        })
    }
}

/// Reads `name=value,…`, in which values may be percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
        Some((name.trim().to_owned(), value)).filter(|(name, _)| !name.is_empty())
    };
    text.split(',').filter_map(pair).collect()
}

/// The input of the thread that sends metrics.
#[derive(Debug)]
pub struct PushInput {
    /// The collector.
    pub settings: PushSettings,
    /// The variables of the container, for certificates and proxies.
    pub variables: Variables,
    /// The metrics of the job, if it has any.
    pub metrics: Option<Metrics>,
    /// The resources of this host, if they are sampled.
    pub resources: Option<Resources>,
}

/// The sender of metrics.
#[derive(Debug)]
pub struct Push {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Course>,
    /// Notified when sending must end.
    changed: Condvar,
}

/// The state of the sender.
#[derive(Debug, Default)]
enum Course {
    #[default]
    Sending,
    /// The last request is due. The receiver waits for it.
    Ending(oneshot::Sender<()>),
    Ended,
}

impl Push {
    /// Begins to send.
    ///
    /// # Errors
    /// The kernel refuses to start a thread.
    pub fn begin(input: PushInput) -> std::io::Result<Push> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        kernel::spawn_thread("export", Some(STACK_SIZE), move || send_until_end(&seen, &input))?;
        Ok(Push { shared })
    }

    /// Sends the last values, and waits for a short time until they are sent.
    pub async fn finish(self) {
        let (sender, ended) = oneshot::channel();
        {
            let mut course = self.shared.lock();
            if matches!(*course, Course::Ended) {
                return;
            }
            *course = Course::Ending(sender);
        }
        self.shared.changed.notify_all();
        // If the collector does not answer, the last values are lost.
        let _ = tokio::time::timeout(LAST_TIME, ended).await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Course> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for some time. Returns false if the job ends before.
    fn wait(&self, time: Duration) -> bool {
        let goes_on = |course: &mut Course| matches!(course, Course::Sending);
        let waited = self.changed.wait_timeout_while(self.lock(), time, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn end(&self) {
        if let Course::Ending(waiting) = std::mem::replace(&mut *self.lock(), Course::Ended) {
            // The receiver is gone if nothing waits any more.
            let _ = waiting.send(());
        }
    }
}

fn send_until_end(shared: &Shared, input: &PushInput) {
    let PushInput { settings, variables, metrics, resources } = input;
    let start = nanoseconds();
    let poster = match Poster::new(variables) {
        Ok(poster) => poster,
        Err(error) => {
            warn(&error);
            shared.end();
            return;
        }
    };
    let mut has_failed = false;
    loop {
        let is_last = !shared.wait(settings.interval);
        let summaries = metrics.as_ref().map(Metrics::summaries).unwrap_or_default();
        let sample = resources.as_ref().and_then(Resources::latest);
        let times = Times { start, now: nanoseconds() };
        let body = otlp::request(&settings.resource, &summaries, sample.as_ref(), times);
        let patience = if is_last { settings.timeout.min(LAST_TIME) } else { settings.timeout };
        let sent = poster.post(&settings.url, &settings.headers, "application/x-protobuf", body, patience);
        if let (Err(error), false) = (&sent, has_failed) {
            has_failed = true;
            warn(error);
        }
        if is_last {
            shared.end();
            return;
        }
    }
}

fn warn(error: &impl std::fmt::Display) {
    tracing::warn!(
        "metrics cannot be sent to the OpenTelemetry endpoint: {error}: check OTEL_EXPORTER_OTLP_ENDPOINT (this is said once)"
    );
}

fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PushSettings, pairs};
    use crate::job::Variables;

    fn settings(variables: &[(&str, &str)]) -> (Option<PushSettings>, Vec<String>) {
        let variables: Variables = variables.iter().copied().collect();
        let mut warnings = Vec::new();
        (PushSettings::of(&variables, "job", "algo-1", &mut warnings), warnings)
    }

    #[test]
    fn the_variables_of_opentelemetry_decide() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        assert_eq!(settings(&[]).0, None);
        for off in
            [("OTEL_SDK_DISABLED", "True"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "console")]
        {
            assert_eq!(settings(&[endpoint, off]).0, None, "{off:?}");
        }
        let (plain, warnings) = settings(&[endpoint]);
        let plain = plain.expect("settings");
        assert_eq!(
            (plain.url.as_str(), plain.interval, plain.timeout, warnings.len()),
            ("http://collector:4318/v1/metrics", Duration::from_secs(60), Duration::from_secs(10), 0)
        );
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            plain.resource,
            [own("service.name", "footplate"), own("host.name", "algo-1"), own("footplate.job.name", "job")]
        );
        let (full, warnings) = settings(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://other/path"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x = y"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=list,host.name=h,team=a"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ]);
        let full = full.expect("settings");
        assert_eq!(
            (full.url.as_str(), full.interval, full.timeout),
            ("https://other/path", Duration::from_millis(1500), Duration::from_secs(10))
        );
        assert_eq!(full.headers, [own("api-key", "a b"), own("x", "y")]);
        assert_eq!(
            full.resource,
            [own("host.name", "h"), own("team", "a"), own("service.name", "mine"), own("footplate.job.name", "job")]
        );
        assert!(warnings.len() == 1 && warnings[0].contains("4318"), "{warnings:?}");
        assert!(!format!("{full:?}").contains("a b"));
    }

    #[test]
    fn pairs_without_a_name_or_a_value_are_left_out() {
        assert_eq!(pairs(",=x,a,b=,c=d=e"), [("b".into(), String::new()), ("c".into(), "d=e".into())]);
    }
}
