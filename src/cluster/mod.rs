//! The channel between the hosts of a job: who is there, when all are ready, and why the job failed.
//!
//! # Shape
//!
//! A star: the footplate of the master host (the *leader*) listens, and those of the other hosts connect to it. The
//! leader's own host is a member like any other, without a connection. The channel runs on a thread of its own, so that
//! a file system that hangs does not look like a lost host. A job of one host has no channel and opens no port.
//!
//! # What a host says and hears
//!
//! ```text
//! host                                leader
//!  │ hello (profile) ───────────────────►│ compares what must be equal on all hosts
//!  │ ready ─────────────────────────────►│
//!  │◄──────────────────────────── start  │ once every host of the launch is ready (or, if not needed, not there)
//!  │ completed (step) ──────────────────►│ of a launch with services, see [`CommonStep`]
//!  │◄─────────────────── allowed (step)  │ once every host of the launch has completed the step before
//!  │ failed (text, exit code) ──────────►│
//!  │◄───────────────────────────── stop  │ to all: end your ranks, with their grace
//!  │ rank killed ───────────────────────►│ at an orderly stop, one of mpirun's
//!  │◄─────────────────────── rank killed │ to all: mpirun must not end the others
//!  │ ended (how many ranks failed) ─────►│
//!  │◄─────────────────────────── verdict │ the one cause, when all have ended or after [`SETTLE_TIME`]
//!  │◄───────────────────────── restart   │ instead: to all, when all have ended, if the settings allow it
//!  │ finished ──────────────────────────►│
//!  │◄────────────────────────────── over │ once every host that is there has finished or ended
//!  │◄────────────────── execute (command)│ mpirun's daemon, see [`agent`]
//!  │ executed (exit code) ──────────────►│
//!  │◄───────────────────────── dismissed │ mpirun has ended
//!  │◄────────── watch (note) ───────────►│ silence and stacks of ranks, see [`crate::event::WatchNote`]
//!  │◄────────── alive ──────────────────►│ every second; silence for [`LOST_AFTER`] is a loss
//! ```
//!
//! The leader decides with a pure [`HostTable`](table::HostTable): the cause is the first failure that is not only a
//! consequence of another one. A lost host is a failure, too. If the leader is lost, each host decides for itself.
//!
//! # Size
//!
//! The leader's work for one host does not depend on the number of hosts: a handshake (two HMACs each way), a hello, a
//! ready, a start, a heartbeat each second, a verdict of at most some kilobytes. 64 footplates on one machine of two
//! cores, started one after the other, all run 59 ms after the last start, and have all ended 402 ms after one failed
//! (`benches/ranks`): 1 ms and 6 ms for a host with its processes. So 1,024 hosts, each on a machine of its own, cost
//! the leader less than a second of one core. The leader holds one descriptor for each host.
//!
//! # Frames
//!
//! A frame is a length (four bytes, big-endian), a payload (JSON, see [`message`]) and a tag of 32 bytes: HMAC-SHA-256
//! with the session's key over direction, number of the frame and payload. Lengths are limited before anything is read.
//!
//! # Threats
//!
//! Anyone who can reach the leader's port may connect, stay silent, send anything, and replay recorded traffic.
//!
//! - Nothing is taken from a peer that has not proved that it has the key: both sides answer a fresh random challenge of
//!   the other ([`handshake`]), the session's key comes from both challenges, and every frame is numbered, so that what was
//!   recorded is of no use in another session or place.
//! - The key is FOOTPLATE_CLUSTER_KEY, else derived from the job's name and configuration, which the platform gives to the
//!   job's containers alone. The derived key keeps out accidents and strangers; not those who know the whole
//!   configuration: for them, set the key.
//! - A peer must be a host of the job that is not there yet. Its address is not compared with its name's: a host can have
//!   several interfaces, and has proved that it has the key.
//! - A handshake has [`HANDSHAKE_TIME`]; there are at most as many unproved connections as hosts and a few, and few of one
//!   address. A newcomer takes the place of the oldest one of a stranger, so that strangers keep no host out ([`entrance`]).
//!   Refused connections get a few lines in the log, and the job goes on.
//! - A peer that has the key may lie: its exit codes, texts and names are limited when they are received ([`received`]), and
//!   its messages wait in its own connection if it sends more than are handled. A host only advances, and what only a leader
//!   may say is ignored from others.
//! - Frames are authenticated, not encrypted. They hold failure texts, from which secrets were taken before, and for
//!   mpirun the commands of its daemons, never variables.

pub mod agent;
mod entrance;
mod frame;
mod handshake;
mod key;
mod leader;
mod member;
pub mod message;
mod received;
pub mod table;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, watch};

