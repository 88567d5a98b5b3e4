//! Repeating requests that failed: how often, and with which pauses.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The maximum number of repetitions of a request to S3, after errors of the server or the network.
const S3_REPETITIONS: u32 = 4;
/// The time since the first attempt after which a request to S3 is not repeated any more.
const S3_TIME: Duration = Duration::from_secs(60);
/// The first pause before a repetition, and the shortest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause before a repetition.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// The maximum number of attempts of a small request.
const SMALL_ATTEMPTS: u32 = 3;

/// The remaining repetitions of a request to S3. An object that is being read has one such budget for its first answer
/// and for every time that the answer breaks off.
#[derive(Debug)]
pub(super) struct Repetitions {
    left: u32,
    began: Instant,
    pause: Duration,
}

impl Repetitions {
    /// Creates the budget of a new request.
    pub fn new() -> Repetitions {
        Repetitions { left: S3_REPETITIONS, began: Instant::now(), pause: FIRST_PAUSE }
    }

    /// Leaves at most one attempt, because each one takes long.
    pub fn shorten(&mut self) {
        self.left = self.left.min(1);
    }

    /// Waits before the next attempt. Returns false at once if there is no further attempt.
    pub async fn wait(&mut self) -> bool {
        let Some(pause) = self.next_pause(random_fraction()) else { return false };
        tokio::time::sleep(pause).await;
        true
    }

    /// Returns the pause before the next attempt and counts it, or `None` if there is no further attempt. The pause is
    /// at the `fraction` of the range from [`FIRST_PAUSE`] to twice the previous pause, so that hosts that failed at
    /// the same time do not repeat at the same time.
    fn next_pause(&mut self, fraction: f64) -> Option<Duration> {
        if self.left == 0 || self.began.elapsed() > S3_TIME {
            return None;
        }
        self.left -= 1;
        let pause = self.pause;
        let next = FIRST_PAUSE + (self.pause * 2 - FIRST_PAUSE).mul_f64(fraction);
        self.pause = next.min(LONGEST_PAUSE);
        Some(pause)
    }
}

/// Returns a random number from 0 to 1. The standard library seeds its hash maps from the kernel's random numbers.
fn random_fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// An attempt of a small request that failed.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub reason: String,
    /// True if another attempt may succeed.
    pub may_pass: bool,
}

impl FailedAttempt {
    /// Describes an attempt that would fail again.
    pub fn for_good(reason: impl Into<String>) -> FailedAttempt {
        FailedAttempt { reason: reason.into(), may_pass: false }
    }

    /// Describes an attempt after which another may succeed.
    pub fn for_now(reason: impl Into<String>) -> FailedAttempt {
        FailedAttempt { reason: reason.into(), may_pass: true }
    }
}

/// Makes up to [`SMALL_ATTEMPTS`] attempts of a small request, with pauses of 0.3 and 0.6 s. `what` names the request in
/// the log.
///
/// # Errors
/// The reason of the last attempt.
pub(super) async fn repeated<T, A>(what: &str, attempt: impl Fn() -> A) -> Result<T, String>
where
    A: Future<Output = Result<T, FailedAttempt>>,
{
    let mut count = 1;
    loop {
        match attempt().await {
            Err(failed) if failed.may_pass && count < SMALL_ATTEMPTS => {
                tracing::debug!("{what}: {}; asking again", failed.reason);
                tokio::time::sleep(Duration::from_millis(300) * count).await;
                count += 1;
            }
            other => return other.map_err(|failed| failed.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST_PAUSE, Repetitions, S3_TIME, random_fraction};

    #[test]
    fn repetitions_are_bounded_in_number_time_and_pause() {
        let mut repetitions = Repetitions::new();
        let pauses: Vec<_> = std::iter::from_fn(|| repetitions.next_pause(1.0)).collect();
        assert_eq!(pauses, [200, 400, 800, 1600].map(Duration::from_millis));
        let mut repetitions = Repetitions { left: 1_000, ..Repetitions::new() };
        let pauses: Vec<_> = std::iter::from_fn(|| repetitions.next_pause(random_fraction())).collect();
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE && *pause >= Duration::from_millis(200)));
        assert_eq!(pauses.len(), 1_000);
        let mut stalled = Repetitions::new();
        stalled.shorten();
        assert!(stalled.next_pause(0.0).is_some(), "one more attempt");
        stalled.shorten();
        assert_eq!(stalled.next_pause(0.0), None);
        let mut late = Repetitions::new();
        late.began -= S3_TIME + Duration::from_secs(1);
        assert_eq!(late.next_pause(0.0), None);
    }
}
