//! The notes that hosts exchange to watch a job together, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{RankGroup, StackMethod, StackPlace};

/// The maximum number of groups, of calls per group and of activities that a host may report, and the maximum length
/// of a text in bytes.
const MAX_GROUPS: usize = 256;
const MAX_CALLS: usize = 64;
const MAX_ACTIVITIES: usize = 16;
const MAX_RANKS: usize = 4096;
const MAX_TEXT: usize = 512;

/// A note from one host to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchNote {
    /// To the leader: the last sign of life of this host's ranks. `None` if no rank of the sender runs any more; the
    /// leader sends this too.
    Quiet(Option<LastSign>),
    /// To the leader: the last line on this host that matched a rule.
    Matched {
        /// The name of the rule.
        rule: String,
        /// The line.
        last: LastSign,
    },
    /// To the leader: this host wants the stacks of all hosts.
    Ask,
    /// From the leader: a request to report the stacks of the receiver's ranks.
    Collect {
        /// The number of the request.
        id: u64,
        /// True if the leader wants to find out why the job hangs. In that case each rank's stack is read twice.
        is_hang: bool,
    },
    /// To the leader: the answer to [`WatchNote::Collect`].
    Found {
        /// The number of the request.
        id: u64,
        /// The answer.
        found: HostStacks,
    },
    /// From the leader: the stacks of all hosts.
    Report(Box<HangReport>),
}

/// The last sign of life or of progress, which a host reports repeatedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSign {
    /// The time of the sign in milliseconds, by a clock of the host. A repeated report of one sign has one time.
    pub at_ms: u64,
    /// The time since then, in milliseconds.
    pub quiet_ms: u64,
}

/// The stacks of a host's ranks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStacks {
    /// The means by which the stacks were read, if they were. If ranks differ, the least informative one.
    pub method: Option<StackMethod>,
    /// The ranks, grouped by the places where they are.
    pub groups: Vec<RankGroup>,
    /// The activities that go on although no rank shows a sign of life.
    pub activities: Vec<Activity>,
}

/// The stacks of all hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HangReport {
    /// The first line of the report if the job hangs; empty if somebody asked for the stacks.
    pub headline: String,
    /// The time without progress, in milliseconds, if the job hangs. `None` if somebody asked for the stacks.
    pub after_ms: Option<u64>,
    /// The means by which the stacks were read, if they were.
    pub method: Option<StackMethod>,
    /// The ranks that keep the others waiting.
    pub odd_ranks: Vec<usize>,
    /// The ranks of all hosts, grouped by the places where they are.
    pub groups: Vec<RankGroup>,
}

/// An activity that goes on although no rank shows a sign of life. Its display form is a clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// A compiler runs. Holds its name.
    Compiler(String),
    /// Processes of ranks read or write files. Holds the bytes per second.
    InputOutput(u64),
    /// Data is received or sent over the network. Holds the bytes per second.
    Network(u64),
    /// A rank uses a processor. Holds the rank.
    Computing(usize),
    /// Every GPU in use draws much power. Holds the lowest share of a GPU's power limit, in per cent.
    Power(u32),
    /// A rank is in other functions than at the first reading of its stack. Holds the rank.
    Moving(usize),
    /// A rank is at another line of the functions in which it was at the first reading, as in an endless loop. Holds
    /// the rank.
    Stepping(usize),
    /// A rank is in a function that is known to take a long time.
    Slow {
        /// The rank.
        rank: usize,
        /// The call.
        place: StackPlace,
    },
}

