//! The resources that a page shows. Each is a row in the table of resources and has a panel of curves.

use super::read::Node;

const GIB: f64 = (1u64 << 30) as f64;

/// A resource that has its own panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    /// The key in links and tests.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    /// The unit after a value, with a leading blank.
    pub(super) unit: &'static str,
    /// The end of the axis, if it is fixed.
    pub(super) full: Option<f64>,
    pub(super) reading: ResourceReading,
    /// True if a panel with only small values is left out.
    pub(super) only_if_used: bool,
}

/// A function that returns a value in a sample, with its limit.
type ReadNow = fn(&Node<'_>) -> Option<(f64, Option<f64>)>;

/// The way in which a value is derived from samples.
#[derive(Clone, Copy, Debug)]
pub(super) enum ResourceReading {
    /// The value of this sample, with its limit.
    Now(ReadNow),
    /// The growth per second of a count, in the unit.
    Growth(fn(&Node<'_>) -> Option<f64>),
}

/// A kind of device that has its own row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DeviceKind {
    #[default]
    Gpu,
    NeuronCore,
}

impl DeviceKind {
    /// Returns the name of a device of this kind.
    pub(super) fn name(self) -> &'static str {
        match self {
            DeviceKind::Gpu => "GPU",
            DeviceKind::NeuronCore => "Neuron core",
        }
    }
}

/// The panels, in their order on the page.
pub(super) const RESOURCES: [Resource; 17] = [
    Resource {
        key: "gpu-busy",
        title: "GPU busy",
        unit: " %",
        full: Some(100.0),
        reading: ResourceReading::Now(gpu_busy),
        only_if_used: false,
    },
    Resource {
        key: "neuron-busy",
        title: "Neuron cores busy",
        unit: " %",
        full: Some(100.0),
        reading: ResourceReading::Now(neuron_busy),
        only_if_used: false,
    },
    Resource {
        key: "gpu-memory",
        title: "GPU memory, fullest GPU",
        unit: " GiB",
        full: None,
        reading: ResourceReading::Now(gpu_memory),
        only_if_used: false,
    },
    Resource {
        key: "gpu-power",
        title: "GPU power, all GPUs",
        unit: " W",
        full: None,
        reading: ResourceReading::Now(gpu_power),
        only_if_used: true,
    },
    Resource {
        key: "gpu-temperature",
        title: "GPU temperature, hottest GPU",
        unit: " °C",
        full: None,
        reading: ResourceReading::Now(gpu_temperature),
        only_if_used: true,
    },
    Resource {
        key: "cpu",
        title: "Processors",
        unit: " %",
        full: Some(100.0),
        reading: ResourceReading::Now(cpu),
        only_if_used: false,
    },
    Resource {
        key: "throttled",
        title: "Processors held back by the quota",
        unit: " %",
        full: Some(100.0),
        reading: ResourceReading::Now(throttled),
        only_if_used: true,
    },
    Resource {
        key: "memory",
        title: "Memory",
        unit: " GiB",
        full: None,
        reading: ResourceReading::Now(memory),
        only_if_used: false,
    },
    Resource {
        key: "shm",
        title: "Shared memory (/dev/shm)",
        unit: " GiB",
        full: None,
        reading: ResourceReading::Now(shm),
        only_if_used: true,
    },
    Resource {
        key: "disk",
        title: "Disk",
        unit: " GiB",
        full: None,
        reading: ResourceReading::Now(disk),
        only_if_used: false,
    },
    Resource {
        key: "received",
        title: "Network, received",
        unit: " MB/s",
        full: None,
        reading: ResourceReading::Growth(received),
        only_if_used: true,
    },
    Resource {
        key: "sent",
        title: "Network, sent",
        unit: " MB/s",
        full: None,
        reading: ResourceReading::Growth(sent),
        only_if_used: true,
    },
    Resource {
        key: "efa-received",
        title: "EFA, received",
        unit: " MB/s",
        full: None,
        reading: ResourceReading::Growth(efa_received),
        only_if_used: true,
    },
    Resource {
        key: "efa-sent",
        title: "EFA, sent",
        unit: " MB/s",
        full: None,
        reading: ResourceReading::Growth(efa_sent),
        only_if_used: true,
    },
    Resource {
        key: "read",
        title: "Disks, read",
        unit: " MB/s",
        full: None,
        reading: ResourceReading::Growth(read),
        only_if_used: true,
    },
    Resource {
        key: "written",
        title: "Disks, written",
        unit: " MB/s",
        full: None,
        reading: ResourceReading::Growth(written),
        only_if_used: true,
    },
    Resource {
        key: "io",
        title: "Some task waits for a disk",
        unit: " %",
        full: Some(100.0),
        reading: ResourceReading::Now(io),
        only_if_used: true,
    },
];

/// The minimum peak of a panel that is shown only if the resource is used, in its unit.
pub(super) const USED: f64 = 0.05;

/// The maximum number of GPUs, and of Neuron cores, per host that are read.
pub(super) const MOST_DEVICES: usize = 64;

/// Returns the GPUs of a sample.
fn gpus<'a>(sample: &Node<'a>) -> impl Iterator<Item = Node<'a>> + use<'a> {
    sample.get("gpus").items().take(MOST_DEVICES)
}

/// Returns the Neuron cores of a sample.
fn neuron_cores<'a>(sample: &Node<'a>) -> impl Iterator<Item = Node<'a>> + use<'a> {
    sample.get("neuron").get("cores").items().take(MOST_DEVICES)
}

