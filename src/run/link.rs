//! The connection of this host to the other hosts, and the herald that reports events to them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster::{Channel, Order, PeerSender};
use crate::event::{Cause, CauseEnding, Event, EventKind, Process, StopReason, Subscriber};
use crate::failure;
use crate::logs;

/// This host's connection to its peers.
#[derive(Debug)]
pub(super) struct PeerLink {
    pub(super) cluster: Channel,
    pub(super) host: String,
    /// True if this host is the leader.
    pub(super) is_leader: bool,
    pub(super) launch: SpanOfLaunch,
    /// mpirun's remote agent, if this host starts mpirun for the others.
    pub(super) agent: Option<PathBuf>,
    /// The other hosts that are connected to this one.
    pub(super) connected: ConnectedHosts,
    /// The failures that were reported to the other hosts.
    pub(super) announced: Arc<Mutex<Announced>>,
}

/// The state of the failure report to the other hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Announced {
    /// No failure was reported.
    #[default]
    Nothing,
    /// A failure of one process was reported. A later report can replace it.
    Failure {
        /// The process. `None` for a failure that does not belong to a process.
        process: Option<Process>,
        /// True if the failure may be the cause. False if it reads like a consequence, so that the cause of another
        /// process can replace it.
        may_be_cause: bool,
    },
    /// The final report of this host was sent. Later judgements are not reported.
    LastAccount,
}

/// The hosts that a launch spans, and the hosts that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanOfLaunch {
    /// Every host runs by itself.
    EachHost,
    /// The launch spans several hosts, and waits only for those that are connected.
    PresentHosts,
    /// The launch spans several hosts, and waits until all of them are ready.
    AllHosts,
}

impl PeerLink {
    /// Returns true if the job is ending because of some host.
    pub(super) fn is_stopping(&self) -> bool {
        self.cluster.view().borrow().stage.is_stopping()
    }

    /// Returns the next command of mpirun that this host must run. `None` if there will be no more.
    pub(super) async fn order(&mut self) -> Option<Order> {
        self.cluster.order().await
    }

    /// Reports that a command of mpirun has ended.
    pub(super) fn executed(&self, order: &Order, code: i32) {
        self.cluster.sender().executed(order.id, code);
    }

    /// Sends the final report of this host. Later judgements are not reported.
    pub(super) fn failed(&self, cause: &Cause) {
        *lock(&self.announced) = Announced::LastAccount;
        self.cluster.sender().failed(accounted(cause, &self.host), true);
    }

    pub(super) fn spans_hosts(&self) -> bool {
        self.launch != SpanOfLaunch::EachHost
    }

    /// Returns the subscriber that reports the events of this host to the others.
    pub(super) fn herald(&self) -> impl Subscriber + use<> {
        EventForwarder {
            attempt: 0,
            peer_sender: self.cluster.sender().clone(),
            host: self.host.clone(),
            spans_hosts: self.spans_hosts(),
            announced: Arc::clone(&self.announced),
        }
    }
}

/// The other hosts that are connected to this one, kept up to date by events.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectedHosts(Arc<Mutex<BTreeSet<String>>>);

impl ConnectedHosts {
    /// Returns the hosts that are connected at present.
    pub(super) fn now(&self) -> BTreeSet<String> {
        lock(&self.0).clone()
    }
}

impl Subscriber for ConnectedHosts {
    fn receive(&mut self, event: &Event) {
        match &event.kind {
            EventKind::HostJoined(host) => {
                lock(&self.0).insert(host.clone());
            }
            EventKind::HostLost { host, .. } => {
                lock(&self.0).remove(host);
            }
            _ => {}
        }
    }
}

/// Returns a cause in the form in which it is sent to other hosts: with this host's name, and without secrets.
pub(super) fn accounted(cause: &Cause, host: &str) -> Cause {
    let own =
        Cause { host: cause.host.clone().or_else(|| Some(host.to_owned())), followers: 0, ended: 0, ..cause.clone() };
    failure::redacted(&own, &logs::redactor())
}

/// Reports the events of this host to the others.
struct EventForwarder {
    /// The present attempt at running the ranks.
    attempt: u32,
    peer_sender: PeerSender,
    host: String,
    spans_hosts: bool,
    announced: Arc<Mutex<Announced>>,
}

