//! The hosts of a job as containers of the user's image, run through the command line of Docker or Podman.
//!
//! Every host is a container, as on the platform: it runs the command `train` and sees its folders below `/opt/ml`.
//! An image that has no `train` gets this binary. The hosts share a separate network. However the job ends, all
//! containers and the network are removed, and all files then belong to the owner of the output folder. The [`plan`]
//! is pure; [`engine`] runs its commands in bounded time.

mod engine;
mod part;
mod plan;
mod stopping;

pub use engine::ContainerError;
pub use part::{WORD, play};

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use serde_json::Value;

use super::channels::StagedChannel;
use super::hosts::{self, HostProcess};
use super::job::{GpuGrant, JobImage, LocalJob};
use super::tree;
use crate::cluster;
use crate::job::python::Dict;
use crate::job::settings::{REGISTRY, Settings};
use crate::job::{Paths, Variables};
use crate::launch;
use crate::machine::{self, Bytes, Probe};
use crate::system::files;
use engine::{ContainerEngine, PATIENCE, Preparation, STOPPED_PATIENCE};
use part::{CleanupProcess, Train};
use plan::{ContainerLimits, ContainerPlan, Mount};
use stopping::Stopping;

/// The archive of the code, below the input folder.
const ARCHIVE: &str = "sourcedir.tar.gz";

/// The variable of the secret that the hosts of a job share.
const KEY_VARIABLE: &str = "FOOTPLATE_CLUSTER_KEY";

/// A function that reports progress to the user.
pub(super) type ReportProgress<'t> = &'t dyn Fn(&str);

/// An image that is ready to run a job.
pub(super) struct Ready<'j> {
    job: &'j LocalJob,
    preparation: Preparation,
    plan: ContainerPlan,
    variables: String,
    grace_seconds: u64,
}

/// Returns the path at which the hosts see the archive of the code.
pub(super) fn archive() -> PathBuf {
    Paths::under(Paths::PLATFORM_BASE).input().join(ARCHIVE)
}

/// Puts the archive of the code where each host expects it.
pub(super) fn hand_out(archive: &Path, hosts: &[Paths]) -> Result<()> {
    hosts.iter().try_for_each(|paths| {
        let place = paths.input().join(ARCHIVE);
        fs::hard_link(archive, &place).with_context(|| format!("cannot make {}", place.display()))
    })
}

