//! The plan of one host: the processes that footplate starts on it, and the rules for their start and end.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::count::Span;
use super::input::LaunchInput;
use crate::prepare::environment::VariableTable;

/// The variable with the path of the file into which torch elastic writes the exception of a rank. torchrun copies
/// the file of the rank that failed first.
pub const ERROR_FILE: &str = "TORCHELASTIC_ERROR_FILE";

/// The variable with the path of the file into which the package `sagemaker_training` writes the cause of a failure: the
/// footplate that it called judged it, and the footplate that runs the framework reads it.
pub const CAUSE_FILE: &str = "FOOTPLATE_CAUSE_FILE";

/// The processes that footplate runs on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchPlan {
    /// The name of the engine that made the plan.
    pub launcher: &'static str,
    /// The name of the host.
    pub host: String,
    /// The processes of the host, in the order in which they start.
    pub processes: Vec<ProcessPlan>,
    /// The variables that all processes of the host get. Those of the container and of the job take precedence.
    pub variables: VariableTable,
    /// The training ranks of the host, whichever program starts them. `None` if the numbers of ranks on other hosts
    /// are not known.
    pub span: Option<Span>,
    /// The hosts that run the script, or ranks of it. Other hosts of the launch only run services.
    pub script_hosts: Vec<String>,
    /// The ways in which the framework keeps its processes from ending.
    pub end_traits: EndTraits,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl LaunchPlan {
    /// Returns a plan without processes in which every host of the launch runs the script.
    pub(super) fn new(launcher: &'static str, input: &LaunchInput<'_>) -> LaunchPlan {
        LaunchPlan {
            launcher,
            host: input.job.cluster.current_host.clone(),
            processes: Vec::new(),
            variables: VariableTable::new(),
            span: None,
            script_hosts: input.job.nodes(),
            end_traits: EndTraits::default(),
            warnings: Vec::new(),
        }
    }

    /// Returns the processes that run the script or start its ranks.
    pub fn script_processes(&self) -> impl Iterator<Item = &ProcessPlan> {
        self.processes.iter().filter(|process| !process.role.is_service())
    }

    /// Returns the services of the host.
    pub fn services(&self) -> impl Iterator<Item = &ProcessPlan> {
        self.processes.iter().filter(|process| process.role.is_service())
    }

    /// Returns the process that starts the ranks of this host, if a program of the image starts them, and the facts
    /// about these ranks.
    pub fn rank_starter(&self) -> Option<(&ProcessPlan, &RankStarter)> {
        self.processes.iter().find_map(|process| match &process.role {
            ProcessRole::Launcher(starter) | ProcessRole::Daemon(starter) => Some((process, starter)),
            ProcessRole::Script { .. } | ProcessRole::Rank { .. } | ProcessRole::Service { .. } => None,
        })
    }
}

/// A process that footplate starts: its command, and the rules for its start and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessPlan {
    /// The role of the process in the job.
    pub role: ProcessRole,
    /// The command.
    pub command: CommandPlan,
    /// The position in the start order: processes of a lower stage start earlier.
    pub stage: u8,
    /// The condition for its start.
    pub starts: StartAfter,
    /// The sign that the process is ready, for which processes of higher stages can wait.
    pub ready: ReadySign,
    /// The meaning of the process's end while the script runs.
    pub end: EndMeaning,
    /// The position in the shutdown order: processes with a lower number are told to end earlier.
    pub stop_order: u8,
    /// The processes that an orderly stop signals.
    pub stop: StopTarget,
    /// True if the process gets a file for its error ([`ERROR_FILE`]).
    pub leaves_error_file: bool,
    /// The number of earlier starts of the process.
    pub attempt: u32,
}

impl ProcessPlan {
    /// Returns a process of the script: it starts at once, fails the job unless its exit code is 0, and is the first
    /// to be told to end.
    pub(super) fn of_script(role: ProcessRole, command: CommandPlan) -> ProcessPlan {
        ProcessPlan {
            role,
            command,
            stage: 0,
            starts: StartAfter::Nothing,
            ready: ReadySign::Started,
            end: EndMeaning::FailureUnlessZero,
            stop_order: 0,
            stop: StopTarget::Process,
            leaves_error_file: false,
            attempt: 0,
        }
    }
}

/// The ways in which a framework keeps its processes from ending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndTraits {
    /// True if a process may wait for the others in an exit handler after an uncaught exception, while the others
    /// wait for it.
    pub outlives_traceback: bool,
    /// The way in which a script can notice a stop signal, if the framework swallows the signal. `None` if the signal
    /// has its usual effect.
    pub notices_stop_by: Option<&'static str>,
    /// True if a process waits for a service of its host that is gone, and does not notice a stop signal meanwhile.
    pub waits_for_lost_service: bool,
}

