//! This host's part in the channel between hosts: joining it, waiting for the others, and agreeing on the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

use super::session::{End, Session};
use super::{Outcome, Prepared};
use crate::cluster::{Cluster, Failure, Key, Membership, Order, SETTLE_TIME, View, agent};
use crate::event::{Cause, Ending};
use crate::failure;
use crate::job::settings::Launcher;
use crate::launch;
use crate::python::{Separators, Value};
use crate::redact::Redactor;
use crate::supervise::{AllRanks, Elsewhere};

/// How long a host that has failed waits for the verdict: the leader gives it after [`SETTLE_TIME`].
const VERDICT_TIME: Duration = SETTLE_TIME.saturating_add(Duration::from_secs(3));

/// This host among the others.
#[derive(Debug)]
pub(super) struct Hosts {
    cluster: Cluster,
    host: String,
    /// Whether the launch spans hosts.
    spans: bool,
    /// Whether none of them starts before all are there.
    needs_all: bool,
    /// The process of which a failure was told, by its place, and whether it may be the cause.
    told: Option<(usize, bool)>,
}

impl Hosts {
    /// A rank has failed, with all that it wrote or without: the others need not wait for the end of the rest. What reads
    /// like a consequence gives way to what does not.
    pub(super) fn failing(&mut self, place: usize, is_whole: bool, ending: Ending, cause: &Cause, redactor: &Redactor) {
        let may_be_cause = is_whole && !cause.is_consequence();
        let is_news = match self.told {
            None => true,
            Some((told, could_be)) => told == place || (may_be_cause && !could_be),
        };
        if is_news {
            self.told = Some((place, may_be_cause));
            let mut account = self.account(ending.exit_code(), cause, !may_be_cause, redactor);
            if !is_whole {
                account.text = format!("{ending}\n{}", account.status);
            }
            self.cluster.failed(account);
        }
    }

    /// At an orderly stop, a rank of mpirun was killed by it here.
    pub(super) fn rank_killed(&self) {
        self.cluster.rank_killed();
    }

    /// Nothing of this host is left that is to end but launchers, which the ranks of others may need.
    pub(super) fn drained(&mut self, failed_ranks: usize) {
        self.cluster.ended(failed_ranks);
    }

    /// This host was told to stop: ranks of other hosts would wait for its ranks for ever.
    pub(super) fn stopping(&mut self, signal: Signal) {
        if self.spans {
            let status = format!("host {}", self.host);
            let text = format!("the job was told to stop by {signal}\n{status}");
            self.cluster.failed(Failure { host: self.host.clone(), exit_code: 0, text, status, is_consequence: false });
        }
    }

    /// This host.
    pub(super) fn name(&self) -> &str {
        &self.host
    }

    /// Whether the job ends because of a host.
    pub(super) fn is_stopping(&self) -> bool {
        self.cluster.view().borrow().stopping.is_some()
    }

    /// Tells the others of a failure that is no rank's.
    pub(super) fn tell_failed(&mut self, failure: Failure) {
        self.cluster.failed(failure);
    }

    /// The next command of mpirun's that this host is to run; none if there will be no more.
    pub(super) async fn order(&mut self) -> Option<Order> {
        self.cluster.order().await
    }

    /// A command of mpirun's has ended.
    pub(super) fn executed(&self, order: &Order, code: i32) {
        self.cluster.executed(order.id, code);
    }

    fn account(&self, exit_code: i32, cause: &Cause, is_consequence: bool, redactor: &Redactor) -> Failure {
        let cause = Cause { followers: 0, ..cause.clone() };
        Failure {
            host: self.host.clone(),
            exit_code,
            text: failure::text(&cause, redactor),
            status: failure::status(&cause),
            is_consequence,
        }
    }
}

