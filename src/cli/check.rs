//! `footplate check`: finds problems that would make a job fail, before they cost anything, and prints remedies.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use clap::{ArgMatches, Command};
use nix::unistd::{AccessFlags, access};

use crate::job::Variables;
use crate::job::config;
use crate::job::settings::RequirementsChoice;
use crate::launch::{self, Image, LaunchInput, ListeningPort, LongSocketFolder};
use crate::machine::{Bytes, FileSystem, Hardware, SHARED_MEMORY};
use crate::redact::{Redactor, visible};
use crate::run::{self, Outcome, Prepared};
use crate::system::resolve;

/// The size of shared memory, in bytes, below which `check` warns. PyTorch's data loaders pass batches through it, and Docker's
/// default of 64 MiB is too small for most.
const LEAST_SHARED_MEMORY: u64 = 1 << 30;

/// The free space of a disk, in bytes, below which `check` warns.
const LEAST_DISK: u64 = 1 << 30;

pub(super) fn command() -> Command {
    Command::new("check")
        .about(
            "Find problems before a job starts: configuration, interpreter, launcher, GPUs, hosts' names, shared memory, disk",
        )
        .after_help("The exit code is 1 if a job would fail, else 0.")
        .arg(super::common::settings_option())
}

/// The result of one check.
enum CheckResult {
    /// No problem. Holds a description of the facts that were found.
    Fine(String),
    /// A problem that may make the job fail. Holds a description and advice.
    Doubtful(String, &'static str),
    /// A problem that makes the job fail. Holds a description with advice.
    Wrong(String),
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let variables = Variables::of_this_process();
    let paths = config::paths_here(&variables);
    let settings = super::common::options(matches).settings;
    let mut findings = Vec::new();
    let mut redactor = Redactor::new(variables.texts());
    match super::here::with_frameworks(&variables, &settings, false) {
        Ok(prepared) => {
            redactor = run::redactor(&variables, &prepared.job.all_hyperparameters);
            findings.push(("configuration", CheckResult::Fine(format!("in {}", paths.config().display()))));
            findings.extend(job(&prepared, &variables));
            findings.extend(names(&prepared).map(|finding| ("hosts", finding)));
        }
        Err(outcome) => findings.push(("configuration", wrong(&outcome, &redactor))),
    }
    for path in [paths.output(), paths.model(), std::env::temp_dir()] {
        findings.push(("disk", disk(&path)));
    }
    findings.push(("shared memory", shared_memory()));
    let mut text = String::new();
    for (name, finding) in &findings {
        let (mark, said) = match finding {
            CheckResult::Fine(said) => ("ok   ", said.clone()),
            CheckResult::Doubtful(said, remedy) => ("warn ", format!("{said}: {remedy}")),
            CheckResult::Wrong(said) => ("FAIL ", said.clone()),
        };
        text.push_str(&format!("{mark} {name:<14} {}\n", visible(&redactor.clean(&said))));
    }
    super::common::print(&text);
    i32::from(findings.iter().any(|(_, finding)| matches!(finding, CheckResult::Wrong(_))))
}

fn wrong(outcome: &Outcome, redactor: &Redactor) -> CheckResult {
    let text = outcome.failure_text(redactor).unwrap_or_default();
    CheckResult::Wrong(text.lines().next().unwrap_or_default().to_owned())
}

fn job(prepared: &Prepared, variables: &Variables) -> Vec<(&'static str, CheckResult)> {
    let job = &prepared.job;
    let redactor = Redactor::default();
    let mut findings = Vec::new();
    let entry = run::entry_of(job, variables);
    let needs_python = entry.as_ref().map_or(true, |(entry, _)| run::needs_python(entry));
    findings.push(match &entry {
        Ok(_) => ("entry point", CheckResult::Fine(job.entry_name().unwrap_or_default().to_owned())),
        // The entry point comes with the job's code.
        Err(_) if job.request.submit_directory.is_some() && job.entry_name().is_some() => (
            "entry point",
            CheckResult::Fine(format!("{}, whose code is not fetched yet", job.entry_name().unwrap_or_default())),
        ),
        Err(outcome) => ("entry point", wrong(outcome, &redactor)),
    });
    let image = match run::image(prepared, variables, needs_python) {
        Ok((image, said)) => {
            let none = || "none, and none is needed".to_owned();
            findings.push(("python", CheckResult::Fine(image.python.as_ref().map_or_else(none, |_| said))));
            image
        }
        Err(outcome) => {
            findings.push(("python", wrong(&outcome, &redactor)));
            // The checks continue as if there were a Python, to find further problems.
            Image { python: Some("python3".into()), ..Image::default() }
        }
    };
    let misspelt = |warning: &String| ("setting", CheckResult::Doubtful(warning.clone(), "correct the name"));
    findings.extend(prepared.warnings.iter().map(misspelt));
    if let Ok((mut entry, point)) = entry
        && let Err(outcome) = run::find_runner(&mut entry, point.as_ref(), true, variables, image.python.as_deref())
    {
        findings[0].1 = wrong(&outcome, &redactor);
    }
    let hardware = run::hardware(prepared, variables);
    findings.push(("launcher", launcher(prepared, variables, &hardware, &image)));
    findings.extend(module(prepared, &image).map(|finding| ("module", finding)));
    findings.extend(ports(prepared));
    findings.extend(services(prepared, variables));
    let Hardware { cpus, gpus, neuron_cores, efa, .. } = hardware;
    let efa = if efa { ", EFA" } else { "" };
    let said = format!("{cpus} processors, {gpus} GPUs, {neuron_cores} Neuron cores{efa}");
    findings.push(match (gpus, has_gpus(&job.cluster.instance_type)) {
        (0, true) => (
            "hardware",
            CheckResult::Doubtful(
                format!("{said}, although {} has GPUs", job.cluster.instance_type),
                "run the container with --gpus all, and set NVIDIA_VISIBLE_DEVICES=all",
            ),
        ),
        _ => ("hardware", CheckResult::Fine(said)),
    });
    findings
}

/// Checks that the names of the job's other hosts have addresses. A name that is missing now may exist when the job
/// starts, because each name appears with its container.
fn names(prepared: &Prepared) -> Option<CheckResult> {
    let cluster = &prepared.job.cluster;
    let others: Vec<String> = cluster.hosts.iter().filter(|host| **host != cluster.current_host).cloned().collect();
    if others.is_empty() {
        return None;
    }
    let given = &prepared.settings.host_addresses;
    let requested: Vec<String> = others.iter().filter(|host| !given.contains_key(*host)).cloned().collect();
    let errors = match resolve::lookup_all(requested) {
        Ok(errors) => errors,
        Err(error) => return Some(CheckResult::Doubtful(error.to_string(), "no name can be looked up")),
    };
    Some(match errors.as_slice() {
        [] if others.len() == 1 => CheckResult::Fine(format!("{} has an address", others[0])),
        [] => CheckResult::Fine(format!("the {} other hosts have addresses", others.len())),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" ({} more like it)", rest.len()) };
            CheckResult::Doubtful(
                format!("{first}{more}"),
                "if its container runs already, put all containers on one network, or set FOOTPLATE_HOST_ADDRESSES",
            )
        }
    })
}

