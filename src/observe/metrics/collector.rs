//! The subscriber of the script's lines that collects the values of metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compiled::CompiledMetric;
use super::experiments::ExperimentsFile;
use super::number::python_float;
use super::sample::Sample;
use super::scan::{Found, Scanner};
use super::state::{MetricsState, SharedMetrics};
use super::step::step_of;
use super::summary::{Candidate, excerpt, in_words, nearest};
use super::values::{MetricValue, ValuesFile};
use super::{MetricSummary, MetricsInput};
use crate::event::{Process, Stream};
use crate::logs::{self, LineSubscriber, TappedLines};
use crate::observe::export::EventFile;

/// Collects the values of metrics.
pub(super) struct Collector {
    scanner: Scanner,
    shared: Arc<SharedMetrics>,
    /// The number of the metric of each definition. Several definitions may have one name.
    metrics: Vec<usize>,
    /// True for each definition that has matched a line.
    has_matched: Vec<bool>,
    /// The number of values so far, by process and metric.
    indexes: BTreeMap<Process, Vec<u64>>,
    host: String,
    values: ValuesFile,
    experiments: Option<ExperimentsFile>,
    event_file: Option<EventFile>,
    sample: Sample,
}

impl Collector {
    /// Compiles the definitions, and warns about those that cannot capture every value.
    pub(super) fn new(input: MetricsInput, shared: Arc<SharedMetrics>) -> Collector {
        let mut state = shared.lock();
        let mut definitions = Vec::new();
        let mut metrics = Vec::new();
        for given in &input.definitions {
            let metric = state.metric(&given.name);
            let defect = match CompiledMetric::compile(given) {
                Err(error) => Some(format!("is not used: {error}")),
                Ok(definition) => {
                    let defect = definition.defect.as_ref().map(|defect| format!("has a defect: {defect}"));
                    definitions.push(definition);
                    metrics.push(metric);
                    defect
                }
            };
            if let Some(defect) = defect {
                let problem = logs::clean(&format!("its pattern {} {defect}", given.pattern));
                tracing::warn!("metric {}: {problem}", given.name);
                state.metrics[metric].1.problem.get_or_insert(problem);
            }
        }
        if let Some(objective) = &input.objective {
            state.watch(objective);
        }
        drop(state);
        Collector {
            has_matched: vec![false; definitions.len()],
            scanner: Scanner::new(definitions),
            shared,
            metrics,
            indexes: BTreeMap::new(),
            values: ValuesFile::new(&input.folder),
            experiments: input.experiments.map(ExperimentsFile::new),
            event_file: input.event_file,
            host: input.host,
            sample: Sample::default(),
        }
    }
}

impl Collector {
    /// Counts the values that metrics.jsonl leaves out.
    fn count_left_out(&mut self) {
        let mut state = self.shared.lock();
        state.metrics.iter_mut().for_each(|(_, summary)| summary.dropped = 0);
        for counts in self.indexes.values() {
            for ((_, summary), values) in state.metrics.iter_mut().zip(counts) {
                summary.dropped += self.values.left_out(*values);
            }
        }
    }
}

impl LineSubscriber for Collector {
    fn lines(&mut self, lines: &TappedLines<'_>) {
        if matches!(lines.process, Process::Tool(_)) {
            return;
        }
        let Collector { scanner, metrics, has_matched, indexes, host, values, experiments, event_file, .. } = self;
        let mut guard = self.shared.lock();
        let state: &mut MetricsState = &mut guard;
        if state.lacks_values() {
            self.sample.add(lines.text);
        }
        let time = (lines.at.unix_seconds() * 1000.0).round() / 1000.0;
        let rank = lines.process.rank();
        let stream = match lines.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let known = state.metrics.len();
        scanner.scan(lines.text, |definition, found| {
            let metric = metrics[found.number];
            let (name, summary) = &mut state.metrics[metric];
            if !std::mem::replace(&mut has_matched[found.number], true) && !lines.prefix.is_empty() {
                warn_of_prefix(definition, found, lines.prefix);
            }
            let Some(value) = value_of(found, summary) else { return };
            summary.count(value);
            state.version += 1;
            if !indexes.contains_key(lines.process) {
                indexes.insert(lines.process.clone(), vec![0; known]);
            }
            let Some(counts) = indexes.get_mut(lines.process) else { return };
            let index = counts[metric];
            counts[metric] += 1;
            let finite = value.is_finite().then_some(value);
            let experiments = experiments.as_mut().zip(finite);
            if !values.keeps(index) && experiments.is_none() {
                return;
            }
            let step = step_of(found.line);
            let text = if finite.is_none() { Some(&found.line[found.group.clone()]) } else { None };
            values.write(&MetricValue { name, value: finite, text, time, step, index, host, rank, stream });
            if let Some((file, value)) = experiments {
                file.write(name, value, time, step, rank.unwrap_or(0));
            }
            if let (Some(event_file), Some(value)) = (event_file.as_ref(), finite) {
                event_file.add(name, value, step, time, rank.unwrap_or(0));
            }
        });
    }