use crate::event::{Cause, CommonStep, EventKind, Events, RankTally, StopReason, Verdict, WatchNote};
use crate::failure::{self, NextAttempt, RestartLimits};
use crate::kernel;
use crate::redact::Redactor;
pub use key::{Key, random_secret};

/// The time for which the leader waits after the first failure for the accounts of other hosts.
pub const SETTLE_TIME: Duration = Duration::from_millis(600);

/// The further time for which the leader waits if all that it has is a provisional account: on a busy machine, reading the
/// output of a failed process and judging it can take seconds. The ranks of all hosts are told to end meanwhile, so only the verdict
/// is later.
const PROVISIONAL_TIME: Duration = Duration::from_secs(6);

/// The further time for which the leader waits if all that it has reads like a consequence.
const CONSEQUENCE_TIME: Duration = Duration::from_millis(400);

/// The time for which a restart waits for the ends of the ranks of all hosts, which have their grace period.
const RESTART_TIME: Duration = Duration::from_secs(150);

/// The time without a message after which a host counts as lost.
pub const LOST_AFTER: Duration = Duration::from_secs(12);

/// The interval of a host's heartbeat.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// The time in which a peer must prove that it has the key.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The time in which the other hosts must hear the end, once this one leaves.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// The time for which a host that has failed stays for hosts of its launch that it has not met yet: they would wait for
/// it.
const LINGER_TIME: Duration = Duration::from_secs(10);

/// The number of messages of peers, or of their commands, that wait to be handled. A peer that sends more must wait.
const WAITING_MESSAGES: usize = 16;

/// The members of a job, and the facts by which they find each other.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The name of this host.
    pub host: String,
    /// The host to which the others connect.
    pub leader: String,
    /// All hosts of the job.
    pub hosts: Vec<String>,
    /// The hosts that the launch spans. None starts while one that is there still prepares.
    pub nodes: Vec<String>,
    /// True if no host of the launch starts before all are there.
    pub needs_all: bool,
    /// The addresses of hosts whose names need not resolve.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The leader's port.
    pub port: u16,
    /// The secret that both sides prove to have.
    pub key: Key,
    /// The time for which a launch that needs every host waits for one.
    pub patience: Duration,
    /// The number of hosts with which a launch starts, and goes on after others are lost. `None` if it needs every host.
    pub least_hosts: Option<usize>,
    /// The facts that must be equal on all hosts: a name, and the value or its digest.
    pub profile: BTreeMap<String, String>,
    /// mpirun's remote agent, if this host starts mpirun.
    pub agent: Option<PathBuf>,
    /// The numbers of restarts after failures.
    pub restarts: RestartLimits,
}

/// A command that this host is asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The number of the command.
    pub id: u64,
    /// The command, for a shell.
    pub command: String,
}

/// The state of the channel, as this host sees it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The connection to the other hosts.
    pub link: Connection,
    /// The stage of the job.
    pub stage: Stage,
    /// The last restart of the ranks.
    pub restart: Option<NextAttempt>,
}

/// The connection of a host to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// This host is not connected. For the leader: no other host is.
    #[default]
    Apart,
    /// This host is connected.
    Connected,
}

/// The stage of a job of several hosts. It only advances, unless the ranks are run again.
#[derive(Clone, Debug, Default)]
pub enum Stage {
    /// Hosts of the launch are not ready yet.
    #[default]
    Gathering,
    /// All hosts of the launch are ready.
    Started,
    /// The ranks of all hosts are to end.
    Stopping,
    /// The hosts agree why the job failed, and the ranks of some host still run.
    Decided(Box<Verdict>),
    /// The ranks of every host have ended, or the channel has for another reason. Holds the verdict, if the job failed.
    Over(Option<Box<Verdict>>),
}

impl Stage {
    /// Returns true if the job ends because something failed or was told to stop.
    pub fn is_stopping(&self) -> bool {
        matches!(self, Stage::Stopping | Stage::Decided(_) | Stage::Over(Some(_)))
    }

    /// Returns true if nothing more is heard of the other hosts.
    pub fn is_over(&self) -> bool {
        matches!(self, Stage::Over(_))
    }

    /// Returns why the job failed, once the hosts agree.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Stage::Decided(verdict) | Stage::Over(Some(verdict)) => Some(verdict),
            Stage::Gathering | Stage::Started | Stage::Stopping | Stage::Over(None) => None,
        }
    }
}

/// A request to the thread of the channel.
#[derive(Clone, Debug)]
enum Command {
    Tell(message::Message),
    /// Send a note of the watch: the leader to a host or to all, another host to the leader.
    Watch {
        host: Option<String>,
        note: WatchNote,
    },
    /// The channel is not needed any more, once these hosts have heard the end.
    Leave(Audience),
}

