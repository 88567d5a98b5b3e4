//! The thread of the watch. It receives orders, examines ranks, and performs the actions of the decisions.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::collection::{Collection, Reason, StackRequester};
use super::decision::{HangAction, HangDecision};
use super::inbox::{Inbox, WatchOrder};
use super::inspection::{self, RankInspection};
use super::quiet::{self, QuietHosts, ReceivedSigns};
use super::{HangInput, HostPlace, end};
use crate::event::{Cause, EventKind, Events, HangReport, HostStacks, Process, StopReason, WatchNote};
use crate::job::settings::HangTimeout;
use crate::watch::run_socket::{self, RunSocket};
use crate::watch::stacks::text;

/// The maximum and the minimum time between checks of the clock.
const LONGEST_BEAT: Duration = Duration::from_secs(5);
const SHORTEST_BEAT: Duration = Duration::from_millis(50);

/// The number of checks of the clock within the shortest time for which a sign may be missing.
const BEATS: u32 = 20;

/// The delay before the thread begins to answer `footplate stacks`. Scripts that end earlier are not slowed down by
/// it.
const CALM: Duration = Duration::from_millis(200);

/// The time that the hosts have to report their stacks.
const COLLECTION_TIME: Duration = Duration::from_secs(5);

/// The time for which a host waits for the leader's answer before it reports only its own stacks.
const ANSWER_TIME: Duration = Duration::from_secs(7);

/// The minimum time between collections on request, which take processor time from the ranks.
const PAUSE: Duration = Duration::from_secs(1);

/// The time before the kill at which Python processes whose stacks are not known are told to write them.
const ABORT_TIME: Duration = Duration::from_secs(2);

/// The state of the thread.
pub(super) struct Thread {
    input: HangInput,
    inbox: Arc<Inbox>,
    verdict: Arc<Mutex<Option<Cause>>>,
    events: Events,
    begun: Instant,
    /// The start time of the last process.
    started: Instant,
    /// The attempt at running the ranks.
    attempt: u32,
    /// The time between checks of the clock. `None` if nothing depends on the clock.
    beat: Option<Duration>,
    /// The decisions about the silence of the job, and about each rule.
    decisions: Vec<HangDecision>,
    quiet: QuietHosts,
    /// The last lines on other hosts that matched a rule.
    matches: ReceivedSigns,
    socket: Arc<OnceLock<RunSocket>>,
    /// The time at which the thread begins to answer `footplate stacks`. `None` if it never will, or does already.
    door_at: Option<Instant>,
    requesters: Vec<StackRequester>,
    /// The time from which on the next request is answered.
    open_at: Instant,
    /// The time at which this host answers on its own, because the leader has not answered.
    answer_at: Option<Instant>,
    /// True once the ranks were told to end, for any reason. Their silence means nothing then.
    is_stopping: bool,
    /// True once the leader's own ranks have ended, so that no host decides for all hosts any more.
    is_leaderless: bool,
    collection: Option<Collection>,
    collections: u64,
    last_inspection: RankInspection,
    /// The time at which ranks whose stacks are not known are told to write them.
    abort_at: Option<Instant>,
}

impl Thread {
    pub(super) fn new(
        input: HangInput,
        inbox: Arc<Inbox>,
        verdict: Arc<Mutex<Option<Cause>>>,
        socket: Arc<OnceLock<RunSocket>>,
        events: Events,
    ) -> Thread {
        let begun = Instant::now();
        let mut decisions = vec![HangDecision::new(input.timeout, begun)];
        let mut times = match input.timeout {
            HangTimeout::Off => Vec::new(),
            HangTimeout::After(time) => vec![time],
            HangTimeout::Auto => vec![LONGEST_BEAT * BEATS],
        };
        if let Some(rules) = &input.rules {
            for rule in rules.lock().iter() {
                decisions.push(HangDecision::of(format!("no line has matched rule {}", rule.name()), begun));
                times.extend(rule.least());
            }
        }
        let beat = times.into_iter().min().map(|time| (time / BEATS).clamp(SHORTEST_BEAT, LONGEST_BEAT));
        let door_at = input.means.is_some().then(|| begun + CALM);
        Thread {
            decisions,
            input,
            inbox,
            verdict,
            events,
            begun,
            started: begun,
            attempt: 0,
            beat,
            quiet: QuietHosts::default(),
            matches: ReceivedSigns::default(),
            socket,
            door_at,
            requesters: Vec::new(),
            open_at: begun,
            answer_at: None,
            is_stopping: false,
            is_leaderless: false,
            collection: None,
            collections: 0,
            last_inspection: RankInspection::default(),
            abort_at: None,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            while let Some(order) = self.inbox.next() {
                if matches!(order, WatchOrder::End) {
                    self.send(None, WatchNote::Quiet(None));
                    // The socket may have been opened just now.
                    if let Some(socket) = self.socket.get() {
                        socket.close();
                    }
                    return;
                }
                self.obey(order);
            }
            self.accept();
            self.tick(Instant::now());
            self.wait();
        }
    }

