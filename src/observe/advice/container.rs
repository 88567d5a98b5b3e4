//! Rules about processors, memory and disks.

use super::facts::{Facts, WINDOW};
use crate::machine::Bytes;

/// The working set is above 90 % of the limit.
pub(super) fn memory(facts: &Facts<'_>) -> Option<String> {
    let memory = facts.newest.memory?;
    let limit = memory.limit.filter(|limit| *limit > 0)?;
    (memory.working_set as f64 > 0.9 * limit as f64)
        .then(|| format!("{} of the container's {} are in use", Bytes(memory.working_set), Bytes(limit)))
}

/// The working set has grown steadily for ten minutes, so that it will reach the limit within two hours.
pub(super) fn memory_growth(facts: &Facts<'_>) -> Option<String> {
    const SPAN: f64 = WINDOW * 0.9;
    let points: Vec<(f64, f64)> = facts
        .history
        .last(SPAN)?
        .map(|point| Some((point.elapsed, point.working_set? as f64)))
        .collect::<Option<_>>()?;
    let newest = facts.newest.memory?;
    let limit = newest.limit?;
    // Means over tenths of the time, because a garbage collector or a cache makes the curve a sawtooth.
    let (start, end) = (points.first()?.0, points.last()?.0);
    let tenth = |(at, _): &(f64, f64)| ((at - start) / (end - start) * 9.999) as usize;
    let means: Vec<(f64, f64)> = (0..10)
        .map(|number| {
            let within: Vec<&(f64, f64)> = points.iter().filter(|point| tenth(point) == number).collect();
            let mean =
                |of: fn(&(f64, f64)) -> f64| within.iter().map(|point| of(point)).sum::<f64>() / within.len() as f64;
            (!within.is_empty()).then(|| (mean(|point| point.0), mean(|point| point.1)))
        })
        .collect::<Option<_>>()?;
    let grows = means.windows(2).all(|pair| pair[1].1 > pair[0].1);
    let per_second = (means[9].1 - means[0].1) / (means[9].0 - means[0].0);
    let left = (limit.saturating_sub(newest.working_set)) as f64 / per_second;
    (grows && per_second > 0.0 && left < 7200.0).then(|| {
        format!(
            "for {:.0} minutes it has grown by {} a minute, and it reaches the limit of {} in about {:.0} minutes",
            SPAN / 60.0,
            Bytes((per_second * 60.0) as u64),
            Bytes(limit),
            left / 60.0
        )
    })
}

/// More than a fifth of the scheduling periods of the last minute were throttled.
pub(super) fn throttled(facts: &Facts<'_>) -> Option<String> {
    let shares: Vec<f64> = facts.history.last(60.0)?.filter_map(|point| point.throttled).collect();
    let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let cores = facts.newest.cpu.cores;
    (mean > 20.0).then(|| {
        format!(
            "the container had to wait in {mean:.0} % of the last minute's periods; its quota is {cores} processors"
        )
    })
}

/// More than 90 % of the shared memory is in use.
pub(super) fn shared_memory(facts: &Facts<'_>) -> Option<String> {
    let shm = facts.newest.shm.filter(|shm| shm.size > 0)?;
    (shm.used as f64 > 0.9 * shm.size as f64)
        .then(|| format!("{} of {} in /dev/shm are in use", Bytes(shm.used), Bytes(shm.size)))
}

/// More than 95 % of the disk is in use.
pub(super) fn disk(facts: &Facts<'_>) -> Option<String> {
    let disk = facts.newest.disk.filter(|disk| disk.size > 0)?;
    (disk.used as f64 > 0.95 * disk.size as f64)
        .then(|| format!("{} of {} are free", Bytes(disk.free), Bytes(disk.size)))
}
