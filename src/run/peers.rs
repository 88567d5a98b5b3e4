//! The other hosts of the job: joining them, waiting for them, and agreeing on the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::context::Context;
use super::judge::Ended;
use super::link::{ConnectedHosts, PeerLink, SpanOfLaunch};
use super::live::Live;
use super::{Outcome, Prepared, Refusal, secret};
use crate::cluster::{Audience, Channel, Connection, Key, Membership, SETTLE_TIME, Stage, View, agent};
use crate::event::{EventKind, JobPhase, Verdict};
use crate::failure::{NextAttempt, RestartLimits};
use crate::job::python::{Separators, Value};
use crate::job::settings::Settings;
use crate::launch::{Engine, Services};

/// The time for which a host that has failed waits for the verdict. The leader decides after [`SETTLE_TIME`].
const VERDICT_TIME: Duration = SETTLE_TIME.saturating_add(Duration::from_secs(3));

/// The maximum length of a fact that is sent to other hosts unchanged for comparison, in bytes.
const LONGEST_FACT: usize = 64;

/// Begins to join the other hosts of the job, if there are any, for the launch of this engine. Does not wait for
/// them.
pub(super) fn join(context: &Context, live: &mut Live, prepared: &Prepared, engine: &Engine) {
    let Prepared { job, settings, .. } = prepared;
    let cluster = &job.cluster;
    let Some(port) = settings.cluster_port.filter(|_| cluster.hosts.len() > 1) else { return };
    let nodes = job.nodes();
    let launch = if !engine.spans_hosts || nodes.len() == 1 {
        SpanOfLaunch::EachHost
    } else if engine.needs_all_hosts {
        SpanOfLaunch::AllHosts
    } else {
        SpanOfLaunch::PresentHosts
    };
    let spans_hosts = launch != SpanOfLaunch::EachHost;
    let hyperparameters = Value::Dict(job.all_hyperparameters.clone()).dumps(Separators::Default);
    let digest = |text: &str| Key::new(&[text.as_bytes()]).fingerprint();
    // A digest keeps the message to the leader short.
    let shortened = |value: String| if value.len() > LONGEST_FACT { digest(&value) } else { value };
    let of_launch = engine.profile(job, settings).into_iter().map(|(name, value)| (name.to_owned(), shortened(value)));
    let profile = of_launch.chain([
        ("version of footplate".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("hyperparameters".to_owned(), digest(&hyperparameters)),
    ]);
    let starts_ranks_elsewhere = engine.starts_ranks_of_other_hosts && spans_hosts;
    let starts_mpirun = starts_ranks_elsewhere && nodes.first() == Some(&cluster.current_host);
    let agent = starts_mpirun.then(|| install_agent(live)).flatten();
    let host = cluster.current_host.clone();
    let membership = Membership {
        host: host.clone(),
        leader: job.master(),
        hosts: cluster.hosts.clone(),
        nodes: if spans_hosts { nodes } else { Vec::new() },
        needs_all: launch == SpanOfLaunch::AllHosts,
        addresses: settings.host_addresses.clone(),
        port,
        key: secret::cluster_key(prepared, &context.variables),
        patience: settings.cluster_timeout,
        least_hosts: settings.min_hosts.filter(|_| engine.services == Services::OfManyHosts),
        profile: profile.collect(),
        agent: agent.clone(),
        task_engine: engine.task_log.map(|log| log.title),
        restarts: if engine.starts_ranks_of_other_hosts || engine.has_services() {
            RestartLimits::default()
        } else {
            limits(settings)
        },
    };
    let connected = ConnectedHosts::default();
    live.events.subscribe(connected.clone());
    match Channel::begin(membership, live.events.clone()) {
        Ok(cluster) => {
            if starts_ranks_elsewhere {
                live.supervisor.await_peers();
            }
            if engine.has_services() && spans_hosts {
                live.supervisor.keep_step();
            }
            let link = PeerLink {
                cluster,
                is_leader: job.master() == host,
                host,
                launch,
                agent,
                connected,
                announced: Arc::default(),
            };
            live.events.subscribe(link.herald());
            live.peers = Some(link);
        }
        Err(error) => tracing::warn!("there is no channel to the other hosts: {error}"),
    }
}

/// Returns the numbers of restarts that the settings allow.
pub(super) fn limits(settings: &Settings) -> RestartLimits {
    RestartLimits { failures: settings.max_restarts, preemptions: settings.max_preemptions }
}

/// Makes footplate mpirun's remote agent, and returns its path.
fn install_agent(live: &mut Live) -> Option<PathBuf> {
    let installed = live.scratch.path().and_then(agent::install);
    installed.map_err(|error| tracing::warn!("mpirun cannot reach the other hosts by footplate: {error}")).ok()
}

/// Waits for the hosts of a launch whose services depend on each other.
///
/// # Errors
/// The hosts do not connect, or the job ends meanwhile.
pub(super) async fn meet_for_services(live: &mut Live, prepared: &Prepared, engine: &Engine) -> Result<(), Outcome> {
    if prepared.job.nodes().len() > 1 && live.peers.is_none() {
        let problem = format!(
            "the hosts of this job do not connect (FOOTPLATE_CLUSTER_PORT=off), but {engine} needs them to start and to end \
             together: set a port"
        );
        return Err(Outcome::refused(Refusal::Configuration, problem));
    }
    meet(live).await
}

/// Waits for the hosts of a launch that spans hosts: for those that are connected but still preparing, and for absent
/// ones if the launcher needs them.
pub(super) async fn meet(live: &mut Live) -> Result<(), Outcome> {
    let Some(link) = live.peers.as_ref().filter(|link| link.spans_hosts()) else { return Ok(()) };
    live.events.emit(EventKind::PhaseStarted(JobPhase::Hosts));
    link.cluster.sender().ready();
    let needs_all = link.launch == SpanOfLaunch::AllHosts;
    let mut view = link.cluster.view();
    if needs_all || view.borrow().link == Connection::Connected {
        tracing::info!("this host is ready, and waits for the others");
    }
    let may_start = view.wait_for(|view| match view.stage {
        Stage::Started | Stage::Over(None) => true,
        Stage::Gathering => !needs_all && view.link == Connection::Apart,
        Stage::Stopping | Stage::Decided(_) | Stage::Over(Some(_)) => false,
    });
    live.supervisor.wait_for(may_start).await?.map_err(|_| Outcome::PeerFailed)?;
    live.events.emit(EventKind::PhaseEnded(JobPhase::Hosts));
    Ok(())
}

/// Reports to the other hosts how this host ended, waits for their reports, and returns the outcome of the job.
pub(super) async fn agree(live: &mut Live, ended: Ended) -> Outcome {
    let Ended { outcome, .. } = &ended;
    let own = outcome.clone();
    match settle(live, ended, Willingness::Done).await {
        Settled::Over(outcome) => outcome,
        // A host that is not willing to run again is never asked to.
        Settled::Again(_) => own,
    }
}

/// The readiness of a host to run its ranks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Willingness {
    /// The host does not run anything any more.
    Done,
    /// The host could run its ranks again. Holds the time that other hosts may need to end their ranks.
    Willing(Duration),
}

