//! The hosts other than the leader: finding the leader, and following its messages.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::handshake::{self, Session};
use super::message::Message;
use super::received::limited;
use super::{
    ALIVE_INTERVAL, Audience, Command, Connection, GOODBYE_TIME, HANDSHAKE_TIME, LINGER_TIME, LOST_AFTER, Membership,
    Observed, Order, WAITING_MESSAGES, table,
};
use crate::event::{Cause, EventKind, Verdict};
use crate::system::resolve;

/// The pauses between attempts to connect. They are short at first, because hosts start together.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The time limit for establishing a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// The time after which a warning is logged that the leader cannot be reached.
const WARN_AFTER: Duration = Duration::from_secs(15);

/// Runs until this host leaves, or until the leader reports that the job is over.
pub(super) async fn run(
    membership: Membership,
    mut commands: mpsc::UnboundedReceiver<Command>,
    observed: &Observed,
    orders: mpsc::Sender<Order>,
) {
    let mut waiting = Waiting { messages: Vec::new(), intent: Intent::TakePart };
    let Some((stream, session)) = connect(&membership, &mut commands, &mut waiting, observed).await else { return };
    observed.set_link(Connection::Connected);
    observed.events.emit(EventKind::HostJoined(membership.leader.clone()));
    tracing::info!("connected to host {}", membership.leader);
    talk(&membership, stream, session, commands, waiting, observed, orders).await;
}

/// The messages that wait for the connection, and the reason to make it.
struct Waiting {
    messages: Vec<Message>,
    intent: Intent,
}

/// The reason for which a host connects to the leader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Intent {
    TakePart,
    /// The host has failed, and leaves once the other hosts have learned of it.
    Report,
    /// The host leaves, and has nothing to report. It only completes a connection that is already established: the leader
    /// may have admitted it, and would take the end of the connection for the loss of a host.
    Withdraw,
}

