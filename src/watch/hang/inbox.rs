//! The orders to the watch, which come from events, from other hosts and from the end of the script.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::EventFd;

use crate::event::{Event, EventKind, Subscriber, WatchNote};

/// The maximum number of waiting orders. Notes from a peer that sends more are dropped.
const MAX_ORDERS: usize = 10_000;

/// An order for the thread.
#[derive(Debug)]
pub(super) enum WatchOrder {
    /// Log the stacks of all ranks.
    Ask,
    /// The ranks were told to end.
    Stopping,
    /// A process of this attempt was started.
    Started(u32),
    /// Another host has sent a note.
    Note(String, WatchNote),
    /// Another host is lost.
    Lost(String),
    /// The script has ended.
    End,
}

/// The orders that wait for the thread.
#[derive(Debug)]
pub(super) struct Inbox {
    orders: Mutex<VecDeque<WatchOrder>>,
    wake: EventFd,
}

impl Inbox {
    pub(super) fn new(wake: EventFd) -> Inbox {
        Inbox { orders: Mutex::default(), wake }
    }

    pub(super) fn post(&self, order: WatchOrder) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() < MAX_ORDERS || matches!(order, WatchOrder::End) {
            orders.push_back(order);
            // This can only fail if the counter of wake-ups is full, and then the thread wakes anyway.
            let _ = self.wake.write(1);
        }
    }

    /// Returns the next order, without waiting.
    pub(super) fn next(&self) -> Option<WatchOrder> {
        let next = self.orders.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if next.is_none() {
            let _ = self.wake.read();
        }
        next
    }

    /// Returns a descriptor that is readable if an order waits.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Returns a subscriber that turns events into orders.
pub(super) fn listener(inbox: &Arc<Inbox>) -> impl Subscriber + use<> {
    let inbox = Arc::clone(inbox);
    move |event: &Event| {
        inbox.post(match &event.kind {
            EventKind::StacksAsked => WatchOrder::Ask,
            EventKind::ProcessStarted { .. } => WatchOrder::Started(event.attempt),
            EventKind::Stopping(_) | EventKind::ProcessFailed { .. } => WatchOrder::Stopping,
            EventKind::PeerNote { host, note } => WatchOrder::Note(host.clone(), (**note).clone()),
            EventKind::HostLost { host, .. } => WatchOrder::Lost(host.clone()),
            _ => return,
        });
    }
}
