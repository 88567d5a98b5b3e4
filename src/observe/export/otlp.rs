//! The request that sends metrics to an OpenTelemetry collector: `ExportMetricsServiceRequest` of OTLP 1.
//!
//! Names and units are those of the semantic conventions for containers and hardware. The job's own metrics are
//! values of `footplate.metric`, because their names may hold signs that OpenTelemetry does not allow.

use super::protobuf::ProtoMessage;
use crate::observe::metrics::MetricSummary;
use crate::observe::resources::ResourceSample;

/// The attributes of a value or of the resource.
type Attributes<'a> = Vec<(&'a str, String)>;

/// The kind of an instrument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Instrument {
    /// A value at a time.
    Gauge,
    /// A sum that only grows.
    Counter,
}

/// A metric that is being built.
struct Metric<'a> {
    name: &'a str,
    unit: &'a str,
    instrument: Instrument,
    points: Vec<(f64, Attributes<'a>)>,
}

/// The times of a request, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The start of the observation.
    pub(super) start: u64,
    /// The time of the request.
    pub(super) now: u64,
}

/// Returns the request.
pub(super) fn request(
    resource: &[(String, String)],
    metrics: &[(String, MetricSummary)],
    sample: Option<&ResourceSample>,
    times: Times,
) -> Vec<u8> {
    let mut all = sample.map(hardware).unwrap_or_default();
    let values = metrics
        .iter()
        .filter_map(|(name, summary)| Some((summary.last?, vec![("footplate.metric.name", name.clone())])));
    all.push(Metric { name: "footplate.metric", unit: "1", instrument: Instrument::Gauge, points: values.collect() });
    let scope = ProtoMessage::default().text(1, "footplate").text(2, env!("CARGO_PKG_VERSION"));
    let metrics = all.into_iter().filter(|metric| !metric.points.is_empty()).map(|metric| encoded(metric, times));
    let scoped = ProtoMessage::default().message(1, scope).messages(2, metrics);
    let attributes = resource.iter().map(|(name, value)| attribute(name, value));
    let resource = ProtoMessage::default().messages(1, attributes);
    let described = ProtoMessage::default().message(1, resource).message(2, scoped);
    ProtoMessage::default().message(1, described).bytes()
}

/// Returns the metrics of a sample.
fn hardware(sample: &ResourceSample) -> Vec<Metric<'_>> {
    let gauge = |name, unit, points| Metric { name, unit, instrument: Instrument::Gauge, points };
    let one = |value: Option<f64>| value.map(|value| (value, Vec::new())).into_iter().collect::<Vec<_>>();
    let bytes = |value: Option<u64>| one(value.map(|value| value as f64));
    let memory = sample.memory;
    let available = memory.and_then(|memory| Some(memory.limit?.saturating_sub(memory.working_set)));
    let mut found = vec![
        gauge("container.cpu.usage", "{cpu}", one(sample.cpu.used)),
        gauge("container.memory.usage", "By", bytes(memory.map(|memory| memory.usage))),
        gauge("container.memory.working_set", "By", bytes(memory.map(|memory| memory.working_set))),
        gauge("container.memory.available", "By", bytes(available)),
        gauge("container.filesystem.usage", "By", bytes(sample.disk.map(|disk| disk.used))),
        gauge("container.filesystem.available", "By", bytes(sample.disk.map(|disk| disk.free))),
    ];
    let direction = |key: &'static str, pairs: [(u64, &str); 2]| -> Vec<(f64, Attributes<'_>)> {
        pairs.into_iter().map(|(value, word)| (value as f64, vec![(key, word.to_owned())])).collect()
    };
    let counter = |name, points| Metric { name, unit: "By", instrument: Instrument::Counter, points };
    if let Some(network) = sample.network {
        let points = direction("network.io.direction", [(network.received, "receive"), (network.sent, "transmit")]);
        found.push(counter("container.network.io", points));
    }
    if let Some(io) = sample.io {
        found.push(counter(
            "container.disk.io",
            direction("disk.io.direction", [(io.read, "read"), (io.written, "write")]),
        ));
    }
    let gpus = |value: fn(&crate::machine::devices::GpuState) -> Option<f64>| -> Vec<(f64, Attributes<'_>)> {
        let points = sample.gpus.iter().filter_map(|gpu| {
            let attributes = vec![("hw.id", gpu.index.to_string()), ("hw.type", "gpu".to_owned())];
            Some((value(gpu)?, attributes))
        });
        points.collect()
    };
    found.extend([
        gauge("hw.gpu.utilization", "1", gpus(|gpu| gpu.busy.map(|busy| busy / 100.0))),
        gauge("hw.gpu.memory.usage", "By", gpus(|gpu| gpu.memory_used.map(|size| size as f64))),
        gauge("hw.gpu.memory.limit", "By", gpus(|gpu| gpu.memory_total.map(|size| size as f64))),
        gauge("hw.power", "W", gpus(|gpu| gpu.power)),
        gauge("hw.temperature", "Cel", gpus(|gpu| gpu.temperature)),
    ]);
    found
}

/// Returns a `KeyValue` whose value is a text.
fn attribute(name: &str, value: &str) -> ProtoMessage {
    ProtoMessage::default().text(1, name).message(2, ProtoMessage::default().text(1, value))
}

/// Returns a `Metric`.
fn encoded(metric: Metric<'_>, times: Times) -> ProtoMessage {
    const GAUGE: u32 = 5;
    const SUM: u32 = 7;
    const CUMULATIVE: u64 = 2;
    let Metric { name, unit, instrument, points } = metric;
    let points = points.into_iter().map(|(value, attributes)| {
        let attributes = attributes.iter().map(|(name, value)| attribute(name, value));
        let point = ProtoMessage::default().fixed(2, times.start).fixed(3, times.now).double(4, value);
        point.messages(7, attributes)
    });
    let message = ProtoMessage::default().text(1, name).text(3, unit);
    let data = ProtoMessage::default().messages(1, points);
    match instrument {
        Instrument::Gauge => message.message(GAUGE, data),
        Instrument::Counter => message.message(SUM, data.number(2, CUMULATIVE).number(3, 1)),
    }
}
