//! mpirun over several hosts: this host's part, on the one that starts mpirun and on those that serve it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::hosts::Hosts;
use super::script::{RankTask, SHELL, judge, not_started, supervise};
use super::session::Session;
use super::{Outcome, Prepared};
use crate::cluster::{Failure, Order};
use crate::event::Ending;
use crate::failure::MemoryWatch;
use crate::job::exit_code;
use crate::logs::Style;
use crate::supervise::Task;

/// Hosts that mpirun reaches directly by default; beyond, its daemons would start others, and know no agent.
const RADIX: usize = 64;

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

/// Runs what mpirun of the first host asks for, until it has ended. The daemon takes the place of what `launcher` starts
/// there. What ranks that have no keepers write is mpirun's to pass on, and how they end is for its host to judge; but a
/// daemon that dies is a failure, whatever mpirun makes of it.
pub(super) async fn serve(
    session: &mut Session,
    prepared: &Prepared,
    launcher: Vec<RankTask>,
    first: &str,
    code_dir: &Path,
) -> Result<Outcome, Outcome> {
    tracing::info!("mpirun of host {first} starts the ranks of this host");
    let memory = MemoryWatch::start();
    let mut failed_daemon = None;
    let mut outcome = None;
    while let Some(order) = next_order(session).await? {
        tracing::debug!("mpirun's daemon: {}", order.command);
        let daemon = Task {
            program: SHELL.into(),
            arguments: [SHELL, "-c", &order.command].map(OsString::from).to_vec(),
            style: Style::default(),
            is_launcher: true,
            ..launcher[0].task.clone()
        };
        let supervised = supervise(session, prepared, &launcher, &[daemon], &memory, code_dir).await;
        let Some(hosts) = session.hosts.as_mut() else { break };
        let mut reports = match supervised {
            Ok(reports) => reports,
            Err(error) => {
                hosts.executed(&order, error.exit_code());
                return Err(not_started(&error));
            }
        };
        let of_daemon = reports.reports.iter().position(|report| report.rank.is_none());
        let ending = of_daemon.map_or(Ending::Exited(0), |at| reports.reports.swap_remove(at).ending);
        hosts.executed(&order, ending.exit_code());
        failed_daemon = Some(ending).filter(|ending| !ending.is_success() && !was_killed(*ending)).or(failed_daemon);
        let must_end = reports.stop.is_some() || hosts.is_stopping();
        outcome = judge(session, prepared, &launcher, &reports, &memory, code_dir).or(outcome);
        if must_end {
            break;
        }
    }
    // mpirun that failed too has said more, and so has a rank.
    if let (Some(ending), Some(hosts), None) = (failed_daemon, &mut session.hosts, &outcome) {
        hosts.lost_daemon(ending);
    }
    Ok(outcome.unwrap_or(Outcome::Succeeded))
}

/// What this host is asked to run next; none when mpirun has ended.
async fn next_order(session: &mut Session) -> Result<Option<Order>, Outcome> {
    let Session { supervisor, hosts, .. } = session;
    match hosts {
        Some(hosts) => Ok(supervisor.wait_for(hosts.order()).await?),
        None => Ok(None),
    }
}

/// Whether what has failed is mpirun's daemon.
pub(super) fn is_daemon(task: &RankTask, rank: Option<usize>) -> bool {
    task.serves && rank.is_none()
}

/// Whether a daemon was killed: it has its command's shell around it.
fn was_killed(ending: Ending) -> bool {
    match ending {
        Ending::Signaled(_) => true,
        Ending::Exited(code) => code > exit_code::SIGNALS,
    }
}

impl Hosts {
    /// mpirun's daemon on this host has ended with a failure. mpirun itself says most of one that was not killed.
    pub(super) fn failing_daemon(&mut self, ending: Ending) {
        if was_killed(ending) {
            self.lost_daemon(ending);
        }
    }

    fn lost_daemon(&mut self, ending: Ending) {
        // Its shell passes the signal on.
        let how = match ending {
            Ending::Exited(code) => exit_code::as_signal(code).map_or(ending, Ending::Signaled),
            Ending::Signaled(_) => ending,
        };
        let found = format!("mpirun's daemon on host {} has ended: {how}", self.name());
        self.tell_failed(Failure::of_host(self.name(), ending.exit_code(), &found));
    }
}
