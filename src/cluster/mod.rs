//! The channel between the hosts of a job: which hosts are connected, when all are ready, and why the job failed.
//!
//! # Shape
//!
//! A star: the footplate of the master host (the *leader*) listens, and the footplates of the other hosts connect to
//! it. The leader's own host is a member like any other, but without a connection. The channel runs on a separate
//! thread, so that a file system that hangs does not look like a lost host. A job of one host has no channel and opens
//! no port.
//!
//! # Messages
//!
//! ```text
//! host                                leader
//!  │ hello (profile) ───────────────────►│ compares the facts that must be equal on all hosts
//!  │ ready ─────────────────────────────►│
//!  │◄──────────────────────────── start  │ once every host of the launch is ready (or absent and not needed)
//!  │ completed (step) ──────────────────►│ only in a launch with services, see [`CommonStep`]
//!  │◄─────────────────── allowed (step)  │ once every host of the launch has completed the previous step
//!  │ failed (text, exit code) ──────────►│
//!  │◄───────────────────────────── stop  │ to all: end your ranks, with their grace period
//!  │ tasks failed ──────────────────────►│ the exceptions of tasks, one of which may be the script's
//!  │ rank killed ───────────────────────►│ at an orderly stop, the signal killed a rank of mpirun
//!  │◄─────────────────────── rank killed │ to all: mpirun must not end the others
//!  │ ended (how many ranks failed) ─────►│
//!  │◄─────────────────────────── verdict │ the one cause, when all have ended or after [`SETTLE_TIME`]
//!  │◄───────────────────────── restart   │ instead: to all, when all have ended, if the settings allow it
//!  │ finished ──────────────────────────►│
//!  │◄────────────────────────────── over │ once every connected host has finished or ended
//!  │◄────────────────── execute (command)│ start mpirun's daemon, see [`agent`]
//!  │ executed (exit code) ──────────────►│
//!  │◄───────────────────────── dismissed │ mpirun has ended
//!  │◄────────── watch (note) ───────────►│ silence and stacks of the ranks, see [`crate::event::WatchNote`]
//!  │◄────────── alive ──────────────────►│ every second; a host counts as lost after silence for [`LOST_AFTER`]
//! ```
//!
//! The leader decides with a pure [`HostTable`](table::HostTable). The cause is the first failure that is not just a
//! consequence of another failure. A lost host is a failure, too. If the leader is lost, each host decides for itself.
//!
//! # Size
//!
//! The leader's work for one host does not depend on the number of hosts: a handshake (two HMACs each way), a hello, a
//! ready, a start, a heartbeat each second, and a verdict of at most some kilobytes. In a benchmark (`benches/ranks`),
//! 64 footplates are started one after the other on one machine with two cores. All of them run 59 ms after the last
//! start, and all have ended 402 ms after one failed. This is 1 ms and 6 ms for a host with its processes. So 1,024
//! hosts, each on its own machine, cost the leader less than a second of one core. The leader holds one descriptor for
//! each host.
//!
//! # Frames
//!
//! A frame consists of a length (four bytes, big-endian), a payload (JSON, see [`message`]) and a tag of 32 bytes. The
//! tag is an HMAC-SHA-256 with the session's key over the direction, the number of the frame and the payload. Lengths
//! are limited before anything is read.
//!
//! # Threats
//!
//! Anyone who can reach the leader's port may connect, stay silent, send anything, and replay recorded traffic.
//!
//! - Nothing is accepted from a peer that has not proved that it has the key. Each side answers a fresh random
//!   challenge of the other ([`handshake`]), the session's key is derived from both challenges, and every frame is
//!   numbered. Recorded traffic is therefore useless in another session or position.
//! - The key is FOOTPLATE_CLUSTER_KEY. If that is not set, the key is derived from the job's name and configuration,
//!   which the platform gives only to the job's containers. The derived key keeps out accidents and strangers, but not
//!   those who know the whole configuration. Against them, set FOOTPLATE_CLUSTER_KEY.
//! - A peer must be a host of the job that is not connected yet. Its address is not compared with the addresses of its
//!   name, because a host can have several interfaces, and because the peer has proved that it has the key.
//! - A handshake is limited to [`HANDSHAKE_TIME`]. The number of unauthenticated connections is limited to the number of hosts
//!   and a few more, and to a few for each address. A newcomer takes the place of a stranger's oldest connection, so
//!   that strangers keep no host out ([`entrance`]). Refused connections are logged in a few lines, and the job
//!   continues.
//! - A peer that has the key may lie. Its exit codes, texts and names are limited when they are received
//!   ([`received`]). If it sends more messages than are handled, they wait in its own connection. The state of a host
//!   only advances. Messages that only a leader may send are ignored if another host sends them.
//! - Frames are authenticated, not encrypted. They contain failure texts, from which secrets were removed, and the
//!   commands of mpirun's daemons, but never variables.

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

