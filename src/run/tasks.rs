//! The failed tasks of this host's workers, which the leader compares with the exception of the script.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Prepared;
use super::judge::script_text;
use super::link::accounted;
use super::live::Live;
use crate::cluster::PeerSender;
use crate::event::{Ending, Event, EventKind, Process, Stream, TaskFailure};
use crate::failure::{self, Evidence, FailedTasks};
use crate::launch::TaskLog;
use crate::logs::{self, LineSubscriber, Tap, TappedLines};
use crate::redact::without_private_keys;

/// Begins to read the log of the service that runs the script's tasks. The leader receives the failed tasks when the
/// job ends.
pub(super) fn begin(live: &mut Live, prepared: &Prepared, log: TaskLog) {
    let Some(link) = &live.peers else { return };
    let is_ending = Arc::new(AtomicBool::new(false));
    let sender = link.cluster.sender().clone();
    let reader = TaskReader {
        service: log.service,
        failed: FailedTasks::default(),
        host: prepared.job.cluster.current_host.clone(),
        code_dir: prepared.job.code_dir(),
        program: prepared.job.request.program.clone(),
        sender: sender.clone(),
        is_ending: Arc::clone(&is_ending),
    };
    let tap = match Tap::start(move || vec![Box::new(reader)]) {
        Ok(tap) => tap,
        Err(error) => {
            tracing::debug!("failed tasks are not looked for: no thread can be started ({error})");
            sender.tasks_failed(Vec::new());
            return;
        }
    };
    live.supervisor.tap(tap.clone());
    live.events.subscribe(move |event: &Event| {
        if matches!(event.kind, EventKind::Stopping(_)) && !is_ending.swap(true, Ordering::Relaxed) {
            // The result is ignored: the reader reports when it has read the last line.
            let _ended = tap.finish();
        }
    });
}

/// The reader of a service's log.
struct TaskReader {
    /// The name of the service.
    service: &'static str,
    failed: FailedTasks,
    host: String,
    code_dir: PathBuf,
    /// The script, relative to the folder of the code.
    program: Option<String>,
    sender: PeerSender,
    /// True if the processes of the job must end.
    is_ending: Arc<AtomicBool>,
}

impl LineSubscriber for TaskReader {
    fn lines(&mut self, lines: &TappedLines<'_>) {
        let is_log = matches!(lines.process, Process::Service(name) if **name == *self.service);
        if is_log && lines.stream == Stream::Stderr {
            let lines = lines.text.split(|byte| *byte == b'\n');
            lines.for_each(|line| self.failed.line(&String::from_utf8_lossy(line)));
        }
    }

    fn dropped(&mut self, _: u64) {
        // A record without its end is not taken for a failed task.
    }

    fn end(&mut self) {
        if self.is_ending.load(Ordering::Relaxed) {
            self.sender.tasks_failed(self.failed.tracebacks().filter_map(|text| self.judged(text)).collect());
        }
    }
}

impl TaskReader {
    /// Returns the failure that a traceback shows, judged like that of the script, so that the two can be compared.
    fn judged(&self, traceback: &str) -> Option<TaskFailure> {
        let stderr = without_private_keys(traceback.as_bytes());
        let mut evidence = Evidence::new(Ending::Exited(1), &stderr, b"", &self.code_dir, String::new());
        evidence.redactor = logs::redactor();
        if traceback.contains(failure::WITHOUT_FILE) {
            evidence.script = script_text(&self.code_dir, self.program.as_deref());
        }
        let cause = accounted(&failure::cause(&evidence), &self.host);
        cause.place.is_some().then_some(TaskFailure { headline: cause.headline, place: cause.place })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::TaskReader;
    use crate::cluster::PeerSender;
    use crate::cluster::message::Message;
    use crate::event::{Moment, Process, Stream};
    use crate::failure::FailedTasks;
    use crate::logs::{LineSubscriber, TappedLines};

    const RECORD: &str = "- Compute Failed\nKey:       bad\nException: \"ValueError('password=Hk29sKlq81')\"\n\
                          Traceback: '  File \"/opt/ml/code/data.py\", line 7, in bad\\n'\n";

    #[test]
    fn failed_tasks_are_reported_without_secrets_when_the_job_ends() {
        let reported = |service: &str, stream, is_ending: bool| {
            let (sender, mut collect) = PeerSender::collecting();
            let mut reader = TaskReader {
                service: "dask-worker",
                failed: FailedTasks::default(),
                host: "algo-2".to_owned(),
                code_dir: "/opt/ml/code".into(),
                program: None,
                sender,
                is_ending: Arc::new(AtomicBool::new(false)),
            };
            let process = Process::Service(service.into());
            let text = RECORD.as_bytes();
            reader.lines(&TappedLines { process: &process, prefix: "", stream, at: Moment::now(), text });
            reader.is_ending.store(is_ending, Ordering::Relaxed);
            reader.end();
            collect()
        };
        let [Message::TasksFailed(tasks)] = &reported("dask-worker", Stream::Stderr, true)[..] else {
            panic!("one message");
        };
        assert_eq!(tasks.len(), 1);
        assert!(tasks[0].headline.starts_with("ValueError: password="), "{}", tasks[0].headline);
        assert!(!tasks[0].headline.contains("Hk29"), "{}", tasks[0].headline);
        assert_eq!(tasks[0].place.as_ref().map(ToString::to_string).as_deref(), Some("data.py:7 in bad"));
        for (service, stream) in [("dask-scheduler", Stream::Stderr), ("dask-worker", Stream::Stdout)] {
            assert_eq!(reported(service, stream, true), [Message::TasksFailed(Vec::new())]);
        }
        assert_eq!(reported("dask-worker", Stream::Stderr, false), []);
    }
}
