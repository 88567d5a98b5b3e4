//! This host's link to the other hosts: joining them, waiting for them, telling them of failures, and agreeing on the end.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::judge::Ended;
use super::session::Session;
use super::{Outcome, Prepared};
use crate::cluster::{Cluster, Key, Link, Membership, Order, SETTLE_TIME, Speaker, Stage, View, agent};
use crate::event::{Cause, CauseEnding, Event, Kind, Phase, Process, StopReason, Subscriber, Verdict};
use crate::failure;
use crate::launch::Engine;
use crate::logs;
use crate::python::{Separators, Value};

/// The time that a host which has failed waits for the verdict. The leader decides after [`SETTLE_TIME`].
const VERDICT_TIME: Duration = SETTLE_TIME.saturating_add(Duration::from_secs(3));

/// The length up to which a fact that hosts compare is sent as it is, in bytes.
const LONGEST_FACT: usize = 64;

/// This host's link to its peers.
#[derive(Debug)]
pub(super) struct PeerLink {
    cluster: Cluster,
    host: String,
    launch: SpanOfLaunch,
    /// mpirun's remote agent, if this host starts mpirun for the others.
    agent: Option<PathBuf>,
}

/// The hosts that a launch spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpanOfLaunch {
    /// Every host runs by itself.
    EachHost,
    /// The launch spans hosts, and each starts when those that are there are ready.
    PresentHosts,
    /// The launch spans hosts, and none starts before all are ready.
    AllHosts,
}

impl PeerLink {
    /// Returns the name of this host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns mpirun's remote agent, if this host starts mpirun for the others.
    pub(super) fn agent(&self) -> Option<&PathBuf> {
        self.agent.as_ref()
    }

    /// Returns true if the job ends because of a host.
    pub(super) fn is_stopping(&self) -> bool {
        self.cluster.view().borrow().stage.is_stopping()
    }

    /// Returns the next command of mpirun's that this host is to run. `None` if there will be no more.
    pub(super) async fn order(&mut self) -> Option<Order> {
        self.cluster.order().await
    }

    /// Tells that a command of mpirun's has ended.
    pub(super) fn executed(&self, order: &Order, code: i32) {
        self.cluster.speaker().executed(order.id, code);
    }

    /// Tells of a failure on this host that is no rank's.
    pub(super) fn failed(&self, cause: &Cause) {
        self.cluster.speaker().failed(accounted(cause, &self.host), true);
    }

    fn spans_hosts(&self) -> bool {
        self.launch != SpanOfLaunch::EachHost
    }

    /// Returns what tells the other hosts of the events on this one.
    fn herald(&self) -> Herald {
        Herald {
            speaker: self.cluster.speaker().clone(),
            host: self.host.clone(),
            spans_hosts: self.spans_hosts(),
            told: None,
        }
    }
}

/// Returns a cause as other hosts are told it: with this host's name, and without secrets.
fn accounted(cause: &Cause, host: &str) -> Cause {
    let own = Cause { host: cause.host.clone().or_else(|| Some(host.to_owned())), followers: 0, ..cause.clone() };
    failure::redacted(&own, &logs::redactor())
}

/// Tells the other hosts of the events on this one.
struct Herald {
    speaker: Speaker,
    host: String,
    spans_hosts: bool,
    /// The process of which a failure was told, and true if it may be the cause.
    told: Option<(Option<Process>, bool)>,
}

impl Subscriber for Herald {
    fn receive(&mut self, event: &Event) {
        match &event.kind {
            Kind::CauseJudged { process, cause, is_final } => self.failed(process.as_ref(), cause, *is_final),
            // Ranks of other hosts would wait for those of this one for ever.
            Kind::Stopping(StopReason::Signal(signal)) if self.spans_hosts => {
                let headline = format!("the job was told to stop by {signal}");
                let cause = Cause::new(headline, CauseEnding::NoProcess(0));
                self.speaker.failed(accounted(&cause, &self.host), true);
            }
            Kind::RankKilled => self.speaker.rank_killed(),
            Kind::RanksEnded(failed) => self.speaker.ended(*failed),
            _ => {}
        }
    }
}

impl Herald {
    /// Tells of a failed process, possibly before all of its output was read: the others need not wait for the rest. A cause
    /// that reads like a consequence gives way to one that does not.
    fn failed(&mut self, process: Option<&Process>, cause: &Cause, is_final: bool) {
        let may_be_cause = is_final && !cause.is_consequence();
        let is_news = match &self.told {
            None => true,
            Some((told, could_be)) => told.as_ref() == process || (may_be_cause && !could_be),
        };
        if is_news {
            self.told = Some((process.cloned(), may_be_cause));
            self.speaker.failed(accounted(cause, &self.host), is_final);
        }
    }
}

