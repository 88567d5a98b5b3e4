//! The verdict: if the job succeeded and, if not, why, in one headline and one sentence.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::observe::report::model::{CheckpointFile, HostView, RankView, RunStatus, RunView};
use crate::observe::report::words::{count, duration, grouped, names, ranges, rough, shortened};

/// The age of a record from which on its job counts as gone, in seconds. A running job replaces its record every 5 s.
const SILENCE: f64 = 60.0;

/// The status of a job, as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageStatus {
    Completed,
    Failed,
    Stopped,
    Running,
    /// The last record shows a running job, but it has not been replaced for a while.
    Vanished,
}

/// The headline, of which the first word is separate, and the sentence below it.
#[derive(Debug)]
pub(super) struct PageVerdict {
    pub(super) status: PageStatus,
    pub(super) word: &'static str,
    pub(super) rest: String,
    pub(super) sentence: String,
}

/// Returns the status of a job. The worst of its hosts decides.
pub(super) fn status(run: &RunView, now: f64) -> PageStatus {
    let has = |status: RunStatus| run.hosts.iter().any(|host| host.status == status);
    if has(RunStatus::Failed) || run.hosts.iter().any(|host| host.failure.is_some()) && !has(RunStatus::Stopped) {
        PageStatus::Failed
    } else if has(RunStatus::Stopped) {
        PageStatus::Stopped
    } else if has(RunStatus::Running) || has(RunStatus::Unknown) {
        let written = run.hosts.iter().filter_map(|host| host.written).reduce(f64::max).unwrap_or_default();
        if now - written > SILENCE { PageStatus::Vanished } else { PageStatus::Running }
    } else {
        PageStatus::Completed
    }
}

/// Returns the verdict on a job.
pub(super) fn verdict(run: &RunView, now: f64) -> PageVerdict {
    let length = rough(run.length());
    let lead = run.lead();
    let status = status(run, now);
    let (word, rest) = match status {
        PageStatus::Completed => ("Completed", format!(" in {length}")),
        PageStatus::Failed => ("Failed", failed(run, &length)),
        PageStatus::Stopped => ("Stopped", format!(" after {length}{}", stopped_by(lead))),
        PageStatus::Running => ("Running", format!(" for {length} so far")),
        PageStatus::Vanished => ("Ended without a word", format!(" after {length}")),
    };
    let sentence = [of_end(run, status), of_ranks(run, status), of_checkpoints(run)];
    let sentence: Vec<String> = sentence.into_iter().flatten().collect();
    PageVerdict { status, word, rest, sentence: sentence.join(" ") }
}

fn failed(run: &RunView, length: &str) -> String {
    let lead = run.lead();
    let Some(failure) = &lead.failure else { return format!(" after {length}") };
    let when =
        if failure.is_before_script { "before the script started".to_owned() } else { format!("after {length}") };
    if let Some(hang) = run.hang().filter(|hang| !hang.odd_ranks.is_empty()) {
        let others = run.ranks().count().saturating_sub(hang.odd_ranks.len());
        let (plural, ranks) = (if hang.odd_ranks.len() == 1 { "rank" } else { "ranks" }, ranges(&hang.odd_ranks));
        let waited = if others > 0 { format!(" while {others} waited") } else { String::new() };
        return format!(" {when}: {plural} {ranks} hung{waited}");
    }
    let why = shortened(failure.first_line.trim_end_matches(['.', ':', ';']), 110);
    if why.is_empty() { format!(" {when}") } else { format!(" {when}: {why}") }
}

fn stopped_by(host: &HostView) -> String {
    match &host.stop {
        Some(stop) if stop.by == "signal" => {
            stop.signal.as_ref().map(|signal| format!(" by {signal}")).unwrap_or_default()
        }
        Some(stop) if stop.by == "peer stopped" => ", as another host was".to_owned(),
        _ => String::new(),
    }
}

/// Returns a sentence about the exit code and the host or rank that failed.
fn of_end(run: &RunView, status: PageStatus) -> Option<String> {
    let lead = run.lead();
    match status {
        PageStatus::Vanished => Some(
            "The record was not finished: footplate itself was killed, or its machine stopped. What follows is the last that \
             was written."
                .to_owned(),
        ),
        PageStatus::Running | PageStatus::Completed => None,
        PageStatus::Failed | PageStatus::Stopped => {
            let failure = lead.failure.as_ref();
            let code = lead.exit_code.map(|code| format!("exit code {code}"));
            let rank = failure.and_then(|failure| failure.rank).map(|rank| format!("rank {rank}"));
            let host = failure.and_then(|failure| failure.host.clone()).map(|host| format!("host {host}"));
            let place = failure.and_then(|failure| failure.place.clone()).map(|place| format!("at {place}"));
            let parts: Vec<String> = [code, rank, host, place].into_iter().flatten().collect();
            let mut text = parts.join(", ");
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            (!text.is_empty()).then(|| text + ".")
        }
    }
}

