//! The progress of ranks in their collective operations when one of the operations timed out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The maximum number of ranks that are listed individually.
const MAX_RANKS: usize = 1024;

/// A collective operation that timed out, as far as the ranks of some hosts have reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collective {
    /// The ranks that reported how far they got, usually because they waited in vain.
    pub late: BTreeMap<usize, RankProgress>,
    /// The ranks that were ended before they reported anything.
    pub silent: BTreeSet<usize>,
    /// The ranks that other ranks report as missing.
    pub missing: BTreeSet<usize>,
}

/// The progress of a rank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankProgress {
    /// The name of the operation that ran out of time, such as `ALLREDUCE`; empty if it is not known.
    pub operation: String,
    /// The number of the last operation that the rank has begun, if it is known.
    pub number: Option<u64>,
    /// The timeout after which the rank gave up, in milliseconds, if it is known.
    pub limit_ms: Option<u64>,
    /// The process group in which operations are numbered; empty if it is not known.
    pub group: String,
}

impl Collective {
    /// Returns the operation with names and numbers of ranks cut to their limits, because another host may claim
    /// anything.
    pub fn limited(mut self) -> Collective {
        const MAX_NAME: usize = 64;
        let cut = |text: &str| text.chars().take(MAX_NAME).collect();
        while self.late.len() > MAX_RANKS {
            self.late.pop_last();
        }
        for progress in self.late.values_mut() {
            progress.operation = cut(&progress.operation);
            progress.group = cut(&progress.group);
        }
        self.silent = self.silent.into_iter().take(MAX_RANKS).collect();
        self.missing = self.missing.into_iter().take(MAX_RANKS).collect();
        self
    }

    /// Adds the reports of other ranks.
    pub fn merge(&mut self, other: &Collective) {
        for (&rank, progress) in other.late.iter().take(MAX_RANKS) {
            self.late.entry(rank).or_insert_with(|| progress.clone());
        }
        self.missing.extend(other.missing.iter().take(MAX_RANKS));
        self.add_silent(other.silent.iter().copied());
    }

    /// Adds ranks that were ended. A rank that waited in vain has already reported that.
    pub fn add_silent(&mut self, ranks: impl IntoIterator<Item = usize>) {
        self.silent.extend(ranks.into_iter().take(MAX_RANKS));
        self.silent.retain(|rank| !self.late.contains_key(rank));
    }

    /// Returns the ranks that keep the others waiting: those that others report as missing; else those that are
    /// behind; else those that reported nothing. Empty if nothing sets some ranks apart from the others.
    pub fn suspects(&self) -> BTreeSet<usize> {
        if !self.missing.is_empty() {
            return self.missing.clone();
        }
        let mut groups = self.late.values().map(|progress| progress.group.as_str());
        let first = groups.next();
        // Each process group numbers its own operations.
        let is_one_group = groups.all(|group| Some(group) == first);
        let numbers = || self.late.iter().filter_map(|(rank, progress)| Some((*rank, progress.number?)));
        let (least, most) = (numbers().map(|(_, n)| n).min(), numbers().map(|(_, n)| n).max());
        if is_one_group && least < most {
            return numbers().filter(|(_, number)| Some(*number) == least).map(|(rank, _)| rank).collect();
        }
        // If only a few ranks have reported, the others may have been ended too early.
        if self.silent.len() < self.late.len() { self.silent.clone() } else { BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Collective, RankProgress};

    fn collective(late: &[(usize, u64)], silent: &[usize]) -> Collective {
        let progress = |number| RankProgress { number: Some(number), ..RankProgress::default() };
        let late = late.iter().map(|&(rank, number)| (rank, progress(number))).collect();
        Collective { late, silent: silent.iter().copied().collect(), ..Collective::default() }
    }

    fn suspects(of: &Collective) -> Vec<usize> {
        of.suspects().into_iter().collect()
    }

    #[test]
    fn ranks_that_are_behind_or_say_nothing_are_suspects() {
        assert_eq!(suspects(&collective(&[(0, 9), (1, 7), (2, 9)], &[3])), [1]);
        assert_eq!(suspects(&collective(&[(0, 9), (2, 9)], &[1])), [1]);
        assert_eq!(suspects(&collective(&[(0, 9), (1, 9)], &[])), [] as [usize; 0]);
        // Too few ranks have reported.
        assert_eq!(suspects(&collective(&[(0, 9)], &[1, 2, 3])), [] as [usize; 0]);
        let missing = Collective { missing: [5].into(), ..collective(&[(0, 9), (1, 7)], &[2]) };
        assert_eq!(suspects(&missing), [5]);
        let mut groups = collective(&[(0, 9), (1, 7)], &[]);
        groups.late.get_mut(&1).unwrap().group = "2".into();
        assert_eq!(suspects(&groups), [] as [usize; 0]);
    }

    #[test]
    fn the_ranks_of_several_hosts_are_merged() {
        let mut all = collective(&[(0, 9), (1, 9)], &[2, 3]);
        all.merge(&collective(&[(2, 9)], &[0, 3]));
        assert_eq!(all, collective(&[(0, 9), (1, 9), (2, 9)], &[3]));
    }
}
