//! The messages between hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Cause, CommonStep, RankTally, TaskFailure, Verdict, WatchNote};

/// The kinds of messages that the leader accepts.
pub(super) const TO_LEADER: [&str; 12] = [
    "Hello",
    "Alive",
    "Ready",
    "Completed",
    "Failed",
    "RankKilled",
    "Willing",
    "Ended",
    "Finished",
    "Executed",
    "Watch",
    "TasksFailed",
];

/// The kinds of messages that the other hosts accept.
pub(super) const FROM_LEADER: [&str; 11] =
    ["Alive", "Start", "Allowed", "RankKilled", "Execute", "Dismissed", "Stop", "Restart", "Verdict", "Over", "Watch"];

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// To the leader, before all others: the facts that must be equal on all hosts.
    Hello(BTreeMap<String, String>),
    /// The heartbeat of the sender.
    Alive,
    /// To the leader: this host could start its ranks.
    Ready,
    /// From the leader: all hosts of the launch are ready.
    Start,
    /// To the leader: this host has completed a step of a launch with services, and all steps before it.
    Completed(CommonStep),
    /// From the leader: every host has completed the steps before this one.
    Allowed(CommonStep),
    /// To the leader: something has failed on this host, or it received a stop signal. A later message replaces an
    /// earlier one.
    Failed {
        /// The cause, without secrets.
        cause: Box<Cause>,
        /// True if all output of the failed process was read, so that the cause is not provisional.
        is_final: bool,
    },
    /// To the leader, when the ranks must end: the last failed tasks that this host's workers ran for the script.
    TasksFailed(Vec<TaskFailure>),
    /// To the leader, and from the leader to all: at an orderly stop, the stop signal killed a rank of mpirun.
    RankKilled,
    /// To the leader, before the message that this host's ranks have ended: this host could run them again.
    Willing,
    /// To the leader: this host's ranks have ended.
    Ended {
        /// The ranks that ended with a failure.
        ranks: RankTally,
    },
    /// To the leader: this host's ranks have ended without a failure.
    Finished,
    /// From the leader: run one of mpirun's commands.
    Execute {
        /// The number of the command.
        id: u64,
        /// The command, for a shell.
        command: String,
    },
    /// To the leader: one of mpirun's commands has ended.
    Executed {
        /// The number of the command.
        id: u64,
        /// The exit code.
        code: i32,
    },
    /// From the leader: there will be no further command.
    Dismissed,
    /// From the leader: end the ranks.
    Stop {
        /// The reason.
        why: String,
        /// True if nothing has failed and a host received a stop signal.
        is_orderly: bool,
    },
    /// From the leader: the ranks of all hosts have ended after a failure, and all hosts run them again.
    Restart {
        /// The number of the next attempt, counted from 0.
        attempt: u32,
        /// The time until the attempt starts.
        pause: Duration,
        /// The cause of the failure.
        verdict: Box<Verdict>,
    },
    /// A note of the watch for hangs. A receiver ignores a note that only the other side may send.
    Watch(WatchNote),
    /// From the leader: the cause of the job's failure.
    Verdict(Box<Verdict>),
    /// From the leader: every host has finished or ended, or the leader leaves. No host needs to wait any more.
    Over,
}

impl Message {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("names and texts only: it can be written"))
    }

    /// Reads a message. `None` if its kind is not among these, because only the other side may send it or it belongs to
    /// another version.
    ///
    /// # Errors
    /// The bytes are not a message, or not a complete one.
    pub(super) fn from_bytes(bytes: &[u8], kinds: &[&str]) -> Result<Option<Message>, serde_json::Error> {
        if kind(bytes).is_some_and(|kind| !kinds.contains(&kind)) {
            return Ok(None);
        }
        serde_json::from_slice(bytes).map(Some)
    }
}

/// Returns the kind of a message. A message is a text, which is the kind, or an object, whose first name is the kind.
fn kind(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.trim_ascii_start();
    let rest = bytes.strip_prefix(b"{").unwrap_or(bytes).trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(rest.split(|byte| *byte == b'"').next()?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::{FROM_LEADER, Message, TO_LEADER};
    use crate::event::{Cause, CauseEnding, CommonStep, RankTally, TaskFailure, Verdict};

    #[test]
    fn each_side_takes_its_messages_and_ignores_the_others() {
        let cause = Cause::new("x", CauseEnding::NoProcess(1));
        let verdict = Box::new(Verdict { host: "algo-1".to_owned(), cause: cause.clone() });
        let to_leader = [
            Message::Hello(BTreeMap::new()),
            Message::Alive,
            Message::Ready,
            Message::Completed(CommonStep::start(0)),
            Message::Failed { cause: Box::new(cause.clone()), is_final: true },
            Message::TasksFailed(vec![TaskFailure { headline: "x".to_owned(), place: None }]),
            Message::RankKilled,
            Message::Willing,
            Message::Ended { ranks: RankTally { failed: 1, ended: vec![2] } },
            Message::Finished,
            Message::Executed { id: 1, code: 2 },
        ];
        let from_leader = [
            Message::Alive,
            Message::Start,
            Message::Allowed(CommonStep::SCRIPT),
            Message::RankKilled,
            Message::Execute { id: 1, command: "true".to_owned() },
            Message::Dismissed,
            Message::Stop { why: "x".to_owned(), is_orderly: false },
            Message::Restart { attempt: 1, pause: Duration::from_millis(5), verdict: verdict.clone() },
            Message::Verdict(verdict),
            Message::Over,
        ];
        let read =
            |message: &Message, kinds: &[&str]| Message::from_bytes(&message.to_bytes(), kinds).expect("a message");
        let (to_leader, from_leader) = (&to_leader[..], &from_leader[..]);
        for (own, own_kinds, others, other_kinds) in [
            (to_leader, &TO_LEADER[..], from_leader, &FROM_LEADER[..]),
            (from_leader, &FROM_LEADER[..], to_leader, &TO_LEADER[..]),
        ] {
            for message in own {
                assert_eq!(read(message, own_kinds).as_ref(), Some(message));
                let is_of_both = others.contains(message);
                assert_eq!(read(message, other_kinds).is_some(), is_of_both, "{message:?}");
            }
        }
    }

    #[test]
    fn other_versions_are_ignored_and_incomplete_messages_are_errors() {
        let read = |text: &str| Message::from_bytes(text.as_bytes(), &TO_LEADER);
        for other in
            ["\"Paused\"", "{\"Paused\":{\"until\":3}}", "{\"Verdict\":{\"text\":1}}", " \"Over\"", "\n{ \"Stop\":1}"]
        {
            assert_eq!(read(other).expect(other), None);
        }
        let deep = format!("{{\"Hello\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for wrong in ["", "{}", "3", "{\"Failed\":{}}", "{\"Ended\":{\"ranks\":-1}}", "\"Ready\"x", &deep] {
            assert!(read(wrong).is_err(), "{:.40}", wrong);
        }
    }
}
