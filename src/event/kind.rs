//! The vocabulary of events.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;

use super::{Cause, Checkpoint, CommonStep, Ending, HangReport, RankTally, WatchNote};

/// Something that happened in a job.
#[derive(Clone, Debug)]
pub struct Event {
    /// The time at which the event happened.
    pub at: Moment,
    /// The host on which the event was observed.
    pub host: Arc<str>,
    /// The attempt at running the ranks, counted from 0.
    pub attempt: u32,
    /// The fact.
    pub kind: EventKind,
}

/// A point in time, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of the monotonic clock, which nobody can set.
    pub monotonic: Instant,
    /// The time of the wall clock.
    pub wall: SystemTime,
}

impl Moment {
    /// Returns the present time.
    pub fn now() -> Moment {
        Moment { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns the moment that corresponds to a past time of the monotonic clock.
    pub fn of(monotonic: Instant) -> Moment {
        Moment { monotonic, wall: SystemTime::now() - monotonic.elapsed() }
    }

    /// Returns the time in seconds since 1970. A clock that is set to an earlier time counts as 0.
    pub fn unix_seconds(&self) -> f64 {
        self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}

/// A phase of a job on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobPhase {
    /// Reading the configuration.
    Config,
    /// Fetching the user's code.
    Code,
    /// Installing requirements.
    Requirements,
    /// Building the script's variables and arguments, and planning the launch.
    Environment,
    /// Waiting for the other hosts.
    Hosts,
    /// Running the script.
    Script,
    /// Uploading the rest of the intermediate output.
    Uploads,
}

impl JobPhase {
    /// Returns the name of the phase in the log and in the run record.
    pub fn name(self) -> &'static str {
        match self {
            JobPhase::Config => "config",
            JobPhase::Code => "code",
            JobPhase::Requirements => "requirements",
            JobPhase::Environment => "environment",
            JobPhase::Hosts => "hosts",
            JobPhase::Script => "script",
            JobPhase::Uploads => "uploads",
        }
    }
}

/// The identity of a process on its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// A rank of the script, by its number in the whole job.
    Rank(usize),
    /// A launcher of the image, such as `torchrun`, by its name.
    Launcher(Arc<str>),
    /// A service of an engine, by its name.
    Service(Arc<str>),
    /// A program that prepares the job, such as `pip`, by its name.
    Tool(Arc<str>),
}

impl Default for Process {
    fn default() -> Process {
        Process::Tool("program".into())
    }
}

impl Process {
    /// Returns the rank, if this is a process of the script.
    pub fn rank(&self) -> Option<usize> {
        match self {
            Process::Rank(rank) => Some(*rank),
            Process::Launcher(_) | Process::Service(_) | Process::Tool(_) => None,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Rank(rank) => write!(f, "rank {rank}"),
            Process::Launcher(name) | Process::Service(name) | Process::Tool(name) => f.write_str(name),
        }
    }
}

/// One of the two streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The last bytes that a process wrote, by stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The last bytes of standard output.
    pub stdout: Vec<u8>,
    /// The last bytes of standard error.
    pub stderr: Vec<u8>,
    /// The last bytes of the ranks that this process started and that have streams of their own.
    pub ranks: Vec<RankOutput>,
}

/// A rank of a launcher that was killed by a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedRank {
    /// The rank's process.
    pub process: Process,
    /// The rank's ending, which holds the signal.
    pub ending: Ending,
    /// Its last output.
    pub output: Arc<Output>,
}

/// The last bytes that a rank of a launcher wrote to its own streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankOutput {
    /// The rank.
    pub rank: usize,
    /// The last bytes of standard output.
    pub stdout: Vec<u8>,
    /// The last bytes of standard error.
    pub stderr: Vec<u8>,
}

/// The reason why processes are told to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// footplate got this signal.
    Signal(Signal),
    /// A process on this host has failed.
    Failure,
    /// The job hangs. Holds the headline.
    Hang(String),
    /// Another host has failed. Holds the host with its error.
    PeerFailed(String),
    /// Another host was told to stop. Holds the host with the reason.
    PeerStopped(String),
}

/// The reason why processes were killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// The grace period was over.
    GraceOver,
    /// A second stop signal came.
    SecondSignal,
}

/// The verdict of all hosts on why the job failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// The host on which the job failed first.
    pub host: String,
    /// The cause, without secrets. Its exit code is that of the job: 0 if a host was told to stop.
    pub cause: Cause,
}

