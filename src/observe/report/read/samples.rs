//! The resource samples of all hosts, as curves.

use std::collections::BTreeMap;
use std::path::Path;

use super::lines::{ReadLines, each_line};
use super::node::Node;
use crate::observe::report::model::{DeviceRow, HardwareView, PanelView};
use crate::observe::report::resource::{DeviceKind, MOST_DEVICES, RESOURCES, ResourceReading, USED, devices};
use crate::observe::report::thin::{GrowingCurve, MOST, Point, Thinning};

/// The maximum number of hosts that have their own curves. For more hosts, the minimum, the mean and the maximum are
/// shown.
const SINGLE_HOSTS: usize = 6;

/// The maximum number of GPUs and Neuron cores whose curves are kept.
const KEPT_DEVICES: usize = 20_000;

/// Collects the samples of hosts, one after the other.
#[derive(Debug)]
pub(super) struct SampleReader {
    panels: Vec<GrowingPanel>,
    devices: Vec<DeviceRow>,
    interval: Option<f64>,
    span: (f64, f64),
    /// True if there are so many hosts that they are shown together.
    is_crowd: bool,
}

/// A panel that grows host by host.
#[derive(Debug, Default)]
struct GrowingPanel {
    curves: Vec<(String, Vec<Point>)>,
    /// The minimum, the sum, the count and the maximum of the values of all hosts, in equal parts of the time.
    crowd: BTreeMap<usize, (f64, f64, f64, f64)>,
    limits: Vec<f64>,
    sum: f64,
    count: f64,
    peak: f64,
}

/// A GPU or a Neuron core of the host that is being read.
#[derive(Debug)]
struct GrowingDevice {
    busy: GrowingCurve,
    sum: f64,
    count: f64,
    memory: Option<(f64, Option<f64>)>,
}

impl SampleReader {
    /// Starts with the number of hosts and the time span of the job.
    pub(super) fn new(hosts: usize, span: (f64, f64)) -> SampleReader {
        SampleReader {
            panels: RESOURCES.iter().map(|_| GrowingPanel::default()).collect(),
            devices: Vec::new(),
            interval: None,
            span,
            is_crowd: hosts > SINGLE_HOSTS,
        }
    }

    /// Reads the file of a host.
    pub(super) fn read(&mut self, path: &Path, host: &str) -> std::io::Result<ReadLines> {
        let mut curves: Vec<GrowingCurve> = RESOURCES.iter().map(|_| GrowingCurve::new(Thinning::Extremes)).collect();
        let mut limits: Vec<Option<f64>> = vec![None; RESOURCES.len()];
        let mut before: Vec<Option<(f64, f64)>> = vec![None; RESOURCES.len()];
        let mut of_devices: BTreeMap<(DeviceKind, u64), GrowingDevice> = BTreeMap::new();
        let panels = &mut self.panels;
        let interval = &mut self.interval;
        let read = each_line(path, |sample| {
            *interval = interval.or(sample.number("interval").filter(|interval| *interval > 0.0));
            let Some(time) = sample.time("time") else { return };
            for (at, resource) in RESOURCES.iter().enumerate() {
                let value = match resource.reading {
                    ResourceReading::Now(read) => read(sample).map(|(value, limit)| {
                        limits[at] = limit.or(limits[at]);
                        value
                    }),
                    ResourceReading::Growth(read) => read(sample).and_then(|total| {
                        let (then, old) = before[at].replace((time, total))?;
                        (time > then).then(|| ((total - old) / (time - then)).max(0.0))
                    }),
                };
                let Some(value) = value else { continue };
                curves[at].add(time, value);
                let panel = &mut panels[at];
                panel.peak = panel.peak.max(value);
                (panel.sum, panel.count) = (panel.sum + value, panel.count + 1.0);
            }
            for (place, (kind, device)) in devices(sample).enumerate() {
                let index = device.count("index").unwrap_or(place as u64);
                note_device(&mut of_devices, time, (kind, index), &device);
            }
        })?;
        for (at, curve) in curves.into_iter().enumerate() {
            let panel = &mut self.panels[at];
            panel.limits.extend(limits[at].filter(|limit| *limit > 0.0));
            let points = curve.finish();
            if points.is_empty() {
                continue;
            }
            if self.is_crowd { panel.join(&points, self.span) } else { panel.curves.push((host.to_owned(), points)) }
        }
        let room = KEPT_DEVICES.saturating_sub(self.devices.len());
        self.devices.extend(of_devices.into_iter().take(room).map(|((kind, index), device)| DeviceRow {
            kind,
            host: host.to_owned(),
            index,
            busy: device.busy.finish(),
            mean: device.sum / device.count.max(1.0),
            memory: device.memory,
        }));
        Ok(read)
    }

    /// Returns the collected hardware utilization.
    pub(super) fn finish(self) -> HardwareView {
        let panels = RESOURCES
            .iter()
            .zip(self.panels)
            .filter(|(resource, panel)| panel.count > 0.0 && (!resource.only_if_used || panel.peak >= USED));
        let span = self.span;
        let panels = panels.map(|(resource, panel)| PanelView {
            resource: *resource,
            limit: panel.shared_limit(),
            mean: panel.sum / panel.count,
            peak: panel.peak,
            curves: if self.is_crowd { panel.of_crowd(span) } else { panel.curves },
        });
        HardwareView { panels: panels.collect(), devices: self.devices, interval: self.interval }
    }
}

