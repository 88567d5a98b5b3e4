//! Who is in the job and how far each host is: what the leader knows, and what follows from it.
//!
//! Pure: events in, messages out, time handed in. The job ends in one of two ways. Every host finishes: then it is over.
//! Or something fails: then all are told to stop, and after a short time in which other hosts give their accounts, the
//! verdict says which failure was the cause.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::message::{Failure, Message, Verdict};
use super::{Membership, SETTLE_TIME};
use crate::failure::MAX_TEXT;
use crate::job::exit_code;

/// How far a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has not come yet.
    Absent,
    /// It is there.
    Present,
    /// It could start its ranks.
    Ready,
    /// Its ranks have ended well.
    Finished,
    /// Its ranks have ended, after a failure.
    Ended,
    /// It is gone, and had not ended.
    Lost,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Every host that is there is told, the leader's own too.
    All(Message),
    /// One host is told.
    To(String, Message),
    /// The log is told.
    Note(String),
}

/// What the leader knows.
#[derive(Debug)]
pub struct Table {
    leader: String,
    hosts: BTreeMap<String, Standing>,
    nodes: Vec<String>,
    /// Those of the launch that have not come.
    absent: BTreeSet<String>,
    /// Those of the launch that could not start yet.
    unready: BTreeSet<String>,
    needs_all: bool,
    profile: BTreeMap<String, String>,
    patience: Duration,
    /// Until when hosts of the launch may come.
    come_until: Instant,
    failures: Vec<Failure>,
    failed_ranks: BTreeMap<String, usize>,
    settle_until: Option<Instant>,
    has_started: bool,
    is_decided: bool,
    /// Whether that every host has ended was said.
    is_over: bool,
    verdict: Option<Verdict>,
}

impl Table {
    /// With the leader's host as the only one that is there.
    pub fn new(membership: &Membership, now: Instant) -> Table {
        let Membership { leader, hosts, nodes, needs_all, profile, patience, .. } = membership;
        let mut standing: BTreeMap<String, Standing> =
            hosts.iter().map(|host| (host.clone(), Standing::Absent)).collect();
        standing.insert(leader.clone(), Standing::Present);
        Table {
            leader: leader.clone(),
            hosts: standing,
            nodes: nodes.clone(),
            absent: nodes.iter().filter(|node| *node != leader).cloned().collect(),
            unready: nodes.iter().cloned().collect(),
            needs_all: *needs_all,
            profile: profile.clone(),
            patience: *patience,
            come_until: now + *patience,
            failures: Vec::new(),
            failed_ranks: BTreeMap::new(),
            settle_until: None,
            has_started: false,
            is_decided: false,
            is_over: false,
            verdict: None,
        }
    }