/// Tries to connect until it succeeds. `None` if the connection is not needed any more, or if it took too long.
async fn connect(
    membership: &Membership,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    waiting: &mut Waiting,
    observed: &Observed,
) -> Option<(TcpStream, Session)> {
    let leader = &membership.leader;
    let begun = Instant::now();
    let mut deadline = begun + membership.patience;
    let mut pause = FIRST_PAUSE;
    let mut has_warned = false;
    loop {
        let has_met = AtomicBool::new(false);
        let mut attempt = std::pin::pin!(attempt(membership, &has_met));
        let error = loop {
            tokio::select! {
                result = &mut attempt => match result {
                    Ok(connected) => return Some(connected),
                    Err(error) => break error,
                },
                command = commands.recv(), if waiting.intent == Intent::TakePart => match command {
                    Some(Command::Tell(message)) => waiting.messages.push(message),
                    // The note is dropped, because the leader does not watch this host yet.
                    Some(Command::Watch { .. }) => {}
                    Some(Command::Leave(audience)) => {
                        waiting.intent = intent_at_end(audience, &waiting.messages);
                        if waiting.intent == Intent::Withdraw && !has_met.load(Ordering::Relaxed) {
                            return None;
                        }
                        deadline = deadline.min(Instant::now() + LINGER_TIME);
                    }
                    None => return None,
                },
                () = tokio::time::sleep_until(deadline.into()), if waiting.intent == Intent::Withdraw => return None,
            }
        };
        if waiting.intent == Intent::Withdraw {
            return None;
        }
        let now = Instant::now();
        if now >= deadline {
            super::alone(membership, observed, &format!("host {leader} cannot be reached: {error}"));
            return None;
        }
        if !has_warned && now >= begun + WARN_AFTER {
            has_warned = true;
            let meanwhile =
                if membership.needs_all { "this host waits for it" } else { "until it can, this host runs by itself" };
            tracing::warn!("host {leader} cannot be reached yet: {error}; {meanwhile}");
        }
        tokio::time::sleep(pause.min(deadline - now)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns the reason for which a host that leaves still connects. The other hosts must learn of a failure, but do not wait
/// for a host that has not failed.
fn intent_at_end(audience: Audience, messages: &[Message]) -> Intent {
    let has_failed = messages.iter().any(|message| matches!(message, Message::Failed { .. }));
    if audience == Audience::Expected && has_failed { Intent::Report } else { Intent::Withdraw }
}

/// Tries each address of the leader once. Sets `has_met` when a connection is established, which the leader then begins to
/// check.
async fn attempt(membership: &Membership, has_met: &AtomicBool) -> io::Result<(TcpStream, Session)> {
    let leader = &membership.leader;
    let addresses = match membership.addresses.get(leader) {
        Some(address) => vec![*address],
        None => resolve::lookup(leader).await.map_err(io::Error::other)?,
    };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let proved = async {
            let mut stream = open(membership, address).await?;
            has_met.store(true, Ordering::Relaxed);
            let _ = stream.set_nodelay(true);
            let introduced = handshake::introduce(&mut stream, &membership.key, &membership.host);
            let session = timeout(HANDSHAKE_TIME, introduced).await.unwrap_or_else(|_| Err(silent_peer()))?;
            Ok((stream, session))
        };
        match proved.await {
            Ok(connected) => return Ok(connected),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn silent_peer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}

/// Connects to the leader, from this host's own address if that is given.
async fn open(membership: &Membership, address: IpAddr) -> io::Result<TcpStream> {
    let to = SocketAddr::new(address, membership.port);
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(own) = membership.addresses.get(&membership.host) {
        socket.bind(SocketAddr::new(*own, 0))?;
    }
    timeout(CONNECT_TIME, socket.connect(to)).await.unwrap_or_else(|_| Err(silent_peer()))
}

/// Sends and receives messages until the end.
async fn talk(
    membership: &Membership,
    stream: TcpStream,
    session: Session,
    mut commands: mpsc::UnboundedReceiver<Command>,
    waiting: Waiting,
    observed: &Observed,
    orders: mpsc::Sender<Order>,
) {
    let mut orders = Some(orders);
    let mut has_warned = false;
    let Session { mut sender, mut receiver } = session;
    let (mut reading, mut writing) = stream.into_split();
    let (received, mut messages) = mpsc::channel(WAITING_MESSAGES);
    let (leader, hosts) = (membership.leader.clone(), membership.hosts.clone());
    let listening = async move {
        let limits = |message| Ok(limited(message, &leader, &hosts));
        let why = super::receive(&mut receiver, &mut reading, &received, limits).await;
        // The result is ignored: at the end, nobody receives it any more.
        let _ = received.send(Err(why)).await;
    };
    tokio::spawn(listening);
    let mut own_failure: Option<Cause> = None;
    let mut alive = tokio::time::interval(ALIVE_INTERVAL);
    let mut leaves = waiting.intent != Intent::TakePart;
    let mut to_say = vec![Message::Hello(membership.profile.clone())];
    to_say.extend(waiting.messages);
    loop {
        for message in to_say.drain(..) {
            if let Message::Failed { cause, is_final } = &message {
                own_failure = Some((**cause).clone()).filter(|cause| *is_final && !cause.is_consequence());
            }
            // The reading half notices a broken connection.
            let _ = timeout(LOST_AFTER, sender.send(&mut writing, &message)).await;
        }
        if leaves {
            // Messages are only certain to arrive if the leader closes the connection after receiving them.
            let _ = writing.shutdown().await;
            let _ = timeout(GOODBYE_TIME, async { while messages.recv().await.is_some() {} }).await;
            return;
        }
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Tell(message)) => to_say.push(message),
                Some(Command::Watch { note, .. }) => to_say.push(Message::Watch(note)),
                Some(Command::Leave(_)) | None => leaves = true,
            },
            _ = alive.tick() => to_say.push(Message::Alive),
            message = messages.recv() => match message {
                Some(Ok(Message::Execute { id, command })) => {
                    // A command that arrives early is run when this host is ready for it.
                    if let Some(orders) = &orders
                        && orders.try_send(Order { id, command }).is_err()
                        && !std::mem::replace(&mut has_warned, true)
                    {
                        tracing::warn!("commands of host {} are not run: too many wait", membership.leader);
                    }
                }
                Some(Ok(Message::Dismissed)) => orders = None,
                Some(Ok(Message::Watch(note))) => {
                    let host = membership.leader.clone();
                    observed.events.emit(EventKind::PeerNote { host, note: Box::new(note) });
                }
                Some(Ok(message)) => {
                    if let Message::Restart { .. } = message {
                        own_failure = None;
                    }
                    let is_end = message == Message::Over;
                    observed.apply(message);
                    if is_end {
                        return;
                    }
                }
                Some(Err(why)) => {
                    let host = membership.leader.clone();
                    observed.events.emit(EventKind::HostLost { host, why: why.clone() });
                    observed.apply(Message::Verdict(Box::new(without_leader(membership, own_failure, &why))));
                    observed.over();
                    return;
                }
                None => return,
            },
        }
    }
}

/// Returns the verdict of a host that cannot reach the leader any more: its own failure, if there is one, or the loss
/// of the leader.
fn without_leader(membership: &Membership, own: Option<Cause>, why: &str) -> Verdict {
    tracing::warn!("host {} is lost: {why}", membership.leader);
    let host = if own.is_some() { &membership.host } else { &membership.leader };
    let cause = own.unwrap_or_else(|| table::lost(&membership.leader, why));
    Verdict { host: host.clone(), cause }
}
