//! Rules about the GPUs. All of them inspect the last five minutes.

use std::collections::BTreeMap;

use super::facts::{Facts, GpuPoint, Processes};

/// The time over which the rules look back, in seconds.
const SPAN: f64 = 300.0;

/// The minimum number of samples of a GPU in that time.
const FEWEST: usize = 5;

/// The utilization below which a GPU counts as idle, in per cent.
const IDLE: f64 = 10.0;

/// The mean utilization below which GPUs count as underused, in per cent.
pub(in crate::observe) const UNDERUSED: f64 = 50.0;

/// The samples of each GPU.
struct Seen(BTreeMap<u32, Vec<GpuPoint>>);

impl Seen {
    /// Returns the samples of the last five minutes, if there are enough of them.
    fn of(facts: &Facts<'_>) -> Option<Seen> {
        let mut seen: BTreeMap<u32, Vec<GpuPoint>> = BTreeMap::new();
        for point in facts.history.last(SPAN)?.flat_map(|point| point.gpus.iter()) {
            seen.entry(point.index).or_default().push(*point);
        }
        (!seen.is_empty() && seen.values().all(|points| points.len() >= FEWEST)).then_some(Seen(seen))
    }

    /// Returns the mean of a figure of each GPU. `None` if a GPU does not report it.
    fn means(&self, figure: fn(&GpuPoint) -> Option<f32>) -> Option<BTreeMap<u32, f64>> {
        let mut means = BTreeMap::new();
        for (index, points) in &self.0 {
            let values: Vec<f64> = points.iter().filter_map(figure).map(f64::from).collect();
            if values.len() < FEWEST {
                return None;
            }
            means.insert(*index, values.iter().sum::<f64>() / values.len() as f64);
        }
        Some(means)
    }

    /// Returns the share of a GPU's samples for which `holds` returns true.
    fn share(points: &[GpuPoint], holds: fn(&GpuPoint) -> bool) -> f64 {
        points.iter().filter(|point| holds(point)).count() as f64 / points.len() as f64
    }
}

/// Returns the mean utilization of each GPU.
fn busy(facts: &Facts<'_>) -> Option<BTreeMap<u32, f64>> {
    Seen::of(facts)?.means(|point| point.busy)
}

fn mean(values: &BTreeMap<u32, f64>) -> f64 {
    values.values().sum::<f64>() / values.len().max(1) as f64
}

