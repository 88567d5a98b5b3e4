//! Ray: a head on one host and a worker on each other host. The script runs beside the head, and `ray.init()` finds it.

use super::engine::{Engine, Profile, PythonModule, Services, locate_nothing};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::plan::{EndTraits, LaunchPlan, ReadySign};
use super::ports::ListeningPort;
use super::service::{ServiceName, service, with_port};
use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts a Ray cluster.
pub(super) static RAY: Engine = Engine {
    name: "ray",
    title: "a Ray cluster",
    summary: "a Ray head on one host and a Ray worker on each other; the script runs beside the head",
    needs: "Ray",
    script: "`ray.init()`",
    flags: &[],
    variables: &[
        Variable::new("RAY_ADDRESS", "The address of the head, for the script, under `ray`."),
        Variable::new("RAY_AUTH_MODE", "`token` under `ray`: nobody without the job's token can use the cluster."),
        Variable::new("RAY_AUTH_TOKEN", "The token, which follows from `FOOTPLATE_CLUSTER_KEY`, under `ray`."),
        Variable::new("RAY_USAGE_STATS_ENABLED", "`0` under `ray`: Ray reports to nobody."),
        Variable::new("RAY_COLOR_PREFIX", "`0` under `ray`: lines of tasks have no colours."),
        Variable::new("RAY_DEDUP_LOGS", "`0` under `ray`: each line of a task reaches the log."),
        Variable::new("RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "`0` under `ray`: the services end at once."),
        Variable::new(
            START_TIME,
            "`60` under `ray`: the seconds after which a node that the head does not know starts again.",
        ),
    ],
    modules: &[PythonModule { name: "ray", package: "ray" }],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::OfManyHosts,
    ports: listening_ports,
    task_log: None,
    locate: locate_nothing,
    further_profile,
    plan,
};

/// The port of the head.
const PORT: u16 = 6379;

const HEAD: ServiceName = ServiceName { name: "ray-head", title: "the Ray head" };
const WORKER: ServiceName = ServiceName { name: "ray-worker", title: "the Ray worker" };

/// The options of `ray start` that a worker refuses.
const HEAD_OPTIONS: [&str; 2] = ["--redis-shard-ports", "--include-dashboard"];

/// The options of `ray start` that footplate sets itself, so that the hosts find each other.
const OWN_OPTIONS: [&str; 3] = ["--head", "--address", "--port"];

/// The line that a node prints once it is in the head's table of nodes.
const READY: ReadySign = ReadySign::Line { text: "Ray runtime started", times: 1 };

/// The folder in which Ray stores its sockets if the path of the job's temporary folder is too long.
const SHORT_FOLDER: &str = "/tmp/ray";

/// The maximum length of the path of the temporary folder, in bytes: a socket's path has at most 107, and Ray adds about 70.
const LONGEST_FOLDER: usize = 36;

/// The option of `ray start` that names the folder, and the part of it that Ray adds to a temporary folder.
const FOLDER_OPTION: &str = "--temp-dir";
const FOLDER_NAME: &str = "/ray";

/// The minimum size of Ray's object store, in bytes.
const LEAST_STORE: u64 = 80_000_000;

fn further_profile(_: &Job, settings: &Settings) -> Profile {
    Profile::from([("ray_head_group", settings.ray_head_group.clone().unwrap_or_default())])
}

/// The program that starts a node. A worker's program starts at the same time as the head's, because most of its work
/// does not need the head.
const NODE: &str = include_str!("ray_node.py");

/// The variable with the time limit, in seconds, within which a node must register with the head. A raylet waits for
/// four ports of its agents, 15 s for each, so that it is ready or dead after 60 s.
const START_TIME: &str = "RAY_raylet_start_wait_time_s";
const START_SECONDS: &str = "60";

/// Returns the host of the head: the first one of the group in the settings, else the first one of the launch.
fn head(job: &Job, settings: &Settings) -> Result<String, LaunchError> {
    let nodes = job.nodes();
    let Some(name) = &settings.ray_head_group else { return Ok(job.master()) };
    let groups = &job.cluster.groups;
    let named = groups.iter().find(|group| group.name == *name);
    let found = named.and_then(|group| group.hosts.iter().find(|host| nodes.contains(host)));
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        LaunchError::new(format!(
            "FOOTPLATE_RAY_HEAD_GROUP is {name}, but no host of the launch is in such an instance group (the job's groups: \
             {known}): set it to one of them, or leave it out"
        ))
    })
}

fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    let is_head = head(job, settings).is_ok_and(|head| head == job.cluster.current_host);
    if is_head { vec![ListeningPort::fixed(PORT)] } else { Vec::new() }
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let (job, settings) = (input.job, input.settings);
    let head = head(job, settings)?;
    let own = &job.cluster.current_host;
    let is_head = *own == head;
    let address = with_port(&input.host_address(&head), PORT);

    let mut arguments = vec!["start".to_owned()];
    if is_head {
        arguments.extend(["--head".to_owned(), format!("--port={PORT}"), "--include-dashboard=false".to_owned()]);
    } else {
        arguments.push(format!("--address={address}"));
    }
    arguments.push(format!("--node-ip-address={}", input.host_address(own)));
    arguments.extend(folder(input, is_head).map(|folder| format!("--temp-dir={folder}")));
    arguments.extend(settings.gpus.map(|gpus| format!("--num-gpus={gpus}")));
    arguments.extend(store_of_one(input).map(|bytes| format!("--object-store-memory={bytes}")));
    // If its dashboard is installed, Ray colours its lines even in logs.
    arguments.extend(["--log-color=false", "--block"].map(str::to_owned));
    arguments.extend(further_arguments(&settings.ray_arguments, is_head)?);
    let command = input.program_command(NODE, &arguments)?;

    let mut processes = Vec::new();
    if is_head {
        let mut head = service(HEAD, command, 0, READY);
        head.stop_order = 1;
        processes.push(head);
        processes.push(input.served_script(VariableTable::from([("RAY_ADDRESS".into(), address.into())]))?);
    } else {
        processes.push(service(WORKER, command, 0, READY));
    }
    let mut variables = input.network_variables_of_script();
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set("RAY_AUTH_MODE", "token");
    set("RAY_AUTH_TOKEN", input.token);
    set("RAY_USAGE_STATS_ENABLED", "0");
    set("RAY_COLOR_PREFIX", "0");
    set("RAY_DEDUP_LOGS", "0");
    set("RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "0");
    set(START_TIME, START_SECONDS);
    Ok(LaunchPlan {
        processes,
        variables,
        script_hosts: vec![head],
        // Without a head, `ray.get` and the end of the script wait for it for a minute.
        end_traits: EndTraits { waits_for_lost_service: true, ..EndTraits::default() },
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(RAY.name, input)
    })
}

/// Returns the arguments that the user adds. Those that only a head accepts are left out for a worker.
fn further_arguments(given: &[String], is_head: bool) -> Result<Vec<String>, LaunchError> {
    let mut kept = Vec::new();
    let mut words = given.iter();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if OWN_OPTIONS.contains(&name) {
            return Err(LaunchError::new(format!(
                "FOOTPLATE_RAY_ARGUMENTS has {name}, which footplate sets itself, so that the hosts find each other: leave \
                 it out"
            )));
        }
        if is_head || !HEAD_OPTIONS.contains(&name) {
            kept.push(word.clone());
        } else if name == word {
            // The next word is its value.
            words.next();
        }
    }
    Ok(kept)
}

/// Returns the folder for sockets and logs, if the one that Ray would choose does not work. Workers use that of the
/// head.
fn folder(input: &LaunchInput<'_>, is_head: bool) -> Option<String> {
    let (_, given) = temporary_folder(input.variables)?;
    if given.len() > LONGEST_FOLDER && (is_head || input.shares_machine()) {
        return Some(SHORT_FOLDER.to_owned());
    }
    // Nodes that share a folder relay each other's lines.
    input.shares_machine().then(|| format!("{given}{FOLDER_NAME}"))
}

/// Returns the temporary folder that Ray would use, with the variable that names it.
fn temporary_folder(variables: &Variables) -> Option<(&'static str, String)> {
    ["RAY_TMPDIR", "TMPDIR"].into_iter().find_map(|name| Some((name, variables.get(name)?.into_owned())))
}

/// A folder whose path is too long for Ray's sockets.
#[derive(Debug, PartialEq, Eq)]
pub struct LongSocketFolder {
    /// The variable or the option that names it.
    pub source: &'static str,
    /// The maximum length of such a path, in bytes.
    pub limit: usize,
    /// The folder that Ray gets in its place. `None` if the user's arguments decide.
    pub replacement: Option<&'static str>,
}

/// Returns the folder that a job chooses for Ray's sockets, if its path is too long.
pub fn long_socket_folder(settings: &Settings, variables: &Variables) -> Option<LongSocketFolder> {
    let mut words = settings.ray_arguments.iter();
    let mut option = None;
    while let Some(word) = words.next() {
        // The last one counts.
        match word.strip_prefix(FOLDER_OPTION) {
            Some("") => option = words.next().map(String::as_str),
            Some(rest) => option = rest.strip_prefix('=').or(option),
            None => {}
        }
    }
    let (source, length, limit, replacement) = match option {
        Some(folder) => (FOLDER_OPTION, folder.len(), LONGEST_FOLDER + FOLDER_NAME.len(), None),
        None => {
            let (name, folder) = temporary_folder(variables)?;
            (name, folder.len(), LONGEST_FOLDER, Some(SHORT_FOLDER))
        }
    };
    (length > limit).then_some(LongSocketFolder { source, limit, replacement })
}

/// Returns the size of the object store if several hosts of the job are on this machine, because each would otherwise
/// take the shared memory of all.
fn store_of_one(input: &LaunchInput<'_>) -> Option<u64> {
    let hosts = input.job.nodes().len() as u64;
    let shared = input.hardware.shared_memory.filter(|_| input.shares_machine())?;
    Some((shared / (2 * hosts)).max(LEAST_STORE))
}
