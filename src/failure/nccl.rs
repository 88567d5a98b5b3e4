//! Messages of ranks about each other when their collective communication fails (NCCL, Gloo, Horovod).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::lines::Log;
use crate::event::{Collective, RankProgress};
use crate::failure::pattern::pattern;

/// The end of a collective operation that took too long: `[PG 1 Rank 0] … [Rank 0] Watchdog caught collective operation timeout:
/// WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, …, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.`
static TIMEOUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"Rank (\d+)\]\s+Watchdog caught collective operation timeout: Work\w+\(SeqNum=(\d+), OpType=(\w+).*?Timeout\(ms\)=(\d+)",
    )
});

/// The progress of a rank: `[PG ID 0 PG GUID 0(default_pg) Rank 1]  … last enqueued work: 3, last completed work: 2`
static PROGRESS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Rank (\d+)\].*last enqueued (?:\w+ )?work: (\d+), last completed (?:\w+ )?work: \d+"));

/// The process group of a message: `[PG 1 Rank 0]`, `[PG ID 0 PG GUID 0(default_pg) Rank 1]`.
static GROUP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[PG (?:ID )?(\w+) "));

/// A message about an operation of Gloo that took too long.
static GLOO: LazyLock<Regex> = LazyLock::new(|| pattern(r"Timed out waiting (\d+)ms for (recv|send) operation"));

/// The ranks that the other ranks wait for: `[missing ranks: 1, 3]` of Horovod,
/// `Ranks 1, 3 failed to pass monitoredBarrier` of Gloo.
static MISSING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)missing ranks: *((?:\d+, *)*\d+)|\bRanks? ((?:\d+, *)*\d+) failed to pass monitoredBarrier")
});

/// Returns the information in the lines about a collective operation that ran out of time. `own` is the rank that wrote
/// the lines without a rank.
pub(super) fn collective(log: &Log, own: Option<usize>) -> Collective {
    let mut found = Collective::default();
    let mut begun: BTreeMap<usize, u64> = BTreeMap::new();
    for (at, line) in log.lines.iter().enumerate() {
        let text = line.text.as_str();
        let writer = log.writer(at).rank.or(own);
        // The ranks of a subgroup are numbered separately.
        let rank_of = |digits: &str| writer.or_else(|| digits.parse().ok());
        if let Some(words) = TIMEOUT.captures(text)
            && let Some(rank) = rank_of(&words[1])
        {
            let group = GROUP.captures(text).map(|group| group[1].to_owned()).unwrap_or_default();
            let progress = found.late.entry(rank).or_default();
            if progress.operation.is_empty() {
                let (number, limit_ms) = (words[2].parse().ok(), words[4].parse().ok());
                *progress = RankProgress { operation: words[3].to_owned(), number, limit_ms, group };
            }
        } else if let Some(words) = PROGRESS.captures(text)
            && let (Some(rank), Ok(number)) = (rank_of(&words[1]), words[2].parse())
        {
            begun.insert(rank, number);
        } else if let Some(words) = GLOO.captures(text)
            && let Some(rank) = writer
        {
            let progress = found.late.entry(rank).or_default();
            progress.limit_ms = progress.limit_ms.or(words[1].parse().ok());
        }
        if let Some(words) = MISSING.captures(text) {
            let ranks = words.get(1).or(words.get(2)).map_or("", |ranks| ranks.as_str());
            found.missing.extend(ranks.split(',').filter_map(|rank| rank.trim().parse::<usize>().ok()));
        }
    }
    // The operation that ran out of time counts, not the operations that its rank began later.
    for (rank, number) in begun {
        found.late.entry(rank).or_default().number.get_or_insert(number);
    }
    found
}

/// Returns the information in the stderr of several ranks about a collective operation that ran out of time.
pub fn collective_of<'t>(ranks: impl Iterator<Item = (Option<usize>, &'t [u8])>) -> Collective {
    let mut all = Collective::default();
    for (rank, stderr) in ranks {
        all.merge(&collective(&Log::read(stderr), rank));
    }
    all
}

/// Returns true if an error, given as the headline with its details, is a collective operation that ran out of time.
pub(super) fn claims_timeout(claimed: &str) -> bool {
    claimed.contains("Watchdog caught")
        || claimed.contains("collective operation timeout")
        || GLOO.is_match(claimed)
        || MISSING.is_match(claimed)
}

/// Returns the hint for a collective operation that ran out of time.
pub(super) fn timed_out(found: &Collective) -> String {
    let remedy = "look for what differs there: a branch, a data loader, a slow or broken machine";
    let numbers = found.late.iter().filter_map(|(rank, progress)| Some((*rank, progress.number?)));
    let furthest = found.late.values().filter(|progress| !progress.operation.is_empty()).max_by_key(|at| at.number);
    let subject = match furthest.map(|progress| (progress.operation.as_str(), progress.number)) {
        Some((operation, Some(number))) => format!("{operation} number {number}"),
        Some((operation, None)) => operation.to_owned(),
        None => "a collective operation".to_owned(),
    };
    let limit = found.late.values().find_map(|progress| progress.limit_ms);
    let after = limit.map(|limit| format!(" after {} s", limit as f64 / 1000.0)).unwrap_or_default();
    let is_late = |progress: &RankProgress| !progress.operation.is_empty() || progress.limit_ms.is_some();
    let late = found.late.iter().filter(|(_, progress)| is_late(progress));
    let late: BTreeSet<usize> = late.map(|(rank, _)| *rank).collect();
    let waiting = if late.is_empty() { String::new() } else { format!(" on {}", ranks(&late)) };
    let suspects = found.suspects();
    let behind = numbers.filter(|(rank, _)| suspects.contains(rank)).map(|(_, number)| number).min();
    let why = match (found.missing.is_empty(), behind) {
        (false, _) => ", for which the others wait".to_owned(),
        (true, Some(number)) => format!(", which got no further than number {number}"),
        (true, None) => ", which said nothing before it was ended".to_owned(),
    };
    let suspects = match suspects.len() {
        0 => "suspects: ranks that say no such thing".to_owned(),
        1 => format!("suspect: {}{why}", ranks(&suspects)),
        _ => format!("suspects: {}{why}", ranks(&suspects)),
    };
    format!("{subject} ran out of time{after}{waiting}; {suspects}; {remedy}")
}

/// Returns `rank 1` or `ranks 1, 2`, with at most eight ranks.
fn ranks(ranks: &BTreeSet<usize>) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = ranks.iter().take(SHOWN).map(usize::to_string).collect();
    if ranks.len() > SHOWN {
        names.push("…".to_owned());
    }
    let word = if ranks.len() == 1 { "rank" } else { "ranks" };
    format!("{word} {}", names.join(", "))
}

/// The peer of a lost connection: `Connection closed by remote peer algo-2<10.0.0.3:1234>` of NCCL,
/// `Connection closed by peer [10.0.0.3]:1234` of Gloo, `Got completion from peer 10.0.0.3<1234>` of NCCL over InfiniBand.
static PEER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:(?:closed|reset|refused) by (?:remote )?peer:?|completion from peer)\s+([\w.-]+<[^>\s]+>|\[[\w.:%-]+\](?::\d+)?|ip-[\w.-]+)",
    )
});

/// Returns the peer of the lost connection. It is read from the headline, else from the first such line of the log.
pub(super) fn peer(claimed: &str, log: &Log) -> Option<String> {
    let named = |text: &str| PEER.captures(text).map(|found| found[1].to_owned());
    named(claimed).or_else(|| log.lines.iter().find_map(|line| named(&line.text)))
}
