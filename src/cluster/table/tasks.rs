//! The failed tasks of the hosts' workers, which show on which host the script's exception was raised.

use std::collections::BTreeMap;

use crate::event::{Cause, TaskFailure};

/// The last failed tasks of each host.
#[derive(Debug)]
pub(super) struct HostTasks {
    /// The name of the engine whose workers run tasks. `None` if the launch has no such workers.
    engine: Option<&'static str>,
    /// The failed tasks of the hosts that have reported them.
    reported: BTreeMap<String, Vec<TaskFailure>>,
}

impl HostTasks {
    pub(super) fn new(engine: Option<&'static str>) -> HostTasks {
        HostTasks { engine, reported: BTreeMap::new() }
    }

    /// Records the failed tasks of a host.
    pub(super) fn note(&mut self, host: &str, failures: Vec<TaskFailure>) {
        self.reported.insert(host.to_owned(), failures);
    }

    /// Returns true if a host has not reported its failed tasks, and the cause may be one of them.
    pub(super) fn may_explain(&self, host: &str, cause: &Cause) -> bool {
        self.engine.is_some() && !self.reported.contains_key(host) && cause.place.is_some() && cause.thread.is_none()
    }

    /// Names the hosts on which a task failed with this cause.
    pub(super) fn locate(&self, cause: &mut Cause) {
        let Some(engine) = self.engine else { return };
        let has_failed =
            |(_, failures): &(&String, &Vec<TaskFailure>)| failures.iter().any(|task| task.is_cause(cause));
        let hosts: Vec<&str> = self.reported.iter().filter(has_failed).map(|(host, _)| host.as_str()).collect();
        if cause.thread.is_none() {
            cause.thread = tasks_on(engine, &hosts);
        }
    }
}

/// Returns the words for tasks of an engine on these hosts. `None` without any host.
fn tasks_on(engine: &str, hosts: &[&str]) -> Option<String> {
    match hosts {
        [] => None,
        [host] => Some(format!("{engine} task on host {host}")),
        [one, other] => Some(format!("{engine} tasks on hosts {one} and {other}")),
        [one, other, more @ ..] => Some(format!("{engine} tasks on hosts {one}, {other} and {} others", more.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::HostTasks;
    use crate::event::{Cause, CauseEnding, Ending, SourcePlace, TaskFailure};

    const PLACE: Option<SourcePlace> = Some(SourcePlace { path: String::new(), line: 4, function: None });

    #[test]
    fn only_hosts_on_which_the_cause_was_raised_are_named() {
        let cause = Cause { place: PLACE, ..Cause::new("KeyError: 'x'", CauseEnding::Process(Ending::Exited(1))) };
        let thread = |engine, hosts: &[(&str, &[&str])]| {
            let mut tasks = HostTasks::new(engine);
            for (host, headlines) in hosts {
                let failure = |headline: &&str| TaskFailure { headline: (*headline).to_owned(), place: PLACE };
                tasks.note(host, headlines.iter().map(failure).collect());
            }
            let mut located = cause.clone();
            tasks.locate(&mut located);
            located.thread
        };
        let named = |hosts: &[(&str, &[&str])]| thread(Some("Dask"), hosts);
        let (own, old): (&[&str], &[&str]) = (&["KeyError: 'y'", "KeyError: 'x'"], &["KeyError: 'y'"]);
        assert_eq!(named(&[("a", old), ("b", own)]).as_deref(), Some("Dask task on host b"));
        assert_eq!(named(&[("a", own), ("b", own)]).as_deref(), Some("Dask tasks on hosts a and b"));
        let all = [("a", own), ("b", own), ("c", own), ("d", old), ("e", own)];
        assert_eq!(named(&all).as_deref(), Some("Dask tasks on hosts a, b and 2 others"));
        assert_eq!(named(&[("a", old), ("b", &[])]), None);
        assert_eq!(thread(None, &[("b", own)]), None);
    }
}