use crate::event::{Cause, CommonStep, EventKind, Events, RankTally, StopReason, TaskFailure, Verdict, WatchNote};
use crate::failure::{self, NextAttempt, RestartLimits};
use crate::redact::Redactor;
use crate::system::kernel;
pub use key::{Key, random_secret};

/// The time for which the leader waits after the first failure for other hosts' accounts of it.
pub const SETTLE_TIME: Duration = Duration::from_millis(600);

/// The further time for which the leader waits if it has only a provisional account. On a busy machine, reading the
/// output of a failed process and judging it can take seconds. Meanwhile, the ranks of all hosts are already being
/// ended, so only the verdict is later.
const PROVISIONAL_TIME: Duration = Duration::from_secs(6);

/// The further time for which the leader waits if all accounts that it has read like consequences.
const CONSEQUENCE_TIME: Duration = Duration::from_millis(400);

/// The further time for which the leader waits for the failed tasks of other hosts, if one of them may explain the script's
/// exception. The hosts report them at once when they are told to stop.
const TASKS_TIME: Duration = Duration::from_secs(2);

/// The time for which a restart waits for the ends of the ranks of all hosts, which have their grace period.
const RESTART_TIME: Duration = Duration::from_secs(150);

/// The time without a message after which a host counts as lost.
pub const LOST_AFTER: Duration = Duration::from_secs(12);

/// The interval of a host's heartbeat.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// The time in which a peer must prove that it has the key.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The time in which the other hosts must receive the message that the job is over, once this host leaves.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// The time for which a host that has failed stays for hosts that have not connected yet. Otherwise they would wait for
/// it, or run their script in vain.
const LINGER_TIME: Duration = Duration::from_secs(10);

/// The maximum number of messages of peers, or of their commands, that wait to be handled. A peer that sends more must
/// wait.
const WAITING_MESSAGES: usize = 16;

/// The members of a job, and the facts with which they find each other.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The name of this host.
    pub host: String,
    /// The host to which the others connect.
    pub leader: String,
    /// All hosts of the job.
    pub hosts: Vec<String>,
    /// The hosts that take part in the launch. None of them starts while a connected one still prepares.
    pub nodes: Vec<String>,
    /// True if no host of the launch starts before all of them are ready.
    pub needs_all: bool,
    /// The addresses of hosts whose names may not resolve.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The leader's port.
    pub port: u16,
    /// The secret that both sides prove to have.
    pub key: Key,
    /// The time for which a launch that needs every host waits for missing hosts.
    pub patience: Duration,
    /// The minimum number of hosts to start a launch, and to continue it after others are lost. `None` if it needs
    /// every host.
    pub least_hosts: Option<usize>,
    /// The facts that must be equal on all hosts: a name, and the value or its digest.
    pub profile: BTreeMap<String, String>,
    /// mpirun's remote agent, if this host starts mpirun.
    pub agent: Option<PathBuf>,
    /// The name of the engine whose workers run tasks and log their failures. `None` if the launch has no such workers.
    pub task_engine: Option<&'static str>,
    /// The maximum numbers of restarts after failures.
    pub restarts: RestartLimits,
}

impl Membership {
    /// Returns the hosts that must learn of a failure: those of the launch, or all if each host runs by itself.
    fn expected(&self) -> &[String] {
        if self.nodes.is_empty() { &self.hosts } else { &self.nodes }
    }
}

/// A command that the leader requests this host to run.
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
    /// This host is not connected. For the leader, no other host is connected.
    #[default]
    Apart,
    /// This host is connected.
    Connected,
}