impl Subscriber for EventForwarder {
    fn receive(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Restarting { attempt, .. } => {
                self.attempt = *attempt;
                *lock(&self.announced) = Announced::Nothing;
            }
            // A late judgement about an earlier attempt.
            EventKind::CauseJudged { .. } | EventKind::FailuresJudged(_) if event.attempt < self.attempt => {}
            EventKind::CauseJudged { process, cause, is_final } => self.failed(process.as_ref(), cause, *is_final),
            // Ranks of other hosts would wait for those of this host for ever.
            EventKind::Stopping(StopReason::Signal(signal)) if self.spans_hosts => {
                let headline = format!("the job was told to stop by {signal}");
                let cause = Cause::new(headline, CauseEnding::NoProcess(0));
                self.peer_sender.failed(accounted(&cause, &self.host), true);
            }
            EventKind::RankKilled => self.peer_sender.rank_killed(),
            EventKind::StepCompleted(step) => self.peer_sender.completed(*step),
            EventKind::FailuresJudged(ranks) => self.peer_sender.ended(ranks.clone()),
            _ => {}
        }
    }
}

impl EventForwarder {
    /// Reports a failed process, possibly before all of its output was read, because the other hosts need not wait
    /// for the rest. A cause that reads like a consequence is replaced by one that does not.
    fn failed(&mut self, process: Option<&Process>, cause: &Cause, is_final: bool) {
        let may_be_cause = is_final && !cause.is_consequence();
        let mut announced = lock(&self.announced);
        let is_news = match &*announced {
            Announced::Nothing => true,
            Announced::Failure { process: told, may_be_cause: could_be } => {
                told.as_ref() == process || (may_be_cause && !could_be)
            }
            Announced::LastAccount => false,
        };
        if is_news {
            *announced = Announced::Failure { process: process.cloned(), may_be_cause };
            self.peer_sender.failed(accounted(cause, &self.host), is_final);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Announced, EventForwarder, lock};
    use crate::cluster::PeerSender;
    use crate::cluster::message::Message;
    use crate::event::{Cause, CauseEnding, Ending, EventKind, Events, Process};

    fn judged(rank: usize, headline: &str, is_final: bool) -> EventKind {
        let cause = Arc::new(Cause::new(headline, CauseEnding::Process(Ending::Exited(1))));
        EventKind::CauseJudged { process: Some(Process::Rank(rank)), cause, is_final }
    }

    #[test]
    fn the_other_hosts_are_told_of_the_failure_that_may_be_the_cause() {
        let (peer_sender, mut collect) = PeerSender::collecting();
        let announced = Arc::default();
        let events = Events::new("algo-1");
        let host = "algo-1".to_owned();
        events.subscribe(EventForwarder {
            attempt: 0,
            peer_sender,
            host,
            spans_hosts: true,
            announced: Arc::clone(&announced),
        });
        let mut told = |event: EventKind| -> Vec<(String, bool)> {
            events.emit(event);
            let failed = collect().into_iter().filter_map(|message| match message {
                Message::Failed { cause, is_final } => Some((cause.headline.clone(), is_final)),
                _ => None,
            });
            failed.collect()
        };
        let expect = |headline: &str, is_final: bool| vec![(headline.to_owned(), is_final)];
        // The failure is reported at once, and again with its output. Another rank that only lost its connection is
        // not reported.
        assert_eq!(told(judged(0, "exit code 1", false)), expect("exit code 1", false));
        assert_eq!(told(judged(0, "Connection reset by peer", true)), expect("Connection reset by peer", true));
        assert_eq!(told(judged(1, "Broken pipe", true)), []);
        // A failure that explains the first one replaces it. Later ones do not.
        assert_eq!(told(judged(1, "ValueError: bad", true)), expect("ValueError: bad", true));
        assert_eq!(told(judged(2, "ValueError: worse", true)), []);
        // Judgements after the final report of this host change nothing.
        *lock(&announced) = Announced::LastAccount;
        assert_eq!(told(judged(1, "exit code 1", false)), []);
        assert_eq!(told(EventKind::RankKilled), []);
    }
}
