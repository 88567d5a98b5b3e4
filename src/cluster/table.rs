//! The leader's table of hosts: the progress of each host, and the resulting actions.
//!
//! Pure: messages and the time are passed in, and actions are returned. The job ends in one of two ways. If every host
//! finishes, the job is over. If something fails, all hosts are told to stop, and the verdict names the cause after a
//! short time in which other hosts send their accounts.

mod causes;
mod fewer;
mod restart;
mod settle;
mod start;
mod steps;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub(super) use causes::{alone, lost, not_connected, of_host};
use steps::HostSteps;
use tasks::HostTasks;

use super::message::Message;
use super::{Membership, RESTART_TIME, SETTLE_TIME};
use crate::event::{Cause, RankTally, Verdict};
use crate::failure::{self, Restarts};
use crate::job::exit_code;
use crate::redact::Redactor;

/// The progress of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has not connected yet.
    Absent,
    /// It is connected.
    Present,
    /// It could start its ranks.
    Ready,
    /// Its ranks have ended without a failure.
    Finished,
    /// Its ranks have ended, after a failure.
    Ended,
    /// Its connection ended before its ranks had.
    Lost,
}

impl Standing {
    /// Returns true for a connected host whose ranks have not ended.
    fn is_at_work(self) -> bool {
        matches!(self, Standing::Present | Standing::Ready)
    }
}

/// An action for the leader's loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderAction {
    /// Send a message to every connected host and to the leader's own.
    All(Message),
    /// Send a message to one host.
    To(String, Message),
    /// Log a warning.
    Note(String),
}

/// A host's account of its failure.
#[derive(Clone, Debug)]
struct Account {
    host: String,
    cause: Cause,
    is_final: bool,
}

impl Account {
    /// Creates an account by the leader about a host.
    fn of_host(host: &str, cause: Cause) -> Account {
        Account { host: host.to_owned(), cause, is_final: true }
    }

    /// Returns true if another account may explain the failure better: this one is provisional, or reads like a
    /// consequence.
    fn gives_way(&self) -> bool {
        !self.is_final || self.cause.is_consequence()
    }

    /// Returns the message that ends the ranks of all hosts.
    fn stop(&self) -> Message {
        let headline = failure::headline(&self.cause, &Redactor::default());
        Message::Stop { why: format!("host {}: {headline}", self.host), is_orderly: self.cause.is_stop() }
    }
}

/// The leader's knowledge of the job.
#[derive(Debug)]
pub struct HostTable {
    leader: String,
    hosts: BTreeMap<String, Standing>,
    nodes: Vec<String>,
    /// The hosts of the launch that have not connected.
    absent: BTreeSet<String>,
    /// The hosts of the launch that are not ready.
    unready: BTreeSet<String>,
    needs_all: bool,
    /// The minimum number of hosts, if not all are needed.
    least_hosts: Option<usize>,
    profile: BTreeMap<String, String>,
    patience: Duration,
    /// The time until which hosts of the launch may connect.
    come_until: Instant,
    failures: Vec<Account>,
    ended_ranks: BTreeMap<String, RankTally>,
    steps: HostSteps,
    tasks: HostTasks,
    /// The hosts that have sent their hello.
    greeted: BTreeSet<String>,
    /// True once the hosts were informed that a rank of mpirun was killed.
    is_rank_killed: bool,
    settle_until: Option<Instant>,
    restarts: Restarts,
    /// The hosts that could run their ranks again.
    willing: BTreeSet<String>,
    /// The start of the current attempt.
    begun: Instant,
    /// The time until which a restart waits for the ends of all ranks.
    restart_until: Option<Instant>,
    has_started: bool,
    /// The address of the first connection that had another key.
    other_key: Option<IpAddr>,
    is_decided: bool,
    /// True once all hosts were informed that the job is over.
    is_over: bool,
    verdict: Option<Verdict>,
}

