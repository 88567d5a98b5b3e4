//! Messages of ranks about each other when their collective communication fails (NCCL, Gloo).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::lines::Log;

/// The end of a collective operation that took too long: `[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, …,
/// Timeout(ms)=600000) ran for 600004 milliseconds before timing out.`
static TIMEOUT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"Rank (\d+)\]\s+Watchdog caught collective operation timeout: WorkNCCL\(SeqNum=(\d+), OpType=(\w+).*?Timeout\(ms\)=(\d+)",
    )
    .expect("a valid pattern")
});

/// The progress of a rank: `[PG ID 0 PG GUID 0(default_pg) Rank 1]  … last enqueued work: 3, last completed work: 2`
static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Rank (\d+)\].*last enqueued (?:NCCL )?work: (\d+), last completed (?:NCCL )?work: \d+")
        .expect("a valid pattern")
});

/// The peer of a lost connection: `Connection closed by remote peer algo-2<10.0.0.3:1234>` of NCCL,
/// `Connection closed by peer [10.0.0.3]:1234` of Gloo.
static PEER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:closed|reset|refused) by (?:remote )?peer:?\s+([\w.-]+<[^>\s]+>|\[[\w.:%-]+\](?::\d+)?|ip-[\w.-]+)",
    )
    .expect("a valid pattern")
});

/// Errors about a connection that was lost.
static LOST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)ncclRemoteError|ncclSystemError|connection (?:closed|reset) by (?:remote )?peer|socketProgress")
        .expect("a valid pattern")
});

/// Returns a hint if such a failure is named by `claimed`, the headline with its details, or, after an abort, by the log.
pub(super) fn hint(claimed: &str, log: &Log, aborted: bool) -> Option<String> {
    let claims_timeout = claimed.contains("Watchdog caught") || claimed.contains("collective operation timeout");
    let timeouts = log.lines.iter().filter_map(|line| TIMEOUT.captures(&line.text));
    let mut behind: BTreeMap<usize, (u64, String, u64)> = BTreeMap::new();
    for found in timeouts {
        let (Ok(rank), Ok(number), Ok(limit)) = (found[1].parse(), found[2].parse(), found[4].parse()) else {
            continue;
        };
        behind.entry(rank).or_insert((number, found[3].to_owned(), limit));
    }
    if claims_timeout || (aborted && !behind.is_empty()) {
        return Some(timed_out(&behind, log));
    }
    let words = LOST.is_match(claimed);
    words.then(|| match peer(claimed, log) {
        Some(peer) => format!("the connection to {peer} was lost; that host or rank failed first: see its own logs"),
        None => {
            "the connection to another rank was lost; the rank that failed first says why: see the other logs".into()
        }
    })
}

/// Returns the hint for a collective operation that ran out of time on these ranks.
fn timed_out(ranks: &BTreeMap<usize, (u64, String, u64)>, log: &Log) -> String {
    let remedy = "the ranks did not all call it: look for a branch or a data loader that differs between ranks";
    let Some((_, (number, operation, limit))) = ranks.iter().min_by_key(|(_, (number, _, _))| *number) else {
        return format!("a collective operation ran out of time; {remedy}");
    };
    let waiting = list(ranks.keys());
    let suspects = match suspects(ranks, log) {
        Some(suspects) => format!("suspect: rank {suspects}"),
        None => "suspects: ranks that say no such thing".to_owned(),
    };
    format!(
        "{operation} number {number} ran out of time after {} s on rank {waiting}; {suspects}; {remedy}",
        limit / 1000
    )
}

/// Returns the ranks that are furthest behind; `None` if all ranks are equally far.
fn suspects(timed_out: &BTreeMap<usize, (u64, String, u64)>, log: &Log) -> Option<String> {
    let mut enqueued: BTreeMap<usize, u64> = timed_out.iter().map(|(&rank, (number, _, _))| (rank, *number)).collect();
    for found in log.lines.iter().filter_map(|line| PROGRESS.captures(&line.text)) {
        if let (Ok(rank), Ok(number)) = (found[1].parse(), found[2].parse()) {
            enqueued.insert(rank, number);
        }
    }
    let (least, most) = (*enqueued.values().min()?, *enqueued.values().max()?);
    (least < most).then(|| list(enqueued.iter().filter(|&(_, &number)| number == least).map(|(rank, _)| rank)))
}

/// Returns the ranks separated by commas, at most eight of them.
fn list<'r>(ranks: impl Iterator<Item = &'r usize>) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = ranks.map(usize::to_string).collect();
    if names.len() > SHOWN {
        names.truncate(SHOWN);
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// Returns the peer of the lost connection: that of the headline, else the first one in the log.
fn peer(claimed: &str, log: &Log) -> Option<String> {
    let named = |text: &str| PEER.captures(text).map(|found| found[1].to_owned());
    named(claimed).or_else(|| log.lines.iter().find_map(|line| named(&line.text)))
}
