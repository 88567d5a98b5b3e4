//! The times at which processes last wrote something.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::Process;

/// The times of the last output of all processes that a relay has read, by stream.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<Vec<Arc<Pulse>>>>);

/// The time of the last output on a stream.
#[derive(Debug)]
pub(super) struct Pulse {
    process: Process,
    begun: Instant,
    /// The milliseconds since `begun`, plus one. 0 if nothing was written.
    last: AtomicU64,
}

impl Pulses {
    /// Returns the processes that have written anything, with the time of the last output on each of their streams.
    pub fn all(&self) -> Vec<(Process, Instant)> {
        self.lock().iter().filter_map(|pulse| Some((pulse.process.clone(), pulse.last()?))).collect()
    }

    /// Adds a stream of a process.
    pub(super) fn add(&self, process: &Process) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse { process: process.clone(), begun: Instant::now(), last: AtomicU64::new(0) });
        self.lock().push(Arc::clone(&pulse));
        pulse
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// Records that something was written.
    pub(super) fn beat(&self, now: Instant) {
        let since = now.saturating_duration_since(self.begun).as_millis();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1), Ordering::Relaxed);
    }

    fn last(&self) -> Option<Instant> {
        let since = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.begun + Duration::from_millis(since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Pulses;
    use crate::event::Process;

    #[test]
    fn the_last_output_of_a_process_is_known() {
        let pulses = Pulses::default();
        let pulse = pulses.add(&Process::Rank(3));
        assert_eq!(pulses.all(), []);
        let now = Instant::now() + Duration::from_secs(5);
        pulse.beat(now);
        let all = pulses.all();
        assert_eq!((all.len(), &all[0].0), (1, &Process::Rank(3)));
        assert!(now - all[0].1 < Duration::from_millis(2));
    }
}
