//! The things that live as long as a run of footplate.

use std::path::PathBuf;
use std::time::Duration;

use super::checkpoint_story::CheckpointFolder;
use super::context::Context;
use super::link::PeerLink;
use super::scratch::Scratch;
use super::timeline::Timeline;
use super::{Prepared, prepare};
use crate::event::{EventKind, Events, JobPhase};
use crate::failure::TextLimit;
use crate::logs::Relay;
use crate::machine::Hardware;
use crate::observe::export::Push;
use crate::observe::metrics::Metrics;
use crate::observe::record::RunRecord;
use crate::observe::resources::Resources;
use crate::storage::uploads::IntermediateUploads;
use crate::supervise::{self, Interrupted, Supervisor};
use crate::watch::hang::HangWatch;

/// The things that live as long as a run.
#[derive(Debug)]
pub(super) struct Live {
    /// Runs all programs.
    pub(super) supervisor: Supervisor,
    /// The way by which components tell what happens.
    pub(super) events: Events,
    /// The times of the phases.
    pub(super) timeline: Timeline,
    /// A folder for files of this run.
    pub(super) scratch: Scratch,
    /// The run record. `None` before the job is known, and if the record is turned off.
    pub(super) record: Option<RunRecord>,
    /// The folder of the report at the end of the job. `None` if none is asked for on this host.
    pub(super) report: Option<PathBuf>,
    /// The metrics that are looked for. `None` if there are none, and after the script.
    pub(super) metrics: Option<Metrics>,
    /// The samples of resources. `None` if they are turned off, and after the script.
    pub(super) resources: Option<Resources>,
    /// The folder of checkpoints. `None` if the job has none.
    pub(super) checkpoints: Option<CheckpointFolder>,
    /// The sending of metrics. `None` if nobody asks for it, and after the script.
    pub(super) push: Option<Push>,
    /// The folder of this host's own files. `None` before the script, and if no record is kept.
    pub(super) evidence_folder: Option<PathBuf>,
    /// The watch for hangs. `None` before the script and after it.
    pub(super) hang: Option<HangWatch>,
    /// The link to the other hosts. `None` in a job of one host.
    pub(super) peers: Option<PeerLink>,
    /// The uploads of intermediate output, with the grace period.
    pub(super) uploads: Option<(IntermediateUploads, Duration)>,
    /// The limit of the failure text.
    pub(super) text_limit: TextLimit,
}

impl Live {
    /// Begins to catch signals. Must be called in the runtime.
    ///
    /// # Errors
    /// The kernel refuses handlers.
    pub(super) fn begin(relay: Relay, events: Events, timeline: Timeline) -> std::io::Result<Live> {
        let supervisor = Supervisor::new(relay, events.clone())?;
        let scratch = Scratch::default();
        Ok(Live {
            supervisor,
            events,
            timeline,
            scratch,
            record: None,
            report: None,
            metrics: None,
            resources: None,
            checkpoints: None,
            push: None,
            evidence_folder: None,
            hang: None,
            peers: None,
            uploads: None,
            text_limit: TextLimit::Reason,
        })
    }

    /// Ends a phase and starts the next one.
    pub(super) fn next_phase(&self, ended: JobPhase, started: JobPhase) {
        self.events.emit(EventKind::PhaseEnded(ended));
        self.events.emit(EventKind::PhaseStarted(started));
    }

    /// Returns the hardware of this host. A stop signal ends the wait for a program of the image that hangs while it is asked.
    ///
    /// # Errors
    /// A stop signal came, or another host ends the job.
    pub(super) async fn hardware(&mut self, context: &Context, prepared: &Prepared) -> Result<Hardware, Interrupted> {
        let probe = prepare::probe(prepared, &context.variables);
        if !probe.has_programs() {
            return Ok(probe.ask());
        }
        let asked = self.supervisor.interruptible(move || probe.ask()).await;
        if asked.is_err() {
            supervise::kill_descendants();
        }
        asked
    }
}
