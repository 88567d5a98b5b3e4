//! The leader: admits hosts, receives their messages, and sends the consequences to all of them.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Ipv6V6Only;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::agent::{self, Answer, LeaderRequest};
use super::entrance::{self, AuthenticatedPeer, EntranceEvent, Refusals};
use super::handshake::Session;
use super::message::Message;
use super::received::limited;
use super::table::{HostTable, LeaderAction};
use super::{
    ALIVE_INTERVAL, Audience, Command, Connection, GOODBYE_TIME, LINGER_TIME, Membership, Observed, WAITING_MESSAGES,
};
use crate::event::{EventKind, WatchNote};

/// The time for which the leader tries to get a port that another program holds, and the interval of its attempts.
const PORT_TIME: Duration = Duration::from_secs(20);
const PORT_PAUSE: Duration = Duration::from_millis(100);

/// The maximum number of connections that wait to be accepted. tokio uses the same number.
const MOST_UNACCEPTED: u32 = 1024;

/// The interval of the log line that names the hosts for which the job waits.
const REMIND_INTERVAL: Duration = Duration::from_secs(30);

/// A message from a connection to the leader's loop.
enum LeaderEvent {
    Entrance(EntranceEvent),
    Heard {
        host: String,
        message: Message,
    },
    Gone {
        host: String,
        why: String,
    },
    /// No host can connect, because the port cannot be opened.
    Deaf {
        why: String,
    },
}

impl From<EntranceEvent> for LeaderEvent {
    fn from(entered: EntranceEvent) -> LeaderEvent {
        LeaderEvent::Entrance(entered)
    }
}

/// Runs until this host leaves.
pub(super) async fn run(membership: Membership, mut commands: mpsc::UnboundedReceiver<Command>, observed: &Observed) {
    let membership = Arc::new(membership);
    let now = Instant::now();
    let leader = &membership.leader;
    let mut hub = Hub {
        table: HostTable::new(&membership, now),
        outboxes: BTreeMap::new(),
        observed,
        membership: Arc::clone(&membership),
        executing: BTreeMap::new(),
        executed: 0,
        refusals: Refusals::default(),
    };
    let (events, mut receiver) = mpsc::channel(WAITING_MESSAGES);
    tokio::spawn(serve_port(Arc::clone(&membership), events.clone()));
    let (sender, mut requests) = mpsc::unbounded_channel();
    if let Some(agent) = &membership.agent {
        match agent::listen(agent) {
            Ok(listener) => {
                tokio::spawn(agent::serve(listener, sender));
            }
            // mpirun's agents will report that they cannot reach this footplate.
            Err(error) => tracing::warn!("cannot listen for mpirun's remote agent {}: {error}", agent.display()),
        }
    }
    let mut reminder = tokio::time::interval_at((now + REMIND_INTERVAL).into(), REMIND_INTERVAL);
    let audience = loop {
        let deadline = hub.table.deadline();
        let actions = tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Tell(message)) => hub.table.handle(leader, message, Instant::now()),
                Some(Command::Watch { host, note }) => hub.watch(host.as_deref(), &note),
                Some(Command::Leave(audience)) => break audience,
                None => break Audience::Connected,
            },
            Some(event) = receiver.recv() => match event {
                LeaderEvent::Deaf { why } => return super::alone(&membership, observed, &why),
                event => hub.happened(event, &events),
            },
            Some(request) = requests.recv() => hub.execute(request),
            () = super::sleep_until(deadline) => hub.table.tick(Instant::now()),
            _ = reminder.tick() => hub.reminders(),
        };
        hub.act(actions);
    };
    let actions = hub.table.close();
    hub.act(actions);
    hub.wait_for_delivery(audience, &mut receiver, &events).await;
}

/// Listens as soon as the port is free. Another program, or a job that is about to end, may hold the port for a moment.
async fn serve_port(membership: Arc<Membership>, events: mpsc::Sender<LeaderEvent>) {
    let begun = Instant::now();
    // The attempts must end before the hosts that have not connected are named as the cause.
    let limit = PORT_TIME.min(membership.patience / 2);
    let listener = loop {
        match listen(&membership).await {
            Ok(listener) => break listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < limit => {
                tokio::time::sleep(PORT_PAUSE).await;
            }
            Err(error) => {
                let why = format!("cannot listen on port {} for the other hosts: {error}", membership.port);
                // The result is ignored: the leader's loop may be over.
                let _ = events.send(LeaderEvent::Deaf { why }).await;
                return;
            }
        }
    };
    entrance::accept(listener, membership, events).await;
}