/// The hosts that hear of a failure before this host leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those that are connected. Whoever stops a job tells every host.
    Connected,
    /// Also hosts of the launch that this host has not met yet, for a stated time: they would wait for it.
    Expected,
}

/// This host's place in the channel.
#[derive(Debug)]
pub struct Channel {
    speaker: Speaker,
    view: watch::Receiver<View>,
    orders: mpsc::Receiver<Order>,
    /// Ends with the thread.
    ended: std::sync::mpsc::Receiver<()>,
}

/// The view of the channel together with the events that its changes are.
#[derive(Debug)]
struct Observed {
    view: watch::Sender<View>,
    events: Events,
}

impl Channel {
    /// Begins to talk with the other hosts, on a thread of its own. What they say is emitted as events.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub fn begin(membership: Membership, events: Events) -> std::io::Result<Channel> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (sender, view) = watch::channel(View::default());
        let (order, orders) = mpsc::channel(WAITING_MESSAGES);
        let (end, ended) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build()?;
        let observed = Observed { view: sender, events };
        kernel::spawn_thread("cluster", None, move || {
            runtime.block_on(async {
                if membership.host == membership.leader {
                    leader::run(membership, receiver, &observed).await;
                } else {
                    member::run(membership, receiver, &observed, order).await;
                }
            });
            observed.over();
            // The receiver may be gone: then nobody waits.
            let _ = end.send(());
        })?;
        Ok(Channel { speaker: Speaker { commands }, view, orders, ended })
    }

    /// Returns the way to speak to the other hosts.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// Returns the next command that this host is asked to run. `None` if there will be no more.
    pub async fn order(&mut self) -> Option<Order> {
        self.orders.recv().await
    }

    /// Returns the state of the channel, now and later.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Leaves the channel: what was told is sent to these hosts, and the thread ends, within a stated time.
    pub fn leave(self, audience: Audience) {
        if self.speaker.commands.send(Command::Leave(audience)).is_ok() {
            let _ = self.ended.recv_timeout(LINGER_TIME + GOODBYE_TIME);
        }
    }
}

/// The way by which this host speaks to the others.
#[derive(Clone, Debug)]
pub struct Speaker {
    commands: mpsc::UnboundedSender<Command>,
}

impl Speaker {
    fn tell(&self, message: message::Message) {
        // Nobody listens any more once the channel is over.
        let _ = self.commands.send(Command::Tell(message));
    }

    /// Tells that this host could start its ranks.
    pub fn ready(&self) {
        self.tell(message::Message::Ready);
    }

    /// Tells that this host has completed a step of a launch with services.
    pub fn completed(&self, step: CommonStep) {
        self.tell(message::Message::Completed(step));
    }

    /// Tells that something on this host has failed, or that it was told to stop. The cause must hold no secrets. A later
    /// one replaces an earlier one.
    pub fn failed(&self, cause: Cause, is_final: bool) {
        self.tell(message::Message::Failed { cause: Box::new(cause), is_final });
    }

    /// Tells that at an orderly stop a rank of mpirun was killed by the signal here.
    pub fn rank_killed(&self) {
        self.tell(message::Message::RankKilled);
    }

    /// Tells that this host could run its ranks again. Must come before the end of the ranks.
    pub fn willing(&self) {
        self.tell(message::Message::Willing);
    }

    /// Tells that the ranks of this host have ended, and how many of them failed.
    pub fn ended(&self, ranks: RankTally) {
        self.tell(message::Message::Ended { ranks });
    }

    /// Tells that the ranks of this host have ended well.
    pub fn finished(&self) {
        self.tell(message::Message::Finished);
    }

    /// Sends a note of the watch for hangs: from the leader to a host or, without a name, to all of them; from another host to the
    /// leader.
    pub fn watch(&self, host: Option<&str>, note: WatchNote) {
        // Nobody listens any more once the channel is over.
        let _ = self.commands.send(Command::Watch { host: host.map(str::to_owned), note });
    }

    /// Tells that a command of mpirun's has ended.
    pub fn executed(&self, id: u64, code: i32) {
        self.tell(message::Message::Executed { id, code });
    }
}

#[cfg(test)]
impl Speaker {
    /// Returns a speaker whose messages are collected.
    pub(crate) fn collecting() -> (Speaker, impl FnMut() -> Vec<message::Message>) {
        let (commands, mut receiver) = mpsc::unbounded_channel();
        let collect = move || {
            let told = std::iter::from_fn(|| receiver.try_recv().ok());
            told.filter_map(|command| if let Command::Tell(message) = command { Some(message) } else { None }).collect()
        };
        (Speaker { commands }, collect)
    }
}

impl Observed {
    fn set_link(&self, link: Connection) {
        self.view.send_if_modified(|view| {
            let was = std::mem::replace(&mut view.link, link);
            was != link
        });
    }