/// Joins the other hosts of the job, if there are any, for what this engine starts. Nothing waits for it.
pub(super) fn join(session: &mut Session, prepared: &Prepared, engine: &Engine) {
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
    let name = session.variables.get("TRAINING_JOB_ARN").or(session.variables.get("TRAINING_JOB_NAME"));
    let hyperparameters = Value::Dict(job.all_hyperparameters.clone()).dumps(Separators::Default);
    let key = match &settings.cluster_key {
        Some(secret) => Key::new(&[secret.0.as_bytes()]),
        None => Key::new(&[
            name.unwrap_or_default().as_bytes(),
            cluster.sorted_hosts().join(",").as_bytes(),
            hyperparameters.as_bytes(),
            Value::Dict(job.channels.clone()).dumps(Separators::Default).as_bytes(),
        ]),
    };
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
    let agent = starts_mpirun.then(|| install_agent(session)).flatten();
    let host = cluster.current_host.clone();
    let membership = Membership {
        host: host.clone(),
        leader: job.master(),
        hosts: cluster.hosts.clone(),
        nodes: if spans_hosts { nodes } else { Vec::new() },
        needs_all: launch == SpanOfLaunch::AllHosts,
        addresses: settings.host_addresses.clone(),
        port,
        key,
        patience: settings.cluster_timeout,
        profile: profile.collect(),
        agent: agent.clone(),
    };
    match Cluster::begin(membership, session.events.clone()) {
        Ok(cluster) => {
            if starts_ranks_elsewhere {
                session.supervisor.await_peers();
            }
            let link = PeerLink { cluster, host, launch, agent };
            session.events.subscribe(link.herald());
            session.peers = Some(link);
        }
        Err(error) => tracing::warn!("there is no channel to the other hosts: {error}"),
    }
}

/// Makes footplate mpirun's remote agent, and returns its path.
fn install_agent(session: &mut Session) -> Option<PathBuf> {
    let installed = session.temporary.path().and_then(agent::install);
    installed.map_err(|error| tracing::warn!("mpirun cannot reach the other hosts by footplate: {error}")).ok()
}

/// Waits for the hosts of a launch that spans hosts: for those that are there and still prepare, and for absent ones if the
/// launcher needs them.
pub(super) async fn meet(session: &mut Session) -> Result<(), Outcome> {
    let Some(link) = session.peers.as_ref().filter(|link| link.spans_hosts()) else { return Ok(()) };
    session.events.emit(Kind::PhaseStarted(Phase::Hosts));
    link.cluster.speaker().ready();
    let needs_all = link.launch == SpanOfLaunch::AllHosts;
    let mut view = link.cluster.view();
    if needs_all || view.borrow().link == Link::Connected {
        tracing::info!("this host is ready, and waits for the others");
    }
    let may_start = view.wait_for(|view| match view.stage {
        Stage::Started | Stage::Over(None) => true,
        Stage::Gathering => !needs_all && view.link == Link::Apart,
        Stage::Stopping | Stage::Decided(_) | Stage::Over(Some(_)) => false,
    });
    session.supervisor.wait_for(may_start).await?.map_err(|_| Outcome::PeerFailed)?;
    session.events.emit(Kind::PhaseEnded(Phase::Hosts));
    Ok(())
}

/// Tells the others how this host ended, hears how they did, and returns the outcome of the job.
pub(super) async fn agree(session: &mut Session, ended: Ended) -> Outcome {
    let Ended { outcome, failed_ranks, was_stopped, only_followed } = ended;
    let Some(link) = session.peers.take() else { return outcome };
    let speaker = link.cluster.speaker().clone();
    let mut view = link.cluster.view();
    let was_stopped = was_stopped || matches!(outcome, Outcome::Stopped(_));
    let is_own = !matches!(outcome, Outcome::Succeeded | Outcome::PeerFailed) && !only_followed;
    if ((is_own && !was_stopped) || (was_stopped && link.spans_hosts()))
        && let Some(cause) = outcome.cause()
    {
        speaker.failed(accounted(&cause, &link.host), true);
    }
    let has_failed = is_own || view.borrow().stage.is_stopping() || outcome.exit_code() != 0;
    if has_failed && (link.spans_hosts() || !was_stopped) {
        speaker.ended(failed_ranks);
    } else {
        speaker.finished();
    }
    // A host that was told to stop waits for nobody, and neither does one that has met nobody.
    let has_met = |view: &View| view.link == Link::Connected || view.stage.is_stopping();
    let is_waiting = !was_stopped && (link.launch == SpanOfLaunch::AllHosts || has_met(&view.borrow()));
    let verdict = if is_waiting { verdict(session, &mut view, has_failed).await } else { None };
    link.cluster.leave();
    match verdict {
        Some(verdict) if verdict.exit_code != 0 => Outcome::Failed(Box::new(verdict.cause)),
        _ => outcome,
    }
}

/// Waits for the verdict: briefly after a failure, until every host has ended after a success. A stop signal ends the wait.
async fn verdict(session: &mut Session, view: &mut watch::Receiver<View>, has_failed: bool) -> Option<Verdict> {
    // The processes have ended already.
    session.supervisor.ignore_peers();
    if !has_failed && !view.borrow().stage.is_over() {
        tracing::info!("this host has finished, and waits for the others");
    }
    if !has_failed {
        let failing = view.wait_for(|view| view.stage.is_over() || view.stage.is_stopping());
        // The end of the channel is seen below.
        let _ = session.supervisor.wait_for(failing).await.ok()?;
    }
    let decided = view.wait_for(|view| view.stage.is_over() || view.stage.verdict().is_some());
    let decided = session.supervisor.wait_for(timeout(VERDICT_TIME, decided)).await.ok()?.is_ok();
    decided.then(|| view.borrow().stage.verdict().cloned()).flatten()
}
