//! The file of all values, `metrics.jsonl`: one JSON object for each value, thinned so that it stays small.

use std::path::Path;

use serde::Serialize;

use crate::observe::json_lines::{JsonLines, Limits};

/// The name of the file.
const NAME: &str = "metrics.jsonl";

/// The limits of the file.
const LIMITS: Limits = Limits { lines: 100_000, size: 20_000_000 };

/// The stride at which thinning cannot help any more, because each value is the first one of its metric and rank.
const MAX_STRIDE: u64 = 1 << 40;

/// A value of a metric.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MetricValue<'a> {
    pub(super) name: &'a str,
    /// `None` for NaN and infinities, which JSON does not have.
    pub(super) value: Option<f64>,
    /// The text of a value that is not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    /// The time in Unix seconds.
    pub(super) time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<u64>,
    /// The index of the value among those of its metric and rank, counted from 0.
    pub(super) index: u64,
    pub(super) host: &'a str,
    /// The rank. `None` if a launcher of the image writes for several ranks.
    pub(super) rank: Option<usize>,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
}

/// The file, which is created with the first value.
#[derive(Debug)]
pub(super) struct ValuesFile {
    file: JsonLines,
    /// The stride: values are kept if their index is a multiple of it.
    stride: u64,
}

impl ValuesFile {
    /// Describes the file in a folder. Nothing is written.
    pub(super) fn new(folder: &Path) -> ValuesFile {
        ValuesFile::with_limits(folder, LIMITS)
    }

    fn with_limits(folder: &Path, limits: Limits) -> ValuesFile {
        ValuesFile { file: JsonLines::new(folder, NAME, limits), stride: 1 }
    }

    /// Returns false if the value of this index is left out because there are many values.
    pub(super) fn keeps(&self, index: u64) -> bool {
        index.is_multiple_of(self.stride)
    }

    /// Writes a value, unless it is left out.
    pub(super) fn write(&mut self, value: &MetricValue<'_>) {
        if self.keeps(value.index) && self.file.add(value) && self.file.is_large() {
            self.thin();
        }
    }

    /// Returns how many of `values` values of one metric and rank are left out because there are many.
    pub(super) fn left_out(&self, values: u64) -> u64 {
        values - values.div_ceil(self.stride)
    }

    /// Writes the values that are still in memory.
    pub(super) fn flush(&mut self) {
        self.file.flush();
    }

    /// Doubles the stride until the file has at most half of its maximum size.
    fn thin(&mut self) {
        while !self.file.is_thin() && self.stride < MAX_STRIDE {
            self.stride *= 2;
            let stride = self.stride;
            if !self.file.keep(|line| index_of(line).is_some_and(|index| index.is_multiple_of(stride))) {
                return;
            }
        }
    }
}

/// Returns the index in a line of the file. No text in a line can look like the key, because its quotes would be
/// escaped.
fn index_of(line: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"index\":";
    let digits = &line[memchr::memmem::find(line, KEY)? + KEY.len()..];
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Limits, MetricValue, ValuesFile, index_of};

    fn value(name: &str, index: u64) -> MetricValue<'_> {
        let (host, stream) = ("algo-1", "stdout");
        MetricValue { name, value: Some(0.5), text: None, time: 1.0, step: None, index, host, rank: Some(0), stream }
    }

    #[test]
    fn many_values_are_thinned_evenly() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ValuesFile::with_limits(folder.path(), Limits { lines: 100, size: 20_000 });
        (0..10_000).for_each(|index| file.write(&value("loss", index)));
        file.flush();
        let text = std::fs::read_to_string(folder.path().join("metrics.jsonl")).expect("read");
        let indexes: Vec<u64> = text.lines().map(|line| index_of(line.as_bytes()).expect("an index")).collect();
        assert!((25..=101).contains(&indexes.len()), "{}", indexes.len());
        assert!(indexes.iter().zip(0..).all(|(index, at)| *index == at * file.stride), "{indexes:?}");
        assert_eq!(file.left_out(10_000), 10_000 - indexes.len() as u64);
    }

    #[test]
    fn a_name_that_looks_like_a_key_does_not_mislead() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ValuesFile::new(folder.path());
        file.write(&value(r#"a","index":7,"b"#, 3));
        file.flush();
        let text = std::fs::read(folder.path().join("metrics.jsonl")).expect("read");
        assert_eq!(index_of(&text), Some(3));
    }
}
