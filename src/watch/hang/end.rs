//! The end of a job that hangs: its cause, and the last output of ranks whose stacks are not known.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::event::{Cause, CauseDetail, CauseEnding, HangReport, RankGroup, SourcePlace, StackMethod};
use crate::job::exit_code;
use crate::supervise::ProcessEntry;
use crate::system::files;
use crate::system::kernel;
use crate::watch::stacks::groups;

/// The number of calls of the odd ranks that the failure text shows.
const SHOWN_CALLS: usize = 6;

/// The variable that makes Python write the stacks of all threads on SIGABRT.
const FAULTHANDLER: &[u8] = b"PYTHONFAULTHANDLER=";

/// The time limit for reading the variables of a process, and their maximum size in bytes.
const PATIENCE: Duration = Duration::from_millis(200);
const MAX_VARIABLES: u64 = 4 << 20;

/// Returns the report of a job that hangs. `missing` is the missing sign, such as `no progress`. `unheard` are the
/// hosts that have not reported their stacks.
pub(super) fn report(
    missing: &str,
    groups: Vec<RankGroup>,
    method: Option<StackMethod>,
    after: Duration,
    unheard: &[&str],
) -> HangReport {
    let headline = groups::headline(missing, &groups, after, unheard);
    let after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    HangReport { headline, after_ms, ..answer(groups, method) }
}

/// Returns the report that answers a request for stacks.
pub(super) fn answer(groups: Vec<RankGroup>, method: Option<StackMethod>) -> HangReport {
    let odd_ranks = groups::odd(&groups).map(|at| groups[at].ranks.clone()).unwrap_or_default();
    HangReport { headline: String::new(), after_ms: None, method, odd_ranks, groups }
}

/// Returns the cause of a job that hangs. `host` is the host of the first of the ranks that keep the others waiting.
pub(super) fn cause(report: &HangReport, host: Option<String>) -> Cause {
    let at = groups::odd(&report.groups).unwrap_or(0);
    let group = report.groups.get(at);
    let calls = group.map(|group| group.stack.iter().take(SHOWN_CALLS).cloned().collect::<Vec<_>>().join(" < "));
    let details = calls.filter(|calls| !calls.is_empty()).map(|calls| {
        let ranks = if report.groups.len() > 1 || report.odd_ranks.len() > 1 {
            groups::named(&report.odd_ranks)
        } else {
            "the script".to_owned()
        };
        CauseDetail { label: None, text: format!("stack of {ranks}: {calls}") }
    });
    let place = group.and_then(|group| group.place.clone()).filter(|place| place.line > 0);
    let place = place.map(|place| SourcePlace { path: place.file, line: place.line, function: Some(place.function) });
    let rank = if let [rank] = report.odd_ranks[..] { Some(rank) } else { None };
    Cause {
        details: details.into_iter().collect(),
        place,
        rank,
        host: host.filter(|_| rank.is_some()),
        ..Cause::new(report.headline.clone(), CauseEnding::NoProcess(exit_code::HANG))
    }
}

/// Sends SIGABRT to Python processes that will then write their stacks. The processes end, and write no core files.
pub(super) fn abort(processes: &BTreeMap<usize, Vec<ProcessEntry>>, is_unknown: impl Fn(usize) -> bool) {
    for (_, entries) in processes.iter().filter(|(rank, _)| is_unknown(**rank)) {
        for entry in entries.iter().filter(|entry| answers_abort(entry.pid)) {
            let pid = Pid::from_raw(entry.pid);
            kernel::forbid_core(pid);
            tracing::info!("SIGABRT to process {pid}, which writes its stacks then (PYTHONFAULTHANDLER)");
            // The process may have ended meanwhile.
            let _ = kill(pid, Signal::SIGABRT);
        }
    }
}

/// Returns true if a process was started with a non-empty value of the variable.
fn answers_abort(pid: i32) -> bool {
    let path = format!("/proc/{pid}/environ");
    let variables = files::read_within(PATIENCE, Path::new(&path), MAX_VARIABLES).unwrap_or_default();
    let value = variables.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(FAULTHANDLER));
    value.is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{cause, report};
    use crate::event::{RankGroup, StackMethod, StackPlace};
    use crate::failure;
    use crate::redact::Redactor;

    #[test]
    fn the_cause_names_the_rank_its_place_and_its_calls() {
        let place = |function: &str, line| StackPlace { function: function.into(), file: "data.py".into(), line };
        let group = |ranks, place: StackPlace, wait: Option<&str>| RankGroup {
            ranks,
            stack: vec![place.to_string(), "<module> (train.py:3)".into()],
            place: Some(place),
            wait: wait.map(str::to_owned),
            silent_ms: 0,
        };
        let groups =
            vec![group(vec![0, 1], place("step", 25), Some("all_reduce")), group(vec![2], place("read", 88), None)];
        let report = report("no progress", groups, Some(StackMethod::Memory), Duration::from_secs(600), &[]);
        assert_eq!((report.after_ms, &report.odd_ranks[..]), (Some(600_000), &[2][..]));
        let cause = cause(&report, Some("algo-2".into()));
        assert_eq!(cause.exit_code(), 124);
        let expected = "Hang: no progress for 600 s. Rank 2 is in read (data.py:88), the other 2 wait for it in all_reduce\n\
                        at data.py:88 in read\nstack of rank 2: read (data.py:88) < <module> (train.py:3)\n\
                        host algo-2, rank 2, exit code 124";
        assert_eq!(failure::text(&cause, &Redactor::default()), expected);
    }
}
