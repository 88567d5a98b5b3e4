//! An examination of the ranks of this host: their stacks, and their activities.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::HangInput;
use super::activity::{self, Effort, NetworkBytes};
use crate::event::{HostStacks, Process};
use crate::machine::{self, Roots, Traffic, UsageReader};
use crate::supervise::{ProcessEntry, descendants};
use crate::system::files;
use crate::watch::stacks::{self, RankStacks, groups, text};

/// The time between the two readings that show activity.
const BETWEEN: Duration = Duration::from_secs(2);

/// The time limit for each reading of the stacks.
const READ_TIME: Duration = Duration::from_millis(1500);

/// The time limit for writing the file.
const WRITE_TIME: Duration = Duration::from_secs(2);

/// The name of the file with all stacks of this host.
const NAME: &str = "stacks.txt";

/// The result of examining the ranks of this host.
#[derive(Debug, Default)]
pub(super) struct RankInspection {
    /// The stacks of the ranks.
    pub(super) ranks: Vec<RankStacks>,
    /// The part that is reported to other hosts.
    pub(super) found: HostStacks,
}

/// Examines the ranks. Reads their stacks twice if the job may hang, to find out if anything changes.
pub(super) fn inspect(input: &HangInput, begun: Instant, is_hang: bool) -> RankInspection {
    let mut usage = is_hang.then(|| UsageReader::open(&Roots::default(), &input.base));
    let mut network = || {
        let processes = descendants().unwrap_or_default();
        match machine::connections(processes.iter().map(|entry| entry.pid)) {
            Ok(bytes) => NetworkBytes::Connections(bytes),
            Err(_) => {
                let traffic = usage.as_mut().and_then(|reader| reader.read().network);
                NetworkBytes::Interfaces(traffic.map_or(0, |Traffic { received, sent }| received + sent))
            }
        }
    };
    let started = Instant::now();
    let processes = input.processes.ranks();
    let before = is_hang.then(|| Effort::sample(&processes, network()));
    let mut ranks = read(input, processes, begun);
    let mut activities = Vec::new();
    if let Some(before) = before {
        std::thread::sleep(BETWEEN.saturating_sub(started.elapsed()));
        let processes = input.processes.ranks();
        let effort = Effort::sample(&processes, network());
        let now = read(input, processes, begun);
        activities = effort.since(&before);
        activities.extend(activity::of_power((input.gpu_power)()));
        activities.extend(activity::of_stacks(&ranks, &now, &input.code_dir));
        ranks = now;
    }
    let mut of_host = Vec::new();
    groups::merge(&mut of_host, ranks.iter().map(|rank| rank.summary(&input.code_dir)));
    let method = ranks.iter().filter_map(RankStacks::method).max();
    RankInspection { found: HostStacks { method, groups: of_host, activities }, ranks }
}

fn read(input: &HangInput, processes: BTreeMap<usize, Vec<ProcessEntry>>, begun: Instant) -> Vec<RankStacks> {
    let Some(means) = &input.means else { return Vec::new() };
    let pulses = input.pulses.all();
    let silent = |rank: usize| {
        let last = pulses.iter().filter(|(process, _)| *process == Process::Rank(rank)).map(|(_, at)| *at).max();
        let silence = last.map_or(begun.elapsed(), |at| at.elapsed());
        u64::try_from(silence.as_millis()).unwrap_or(u64::MAX)
    };
    stacks::collect(means, processes, silent, Instant::now() + READ_TIME)
}

/// Writes all stacks of this host into a file, after a headline.
pub(super) fn write(input: &HangInput, headline: &str, look: &RankInspection) {
    let Some(folder) = &input.folder else { return };
    let path: PathBuf = folder.join(NAME);
    let groups = text::of_groups(&look.found.groups);
    let content = format!("{headline}\n\n{groups}\n{}", text::of_ranks(&look.ranks, &input.code_dir));
    let (folder, shown) = (folder.clone(), path.display().to_string());
    let written = files::within(WRITE_TIME, move || {
        std::fs::create_dir_all(&folder)?;
        files::create_own(&path)?.write_all(content.as_bytes())
    });
    match written {
        Some(Ok(())) => tracing::info!("the stacks of this host are in {shown}"),
        Some(Err(error)) => tracing::warn!("the stacks cannot be written into {shown}: {error}"),
        None => tracing::warn!("the stacks cannot be written into {shown}: its file system does not answer"),
    }
}
