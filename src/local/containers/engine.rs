//! The program of a container engine, as a command line: docker, or podman, which accepts the same commands.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, raise};
use signal_hook::iterator::Signals;

use super::plan::{EngineKind, Words};
use crate::job::exit_code;
use crate::machine::{self, Lookup, ToolError, ToolOutput, which};

/// The engines in the order in which they are tried.
const ENGINES: [&str; 2] = ["docker", "podman"];

/// The time limit for an answer of the engine. On a busy machine, it can take minutes to create a container.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// The time limit for an answer after the user has asked to end the job.
pub(super) const STOPPED_PATIENCE: Duration = Duration::from_secs(5);

/// The interval of checks for signals.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The reason why a job cannot run in containers.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// There is no engine.
    #[error("neither docker nor podman is on PATH: install one of them, name one with --engine, or leave --image out")]
    NoEngine,
    /// The requested engine is not installed.
    #[error("the container engine {0:?} is not there: name another with --engine")]
    EngineMissing(String),
    /// The engine gave no answer.
    #[error("{engine} {word}: {error}: check that the engine runs, with `{engine} version`")]
    Unanswered {
        /// The program.
        engine: String,
        /// The first word of the command.
        word: String,
        /// The reason.
        error: ToolError,
    },
    /// The engine cannot be reached by this user.
    #[error("{engine} cannot be used: {said}: start its service, or become a member of its group")]
    Unreachable {
        /// The program.
        engine: String,
        /// The last line of its message.
        said: String,
    },
    /// The engine refused a command.
    #[error("{engine} {word}: {said}{}", remedy(said))]
    Refused {
        /// The program.
        engine: String,
        /// The first word of the command.
        word: String,
        /// The last line of its message.
        said: String,
    },
    /// The image is neither on this machine nor downloadable.
    #[error(
        "the image {image} is not on this machine, and `{engine} pull` fails ({status}): check the name, build the image, or log \
         in to its registry with `{engine} login`"
    )]
    NoImage {
        /// The program.
        engine: String,
        /// The name of the image.
        image: String,
        /// The exit status of the download.
        status: ExitStatus,
    },
    /// A container was created and could not be started.
    #[error("the container of host {host} cannot be started: {said}{}", remedy(said))]
    NotStarted {
        /// The host.
        host: String,
        /// The reason that the engine reported.
        said: String,
    },
    /// A signal stopped the job before it began.
    #[error("stopped by {0} before the job began")]
    Stopped(Signal),
}

impl ContainerError {
    /// Returns footplate's exit code.
    pub fn exit_code(&self) -> i32 {
        match self {
            ContainerError::Stopped(signal) => exit_code::of_signal(*signal as i32),
            _ => exit_code::LAUNCH,
        }
    }
}

/// Returns the remedy for a message of an engine, after a colon. Empty if there is none.
fn remedy(said: &str) -> &'static str {
    let has = |text: &str| said.contains(text);
    if has("could not select device driver") || has("nvidia.com/gpu") {
        ": install the NVIDIA Container Toolkit, or leave the GPUs out with --gpus 0"
    } else if has("executable file not found") || has("no such file or directory") {
        ": the ENTRYPOINT of the image, or a library that it needs, is not in the image"
    } else if has("Minimum memory limit") {
        ": give a larger --memory"
    } else {
        ""
    }
}

/// A container engine on this machine.
#[derive(Clone, Debug)]
pub(super) struct ContainerEngine {
    program: PathBuf,
    pub(super) kind: EngineKind,
}

impl ContainerEngine {
    /// Finds the requested engine, or the first one on PATH.
    pub(super) fn find(asked_for: Option<&str>) -> Result<ContainerEngine, ContainerError> {
        let path = std::env::var_os("PATH");
        let find = |name: &str| match which(name, path.as_deref()) {
            Lookup::Found(program) => Some(program),
            Lookup::NotExecutable(_) | Lookup::Missing => None,
        };
        let program = match asked_for {
            Some(name) => find(name).ok_or_else(|| ContainerError::EngineMissing(name.to_owned()))?,
            None => ENGINES.into_iter().find_map(find).ok_or(ContainerError::NoEngine)?,
        };
        let is_podman = program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("podman"));
        Ok(ContainerEngine { program, kind: if is_podman { EngineKind::Podman } else { EngineKind::Docker } })
    }

    /// Returns the engine whose program is at this path.
    pub(super) fn at(program: PathBuf) -> ContainerEngine {
        ContainerEngine { program, kind: EngineKind::Docker }
    }

    /// Returns the path of the program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the name of the program, as used in messages.
    pub(super) fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns a command of the engine.
    pub(super) fn command(&self, words: &Words) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs a command of the engine and returns its standard output. Waits for no longer than `patience`.
    pub(super) fn output(&self, words: &Words, patience: Duration) -> Result<String, ContainerError> {
        self.answer(words, machine::run_tool(&mut self.command(words), patience))
    }

    fn answer(&self, words: &Words, answer: Result<ToolOutput, ToolError>) -> Result<String, ContainerError> {
        let (engine, word) = (self.name(), words.first().cloned().unwrap_or_default());
        match answer {
            Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            Ok(output) => Err(refused(engine, word, &output)),
            Err(error) => Err(ContainerError::Unanswered { engine, word, error }),
        }
    }
}