/// Returns GPUs in words, such as `GPU 1` or `GPUs 1, 2, 3`.
fn named(gpus: &[u32]) -> String {
    let names: Vec<String> = gpus.iter().map(u32::to_string).collect();
    format!("GPU{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// The GPUs wait while the processors are busy.
pub(super) fn wait_for_processors(facts: &Facts<'_>) -> Option<String> {
    let busy = mean(&busy(facts)?);
    let shares: Vec<f64> = facts.history.last(SPAN)?.filter_map(|point| point.processors).collect();
    let processors = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    (busy < UNDERUSED && processors > 90.0).then(|| {
        format!(
            "in five minutes the GPUs were busy {busy:.0} % of the time, while {processors:.0} % of {} processors were in use",
            facts.newest.cpu.cores
        )
    })
}

/// The GPUs wait while ranks are in their data loader.
pub(super) fn wait_for_loader(facts: &Facts<'_>) -> Option<String> {
    if wait_for_processors(facts).is_some() {
        return None;
    }
    let busy = mean(&busy(facts)?);
    let seen: Vec<f64> = facts.history.last(SPAN)?.filter_map(|point| point.in_loader).collect();
    let most = seen.iter().filter(|share| **share > 0.5).count();
    (busy < UNDERUSED && seen.len() >= FEWEST && most * 2 > seen.len()).then(|| {
        let looks = seen.len();
        format!(
            "in five minutes the GPUs were busy {busy:.0} % of the time, and most ranks were in their data loader at {most} \
             of {looks} looks"
        )
    })
}

/// One process uses one of several GPUs.
pub(super) fn used_by_one_process(facts: &Facts<'_>) -> Option<String> {
    if facts.processes == Processes::Several {
        return None;
    }
    let busy = busy(facts)?;
    let used: Vec<u32> = busy.iter().filter(|(_, busy)| **busy >= IDLE).map(|(index, _)| *index).collect();
    let [only] = used[..] else { return None };
    let count = busy.len();
    (count > 1).then(|| format!("this host runs one process, which uses GPU {only} of {count}"))
}

/// GPUs have nothing to do.
pub(super) fn idle(facts: &Facts<'_>) -> Option<String> {
    let explained = [wait_for_processors, wait_for_loader, used_by_one_process];
    if explained.iter().any(|rule| rule(facts).is_some()) {
        return None;
    }
    let busy = busy(facts)?;
    let idle: Vec<u32> = busy.iter().filter(|(_, busy)| **busy < IDLE).map(|(index, _)| *index).collect();
    let most = idle.iter().filter_map(|index| busy.get(index)).fold(0.0, |most: f64, share| most.max(*share));
    (!idle.is_empty()).then(|| {
        let of = if idle.len() < busy.len() { format!(" of {}", busy.len()) } else { String::new() };
        format!("in five minutes {}{of} did nothing for at least {:.0} % of the time", named(&idle), 100.0 - most)
    })
}

/// Busy GPUs use less than half of their memory.
pub(super) fn have_memory_left(facts: &Facts<'_>) -> Option<String> {
    let seen = Seen::of(facts)?;
    let busy = seen.means(|point| point.busy)?;
    seen.means(|point| point.memory)?;
    let most = seen.0.values().flatten().filter_map(|point| point.memory).fold(0.0, f32::max);
    (busy.values().all(|busy| *busy > 80.0) && most < 50.0).then(|| {
        let busy = mean(&busy);
        format!("the GPUs are busy {busy:.0} % of the time and use at most {most:.0} % of their memory")
    })
}

/// The clock of one busy GPU is lower than that of the others.
pub(super) fn one_is_slow(facts: &Facts<'_>) -> Option<String> {
    let seen = Seen::of(facts)?;
    let clocks = seen.means(|point| point.clock)?;
    let busy = seen.means(|point| point.busy)?;
    let (slowest, clock) = clocks.iter().min_by(|one, other| one.1.total_cmp(other.1))?;
    let next = clocks.iter().filter(|(index, _)| *index != slowest).map(|(_, clock)| *clock).reduce(f64::min)?;
    (busy.values().all(|busy| *busy > 50.0) && *clock < 0.9 * next)
        .then(|| format!("GPU {slowest} runs at {clock:.0} MHz, the others at {next:.0} MHz or more"))
}

/// GPUs are slowed down by heat, a power brake or their own protection.
pub(super) fn protect_themselves(facts: &Facts<'_>) -> Option<String> {
    let Seen(seen) = Seen::of(facts)?;
    let share = |points: &[GpuPoint]| Seen::share(points, |point| point.is_protected);
    let slowed: Vec<(u32, f64)> = seen.iter().map(|(index, points)| (*index, share(points))).collect();
    let slowed: Vec<(u32, f64)> = slowed.into_iter().filter(|(_, share)| *share > 0.2).collect();
    let most = slowed.iter().map(|(_, share)| *share).reduce(f64::max)?;
    let gpus: Vec<u32> = slowed.iter().map(|(index, _)| *index).collect();
    Some(format!("{} in up to {:.0} % of the samples of five minutes", named(&gpus), 100.0 * most))
}

/// GPUs run at a much lower clock than they could because of their power limit.
pub(super) fn lack_power(facts: &Facts<'_>) -> Option<String> {
    let seen = Seen::of(facts)?;
    let clocks = seen.means(|point| point.clock_share)?;
    let is_capped = |points: &[GpuPoint]| Seen::share(points, |point| point.is_power_capped) > 0.5;
    let lacking = seen.0.iter().filter(|(index, points)| is_capped(points) && clocks[*index] < 70.0);
    let gpus: Vec<u32> = lacking.map(|(index, _)| *index).collect();
    let least = gpus.iter().map(|index| clocks[index]).reduce(f64::min)?;
    Some(format!("{} at {least:.0} % of the greatest clock in five minutes", named(&gpus)))
}