fn of_ranks(run: &RunView, status: PageStatus) -> Option<String> {
    let all: Vec<&RankView> = run.ranks().map(|(_, rank)| rank).collect();
    let good = all.iter().filter(|rank| rank.exit_code == Some(0)).count();
    match (status, all.len()) {
        (_, 0) => None,
        (PageStatus::Completed, 1) if good == 1 => Some("The script ended with 0.".to_owned()),
        (PageStatus::Completed, all) if good == all => Some(format!("All {} ended with 0.", count(all, "rank"))),
        (PageStatus::Completed, all) => Some(format!("{good} of {} ended with 0.", count(all, "rank"))),
        (PageStatus::Failed, 2..) => {
            let own: Vec<u64> = all.iter().filter(|rank| is_failed(rank)).filter_map(|rank| rank.rank).collect();
            let told = all.iter().filter(|rank| rank.followed).count();
            let own = if own.is_empty() { None } else { Some(format!("rank {} failed", ranges(&own))) };
            let own = own.map(|text| {
                if text.contains([',', '–']) { text.replacen("rank", "Ranks", 1) } else { text.replacen('r', "R", 1) }
            });
            let told = (told > 0).then(|| {
                format!(
                    "{} told to end",
                    if told == 1 { "1 was".to_owned() } else { format!("{} were", grouped(told as f64)) }
                )
            });
            match (own, told) {
                (Some(own), Some(told)) => Some(format!("{own}, {told}.")),
                (Some(own), None) => Some(own + "."),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_checkpoints(run: &RunView) -> Option<String> {
    let checkpoints = run.checkpoints()?;
    let resumed = checkpoints.found.as_ref().map(|file| format!(" It began with {}.", file.name)).unwrap_or_default();
    let before = |file: &CheckpointFile| {
        let before = file.time.map(|time| run.span.1 - time).filter(|before| *before >= 0.0);
        before.map(|before| format!(", {} before the end", duration(before))).unwrap_or_default()
    };
    let written = checkpoints.last.as_ref().filter(|_| checkpoints.written > 0);
    let text = match (written, checkpoints.written) {
        (Some(last), 1) => format!("One checkpoint was written: {}{}.", last.name, before(last)),
        (Some(last), written) => {
            format!("{} checkpoints were written, the last was {}{}.", grouped(written as f64), last.name, before(last))
        }
        (None, _) => "No checkpoint was written.".to_owned(),
    };
    Some(text + &resumed)
}

/// Returns true if a rank failed by itself.
pub(super) fn is_failed(rank: &RankView) -> bool {
    !rank.followed && (rank.exit_code.is_some_and(|code| code != 0) || rank.signal.is_some())
}

/// Returns the end of a rank in words, and the class of its colour.
pub(super) fn ending(rank: &RankView) -> (String, &'static str) {
    let tone = if is_failed(rank) { "bad" } else { "" };
    match (rank.signal, rank.exit_code) {
        (Some(number), _) => (signal_name(number), tone),
        (None, Some(0)) => ("exit 0".to_owned(), "ok"),
        (None, Some(code)) => (format!("exit {code}"), tone),
        (None, None) if rank.started.is_some() => ("no end".to_owned(), ""),
        (None, None) => ("not started".to_owned(), ""),
    }
}

/// Returns the name of a signal.
fn signal_name(number: i64) -> String {
    let signal = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok());
    signal.map_or_else(|| format!("signal {number}"), |signal| signal.to_string())
}

/// Returns the hosts, the GPUs and the instance types in words.
pub(super) fn machines(run: &RunView) -> Vec<String> {
    let lead = &run.hosts[0];
    let hosts = lead.peers.len().max(run.hosts.len());
    let ranks = run.ranks().count();
    let types: BTreeSet<&str> =
        run.hosts.iter().map(|host| host.instance_type.as_str()).filter(|name| !name.is_empty()).collect();
    let gpus = run.hardware.devices.len();
    let mut parts = vec![count(hosts, "host")];
    if ranks > 1 {
        parts.push(count(ranks, "rank"));
    }
    if gpus > 0 {
        parts.push(count(gpus, run.hardware.devices[0].kind.name()));
    }
    let types: Vec<String> = types.into_iter().map(str::to_owned).collect();
    if !types.is_empty() && types != ["local"] {
        parts.push(names(&types));
    }
    parts
}