    /// Whether a host belongs to the job and is not there already; else why it is refused.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn may_join(&self, host: &str) -> Result<(), String> {
        match self.hosts.get(host) {
            None => Err(format!("{host:?} is no host of this job")),
            Some(Standing::Absent) => Ok(()),
            Some(Standing::Lost | Standing::Finished | Standing::Ended) => Err(format!("{host} was there before")),
            Some(Standing::Present | Standing::Ready) => Err(format!("{host} is there already")),
        }
    }

    /// A host has come.
    pub fn joined(&mut self, host: &str) -> Vec<Action> {
        self.hosts.insert(host.to_owned(), Standing::Present);
        self.absent.remove(host);
        if let Some(verdict) = &self.verdict {
            let over = self.is_over.then(|| Action::To(host.to_owned(), Message::Over));
            let verdict = Action::To(host.to_owned(), Message::Verdict(verdict.clone()));
            return [verdict].into_iter().chain(over).collect();
        }
        match self.failures.first() {
            Some(failure) => vec![Action::To(host.to_owned(), stop_of(failure))],
            None => Vec::new(),
        }
    }

    /// A host has said something.
    pub fn heard(&mut self, host: &str, message: Message, now: Instant) -> Vec<Action> {
        match message {
            Message::Hello(profile) => self.compared(host, &profile, now),
            Message::Ready => {
                self.stands(host, Standing::Ready);
                self.unready.remove(host);
                match (self.failures.is_empty(), self.has_started) {
                    (true, true) => vec![Action::To(host.to_owned(), Message::Start)],
                    (true, false) if self.may_start() => {
                        self.has_started = true;
                        vec![Action::All(Message::Start)]
                    }
                    _ => Vec::new(),
                }
            }
            Message::Failed(failure) => self.failed(failure, now),
            Message::RankKilled => vec![Action::All(Message::RankKilled)],
            Message::Ended { failed_ranks } => {
                self.failed_ranks.insert(host.to_owned(), failed_ranks);
                self.stands(host, Standing::Ended);
                self.settled()
            }
            Message::Finished => {
                self.stands(host, Standing::Finished);
                let mut actions = self.settled();
                if host == self.leader && actions.is_empty() && !self.nodes.is_empty() {
                    actions.push(Action::All(Message::Dismissed));
                }
                actions
            }
            // What only the leader says is nothing that a host can say; commands are the leader's loop's.
            Message::Alive
            | Message::Start
            | Message::Execute { .. }
            | Message::Executed { .. }
            | Message::Dismissed
            | Message::Stop { .. }
            | Message::Verdict(_)
            | Message::Over => Vec::new(),
        }
    }

    /// The connection to a host has ended.
    pub fn lost(&mut self, host: &str, why: &str, now: Instant) -> Vec<Action> {
        match self.hosts.get(host) {
            None | Some(Standing::Absent | Standing::Finished | Standing::Ended | Standing::Lost) => Vec::new(),
            Some(Standing::Present | Standing::Ready) => {
                self.stands(host, Standing::Lost);
                if self.is_decided {
                    return self.settled();
                }
                let mut actions = vec![Action::Note(format!("host {host} is lost: {why}"))];
                actions.extend(self.failed(lost(host, why), now));
                actions
            }
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.is_decided, self.settle_until) {
            (true, _) => None,
            (false, Some(settle)) => Some(settle),
            (false, None) => self.is_waiting_for_hosts().then_some(self.come_until),
        }
    }

    /// What is due.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        if self.is_decided {
            return Vec::new();
        }
        if self.settle_until.is_some_and(|until| until <= now) {
            return self.decide();
        }
        if self.settle_until.is_none() && self.is_waiting_for_hosts() && self.come_until <= now {
            let absent: Vec<&str> = self.absent_nodes().collect();
            let failure = never_came(&absent, self.patience);
            return self.failed(failure, now);
        }
        Vec::new()
    }

    /// The leader leaves: what is known by then is said.
    pub fn close(&mut self) -> Vec<Action> {
        let mut actions = match self.is_decided {
            true => Vec::new(),
            false => self.decide(),
        };
        actions.extend(self.over());
        actions
    }

    /// Whether nothing can change any more.
    pub fn is_decided(&self) -> bool {
        self.is_decided
    }

    /// The hosts of the launch that are waited for, each with how far it is.
    pub fn waiting_for(&self) -> Vec<String> {
        if self.has_started {
            return Vec::new();
        }
        let far = |node: &String| match self.hosts.get(node) {
            Some(Standing::Absent) | None => Some(format!("{node} (not connected)")),
            Some(Standing::Present) => Some(format!("{node} (not ready)")),
            Some(_) => None,
        };
        self.nodes.iter().filter_map(far).collect()
    }

    /// The hosts of the launch that have not come, in its order.
    fn absent_nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| self.absent.contains(*node)).map(String::as_str)
    }

    fn is_waiting_for_hosts(&self) -> bool {
        self.needs_all && !self.has_started && !self.absent.is_empty()
    }

    /// Whether nobody has to be waited for: the others are ready, or not there and not needed.
    fn may_start(&self) -> bool {
        match self.needs_all {
            true => self.unready.is_empty(),
            false => self.unready.is_subset(&self.absent),
        }
    }

    /// Which hosts of a launch that started without them have never come: what failed may have waited for them.
    fn missing(&self) -> String {
        let absent: Vec<&str> = self.absent_nodes().collect();
        match absent.as_slice() {
            [] => String::new(),
            _ if self.needs_all => String::new(),
            [host] => format!("\nhost {host} was not connected"),
            hosts => format!("\nhosts {} were not connected", hosts.join(", ")),
        }
    }

    fn stands(&mut self, host: &str, standing: Standing) {
        if let Some(known) = self.hosts.get_mut(host) {
            *known = standing;
        }
    }

    fn compared(&mut self, host: &str, profile: &BTreeMap<String, String>, now: Instant) -> Vec<Action> {
        let differs = |(name, value): &(&String, &String)| profile.get(*name) != Some(*value);
        let takes_part = self.nodes.is_empty() || self.nodes.iter().any(|node| node == host);
        let names: Vec<&str> = self.profile.iter().filter(differs).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() || !takes_part {
            return Vec::new();
        }
        let difference = format!("host {host} has not the same {} as host {}", names.join(" and "), self.leader);
        if self.nodes.is_empty() {
            return vec![Action::Note(difference)];
        }
        let found = format!("{difference}: all hosts need the same image and configuration");
        self.failed(Failure::of_host(host, exit_code::CONFIGURATION, &found), now)
    }

    /// A failure; a later account of the same host takes the place of the earlier one.
    fn failed(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        if self.is_decided {
            return Vec::new();
        }
        if let Some(known) = self.failures.iter_mut().find(|known| known.host == failure.host) {
            *known = failure;
            return Vec::new();
        }
        let stop = stop_of(&failure);
        // A host that was told to stop has its grace, and its launcher needs the channel meanwhile.
        let is_orderly = failure.exit_code == 0;
        let is_first = self.failures.is_empty();
        self.failures.push(failure);
        let mut actions = Vec::new();
        if self.settle_until.is_none() && !is_orderly {
            self.settle_until = Some(now + SETTLE_TIME);
        }
        if is_first {
            actions.push(Action::All(stop));
        }
        actions.extend(self.settled());
        actions
    }

    /// Decides if no host is left whose account could change it; then it is over, too.
    fn settled(&mut self) -> Vec<Action> {
        if self.hosts.values().any(|standing| matches!(standing, Standing::Present | Standing::Ready)) {
            return Vec::new();
        }
        let mut actions = if self.is_decided { Vec::new() } else { self.decide() };
        actions.extend(self.over());
        actions
    }

    /// Says once that it is over.
    fn over(&mut self) -> Option<Action> {
        let was_over = std::mem::replace(&mut self.is_over, true);
        (!was_over).then_some(Action::All(Message::Over))
    }

    fn decide(&mut self) -> Vec<Action> {
        self.is_decided = true;
        // The first in order of arrival among those that nothing else explains.
        let cause = self.failures.iter().min_by_key(|failure| failure.is_consequence);
        let Some(cause) = cause else { return Vec::new() };
        let failed: usize = self.failed_ranks.values().sum();
        let of_cause = usize::from(self.failed_ranks.get(&cause.host).is_some_and(|failed| *failed > 0));
        let verdict = Verdict {
            host: cause.host.clone(),
            exit_code: cause.exit_code,
            text: with_followers(cause, failed - of_cause, &self.missing()),
        };
        self.verdict = Some(verdict.clone());
        vec![Action::All(Message::Verdict(verdict))]
    }
}