impl<'j> Ready<'j> {
    /// Finds the engine and the image, and decides which program runs the job in it. Leaves nothing behind.
    pub(super) fn new(job: &'j LocalJob, image: &JobImage, tell: ReportProgress<'_>) -> Result<Ready<'j>> {
        let settings = Settings::read(
            &job.settings,
            &Variables::from_iter(job.variables.iter().map(|(name, value)| (name.clone(), value.clone()))),
            &Dict::default(),
            None,
            &launch::names(),
        )?;
        let variables = plan::variables_file(&variables(job)?)?;
        let engine = ContainerEngine::find(image.engine.as_deref())?;
        let kind = engine.kind;
        let mut preparation = Preparation::new(engine, hosts::signals()?);
        let configuration = fetch(&mut preparation, &image.name, tell)?;
        let binary = std::env::current_exe().context("cannot find footplate's own binary")?;
        let mut plan = ContainerPlan {
            kind,
            id: format!("footplate-{}-{}", std::process::id(), &cluster::random_secret()?[..8]),
            image: image.name.clone(),
            binary: text(&binary)?,
            mounted_as: None,
            limits: limits(image, tell),
            variables: String::new(),
            hosts: Vec::new(),
        };
        let entry_point = configuration["Entrypoint"].as_array().cloned().unwrap_or_default();
        let entry_point: Vec<&str> = entry_point.iter().filter_map(Value::as_str).collect();
        let first = entry_point.first().map(|word| Path::new(word).file_name().unwrap_or_default());
        if first.is_none_or(|name| name != "footplate" && name != "train") {
            let answer = preparation.output(&plan.find_train(part::FIND_TRAIN)).inspect_err(|_| {
                // The container may not exist.
                let _ = preparation.engine.output(&plan.remove_answering(), STOPPED_PATIENCE);
            })?;
            let train = Train::read(&answer);
            match train.with_context(|| format!("cannot search {} for `train`: {answer:?}", image.name))? {
                Train::OfImage(path) => tell(&format!("the image's own {path} runs the job")),
                Train::Missing(path) => {
                    tell(&format!("the image has no `train`: this footplate is mounted as {path}"));
                    plan.mounted_as = Some(path);
                }
            }
            if !entry_point.is_empty() {
                let shown = entry_point.join(" ");
                tell(&format!("the image's ENTRYPOINT, `{shown}`, gets the argument `train`, as on the platform"));
            }
        }
        Ok(Ready { job, preparation, plan, variables, grace_seconds: settings.grace_period.as_secs() })
    }

    /// Runs the hosts until they end, and returns their exit statuses in the order of the hosts. `base` is the job's
    /// folder.
    pub(super) fn run(
        mut self,
        base: &Path,
        folders: &[Paths],
        channels: &[StagedChannel],
        tell: ReportProgress<'_>,
    ) -> Result<Vec<ExitStatus>> {
        let checkpoints = tree::checkpoints(self.job)?;
        for (host, paths) in self.job.host_names().into_iter().zip(folders) {
            open(paths)?;
            self.plan.hosts.push((host, mounts(channels, self.plan.hosts.len(), paths, checkpoints.as_deref())?));
        }
        let variables = base.join("variables");
        let written = files::write_secret(&variables, &self.variables);
        written.with_context(|| format!("cannot write {}", variables.display()))?;
        self.plan.variables = text(&variables)?;

        let given_back = [Some(base), checkpoints.as_deref()];
        let cleaning = cleaning(&self.plan, given_back, self.grace_seconds)?;
        let cleaner =
            CleanupProcess::start(&self.preparation.engine, &cleaning).context("cannot start a second footplate")?;
        let engine = self.preparation.engine.clone();
        let plan = self.plan.clone();
        let ended = self.run_containers(&variables, folders, tell);
        let cleaned = clean_up(&engine, &plan, given_back);
        drop(cleaner);
        for problem in &cleaned {
            tell(problem);
        }
        ended
    }

    /// Creates and runs the network and the containers. The caller removes them.
    fn run_containers(self, variables: &Path, folders: &[Paths], tell: ReportProgress<'_>) -> Result<Vec<ExitStatus>> {
        let Ready { job, mut preparation, plan, .. } = self;
        preparation.output(&plan.create_network())?;
        for host in 0..plan.hosts.len() {
            preparation.output(&plan.create(host))?;
        }
        preparation.go_on()?;
        // The engine has already read the file.
        fs::remove_file(variables).context("cannot remove the file of variables")?;
        let engine = preparation.engine.clone();
        tell(&match plan.hosts.len() {
            1 => format!("starting a container of {} with {}", plan.image, engine.name()),
            count => format!("starting {count} containers of {} with {}", plan.image, engine.name()),
        });
        let processes = plan.hosts.iter().zip(folders).enumerate().map(|(index, ((name, _), paths))| HostProcess {
            name: name.clone(),
            command: engine.command(&plan.start(index)),
            record: paths.record(name),
            failure: paths.failure(),
        });
        let processes = processes.collect();
        let stopping = Stopping::new(engine, plan, self.grace_seconds);
        let ended = hosts::run(&job.name, processes, preparation.into_signals(), &stopping)?;
        match stopping.not_started() {
            Some(error) => Err(error.into()),
            None => Ok(ended),
        }
    }
}

/// Downloads the image if this machine does not have it, and returns its configuration.
fn fetch(preparation: &mut Preparation, image: &str, tell: ReportProgress<'_>) -> Result<Value> {
    if image.is_empty() || image.starts_with('-') {
        bail!("{image:?} is not the name of an image");
    }
    let look = plan::inspect_image(image);
    let found = match preparation.output(&look) {
        Err(ContainerError::Refused { .. }) => {
            let engine = preparation.engine.name();
            tell(&format!("{engine} pulls {image}, which is not on this machine"));
            let is_quiet = !std::io::IsTerminal::is_terminal(&std::io::stderr());
            match preparation.show(&plan::pull(image, is_quiet)).with_context(|| format!("cannot run {engine}"))? {
                Ok(status) if status.success() => preparation.output(&look)?,
                Ok(status) => return Err(ContainerError::NoImage { engine, image: image.to_owned(), status }.into()),
                Err(signal) => return Err(ContainerError::Stopped(signal).into()),
            }
        }
        found => found?,
    };
    serde_json::from_str(&found)
        .with_context(|| format!("the engine describes {image} as {found:?}, which is not JSON"))
}

/// Returns the limits of the containers, and tells the user in which respects this machine is smaller than the
/// instance.
fn limits(image: &JobImage, tell: ReportProgress<'_>) -> ContainerLimits {
    let gpus = || Probe::examine(&Variables::of_this_process(), "", "").query_programs().gpus;
    limits_on(machine::machine_memory(&machine::Roots::default()), gpus, image, tell)
}