    /// Waits until an order comes, a client asks, or an action is due.
    fn wait(&self) {
        let now = Instant::now();
        let question = if self.requesters.is_empty() { None } else { Some(self.answer_at.unwrap_or(self.open_at)) };
        let due = [self.collection.as_ref().map(|collection| collection.until), question, self.abort_at, self.door_at];
        let due = due.into_iter().flatten().map(|at| at.saturating_duration_since(now));
        let timeout = match due.chain(self.beat).min() {
            None => PollTimeout::NONE,
            // Rounded up to milliseconds, or the loop would spin.
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
        };
        let mut polled = vec![PollFd::new(self.inbox.wake(), PollFlags::POLLIN)];
        polled.extend(self.socket.get().map(|socket| PollFd::new(socket.listener.as_fd(), PollFlags::POLLIN)));
        if poll(&mut polled, timeout).is_err() {
            std::thread::sleep(SHORTEST_BEAT);
        }
    }

    fn accept(&mut self) {
        if self.door_at.is_some_and(|at| Instant::now() >= at) {
            self.door_at = None;
            match RunSocket::open(&std::env::temp_dir()) {
                Ok(socket) => {
                    // The socket is opened only once.
                    let _ = self.socket.set(socket);
                }
                Err(error) => tracing::debug!("`footplate stacks` finds no socket: {error}"),
            }
        }
        // Requests are answered one at a time. A second one waits in the queue of the socket.
        if let Some(Ok((stream, _))) = self.socket.get().map(|socket| socket.listener.accept()) {
            self.requesters.push(StackRequester::Socket(stream));
        }
    }

    fn obey(&mut self, order: WatchOrder) {
        match order {
            WatchOrder::Ask => self.requesters.push(StackRequester::Log),
            WatchOrder::Stopping => self.is_stopping = true,
            WatchOrder::Started(attempt) => {
                self.started = Instant::now();
                if attempt > self.attempt {
                    (self.attempt, self.is_stopping) = (attempt, false);
                    // Other hosts ignore the cause of an earlier attempt.
                    self.events = self.events.for_attempt(attempt);
                    *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    self.decisions.iter_mut().for_each(HangDecision::begin_again);
                }
            }
            WatchOrder::Lost(host) => {
                self.quiet.lost(&host);
                if let Some(collection) = &mut self.collection {
                    collection.lost(&host);
                }
            }
            WatchOrder::Note(host, note) => match (self.place(), note) {
                (HostPlace::Leader, WatchNote::Quiet(quiet)) => self.quiet.record(&host, quiet, Instant::now()),
                (HostPlace::Leader, WatchNote::Matched { rule: name, last }) => {
                    let Some(rules) = &self.input.rules else { return };
                    if let Some(rule) = rules.lock().iter_mut().find(|rule| rule.name() == name) {
                        rule.seen(self.matches.record(&format!("{host} {name}"), last, Instant::now()));
                    }
                }
                (HostPlace::Leader, WatchNote::Ask) => {
                    let asks = |known: &StackRequester| matches!(known, StackRequester::Host(name) if *name == host);
                    if !self.requesters.iter().any(asks) {
                        self.requesters.push(StackRequester::Host(host));
                    }
                }
                (HostPlace::Leader, WatchNote::Found { id, found }) => {
                    if let Some(collection) = self.collection.as_mut().filter(|collection| collection.id == id) {
                        collection.take(&host, found);
                    }
                }
                // Requests for stacks may come at any time. The leader asks for the reason of a hang once per
                // timeout.
                (HostPlace::Follower, WatchNote::Collect { id, is_hang })
                    if is_hang || Instant::now() >= self.open_at =>
                {
                    let found = self.inspect(is_hang);
                    self.open_at = Instant::now() + PAUSE / 2;
                    self.send(None, WatchNote::Found { id, found });
                }
                (HostPlace::Follower, WatchNote::Report(report)) => self.handle_report(*report),
                (HostPlace::Follower, WatchNote::Quiet(None)) => self.is_leaderless = true,
                // Only the leader, or only the other hosts, may send this note.
                (_, _) => {}
            },
            WatchOrder::End => {}
        }
    }

