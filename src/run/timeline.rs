//! The times of the phases before the script starts, for the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, EventKind, Events, JobPhase, Moment};

/// The phases that have ended, with their durations.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    begun: Moment,
    phases: Arc<Mutex<Phases>>,
}

#[derive(Debug)]
struct Phases {
    last_end: Instant,
    ended: Vec<(JobPhase, Duration)>,
}

impl Timeline {
    /// Begins a timeline that receives events.
    pub(super) fn subscribe(events: &Events) -> Timeline {
        let begun = Moment::now();
        let phases = Arc::new(Mutex::new(Phases { last_end: begun.monotonic, ended: Vec::new() }));
        let seen = Arc::clone(&phases);
        events.subscribe(move |event: &Event| {
            if let EventKind::PhaseEnded(phase) = event.kind {
                let mut phases = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let duration = event.at.monotonic - phases.last_end;
                phases.last_end = event.at.monotonic;
                phases.ended.push((phase, duration));
            }
        });
        Timeline { begun, phases }
    }

    /// Returns the time at which footplate began.
    pub(super) fn begun(&self) -> Moment {
        self.begun
    }

    /// Returns the duration of the start and of each of its phases, in seconds.
    pub(super) fn ready(&self) -> String {
        let phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let phases: Vec<String> =
            phases.ended.iter().map(|(phase, time)| format!("{} {:.3}", phase.name(), time.as_secs_f64())).collect();
        format!("ready in {:.3} s: {}", self.begun.monotonic.elapsed().as_secs_f64(), phases.join(", "))
    }
}
