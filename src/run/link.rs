//! The link of this host to the other hosts, and the herald that tells them of events.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster::{Channel, Order, Speaker};
use crate::event::{Cause, CauseEnding, Event, EventKind, Process, StopReason, Subscriber};
use crate::failure;
use crate::logs;

/// This host's link to its peers.
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
    /// The failures that the others were told.
    pub(super) announced: Arc<Mutex<Announced>>,
}

/// The failures that the other hosts were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Announced {
    /// None.
    #[default]
    Nothing,
    /// One of this process. It may be the cause, or gives way to another.
    Failure {
        /// The process. `None` for a failure that is no process's.
        process: Option<Process>,
        /// True if the failure may be the cause.
        may_be_cause: bool,
    },
    /// The last account of this host. Judgements that come later change nothing.
    LastAccount,
}

/// The hosts that a launch spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanOfLaunch {
    /// Every host runs by itself.
    EachHost,
    /// The launch spans hosts, and each starts when those that are there are ready.
    PresentHosts,
    /// The launch spans hosts, and none starts before all are ready.
    AllHosts,
}

impl PeerLink {
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

    /// Tells the last account of this host. Judgements that come later are not told.
    pub(super) fn failed(&self, cause: &Cause) {
        *lock(&self.announced) = Announced::LastAccount;
        self.cluster.speaker().failed(accounted(cause, &self.host), true);
    }

    pub(super) fn spans_hosts(&self) -> bool {
        self.launch != SpanOfLaunch::EachHost
    }

    /// Returns what tells the other hosts of the events on this one.
    pub(super) fn herald(&self) -> impl Subscriber + use<> {
        Herald {
            attempt: 0,
            speaker: self.cluster.speaker().clone(),
            host: self.host.clone(),
            spans_hosts: self.spans_hosts(),
            announced: Arc::clone(&self.announced),
        }
    }
}

/// The other hosts that are connected to this one, by events.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectedHosts(Arc<Mutex<BTreeSet<String>>>);

impl ConnectedHosts {
    /// Returns the hosts at present.
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

/// Returns a cause as other hosts are told it: with this host's name, and without secrets.
pub(super) fn accounted(cause: &Cause, host: &str) -> Cause {
    let own =
        Cause { host: cause.host.clone().or_else(|| Some(host.to_owned())), followers: 0, ended: 0, ..cause.clone() };
    failure::redacted(&own, &logs::redactor())
}

/// Tells the other hosts of the events on this one.
struct Herald {
    /// The present attempt at running the ranks.
    attempt: u32,
    speaker: Speaker,
    host: String,
    spans_hosts: bool,
    announced: Arc<Mutex<Announced>>,
}

impl Subscriber for Herald {
    fn receive(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Restarting { attempt, .. } => {
                self.attempt = *attempt;
                *lock(&self.announced) = Announced::Nothing;
            }
            // A judgement about an earlier attempt that comes late.
            EventKind::CauseJudged { .. } | EventKind::FailuresJudged(_) if event.attempt < self.attempt => {}
            EventKind::CauseJudged { process, cause, is_final } => self.failed(process.as_ref(), cause, *is_final),
            // Ranks of other hosts would wait for those of this one for ever.
            EventKind::Stopping(StopReason::Signal(signal)) if self.spans_hosts => {
                let headline = format!("the job was told to stop by {signal}");
                let cause = Cause::new(headline, CauseEnding::NoProcess(0));
                self.speaker.failed(accounted(&cause, &self.host), true);
            }
            EventKind::RankKilled => self.speaker.rank_killed(),
            EventKind::StepCompleted(step) => self.speaker.completed(*step),
            EventKind::FailuresJudged(ranks) => self.speaker.ended(ranks.clone()),
            _ => {}
        }
    }
}

impl Herald {
    /// Tells of a failed process, possibly before all of its output was read: the others need not wait for the rest. A cause
    /// that reads like a consequence gives way to one that does not.
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
            self.speaker.failed(accounted(cause, &self.host), is_final);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Announced, Herald, lock};
    use crate::cluster::Speaker;
    use crate::cluster::message::Message;
    use crate::event::{Cause, CauseEnding, Ending, EventKind, Events, Process};

    fn judged(rank: usize, headline: &str, is_final: bool) -> EventKind {
        let cause = Arc::new(Cause::new(headline, CauseEnding::Process(Ending::Exited(1))));
        EventKind::CauseJudged { process: Some(Process::Rank(rank)), cause, is_final }
    }

    #[test]
    fn the_other_hosts_are_told_of_the_failure_that_may_be_the_cause() {
        let (speaker, mut collect) = Speaker::collecting();
        let announced = Arc::default();
        let events = Events::new("algo-1");
        let host = "algo-1".to_owned();
        events.subscribe(Herald { attempt: 0, speaker, host, spans_hosts: true, announced: Arc::clone(&announced) });
        let mut told = |event: EventKind| -> Vec<(String, bool)> {
            events.emit(event);
            let failed = collect().into_iter().filter_map(|message| match message {
                Message::Failed { cause, is_final } => Some((cause.headline.clone(), is_final)),
                _ => None,
            });
            failed.collect()
        };
        let expect = |headline: &str, is_final: bool| vec![(headline.to_owned(), is_final)];
        // At once, and again with its output. Another rank that only lost its connection is no news.
        assert_eq!(told(judged(0, "exit code 1", false)), expect("exit code 1", false));
        assert_eq!(told(judged(0, "Connection reset by peer", true)), expect("Connection reset by peer", true));
        assert_eq!(told(judged(1, "Broken pipe", true)), []);
        // A failure that explains the first one replaces it. No later one does.
        assert_eq!(told(judged(1, "ValueError: bad", true)), expect("ValueError: bad", true));
        assert_eq!(told(judged(2, "ValueError: worse", true)), []);
        // Judgements that come after the last account of this host change nothing.
        *lock(&announced) = Announced::LastAccount;
        assert_eq!(told(judged(1, "exit code 1", false)), []);
        assert_eq!(told(EventKind::RankKilled), []);
    }
}