/// Checks that this host can launch the processes that the job requests.
fn launcher(prepared: &Prepared, variables: &Variables, hardware: &Hardware, image: &Image) -> CheckResult {
    let Prepared { job, settings, .. } = prepared;
    let planned = match super::plan::entry(prepared, variables) {
        Ok((entry, _)) => {
            let input =
                LaunchInput { job, settings, variables, hardware, image, entry: &entry, arguments: &[], token: "" };
            launch::plan(&input).and_then(|_| launch::choose(job, settings))
        }
        // The problem with the entry point is reported by its own check.
        Err(_) => launch::choose(job, settings),
    };
    planned
        .map_or_else(|error| CheckResult::Wrong(error.to_string()), |engine| CheckResult::Fine(engine.title.to_owned()))
}

/// Checks that the image's Python has the module that the launcher needs. A missing module may be part of the job's
/// code.
fn module(prepared: &Prepared, image: &Image) -> Option<CheckResult> {
    let Prepared { job, settings, .. } = prepared;
    let engine = launch::choose(job, settings).ok()?;
    if engine.modules.is_empty() {
        return None;
    }
    let code_dir = job.code_dir();
    let is_complete = job.request.submit_directory.is_none() && !code_dir.join("requirements.txt").exists();
    Some(match run::missing_module(engine, image.python.as_deref(), &code_dir) {
        None => {
            let names: Vec<&str> = engine.modules.iter().map(|module| module.name).collect();
            CheckResult::Fine(format!("Python has {}", names.join(" or ")))
        }
        Some(problem) if is_complete && settings.requirements == RequirementsChoice::Default => {
            CheckResult::Wrong(problem)
        }
        Some(problem) => CheckResult::Doubtful(problem, "unless the job's requirements bring it"),
    })
}

