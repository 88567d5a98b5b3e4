//! Limits on the content of messages: a peer that has the key can still be mistaken, or lie.
//!
//! A peer may describe a failure of its own. It must not turn a failure into a success with an exit code that the
//! kernel truncates to 0, fill the memory or the log with text, or name hosts that are not part of the job.

use std::time::Duration;

use super::message::Message;
use crate::event::{Cause, CauseDetail, CauseEnding, Collective, Ending, RankTally, SourcePlace, TaskFailure, Verdict};
use crate::failure;
use crate::redact::Redactor;

/// The maximum length of a received text, in bytes. `failure::redacted`, which shortens texts for display, allows a few
/// thousand.
const MAX_TEXT: usize = 16 << 10;
/// The maximum number of facts that hosts compare.
const MAX_FACTS: usize = 64;
/// The maximum number of hints of a cause.
const MAX_HINTS: usize = 4;
/// The maximum number of failed tasks of a host.
const MAX_TASKS: usize = 64;
/// The maximum number of ranks.
const MAX_RANKS: usize = 1 << 16;
/// The longest pause before an attempt.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The exit code that replaces an impossible exit code of a failure.
const FAILED: i32 = 1;
/// The last signal of Linux.
const LAST_SIGNAL: i32 = 64;

/// Returns a message of the host `sender` without impossible content. `hosts` are the hosts of the job.
pub(super) fn limited(message: Message, sender: &str, hosts: &[String]) -> Message {
    match message {
        Message::Hello(facts) => {
            Message::Hello(facts.into_iter().take(MAX_FACTS).map(|(name, value)| (cut(name), cut(value))).collect())
        }
        Message::Failed { cause, is_final } => {
            Message::Failed { cause: Box::new(limited_cause(*cause, sender, hosts)), is_final }
        }
        Message::TasksFailed(tasks) => {
            let tasks = tasks.into_iter().take(MAX_TASKS);
            Message::TasksFailed(tasks.map(|task| limited_task(task, sender, hosts)).collect())
        }
        Message::Verdict(verdict) => {
            let Verdict { host, cause } = *verdict;
            let host = if hosts.contains(&host) { host } else { sender.to_owned() };
            let cause = limited_cause(cause, &host, hosts);
            Message::Verdict(Box::new(Verdict { host, cause }))
        }
        Message::Restart { attempt, pause, verdict } => {
            let Verdict { host, cause } = *verdict;
            let host = if hosts.contains(&host) { host } else { sender.to_owned() };
            let verdict = Box::new(Verdict { cause: limited_cause(cause, &host, hosts), host });
            Message::Restart { attempt, pause: pause.min(MAX_PAUSE), verdict }
        }
        Message::Stop { why, is_orderly } => {
            let shown = Cause::new(cut(why), CauseEnding::NoProcess(FAILED));
            Message::Stop { why: failure::redacted(&shown, &Redactor::default()).headline, is_orderly }
        }
        Message::Ended { ranks } => Message::Ended { ranks: limited_tally(ranks) },
        Message::Executed { id, code } => {
            Message::Executed { id, code: if (0..=255).contains(&code) { code } else { FAILED } }
        }
        Message::Watch(note) => Message::Watch(note.limited()),
        other => other,
    }
}

fn limited_cause(cause: Cause, sender: &str, hosts: &[String]) -> Cause {
    let is_of_job = |host: &String| hosts.contains(host);
    let detail = |detail: CauseDetail| CauseDetail { text: cut(detail.text), ..detail };
    let place = |place: SourcePlace| SourcePlace { path: cut(place.path), function: place.function.map(cut), ..place };
    let cut = Cause {
        headline: cut(cause.headline),
        details: cause.details.into_iter().take(MAX_HINTS * 2).map(detail).collect(),
        place: cause.place.map(place),
        thread: cause.thread.map(cut),
        host: cause.host.map(|host| if is_of_job(&host) { host } else { sender.to_owned() }),
        rank: cause.rank.filter(|rank| *rank < MAX_RANKS),
        followers: cause.followers.min(MAX_RANKS),
        ended: cause.ended.min(MAX_RANKS),
        stage: cause.stage,
        ending: limited_ending(cause.ending),
        launcher: cause.launcher.map(cut),
        rank_ending: cause.rank_ending,
        absent_hosts: cause.absent_hosts.into_iter().filter(is_of_job).take(hosts.len()).collect(),
        collective: cause.collective.map(Collective::limited),
        hints: cause.hints.into_iter().take(MAX_HINTS).map(cut).collect(),
        command: cut(cause.command),
        attempt: cause.attempt,
    };
    failure::redacted(&cut, &Redactor::default())
}

