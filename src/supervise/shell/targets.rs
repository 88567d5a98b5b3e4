//! The processes that the signals and surveys of a shell apply to.

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::Shell;
use crate::supervise::group::{GroupMember, Target};
use crate::supervise::survey::Parts;
use crate::supervise::task::{Readiness, Role};
use crate::supervise::tree::{self, ExcludedProcesses};
use crate::system::kernel;

impl Shell<'_> {
    /// Sends a signal to the targets, and returns how many processes there were, as far as is known.
    pub(super) fn signal(&self, signal: Signal, to: &Target) -> usize {
        match to {
            Target::Everything => tree::signal_all(signal, &self.groups()),
            Target::AllBut(members) => tree::signal_all_but(&self.spared(members), signal, &self.groups()),
            Target::Only(members) => tree::signal_below(&self.pids(members), signal),
            Target::Mains(members) => {
                let pids = self.pids(members);
                pids.iter().for_each(|pid| kernel::send_signal(*pid, signal as i32));
                pids.len()
            }
        }
    }

    /// Returns the processes that footplate started for these members.
    fn pids(&self, members: &[usize]) -> Vec<Pid> {
        members.iter().filter_map(|member| self.processes[*member].pid).collect()
    }

    /// Returns the processes that belong to these members.
    pub(super) fn spared(&self, members: &[usize]) -> ExcludedProcesses {
        let mut spared = ExcludedProcesses::default();
        for member in members {
            let Some(pid) = self.processes[*member].pid else { continue };
            match &self.tasks[self.group.members()[*member].spec].role {
                Role::Launcher(launching) => {
                    let list = if launching.shares_group { &mut spared.alone } else { &mut spared.groups };
                    list.push(pid);
                    spared.names.extend(launching.daemons);
                }
                Role::Service { .. } => spared.trees.push(pid),
                Role::Process => spared.groups.push(pid),
            }
        }
        spared
    }

    /// Returns the parts of the job that a survey for this signal distinguishes.
    pub(super) fn parts(&self, signal: Signal) -> Parts {
        let members = || self.group.members().iter().enumerate();
        let running = |is_wanted: fn(&GroupMember) -> bool| {
            members().filter(move |(_, member)| is_wanted(member)).filter_map(|(_, member)| member.pid()).collect()
        };
        let launchers: Vec<usize> = members().filter(|(_, member)| member.is_launcher()).map(|(at, _)| at).collect();
        Parts {
            launchers: self.spared(&launchers),
            kept_ranks: running(|member| !member.is_own()),
            services: running(|member| member.service().is_some()),
            is_blocked: self.around.inherited.blocks(signal),
        }
    }

    /// Returns the process groups of members whose numbers cannot have been reused, because the member itself or a
    /// child of footplate in its group was not reaped yet.
    pub(super) fn groups(&self) -> Vec<Pid> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let is_ours = |member: &GroupMember, pid| member.is_running() || waitid(Id::PGid(pid), flags).is_ok();
        let children = self.group.members().iter().zip(&self.processes);
        children.filter_map(|(member, child)| child.pid.filter(|pid| is_ours(member, *pid))).collect()
    }

    /// Returns the services that count as ready once something listens at their address.
    pub(in crate::supervise) fn awaited_ports(&self) -> Vec<(usize, std::net::SocketAddr)> {
        let members = self.group.members().iter().enumerate();
        members
            .filter(|(_, member)| member.is_running() && !member.is_ready())
            .filter_map(|(at, member)| match &self.tasks[member.spec].role {
                Role::Service { readiness: Readiness::Port(address), .. } => Some((at, *address)),
                _ => None,
            })
            .collect()
    }
}