/// Returns the limits on a machine with this memory and this number of GPUs.
fn limits_on(
    has: Option<u64>,
    gpus: impl FnOnce() -> usize,
    image: &JobImage,
    tell: ReportProgress<'_>,
) -> ContainerLimits {
    let of_type = image.instance_type.as_deref();
    let mut memory = image.memory;
    if let (None, Some(name)) = (memory, of_type) {
        match machine::memory(name) {
            None => tell(&format!("the memory of {name} is not known: there is no limit, unless --memory sets one")),
            Some(wanted) if has.is_some_and(|has| has < wanted) => {
                let has = Bytes(has.unwrap_or_default());
                tell(&format!("{name} has {}, and this machine only {has}: there is no limit", Bytes(wanted)));
            }
            wanted => memory = wanted,
        }
    }
    // This is as for processes on this machine, and unlike the 64 MB of the engines.
    let shared_memory = image.shared_memory.or(memory.or(has).map(|memory| memory / 2));
    let gpus = image.gpus.unwrap_or_else(|| {
        let here = gpus();
        match of_type.and_then(machine::accelerators) {
            Some(wanted) if wanted.gpus > here => {
                let name = of_type.unwrap_or_default();
                tell(&format!(
                    "{name} has {} GPUs, and this machine {here} (--gpus-per-host imitates more)",
                    wanted.gpus
                ));
                GpuGrant::Some(here)
            }
            Some(wanted) => GpuGrant::Some(wanted.gpus),
            None if here == 0 => GpuGrant::Some(0),
            None => GpuGrant::All,
        }
    });
    ContainerLimits { memory, shared_memory, gpus }
}

/// Returns the variables of the containers. Settings are passed as variables, which footplate treats like options.
fn variables(job: &LocalJob) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    if job.hosts > 1 {
        found.insert(KEY_VARIABLE.to_owned(), cluster::random_secret().context("cannot make a key for the hosts")?);
        found.insert("FOOTPLATE_LOG_PREFIX".to_owned(), "on".to_owned());
    }
    found.extend(job.variables.iter().cloned());
    found.insert("TRAINING_JOB_NAME".to_owned(), job.name.clone());
    if let Some(gpus) = job.gpus_per_host {
        found.insert("FOOTPLATE_GPUS".to_owned(), gpus.to_string());
    }
    for (name, value) in &job.settings {
        let setting = REGISTRY.iter().find(|setting| setting.name == name);
        found.extend(setting.map(|setting| (setting.variable(), value.clone())));
    }
    Ok(found)
}

/// Returns the mounts of a host. The folder `/opt/ml` itself stays the image's, because its code may be baked in there.
fn mounts(channels: &[StagedChannel], index: usize, paths: &Paths, checkpoints: Option<&Path>) -> Result<Vec<Mount>> {
    let inside = Paths::under(Paths::PLATFORM_BASE);
    let mut found = Vec::new();
    for folder in [Paths::input, Paths::model, Paths::output] {
        found.push(Mount::new(text(&folder(paths))?, text(&folder(&inside))?));
    }
    for channel in channels {
        let Some(channel) = tree::channel(channel, index, paths)? else { continue };
        let place = channel.place.strip_prefix(paths.base()).context("a channel is in the job's folder")?;
        found.push(Mount::read_only(text(&channel.data)?, text(&inside.base().join(place))?));
    }
    if let Some(folder) = checkpoints {
        found.push(Mount::new(text(folder)?, text(&inside.checkpoints())?));
    }
    Ok(found)
}

/// Lets every user of the image read the input and write results. Outside of the containers, the job's folder keeps others out.
fn open(paths: &Paths) -> Result<()> {
    let mut folders = vec![paths.input()];
    while let Some(folder) = folders.pop() {
        permit(&folder, 0o755)?;
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else {
                permit(&entry.path(), 0o644)?;
            }
        }
    }
    [paths.model(), paths.output(), paths.output_data()].iter().try_for_each(|folder| permit(folder, 0o777))
}

fn permit(path: &Path, mode: u32) -> Result<()> {
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.with_context(|| format!("cannot change the permissions of {}", path.display()))
}

/// Returns the commands that clean up after a footplate that was killed, each with its time limit in seconds.
fn cleaning(plan: &ContainerPlan, folders: [Option<&Path>; 2], grace: u64) -> Result<Vec<(plan::Words, u64)>> {
    let patience = PATIENCE.as_secs();
    let time = grace + stopping::EXTRA_SECONDS;
    let mut found = vec![(plan.stop(time), time + patience), (plan.remove(), patience)];
    if !geteuid().is_root() {
        found.push((give_back_words(plan, folders)?, patience));
    }
    found.push((plan.remove_network(), patience));
    Ok(found)
}

