//! The ports at which the processes of a launch listen on this host.

use std::net::IpAddr;

use crate::job::Job;
use crate::job::settings::Settings;

/// A port at which a process of a launch listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListeningPort {
    /// The number.
    pub number: u16,
    /// The setting or hyperparameter that changes the number, if there is one.
    pub setting: Option<&'static str>,
}

impl ListeningPort {
    /// Returns a port whose number cannot be changed.
    pub(super) fn fixed(number: u16) -> ListeningPort {
        ListeningPort { number, setting: None }
    }
}

/// Returns no ports: the processes of the engine listen at ports that the kernel chooses, or not at all.
pub(super) fn none(_: &Job, _: &Settings) -> Vec<ListeningPort> {
    Vec::new()
}

/// Returns MASTER_PORT, at which a process of the master host listens.
pub(super) fn of_master(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    on_first_host(job, [ListeningPort { number: settings.master_port, setting: Some("FOOTPLATE_MASTER_PORT") }])
}

/// Returns MASTER_PORT on the master host, unless the arguments of the program that listens there change its port.
pub(super) fn of_master_unless(
    job: &Job,
    settings: &Settings,
    arguments: &[String],
    options: &[&str],
) -> Vec<ListeningPort> {
    let changes = |word: &String| options.iter().any(|option| word.replace('_', "-").starts_with(option));
    if arguments.iter().any(changes) { Vec::new() } else { of_master(job, settings) }
}

/// Returns these ports on the first host of the launch.
pub(super) fn on_first_host<const N: usize>(job: &Job, ports: [ListeningPort; N]) -> Vec<ListeningPort> {
    let is_first = job.nodes().first() == Some(&job.cluster.current_host);
    if is_first { ports.into() } else { Vec::new() }
}

/// Returns this host's port of a program that listens on all addresses of each host.
pub(super) fn of_each_host(job: &Job, settings: &Settings, first: u16, step: u16) -> ListeningPort {
    ListeningPort::fixed(number(shares_machine(job, settings), job.node_rank(), first, step))
}

/// Returns the port of a program that listens on all addresses of the host with this rank. If the hosts of the launch share a
/// machine, the port of each is `step` higher than that of the host before.
pub(super) fn number(shares_machine: bool, node_rank: usize, first: u16, step: u16) -> u16 {
    let before = if shares_machine { u16::try_from(node_rank).unwrap_or_default() } else { 0 };
    first.saturating_add(step.saturating_mul(before))
}

/// Returns true if several hosts of the launch are on this machine, as in `footplate local`. Ports that a program
/// binds on all addresses must differ in that case.
pub(super) fn shares_machine(job: &Job, settings: &Settings) -> bool {
    let addresses = &settings.host_addresses;
    job.nodes().iter().filter(|host| addresses.get(*host).is_some_and(IpAddr::is_loopback)).count() > 1
}