/// Records the state of a GPU or a Neuron core.
fn note_device(
    devices: &mut BTreeMap<(DeviceKind, u64), GrowingDevice>,
    time: f64,
    name: (DeviceKind, u64),
    device: &Node<'_>,
) {
    if devices.len() >= 2 * MOST_DEVICES && !devices.contains_key(&name) {
        return;
    }
    let Some(busy) = device.number("busy").map(|busy| busy.clamp(0.0, 100.0)) else { return };
    let row = devices.entry(name).or_insert_with(|| GrowingDevice {
        busy: GrowingCurve::new(Thinning::Means),
        sum: 0.0,
        count: 0.0,
        memory: None,
    });
    row.busy.add(time, busy);
    (row.sum, row.count) = (row.sum + busy, row.count + 1.0);
    if let Some(used) = device.number("memory_used") {
        let total = device.number("memory_total").filter(|total| *total > 0.0);
        let most = row.memory.map_or(used, |(most, _)| most.max(used));
        row.memory = Some((most, total.or(row.memory.and_then(|(_, total)| total))));
    }
}

impl GrowingPanel {
    /// Adds the curve of a host to those of many.
    fn join(&mut self, points: &[Point], (start, end): (f64, f64)) {
        let parts = MOST / 2;
        for (time, value) in points {
            let share = ((time - start) / (end - start)).clamp(0.0, 1.0);
            let part = ((share * parts as f64) as usize).min(parts - 1);
            let (least, sum, count, greatest) = self.crowd.entry(part).or_insert((*value, 0.0, 0.0, *value));
            (*least, *greatest) = (least.min(*value), greatest.max(*value));
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
    }

    /// Returns the minimum, the mean and the maximum over many hosts.
    fn of_crowd(&self, (start, end): (f64, f64)) -> Vec<(String, Vec<Point>)> {
        let middle = |part: usize| start + (part as f64 + 0.5) / (MOST / 2) as f64 * (end - start);
        let curve = |of: fn(&(f64, f64, f64, f64)) -> f64| -> Vec<Point> {
            self.crowd.iter().map(|(part, values)| (middle(*part), of(values))).collect()
        };
        vec![
            ("greatest of all hosts".to_owned(), curve(|values| values.3)),
            ("mean".to_owned(), curve(|values| values.1 / values.2)),
            ("least".to_owned(), curve(|values| values.0)),
        ]
    }

    /// Returns the limit, if it is equal on all hosts.
    fn shared_limit(&self) -> Option<f64> {
        let first = *self.limits.first()?;
        self.limits.iter().all(|limit| (limit - first).abs() <= first * 0.01).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::SampleReader;

    /// Returns a file with samples of a host whose GPUs have the utilizations `busy`, in per cent.
    fn samples(busy: &[f64], count: usize) -> tempfile::NamedTempFile {
        let mut text = String::from("{\"schema\":\"footplate.resources/1\",\"host\":\"algo-1\",\"interval\":5.0}\n");
        for at in 0..count {
            let gpus: Vec<String> = busy
                .iter()
                .zip(0..)
                .map(|(busy, index)| format!("{{\"index\":{index},\"busy\":{busy},\"memory_used\":{at}}}"))
                .collect();
            let _ = writeln!(
                text,
                "{{\"time\":{},\"cpu\":{{\"cores\":4,\"used\":1}},\"network\":{{\"received\":{}}},\"gpus\":[{}]}}",
                1000 + 5 * at,
                at * 10_000_000,
                gpus.join(",")
            );
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn curves_and_means_follow_from_the_samples() {
        let mut reader = SampleReader::new(1, (1000.0, 2000.0));
        reader.read(samples(&[80.0, 0.0], 100).path(), "algo-1").expect("read");
        let hardware = reader.finish();
        let values = |key: &str| {
            let panel = hardware.panels.iter().find(|panel| panel.resource.key == key);
            panel.map(|panel| (panel.mean, panel.peak))
        };
        // 10 MB in 5 s are 2 MB/s.
        let expected = [Some((40.0, 40.0)), Some((25.0, 25.0)), Some((2.0, 2.0)), None];
        assert_eq!(["gpu-busy", "cpu", "received", "sent"].map(values), expected);
        assert_eq!(hardware.interval, Some(5.0));
        let rows: Vec<_> = hardware.devices.iter().map(|device| (device.index, device.mean, device.memory)).collect();
        assert_eq!(rows, [(0, 80.0, Some((99.0, None))), (1, 0.0, Some((99.0, None)))]);
    }

    #[test]
    fn many_hosts_are_shown_by_their_extremes_and_their_mean() {
        let mut reader = SampleReader::new(20, (1000.0, 1500.0));
        for host in 0..20 {
            let busy = if host == 7 { 5.0 } else { 85.0 };
            reader.read(samples(&[busy], 100).path(), &format!("algo-{host}")).expect("read");
        }
        let hardware = reader.finish();
        let panel = &hardware.panels[0];
        let values: Vec<(&str, f64)> = panel.curves.iter().map(|(name, curve)| (name.as_str(), curve[50].1)).collect();
        assert_eq!(values, [("greatest of all hosts", 85.0), ("mean", 81.0), ("least", 5.0)]);
        assert_eq!(hardware.devices.len(), 20);
    }
}
