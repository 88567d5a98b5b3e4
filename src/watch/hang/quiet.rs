//! The silence of the whole job: the time since the last sign of life of any host.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The last signs of life of the other hosts.
///
/// A host that says that no rank of its own runs any more, or that is lost, does not count. The claim of a host cannot make the job
/// more silent than its other hosts are.
#[derive(Debug, Default)]
pub(super) struct QuietHosts(BTreeMap<String, Instant>);

impl QuietHosts {
    /// Takes the time since the last sign of life of a host, in milliseconds.
    pub(super) fn heard(&mut self, host: &str, quiet_ms: Option<u64>, now: Instant) {
        match quiet_ms {
            Some(quiet) => {
                let at = now.checked_sub(Duration::from_millis(quiet)).unwrap_or(now);
                // A sign of life cannot be taken back.
                let last = self.0.entry(host.to_owned()).or_insert(at);
                *last = at.max(*last);
            }
            None => self.lost(host),
        }
    }

    /// Forgets a host.
    pub(super) fn lost(&mut self, host: &str) {
        self.0.remove(host);
    }

    /// Returns the last sign of life of all hosts, of which this host's is given.
    pub(super) fn last(&self, own: Instant) -> Instant {
        self.0.values().copied().fold(own, Instant::max)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::QuietHosts;

    #[test]
    fn a_job_is_as_silent_as_its_least_silent_host() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut hosts = QuietHosts::default();
        assert_eq!(hosts.last(at(5)), at(5));
        hosts.heard("algo-2", Some(1000), at(10));
        hosts.heard("algo-3", Some(7000), at(10));
        assert_eq!(hosts.last(at(5)), at(9));
        // A host cannot take a sign back.
        hosts.heard("algo-2", Some(u64::MAX), at(11));
        assert_eq!(hosts.last(at(5)), at(9));
        hosts.heard("algo-2", None, at(12));
        assert_eq!(hosts.last(at(2)), at(3));
        hosts.lost("algo-3");
        assert_eq!(hosts.last(at(2)), at(2));
    }
}
