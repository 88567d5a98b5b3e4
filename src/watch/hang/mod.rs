//! The watch for hangs: it notices that no rank of the job gives a sign of life, finds out why, and tells it as a cause.
//!
//! A thread of its own, on each host. Signs of life are bytes from a rank and changes in the folder of checkpoints. Each host
//! tells the leader for how long its ranks have been silent; the leader decides for all, because most ranks of a job print
//! nothing. It asks all hosts for the stacks of their ranks. A host that is not connected decides for itself.
//!
//! [`decision`], [`learned`], [`quiet`] [`rules`] and [`activity`] are pure; [`thread`] does what they ask for. The watch ends
//! nothing: it emits the cause and [`StopReason::Hang`](crate::event::StopReason::Hang).

mod activity;
mod collection;
mod decision;
mod end;
mod inbox;
mod learned;
mod lines;
mod look;
mod quiet;
mod rules;
mod thread;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::checkpoints::Checkpoints;
use super::door::Door;
use super::stacks::{Means, RankProcesses};
use crate::event::{Cause, Events, WatchNote};
use crate::job::settings::HangTimeout;
use crate::kernel;
use crate::logs::Pulses;

pub use lines::LogRules;

use inbox::{Inbox, WatchOrder};
use thread::Thread;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 512 << 10;

/// The facts and the parts that a watch needs.
pub struct HangInput {
    /// The time that the job may be silent.
    pub timeout: HangTimeout,
    /// The means of reading stacks. `None` if they are not to be read.
    pub means: Option<Means>,
    /// The name of this host.
    pub host: String,
    /// The folder of stacks.txt. `None` if it is not to be written.
    pub folder: Option<PathBuf>,
    /// The folder of the user's code.
    pub code_dir: PathBuf,
    /// The base folder of the job.
    pub base: PathBuf,
    /// The processes of the ranks.
    pub processes: RankProcesses,
    /// The times of their last output.
    pub pulses: Pulses,
    /// The rules about the job's lines, if there are any.
    pub rules: Option<LogRules>,
    /// Returns true if a metric of the job has a value.
    pub has_metric: Box<dyn Fn() -> bool + Send>,
    /// Returns the least share of its power limit that a GPU in use draws, if it is known.
    pub gpu_power: Box<dyn Fn() -> Option<f64> + Send>,
    /// The folder of checkpoints, if the job has one.
    pub checkpoints: Option<Checkpoints>,
    /// The time between a stop signal and the kill.
    pub grace_period: Duration,
    /// The other hosts, if there are any.
    pub peers: Option<Box<dyn WatchPeers>>,
}

/// The place of this host among those of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPlace {
    /// No other host is connected.
    Alone,
    /// The other hosts follow this one.
    Leader,
    /// This host follows the leader.
    Follower,
}

/// The way to the watches of other hosts.
pub trait WatchPeers: Send {
    /// Returns the place of this host at present.
    fn place(&self) -> HostPlace;

    /// Returns the other hosts that are connected to this one.
    fn connected(&self) -> BTreeSet<String>;

    /// Sends a note: from the leader to a host or, without a name, to all of them; from another host to the leader.
    fn tell(&self, host: Option<&str>, note: WatchNote);
}

/// The watch of this host.
#[derive(Debug)]
pub struct HangWatch {
    inbox: Arc<Inbox>,
    verdict: Arc<Mutex<Option<Cause>>>,
    door: Arc<OnceLock<Door>>,
}

impl HangWatch {
    /// Begins to watch when the first process has started.
    ///
    /// # Errors
    /// The kernel refuses a descriptor.
    pub fn begin(input: HangInput, events: &Events) -> io::Result<HangWatch> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let inbox = Arc::new(Inbox::new(wake));
        events.subscribe(inbox::listener(&inbox));
        let (verdict, door) = (Arc::default(), Arc::default());
        let (orders, thread_events) = (Arc::clone(&inbox), events.clone());
        let (told, opened) = (Arc::clone(&verdict), Arc::clone(&door));
        events.at_first_start(move || {
            let watch = move || Thread::new(input, orders, told, opened, thread_events).run();
            if let Err(error) = kernel::spawn_thread("watch", Some(STACK_SIZE), watch) {
                tracing::warn!("hangs are not noticed: no thread can be started ({error})");
            }
        });
        Ok(HangWatch { inbox, verdict, door })
    }

    /// Ends the watch, and returns the cause if the job was found to hang.
    pub fn finish(self) -> Option<Cause> {
        self.inbox.post(WatchOrder::End);
        if let Some(door) = self.door.get() {
            door.close();
        }
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
