//! mpirun over several hosts: the part of the host that starts mpirun, and the part of the hosts that run its
//! daemons.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::judge::Ended;
use super::live::Live;
use super::script::{judge, not_started};
use super::start::{RankTask, timing};
use super::{Outcome, Prepared};
use crate::cluster::Order;
use crate::event::{Cause, CauseEnding, Ending, Event, EventKind, Events, JobPhase, Process, Subscriber};
use crate::job::exit_code;
use crate::logs::Style;
use crate::prepare::code::SHELL;
use crate::supervise::Task;

/// The name of mpirun's daemon in events.
const DAEMON: &str = "mpirun daemon";

/// The number of hosts that mpirun reaches directly by default. With more hosts, its daemons would start further
/// daemons, but they do not know the agent.
const RADIX: usize = 64;

/// The number of agents that mpirun runs at once by default.
const CONCURRENT: usize = 128;

/// Tells mpirun its remote agent through variables, so that the user's command line takes precedence (Open MPI 4
/// reads `OMPI_MCA_…`, the PRRTE of Open MPI 5 reads `PRTE_MCA_…`). mpirun passes the name on to its daemons, which
/// end if their host has no such program, although they never call it. For them the list has a second program. mpirun
/// uses the first one.
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

/// Runs the commands of the first host's mpirun until it has ended. On this host, mpirun's daemon takes the place of
/// the process in `launcher`. mpirun passes on the output of ranks without keepers, and its host judges how they end.
/// But a daemon that dies is a failure, even if mpirun reports none.
pub(super) async fn serve(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    launcher: Vec<RankTask>,
    first: &str,
    code_dir: &Path,
) -> Result<Ended, Outcome> {
    tracing::info!("mpirun of host {first} starts the ranks of this host");
    let judge = judge(context, live, prepared, &launcher, code_dir);
    live.events.subscribe(DaemonWatch::of(live));
    live.events.emit(EventKind::PhaseStarted(JobPhase::Script));
    let mut failed_daemon = None;
    let mut ended = Ended::from(Outcome::Succeeded);
    while let Some(order) = next_order(live).await? {
        tracing::debug!("mpirun's daemon: {}", order.command);
        let daemon = Task {
            process: Process::Launcher(DAEMON.into()),
            program: SHELL.into(),
            arguments: [SHELL, "-c", &order.command].map(OsString::from).to_vec(),
            style: Style::default(),
            ..launcher[0].task.clone()
        };
        live.supervisor.begin_script();
        let supervised = live.supervisor.run(&[daemon], timing(&prepared.settings)).await;
        let Some(peers) = live.peers.as_mut() else { break };
        let mut reports = match supervised {
            Ok(reports) => reports,
            Err(error) => {
                peers.executed(&order, error.exit_code());
                return Err(not_started(&error));
            }
        };
        let of_daemon = reports.reports.iter().position(|report| !report.is_launched);
        let ending = of_daemon.map_or(Ending::Exited(0), |at| reports.reports.swap_remove(at).ending);
        peers.executed(&order, ending.exit_code());
        failed_daemon = Some(ending).filter(|ending| !ending.is_success() && !was_killed(*ending)).or(failed_daemon);
        let must_end = reports.stop.is_some() || peers.is_stopping();
        let of_order = judge.outcome(&mut live.supervisor, reports).await;
        let has_failed = !matches!(of_order.outcome, Outcome::Succeeded);
        // The success of a later command does not undo an earlier failure.
        let outcome = if has_failed { of_order.outcome } else { ended.outcome };
        ended = Ended { outcome, ..of_order };
        if must_end {
            break;
        }
    }
    live.events.emit(EventKind::PhaseEnded(JobPhase::Script));
    // If mpirun or a rank also failed, their reports are more informative.
    if let (Some(ending), Some(peers), Outcome::Succeeded) = (failed_daemon, &live.peers, &ended.outcome) {
        peers.failed(&lost_daemon(&peers.host, ending));
    }
    Ok(ended)
}

/// Reports to the other hosts when mpirun's daemon on this host is killed. If it was not killed, mpirun's own report
/// about its end is more informative.
struct DaemonWatch {
    host: String,
    events: Events,
}

impl DaemonWatch {
    fn of(live: &Live) -> DaemonWatch {
        let host = live.peers.as_ref().map(|peers| peers.host.clone()).unwrap_or_default();
        DaemonWatch { host, events: live.events.clone() }
    }
}

impl Subscriber for DaemonWatch {
    fn receive(&mut self, event: &Event) {
        if let EventKind::ProcessFailed { process: Process::Launcher(_), ending, .. } = &event.kind
            && was_killed(*ending)
        {
            let cause = Arc::new(lost_daemon(&self.host, *ending));
            self.events.emit(EventKind::CauseJudged { process: None, cause, is_final: true });
        }
    }
}

/// Returns the next command that this host must run. `None` if mpirun has ended.
async fn next_order(live: &mut Live) -> Result<Option<Order>, Outcome> {
    let Live { supervisor, peers, .. } = live;
    match peers {
        Some(peers) => Ok(supervisor.wait_for(peers.order()).await?),
        None => Ok(None),
    }
}

/// Returns true if a daemon was killed. A shell runs the daemon's command, so its exit code counts too.
fn was_killed(ending: Ending) -> bool {
    match ending {
        Ending::Signaled(_) => true,
        Ending::Exited(code) => code > exit_code::SIGNALS,
    }
}

/// Returns the cause for a daemon of mpirun that has failed.
fn lost_daemon(host: &str, ending: Ending) -> Cause {
    // The shell around the daemon passes the signal on as an exit code.
    let how = match ending {
        Ending::Exited(code) => exit_code::as_signal(code).map_or(ending, Ending::Signaled),
        Ending::Signaled(_) => ending,
    };
    let found = format!("mpirun's daemon on host {host} has ended: {how}");
    Cause { host: Some(host.to_owned()), ..Cause::new(found, CauseEnding::NoProcess(ending.exit_code())) }
}