/// Checks that no other program has a port at which a process of the launch will listen on this host.
fn ports(prepared: &Prepared) -> Vec<(&'static str, CheckResult)> {
    let Prepared { job, settings, .. } = prepared;
    let Ok(engine) = launch::choose(job, settings) else { return Vec::new() };
    // In a job whose hosts all run on one machine, each host has its own address.
    let address =
        settings.host_addresses.get(&job.cluster.current_host).copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let is_taken = |port: &ListeningPort| {
        let bound = TcpListener::bind((address, port.number));
        bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    let (taken, free): (Vec<_>, Vec<_>) = (engine.ports)(job, settings).into_iter().partition(is_taken);
    let mut findings: Vec<_> = taken
        .into_iter()
        .map(|ListeningPort { number, setting }| {
            let changed = setting.map_or_else(String::new, |setting| format!(" ({setting} changes it)"));
            let said = format!("another program has port {number} of this machine, which {engine} needs{changed}");
            ("ports", CheckResult::Doubtful(said, "end it before the job starts"))
        })
        .collect();
    if !free.is_empty() {
        let numbers: Vec<String> = free.iter().map(|port| port.number.to_string()).collect();
        findings.push(("ports", CheckResult::Fine(format!("{} free for {engine}", numbers.join(", ")))));
    }
    findings
}

/// Checks that this machine has the shared memory and the short paths that Ray needs.
fn services(prepared: &Prepared, variables: &Variables) -> Vec<(&'static str, CheckResult)> {
    let Prepared { job, settings, .. } = prepared;
    let mut findings = Vec::new();
    if !launch::choose(job, settings).is_ok_and(|engine| engine.name == "ray") {
        return findings;
    }
    if let Some(LongSocketFolder { source, limit, replacement }) = launch::long_socket_folder(settings, variables) {
        let said = format!("the path in {source} is longer than {limit} bytes, which is too long for Ray's sockets");
        findings.push((
            "ray",
            match replacement {
                Some(folder) => CheckResult::Fine(format!("{said}: they are in {folder}")),
                None => CheckResult::Doubtful(said, "use a shorter path, such as /tmp/ray"),
            },
        ));
    }
    let shared = FileSystem::of(Path::new(SHARED_MEMORY)).map_or(0, |found| found.total_bytes);
    if shared < LEAST_SHARED_MEMORY {
        let said =
            format!("Ray keeps its objects in {SHARED_MEMORY}, which has {}, and on disk beyond that", Bytes(shared));
        findings.push(("ray", CheckResult::Doubtful(said, "docker run --shm-size with 30 % of the memory")));
    }
    findings
}

/// Returns true if the family of an instance type, such as `ml.p4d.24xlarge` or `ml.g5.xlarge`, is one with NVIDIA GPUs.
fn has_gpus(instance_type: &str) -> bool {
    let family = instance_type.strip_prefix("ml.").and_then(|rest| rest.split('.').next()).unwrap_or_default();
    let mut letters = family.chars();
    matches!(letters.next(), Some('p' | 'g')) && letters.next().is_some_and(|c| c.is_ascii_digit())
}

/// Checks that a folder exists or can be created, is writable, and has space.
fn disk(path: &Path) -> CheckResult {
    let shown = path.display();
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !existing.is_dir() {
        return CheckResult::Wrong(format!("{shown} cannot be a folder: {} is a file; remove it", existing.display()));
    }
    if access(existing, AccessFlags::W_OK).is_err() {
        return CheckResult::Wrong(format!(
            "{shown} cannot be written by this user: give the container a writable one"
        ));
    }
    match FileSystem::of(existing) {
        Ok(FileSystem { free_bytes, .. }) => {
            let said = format!("{shown} has {} free", Bytes(free_bytes));
            if free_bytes < LEAST_DISK {
                CheckResult::Doubtful(said, "ask for a larger volume")
            } else {
                CheckResult::Fine(said)
            }
        }
        Err(error) => CheckResult::Doubtful(format!("{shown}: {error}"), "mount it"),
    }
}

fn shared_memory() -> CheckResult {
    match FileSystem::of(Path::new(SHARED_MEMORY)) {
        Ok(FileSystem { total_bytes, .. }) => {
            let said = format!("{SHARED_MEMORY} has {}", Bytes(total_bytes));
            if total_bytes < LEAST_SHARED_MEMORY {
                CheckResult::Doubtful(said, "data loaders with workers need more: docker run --shm-size 8g")
            } else {
                CheckResult::Fine(said)
            }
        }
        Err(error) => CheckResult::Doubtful(format!("{SHARED_MEMORY}: {error}"), "data loaders with workers need it"),
    }
}
