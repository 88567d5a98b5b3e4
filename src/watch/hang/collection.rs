//! The collection of the stacks of all hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use crate::event::{Activity, HostStacks, RankGroup, StackMethod};
use crate::watch::stacks::groups;

/// A party that asked for the stacks.
#[derive(Debug)]
pub(super) enum StackRequester {
    /// The log of this host, as requested by SIGQUIT.
    Log,
    /// `footplate stacks` on this host.
    Socket(UnixStream),
    /// Another host.
    Host(String),
}

/// The reason for a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// An expected sign did not come. Holds the number of the decision about it.
    Silence(usize),
    /// A user or program asked for the stacks.
    Question,
}

/// The answers of hosts that were asked for their stacks.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) id: u64,
    pub(super) reason: Reason,
    pub(super) begun: Instant,
    /// The time at which the collection ends, even if hosts have not answered.
    pub(super) until: Instant,
    /// The hosts that have not answered.
    waiting: BTreeSet<String>,
    pub(super) groups: Vec<RankGroup>,
    pub(super) activities: Vec<Activity>,
    pub(super) method: Option<StackMethod>,
    hosts: BTreeMap<usize, String>,
}

impl Collection {
    pub(super) fn new(
        id: u64,
        reason: Reason,
        begun: Instant,
        until: Instant,
        waiting: BTreeSet<String>,
    ) -> Collection {
        Collection {
            id,
            reason,
            begun,
            until,
            waiting,
            groups: Vec::new(),
            activities: Vec::new(),
            method: None,
            hosts: BTreeMap::new(),
        }
    }

    /// Adds a host whose answer is expected.
    pub(super) fn await_host(&mut self, host: &str) {
        self.waiting.insert(host.to_owned());
    }

    /// Records the answer of a host. Only the first answer counts.
    pub(super) fn take(&mut self, host: &str, found: HostStacks) {
        if !self.waiting.remove(host) {
            return;
        }
        for rank in found.groups.iter().flat_map(|group| &group.ranks) {
            self.hosts.entry(*rank).or_insert_with(|| host.to_owned());
        }
        groups::merge(&mut self.groups, found.groups);
        self.activities.extend(found.activities);
        self.method = self.method.max(found.method);
    }

    /// Stops waiting for a host.
    pub(super) fn lost(&mut self, host: &str) {
        self.waiting.remove(host);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the hosts that have not answered.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(String::as_str)
    }

    /// Returns the host of a rank.
    pub(super) fn host_of(&self, rank: usize) -> Option<&String> {
        self.hosts.get(&rank)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Collection, Reason};
    use crate::event::{Activity, HostStacks, RankGroup, StackMethod};

    #[test]
    fn the_first_answer_of_each_host_counts() {
        let found = |rank: usize, method| HostStacks {
            method: Some(method),
            groups: vec![RankGroup {
                ranks: vec![rank],
                stack: vec!["f".into()],
                place: None,
                wait: None,
                silent_ms: 0,
            }],
            activities: vec![Activity::Computing(rank)],
        };
        let now = Instant::now();
        let mut collection =
            Collection::new(1, Reason::Silence(0), now, now, ["algo-1", "algo-2"].map(str::to_owned).into());
        collection.take("algo-2", found(3, StackMethod::Memory));
        collection.take("algo-2", found(4, StackMethod::Memory));
        collection.take("stranger", found(5, StackMethod::Memory));
        assert!(!collection.is_complete());
        // This host claims a rank of another host.
        collection.take("algo-1", found(3, StackMethod::Kernel));
        assert!(collection.is_complete());
        assert_eq!(collection.groups[0].ranks, [3]);
        assert_eq!(collection.host_of(3).map(String::as_str), Some("algo-2"));
        assert_eq!((collection.activities.len(), collection.method), (2, Some(StackMethod::Kernel)));
    }
}
