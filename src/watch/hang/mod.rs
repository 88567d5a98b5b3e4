//! The watch for hangs. It notices that no rank of the job shows a sign of life, finds out why, and reports the
//! result as a cause.
//!
//! The watch is a separate thread on each host. Signs of life are bytes from a rank and changes in the folder of
//! checkpoints. Each host reports to the leader how long its ranks have been silent. The leader decides for all
//! hosts, because most ranks of a job print nothing. The leader asks all hosts for the stacks of their ranks. A host
//! that is not connected decides for itself.
//!
//! [`decision`], [`learned`], [`quiet`] [`rules`] and [`activity`] are pure, and [`thread`] performs their actions.
//! The watch ends nothing: it emits the cause and [`StopReason::Hang`](crate::event::StopReason::Hang).

mod activity;
mod collection;
mod decision;
mod end;
mod inbox;
mod inspection;
mod learned;
mod lines;
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
use super::run_socket::RunSocket;
use super::stacks::{RankProcesses, StackMeans};
use crate::event::{Cause, Events, WatchNote};
use crate::job::settings::HangTimeout;
use crate::logs::Pulses;
use crate::system::kernel;

pub use lines::LogRules;

use inbox::{Inbox, WatchOrder};
use thread::Thread;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 512 << 10;

/// The input of a watch.
pub struct HangInput {
    /// The time for which the job may be silent.
    pub timeout: HangTimeout,
    /// The means of reading stacks. `None` if stacks must not be read.
    pub means: Option<StackMeans>,
    /// The name of this host.
    pub host: String,
    /// The folder of `stacks.txt`. `None` if the file must not be written.
    pub folder: Option<PathBuf>,
    /// The folder of the user's code.
    pub code_dir: PathBuf,
    /// The base folder of the job.
    pub base: PathBuf,
    /// The processes of the ranks.
    pub processes: RankProcesses,
    /// The times of the ranks' last output.
    pub pulses: Pulses,
    /// The rules about the job's lines, if there are any.
    pub rules: Option<LogRules>,
    /// Returns true if a metric of the job has a value.
    pub has_metric: Box<dyn Fn() -> bool + Send>,
    /// Returns the lowest share of its power limit that any GPU in use draws, if it is known.
    pub gpu_power: Box<dyn Fn() -> Option<f64> + Send>,
    /// The folder of checkpoints, if the job has one.
    pub checkpoints: Option<Checkpoints>,
    /// The time between a stop signal and the kill.
    pub grace_period: Duration,
    /// The other hosts, if there are any.
    pub peers: Option<Box<dyn WatchPeers>>,
}

/// The role of this host in the watch over the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPlace {
    /// No other host is connected.
    Alone,
    /// The other hosts follow this one.
    Leader,
    /// This host follows the leader.
    Follower,
}

/// The connection to the watches of other hosts.
pub trait WatchPeers: Send {
    /// Returns the present role of this host.
    fn place(&self) -> HostPlace;

    /// Returns the other hosts that are connected to this one.
    fn connected(&self) -> BTreeSet<String>;

    /// Sends a note. The leader sends to one host or, without a name, to all of them. Another host sends to the
    /// leader.
    fn send(&self, host: Option<&str>, note: WatchNote);
}

/// The watch of this host.
#[derive(Debug)]
pub struct HangWatch {
    inbox: Arc<Inbox>,
    verdict: Arc<Mutex<Option<Cause>>>,
    socket: Arc<OnceLock<RunSocket>>,
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
        let (verdict, socket) = (Arc::default(), Arc::default());
        let (orders, thread_events) = (Arc::clone(&inbox), events.clone());
        let (told, opened) = (Arc::clone(&verdict), Arc::clone(&socket));
        events.at_first_start(move || {
            let watch = move || Thread::new(input, orders, told, opened, thread_events).run();
            if let Err(error) = kernel::spawn_thread("watch", Some(STACK_SIZE), watch) {
                tracing::warn!("hangs are not noticed: no thread can be started ({error})");
            }
        });
        Ok(HangWatch { inbox, verdict, socket })
    }

    /// Ends the watch, and returns the cause if the job was found to hang.
    pub fn finish(self) -> Option<Cause> {
        self.inbox.post(WatchOrder::End);
        if let Some(socket) = self.socket.get() {
            socket.close();
        }
        self.verdict()
    }

    /// Returns the cause if the current attempt was found to hang.
    pub fn verdict(&self) -> Option<Cause> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
