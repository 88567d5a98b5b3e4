//! What every run has: the relay, the messages, the supervisor, and the variables that the container was given.

use std::sync::Arc;
use std::time::Duration;

use super::intermediate;
use super::judge::Ended;
use super::peers::{self, PeerLink};
use super::temporary::TemporaryFolder;
use super::timeline::Timeline;
use super::{Outcome, Prepared, Refusal, panic, prepare};
use crate::event::{Events, Kind, Phase};
use crate::failure::Earlier;
use crate::job::config;
use crate::job::{Paths, Variables};
use crate::logs::{self, Relay};
use crate::machine::Hardware;
use crate::observe::record::RunRecord;
use crate::redact::Redactor;
use crate::storage::uploads::IntermediateUploads;
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
    /// The way by which components tell what happens.
    pub(super) events: Events,
    /// The times of the phases.
    pub(super) timeline: Timeline,
    /// The run record. `None` before the job is known, and if it is turned off.
    pub(super) record: Option<RunRecord>,
    /// The link to the other hosts. `None` in a job of one host.
    pub(super) peers: Option<PeerLink>,
    /// The uploads of intermediate output, and the grace period.
    pub(super) intermediate: Option<(IntermediateUploads, Duration)>,
}

impl Session {
    /// Begins: from here on signals are caught, messages go out, and a panic is reported.
    fn begin(options: Options) -> std::io::Result<Session> {
        let events = Events::default();
        let timeline = Timeline::subscribe(&events);
        let variables = Variables::of_this_process();
        let redactor = Redactor::new(variables.texts());
        let paths = config::base_paths(&variables);
        let relay = Relay::new()?;
        logs::init(relay.clone());
        logs::set_redactor(redactor.clone());
        let earlier_failure = Earlier::look(&paths.failure());
        panic::install(paths.clone(), earlier_failure.clone(), relay.clone());
        let supervisor = Supervisor::new(relay, events.clone())?;
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
            events,
            timeline,
            record: None,
            peers: None,
            intermediate: None,
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

    /// Ends a phase and starts the next one.
    pub(super) fn next_phase(&self, ended: Phase, started: Phase) {
        self.events.emit(Kind::PhaseEnded(ended));
        self.events.emit(Kind::PhaseStarted(started));
    }
}

impl From<Interrupted> for Outcome {
    fn from(interrupted: Interrupted) -> Outcome {
        match interrupted {
            Interrupted::Signal(signal) => Outcome::Stopped(signal),
            Interrupted::Peers => Outcome::PeerFailed,
        }
    }
}

/// Runs all phases of a job and gives the exit code.
pub(super) fn run(options: Options, phases: impl AsyncFnOnce(&mut Session) -> Result<Ended, Outcome>) -> i32 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(&error),
    };
    runtime.block_on(async {
        let mut session = match Session::begin(options) {
            Ok(session) => session,
            Err(error) => return cannot_start(&error),
        };
        let ended = phases(&mut session).await.unwrap_or_else(Ended::from);
        intermediate::end(&session);
        let outcome = peers::agree(&mut session, ended).await;
        outcome.log(&session.redactor);
        if session.leaves_files {
            outcome.record(&session.paths, &session.earlier_failure, &session.redactor);
        }
        intermediate::wait(&mut session).await;
        let exit_code = outcome.exit_code();
        session.events.emit(Kind::JobOver { exit_code, cause: outcome.cause().map(Arc::new) });
        if let Some(record) = session.record.take() {
            record.finish();
        }
        session.supervisor.finish();
        exit_code
    })
}

fn cannot_start(error: &std::io::Error) -> i32 {
    eprintln!("footplate: cannot start: {error}");
    Outcome::refused(Refusal::Internal, error).exit_code()
}
