//! The end of a record whose job ends before its last phase, because footplate itself fails or hangs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::document::SCHEMA;
use super::file::{RecordError, RecordFile};
use crate::event::Moment;
use crate::redact::visible_json;
use crate::system::files;

/// The time in which the record's own thread must finish it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time limit for amending the version on disk.
const AMENDING: Duration = Duration::from_secs(1);

/// The maximum size of a version that is amended, in bytes.
const LARGEST: u64 = 8 << 20;

/// A function that writes the last version of a record: the time, the exit code, and the text of the failure file.
type WriteLast = dyn Fn(Moment, i32, String) -> bool + Send + Sync;

/// Finishes a record, from any thread.
#[derive(Clone)]
pub struct EarlyEnd {
    folder: PathBuf,
    /// Has the record's thread write the last version. Returns false if that thread does not answer.
    write: Arc<WriteLast>,
}

impl fmt::Debug for EarlyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EarlyEnd of {}", self.folder.display())
    }
}

impl EarlyEnd {
    pub(super) fn new(
        folder: PathBuf,
        write: impl Fn(Moment, i32, String) -> bool + Send + Sync + 'static,
    ) -> EarlyEnd {
        EarlyEnd { folder, write: Arc::new(write) }
    }

    /// Finishes the record with a failure. `text` has no secrets. Takes a few seconds at most.
    pub fn write(&self, exit_code: i32, text: &str) {
        let now = Moment::now();
        let (write, of_file) = (Arc::clone(&self.write), text.to_owned());
        // This runs on another thread, because the present one may hold a lock that the record's thread waits for, or
        // may be that thread.
        if files::within(PATIENCE, move || write(now, exit_code, of_file)) == Some(true) {
            return;
        }
        let (folder, text) = (self.folder.clone(), text.to_owned());
        let amended = files::within(AMENDING, move || amend(&folder, now, exit_code, &text));
        if let Some(Err(error)) = amended {
            tracing::warn!("the run record is not finished: {error}");
        }
    }
}

/// Records a failure in the version on disk, or begins a new record.
fn amend(folder: &Path, now: Moment, exit_code: i32, text: &str) -> Result<(), RecordError> {
    let file = RecordFile::open(folder);
    let found = files::read(&file.path(), LARGEST).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut record: Map<String, Value> = found.unwrap_or_default();
    let first_line = text.lines().next().unwrap_or_default();
    record.entry("schema").or_insert_with(|| SCHEMA.into());
    record.insert("status".to_owned(), "failed".into());
    record.insert("ended".to_owned(), json!((now.unix_seconds() * 1000.0).round() / 1000.0));
    record.insert("exit_code".to_owned(), exit_code.into());
    let failure = json!({"text": text, "first_line": first_line, "rank": null, "host": null, "exit_code": exit_code});
    record.insert("failure".to_owned(), failure);
    file.finish(&visible_json(&format!("{:#}\n", Value::Object(record))))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::{EarlyEnd, amend};
    use crate::event::Moment;
    use crate::observe::record::file::RecordFile;

    fn record(folder: &std::path::Path) -> Value {
        serde_json::from_slice(&fs::read(folder.join("run.json")).expect("a record")).expect("JSON")
    }

    #[test]
    fn a_record_whose_thread_does_not_answer_is_amended_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = RecordFile::create(folder.path()).expect("made");
        file.replace(r#"{"schema": "footplate.run/1", "status": "running", "ranks": [{"rank": 0}]}"#).expect("written");
        EarlyEnd::new(folder.path().to_owned(), |_, _, _| false).write(70, "it failed\nbadly");
        let found = record(folder.path());
        assert_eq!(
            (&found["status"], &found["exit_code"], &found["ranks"][0]["rank"]),
            (&json!("failed"), &json!(70), &json!(0))
        );
        assert_eq!(
            (&found["failure"]["text"], &found["failure"]["first_line"]),
            (&json!("it failed\nbadly"), &json!("it failed"))
        );
        assert!(found["ended"].as_f64() > Some(1e9));
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "the reserve has become the record");
    }

    #[test]
    fn a_record_that_was_never_written_or_is_broken_begins_with_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        amend(folder.path(), Moment::now(), 70, "it failed").expect("written");
        assert_eq!(
            (&record(folder.path())["schema"], &record(folder.path())["status"]),
            (&json!("footplate.run/1"), &json!("failed"))
        );
        fs::write(folder.path().join("run.json"), "[1").expect("written");
        amend(folder.path(), Moment::now(), 70, "it failed").expect("written");
        assert_eq!(record(folder.path())["exit_code"], 70);
    }
}
