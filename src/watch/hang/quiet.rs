//! The silence of the whole job: the time since the last sign of life on any host.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::LastSign;

/// The last sign of a host, converted to the clock of this host.
#[derive(Clone, Copy, Debug)]
struct ReceivedSign {
    at_ms: u64,
    at: Instant,
}

impl ReceivedSign {
    /// Records the first sign that a host reports.
    fn first(sign: LastSign, now: Instant) -> ReceivedSign {
        let at = now.checked_sub(Duration::from_millis(sign.quiet_ms)).unwrap_or(now);
        ReceivedSign { at_ms: sign.at_ms, at }
    }

    /// Records a later report of the host. A repeated report of one sign does not count as a new sign, even if it was
    /// delayed.
    fn next(&mut self, sign: LastSign, now: Instant) {
        let new = ReceivedSign::first(sign, now);
        if sign.at_ms > self.at_ms {
            *self = ReceivedSign { at: new.at.max(self.at), ..new };
        } else {
            // The report that was delayed least is the most exact.
            self.at = new.at.min(self.at);
        }
    }
}

/// The last signs that other hosts have reported, by name.
#[derive(Debug, Default)]
pub(super) struct ReceivedSigns(BTreeMap<String, ReceivedSign>);

impl ReceivedSigns {
    /// Records a sign that was just reported, and returns its time.
    pub(super) fn record(&mut self, name: &str, sign: LastSign, now: Instant) -> Instant {
        let known = self.0.entry(name.to_owned()).or_insert_with(|| ReceivedSign::first(sign, now));
        known.next(sign, now);
        known.at
    }
}

/// The last signs of life of the other hosts.
///
/// A host does not count if it has reported that no rank of its own runs any more, or if it is lost. No host can make
/// the job look more silent than its other hosts are.
#[derive(Debug, Default)]
pub(super) struct QuietHosts(ReceivedSigns);

impl QuietHosts {
    /// Records the last sign of life that a host has just reported.
    pub(super) fn record(&mut self, host: &str, sign: Option<LastSign>, now: Instant) {
        match sign {
            Some(sign) => {
                self.0.record(host, sign, now);
            }
            None => self.lost(host),
        }
    }

    /// Forgets a host.
    pub(super) fn lost(&mut self, host: &str) {
        self.0.0.remove(host);
    }

    /// Returns the last sign of life on any host. `own` is the last one on this host.
    pub(super) fn last(&self, own: Instant) -> Instant {
        self.0.0.values().map(|sign| sign.at).fold(own, Instant::max)
    }
}

/// Returns a sign of this host in the form in which it is reported to the leader. `begun` is the start of this host's
/// clock.
pub(super) fn as_reported(begun: Instant, at: Instant, now: Instant) -> LastSign {
    let between =
        |from: Instant, to: Instant| u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX);
    LastSign { at_ms: between(begun, at), quiet_ms: between(at, now) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::QuietHosts;
    use crate::event::LastSign;

    #[test]
    fn a_job_is_as_silent_as_its_least_silent_host() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let sign = |at_ms, quiet_ms| Some(LastSign { at_ms, quiet_ms });
        let mut hosts = QuietHosts::default();
        assert_eq!(hosts.last(at(5)), at(5));
        hosts.record("algo-2", sign(100, 1000), at(10));
        hosts.record("algo-3", sign(100, 7000), at(10));
        assert_eq!(hosts.last(at(5)), at(9));
        // One sign is reported again: first with a delay, then faster than before.
        hosts.record("algo-2", sign(100, 2000), at(14));
        assert_eq!(hosts.last(at(5)), at(9));
        hosts.record("algo-2", sign(100, 7000), at(15));
        assert_eq!(hosts.last(at(5)), at(8));
        // A new sign, and then a claim that there was no sign.
        hosts.record("algo-2", sign(200, 1000), at(17));
        assert_eq!(hosts.last(at(5)), at(16));
        hosts.record("algo-2", sign(0, u64::MAX), at(18));
        assert_eq!(hosts.last(at(5)), at(5));
        hosts.record("algo-2", None, at(12));
        assert_eq!(hosts.last(at(2)), at(3));
        hosts.lost("algo-3");
        assert_eq!(hosts.last(at(2)), at(2));
    }
}
