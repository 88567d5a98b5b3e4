//! The leader's port: lets hosts in, regardless of what strangers do there.
//!
//! A stranger can open connections and stay silent, or keep opening new ones. Therefore a newcomer can take the place
//! of an older connection that is not authenticated. A newcomer from an address that has more than its share replaces a
//! connection from that address. If all places are taken, a stranger's connection is removed, and a connection from a
//! host's address only if there is no stranger's. [`Places`] decides this, without a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::handshake::{self, Session};
use super::{ALIVE_INTERVAL, HANDSHAKE_TIME, Membership};
use crate::system::resolve;

/// The number of unauthenticated connections that are accepted in addition to one for each host.
const SPARE_CONNECTIONS: usize = 16;

/// The number of unauthenticated connections from one address that are accepted in addition to one for each host with the
/// address.
const SPARE_PER_ADDRESS: usize = 4;

/// The interval at which hosts' names are resolved again while strangers take places and not all addresses are known.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// The number of names that are resolved at once.
const LOOKUPS_AT_ONCE: usize = 8;

/// The maximum number of log lines about one reason for refusals, and about all reasons.
const MOST_OF_REASON: usize = 2;
const MOST_REFUSALS: usize = 8;

/// A connection whose host is authenticated: it has proved that it has the key.
pub(super) struct AuthenticatedPeer {
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) session: Session,
    pub(super) stream: TcpStream,
}

/// An event that the entrance reports to the leader's loop.
pub(super) enum EntranceEvent {
    AuthenticatedPeer(AuthenticatedPeer),
    /// The first connection with another key, from this address.
    OtherKey(IpAddr),
}

/// The result of a task of the entrance.
enum Done {
    Handshake { id: u64, peer: SocketAddr, result: io::Result<Box<AuthenticatedPeer>> },
    Lookup(HostAddresses),
}

/// Accepts connections for ever, and performs their handshakes concurrently. Sends the authenticated
/// connections, and the first one with another key, to `events`.
pub(super) async fn accept<E: From<EntranceEvent>>(
    listener: TcpListener,
    membership: Arc<Membership>,
    events: mpsc::Sender<E>,
) {
    let mut places = Places::new(&membership);
    let mut aborts: BTreeMap<u64, AbortHandle> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut refusals = Refusals::default();
    let mut looked_up: Option<Instant> = None;
    let mut has_met_other_key = false;
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!("a connection failed before it was accepted: {error}");
                    // There may be no descriptors left. The loop must not spin.
                    tokio::time::sleep(ALIVE_INTERVAL).await;
                    continue;
                }
            },
            Some(done) = tasks.join_next() => {
                match done {
                    Ok(Done::Handshake { id, peer, result }) => {
                        places.leave(id);
                        aborts.remove(&id);
                        match result {
                            Ok(proved) => {
                                // The result is ignored: at the end, nobody receives events any more.
                                let _ = events.send(E::from(EntranceEvent::AuthenticatedPeer(*proved))).await;
                            }
                            Err(error) => {
                                let (address, reason) = (peer.ip().to_canonical(), reason(&error));
                                refusals.note(address, &reason);
                                if reason == handshake::OTHER_KEY && !std::mem::replace(&mut has_met_other_key, true) {
                                    let _ = events.send(E::from(EntranceEvent::OtherKey(address))).await;
                                }
                            }
                        }
                    }
                    Ok(Done::Lookup(addresses)) => places.hosts = addresses,
                    // The task was aborted.
                    Err(_) => {}
                }
                continue;
            }
        };
        let address = peer.ip().to_canonical();
        let arrival = places.arrive(address);
        if !matches!(arrival, Admission::Free(_)) {
            if !places.hosts.are_complete && looked_up.is_none_or(|at| at.elapsed() >= LOOKUP_INTERVAL) {
                looked_up = Some(Instant::now());
                let membership = Arc::clone(&membership);
                tasks.spawn(async move { Done::Lookup(HostAddresses::look_up(&membership).await) });
            }
            let stranger = if let Admission::Instead { address, .. } = &arrival { *address } else { address };
            refusals.note(stranger, "too many connections from this address have not authenticated");
        }
        let id = match arrival {
            Admission::Free(id) => id,
            Admission::Instead { id, removed, .. } => {
                // The connection is closed when its task ends.
                if let Some(task) = aborts.remove(&removed) {
                    task.abort();
                }
                id
            }
            Admission::Refused => continue,
        };
        let membership = Arc::clone(&membership);
        let task = tasks
            .spawn(async move { Done::Handshake { id, peer, result: authenticate(stream, peer, &membership).await } });
        aborts.insert(id, task);
    }
}