impl HostTable {
    /// Creates a table in which only the leader's host is present.
    pub fn new(membership: &Membership, now: Instant) -> HostTable {
        let Membership {
            leader, hosts, nodes, needs_all, least_hosts, profile, patience, task_engine, restarts, ..
        } = membership;
        let mut standing = BTreeMap::new();
        standing.extend(hosts.iter().map(|host| (host.clone(), Standing::Absent)));
        standing.insert(leader.clone(), Standing::Present);
        HostTable {
            leader: leader.clone(),
            hosts: standing,
            nodes: nodes.clone(),
            absent: nodes.iter().filter(|node| *node != leader).cloned().collect(),
            unready: nodes.iter().cloned().collect(),
            needs_all: *needs_all,
            least_hosts: *least_hosts,
            profile: profile.clone(),
            patience: *patience,
            come_until: now + *patience,
            failures: Vec::new(),
            ended_ranks: BTreeMap::new(),
            steps: HostSteps::default(),
            tasks: HostTasks::new(*task_engine),
            greeted: BTreeSet::new(),
            is_rank_killed: false,
            settle_until: None,
            restarts: Restarts::new(*restarts),
            willing: BTreeSet::new(),
            begun: now,
            restart_until: None,
            has_started: false,
            other_key: None,
            is_decided: false,
            is_over: false,
            verdict: None,
        }
    }