async fn listen(membership: &Membership) -> io::Result<TcpListener> {
    let port = membership.port;
    match membership.addresses.get(&membership.leader) {
        Some(address) => TcpListener::bind((*address, port)).await,
        None => match listen_to_all(port) {
            // This machine has no IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => TcpListener::bind(("0.0.0.0", port)).await,
            bound => bound,
        },
    }
}

/// Listens for hosts that connect over IPv6 or IPv4, even if the machine's setting `net.ipv6.bindv6only` keeps IPv4 out
/// of a port for IPv6.
fn listen_to_all(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v6()?;
    setsockopt(&socket, Ipv6V6Only, &false)?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv6Addr::UNSPECIFIED, port).into())?;
    socket.listen(MOST_UNACCEPTED)
}

struct Hub<'a> {
    table: HostTable,
    outboxes: BTreeMap<String, mpsc::UnboundedSender<Message>>,
    observed: &'a Observed,
    membership: Arc<Membership>,
    /// The commands that other hosts run, with the agents that wait for them to end.
    executing: BTreeMap<u64, (String, oneshot::Sender<Answer>)>,
    executed: u64,
    /// The connections that have the key but are refused.
    refusals: Refusals,
}

impl Hub<'_> {
    fn happened(&mut self, event: LeaderEvent, events: &mpsc::Sender<LeaderEvent>) -> Vec<LeaderAction> {
        match event {
            LeaderEvent::Entrance(EntranceEvent::OtherKey(address)) => {
                self.table.met_other_key(address);
                Vec::new()
            }
            LeaderEvent::Entrance(EntranceEvent::AuthenticatedPeer(AuthenticatedPeer {
                host,
                address,
                session,
                stream,
            })) => {
                if let Err(why) = self.table.may_join(&host) {
                    self.refusals.note(address, &why);
                    return Vec::new();
                }
                let (outbox, messages) = mpsc::unbounded_channel();
                self.outboxes.insert(host.clone(), outbox);
                tracing::debug!("host {host} is connected");
                let hosts = self.membership.hosts.len();
                if self.outboxes.len() + 1 == hosts {
                    tracing::info!("all {hosts} hosts are connected");
                }
                self.observed.events.emit(EventKind::HostJoined(host.clone()));
                let membership = Arc::clone(&self.membership);
                tokio::spawn(serve(host.clone(), membership, session, stream, messages, events.clone()));
                self.table.joined(&host)
            }
            LeaderEvent::Heard { host, message: Message::Executed { id, code } } => {
                // A host can report the end only of its own commands.
                let own = self.executing.extract_if(id..=id, |_, (executes, _)| *executes == host).next();
                if let Some((_, (_, answer))) = own {
                    tracing::debug!("mpirun's daemon on host {host} has ended with exit code {code}");
                    // mpirun may have ended its agent.
                    let _ = answer.send(Answer::Ended(code));
                }
                Vec::new()
            }
            LeaderEvent::Heard { host, message: Message::Watch(note) } => {
                self.observed.events.emit(EventKind::PeerNote { host, note: Box::new(note) });
                Vec::new()
            }
            LeaderEvent::Heard { host, message } => {
                if message == Message::Ready && self.table.is_preparing(&host) {
                    self.observed.events.emit(EventKind::HostReady(host.clone()));
                }
                self.table.handle(&host, message, Instant::now())
            }
            // No host had connected.
            LeaderEvent::Deaf { .. } => Vec::new(),
            LeaderEvent::Gone { host, why } => {
                self.outboxes.remove(&host);
                let is_over = self.observed.stage().is_over();
                if !is_over {
                    self.observed.events.emit(EventKind::HostLost { host: host.clone(), why: why.clone() });
                }
                for (_, (_, answer)) in self.executing.extract_if(.., |_, (other, _)| *other == host) {
                    // A host that leaves at the end is expected. Otherwise dropping `answer` tells the agent that the
                    // host is gone.
                    if is_over {
                        let _ = answer.send(Answer::Ended(agent::UNREACHABLE));
                    }
                }
                self.table.lost(&host, &why, Instant::now())
            }
        }
    }

    /// Sends a note of the watch to a host, or to all.
    fn watch(&self, host: Option<&str>, note: &WatchNote) -> Vec<LeaderAction> {
        let wanted = self.outboxes.iter().filter(|(name, _)| host.is_none_or(|host| host == name.as_str()));
        for (_, outbox) in wanted {
            // The end of its connection is a separate event.
            let _ = outbox.send(Message::Watch(note.clone()));
        }
        Vec::new()
    }

    /// Requests a host to run one of mpirun's commands.
    fn execute(&mut self, request: LeaderRequest) -> Vec<LeaderAction> {
        let LeaderRequest { host, command, answer } = request;
        let Membership { leader, addresses, .. } = &*self.membership;
        // mpirun was given the addresses of hosts whose names may not resolve.
        let named = addresses.iter().find(|(_, address)| address.to_string() == host).map(|(name, _)| name.clone());
        let host = named.unwrap_or(host);
        let refused = match self.outboxes.get(&host) {
            _ if host == *leader => Answer::RunItYourself,
            None => Answer::Refused("it is not connected".to_owned()),
            Some(outbox) => {
                self.executed += 1;
                let id = self.executed;
                // The end of its connection is a separate event.
                let _ = outbox.send(Message::Execute { id, command });
                self.executing.insert(id, (host, answer));
                return Vec::new();
            }
        };
        let _ = answer.send(refused);
        Vec::new()
    }

    fn act(&mut self, actions: Vec<LeaderAction>) {
        for action in actions {
            match action {
                LeaderAction::All(message) => {
                    for outbox in self.outboxes.values() {
                        // The end of its connection is a separate event.
                        let _ = outbox.send(message.clone());
                    }
                    self.observed.apply(message);
                }
                LeaderAction::To(host, message) => {
                    if let Some(outbox) = self.outboxes.get(&host) {
                        let _ = outbox.send(message);
                    }
                }
                LeaderAction::Note(text) => tracing::warn!("{text}"),
            }
        }
        self.observed.set_link(if self.outboxes.is_empty() { Connection::Apart } else { Connection::Connected });
    }

    fn reminders(&self) -> Vec<LeaderAction> {
        let waiting = self.table.waiting_for();
        if waiting.is_empty() {
            return Vec::new();
        }
        let more = if waiting.len() > 8 { format!(" and {} more", waiting.len() - 8) } else { String::new() };
        let named: Vec<&str> = waiting.iter().take(8).map(String::as_str).collect();
        vec![LeaderAction::Note(format!("waiting for {}{more}", named.join(", ")))]
    }

    /// Waits until every host has received the messages that were sent to it. After a failure, the audience may include
    /// hosts that have not connected yet.
    async fn wait_for_delivery(
        mut self,
        audience: Audience,
        events: &mut mpsc::Receiver<LeaderEvent>,
        sender: &mpsc::Sender<LeaderEvent>,
    ) {
        let begun = Instant::now();
        let awaits = audience == Audience::Expected && self.observed.stage().verdict().is_some();
        loop {
            let is_awaited = awaits && self.membership.expected().iter().any(|host| self.table.may_join(host).is_ok());
            let limit = if is_awaited { LINGER_TIME } else { GOODBYE_TIME };
            if self.outboxes.is_empty() && !is_awaited {
                return;
            }
            // Each host closes its connection when it has received the message that the job is over.
            let left = limit.saturating_sub(begun.elapsed());
            let Ok(Some(event)) = timeout(left, events.recv()).await else { return };
            let actions = self.happened(event, sender);
            self.act(actions);
        }
    }
}

