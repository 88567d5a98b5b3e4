//! mpirun over several hosts: this host's part, on the one that starts mpirun and on those that serve it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::bring::timing;
use super::hosts::Hosts;
use super::script::SHELL;
use super::session::{End, Session};
use super::{Outcome, Prepared};
use crate::cluster::Failure;
use crate::logs::Style;
use crate::process::{Ending, Task, Told};

/// Hosts that mpirun reaches directly by default; beyond, its daemons would start others, and know no agent.
const RADIX: usize = 64;

/// The exit codes by which a shell says that a signal ended its command.
const SIGNALED: std::ops::RangeInclusive<i32> = 129..=192;

/// Agents that mpirun has running at once by default.
const CONCURRENT: usize = 128;

/// Tells mpirun of its remote agent, by variables: what the user sets on the command line is stronger (Open MPI 4 reads
/// `OMPI_MCA_…`, the PRRTE of Open MPI 5 `PRTE_MCA_…`). It hands the name on to its daemons, which end if they find no such
/// program on their hosts, though they never call it: for them there is one more in the list, of which the first counts.
pub(super) fn name_agent(variables: &mut BTreeMap<OsString, OsString>, agent: &Path, nodes: usize) {
    let mut set = |name: &str, value: OsString| {
        variables.entry(name.into()).or_insert(value);
    };
    let agents: OsString = [agent.as_os_str(), ":".as_ref(), SHELL.as_ref()].into_iter().collect();
    set("OMPI_MCA_plm_rsh_agent", agents.clone());
    set("PRTE_MCA_plm_ssh_agent", agents);
    if nodes > RADIX {
        set("OMPI_MCA_routed_radix", nodes.to_string().into());
        set("PRTE_MCA_rml_base_radix", nodes.to_string().into());
    }
    if nodes > CONCURRENT {
        set("OMPI_MCA_plm_rsh_num_concurrent", nodes.to_string().into());
        set("PRTE_MCA_plm_ssh_num_concurrent", nodes.to_string().into());
    }
}

/// Runs what mpirun of the first host asks for, until it has ended. All that ranks write is mpirun's to pass on, and how
/// they end is for its host to judge; but a daemon that dies is a failure, whatever mpirun makes of it.
pub(super) async fn serve(
    session: &mut Session,
    prepared: &Prepared,
    variables: BTreeMap<OsString, OsString>,
    first: &str,
) -> Result<Outcome, Outcome> {
    tracing::info!("mpirun of host {first} starts the ranks of this host");
    let timing = timing(&prepared.settings);
    let Session { supervisor, hosts, end, .. } = session;
    let Some(hosts) = hosts.as_mut() else { return Ok(Outcome::Succeeded) };
    let mut failed = None;
    while let Some(order) = supervisor.wait_for(hosts.order()).await? {
        tracing::debug!("mpirun's daemon: {}", order.command);
        let task = Task {
            program: SHELL.into(),
            arguments: [SHELL, "-c", &order.command].map(OsString::from).to_vec(),
            variables: variables.clone(),
            working_dir: prepared.job.code_dir(),
            style: Style::default(),
            is_launcher: true,
            ..Task::default()
        };
        let mut tell = |told: Told<'_>| match told {
            Told::Stopping(signal) => hosts.stopping(signal),
            Told::Failing(failing) => {
                if was_killed(failing.ending) {
                    hosts.lost_daemon(failing.ending);
                }
            }
        };
        let reports = match supervisor.run(&[task], timing, &mut tell).await {
            Ok(reports) => reports,
            Err(error) => {
                hosts.executed(&order, error.exit_code());
                return Err(super::script::not_started(&error));
            }
        };
        let ending = reports.reports.first().map_or(Ending::Exited(0), |report| report.ending);
        hosts.executed(&order, ending.exit_code());
        failed = Some(ending).filter(|ending| !ending.is_success() && !was_killed(*ending)).or(failed);
        *end = End { was_stopped: reports.stop.is_some(), ..*end };
        if reports.stop.is_some() || hosts.is_stopping() {
            break;
        }
    }
    // mpirun that failed too has said more.
    if let Some(ending) = failed {
        hosts.lost_daemon(ending);
    }
    Ok(Outcome::Succeeded)
}

/// Whether a daemon was killed: it has its command's shell around it.
fn was_killed(ending: Ending) -> bool {
    match ending {
        Ending::Signaled(_) => true,
        Ending::Exited(code) => code > 128,
    }
}

impl Hosts {
    /// mpirun's daemon on this host has failed.
    fn lost_daemon(&mut self, ending: Ending) {
        // Its shell passes the signal on.
        let how = match ending {
            Ending::Exited(code) if SIGNALED.contains(&code) => Ending::Signaled(code - 128),
            ending => ending,
        };
        let found = format!("mpirun's daemon on host {} has ended: {how}", self.name());
        self.tell_failed(Failure::of_host(self.name(), ending.exit_code(), &found));
    }
}