    /// Checks that a host belongs to the job and is not connected yet.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub fn may_join(&self, host: &str) -> Result<(), String> {
        match self.hosts.get(host) {
            None => Err(format!("{host:?} is no host of this job")),
            Some(Standing::Absent) => Ok(()),
            Some(Standing::Lost | Standing::Finished | Standing::Ended) => Err(format!("{host} was there before")),
            Some(Standing::Present | Standing::Ready) => Err(format!("{host} is there already")),
        }
    }

    /// Records that a connection from this address had another key. It may come from a host of the job.
    pub fn met_other_key(&mut self, address: IpAddr) {
        self.other_key.get_or_insert(address);
    }

    /// Returns true if a host is connected and not ready yet.
    pub fn is_preparing(&self, host: &str) -> bool {
        self.hosts.get(host) == Some(&Standing::Present)
    }

    /// Records that a host has connected.
    pub fn joined(&mut self, host: &str) -> Vec<LeaderAction> {
        self.hosts.insert(host.to_owned(), Standing::Present);
        self.absent.remove(host);
        if let Some(verdict) = &self.verdict {
            let over = self.is_over.then(|| LeaderAction::To(host.to_owned(), Message::Over));
            let verdict = LeaderAction::To(host.to_owned(), Message::Verdict(Box::new(verdict.clone())));
            return [verdict].into_iter().chain(over).collect();
        }
        match self.failures.first() {
            Some(account) => vec![LeaderAction::To(host.to_owned(), account.stop())],
            None => Vec::new(),
        }
    }

    /// Handles a message from a host.
    pub fn handle(&mut self, host: &str, message: Message, now: Instant) -> Vec<LeaderAction> {
        match message {
            Message::Hello(profile) if self.greeted.insert(host.to_owned()) => self.compared(host, &profile, now),
            Message::Ready if self.is_preparing(host) => {
                self.set_standing(host, Standing::Ready);
                self.unready.remove(host);
                if self.failures.is_empty() && self.has_started {
                    let told = [Some(Message::Start), self.steps.allowed().map(Message::Allowed)];
                    told.into_iter().flatten().map(|message| LeaderAction::To(host.to_owned(), message)).collect()
                } else {
                    self.start_if_ready(now)
                }
            }
            Message::Completed(step) => {
                self.steps.note(host, step);
                self.allow()
            }
            Message::Failed { cause, is_final } => {
                self.failed(Account { host: host.to_owned(), cause: *cause, is_final }, now)
            }
            Message::TasksFailed(tasks) => {
                self.tasks.note(host, tasks);
                Vec::new()
            }
            Message::RankKilled if !self.is_rank_killed => {
                self.is_rank_killed = true;
                vec![LeaderAction::All(Message::RankKilled)]
            }
            Message::Ended { ranks } => {
                self.ended_ranks.insert(host.to_owned(), ranks);
                self.set_standing(host, Standing::Ended);
                let mut actions = self.left_early(host, now);
                actions.extend(self.allow());
                actions.extend(self.settled(now));
                actions
            }
            Message::Finished => {
                self.set_standing(host, Standing::Finished);
                let mut actions = self.left_early(host, now);
                actions.extend(self.allow());
                let settled = self.settled(now);
                if host == self.leader && settled.is_empty() && !self.nodes.is_empty() {
                    actions.push(LeaderAction::All(Message::Dismissed));
                }
                actions.extend(settled);
                actions
            }
            Message::Willing => {
                self.willing.insert(host.to_owned());
                Vec::new()
            }
            // A host sends these only once.
            Message::Hello(_) | Message::Ready | Message::RankKilled => Vec::new(),
            // Only the leader sends these. The leader's loop handles commands.
            Message::Alive
            | Message::Start
            | Message::Allowed(_)
            | Message::Execute { .. }
            | Message::Executed { .. }
            | Message::Dismissed
            | Message::Watch(_)
            | Message::Stop { .. }
            | Message::Restart { .. }
            | Message::Verdict(_)
            | Message::Over => Vec::new(),
        }
    }

    /// Records that the connection to a host has ended.
    pub fn lost(&mut self, host: &str, why: &str, now: Instant) -> Vec<LeaderAction> {
        match self.hosts.get(host) {
            None | Some(Standing::Absent | Standing::Finished | Standing::Ended | Standing::Lost) => Vec::new(),
            Some(Standing::Present | Standing::Ready) => {
                let is_spare = self.is_spare(host);
                self.set_standing(host, Standing::Lost);
                if self.is_decided {
                    return self.settled(now);
                }
                let mut actions = vec![LeaderAction::Note(format!("host {host} is lost: {why}"))];
                if is_spare {
                    actions.extend(self.allow());
                    return actions;
                }
                actions.extend(self.failed(Account::of_host(host, lost(host, why)), now));
                actions
            }
        }
    }

    /// Returns the time at which [`HostTable::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.is_decided, self.settles_at()) {
            (true, _) => None,
            (false, Some(_)) if self.may_restart() => self.restart_until,
            (false, Some(settle)) => Some(settle),
            (false, None) => self.is_waiting_for_hosts().then_some(self.come_until),
        }
    }

    /// Does everything that is due.
    pub fn tick(&mut self, now: Instant) -> Vec<LeaderAction> {
        if self.is_decided {
            return Vec::new();
        }
        if self.settles_at().is_some_and(|until| until <= now) {
            let waits = self.may_restart() && self.restart_until.is_some_and(|until| now < until);
            return if waits { Vec::new() } else { self.decide() };
        }
        if self.settle_until.is_none() && self.is_waiting_for_hosts() && self.come_until <= now {
            if let Some(actions) = self.start_with_fewer() {
                return actions;
            }
            let absent: Vec<&str> = self.absent_nodes().collect();
            let host = absent.first().copied().unwrap_or_default().to_owned();
            let cause = not_connected(&absent, self.patience, self.other_key);
            return self.failed(Account::of_host(&host, cause), now);
        }
        Vec::new()
    }

    /// Ends the table because the leader leaves. The verdict is made from the known accounts.
    pub fn close(&mut self) -> Vec<LeaderAction> {
        let mut actions = if self.is_decided { Vec::new() } else { self.decide() };
        actions.extend(self.over());
        actions
    }

    /// Returns the hosts of the launch for which the job waits, each with its progress.
    pub fn waiting_for(&self) -> Vec<String> {
        if self.has_started || self.is_decided {
            return Vec::new();
        }
        let far = |node: &String| match self.hosts.get(node) {
            Some(Standing::Absent) | None => Some(format!("{node} (not connected)")),
            Some(Standing::Present) => Some(format!("{node} (not ready)")),
            Some(_) => None,
        };
        self.nodes.iter().filter_map(far).collect()
    }

    /// Returns the hosts of the launch that have not connected, in the order of the launch.
    fn absent_nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| self.absent.contains(*node)).map(String::as_str)
    }

    fn is_waiting_for_hosts(&self) -> bool {
        self.needs_all && !self.has_started && !self.absent.is_empty()
    }

    /// Returns the absent hosts of a launch that started without them. A failed rank may have waited for them.
    fn missing(&self) -> Vec<String> {
        if self.needs_all { Vec::new() } else { self.absent_nodes().map(str::to_owned).collect() }
    }

    fn set_standing(&mut self, host: &str, standing: Standing) {
        if let Some(known) = self.hosts.get_mut(host) {
            *known = standing;
        }
    }

    fn compared(&mut self, host: &str, profile: &BTreeMap<String, String>, now: Instant) -> Vec<LeaderAction> {
        let differs = |(name, value): &(&String, &String)| profile.get(*name) != Some(*value);
        let takes_part = self.nodes.is_empty() || self.nodes.iter().any(|node| node == host);
        let names: Vec<&str> = self.profile.iter().filter(differs).map(|(name, _)| name.as_str()).collect();
        // A host that has already failed has reported the reason.
        let has_failed = self.failures.iter().any(|account| account.host == host);
        if names.is_empty() || !takes_part || has_failed {
            return Vec::new();
        }
        let difference = format!("host {host} does not have the same {} as host {}", names.join(" and "), self.leader);
        if self.nodes.is_empty() {
            return vec![LeaderAction::Note(difference)];
        }
        let found = format!("{difference}: all hosts need the same image and configuration");
        self.failed(Account::of_host(host, of_host(host, exit_code::CONFIGURATION, &found)), now)
    }

    /// Adds an account of a failure. A later account of a host replaces the earlier one, unless only the earlier one is
    /// final.
    fn failed(&mut self, account: Account, now: Instant) -> Vec<LeaderAction> {
        if self.is_decided {
            return Vec::new();
        }
        if let Some(known) = self.failures.iter_mut().find(|known| known.host == account.host) {
            // A provisional account may arrive after the final one.
            if account.is_final || !known.is_final {
                *known = account;
            }
            return Vec::new();
        }
        // A host that was told to stop has its grace period, and its launcher needs the channel during that time.
        if self.settle_until.is_none() && !account.cause.is_stop() {
            self.settle_until = Some(now + SETTLE_TIME);
            self.restart_until = Some(now + RESTART_TIME);
        }
        let mut actions = Vec::new();
        if self.failures.is_empty() {
            actions.push(LeaderAction::All(account.stop()));
        }
        self.failures.push(account);
        actions.extend(self.settled(now));
        actions
    }

    /// Decides if no host is left whose account could change the verdict. The job is then over, too, unless all hosts
    /// start their ranks again.
    fn settled(&mut self, now: Instant) -> Vec<LeaderAction> {
        if self.hosts.values().any(|standing| standing.is_at_work()) {
            return Vec::new();
        }
        match self.restart(now) {
            Some(action) => vec![action],
            None => self.close(),
        }
    }

    /// Returns the message that the job is over, on the first call only.
    fn over(&mut self) -> Option<LeaderAction> {
        if self.is_over {
            return None;
        }
        self.is_over = true;
        Some(LeaderAction::All(Message::Over))
    }

    fn decide(&mut self) -> Vec<LeaderAction> {
        self.is_decided = true;
        let Some(account) = self.cause() else { return Vec::new() };
        let of_cause = usize::from(self.ended_ranks.get(&account.host).is_some_and(|ranks| ranks.failed > 0));
        let failed = self.ended_ranks.values().fold(0, |sum: usize, ranks| sum.saturating_add(ranks.failed));
        let mut cause = account.cause.clone();
        cause.followers = failed - of_cause;
        cause.ended = self.ended_ranks.values().map(|ranks| ranks.ended.len()).sum();
        cause.absent_hosts = self.missing();
        if let Some(collective) = &mut cause.collective {
            let others = self.failures.iter().filter_map(|account| account.cause.collective.as_ref());
            others.for_each(|other| collective.merge(other));
            collective.add_silent(self.ended_ranks.values().flat_map(|ranks| ranks.ended.iter().copied()));
        }
        let host = account.host.clone();
        self.tasks.locate(&mut cause);
        self.restarts.explain(&mut cause);
        let verdict = Verdict { host, cause };
        self.verdict = Some(verdict.clone());
        vec![LeaderAction::All(Message::Verdict(Box::new(verdict)))]
    }
}

#[cfg(test)]
mod tests;