/// The facts that events report.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A phase has started.
    PhaseStarted(JobPhase),
    /// A phase has ended.
    PhaseEnded(JobPhase),
    /// A process was started.
    ProcessStarted {
        /// The process.
        process: Process,
        /// The process number.
        pid: i32,
    },
    /// A service is ready.
    ProcessReady(Process),
    /// A service was not ready in time and is killed. The event of its failure follows.
    ProcessLate(Process),
    /// This host has completed a step of a launch with services.
    StepCompleted(CommonStep),
    /// Every host of the launch has completed the steps before this one.
    StepAllowed(CommonStep),
    /// The first bytes of a stream were read.
    FirstOutput {
        /// The process.
        process: Process,
        /// The stream.
        stream: Stream,
    },
    /// A stream has ended, and all its output was passed on.
    StreamClosed {
        /// The process.
        process: Process,
        /// The stream.
        stream: Stream,
        /// The number of line ends in the stream.
        lines: u64,
        /// The size of the stream, in bytes.
        bytes: u64,
        /// The time of the stream's last bytes. `None` if it was empty.
        last_output: Option<Moment>,
    },
    /// A process has ended.
    ProcessEnded {
        /// The process.
        process: Process,
        /// The way it ended.
        ending: Ending,
        /// The time for which the process ran.
        duration: Duration,
        /// True if the process was told to end before it ended.
        followed: bool,
    },
    /// A process has failed by itself. The event is emitted again, with the output, once all of the output was read.
    ProcessFailed {
        /// The process.
        process: Process,
        /// The way it ended.
        ending: Ending,
        /// The time for which the process ran.
        duration: Duration,
        /// The last output of the process, once all of it was read.
        output: Option<Arc<Output>>,
    },
    /// The processes of this host are told to stop.
    Stopping(StopReason),
    /// Processes were killed. Holds the reason if a signal had told them to stop before.
    Killed(Option<KillReason>),
    /// At an orderly stop, a rank that a launcher started on this host was killed by the signal.
    RankKilled,
    /// At an orderly stop, a rank that a launcher started was killed on some host.
    PeerRankKilled,
    /// Only launchers are left on this host. They wait for the ranks of other hosts.
    RanksEnded {
        /// The ranks that ended with a failure.
        tally: RankTally,
        /// The ranks that were killed by a signal because another rank or host had failed. They may have been failing
        /// themselves.
        ended: Vec<EndedRank>,
    },
    /// The failures reported before [`EventKind::RanksEnded`] and with it were judged.
    FailuresJudged(RankTally),
    /// The ranks of all hosts have ended, or this host has lost contact with the other hosts.
    PeersEnded,
    /// A file was uploaded while the job was running.
    UploadFinished {
        /// The path below the folder of intermediate output.
        path: PathBuf,
        /// The size in bytes.
        bytes: u64,
    },
    /// A file could not be uploaded.
    UploadFailed {
        /// The path below the folder of intermediate output.
        path: PathBuf,
        /// The reason, without secrets.
        error: String,
    },
    /// The newest checkpoint that existed when the job started.
    CheckpointFound(Arc<Checkpoint>),
    /// A checkpoint was written.
    CheckpointWritten(Arc<Checkpoint>),
    /// Another host is connected.
    HostJoined(String),
    /// Another host is ready to start its ranks.
    HostReady(String),
    /// The connection to another host was lost.
    HostLost {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// The watch of another host has sent a note.
    PeerNote {
        /// The host.
        host: String,
        /// The note, cut to its limits.
        note: Box<WatchNote>,
    },
    /// Somebody has asked for the stacks of the ranks.
    StacksAsked,
    /// The job was found to hang.
    HangFound(Arc<HangReport>),
    /// Every host of the launch is ready.
    HostsStarted,
    /// A failure was judged. A better judgement may follow once all output was read.
    CauseJudged {
        /// The process that failed, if the failure is that of a single process.
        process: Option<Process>,
        /// The cause, with secrets.
        cause: Arc<Cause>,
        /// True if all output was read before the judgement.
        is_final: bool,
    },
    /// All hosts agree on why the job failed.
    Agreed(Arc<Verdict>),
    /// The ranks of all hosts have ended after a failure, and are run again.
    Restarting {
        /// The number of the next attempt, counted from 0.
        attempt: u32,
        /// The time until the next attempt starts.
        pause: Duration,
        /// The cause of the failure, without secrets.
        cause: Arc<Cause>,
    },
    /// The job is over on this host.
    JobOver {
        /// The exit code of footplate.
        exit_code: i32,
        /// The cause, if the job failed.
        cause: Option<Arc<Cause>>,
    },
}