/// Serves one connection until its host sends nothing any more.
async fn serve(
    host: String,
    membership: Arc<Membership>,
    session: Session,
    stream: TcpStream,
    mut messages: mpsc::UnboundedReceiver<Message>,
    events: mpsc::Sender<LeaderEvent>,
) {
    let Session { mut sender, mut receiver } = session;
    // Small messages must be sent without delay.
    let _ = stream.set_nodelay(true);
    let (mut reading, mut writing) = stream.into_split();
    let limits = |message| limited(message, &host, &membership.hosts);
    let event = |message| LeaderEvent::Heard { message: limits(message), host: host.clone() };
    let receiving = super::receive(&mut receiver, &mut reading, &events, event);
    let told = async {
        let mut alive = tokio::time::interval(ALIVE_INTERVAL);
        loop {
            let message = tokio::select! {
                message = messages.recv() => message,
                _ = alive.tick() => Some(Message::Alive),
            };
            let Some(message) = message else { break };
            if sender.send(&mut writing, &message).await.is_err() {
                break;
            }
        }
        // The reading half notices a broken connection.
        std::future::pending().await
    };
    let why = tokio::select! { why = receiving => why, why = told => why };
    // The result is ignored: the leader's loop may be over.
    let _ = events.send(LeaderEvent::Gone { host, why }).await;
}