    /// Performs the actions that are due.
    fn tick(&mut self, now: Instant) {
        let place = self.place();
        if place == HostPlace::Follower {
            if self.beat.is_some() {
                self.send(None, WatchNote::Quiet(Some(quiet::as_reported(self.begun, self.latest_sign(), now))));
                self.report_matches(now);
            }
            self.request_from_leader(now);
        } else {
            self.note_signs();
            for number in 0..self.decisions.len() {
                if self.collection.is_none()
                    && !self.is_stopping
                    && let Some(action) = self.decisions[number].tick(now)
                {
                    self.act(number, action);
                }
            }
            if self.collection.is_none() && !self.requesters.is_empty() && now >= self.open_at {
                self.collect(Reason::Question);
            }
        }
        if self.collection.as_ref().is_some_and(|collection| collection.is_complete() || now >= collection.until)
            && let Some(collection) = self.collection.take()
        {
            self.conclude(collection);
        }
        if self.abort_at.is_some_and(|at| now >= at) {
            self.abort_at = None;
            let looks = &self.last_inspection.ranks;
            let is_unknown = |rank| !looks.iter().any(|look| look.rank == rank && look.is_python());
            end::abort(&self.input.processes.ranks(), is_unknown);
        }
    }

    /// Updates the decisions with the last signs of life and the last lines that rules expect.
    fn note_signs(&mut self) {
        let last = self.quiet.last(self.latest_sign());
        let Some((silence, of_rules)) = self.decisions.split_first_mut() else { return };
        silence.sign(last, (self.input.has_metric)());
        let Some(rules) = &self.input.rules else { return };
        for (decision, rule) in of_rules.iter_mut().zip(rules.lock().iter()) {
            let expected = rule.expectation(self.begun);
            decision.expect(expected.map(|(_, within)| within));
            if let Some((since, _)) = expected {
                decision.sign(since, false);
            }
        }
    }

    /// Reports to the leader which rules have matched lines on this host.
    fn report_matches(&self, now: Instant) {
        let Some(rules) = &self.input.rules else { return };
        for rule in rules.lock().iter() {
            let Some(last) = rule.last() else { continue };
            let last = quiet::as_reported(self.begun, last, now);
            self.send(None, WatchNote::Matched { rule: rule.name().to_owned(), last });
        }
    }

    fn act(&mut self, number: usize, action: HangAction) {
        match action {
            HangAction::Note(text) => tracing::warn!("{text}"),
            HangAction::Look => self.collect(Reason::Silence(number)),
            // This action follows an examination.
            HangAction::End(_) => {}
        }
    }

    /// Asks all hosts for the stacks of their ranks.
    fn collect(&mut self, reason: Reason) {
        let begun = Instant::now();
        self.collections += 1;
        let id = self.collections;
        let waiting = match &self.input.peers {
            Some(peers) if self.place() == HostPlace::Leader => peers.connected(),
            _ => BTreeSet::new(),
        };
        let is_hang = reason != Reason::Question;
        if !waiting.is_empty() {
            self.send(None, WatchNote::Collect { id, is_hang });
        }
        let mut collection = Collection::new(id, reason, begun, begun + COLLECTION_TIME, waiting);
        let own = self.input.host.clone();
        collection.await_host(&own);
        let found = self.inspect(is_hang);
        collection.take(&own, found);
        self.collection = Some(collection);
    }

    fn inspect(&mut self, is_hang: bool) -> HostStacks {
        self.last_inspection = inspection::inspect(&self.input, self.begun, is_hang);
        self.last_inspection.found.clone()
    }