fn give_back_words(plan: &ContainerPlan, folders: [Option<&Path>; 2]) -> Result<plan::Words> {
    let [folder, checkpoints] = folders.map(|folder| folder.map(text).transpose());
    Ok(plan.give_back(&folder?.unwrap_or_default(), checkpoints?.as_deref(), part::GIVE_BACK))
}

/// Removes the containers and the network, and returns all files to their owner. Returns the problems, which do not
/// affect the job.
fn clean_up(engine: &ContainerEngine, plan: &ContainerPlan, folders: [Option<&Path>; 2]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut tried = |words: plan::Words| {
        if let Err(error) = engine.output(&words, PATIENCE)
            && !is_gone(&error)
        {
            problems.push(format!("{error}; clean up with `{} {}`", engine.name(), words.join(" ")));
        }
    };
    tried(plan.remove());
    tried(plan.remove_network());
    for folder in folders.into_iter().flatten() {
        let given = match part::give_back(folder) {
            Err(_) if geteuid().is_root() => continue,
            given => given,
        };
        if given.is_err() || part::has_foreign_files(folder) {
            match give_back_words(plan, folders) {
                Ok(words) => {
                    tried(words);
                    // The container is already gone if it has ended.
                    tried(plan.remove_answering());
                }
                Err(error) => problems.push(format!("{error:#}")),
            }
            break;
        }
    }
    problems
}

/// Returns true if the engine reports that the object to remove does not exist.
fn is_gone(error: &ContainerError) -> bool {
    matches!(error, ContainerError::Refused { said, .. } if said.to_lowercase().contains("no such") || said.contains("not found"))
}

/// Returns a path as text, because the engine's commands are text.
fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("the path {} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{ContainerLimits, GpuGrant, JobImage, limits_on};

    const GIB: u64 = 1 << 30;

    /// Returns the limits on a machine of 64 GiB, and what the user is told.
    fn of(image: JobImage, gpus: usize) -> (ContainerLimits, Vec<String>) {
        let told = RefCell::new(Vec::new());
        let limits = limits_on(Some(64 * GIB), || gpus, &image, &|said| told.borrow_mut().push(said.to_owned()));
        (limits, told.into_inner())
    }

    #[test]
    fn the_instance_type_gives_the_limits_that_the_user_leaves_open() {
        let of_type = |name: &str| JobImage { instance_type: Some(name.to_owned()), ..JobImage::default() };
        let limits = |memory, shared_memory, gpus| ContainerLimits { memory, shared_memory, gpus };
        let none = Vec::<String>::new();
        for (image, gpus, expected, told) in [
            (JobImage::default(), 0, limits(None, Some(32 * GIB), GpuGrant::Some(0)), none.clone()),
            (JobImage::default(), 2, limits(None, Some(32 * GIB), GpuGrant::All), none.clone()),
            (of_type("ml.m5.xlarge"), 2, limits(Some(16 * GIB), Some(8 * GIB), GpuGrant::Some(0)), none.clone()),
            (of_type("ml.g5.xlarge"), 2, limits(Some(16 * GIB), Some(8 * GIB), GpuGrant::Some(1)), none.clone()),
            (
                JobImage { memory: Some(GIB), ..of_type("ml.m5.xlarge") },
                0,
                limits(Some(GIB), Some(GIB / 2), GpuGrant::Some(0)),
                none.clone(),
            ),
            (
                JobImage { shared_memory: Some(GIB), gpus: Some(GpuGrant::All), ..of_type("ml.m5.xlarge") },
                0,
                limits(Some(16 * GIB), Some(GIB), GpuGrant::All),
                none,
            ),
            (
                of_type("ml.g5.12xlarge"),
                1,
                limits(None, Some(32 * GIB), GpuGrant::Some(1)),
                vec![
                    "ml.g5.12xlarge has 192.0 GiB, and this machine only 64.0 GiB: there is no limit".to_owned(),
                    "ml.g5.12xlarge has 4 GPUs, and this machine 1 (--gpus-per-host imitates more)".to_owned(),
                ],
            ),
            (
                of_type("ml.new.xlarge"),
                0,
                limits(None, Some(32 * GIB), GpuGrant::Some(0)),
                vec![
                    "the memory of ml.new.xlarge is not known: there is no limit, unless --memory sets one".to_owned(),
                ],
            ),
        ] {
            assert_eq!(of(image.clone(), gpus), (expected, told), "{image:?}");
        }
    }
}
