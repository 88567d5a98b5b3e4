//! The values of metrics of all hosts, as curves.

use std::collections::BTreeMap;
use std::path::Path;

use super::lines::{ReadLines, each_line};
use super::node::{Cleaner, Node};
use crate::observe::report::model::{HostView, MetricFacts, MetricView};
use crate::observe::report::thin::{GrowingCurve, Point, Thinning};

/// The maximum number of metrics with a curve.
const MOST_METRICS: usize = 60;

/// The maximum number of ranks that have their own curves for each metric.
const MOST_RANKS: usize = 8;

/// Collects the values of hosts, one after the other.
#[derive(Debug, Default)]
pub(super) struct ValueReader {
    metrics: BTreeMap<String, GrowingMetric>,
}

#[derive(Debug, Default)]
struct GrowingMetric {
    /// The curves by rank, or by host if the rank is not known.
    curves: BTreeMap<Writer, RankCurve>,
    left_out: std::collections::BTreeSet<Writer>,
    with_step: u64,
    without_step: u64,
}

/// The writer of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Writer {
    Rank(u64),
    Host(String),
}

/// The values of a rank by step and by time. All values together decide which of the two is shown.
#[derive(Debug)]
struct RankCurve {
    by_step: GrowingCurve,
    by_time: GrowingCurve,
}

impl ValueReader {
    /// Reads the file of a host.
    pub(super) fn read(&mut self, path: &Path, host: &str) -> std::io::Result<ReadLines> {
        each_line(path, |line| {
            let _ = self.take(line, host);
        })
    }

    /// Reads a line. Returns `None` if it has no value.
    fn take(&mut self, line: &Node<'_>, host: &str) -> Option<()> {
        let (name, value, time) = (line.plain("name")?, line.number("value")?, line.time("time")?);
        if !self.metrics.contains_key(name) {
            if self.metrics.len() >= MOST_METRICS {
                return None;
            }
            self.metrics.insert(name.to_owned(), GrowingMetric::default());
        }
        let metric = self.metrics.get_mut(name)?;
        let writer = line.count("rank").map_or_else(|| Writer::Host(host.to_owned()), Writer::Rank);
        if metric.curves.len() >= MOST_RANKS && !metric.curves.contains_key(&writer) {
            if metric.left_out.len() < 100_000 {
                metric.left_out.insert(writer);
            }
            return None;
        }
        let new = || GrowingCurve::new(Thinning::Extremes);
        let curve = metric.curves.entry(writer).or_insert_with(|| RankCurve { by_step: new(), by_time: new() });
        curve.by_time.add(time, value);
        match line.count("step") {
            Some(step) => {
                curve.by_step.add(step as f64, value);
                metric.with_step += 1;
            }
            None => metric.without_step += 1,
        }
        Some(())
    }

    /// Returns the metrics in the order of the records, with their curves.
    pub(super) fn finish(mut self, hosts: &[HostView], cleaner: &Cleaner) -> Vec<MetricView> {
        let mut order: Vec<String> = Vec::new();
        let mut facts: BTreeMap<&str, MetricFacts> = BTreeMap::new();
        for (name, own) in hosts.iter().flat_map(|host| &host.metrics) {
            if !facts.contains_key(name.as_str()) {
                order.push(name.clone());
            }
            facts.entry(name).or_default().merge(own);
        }
        // If a job was killed, its record can be older than the values.
        let mut grown = BTreeMap::new();
        for (name, metric) in std::mem::take(&mut self.metrics) {
            grown.insert(cleaner.line(&name), metric);
        }
        order.extend(grown.keys().filter(|name| !facts.contains_key(name.as_str())).cloned());
        let views = order.into_iter().map(|name| {
            let metric = grown.remove(&name).unwrap_or_default();
            let by_step = metric.with_step > 0 && metric.without_step == 0;
            let curves = metric.curves.into_iter().map(|(writer, curve)| {
                let points = if by_step { curve.by_step.finish() } else { curve.by_time.finish() };
                let writer = match writer {
                    Writer::Rank(rank) => format!("rank {rank}"),
                    Writer::Host(host) => host,
                };
                (writer, points)
            });
            let curves: Vec<_> = curves.collect();
            let count = metric.with_step + metric.without_step;
            let facts = facts.get(name.as_str()).cloned().unwrap_or_else(|| of_curves(&curves, count));
            MetricView { by_step, left_out: metric.left_out.len(), curves, facts, name }
        });
        views.collect()
    }
}

/// Returns the figures that follow from the curves of a metric that no record counts.
fn of_curves(curves: &[(String, Vec<Point>)], count: u64) -> MetricFacts {
    let mut facts = MetricFacts { count, ..MetricFacts::default() };
    for (_, curve) in curves {
        let values = || curve.iter().map(|point| point.1);
        facts.merge(&MetricFacts {
            first: values().next(),
            last: values().next_back(),
            min: values().reduce(f64::min),
            max: values().reduce(f64::max),
            ..MetricFacts::default()
        });
    }
    facts
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Cleaner, HostView, MetricFacts, ValueReader};

    #[test]
    fn curves_are_by_step_if_every_value_has_one() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut text = String::new();
        for step in 0..1000 {
            for rank in 0..10 {
                let _ = writeln!(
                    text,
                    "{{\"name\":\"loss\",\"value\":{rank}.5,\"time\":{step},\"step\":{step},\"rank\":{rank}}}"
                );
            }
            let _ = writeln!(text, "{{\"name\":\"f1\",\"value\":null,\"text\":\"nan\",\"time\":{step},\"rank\":null}}");
            let _ = writeln!(text, "{{\"name\":\"f1\",\"value\":1,\"time\":{step},\"rank\":null}}");
        }
        std::fs::write(file.path(), text).expect("written");
        let mut reader = ValueReader::default();
        reader.read(file.path(), "algo-1").expect("read");
        let host = HostView {
            metrics: vec![
                ("none".to_owned(), MetricFacts::default()),
                ("loss".to_owned(), MetricFacts { count: 10_000, ..MetricFacts::default() }),
            ],
            ..HostView::default()
        };
        let metrics = reader.finish(&[host], &Cleaner::default());
        let shown: Vec<_> = metrics
            .iter()
            .map(|metric| {
                (metric.name.as_str(), metric.by_step, metric.curves.len(), metric.left_out, metric.facts.count)
            })
            .collect();
        assert_eq!(shown, [("none", false, 0, 0, 0), ("loss", true, 8, 2, 10_000), ("f1", false, 1, 0, 1000)]);
        assert_eq!((metrics[1].curves[1].0.as_str(), metrics[1].curves[1].1[0]), ("rank 1", (0.0, 1.5)));
    }
}
