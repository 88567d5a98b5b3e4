//! The events of a job that matter for its checkpoints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::event::{Checkpoint, Event, EventKind, JobPhase, StopReason, Subscriber};
use crate::machine::Bytes;
use crate::watch::checkpoints::Checkpoints;
use crate::watch::words::RoughTime;

/// The folder of checkpoints, and the facts about its content.
#[derive(Debug)]
pub(super) struct CheckpointFolder {
    pub(super) watch: Checkpoints,
    pub(super) story: SharedStory,
}

/// The events of a job that matter for its checkpoints.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    /// The newest checkpoint that existed at the start.
    found: Option<Arc<Checkpoint>>,
    /// The last checkpoint that was written.
    last: Option<Arc<Checkpoint>>,
    /// The time at which the script was started.
    begun: Option<SystemTime>,
    /// The time at which the first process failed or, if none did, the script ended.
    ended: Option<SystemTime>,
    /// An orderly stop, with its name and time.
    stop: Option<(String, SystemTime)>,
}

/// A story that is updated by events.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedStory(Arc<Mutex<Story>>);

impl SharedStory {
    /// Returns the story so far.
    pub(super) fn so_far(&self) -> Story {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Story> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for SharedStory {
    fn receive(&mut self, event: &Event) {
        let at = event.at.wall;
        let mut story = self.lock();
        match &event.kind {
            EventKind::CheckpointFound(found) => story.found = Some(Arc::clone(found)),
            EventKind::CheckpointWritten(written) => story.last = Some(Arc::clone(written)),
            // The script may be started again after a failure.
            EventKind::PhaseStarted(JobPhase::Script) => (story.begun, story.ended) = (Some(at), None),
            EventKind::PhaseEnded(JobPhase::Script) | EventKind::ProcessFailed { .. } => {
                story.ended.get_or_insert(at);
            }
            EventKind::Stopping(StopReason::Signal(signal)) => {
                story.stop.get_or_insert_with(|| (signal.to_string(), at));
            }
            EventKind::Stopping(StopReason::PeerStopped(_)) => {
                story.stop.get_or_insert_with(|| ("the stop".to_owned(), at));
            }
            _ => {}
        }
    }
}

impl Story {
    /// Returns the work that a failure of the script has cost. `None` if there is no checkpoint, or if the job was
    /// stopped, because the script was then told to save.
    pub(super) fn lost(&self) -> Option<String> {
        let (begun, ended) = (self.begun?, self.ended?);
        if self.stop.is_some() {
            return None;
        }
        let since = |time: SystemTime| RoughTime(ended.duration_since(time).unwrap_or_default());
        match (&self.last, &self.found) {
            (Some(last), _) => Some(format!("{} of work since checkpoint {}", since(last.modified), shown(last))),
            (None, Some(found)) => {
                Some(format!("all {} of this run; checkpoint {} is from before it", since(begun), shown(found)))
            }
            (None, None) => None,
        }
    }

    /// Returns a line that states which checkpoint was written after an orderly stop, or that none was.
    pub(super) fn after_stop(&self) -> Option<String> {
        let (name, at) = self.stop.as_ref().filter(|_| self.begun.is_some())?;
        let last = self.last.as_ref().or(self.found.as_ref());
        Some(match last {
            Some(last) if self.last.is_some() && last.is_since(*at) => {
                let after = last.modified.duration_since(*at).unwrap_or_default();
                format!("checkpoint {} was written {} after {name}", shown(last), RoughTime(after))
            }
            Some(last) => {
                let age = RoughTime(at.duration_since(last.modified).unwrap_or_default());
                format!("no checkpoint was written after {name}; the last one, {}, was {age} old then", shown(last))
            }
            None => format!("no checkpoint was written after {name}, nor before"),
        })
    }
}

fn shown(checkpoint: &Checkpoint) -> String {
    format!("{} ({})", checkpoint.name, Bytes(checkpoint.size))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::Story;
    use crate::event::Checkpoint;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn checkpoint(name: &str, seconds: u64) -> Option<Arc<Checkpoint>> {
        Some(Arc::new(Checkpoint { name: name.into(), modified: at(seconds), size: 2048 }))
    }

    #[test]
    fn the_work_since_the_last_checkpoint_is_lost() {
        let mut story = Story { begun: Some(at(1000)), ended: Some(at(1720)), ..Story::default() };
        assert_eq!(story.lost(), None);
        story.found = checkpoint("old.pt", 10);
        let expected = "all 12 min of this run; checkpoint old.pt (2.0 KiB) is from before it";
        assert_eq!(story.lost().as_deref(), Some(expected));
        story.last = checkpoint("new.pt", 1700);
        assert_eq!(story.lost().as_deref(), Some("20 s of work since checkpoint new.pt (2.0 KiB)"));
        story.stop = Some(("SIGTERM".into(), at(1710)));
        assert_eq!(story.lost(), None);
    }

    #[test]
    fn after_a_stop_it_is_said_if_a_checkpoint_was_written() {
        let mut story = Story { begun: Some(at(5)), ..Story::default() };
        assert_eq!(story.after_stop(), None);
        story.stop = Some(("SIGTERM".into(), at(1000)));
        let said = |story: &Story| story.after_stop().expect("a line");
        assert_eq!(said(&story), "no checkpoint was written after SIGTERM, nor before");
        story.found = checkpoint("old.pt", 10);
        let old = "no checkpoint was written after SIGTERM; the last one, old.pt (2.0 KiB), was 16 min old then";
        assert_eq!(said(&story), old);
        story.last = checkpoint("new.pt", 700);
        let before = "no checkpoint was written after SIGTERM; the last one, new.pt (2.0 KiB), was 5 min old then";
        assert_eq!(said(&story), before);
        story.last = checkpoint("new.pt", 1003);
        assert_eq!(said(&story), "checkpoint new.pt (2.0 KiB) was written 3 s after SIGTERM");
    }
}