fn limited_task(task: TaskFailure, sender: &str, hosts: &[String]) -> TaskFailure {
    let ending = CauseEnding::Process(Ending::Exited(FAILED));
    let cause = limited_cause(Cause { place: task.place, ..Cause::new(task.headline, ending) }, sender, hosts);
    TaskFailure { headline: cause.headline, place: cause.place }
}

fn limited_tally(ranks: RankTally) -> RankTally {
    RankTally { failed: ranks.failed.min(MAX_RANKS), ended: ranks.ended.into_iter().take(MAX_RANKS).collect() }
}

/// Returns an ending with an exit code of 1 to 255. Without a process, 0 is possible too, for a host that was told to
/// stop.
fn limited_ending(ending: CauseEnding) -> CauseEnding {
    match ending {
        CauseEnding::NoProcess(0..=255)
        | CauseEnding::Process(Ending::Exited(1..=255) | Ending::Signaled(1..=LAST_SIGNAL)) => ending,
        CauseEnding::NoProcess(_) => CauseEnding::NoProcess(FAILED),
        CauseEnding::Process(_) => CauseEnding::Process(Ending::Exited(FAILED)),
    }
}

/// Shortens a text to its first [`MAX_TEXT`] bytes.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use super::limited;
    use crate::cluster::message::Message;
    use crate::event::{Cause, CauseDetail, CauseEnding, Ending, RankTally, Verdict};

    fn hosts() -> Vec<String> {
        ["algo-1", "algo-2"].map(str::to_owned).to_vec()
    }

    fn received(cause: Cause) -> Cause {
        match limited(Message::Failed { cause: Box::new(cause), is_final: true }, "algo-2", &hosts()) {
            Message::Failed { cause, .. } => *cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_exit_code_of_a_failure_becomes_a_success() {
        use CauseEnding::{NoProcess, Process};
        for ending in [0, 256, 512, -256, -1, i32::MIN, i32::MAX].map(Ending::Exited) {
            assert_eq!(received(Cause::new("x", Process(ending))).ending, Process(Ending::Exited(1)), "{ending:?}");
        }
        for ending in [0, -128, 65, 128, i32::MAX].map(Ending::Signaled) {
            assert_eq!(received(Cause::new("x", Process(ending))).ending, Process(Ending::Exited(1)), "{ending:?}");
        }
        for code in [256, -1, i32::MIN] {
            assert_eq!(received(Cause::new("x", NoProcess(code))).ending, NoProcess(1));
        }
        let possible = [Process(Ending::Exited(255)), Process(Ending::Signaled(9)), NoProcess(68), NoProcess(0)];
        for ending in possible {
            assert_eq!(received(Cause::new("x", ending)).ending, ending);
        }
        let verdict = Verdict { host: "x".to_owned(), cause: Cause::new("x", Process(Ending::Exited(256))) };
        let Message::Verdict(verdict) = limited(Message::Verdict(Box::new(verdict)), "algo-1", &hosts()) else {
            panic!()
        };
        assert_eq!((verdict.host.as_str(), verdict.cause.exit_code()), ("algo-1", 1));
        assert_eq!(
            limited(Message::Executed { id: 1, code: 256 }, "algo-2", &hosts()),
            Message::Executed { id: 1, code: 1 }
        );
    }

    #[test]
    fn texts_are_short_and_only_hosts_of_the_job_are_named() {
        let long = || "é".repeat(400_000);
        let cause = Cause {
            details: vec![CauseDetail { label: None, text: long() }; 1000],
            hints: vec![long(); 1000],
            thread: Some(long()),
            host: Some("evil.example".to_owned()),
            rank: Some(usize::MAX),
            followers: usize::MAX,
            absent_hosts: vec![long(), "algo-1".to_owned()],
            command: long(),
            ..Cause::new(long(), CauseEnding::Process(Ending::Exited(3)))
        };
        let received = received(cause);
        assert!(serde_json::to_vec(&received).expect("text").len() < 100_000);
        assert_eq!((received.host.as_deref(), received.exit_code()), (Some("algo-2"), 3));
        assert_eq!((received.rank, received.absent_hosts), (None, vec!["algo-1".to_owned()]));
        let facts = (0..10_000).map(|number| (number.to_string(), "y".repeat(100))).collect();
        let hello = limited(Message::Hello(facts), "algo-2", &hosts());
        assert!(matches!(hello, Message::Hello(facts) if facts.len() == 64));
        let stop = limited(Message::Stop { why: long(), is_orderly: false }, "algo-1", &hosts());
        assert!(matches!(stop, Message::Stop { why, .. } if why.len() < 10_000));
        let many = RankTally { failed: usize::MAX, ended: vec![1; 100_000] };
        let Message::Ended { ranks } = limited(Message::Ended { ranks: many }, "algo-2", &hosts()) else { panic!() };
        assert!(ranks.failed < 100_000 && ranks.ended.len() < 100_000);
    }
}
