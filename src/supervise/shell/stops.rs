//! Processes that are stopped: by a signal, by the terminal, or with footplate itself.

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Shell;
use crate::supervise::group::Input;
use crate::supervise::terminal::{self, Resumer};
use crate::supervise::tree;
use crate::system::kernel;

impl Shell<'_> {
    /// Reports a child that a signal has stopped.
    pub(super) fn report_stopped(&self, pid: Pid, signal: i32) {
        let name = match self.processes.iter().find(|child| child.pid == Some(pid)) {
            Some(child) => child.identity.to_string(),
            None => "a process that lost its parent".to_owned(),
        };
        let signal_name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
        match signal {
            libc::SIGTTIN | libc::SIGTTOU => tracing::warn!(
                "{name} (process {pid}) waits for the terminal, which another job has: bring footplate to the foreground (fg)"
            ),
            _ => tracing::warn!(
                "{name} (process {pid}) was stopped by {signal_name}, and does nothing until it is continued: kill -CONT {pid}"
            ),
        }
    }

    /// Suspends everything if some process can continue it, and waits here until the shell continues it.
    pub(super) fn suspend(&mut self, to: &[Pid], frozen: &[usize]) -> Vec<Input> {
        match terminal::resumer() {
            Resumer::Unknown => to.iter().for_each(|pid| kernel::send_signal(*pid, libc::SIGTSTP)),
            Resumer::Nobody => tracing::info!("Ctrl-Z is ignored: there is no shell that could continue the job"),
            Resumer::Footplate => {
                tree::suspend(to);
                return vec![Input::Suspended];
            }
            Resumer::Shell => {
                tree::suspend(to);
                terminal::stop_itself();
                tree::resume(&self.spared(frozen));
            }
        }
        Vec::new()
    }
}
