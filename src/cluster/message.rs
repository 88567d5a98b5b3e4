//! What hosts tell each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How and why something failed, as the host saw it on which it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The host.
    pub host: String,
    /// The exit code of the job, if this is its cause.
    pub exit_code: i32,
    /// The text of the failure file, without secrets.
    pub text: String,
    /// The line of the text after which it is said how many other ranks failed.
    pub status: String,
    /// Whether it reads like what a rank sees when another one goes, so that another failure is rather the cause.
    pub is_consequence: bool,
}

impl Failure {
    /// One of a host, and of no rank: what was found, and a last line with host and exit code.
    pub fn of_host(host: &str, exit_code: i32, found: &str) -> Failure {
        let status = format!("host {host}, exit code {exit_code}");
        let text = format!("{found}\n{status}");
        Failure { host: host.to_owned(), exit_code, text, status, is_consequence: false }
    }

    /// The first line of the text.
    pub fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// Why the job failed: the same on every host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The host on which it failed first.
    pub host: String,
    /// The exit code of the job.
    pub exit_code: i32,
    /// The text of the failure file.
    pub text: String,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// To the leader, first of all: what must be equal on all hosts.
    Hello(BTreeMap<String, String>),
    /// The sender is there.
    Alive,
    /// To the leader: this host could start its ranks.
    Ready,
    /// From the leader: all hosts of the launch are ready.
    Start,
    /// To the leader: something has failed on this host.
    Failed(Failure),
    /// To the leader, and from it to all: at an orderly stop, a rank of mpirun was killed by it.
    RankKilled,
    /// To the leader: this host's ranks have ended.
    Ended {
        /// How many of them failed.
        failed_ranks: usize,
    },
    /// To the leader: this host's ranks have ended well.
    Finished,
    /// From the leader: run this command of mpirun's.
    Execute {
        /// Which one it is.
        id: u64,
        /// The command, for a shell.
        command: String,
    },
    /// To the leader: a command has ended.
    Executed {
        /// Which one it is.
        id: u64,
        /// Its exit code.
        code: i32,
    },
    /// From the leader: there will be no command more.
    Dismissed,
    /// From the leader: end the ranks.
    Stop {
        /// Why.
        why: String,
        /// Whether nothing has failed: a host was told to stop.
        is_orderly: bool,
    },
    /// From the leader: why the job failed.
    Verdict(Verdict),
    /// From the leader: every host has finished or ended, or the leader leaves; nobody is waited for any more.
    Over,
}

impl Message {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("names and texts only: it can be written"))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Message, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
