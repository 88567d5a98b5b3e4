//! The channel from the components that emit events to the subscribers that receive them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Event, EventKind, Moment};

/// A receiver of events.
pub trait Subscriber: Send {
    /// Takes one event. Must not block: it runs on the thread of the component that emits the event.
    fn receive(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Subscriber for F {
    fn receive(&mut self, event: &Event) {
        self(event);
    }
}

/// A handle through which components emit events. Clones share the subscribers.
///
/// Every subscriber receives all events in one order. An event that a subscriber emits while it receives another is
/// delivered after that one.
#[derive(Clone, Default)]
pub struct Events {
    attempt: u32,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The name of this host, once it is known.
    host: OnceLock<Arc<str>>,
    queue: Mutex<Queue>,
    /// Locked by the one thread that is delivering events.
    subscribers: Mutex<Vec<Box<dyn Subscriber>>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Event>,
    added: Vec<Box<dyn Subscriber>>,
    is_delivering: bool,
}

impl Events {
    /// Makes a handle without subscribers. `host` is the name of this host.
    pub fn new(host: &str) -> Events {
        let events = Events::default();
        events.name_host(host);
        events
    }

    /// Returns a handle whose events carry another attempt number.
    pub fn for_attempt(&self, attempt: u32) -> Events {
        Events { attempt, ..self.clone() }
    }

    /// Returns the attempt number that the events of this handle carry.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Names this host in all events from now on. Only the first name counts.
    pub fn name_host(&self, host: &str) {
        // A second name is ignored.
        let _ = self.shared.host.set(host.into());
    }

    /// Adds a subscriber to those that all clones share. It receives the events that are emitted from now on.
    pub fn subscribe(&self, subscriber: impl Subscriber + 'static) {
        lock(&self.shared.queue).added.push(Box::new(subscriber));
    }

    /// Calls `begin` when the first process has started: work that is put off until then does not delay the script.
    pub fn at_first_start(&self, begin: impl FnOnce() + Send + 'static) {
        let mut begin = Some(begin);
        self.subscribe(move |event: &Event| {
            if matches!(event.kind, EventKind::ProcessStarted { .. })
                && let Some(begin) = begin.take()
            {
                begin();
            }
        });
    }

    /// Emits an event that happens now on this host.
    pub fn emit(&self, kind: EventKind) {
        self.emit_at(Moment::now(), kind);
    }

    /// Emits an event that happened on this host at a known time.
    pub fn emit_at(&self, at: Moment, kind: EventKind) {
        let host = self.shared.host.get().cloned().unwrap_or_default();
        let event = Event { at, host, attempt: self.attempt, kind };
        let mut queue = lock(&self.shared.queue);
        queue.waiting.push_back(event);
        if queue.is_delivering {
            return;
        }
        queue.is_delivering = true;
        drop(queue);
        self.deliver();
    }

    /// Delivers queued events until the queue is empty.
    fn deliver(&self) {
        let mut subscribers = lock(&self.shared.subscribers);
        loop {
            let mut queue = lock(&self.shared.queue);
            subscribers.append(&mut queue.added);
            let Some(event) = queue.waiting.pop_front() else {
                queue.is_delivering = false;
                return;
            };
            drop(queue);
            for subscriber in subscribers.iter_mut() {
                subscriber.receive(&event);
            }
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("host", &self.shared.host).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::Events;
    use crate::event::{Event, EventKind, JobPhase};

    /// The names of the phases that were seen to start, in order.
    fn recorder(events: &Events) -> Arc<Mutex<Vec<String>>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        events.subscribe(move |event: &Event| log.lock().unwrap().push(format!("{:?} on {}", event.kind, event.host)));
        seen
    }

    #[test]
    fn every_subscriber_receives_all_events_in_one_order() {
        let events = Events::new("algo-1");
        let (first, second) = (recorder(&events), recorder(&events));
        let other = events.clone();
        // This subscriber emits while it receives. The others see its event after the one that triggered it.
        events.subscribe(move |event: &Event| {
            if event.kind == EventKind::PhaseStarted(JobPhase::Code) {
                other.emit(EventKind::PhaseEnded(JobPhase::Code));
            }
        });
        let third = recorder(&events);
        events.emit(EventKind::PhaseStarted(JobPhase::Code));
        let expected = ["PhaseStarted(Code) on algo-1", "PhaseEnded(Code) on algo-1"];
        for seen in [first, second, third] {
            assert_eq!(*seen.lock().unwrap(), expected);
        }
    }

    #[test]
    fn events_of_several_threads_are_all_delivered() {
        let events = Events::new("");
        let seen = recorder(&events);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| events.emit(EventKind::PhaseStarted(JobPhase::Config))));
            }
        });
        // The last thread that delivered has taken all of them.
        assert_eq!(seen.lock().unwrap().len(), 800);
    }
}