    /// Makes a report from the answers of the hosts.
    fn conclude(&mut self, collection: Collection) {
        let now = Instant::now();
        let Reason::Silence(number) = collection.reason else {
            self.open_at = now + PAUSE;
            self.handle_report(end::answer(collection.groups, collection.method));
            return;
        };
        if self.is_stopping {
            return;
        }
        self.note_signs();
        match self.decisions[number].handle_activities(&collection.activities, collection.begun, now) {
            Some(HangAction::End(after)) => self.end(number, collection, after),
            Some(action) => self.act(number, action),
            None => {}
        }
    }

    /// Reports that the job hangs.
    fn end(&mut self, number: usize, collection: Collection, after: Duration) {
        let missing = if number == 0 { "no progress" } else { self.decisions[number].subject() };
        let unheard: Vec<&str> = collection.waiting().collect();
        let report = end::report(missing, collection.groups.clone(), collection.method, after, &unheard);
        let host = report.odd_ranks.first().and_then(|rank| collection.host_of(*rank)).cloned();
        let cause = end::cause(&report, host.filter(|_| self.input.peers.is_some()));
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause.clone());
        let headline = cause.headline.clone();
        tracing::error!("{headline}");
        self.send(None, WatchNote::Report(Box::new(report.clone())));
        self.handle_report(report);
        // The stop comes first: the cause makes the leader stop all hosts, this one among them.
        self.events.emit(EventKind::Stopping(StopReason::Hang(headline)));
        self.events.emit(EventKind::CauseJudged { process: None, cause: Arc::new(cause), is_final: true });
    }

    /// Handles a report about the stacks of all hosts.
    fn handle_report(&mut self, report: HangReport) {
        if report.after_ms.is_some() {
            inspection::write(&self.input, &report.headline, &self.last_inspection);
            let left = self.input.grace_period;
            self.abort_at = Some(Instant::now() + left.saturating_sub(ABORT_TIME).max(left / 2));
            self.events.emit(EventKind::HangFound(Arc::new(report)));
            return;
        }
        self.answer_at = None;
        for requester in std::mem::take(&mut self.requesters) {
            match requester {
                StackRequester::Host(host) => self.send(Some(&host), WatchNote::Report(Box::new(report.clone()))),
                StackRequester::Socket(stream) => run_socket::answer(&stream, &self.words(&report)),
                StackRequester::Log => self.words(&report).lines().for_each(|line| tracing::info!("stacks: {line}")),
            }
        }
    }

    /// Returns a report as text: the ranks of all hosts, grouped by place, and all stacks of this host.
    fn words(&self, report: &HangReport) -> String {
        let ranks: usize = report.groups.iter().map(|group| group.ranks.len()).sum();
        let means = report.method.map_or_else(String::new, |method| format!(", read from {method}"));
        let groups = text::of_groups(&report.groups);
        let own = text::of_ranks(&self.last_inspection.ranks, &self.input.code_dir);
        format!(
            "{ranks} ranks by the places where they are{means}\n{groups}all threads of host {}\n{own}",
            self.input.host
        )
    }

    /// Passes a request on to the leader. If the leader does not answer in time, this host answers alone.
    fn request_from_leader(&mut self, now: Instant) {
        if self.requesters.is_empty() {
            return;
        }
        match self.answer_at {
            None => {
                self.answer_at = Some(now + ANSWER_TIME);
                self.send(None, WatchNote::Ask);
            }
            Some(at) if now >= at => {
                let HostStacks { groups, method, .. } = self.inspect(false);
                self.handle_report(end::answer(groups, method));
            }
            Some(_) => {}
        }
    }

    /// Returns the time of the last sign of life of this host's ranks.
    fn latest_sign(&self) -> Instant {
        let output = self.input.pulses.all().into_iter();
        let output = output.filter(|(process, _)| !matches!(process, Process::Tool(_))).map(|(_, at)| at);
        let saved = self.input.checkpoints.as_ref().and_then(|checkpoints| checkpoints.changed_at());
        output.chain(saved).fold(self.started, Instant::max)
    }

    fn place(&self) -> HostPlace {
        if self.is_leaderless {
            return HostPlace::Alone;
        }
        self.input.peers.as_ref().map_or(HostPlace::Alone, |peers| peers.place())
    }

    fn send(&self, host: Option<&str>, note: WatchNote) {
        if let Some(peers) = &self.input.peers {
            peers.send(host, note);
        }
    }
}
