//! Failures of services: their causes, and their meaning for the job.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::context::Context;
use crate::event::{Cause, CauseDetail, CauseEnding, DetailLabel, Ending, Event, EventKind, Events, Output, Process};
use crate::failure;
use crate::job::{Job, exit_code};
use crate::logs;
use crate::system::files;

/// The services of this host that were not ready in time.
#[derive(Clone, Debug, Default)]
pub(super) struct LateServices(Arc<Mutex<BTreeSet<Process>>>);

impl LateServices {
    /// Begins to record services that were not ready in time.
    pub(super) fn listen(events: &Events) -> LateServices {
        let late = LateServices::default();
        let noted = late.clone();
        events.subscribe(move |event: &Event| {
            if let EventKind::ProcessLate(process) = &event.kind {
                noted.0.lock().unwrap_or_else(PoisonError::into_inner).insert(process.clone());
            }
        });
        late
    }

    /// Returns true if a service was not ready in time.
    pub(super) fn contains(&self, process: &Process) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(process)
    }
}

/// Returns the cause for a service that ended before the script. `cause` is the cause that its own output shows.
pub(super) fn ended(title: &str, ending: Ending, cause: Cause) -> Cause {
    if ending.is_success() {
        // The service ended successfully, but for the job that is a failure.
        let headline = format!("{title} ended with exit code 0 before the script");
        return Cause { headline, ending: CauseEnding::NoProcess(1), ..cause };
    }
    Cause { launcher: Some(title.to_owned()), ..cause }
}

/// The remedy for a service that was not ready in time.
const LATE_HINT: &str =
    "the service may need longer on a busy host; raise FOOTPLATE_SERVICE_TIME, and look at its lines in the log";

/// Returns the cause for a service that was not ready in time. `last` is the last line that it wrote.
pub(super) fn late(title: &str, patience: Duration, last: Option<String>, cause: Cause) -> Cause {
    let headline = format!("{title} was not ready within {} s (FOOTPLATE_SERVICE_TIME)", patience.as_secs_f64());
    let said = last.map(|text| CauseDetail { label: Some(DetailLabel::LastLine), text });
    let Cause { host, command, .. } = cause;
    let ending = CauseEnding::NoProcess(exit_code::LAUNCH);
    Cause {
        details: said.into_iter().collect(),
        host,
        command,
        hints: vec![LATE_HINT.to_owned()],
        ..Cause::new(headline, ending)
    }
}

/// The maximum number of lines that are kept of each stream of a service whose lines are not logged.
const KEPT_LINES: usize = 200;

/// Writes the last lines of services into files beside the run record.
pub(super) fn keep_output(context: &Context, job: &Job, services: &[(Process, Output)]) {
    if !context.leaves_files {
        return;
    }
    let folder = job.paths.record(&job.cluster.current_host);
    for (process, output) in services {
        let text = [&output.stdout, &output.stderr].map(|bytes| last_lines(bytes)).concat();
        let path = folder.join(format!("{process}.log"));
        let made = std::fs::create_dir_all(&folder).and_then(|()| files::create_own(&path));
        let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            tracing::warn!("cannot write {}: {error}", path.display());
        }
    }
}

/// Returns the last [`KEPT_LINES`] lines, without secrets.
fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(KEPT_LINES)..].iter().map(|line| format!("{}\n", logs::clean(line))).collect()
}

/// Returns the last line with text in the output of a service. Skips log records that report no error, if there are
/// other lines.
pub(super) fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next()?;
    let telling = std::iter::once(last).chain(lines).find(|line| !failure::is_harmless_record(line));
    Some(telling.unwrap_or(last).to_owned())
}