/// The role of a process in the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessRole {
    /// The script, which runs once on this host.
    Script {
        /// The position of the host among those of the launch.
        node_rank: usize,
    },
    /// A rank of the script that footplate starts.
    Rank {
        /// The rank among those of the whole job.
        rank: usize,
        /// The rank among those of its host.
        local_rank: usize,
    },
    /// A program of the image that starts the ranks of this host, or of all hosts.
    Launcher(RankStarter),
    /// The daemon of a launcher on another host, which starts the ranks of this host. The launcher sends the daemon's
    /// command when it runs, so the command in the plan is that of the launcher.
    Daemon(RankStarter),
    /// A long-running part of the engine that serves the script.
    Service {
        /// The name in the prefix of log lines, such as "ray-worker".
        name: &'static str,
        /// The name as used in sentences, such as "the Ray worker".
        title: &'static str,
    },
}

impl ProcessRole {
    /// Returns true for a service of the engine.
    pub fn is_service(&self) -> bool {
        matches!(self, ProcessRole::Service { .. })
    }

    /// Returns the number in the prefix `[host:number]` of the process's lines: its rank, or the node rank if the process is
    /// the only one of its kind on the host. Services have names instead.
    pub fn number(&self) -> Option<usize> {
        match self {
            ProcessRole::Script { node_rank } => Some(*node_rank),
            ProcessRole::Rank { rank, .. } => Some(*rank),
            ProcessRole::Launcher(starter) | ProcessRole::Daemon(starter) => Some(starter.node_rank),
            ProcessRole::Service { .. } => None,
        }
    }
}

/// The facts about the ranks that a program of the image starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankStarter {
    /// The position of the host among those of the launch.
    pub node_rank: usize,
    /// The tags of the ranks' lines, if the program tags them.
    pub tagged: Option<Tagged>,
    /// The way in which footplate can give each rank its own streams.
    pub separation: Separation,
    /// The names of other processes that belong to the program, such as its daemons.
    pub daemons: &'static [&'static str],
    /// True if the program starts ranks in its own process group. False if each rank has its own group.
    pub shares_group: bool,
    /// The exit code of a rank that ended only because its daemon ended. `None` if the program has no such code.
    pub lost_daemon_code: Option<i32>,
}

/// The ranks whose lines come through the streams of one launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tagged {
    /// The host of each rank, in the order of the ranks. Empty if the hosts of the ranks are not known.
    pub hosts: Vec<String>,
    /// The number of ranks in the job.
    pub world_size: usize,
    /// True if a blank follows each tag, as with Open MPI 5.
    pub has_blank: bool,
}

/// The way in which footplate gives separate streams to ranks that a program of the image starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Separation {
    /// The ranks have no separate streams, and share those of their launcher.
    #[default]
    Shared,
    /// The launcher starts its ranks with the interpreter in the variable PYTHON_EXEC, as torchrun does.
    Interpreter,
    /// The launcher starts its ranks through an agent, as mpirun does. The agent is footplate, which becomes the
    /// keeper of the rank.
    Agent,
}

/// A command in full, with nothing left to be looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandPlan {
    /// The file to execute. A relative path counts from the working directory.
    pub program: PathBuf,
    /// The arguments. The first one is the program's name.
    pub arguments: Vec<Vec<u8>>,
    /// The variables that only this process gets. Those of the container take precedence over them.
    pub variables: VariableTable,
    /// The working directory.
    pub working_dir: PathBuf,
}

/// The condition for a process's start. The stages are those of [`ProcessPlan::stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAfter {
    /// No condition: the process starts at once.
    Nothing,
    /// The processes of all lower stages on this host are ready.
    LowerStages,
    /// The processes of all lower stages on every host of the launch are ready.
    LowerStagesOfAllHosts,
}

/// The sign that a process is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadySign {
    /// The process has started.
    Started,
    /// The process has written this number of lines that contain a text.
    Line {
        /// The text.
        text: &'static str,
        /// The number of lines.
        times: usize,
    },
    /// A connection to this address succeeds.
    Port(SocketAddr),
}

/// The meaning of a process's end while the script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndMeaning {
    /// The process has failed unless its exit code is 0. A rank with exit code 0 has done its work, and so has a
    /// service that ends by itself with the last rank.
    FailureUnlessZero,
    /// The process has failed, whatever its exit code is.
    Failure,
}

/// The processes that an orderly stop signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopTarget {
    /// The process itself. This also applies to a launcher that would start its ranks again.
    Process,
    /// The ranks that the process has started. The process ends after them, but would kill them if it were told to
    /// end itself.
    Ranks,
}
