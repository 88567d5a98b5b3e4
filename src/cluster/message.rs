//! The messages between hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Cause, Verdict};

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
    /// To the leader: something has failed on this host, or it was told to stop. A later message replaces an earlier
    /// one.
    Failed {
        /// The cause, without secrets.
        cause: Box<Cause>,
        /// True if all output of the failed process was read, so that the cause is not provisional.
        is_final: bool,
    },
    /// To the leader, and from it to all: at an orderly stop, a rank of mpirun was killed by it.
    RankKilled,
    /// To the leader: this host's ranks have ended.
    Ended {
        /// The number of ranks that failed.
        failed_ranks: usize,
    },
    /// To the leader: this host's ranks have ended well.
    Finished,
    /// From the leader: run a command of mpirun's.
    Execute {
        /// The number of the command.
        id: u64,
        /// The command, for a shell.
        command: String,
    },
    /// To the leader: a command of mpirun's has ended.
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
        /// True if nothing has failed: a host was told to stop.
        is_orderly: bool,
    },
    /// From the leader: the cause of the job's failure.
    Verdict(Box<Verdict>),
    /// From the leader: every host has finished or ended, or the leader leaves. Nobody needs to wait any more.
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