/// Performs the handshake in which a peer proves that it has the key.
async fn authenticate(
    mut stream: TcpStream,
    peer: SocketAddr,
    membership: &Membership,
) -> io::Result<Box<AuthenticatedPeer>> {
    let admitted = timeout(HANDSHAKE_TIME, handshake::admit(&mut stream, &membership.key)).await;
    let (host, session) = admitted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    Ok(Box::new(AuthenticatedPeer { host, address: peer.ip().to_canonical(), session, stream }))
}

/// Returns the reason why a connection is refused. It contains no text from the peer.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => format!("it did not authenticate within {} s", HANDSHAKE_TIME.as_secs()),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "it was closed during the handshake".to_owned()
        }
        io::ErrorKind::InvalidData => "it does not speak footplate's protocol".to_owned(),
        _ => error.to_string(),
    }
}

/// Limits on the log: one line for each address and reason, a few for each reason, and a few in all.
#[derive(Default)]
pub(super) struct Refusals {
    told: BTreeSet<(String, IpAddr)>,
    are_more: bool,
}

impl Refusals {
    /// Logs that a connection is refused, unless the limits are reached or the refusal was already logged.
    pub(super) fn note(&mut self, address: IpAddr, reason: &str) {
        if let Some(line) = self.line(address, reason) {
            tracing::warn!("{line}");
        }
    }

    fn line(&mut self, address: IpAddr, reason: &str) -> Option<String> {
        let key = (reason.to_owned(), address);
        if self.told.contains(&key) {
            return None;
        }
        let of_reason = self.told.iter().filter(|(told, _)| told == reason).count();
        if of_reason < MOST_OF_REASON && self.told.len() < MOST_REFUSALS {
            self.told.insert(key);
            return Some(format!("a connection from {address} is refused: {reason}"));
        }
        if self.are_more {
            return None;
        }
        self.are_more = true;
        Some(format!(
            "more connections are refused, most recently from {address}: {reason}; further refusals are not logged"
        ))
    }
}

/// The addresses of the hosts that are to connect, with the number of hosts that have each address.
#[derive(Debug, Default)]
struct HostAddresses {
    known: BTreeMap<IpAddr, usize>,
    /// True if the address of every host is known.
    are_complete: bool,
}

impl HostAddresses {
    /// Returns the addresses that the settings contain.
    fn stated(membership: &Membership) -> HostAddresses {
        HostAddresses::of(membership, |host| membership.addresses.get(host).map(|address| vec![*address]))
    }

    /// Returns the addresses that the settings contain or to which the hosts' names resolve.
    async fn look_up(membership: &Membership) -> HostAddresses {
        let mut unknown = membership.hosts.clone();
        unknown.retain(|host| !membership.addresses.contains_key(host));
        let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        let mut lookups = stream::iter(unknown.into_iter().map(addresses_of)).buffer_unordered(LOOKUPS_AT_ONCE);
        while let Some((host, addresses)) = lookups.next().await {
            found.extend(addresses.map(|addresses| (host, addresses)));
        }
        HostAddresses::of(membership, |host| {
            found.get(host).cloned().or_else(|| membership.addresses.get(host).map(|address| vec![*address]))
        })
    }

    fn of(membership: &Membership, addresses_of: impl Fn(&str) -> Option<Vec<IpAddr>>) -> HostAddresses {
        let mut addresses = HostAddresses { known: BTreeMap::new(), are_complete: true };
        for host in membership.hosts.iter().filter(|host| **host != membership.leader) {
            match addresses_of(host) {
                Some(found) => {
                    found.iter().for_each(|address| *addresses.known.entry(address.to_canonical()).or_default() += 1);
                }
                None => addresses.are_complete = false,
            }
        }
        addresses
    }
}

