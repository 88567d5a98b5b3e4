//! Signals to containers, and containers that do not start.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::engine::{ContainerEngine, ContainerError, PATIENCE};
use super::plan::{ContainerPlan, Words};
use crate::event::Ending;
use crate::local::hosts::{Overseer, Running};

/// The time after the grace period until a container is killed, in seconds. The platform kills it after 120 s.
pub(super) const EXTRA_SECONDS: u64 = 10;

/// The time for which a container that was stopped twice may still write why it ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The interval at which a signal is sent again to a container that is not running yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The time limit for the engine to pass a signal on.
const SIGNAL_PATIENCE: Duration = Duration::from_secs(10);

/// Passes signals on to containers, and ends the job if a container cannot be started.
pub(super) struct Stopping {
    shared: Arc<Shared>,
    not_started: Mutex<Option<ContainerError>>,
}

struct Shared {
    engine: ContainerEngine,
    plan: ContainerPlan,
    grace: Duration,
    /// The number of stop signals.
    stops: AtomicUsize,
}

impl Stopping {
    pub(super) fn new(engine: ContainerEngine, plan: ContainerPlan, grace_seconds: u64) -> Stopping {
        let grace = Duration::from_secs(grace_seconds + EXTRA_SECONDS);
        let shared = Shared { engine, plan, grace, stops: AtomicUsize::new(0) };
        Stopping { shared: Arc::new(shared), not_started: Mutex::new(None) }
    }

    /// Returns the first container that could not be started.
    pub(super) fn not_started(self) -> Option<ContainerError> {
        self.not_started.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Overseer for Stopping {
    fn pass_on(&self, signal: Signal, running: &Arc<Running>) {
        let (shared, running) = (Arc::clone(&self.shared), Arc::clone(running));
        let word = match signal {
            Signal::SIGTSTP => Some("pause"),
            Signal::SIGCONT => Some("unpause"),
            _ => None,
        };
        if let Some(word) = word {
            // A container that is not suspended cannot continue. Some engines support neither.
            shared.run(&shared.plan.suspend(&running.hosts(), word));
            return;
        }
        // The next signal must not have to wait for the engine.
        std::thread::spawn(move || match signal {
            Signal::SIGINT | Signal::SIGTERM => shared.stop(signal, &running),
            signal => shared.send(signal, &running),
        });
    }

    fn ended(&self, host: usize, status: ExitStatus, running: &Arc<Running>) {
        if status.success() || self.shared.stops.load(Ordering::SeqCst) > 0 {
            return;
        }
        let Some(said) = self.shared.start_failure(host, Ending::from(status)) else { return };
        let mut not_started = self.not_started.lock().unwrap_or_else(PoisonError::into_inner);
        if not_started.is_none() {
            *not_started = Some(ContainerError::NotStarted { host: self.shared.plan.hosts[host].0.clone(), said });
            // The other hosts would wait for this one.
            self.shared.kill(running);
        }
    }
}

impl Shared {
    fn run(&self, words: &Words) -> bool {
        self.engine.output(words, SIGNAL_PATIENCE).is_ok()
    }

    /// Sends a signal to the running containers. A container that is about to start gets it once it is running.
    fn send(&self, signal: Signal, running: &Running) {
        let mut sent = Vec::new();
        loop {
            let left: Vec<usize> = running.hosts().into_iter().filter(|host| !sent.contains(host)).collect();
            if left.is_empty() {
                return;
            }
            sent.extend(left.into_iter().filter(|host| self.run(&self.plan.signal(*host, signal.as_str()))));
            if running.all_end_within(RETRY_INTERVAL) {
                return;
            }
        }
    }

    /// Stops the containers: first with the grace period, and at once if the user sends a second signal.
    fn stop(&self, signal: Signal, running: &Running) {
        let is_first = self.stops.fetch_add(1, Ordering::SeqCst) == 0;
        self.send(signal, running);
        if !running.all_end_within(if is_first { self.grace } else { LAST_WORDS }) {
            self.kill(running);
        }
    }

    /// Ends the containers, and then the engine's own processes if it does not answer.
    fn kill(&self, running: &Running) {
        for host in running.hosts() {
            self.run(&self.plan.signal(host, "SIGKILL"));
        }
        if !running.all_end_within(LAST_WORDS) {
            running.signal(Signal::SIGKILL);
        }
    }

    /// Returns the engine's reason if the container of a host never started.
    fn start_failure(&self, host: usize, ending: Ending) -> Option<String> {
        let state = match self.engine.output(&self.plan.state(host), PATIENCE) {
            Ok(state) => serde_json::from_str::<Value>(&state).ok()?,
            Err(error) => return Some(error.to_string()),
        };
        if state["StartedAt"].as_str().is_some_and(|time| !time.starts_with("0001-01-01")) {
            return None;
        }
        let said = state["Error"].as_str().filter(|said| !said.is_empty());
        Some(said.map_or(format!("{} ended with {ending}", self.engine.name()), str::to_owned))
    }
}
