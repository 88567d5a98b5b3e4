//! The silence of the whole job: the time since the last sign of life of any host.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::LastSign;

/// The last sign of a host, by the clock of this one.
#[derive(Clone, Copy, Debug)]
struct HeardSign {
    at_ms: u64,
    at: Instant,
}

impl HeardSign {
    /// Takes a sign of which a host has told.
    fn first(sign: LastSign, now: Instant) -> HeardSign {
        let at = now.checked_sub(Duration::from_millis(sign.quiet_ms)).unwrap_or(now);
        HeardSign { at_ms: sign.at_ms, at }
    }

    /// Takes what the host tells next. A sign that is told again is no new one, however long the news was on its way.
    fn next(&mut self, sign: LastSign, now: Instant) {
        let new = HeardSign::first(sign, now);
        if sign.at_ms > self.at_ms {
            *self = HeardSign { at: new.at.max(self.at), ..new };
        } else {
            // The news that was on its way for the shortest time is the most exact.
            self.at = new.at.min(self.at);
        }
    }
}

/// The last signs of which other hosts tell, by the name of each.
#[derive(Debug, Default)]
pub(super) struct HeardSigns(BTreeMap<String, HeardSign>);

impl HeardSigns {
    /// Takes a sign, as it is told now, and returns its time.
    pub(super) fn heard(&mut self, name: &str, sign: LastSign, now: Instant) -> Instant {
        let known = self.0.entry(name.to_owned()).or_insert_with(|| HeardSign::first(sign, now));
        known.next(sign, now);
        known.at
    }
}

/// The last signs of life of the other hosts.
///
/// A host that says that no rank of its own runs any more, or that is lost, does not count. The claim of a host cannot make the job
/// more silent than its other hosts are.
#[derive(Debug, Default)]
pub(super) struct QuietHosts(HeardSigns);

impl QuietHosts {
    /// Takes the last sign of life of a host, as it tells it now.
    pub(super) fn heard(&mut self, host: &str, sign: Option<LastSign>, now: Instant) {
        match sign {
            Some(sign) => {
                self.0.heard(host, sign, now);
            }
            None => self.lost(host),
        }
    }

    /// Forgets a host.
    pub(super) fn lost(&mut self, host: &str) {
        self.0.0.remove(host);
    }

    /// Returns the last sign of life of all hosts, of which this host's is given.
    pub(super) fn last(&self, own: Instant) -> Instant {
        self.0.0.values().map(|sign| sign.at).fold(own, Instant::max)
    }
}

/// Returns a sign of this host as it is told to the leader. `begun` is the start of its clock.
pub(super) fn told(begun: Instant, at: Instant, now: Instant) -> LastSign {
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
        hosts.heard("algo-2", sign(100, 1000), at(10));
        hosts.heard("algo-3", sign(100, 7000), at(10));
        assert_eq!(hosts.last(at(5)), at(9));
        // The same sign, told again: once late, once more quickly than before.
        hosts.heard("algo-2", sign(100, 2000), at(14));
        assert_eq!(hosts.last(at(5)), at(9));
        hosts.heard("algo-2", sign(100, 7000), at(15));
        assert_eq!(hosts.last(at(5)), at(8));
        // A new one, and a claim to have had none.
        hosts.heard("algo-2", sign(200, 1000), at(17));
        assert_eq!(hosts.last(at(5)), at(16));
        hosts.heard("algo-2", sign(0, u64::MAX), at(18));
        assert_eq!(hosts.last(at(5)), at(5));
        hosts.heard("algo-2", None, at(12));
        assert_eq!(hosts.last(at(2)), at(3));
        hosts.lost("algo-3");
        assert_eq!(hosts.last(at(2)), at(2));
    }
}
