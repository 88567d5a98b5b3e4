//! What every run has: the relay, the messages, the supervisor, and the variables that the container was given.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::hosts::{self, Hosts};
use super::intermediate;
use super::temporary::TemporaryFolder;
use super::{Outcome, Prepared, Refusal, panic, prepare};
use crate::failure::Earlier;
use crate::job::config;
use crate::job::{Paths, Variables};
use crate::logs::{self, Relay};
use crate::machine::Hardware;
use crate::redact::Redactor;
use crate::storage::uploads::Intermediate;
use crate::supervise::{self, Interrupted, Supervisor};

/// What the command line says about a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings given as `--set name=value`.
    pub settings: Vec<(String, String)>,
}

/// One run of footplate, from its start to its exit code.
pub(super) struct Session {
    pub(super) variables: Variables,
    pub(super) paths: Paths,
    /// Whether the success or failure file is written.
    pub(super) leaves_files: bool,
    earlier_failure: Earlier,
    pub(super) supervisor: Supervisor,
    pub(super) redactor: Redactor,
    pub(super) options: Options,
    pub(super) temporary: TemporaryFolder,
    /// This host's part in the channel between hosts; none in a job of one host.
    pub(super) hosts: Option<Hosts>,
    /// mpirun's remote agent, where this host starts mpirun.
    pub(super) agent: Option<PathBuf>,
    /// The uploads of intermediate output, and the grace period.
    pub(super) intermediate: Option<(Intermediate, Duration)>,
    pub(super) end: End,
    begun: Instant,
    phase_begun: Instant,
    phases: Vec<(&'static str, Duration)>,
}

/// How the processes of the script ended, for the other hosts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub(super) failed_ranks: usize,
    /// Whether they were told to stop by a signal to footplate.
    pub(super) was_stopped: bool,
    /// Whether those that failed were only told to end, because of another.
    pub(super) only_followed: bool,
}

impl Session {
    /// Begins: from here on signals are caught, messages go out, and a panic is reported.
    fn begin(options: Options) -> std::io::Result<Session> {
        let begun = Instant::now();
        let variables = Variables::of_this_process();
        let redactor = Redactor::new(variables.texts());
        let paths = config::base_paths(&variables);
        let relay = Relay::new()?;
        logs::init(relay.clone());
        logs::set_redactor(redactor.clone());
        let earlier_failure = Earlier::look(&paths.failure());
        panic::install(paths.clone(), earlier_failure.clone(), relay.clone());
        let supervisor = Supervisor::new(relay)?;
        panic::on_request();
        Ok(Session {
            variables,
            paths,
            leaves_files: true,
            earlier_failure,
            supervisor,
            redactor,
            options,
            temporary: TemporaryFolder::default(),
            hosts: None,
            agent: None,
            intermediate: None,
            end: End::default(),
            begun,
            phase_begun: begun,
            phases: Vec::new(),
        })
    }

    /// Replaces what takes out secrets by one that knows more of them.
    pub(super) fn set_redactor(&mut self, redactor: Redactor) {
        logs::set_redactor(redactor.clone());
        self.redactor = redactor;
    }

    /// What this host has. A program of the image that hangs while it is asked does not keep a stop signal waiting.
    pub(super) async fn hardware(&mut self, prepared: &Prepared) -> Result<Hardware, Interrupted> {
        let probe = prepare::probe(prepared, &self.variables);
        if !probe.has_programs() {
            return Ok(probe.ask());
        }
        let asked = self.supervisor.interruptible(move || probe.ask()).await;
        if asked.is_err() {
            supervise::kill_descendants();
        }
        asked
    }

    /// Ends a phase of the start.
    pub(super) fn end_phase(&mut self, name: &'static str) {
        let now = Instant::now();
        self.phases.push((name, now - self.phase_begun));
        self.phase_begun = now;
    }

    /// How long the start took, and each of its phases, in seconds.
    pub(super) fn phases(&self) -> String {
        let phases: Vec<String> =
            self.phases.iter().map(|(name, time)| format!("{name} {:.3}", time.as_secs_f64())).collect();
        format!("ready in {:.3} s: {}", self.begun.elapsed().as_secs_f64(), phases.join(", "))
    }
}

impl From<Interrupted> for Outcome {
    fn from(interrupted: Interrupted) -> Outcome {
        match interrupted {
            Interrupted::Signal(signal) => Outcome::Stopped(signal),
            Interrupted::Elsewhere => Outcome::Elsewhere,
        }
    }
}

/// Runs all phases of a job and gives the exit code.
pub(super) fn run(options: Options, phases: impl AsyncFnOnce(&mut Session) -> Result<Outcome, Outcome>) -> i32 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(&error),
    };
    runtime.block_on(async {
        let mut session = match Session::begin(options) {
            Ok(session) => session,
            Err(error) => return cannot_start(&error),
        };
        let outcome = phases(&mut session).await.unwrap_or_else(|outcome| outcome);
        intermediate::end(&session);
        let outcome = hosts::agree(&mut session, outcome).await;
        outcome.log(&session.redactor);
        if session.leaves_files {
            outcome.record(&session.paths, &session.earlier_failure, &session.redactor);
        }
        intermediate::wait(&mut session).await;
        session.supervisor.finish();
        outcome.exit_code()
    })
}

fn cannot_start(error: &std::io::Error) -> i32 {
    eprintln!("footplate: cannot start: {error}");
    Outcome::refused(Refusal::Internal, error).exit_code()
}