/// Returns a host with the addresses that its name resolves to.
async fn addresses_of(host: String) -> (String, Option<Vec<IpAddr>>) {
    let found = resolve::lookup(&host).await.ok();
    (host, found)
}

/// A connection that is not authenticated yet.
#[derive(Debug)]
struct Place {
    id: u64,
    address: IpAddr,
}

/// The places for connections that are not authenticated, the oldest connection first.
#[derive(Debug)]
struct Places {
    limit: usize,
    hosts: HostAddresses,
    /// The number of hosts that connect.
    host_count: usize,
    taken: Vec<Place>,
    next_id: u64,
}

/// The decision about a newcomer.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    /// It gets a free place with this ID.
    Free(u64),
    /// It gets a place with this ID, and the connection `removed` loses its place.
    Instead { id: u64, removed: u64, address: IpAddr },
    /// It gets no place, because hosts' addresses have all places and its address is not one of them.
    Refused,
}

impl Places {
    fn new(membership: &Membership) -> Places {
        let host_count = membership.hosts.len();
        let hosts = HostAddresses::stated(membership);
        Places { limit: host_count + SPARE_CONNECTIONS, hosts, host_count, taken: Vec::new(), next_id: 0 }
    }

    /// Finds a place for a connection from this address.
    fn arrive(&mut self, address: IpAddr) -> Admission {
        let own = self.taken.iter().filter(|place| place.address == address).count();
        let removed = if own >= self.share(address) {
            self.taken.iter().position(|place| place.address == address)
        } else if self.taken.len() >= self.limit {
            match self.least_welcome(address) {
                Some(index) => Some(index),
                None => return Admission::Refused,
            }
        } else {
            None
        };
        let id = self.next_id;
        self.next_id += 1;
        let removed = removed.map(|index| self.taken.remove(index));
        self.taken.push(Place { id, address });
        removed.map_or(Admission::Free(id), |gone| Admission::Instead { id, removed: gone.id, address: gone.address })
    }

    /// Frees a place.
    fn leave(&mut self, id: u64) {
        self.taken.retain(|place| place.id != id);
    }

    /// Returns the number of places that an address may have. Until the addresses of all hosts are known, an unknown
    /// address may have as many as if it were the address of all hosts.
    fn share(&self, address: IpAddr) -> usize {
        let hosts = match self.hosts.known.get(&address) {
            Some(hosts) => *hosts,
            None if self.hosts.are_complete => 0,
            None => self.host_count,
        };
        hosts + SPARE_PER_ADDRESS
    }

    /// Returns the index of the connection that is removed for one from `newcomer`: the oldest connection of the
    /// stranger with the most connections. If there is no stranger and the newcomer has a host's address, it is the
    /// oldest connection of the host with the most. `None` if there is neither.
    fn least_welcome(&self, newcomer: IpAddr) -> Option<usize> {
        let is_host = |address: &IpAddr| self.hosts.known.contains_key(address);
        let largest = |of_hosts: bool| {
            let wanted = |place: &&Place| is_host(&place.address) == of_hosts;
            let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
            for place in self.taken.iter().filter(wanted) {
                *counts.entry(self.neighbourhood(place.address)).or_default() += 1;
            }
            let most = counts.values().copied().max()?;
            let is_of_most = |place: &Place| counts.get(&self.neighbourhood(place.address)) == Some(&most);
            self.taken.iter().position(|place| wanted(&place) && is_of_most(place))
        };
        largest(false).or_else(|| if is_host(&newcomer) { largest(true) } else { None })
    }