/// The stage of a job of several hosts. It only advances, unless the ranks are started again.
#[derive(Clone, Debug, Default)]
pub enum Stage {
    /// Some hosts of the launch are not ready yet.
    #[default]
    Gathering,
    /// All hosts of the launch are ready.
    Started,
    /// The ranks of all hosts must end.
    Stopping,
    /// The hosts agree on why the job failed, and the ranks of some hosts still run.
    Decided(Box<Verdict>),
    /// The ranks of every host have ended, or the channel has ended for another reason. Holds the verdict, if the job
    /// failed.
    Over(Option<Box<Verdict>>),
}

impl Stage {
    /// Returns true if the job ends because something failed or because it was stopped.
    pub fn is_stopping(&self) -> bool {
        matches!(self, Stage::Stopping | Stage::Decided(_) | Stage::Over(Some(_)))
    }

    /// Returns true if no further messages of other hosts will be received.
    pub fn is_over(&self) -> bool {
        matches!(self, Stage::Over(_))
    }

    /// Returns the verdict, once the hosts agree.
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
    /// Send a note of the watch: from the leader to a host or to all, from another host to the leader.
    Watch {
        host: Option<String>,
        note: WatchNote,
    },
    /// End the channel, after the message that the job is over has been delivered to these hosts.
    Leave(Audience),
}

/// The hosts that are informed of a failure before this host leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The hosts that are connected. If the job is stopped, the platform stops every host.
    Connected,
    /// Also hosts that have not connected yet, for a limited time.
    Expected,
}

/// This host's end of the channel.
#[derive(Debug)]
pub struct Channel {
    peer_sender: PeerSender,
    view: watch::Receiver<View>,
    orders: mpsc::Receiver<Order>,
    /// Receives a message, or is closed, when the thread ends.
    ended: std::sync::mpsc::Receiver<()>,
}

/// The view of the channel, and the bus on which its changes are emitted as events.
#[derive(Debug)]
struct Observed {
    view: watch::Sender<View>,
    events: Events,
}

impl Channel {
    /// Starts to communicate with the other hosts, on a separate thread. Their messages are emitted as events.
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
            // The result is ignored: if the receiver is gone, nobody waits.
            let _ = end.send(());
        })?;
        Ok(Channel { peer_sender: PeerSender { commands }, view, orders, ended })
    }

    /// Returns the handle for sending messages to the other hosts.
    pub fn sender(&self) -> &PeerSender {
        &self.peer_sender
    }

    /// Returns the next command that this host must run. `None` if there will be no more.
    pub async fn order(&mut self) -> Option<Order> {
        self.orders.recv().await
    }

    /// Returns a receiver for the present state of the channel and its changes.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Leaves the channel: sends the remaining messages to these hosts, and ends the thread within a limited time.
    pub fn leave(self, audience: Audience) {
        if self.peer_sender.commands.send(Command::Leave(audience)).is_ok() {
            let _ = self.ended.recv_timeout(LINGER_TIME + GOODBYE_TIME);
        }
    }
}

/// A handle for sending messages to the other hosts.
#[derive(Clone, Debug)]
pub struct PeerSender {
    commands: mpsc::UnboundedSender<Command>,
}

impl PeerSender {
    fn send(&self, message: message::Message) {
        // The result is ignored: the channel may be over.
        let _ = self.commands.send(Command::Tell(message));
    }

    /// Reports that this host could start its ranks.
    pub fn ready(&self) {
        self.send(message::Message::Ready);
    }

    /// Reports that this host has completed a step of a launch with services.
    pub fn completed(&self, step: CommonStep) {
        self.send(message::Message::Completed(step));
    }

    /// Reports that something on this host has failed, or that it received a stop signal. The cause must not contain
    /// secrets. A later report replaces an earlier one.
    pub fn failed(&self, cause: Cause, is_final: bool) {
        self.send(message::Message::Failed { cause: Box::new(cause), is_final });
    }

    /// Reports the last failed tasks that this host's workers ran for the script. They must not contain secrets.
    pub fn tasks_failed(&self, tasks: Vec<TaskFailure>) {
        self.send(message::Message::TasksFailed(tasks));
    }

