//! The watch for hangs: its parts on this host, its connection to the other hosts, and its effect on the outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use super::context::Context;
use super::judge::Ended;
use super::link::{ConnectedHosts, PeerLink};
use super::live::Live;
use super::{Outcome, Prepared};
use crate::cluster::{Connection, PeerSender, View};
use crate::event::{Cause, WatchNote};
use crate::job::settings::StackChoice;
use crate::supervise::MainCodeProbe;
use crate::system::files;
use crate::watch::flight_recorder;
use crate::watch::hang::{HangInput, HangWatch, HostPlace, LogRules, WatchPeers};
use crate::watch::stacks::{self, Hook, RankProcesses, StackMeans};

/// The variable with the folders in which Python searches for modules.
const PYTHON_PATH: &str = "PYTHONPATH";

/// The time limit for copying the files of the flight recorder.
const KEEP_TIME: Duration = Duration::from_secs(10);

/// The connection to the watches of other hosts.
struct WatchLink {
    peer_sender: PeerSender,
    view: Receiver<View>,
    is_leader: bool,
    connected: ConnectedHosts,
}

impl WatchLink {
    fn of(peers: &PeerLink) -> WatchLink {
        WatchLink {
            peer_sender: peers.cluster.sender().clone(),
            view: peers.cluster.view(),
            connected: peers.connected.clone(),
            is_leader: peers.is_leader,
        }
    }
}

impl WatchPeers for WatchLink {
    fn place(&self) -> HostPlace {
        match (self.view.borrow().link, self.is_leader) {
            (Connection::Apart, _) => HostPlace::Alone,
            (Connection::Connected, true) => HostPlace::Leader,
            (Connection::Connected, false) => HostPlace::Follower,
        }
    }

    fn connected(&self) -> BTreeSet<String> {
        self.connected.now()
    }

    fn send(&self, host: Option<&str>, note: WatchNote) {
        self.peer_sender.watch(host, note);
    }
}

/// Lets Python answer a signal with its stacks, if the user allows it. To do so, puts one of footplate's folders
/// first in the script's `PYTHONPATH`.
pub(super) fn hook(live: &mut Live, prepared: &Prepared, variables: &mut BTreeMap<OsString, OsString>) -> Option<Hook> {
    if prepared.settings.stacks != StackChoice::Signal {
        return None;
    }
    let installed = live.scratch.path().and_then(|folder| Hook::install(folder.join("stacks")));
    let hook = installed.map_err(|error| tracing::warn!("Python cannot be asked for its stacks: {error}")).ok()?;
    let mut path = hook.folder().as_os_str().to_owned();
    if let Some(given) = variables.get(OsStr::new(PYTHON_PATH)).filter(|given| !given.is_empty()) {
        path.push(":");
        path.push(given);
    }
    variables.insert(PYTHON_PATH.into(), path);
    Some(hook)
}

/// Begins the watch, before the script starts.
pub(super) fn begin(live: &mut Live, prepared: &Prepared, code_dir: &Path, hook: Option<Hook>) {
    let settings = &prepared.settings;
    let job = &prepared.job;
    let is_read = settings.stacks != StackChoice::Off;
    let (metrics, resources) = (live.metrics.clone(), live.resources.clone());
    let folder = live.record.as_ref().map(|_| job.paths.record(&job.cluster.current_host));
    live.evidence_folder.clone_from(&folder);
    let input = HangInput {
        timeout: settings.hang_timeout,
        means: is_read.then_some(StackMeans { hook }),
        host: job.cluster.current_host.clone(),
        folder: folder.clone(),
        code_dir: code_dir.to_owned(),
        base: job.paths.base().to_owned(),
        processes: RankProcesses::subscribe(&live.events),
        pulses: live.supervisor.pulses(),
        rules: rules(live, prepared, code_dir),
        has_metric: Box::new(move || {
            metrics.as_ref().is_some_and(|metrics| metrics.summaries().iter().any(|(_, metric)| metric.count > 0))
        }),
        gpu_power: Box::new(move || resources.as_ref()?.latest()?.power_share()),
        checkpoints: live.checkpoints.as_ref().map(|folder| folder.watch.clone()),
        grace_period: settings.grace_period,
        peers: live.peers.as_ref().map(|peers| Box::new(WatchLink::of(peers)) as Box<dyn WatchPeers>),
    };
    match HangWatch::begin(input, &live.events) {
        Ok(watch) => {
            if is_read {
                live.supervisor.answer_quit();
                live.supervisor.see_main_code(MainCodeProbe(Box::new(stacks::main_code)));
            }
            live.hang = Some(watch);
        }
        Err(error) => tracing::warn!("hangs are not noticed: no descriptor can be opened ({error})"),
    }
}

/// Reads the rules about the job's lines, if it has any.
fn rules(live: &Live, prepared: &Prepared, code_dir: &Path) -> Option<LogRules> {
    let path = code_dir.join(prepared.settings.log_rules.as_ref()?);
    let mut warnings = Vec::new();
    let read = files::text(&path, files::TEXT_SIZE).map_err(|error| error.to_string());
    let rules = read.and_then(|text| LogRules::begin(&text, &mut warnings));
    let rules = rules.unwrap_or_else(|error| {
        warnings.push(format!("the log rules in {} are not used: {error}", path.display()));
        None
    });
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(rules) = &rules {
        live.supervisor.tap(rules.tap());
    }
    rules
}

/// Keeps the files of the flight recorder for NCCL, if the recorder is turned on in this job.
async fn keep_flight_recorder(context: &Context, live: &mut Live) {
    let (Some(prefix), Some(folder)) = (flight_recorder::prefix(&context.variables), live.evidence_folder.clone())
    else {
        return;
    };
    let (since, folder) = (live.timeline.begun().wall, folder.join("nccl"));
    let kept = live.supervisor.run_at_end(KEEP_TIME, move || flight_recorder::keep(&prefix, since, &folder)).await;
    match kept {
        Some(Ok(0)) => {}
        Some(Ok(count)) => tracing::info!("{count} files of NCCL's flight recorder are kept"),
        Some(Err(error)) => tracing::warn!("the files of NCCL's flight recorder are not kept: {error}"),
        None => tracing::warn!("the files of NCCL's flight recorder are not kept: a file system does not answer"),
    }
}

/// Makes a hang of this attempt the reason why it ended, however its processes ended.
pub(super) fn judge(live: &Live, ended: Ended) -> Ended {
    match live.hang.as_ref().and_then(HangWatch::verdict) {
        Some(cause) => caused_by(cause, ended),
        None => ended,
    }
}

/// Returns the end with a hang as its cause. A stop that somebody else asked for is left as it is, and so is the end
/// that already has this cause, to which the number of attempts may have been added.
fn caused_by(hang: Cause, ended: Ended) -> Ended {
    match &ended.outcome {
        Outcome::Failed(known) if known.headline == hang.headline => ended,
        _ if ended.was_stopped => ended,
        _ => Ended { outcome: Outcome::Failed(Box::new(hang)), only_followed: false, ..ended },
    }
}

/// Ends the watch. If the job was found to hang, the hang becomes the reason why it ended, however its processes
/// ended.
pub(super) async fn end(context: &Context, live: &mut Live, ended: Ended) -> Ended {
    let ended = match live.hang.take().and_then(HangWatch::finish) {
        Some(cause) => caused_by(cause, ended),
        None => ended,
    };
    if !matches!(ended.outcome, Outcome::Succeeded) {
        keep_flight_recorder(context, live).await;
    }
    ended
}