impl Activity {
    /// Returns true if the job certainly makes progress as long as this goes on. Any other activity can also occur in
    /// a job that hangs, and is accepted as progress only once.
    pub fn is_progress(&self) -> bool {
        match self {
            Activity::Compiler(_) | Activity::InputOutput(_) | Activity::Network(_) | Activity::Moving(_) => true,
            Activity::Computing(_) | Activity::Power(_) | Activity::Stepping(_) | Activity::Slow { .. } => false,
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |bytes: &u64| format!("{:.1} MB/s", *bytes as f64 / 1e6);
        match self {
            Activity::Compiler(name) => write!(f, "a compiler runs ({name})"),
            Activity::InputOutput(bytes) => write!(f, "the ranks read or write {}", rate(bytes)),
            Activity::Network(bytes) => write!(f, "{} come or go over the network", rate(bytes)),
            Activity::Computing(rank) => write!(f, "rank {rank} computes"),
            Activity::Power(percent) => write!(f, "every GPU draws {percent} % of its power limit or more"),
            Activity::Moving(rank) => write!(f, "rank {rank} goes from function to function"),
            Activity::Stepping(rank) => write!(f, "rank {rank} goes from line to line"),
            Activity::Slow { rank, place } => write!(f, "rank {rank} is in {place}, which can take long"),
        }
    }
}

impl WatchNote {
    /// Returns the note with its texts and lists cut to their limits, because another host may claim anything.
    pub fn limited(self) -> WatchNote {
        match self {
            WatchNote::Found { id, found } => WatchNote::Found { id, found: found.limited() },
            WatchNote::Report(report) => {
                let HangReport { headline, after_ms, method, mut odd_ranks, groups } = *report;
                odd_ranks.truncate(MAX_RANKS);
                let (headline, groups) = (cut(headline), limited_groups(groups));
                WatchNote::Report(Box::new(HangReport { headline, after_ms, method, odd_ranks, groups }))
            }
            WatchNote::Matched { rule, last } => WatchNote::Matched { rule: cut(rule), last },
            other => other,
        }
    }
}

impl HostStacks {
    fn limited(self) -> HostStacks {
        let HostStacks { method, groups, mut activities } = self;
        activities.truncate(MAX_ACTIVITIES);
        let activities = activities.into_iter().map(|activity| match activity {
            Activity::Compiler(name) => Activity::Compiler(cut(name)),
            Activity::Slow { rank, place } => Activity::Slow { rank, place: limited_place(place) },
            other => other,
        });
        HostStacks { method, groups: limited_groups(groups), activities: activities.collect() }
    }
}

fn limited_groups(groups: Vec<RankGroup>) -> Vec<RankGroup> {
    let limited = |group: RankGroup| RankGroup {
        ranks: group.ranks.into_iter().take(MAX_RANKS).collect(),
        stack: group.stack.into_iter().take(MAX_CALLS).map(cut).collect(),
        place: group.place.map(limited_place),
        wait: group.wait.map(cut),
        silent_ms: group.silent_ms,
    };
    groups.into_iter().take(MAX_GROUPS).map(limited).collect()
}

fn limited_place(place: StackPlace) -> StackPlace {
    StackPlace { function: cut(place.function), file: cut(place.file), line: place.line }
}

/// Returns the beginning of a text, on one line and without control characters.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Activity, HangReport, HostStacks, RankGroup, StackPlace, WatchNote};

    #[test]
    fn what_another_host_claims_is_bounded() {
        let long = || "é\n".repeat(1_000);
        let place = || StackPlace { function: long(), file: long(), line: 1 };
        let group = || RankGroup {
            ranks: (0..100_000).collect(),
            stack: vec![long(); 100],
            place: Some(place()),
            wait: Some(long()),
            silent_ms: 1,
        };
        let activities = vec![Activity::Slow { rank: 1, place: place() }; 100];
        let found = HostStacks { method: None, groups: vec![group(); 300], activities };
        let WatchNote::Found { found, .. } = (WatchNote::Found { id: 1, found }).limited() else { panic!() };
        assert_eq!((found.groups.len(), found.activities.len()), (256, 16));
        assert!(found.groups[0].stack[0].len() <= 512 && !found.groups[0].stack[0].contains('\n'));
        assert!(serde_json::to_vec(&found.groups[0]).expect("text").len() < 100_000);
        let report = HangReport { odd_ranks: vec![1; 10_000], groups: vec![group(); 2], ..HangReport::default() };
        let WatchNote::Report(report) = WatchNote::Report(Box::new(report)).limited() else { panic!() };
        assert!(report.odd_ranks.len() < 5000 && report.groups[1].ranks.len() < 5000);
    }
}