/// Returns the GPUs of a sample, or its Neuron cores.
pub(super) fn devices<'a>(sample: &Node<'a>) -> impl Iterator<Item = (DeviceKind, Node<'a>)> + use<'a> {
    let gpus = gpus(sample).map(|gpu| (DeviceKind::Gpu, gpu));
    gpus.chain(neuron_cores(sample).map(|core| (DeviceKind::NeuronCore, core)))
}

fn mean_busy<'a>(devices: impl Iterator<Item = Node<'a>>) -> Option<(f64, Option<f64>)> {
    let busy: Vec<f64> = devices.filter_map(|device| device.number("busy")).collect();
    (!busy.is_empty()).then(|| (busy.iter().sum::<f64>() / busy.len() as f64, None))
}

fn gpu_busy(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    mean_busy(gpus(sample))
}

fn neuron_busy(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    mean_busy(neuron_cores(sample))
}

fn gpu_memory(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    let used = gpus(sample).filter_map(|gpu| Some((gpu.number("memory_used")? / GIB, gpu.size("memory_total"))));
    used.reduce(|one, other| if other.0 > one.0 { other } else { one })
}

fn gpu_power(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    let total = gpus(sample).filter_map(|gpu| gpu.number("power")).reduce(|sum, power| sum + power)?;
    Some((total, gpus(sample).map(|gpu| gpu.number("power_limit")).sum()))
}

fn gpu_temperature(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    Some((gpus(sample).filter_map(|gpu| gpu.number("temperature")).reduce(f64::max)?, None))
}

fn cpu(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    let cpu = sample.get("cpu");
    let cores = cpu.number("cores").filter(|cores| *cores > 0.0)?;
    Some(((100.0 * cpu.number("used")? / cores).min(100.0), None))
}

fn throttled(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    Some((sample.get("cpu").number("throttled")?, None))
}

fn memory(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    let memory = sample.get("memory");
    Some((memory.size("working_set")?, memory.size("limit")))
}

fn shm(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    let space = sample.get("shm");
    Some((space.size("used")?, space.size("size")))
}

fn disk(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    let space = sample.get("disk");
    Some((space.size("used")?, space.size("size")))
}

fn io(sample: &Node<'_>) -> Option<(f64, Option<f64>)> {
    Some((sample.get("pressure").number("io")?, None))
}

fn megabytes(sample: &Node<'_>, network: &str, way: &str) -> Option<f64> {
    Some(sample.get(network).number(way)? / 1e6)
}

fn read(sample: &Node<'_>) -> Option<f64> {
    megabytes(sample, "io", "read")
}

fn written(sample: &Node<'_>) -> Option<f64> {
    megabytes(sample, "io", "written")
}

fn received(sample: &Node<'_>) -> Option<f64> {
    megabytes(sample, "network", "received")
}

fn sent(sample: &Node<'_>) -> Option<f64> {
    megabytes(sample, "network", "sent")
}

fn efa_received(sample: &Node<'_>) -> Option<f64> {
    megabytes(sample, "efa", "received")
}

fn efa_sent(sample: &Node<'_>) -> Option<f64> {
    megabytes(sample, "efa", "sent")
}

impl Node<'_> {
    /// Returns the value of a key, a number of bytes, in GiB.
    fn size(&self, key: &str) -> Option<f64> {
        Some(self.number(key)? / GIB)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Node, RESOURCES, ResourceReading};

    #[test]
    fn each_resource_is_read_from_a_sample() {
        let sample = json!({
            "time": 1.0, "cpu": {"cores": 4.0, "used": 1.0, "throttled": 12.5},
            "memory": {"working_set": 1u64 << 30, "usage": 1u64 << 31, "limit": 1u64 << 32},
            "shm": {"used": 1u64 << 29, "size": 1u64 << 30, "free": 0}, "disk": {"used": 1u64 << 30, "size": 1u64 << 33},
            "network": {"received": 5_000_000, "sent": 1_000_000}, "efa": {"received": 2_000_000, "sent": 3_000_000},
            "pressure": {"io": 7.5}, "io": {"read": 7_000_000, "written": 8_000_000},
            "neuron": {"cores": [{"index": 0, "busy": 20}, {"index": 1, "busy": 40}]},
            "gpus": [
                {"index": 0, "busy": 80, "memory_used": 1u64 << 30, "memory_total": 1u64 << 34, "power": 100.0, "temperature": 60},
                {"index": 1, "busy": 20, "memory_used": 1u64 << 31, "memory_total": 1u64 << 34, "power": 50.0, "temperature": 70},
                {"index": 2, "busy": null}, "broken"
            ]
        });
        let node = Node::of(&sample);
        let values: Vec<_> = RESOURCES
            .iter()
            .map(|resource| match resource.reading {
                ResourceReading::Now(read) => (resource.key, read(&node)),
                ResourceReading::Growth(read) => (resource.key, read(&node).map(|value| (value, None))),
            })
            .collect();
        let expected = [
            ("gpu-busy", Some((50.0, None))),
            ("neuron-busy", Some((30.0, None))),
            ("gpu-memory", Some((2.0, Some(16.0)))),
            ("gpu-power", Some((150.0, None))),
            ("gpu-temperature", Some((70.0, None))),
            ("cpu", Some((25.0, None))),
            ("throttled", Some((12.5, None))),
            ("memory", Some((1.0, Some(4.0)))),
            ("shm", Some((0.5, Some(1.0)))),
            ("disk", Some((1.0, Some(8.0)))),
            ("received", Some((5.0, None))),
            ("sent", Some((1.0, None))),
            ("efa-received", Some((2.0, None))),
            ("efa-sent", Some((3.0, None))),
            ("read", Some((7.0, None))),
            ("written", Some((8.0, None))),
            ("io", Some((7.5, None))),
        ];
        assert_eq!(values, expected);
    }
}