    fn stage(&self) -> Stage {
        self.view.borrow().stage.clone()
    }

    /// Takes what the leader has said.
    fn apply(&self, message: message::Message) {
        use message::Message;
        match message {
            Message::Start => {
                if matches!(self.stage(), Stage::Gathering) {
                    self.advance(Stage::Started);
                    self.events.emit(EventKind::HostsStarted);
                }
            }
            Message::Stop { why, is_orderly } => self.stop(why, is_orderly),
            Message::Verdict(verdict) => {
                let headline = failure::headline(&verdict.cause, &Redactor::default());
                self.stop(format!("host {}: {headline}", verdict.host), verdict.cause.is_stop());
                if self.stage().verdict().is_none() && !self.stage().is_over() {
                    self.advance(Stage::Decided(verdict.clone()));
                    self.events.emit(EventKind::Agreed(verdict.into()));
                }
            }
            Message::Restart { attempt, pause, verdict } => self.restart(NextAttempt { attempt, pause }, *verdict),
            Message::Over => self.over(),
            Message::RankKilled => self.events.emit(EventKind::PeerRankKilled),
            Message::Allowed(step) => self.events.emit(EventKind::StepAllowed(step)),
            Message::Hello(_)
            | Message::Alive
            | Message::Ready
            | Message::Completed(_)
            | Message::Failed { .. }
            | Message::Willing
            | Message::Ended { .. }
            | Message::Execute { .. }
            | Message::Executed { .. }
            | Message::Dismissed
            | Message::Watch(_)
            | Message::Finished => {}
        }
    }

    /// Notes that the ranks of all hosts are to end.
    fn stop(&self, why: String, is_orderly: bool) {
        if !matches!(self.stage(), Stage::Gathering | Stage::Started) {
            return;
        }
        self.advance(Stage::Stopping);
        let reason = if is_orderly {
            tracing::info!("the job is to stop, {why}");
            StopReason::PeerStopped(why)
        } else {
            tracing::warn!("the job has failed, {why}");
            StopReason::PeerFailed(why)
        };
        self.events.emit(EventKind::Stopping(reason));
    }

    /// Notes that the ranks of all hosts are run again.
    fn restart(&self, next: NextAttempt, verdict: Verdict) {
        let known = self.view.borrow().restart.map_or(0, |restart| restart.attempt);
        if self.stage().is_over() || next.attempt <= known {
            return;
        }
        let NextAttempt { attempt, pause } = next;
        let cause = Cause { host: Some(verdict.host), ..verdict.cause };
        // Whoever sees the new stage must have been told to forget the old one.
        self.events.emit(EventKind::Restarting { attempt, pause, cause: Arc::new(cause) });
        self.view.send_modify(|view| (view.stage, view.restart) = (Stage::Started, Some(next)));
    }

    /// Notes that nothing more is heard of the other hosts.
    fn over(&self) {
        let stage = self.stage();
        if stage.is_over() {
            return;
        }
        self.advance(Stage::Over(stage.verdict().cloned().map(Box::new)));
        self.events.emit(EventKind::PeersEnded);
    }

    fn advance(&self, stage: Stage) {
        self.view.send_modify(|view| view.stage = stage);
    }
}

/// Gives the channel up. A launch that needs the other hosts has failed; any other launch continues alone.
fn alone(membership: &Membership, observed: &Observed, why: &str) {
    if membership.needs_all {
        let cause = table::alone(&membership.host, why, membership.patience);
        let verdict = Verdict { host: membership.host.clone(), cause };
        observed.apply(message::Message::Verdict(Box::new(verdict)));
    } else {
        tracing::warn!("{why}: this host runs by itself, and hears nothing of failures elsewhere");
    }
    observed.over();
}

/// Hands over each message of a connection, as an event. Returns the reason why there are no more.
async fn hear<E>(
    receiver: &mut frame::Sequence,
    reading: &mut OwnedReadHalf,
    events: &mpsc::Sender<E>,
    event: impl Fn(message::Message) -> E,
) -> String {
    loop {
        match tokio::time::timeout(LOST_AFTER, receiver.receive(reading)).await {
            Ok(Ok(None)) => tracing::debug!("a message of a kind that is not expected is ignored"),
            Ok(Ok(Some(message))) => {
                // Nobody listens any more at the end.
                let _ = events.send(event(message)).await;
            }
            Ok(Err(error)) => return broken(&error),
            Err(_) => return silent(),
        }
    }
}

fn broken(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => "its connection was closed".to_owned(),
        _ => format!("its connection is broken ({error})"),
    }
}

fn silent() -> String {
    format!("nothing was heard of it for {} s", LOST_AFTER.as_secs())
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
