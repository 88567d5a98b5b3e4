//! What hosts tell each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Cause, Verdict};

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
    /// To the leader: something has failed on this host, or it was told to stop. A later one replaces an earlier one.
    Failed {
        /// The cause, without secrets.
        cause: Box<Cause>,
        /// True if all output of what failed was read, so that the cause is not provisional.
        is_final: bool,
    },
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
    Verdict(Box<Verdict>),
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