/// The result of an attempt on all hosts.
#[derive(Debug)]
pub(super) enum Settled {
    /// All hosts run their ranks again.
    Again(NextAttempt),
    /// The job is over.
    Over(Outcome),
}

/// Reports to the other hosts how the ranks of this host ended, and waits for the decision to run them again or to
/// end the job. If the job ends, this host has left the others.
pub(super) async fn settle(live: &mut Live, ended: Ended, willingness: Willingness) -> Settled {
    let Ended { outcome, ranks, was_stopped, only_followed } = ended;
    let Some(link) = live.peers.take() else { return Settled::Over(outcome) };
    let peer_sender = link.cluster.sender().clone();
    let mut view = link.cluster.view();
    let known = view.borrow().restart;
    let was_stopped = was_stopped || matches!(outcome, Outcome::Stopped(_));
    let audience = if was_stopped { Audience::Connected } else { Audience::Expected };
    let is_own = !matches!(outcome, Outcome::Succeeded | Outcome::PeerFailed) && !only_followed;
    if ((is_own && !was_stopped) || (was_stopped && link.spans_hosts()))
        && let Some(cause) = outcome.cause()
    {
        link.failed(&cause);
    }
    // A host that was told to stop does not wait for others. Neither does one that has never connected.
    let has_met = |view: &View| view.link == Connection::Connected || view.stage.is_stopping();
    let is_waiting = !was_stopped && (link.launch == SpanOfLaunch::AllHosts || has_met(&view.borrow()));
    if is_waiting && willingness != Willingness::Done {
        peer_sender.willing();
    }
    let has_failed = is_own || view.borrow().stage.is_stopping() || outcome.exit_code() != 0;
    if has_failed && (link.spans_hosts() || !was_stopped) {
        peer_sender.ended(ranks);
    } else {
        peer_sender.finished();
    }
    let end = if is_waiting { joint_decision(live, &mut view, has_failed, known, willingness).await } else { None };
    match end {
        Some(JointDecision::Again(next)) => {
            live.peers = Some(link);
            Settled::Again(next)
        }
        Some(JointDecision::Verdict(verdict)) if verdict.cause.exit_code() != 0 => {
            link.cluster.leave(audience);
            Settled::Over(Outcome::Failed(Box::new(verdict.cause)))
        }
        _ => {
            link.cluster.leave(audience);
            Settled::Over(outcome)
        }
    }
}

/// The decision of all hosts.
enum JointDecision {
    Again(NextAttempt),
    Verdict(Box<Verdict>),
}

/// Waits for the decision: for a short time after a failure, and until every host has ended after a success. A stop
/// signal ends the wait.
async fn joint_decision(
    live: &mut Live,
    view: &mut watch::Receiver<View>,
    has_failed: bool,
    known: Option<NextAttempt>,
    willingness: Willingness,
) -> Option<JointDecision> {
    // The processes have already ended.
    live.supervisor.ignore_peers();
    let is_again = |view: &View| view.restart != known;
    if !has_failed && !view.borrow().stage.is_over() {
        tracing::info!("this host has finished, and waits for the others");
    }
    if !has_failed {
        let failing = view.wait_for(|view| view.stage.is_over() || view.stage.is_stopping() || is_again(view));
        // The end of the channel is handled below.
        let _ = live.supervisor.wait_for(failing).await.ok()?;
    }
    let patience = match willingness {
        Willingness::Done => VERDICT_TIME,
        Willingness::Willing(others) => VERDICT_TIME + others,
    };
    let decided = view.wait_for(|view| view.stage.is_over() || view.stage.verdict().is_some() || is_again(view));
    let decided = live.supervisor.wait_for(timeout(patience, decided)).await.ok()?.is_ok();
    let view = view.borrow();
    match view.restart.filter(|_| decided && is_again(&view)) {
        Some(next) => Some(JointDecision::Again(next)),
        None => {
            view.stage.verdict().filter(|_| decided).cloned().map(|verdict| JointDecision::Verdict(Box::new(verdict)))
        }
    }
}