    /// Returns an address that represents all addresses of one stranger. With IPv6, anybody has at least 2^64
    /// addresses.
    fn neighbourhood(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V6(six) if !self.hosts.known.contains_key(&address) => {
                IpAddr::V6((six.to_bits() & !u128::from(u64::MAX)).into())
            }
            _ => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    use super::{Admission, HostAddresses, Places, Refusals};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Returns the places of a job of `host_count` hosts. Only these addresses of hosts are known.
    fn places(host_count: usize, known: &[&str]) -> Places {
        let known: BTreeMap<IpAddr, usize> = known.iter().map(|text| (address(text), 1)).collect();
        let are_complete = known.len() + 1 == host_count;
        let hosts = HostAddresses { known, are_complete };
        Places { limit: host_count + 16, hosts, host_count, taken: Vec::new(), next_id: 0 }
    }

    fn removed(arrival: &Admission) -> Option<IpAddr> {
        if let Admission::Instead { address, .. } = arrival { Some(*address) } else { None }
    }

    #[test]
    fn a_stranger_replaces_its_own_connections_and_the_oldest_first() {
        let mut places = places(2, &["10.0.0.2"]);
        let stranger = address("10.0.0.66");
        let free: Vec<Admission> = (0..4).map(|_| places.arrive(stranger)).collect();
        assert_eq!(free, [0, 1, 2, 3].map(Admission::Free));
        assert_eq!(places.arrive(stranger), Admission::Instead { id: 4, removed: 0, address: stranger });
        places.leave(2);
        assert_eq!(places.arrive(stranger), Admission::Free(5));
        assert_eq!(places.arrive(stranger), Admission::Instead { id: 6, removed: 1, address: stranger });
        assert_eq!(places.arrive(address("10.0.0.2")), Admission::Free(7));
    }

    #[test]
    fn strangers_with_many_addresses_keep_no_host_out() {
        let mut places = places(2, &["10.0.0.2"]);
        let host = address("10.0.0.2");
        for number in 0..2000_u32 {
            let arrival = places.arrive(IpAddr::V4(number.to_be().into()));
            assert_ne!(removed(&arrival), Some(host));
            if number == 1000 {
                let arrival = places.arrive(host);
                assert!(matches!(arrival, Admission::Instead { .. }), "{arrival:?}");
            }
        }
        assert_eq!((places.taken.len(), places.taken[0].address), (18, host));
    }

    #[test]
    fn the_stranger_with_the_most_connections_makes_room() {
        // The addresses of the hosts are not known.
        let mut places = places(8, &[]);
        let stranger = address("10.0.0.66");
        for _ in 0..11 {
            places.arrive(stranger);
        }
        let mut others = (1..).map(|number| IpAddr::V4([10, 0, 1, number].into()));
        for _ in 0..13 {
            assert!(matches!(places.arrive(others.next().expect("an address")), Admission::Free(_)));
        }
        for _ in 0..9 {
            assert_eq!(removed(&places.arrive(others.next().expect("an address"))), Some(stranger));
        }
        // An IPv6 network counts as one stranger, except for the addresses of hosts in it.
        let mut six = super::tests::places(2, &["fd00::2"]);
        six.arrive(address("fd00::2"));
        for number in 0..100 {
            six.arrive(address(&format!("fd00::1:{number:x}")));
        }
        let newcomer = six.arrive(address("10.0.0.1"));
        assert_eq!(removed(&newcomer), Some(address("fd00::1:53")), "the oldest of the network");
        assert_eq!(six.taken[0].address, address("fd00::2"));
    }

    #[test]
    fn hosts_behind_one_address_have_room_there() {
        let mut places = places(256, &[]);
        let shared = address("127.0.0.1");
        assert!((0..255).all(|_| matches!(places.arrive(shared), Admission::Free(_))));
        // If all places belong to hosts' addresses, a stranger gets none.
        let mut full = super::tests::places(2, &["10.0.0.2"]);
        full.hosts.known.insert(address("10.0.0.2"), 100);
        assert!((0..18).all(|_| matches!(full.arrive(address("10.0.0.2")), Admission::Free(_))));
        assert_eq!(full.arrive(address("10.0.0.66")), Admission::Refused);
        assert_eq!(removed(&full.arrive(address("10.0.0.2"))), Some(address("10.0.0.2")));
    }

    #[test]
    fn strangers_produce_few_lines() {
        let mut refusals = Refusals::default();
        let mut lines = Vec::new();
        for number in 0..1000_u32 {
            for reason in ["it was closed", "it has another key"] {
                lines.extend(refusals.line(IpAddr::V4(number.to_be().into()), reason));
            }
        }
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[1], "a connection from 0.0.0.0 is refused: it has another key");
        assert!(
            lines[4].starts_with("more connections are refused, most recently from 2.0.0.0: it was closed;"),
            "{}",
            lines[4]
        );
    }
}
