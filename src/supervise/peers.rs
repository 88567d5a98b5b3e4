//! The news of other hosts, as far as they matter to the processes of this one.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::group::{Input, Release};
use super::{PeerRanks, PeerStop};
use crate::event::{CommonStep, Event, EventKind, Events, StopReason};

/// The news of other hosts.
#[derive(Debug)]
pub(super) struct Peers {
    inbox: UnboundedReceiver<PeerNews>,
    stop: Option<PeerStop>,
    ranks: Option<PeerRanks>,
    pub(super) attention: Attention,
    pub(super) release: Release,
    /// The last step that this host may take.
    pub(super) allowed: CommonStep,
}

/// The attention that is paid to other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    Paid,
    Withdrawn,
}

#[derive(Clone, Copy, Debug)]
enum PeerNews {
    Stop(PeerStop),
    Ranks(PeerRanks),
    /// The ranks are run again, and what was said of the attempt before does not matter any more.
    Restart,
    Allowed(CommonStep),
}

/// The news of other hosts that a group was told.
#[derive(Debug)]
pub(super) struct Told {
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

    /// Returns what a group knows of other hosts when it begins.
    pub(super) fn told(&self) -> Told {
        Told { stop: None, ranks: None, allowed: self.allowed }
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

    /// Takes what has come already.
    pub(super) fn hear(&mut self) {
        while let Ok(news) = self.inbox.try_recv() {
            self.note(news);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.attention == Attention::Paid && self.stop.is_some()
    }

    /// Waits for the next news.
    async fn hear_next(&mut self) {
        match self.inbox.recv().await {
            Some(news) => self.note(news),
            // The events are over.
            None => std::future::pending().await,
        }
    }

    /// Waits until another host ends the job.
    pub(super) async fn stopped(&mut self) {
        while !self.is_stopped() {
            self.hear_next().await;
        }
    }

    /// Waits for the next fact that a group was not told yet.
    pub(super) async fn next(&mut self, seen: &mut Told, heeds_ranks: bool) -> Input {
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
            self.hear_next().await;
        }
    }
}
