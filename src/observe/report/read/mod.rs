//! Reading records of every version. A part that is missing, broken or huge does not affect the other parts.

mod folders;
mod lines;
mod node;
mod record;
mod samples;
mod values;

pub(super) use node::Node;

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::ReportError;
use super::model::{HostView, RunStatus, RunView};
use super::words::LATEST;
use crate::system::files;
use lines::ReadLines;
use node::Cleaner;
use samples::SampleReader;
use values::ValueReader;

/// The maximum size of a record, in bytes. One of 5,000 ranks takes about 2 MB.
const RECORD_SIZE: u64 = 8 << 20;

/// The maximum number of problems that are listed.
const MOST_PROBLEMS: usize = 20;

/// A host's record with its folder.
type ReadHost = (HostView, PathBuf);

/// Reads the jobs in some folders. Folders of hosts of one job become one job.
pub(super) fn runs(folders: &[PathBuf]) -> Result<Vec<RunView>, ReportError> {
    let cleaner = Cleaner::default();
    let mut runs: Vec<(String, Vec<ReadHost>, Vec<String>)> = Vec::new();
    for folder in folders {
        let places = folders::hosts(folder);
        if places.is_empty() {
            return Err(ReportError::NoRecord(folder.clone()));
        }
        let (mut hosts, mut problems) = (Vec::new(), Vec::new());
        for place in places {
            match host(&place, &cleaner) {
                Ok(host) => hosts.push((host, place)),
                Err(reason) => problems.push(format!("{}: {reason}", place.join(folders::RECORD).display())),
            }
        }
        if hosts.is_empty() {
            return Err(ReportError::NoReadableRecord(problems.swap_remove(0)));
        }
        match runs.iter_mut().find(|(_, others, _)| is_one_job(others, &hosts)) {
            Some((_, others, other_problems)) => {
                others.append(&mut hosts);
                other_problems.append(&mut problems);
            }
            None => runs.push((folder.display().to_string(), hosts, problems)),
        }
    }
    let runs = runs.into_iter();
    Ok(runs.map(|(place, hosts, problems)| run(cleaner.line(&place), hosts, problems, &cleaner)).collect())
}

/// Returns true if hosts belong to one job of several hosts.
fn is_one_job(some: &[ReadHost], others: &[ReadHost]) -> bool {
    let ([(one, _), ..], [(other, _), ..]) = (some, others) else { return false };
    let is_new = others.iter().all(|(host, _)| some.iter().all(|(known, _)| known.name != host.name));
    one.job.is_some() && one.job == other.job && one.peers.len() > 1 && one.peers == other.peers && is_new
}

/// Reads the record of a host.
fn host(folder: &Path, cleaner: &Cleaner) -> Result<HostView, String> {
    let path = folder.join(folders::RECORD);
    let bytes = files::read(&path, RECORD_SIZE).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    let Some(record) = Node::of(&value).object() else { return Err("it is not a JSON object".to_owned()) };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let written = path.metadata().and_then(|metadata| metadata.modified()).ok();
    let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|time| time.as_secs_f64());
    Ok(HostView { written, ..record::host(&record, &name, cleaner) })
}

/// Makes a job from the records of its hosts, and reads their samples and values.
fn run(place: String, mut hosts: Vec<ReadHost>, mut problems: Vec<String>, cleaner: &Cleaner) -> RunView {
    let order = hosts[0].0.peers.clone();
    let rank = |name: &String| order.iter().position(|host| host == name).unwrap_or(usize::MAX);
    hosts.sort_by_cached_key(|(host, _)| (rank(&host.name), host.name.clone()));
    let span = span(hosts.iter().map(|(host, _)| host));
    let mut samples = SampleReader::new(hosts.len(), span);
    let mut values = ValueReader::default();
    for (host, folder) in &hosts {
        let mut note = |name: &str, read: io::Result<ReadLines>| {
            let path = folder.join(name).display().to_string();
            match read {
                Err(error) => problems.push(format!("{path}: {error}")),
                Ok(read) => {
                    if read.broken > 0 {
                        problems.push(format!("{path}: {} broken lines are left out", read.broken));
                    }
                    if read.is_cut {
                        problems.push(format!("{path}: it is so large that only its beginning was read"));
                    }
                }
            }
        };
        note("resources.jsonl", samples.read(&folder.join("resources.jsonl"), &host.name));
        note("metrics.jsonl", values.read(&folder.join("metrics.jsonl"), &host.name));
    }
    let hosts: Vec<HostView> = hosts.into_iter().map(|(host, _)| host).collect();
    if problems.len() > MOST_PROBLEMS {
        let more = problems.len() - MOST_PROBLEMS;
        problems.truncate(MOST_PROBLEMS);
        problems.push(format!("{more} more files"));
    }
    let is_there: std::collections::BTreeSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let missing = order.iter().filter(|host| !is_there.contains(host.as_str())).cloned().collect();
    RunView {
        missing,
        place,
        span,
        metrics: values.finish(&hosts, cleaner),
        hardware: samples.finish(),
        problems: problems.iter().map(|problem| cleaner.line(problem)).collect(),
        hosts,
    }
}

/// Returns the time from the first to the last event of the records, at least a millisecond.
fn span<'a>(hosts: impl Iterator<Item = &'a HostView> + Clone) -> (f64, f64) {
    let starts = hosts.clone().flat_map(|host| {
        let phases = host.phases.iter().map(|phase| phase.start);
        host.started.into_iter().chain(phases).collect::<Vec<_>>()
    });
    let start = starts.reduce(f64::min).unwrap_or_default();
    let ends = hosts.flat_map(|host| {
        let phases = host.phases.iter().flat_map(|phase| [Some(phase.start), phase.end]).flatten();
        let ranks = host.ranks.iter().flat_map(|rank| [rank.started, rank.ended, rank.last_line]).flatten();
        // If a job was killed together with its footplate, the time of the last version of its record is the only
        // known end.
        let written = host.written.filter(|_| host.ended.is_none() && matches!(host.status, RunStatus::Running));
        host.ended.into_iter().chain(phases).chain(ranks).chain(written).collect::<Vec<_>>()
    });
    let end = ends.filter(|end| *end <= LATEST).reduce(f64::max).unwrap_or(start);
    (start, end.max(start + 1e-3))
}
