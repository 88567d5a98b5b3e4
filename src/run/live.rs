//! The parts that live as long as a run of footplate.

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

/// The parts that live as long as a run.
#[derive(Debug)]
pub(super) struct Live {
    /// Runs all programs.
    pub(super) supervisor: Supervisor,
    /// The bus on which components report events.
    pub(super) events: Events,
    /// The times of the phases.
    pub(super) timeline: Timeline,
    /// A folder for the temporary files of this run.
    pub(super) scratch: Scratch,
    /// The run record. `None` before the job is known, and if the record is turned off.
    pub(super) record: Option<RunRecord>,
    /// The folder of the report at the end of the job. `None` if no report is requested on this host.
    pub(super) report: Option<PathBuf>,
    /// The collection of metrics. `None` if the job has none, and after the script.
    pub(super) metrics: Option<Metrics>,
    /// The sampling of resources. `None` if it is turned off, and after the script.
    pub(super) resources: Option<Resources>,
    /// The folder of checkpoints. `None` if the job has none.
    pub(super) checkpoints: Option<CheckpointFolder>,
    /// The sender of metrics. `None` if it was not requested, and after the script.
    pub(super) push: Option<Push>,
    /// The folder of this host's evidence files. `None` before the script, and if no record is kept.
    pub(super) evidence_folder: Option<PathBuf>,
    /// The watch for hangs. `None` before the script and after it.
    pub(super) hang: Option<HangWatch>,
    /// The connection to the other hosts. `None` in a job of one host.
    pub(super) peers: Option<PeerLink>,
    /// The uploads of intermediate output, and the grace period.
    pub(super) uploads: Option<(IntermediateUploads, Duration)>,
    /// The length limit of the failure text.
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

    /// Returns the hardware of this host. A stop signal ends the wait for a program of the image that hangs.
    ///
    /// # Errors
    /// A stop signal came, or another host ends the job.
    pub(super) async fn hardware(&mut self, context: &Context, prepared: &Prepared) -> Result<Hardware, Interrupted> {
        let probe = prepare::probe(prepared, &context.variables);
        if !probe.has_programs() {
            return Ok(probe.query_programs());
        }
        let answer = self.supervisor.interruptible(move || probe.query_programs()).await;
        if answer.is_err() {
            supervise::kill_descendants();
        }
        answer
    }
}
