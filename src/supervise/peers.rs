//! News from other hosts that matter to the processes of this host.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::group::{Input, Release};
use super::{PeerRanks, PeerStop};
use crate::event::{CommonStep, Event, EventKind, Events, StopReason};

/// The news from other hosts.
#[derive(Debug)]
pub(super) struct Peers {
    inbox: UnboundedReceiver<PeerNews>,
    stop: Option<PeerStop>,
    ranks: Option<PeerRanks>,
    pub(super) attention: Attention,
    pub(super) release: Release,
    /// The last common step that this host may take.
    pub(super) allowed: CommonStep,
}

/// The attention that this host pays to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    Paid,
    Withdrawn,
}

#[derive(Clone, Copy, Debug)]
enum PeerNews {
    Stop(PeerStop),
    Ranks(PeerRanks),
    /// The ranks are run again, so news about the previous attempt does not matter any more.
    Restart,
    Allowed(CommonStep),
}

/// The news from other hosts that a group has received.
#[derive(Debug)]
pub(super) struct ReceivedNews {
    stop: Option<PeerStop>,
    ranks: Option<PeerRanks>,
    allowed: CommonStep,
}

impl Peers {
    pub(super) fn subscribe(events: &Events) -> Peers {
        let (sender, inbox) = unbounded_channel();
        events.subscribe(move |event: &Event| {
            let news = match &event.kind {
                EventKind::Stopping(StopReason::PeerFailed(_) | StopReason::Hang(_)) => {
                    PeerNews::Stop(PeerStop::Failed)
                }
                EventKind::Stopping(StopReason::PeerStopped(_)) => PeerNews::Stop(PeerStop::Stopped),
                EventKind::PeerRankKilled => PeerNews::Ranks(PeerRanks::Killed),
                EventKind::Restarting { .. } => PeerNews::Restart,
                EventKind::PeersEnded => PeerNews::Ranks(PeerRanks::Ended),
                EventKind::StepAllowed(step) => PeerNews::Allowed(*step),
                _ => return,
            };
            // The supervisor may have ended.
            let _ = sender.send(news);
        });
        Peers {
            inbox,
            stop: None,
            ranks: None,
            attention: Attention::Paid,
            release: Release::Free,
            allowed: CommonStep::LAST,
        }
    }

    /// Returns the facts about other hosts that a group knows when it begins.
    pub(super) fn received(&self) -> ReceivedNews {
        ReceivedNews { stop: None, ranks: None, allowed: self.allowed }
    }

    fn note(&mut self, news: PeerNews) {
        match news {
            PeerNews::Restart => (self.stop, self.ranks, self.attention) = (None, None, Attention::Paid),
            PeerNews::Stop(stop) => self.stop = self.stop.or(Some(stop)),
            PeerNews::Ranks(PeerRanks::Killed) => self.ranks = self.ranks.or(Some(PeerRanks::Killed)),
            PeerNews::Ranks(PeerRanks::Ended) => {
                (self.ranks, self.release) = (Some(PeerRanks::Ended), Release::Free);
                self.allowed = CommonStep::LAST;
            }
            PeerNews::Allowed(step) => self.allowed = self.allowed.max(step),
        }
    }

    /// Takes the news that has already arrived.
    pub(super) fn receive_pending(&mut self) {
        while let Ok(news) = self.inbox.try_recv() {
            self.note(news);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.attention == Attention::Paid && self.stop.is_some()
    }

    /// Waits for the next news.
    async fn receive_next(&mut self) {
        match self.inbox.recv().await {
            Some(news) => self.note(news),
            // No more events follow.
            None => std::future::pending().await,
        }
    }

    /// Waits until another host ends the job.
    pub(super) async fn stopped(&mut self) {
        while !self.is_stopped() {
            self.receive_next().await;
        }
    }

    /// Waits for the next fact that a group does not know yet.
    pub(super) async fn next(&mut self, seen: &mut ReceivedNews, heeds_ranks: bool) -> Input {
        loop {
            if let Some(stop) = self.stop.filter(|_| self.is_stopped() && seen.stop.is_none()) {
                seen.stop = Some(stop);
                return Input::PeersStop(stop);
            }
            if let Some(ranks) = self.ranks.filter(|ranks| heeds_ranks && seen.ranks != Some(*ranks)) {
                seen.ranks = Some(ranks);
                return Input::PeerRanks(ranks);
            }
            if self.allowed > seen.allowed {
                seen.allowed = self.allowed;
                return Input::Allowed(self.allowed);
            }
            self.receive_next().await;
        }
    }
}
