//! The timeout that is learned from the job's own silences (`hang_timeout=auto`).

use std::time::{Duration, Instant};

/// The time for which a job may be silent before its first metric, because it may be loading a model or compiling.
const FIRST_TIME: Duration = Duration::from_secs(60 * 60);

/// The minimum timeout.
const LEAST: Duration = Duration::from_secs(10 * 60);

/// The timeout as a multiple of the longest silence.
const FACTOR: u32 = 5;

/// The number of silences that are ignored at the beginning, because the first steps are slow.
const WARM_UP: u32 = 5;

/// The silences of a job so far.
#[derive(Debug)]
pub(super) struct LearnedSilences {
    begun: Instant,
    last_sign: Instant,
    /// The number of signs of life since the first metric.
    signs: u32,
    has_metric: bool,
    longest: Duration,
}

impl LearnedSilences {
    pub(super) fn new(begun: Instant) -> LearnedSilences {
        LearnedSilences { begun, last_sign: begun, signs: 0, has_metric: false, longest: Duration::ZERO }
    }

    /// Records the time of the last sign of life.
    pub(super) fn sign(&mut self, at: Instant, has_metric: bool) {
        self.has_metric |= has_metric;
        if at <= self.last_sign {
            return;
        }
        let silence = at - self.last_sign;
        self.last_sign = at;
        if self.has_metric {
            self.signs = self.signs.saturating_add(1);
        }
        if self.signs > WARM_UP {
            self.longest = self.longest.max(silence);
        }
    }

    /// Returns the timeout. `None` in the first hour before the first metric, because nothing is known yet.
    pub(super) fn limit(&self, now: Instant) -> Option<Duration> {
        if !self.has_metric {
            return (now.saturating_duration_since(self.begun) >= FIRST_TIME).then_some(FIRST_TIME);
        }
        if self.signs <= WARM_UP {
            return Some(FIRST_TIME);
        }
        Some((self.longest * FACTOR).max(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::LearnedSilences;

    #[test]
    fn the_timeout_follows_the_longest_silence_after_the_first_steps() {
        let begun = Instant::now();
        let at = |minutes: u64| begun + Duration::from_secs(60 * minutes);
        let minutes = |learned: &LearnedSilences, now| learned.limit(at(now)).map(|limit| limit.as_secs() / 60);
        let mut learned = LearnedSilences::new(begun);
        learned.sign(at(1), false);
        assert_eq!(minutes(&learned, 59), None);
        assert_eq!(minutes(&learned, 60), Some(60));
        // The first step took half an hour, and is ignored.
        learned.sign(at(31), true);
        assert_eq!(minutes(&learned, 31), Some(60));
        (32..37).for_each(|minute| learned.sign(at(minute), true));
        assert_eq!(minutes(&learned, 36), Some(10));
        // The silence of an evaluation that took 8 minutes.
        learned.sign(at(44), true);
        assert_eq!(minutes(&learned, 44), Some(40));
        (45..100).for_each(|minute| learned.sign(at(minute), true));
        assert_eq!(minutes(&learned, 100), Some(40));
    }
}