fn stop_of(failure: &Failure) -> Message {
    let why = format!("host {}: {}", failure.host, failure.headline());
    Message::Stop { why, is_orderly: failure.exit_code == 0 }
}

fn with_followers(failure: &Failure, others: usize, missing: &str) -> String {
    let followers = match others {
        0 => String::new(),
        1 => ", 1 other rank failed after it".to_owned(),
        others => format!(", {others} other ranks failed after it"),
    };
    let status = format!("{}{followers}{missing}", failure.status);
    // It is a line of its own; the first line may hold the same words.
    let text = match failure.text.rfind(&failure.status) {
        Some(at) => [&failure.text[..at], &status, &failure.text[at + failure.status.len()..]].concat(),
        None => failure.text.clone(),
    };
    text.chars().take(MAX_TEXT).collect()
}

/// That a host is lost.
pub(super) fn lost(host: &str, why: &str) -> Failure {
    let found = format!(
        "host {host} is lost: {why}\nhint: its container was killed, or its machine or network failed: see the log of {host}"
    );
    Failure::of_host(host, exit_code::HOST_LOST, &found)
}

/// That hosts did not come.
pub(super) fn never_came(hosts: &[&str], patience: Duration) -> Failure {
    let names = hosts.join(", ");
    let status = format!("exit code {}", exit_code::HOST_LOST);
    let (word, verb) = if hosts.len() == 1 { ("host", "has") } else { ("hosts", "have") };
    let text = format!(
        "{word} {names} {verb} not come within {} s (FOOTPLATE_CLUSTER_TIMEOUT)\nhint: see the log of {}: its container did \
         not start, or its network does not reach the other hosts\n{status}",
        patience.as_secs_f64(),
        hosts.first().copied().unwrap_or_default()
    );
    Failure {
        host: hosts.first().copied().unwrap_or_default().to_owned(),
        exit_code: exit_code::HOST_LOST,
        text,
        status,
        is_consequence: false,
    }
}

/// That the others cannot be talked to.
pub(super) fn alone(host: &str, why: &str, patience: Duration) -> Failure {
    let found = format!(
        "{why}\nhint: the launch needs every host, and waits {} s for each (FOOTPLATE_CLUSTER_TIMEOUT): see the other hosts' \
         logs, and whether the network lets them reach each other",
        patience.as_secs_f64()
    );
    Failure::of_host(host, exit_code::HOST_LOST, &found)
}

#[cfg(test)]
mod tests;
