//! The file of the platform's Experiments: `$SAGEMAKER_METRICS_DIRECTORY/<pid>.json`.
//!
//! An agent of the platform reads it. A line is `{"MetricName": "loss", "Value": 0.5, "Timestamp": 1600000000.1,
//! "IterationNumber": 3}`; the last key is left out if there is no step.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(rename = "MetricName")]
    name: &'a str,
    #[serde(rename = "Value")]
    value: f64,
    #[serde(rename = "Timestamp")]
    time: f64,
    #[serde(rename = "IterationNumber", skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
}

/// The file, which is created with the first value.
#[derive(Debug)]
pub(super) struct ExperimentsFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    has_failed: bool,
    /// The lowest rank that wrote each metric. Values of higher ranks are left out.
    lowest: BTreeMap<String, usize>,
}

impl ExperimentsFile {
    /// Describes the file of this process in a folder. Nothing is written.
    pub(super) fn new(folder: PathBuf) -> ExperimentsFile {
        let path = folder.join(format!("{}.json", std::process::id()));
        ExperimentsFile { path, file: None, has_failed: false, lowest: BTreeMap::new() }
    }

    /// Writes a finite value.
    pub(super) fn write(&mut self, name: &str, value: f64, time: f64, step: Option<u64>, rank: usize) {
        let lowest = self.lowest.entry(name.to_owned()).or_insert(rank);
        *lowest = rank.min(*lowest);
        if rank > *lowest || self.has_failed {
            return;
        }
        let written = self.append(&Entry { name, value, time, step });
        self.note(written);
    }

    /// Writes the values that are still in memory.
    pub(super) fn flush(&mut self) {
        let flushed = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.note(flushed);
    }

    fn append(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(OpenOptions::new().append(true).create(true).open(&self.path)?)),
        };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        file.write_all(&line)
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::warn!("the metrics for Experiments cannot be written to {}: {error}", self.path.display());
            (self.file, self.has_failed) = (None, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExperimentsFile;

    #[test]
    fn lines_have_the_keys_of_the_platform_and_come_from_the_lowest_rank() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ExperimentsFile::new(folder.path().to_owned());
        file.write("loss", 0.5, 1.25, Some(3), 1);
        file.write("loss", 0.6, 1.5, None, 0);
        file.write("loss", 0.7, 1.5, None, 1);
        file.write("acc", 1.0, 2.0, None, 1);
        file.flush();
        let text = std::fs::read_to_string(folder.path().join(format!("{}.json", std::process::id()))).expect("read");
        let expected = concat!(
            r#"{"MetricName":"loss","Value":0.5,"Timestamp":1.25,"IterationNumber":3}"#,
            "\n",
            r#"{"MetricName":"loss","Value":0.6,"Timestamp":1.5}"#,
            "\n",
            r#"{"MetricName":"acc","Value":1.0,"Timestamp":2.0}"#,
            "\n",
        );
        assert_eq!(text, expected);
    }
}