/// Joins the other hosts of the job, if there are any, for what this launcher starts. Nothing waits for it.
pub(super) fn join(session: &mut Session, prepared: &Prepared, launcher: Launcher) {
    let Prepared { job, settings, .. } = prepared;
    let cluster = &job.cluster;
    let Some(port) = settings.cluster_port.filter(|_| cluster.hosts.len() > 1) else { return };
    let nodes = job.nodes();
    let spans = launcher != Launcher::Process && nodes.len() > 1;
    let needs_all = spans && launch::needs_all_hosts(launcher);
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
    let profile = BTreeMap::from([
        ("version of footplate".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("launcher".to_owned(), launcher.to_string()),
        ("entry point".to_owned(), job.entry_name().unwrap_or_default().to_owned()),
        ("hosts".to_owned(), digest(&nodes.join(","))),
        ("hyperparameters".to_owned(), digest(&hyperparameters)),
    ]);
    let starts_mpirun = launch::is_mpirun(launcher) && spans && nodes.first() == Some(&cluster.current_host);
    let agent = starts_mpirun.then(|| install_agent(session)).flatten();
    let membership = Membership {
        host: cluster.current_host.clone(),
        leader: job.master(),
        hosts: cluster.hosts.clone(),
        nodes: if spans { nodes } else { Vec::new() },
        needs_all,
        addresses: settings.host_addresses.clone(),
        port,
        key,
        patience: settings.cluster_timeout,
        profile,
        agent,
    };
    session.agent = membership.agent.clone();
    match Cluster::begin(membership) {
        Ok(joined) => {
            session.supervisor.heed(stop_of(joined.view()));
            if launch::is_mpirun(launcher) && spans {
                session.supervisor.heed_ranks(ranks_of(joined.view()));
            }
            let host = cluster.current_host.clone();
            session.hosts = Some(Hosts { cluster: joined, host, spans, needs_all, told: None });
        }
        Err(error) => tracing::warn!("there is no channel to the other hosts: {error}"),
    }
}

/// Makes footplate mpirun's remote agent; gives its path.
fn install_agent(session: &mut Session) -> Option<PathBuf> {
    let installed = session.temporary.path().and_then(agent::install);
    installed.map_err(|error| tracing::warn!("mpirun cannot reach the other hosts by footplate: {error}")).ok()
}

/// Says when the ranks are to end because of another host.
fn stop_of(mut view: watch::Receiver<View>) -> watch::Receiver<Option<Elsewhere>> {
    let (sender, stop) = watch::channel(None);
    tokio::spawn(async move {
        if view.wait_for(|view| view.stopping.is_some()).await.is_err() {
            // The channel is over: nothing will come of it.
            return std::future::pending().await;
        }
        let why = view.borrow().stopping.clone().unwrap_or_default();
        let elsewhere = match view.borrow().is_orderly {
            true => Elsewhere::Stopped,
            false => Elsewhere::Failed,
        };
        match elsewhere {
            Elsewhere::Stopped => tracing::info!("the job is to stop, {why}"),
            Elsewhere::Failed => tracing::warn!("the job has failed, {why}"),
        }
        // The session may be over.
        let _ = sender.send(Some(elsewhere));
    });
    stop
}

/// Says how far the ranks of all hosts are.
fn ranks_of(mut view: watch::Receiver<View>) -> watch::Receiver<AllRanks> {
    let (sender, ranks) = watch::channel(AllRanks::Run);
    tokio::spawn(async move {
        // The channel may end otherwise; the session may be over.
        if view.wait_for(|view| view.rank_killed || view.is_over).await.is_ok_and(|view| !view.is_over) {
            let _ = sender.send(AllRanks::Killed);
            let _ = view.wait_for(|view| view.is_over).await;
        }
        let _ = sender.send(AllRanks::Ended);
    });
    ranks
}

/// Waits for the hosts of the launch, if it spans hosts: for those that are there and still prepare, and for those that are
/// not there yet if the launcher needs them.
pub(super) async fn meet(session: &mut Session) -> Result<(), Outcome> {
    let Some(hosts) = session.hosts.as_ref().filter(|hosts| hosts.spans) else { return Ok(()) };
    hosts.cluster.ready();
    let needs_all = hosts.needs_all;
    let mut view = hosts.cluster.view();
    if needs_all || view.borrow().is_connected {
        tracing::info!("this host is ready, and waits for the others");
    }
    let may_start = view.wait_for(|view| view.has_started || !needs_all && !view.is_connected);
    session.supervisor.wait_for(may_start).await?.map_err(|_| Outcome::Elsewhere)?;
    session.end_phase("hosts");
    Ok(())
}

/// Tells the others how this host ended, hears how they did, and gives the outcome of the job.
pub(super) async fn agree(session: &mut Session, outcome: Outcome) -> Outcome {
    let Some(hosts) = session.hosts.take() else { return outcome };
    let mut view = hosts.cluster.view();
    let End { failed_ranks, was_stopped, only_followed } = session.end;
    let was_stopped = was_stopped || matches!(outcome, Outcome::Stopped(_));
    let is_own = !matches!(outcome, Outcome::Succeeded | Outcome::Elsewhere) && !only_followed;
    if (is_own && !was_stopped) || (was_stopped && hosts.spans) {
        hosts.cluster.failed(own_account(&hosts, &outcome, &session.redactor));
    }
    let has_failed = is_own || view.borrow().stopping.is_some() || outcome.exit_code() != 0;
    match has_failed && (hosts.spans || !was_stopped) {
        true => hosts.cluster.ended(failed_ranks),
        false => hosts.cluster.finished(),
    }
    // Who was told to stop waits for nobody; nor does who has met nobody.
    let has_met = |view: &View| view.is_connected || view.stopping.is_some();
    let is_waiting = !was_stopped && (hosts.needs_all || has_met(&view.borrow()));
    let verdict = if is_waiting { verdict(session, &mut view, has_failed).await } else { None };
    hosts.cluster.leave();
    match verdict {
        Some(verdict) if verdict.exit_code != 0 => Outcome::Agreed(verdict),
        _ => outcome,
    }
}

/// Waits for what all hosts agree on: of a failure for a short time, of a success until every host has ended, unless a
/// signal comes.
async fn verdict(
    session: &mut Session,
    view: &mut watch::Receiver<View>,
    has_failed: bool,
) -> Option<crate::cluster::Verdict> {
    // What runs has ended already.
    session.supervisor.heed_nothing();
    if !has_failed && !view.borrow().is_over {
        tracing::info!("this host has finished, and waits for the others");
    }
    if !has_failed {
        let failing = view.wait_for(|view| view.is_over || view.stopping.is_some());
        let _ = session.supervisor.wait_for(failing).await.ok()?;
    }
    let decided = timeout(VERDICT_TIME, view.wait_for(|view| view.is_over || view.verdict.is_some()));
    let decided = session.supervisor.wait_for(decided).await.ok()?.is_ok();
    decided.then(|| view.borrow().verdict.clone()).flatten()
}

/// This host's account of its own failure.
fn own_account(hosts: &Hosts, outcome: &Outcome, redactor: &Redactor) -> Failure {
    match outcome {
        Outcome::Failed { ending, cause } => hosts.account(ending.exit_code(), cause, cause.is_consequence(), redactor),
        other => {
            let status = format!("host {}", hosts.host);
            let text = other.failure_text(redactor).unwrap_or_else(|| "stopped by a signal".to_owned());
            Failure {
                host: hosts.host.clone(),
                exit_code: other.exit_code(),
                text: format!("{text}\n{status}"),
                status,
                is_consequence: false,
            }
        }
    }
}
