//! The checkpoints of a job: the work that a failure has cost, and whether a checkpoint was written after a stop.

use super::checkpoint_story::{CheckpointFolder, SharedStory};
use super::live::Live;
use super::{Outcome, Prepared};
use crate::event::{CauseDetail, DetailLabel};
use crate::watch::checkpoints::{self, Checkpoints};

/// Begins to watch the job's folder of checkpoints, if it has one.
pub(super) fn begin(live: &mut Live, prepared: &Prepared) {
    let Some(folder) = prepared.job.checkpoint_dir.clone() else { return };
    let story = SharedStory::default();
    live.events.subscribe(story.clone());
    match Checkpoints::begin(folder, checkpoints::INTERVAL, &live.events) {
        Ok(watch) => live.checkpoints = Some(CheckpointFolder { watch, story }),
        Err(error) => tracing::warn!("checkpoints are not watched: no thread can be started ({error})"),
    }
}

/// Scans the folder for the last time. After a stop, logs if a checkpoint was written.
pub(super) async fn end(live: &Live) {
    let Some(CheckpointFolder { watch, story }) = &live.checkpoints else { return };
    if watch.finish().await
        && let Some(line) = story.so_far().after_stop()
    {
        tracing::info!("{line}");
    }
}

/// Adds the lost work to the cause of a failure.
pub(super) fn explain(live: &Live, outcome: Outcome) -> Outcome {
    let lost = live.checkpoints.as_ref().and_then(|folder| folder.story.so_far().lost());
    match (outcome, lost) {
        (Outcome::Failed(mut cause), Some(text)) => {
            cause.details.push(CauseDetail { label: Some(DetailLabel::Lost), text });
            Outcome::Failed(cause)
        }
        (outcome, _) => outcome,
    }
}