/// Returns the error for a command that failed.
fn refused(engine: String, word: String, output: &ToolOutput) -> ContainerError {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty() && !line.contains("--help'"));
    let said = lines.next().map_or(format!("{}", output.status), |line| {
        let line = line.trim_start_matches("Error response from daemon:").trim_start_matches("Error:");
        line.trim().trim_end_matches('.').to_owned()
    });
    let lower = text.to_lowercase();
    if lower.contains("cannot connect") || lower.contains("permission denied while trying to connect") {
        return ContainerError::Unreachable { engine, said };
    }
    ContainerError::Refused { engine, word, said }
}

/// The engine while a job is prepared. Ctrl-C ends the preparation, which then waits only a short time for the
/// engine.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) engine: ContainerEngine,
    signals: Signals,
}

impl Preparation {
    pub(super) fn new(engine: ContainerEngine, signals: Signals) -> Preparation {
        Preparation { engine, signals }
    }

    /// Returns the signals for the run of the job.
    pub(super) fn into_signals(self) -> Signals {
        self.signals
    }

    /// Returns an error if a signal has asked to end the job.
    pub(super) fn go_on(&mut self) -> Result<(), ContainerError> {
        self.stop().map_or(Ok(()), |signal| Err(ContainerError::Stopped(signal)))
    }

    /// Returns the signal that has asked to end the job since the last call.
    fn stop(&mut self) -> Option<Signal> {
        let mut found = None;
        for number in self.signals.pending() {
            match number {
                libc::SIGTSTP => {
                    let _ = raise(Signal::SIGSTOP);
                }
                libc::SIGCONT => {}
                number => found = found.or(Signal::try_from(number).ok()),
            }
        }
        found
    }

    /// Runs a command of the engine and returns its standard output.
    pub(super) fn output(&mut self, words: &Words) -> Result<String, ContainerError> {
        let (sender, receiver) = mpsc::channel();
        let mut command = self.engine.command(words);
        // The thread ends when the engine answers, or at the latest when its time limit is over.
        std::thread::spawn(move || sender.send(machine::run_tool(&mut command, PATIENCE)));
        let mut stopped: Option<(Signal, Instant)> = None;
        loop {
            match receiver.recv_timeout(LOOK_INTERVAL) {
                Ok(answer) => {
                    let answer = self.engine.answer(words, answer)?;
                    return stopped.map_or(Ok(answer), |(signal, _)| Err(ContainerError::Stopped(signal)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let error = ToolError::NotStarted(io::ErrorKind::BrokenPipe.into());
                    return self.engine.answer(words, Err(error));
                }
            }
            if let Some(signal) = self.stop() {
                stopped = stopped.or(Some((signal, Instant::now())));
            }
            if let Some((signal, since)) = stopped
                && since.elapsed() > STOPPED_PATIENCE
            {
                return Err(ContainerError::Stopped(signal));
            }
        }
    }

    /// Runs a command of the engine whose output the user sees, for as long as it takes.
    pub(super) fn show(&mut self, words: &Words) -> io::Result<Result<ExitStatus, Signal>> {
        let progress = io::stderr().as_fd().try_clone_to_owned()?;
        let mut child = self.engine.command(words).stdout(progress).process_group(0).spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Ok(status));
            }
            if let Some(signal) = self.stop() {
                // An interrupted download can be continued later.
                let _ = child.kill();
                child.wait()?;
                return Ok(Err(signal));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::{ContainerError, refused};
    use crate::machine::ToolOutput;

    #[test]
    fn a_refusal_is_shown_in_the_engines_own_words_with_a_remedy() {
        let shown = |stderr: &str| {
            let output = ToolOutput { status: ExitStatus::from_raw(256), stdout: Vec::new(), stderr: stderr.into() };
            refused("docker".into(), "create".into(), &output).to_string()
        };
        let text = "WARNING: no swap\nError response from daemon: Minimum memory limit allowed is 6MB.\n";
        assert_eq!(shown(text), "docker create: Minimum memory limit allowed is 6MB: give a larger --memory");
        let text = "docker: invalid\nSee 'docker create --help'.\n";
        assert_eq!(shown(text), "docker create: docker: invalid");
        let text =
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
        assert!(shown(text).starts_with("docker cannot be used: Cannot connect"), "{}", shown(text));
        assert_eq!(shown(""), "docker create: exit status: 1");
        let gpus = "could not select device driver \"\" with capabilities: [[gpu]]";
        let error = ContainerError::NotStarted { host: "algo-1".into(), said: gpus.into() };
        assert!(error.to_string().ends_with("or leave the GPUs out with --gpus 0"), "{error}");
    }
}