    fn dropped(&mut self, lines: u64) {
        self.shared.lock().unread += lines;
    }

    fn idle(&mut self) {
        self.values.flush();
        if let Some(experiments) = &mut self.experiments {
            experiments.flush();
        }
        if let Some(event_file) = &self.event_file {
            event_file.flush();
        }
    }

    fn end(&mut self) {
        self.idle();
        self.count_left_out();
        let mut state = self.shared.lock();
        let kept = if state.lacks_values() { self.sample.text() } else { String::new() };
        let lines = kept.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
        let candidates: Vec<Candidate<'_>> = lines.map(Candidate::new).collect();
        let mut words = Vec::new();
        for (metric, (name, summary)) in state.metrics.iter().enumerate() {
            let definition = self.metrics.iter().position(|of| *of == metric).map(|at| &self.scanner.definitions()[at]);
            let near =
                definition.filter(|_| summary.count == 0).and_then(|definition| nearest(definition, &candidates));
            let near = near.map(|line| logs::clean(&excerpt(line)));
            let pattern = definition.map(|definition| definition.pattern.as_str()).unwrap_or_default();
            words.push(in_words(name, summary, pattern, near.as_deref()));
        }
        state.finish(words);
    }
}

/// Returns the value of a match, and records a problem with it.
fn value_of(found: &Found<'_>, summary: &mut MetricSummary) -> Option<f64> {
    let text = &found.line[found.group.clone()];
    let value = python_float(text);
    if summary.problem.is_none() && (value.is_none() || is_cut(&found.line[found.group.end..])) {
        let line = logs::clean(&excerpt(found.line));
        let text = logs::clean(&excerpt(text));
        summary.is_cut = value.is_some();
        summary.problem = Some(match value {
            None => format!("its pattern takes {text:?}, which is no number, of the line {line}"),
            Some(_) => format!("its pattern takes only {text} of the number in the line {line}"),
        });
    }
    value
}

/// Returns true if the number continues after the part that a group captured.
fn is_cut(rest: &str) -> bool {
    let rest = rest.as_bytes();
    let digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
    match rest.first() {
        Some(b'0'..=b'9') => true,
        Some(b'.') => digit(1),
        Some(b'e' | b'E') => digit(1) || (matches!(rest.get(1), Some(b'+' | b'-')) && digit(2)),
        _ => false,
    }
}

/// Warns if the platform sees another value than the script wrote, because it also reads footplate's prefix.
fn warn_of_prefix(definition: &CompiledMetric, found: &Found<'_>, prefix: &str) {
    let line = format!("{prefix}{}", found.line);
    let own = &found.line[found.group.clone()];
    let with_prefix = definition.core.search(&line).flatten().map(|group| &line[group]);
    if with_prefix != Some(own) {
        tracing::warn!(
            "metric {}: its pattern {} does not give the same value with the prefix {prefix:?}, which stands before the line in \
             the log that the platform reads: set FOOTPLATE_LOG_PREFIX=off",
            definition.name,
            definition.pattern
        );
    }
}

#[cfg(test)]
mod tests {
    use super::is_cut;

    #[test]
    fn a_number_that_goes_on_behind_the_group_is_cut() {
        for rest in ["5", ".5", "e-05", "E5", "e+5 x"] {
            assert!(is_cut(rest), "{rest}");
        }
        for rest in ["", ",", ". ", "epoch", "e-", " 5", "%"] {
            assert!(!is_cut(rest), "{rest}");
        }
    }
}