    /// Reports that, at an orderly stop, the stop signal killed a rank of mpirun on this host.
    pub fn rank_killed(&self) {
        self.send(message::Message::RankKilled);
    }

    /// Reports that this host could run its ranks again. Must be called before [`PeerSender::ended`].
    pub fn willing(&self) {
        self.send(message::Message::Willing);
    }

    /// Reports that the ranks of this host have ended, and how many of them failed.
    pub fn ended(&self, ranks: RankTally) {
        self.send(message::Message::Ended { ranks });
    }

    /// Reports that the ranks of this host have ended without a failure.
    pub fn finished(&self) {
        self.send(message::Message::Finished);
    }

    /// Sends a note of the watch for hangs: from the leader to a host or, without a name, to all hosts; from another
    /// host to the leader.
    pub fn watch(&self, host: Option<&str>, note: WatchNote) {
        // The result is ignored: the channel may be over.
        let _ = self.commands.send(Command::Watch { host: host.map(str::to_owned), note });
    }

    /// Reports that one of mpirun's commands has ended.
    pub fn executed(&self, id: u64, code: i32) {
        self.send(message::Message::Executed { id, code });
    }
}

#[cfg(test)]
impl PeerSender {
    /// Returns a peer_sender, and a function that returns the messages sent through it.
    pub(crate) fn collecting() -> (PeerSender, impl FnMut() -> Vec<message::Message>) {
        let (commands, mut receiver) = mpsc::unbounded_channel();
        let collect = move || {
            let told = std::iter::from_fn(|| receiver.try_recv().ok());
            told.filter_map(|command| if let Command::Tell(message) = command { Some(message) } else { None }).collect()
        };
        (PeerSender { commands }, collect)
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

    /// Applies a message from the leader.
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
            | Message::TasksFailed(_)
            | Message::Willing
            | Message::Ended { .. }
            | Message::Execute { .. }
            | Message::Executed { .. }
            | Message::Dismissed
            | Message::Watch(_)
            | Message::Finished => {}
        }
    }

    /// Records that the ranks of all hosts must end.
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

    /// Records that the ranks of all hosts are started again.
    fn restart(&self, next: NextAttempt, verdict: Verdict) {
        let known = self.view.borrow().restart.map_or(0, |restart| restart.attempt);
        if self.stage().is_over() || next.attempt <= known {
            return;
        }
        let NextAttempt { attempt, pause } = next;
        let cause = Cause { host: Some(verdict.host), ..verdict.cause };
        // Subscribers must receive the event, which resets the old stage, before anybody sees the new stage.
        self.events.emit(EventKind::Restarting { attempt, pause, cause: Arc::new(cause) });
        self.view.send_modify(|view| (view.stage, view.restart) = (Stage::Started, Some(next)));
    }

    /// Records that no further messages of other hosts will be received.
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

/// Ends the channel without the other hosts. A launch that needs them has failed. Any other launch continues alone.
fn alone(membership: &Membership, observed: &Observed, why: &str) {
    if membership.needs_all {
        let cause = table::alone(&membership.host, why, membership.patience);
        let verdict = Verdict { host: membership.host.clone(), cause };
        observed.apply(message::Message::Verdict(Box::new(verdict)));
    } else {
        tracing::warn!("{why}: this host runs on its own and is not told of failures on other hosts");
    }
    observed.over();
}

/// Passes each message of a connection on, as an event. Returns the reason why there are no more messages.
async fn receive<E>(
    receiver: &mut frame::Sequence,
    reading: &mut OwnedReadHalf,
    events: &mpsc::Sender<E>,
    event: impl Fn(message::Message) -> E,
) -> String {
    loop {
        match tokio::time::timeout(LOST_AFTER, receiver.receive(reading)).await {
            Ok(Ok(None)) => tracing::debug!("a message of a kind that is not expected is ignored"),
            Ok(Ok(Some(message))) => {
                // The result is ignored: at the end, nobody receives events any more.
                let _ = events.send(event(message)).await;
            }
            Ok(Err(error)) => return broken(&error),
            Err(_) => return silent_peer(),
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

fn silent_peer() -> String {
    format!("nothing was heard from it for {} s", LOST_AFTER.as_secs())
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
