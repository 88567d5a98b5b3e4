//! The bytes that processes send and receive over TCP connections. The kernel counts them per connection and reports
//! them through sock_diag(7).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

/// The request for all sockets of a family, from linux/sock_diag.h and linux/netlink.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// The sizes of the header of a message, of the request and of the answer, from linux/netlink.h and linux/inet_diag.h.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;

/// The attribute with the struct tcp_info, and the offsets of two of its counters, from linux/tcp.h. Linux 4.1 and
/// later has them.
const INET_DIAG_INFO: u16 = 2;
const BYTES_ACKNOWLEDGED: usize = 120;
const BYTES_RECEIVED: usize = 128;

/// The states in which data is sent or received: established, and closed by one side.
const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8;

/// The time limit for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The maximum number of descriptors that are inspected.
const MAX_DESCRIPTORS: usize = 1 << 17;

/// Returns the bytes over each TCP connection of some processes to another machine, sent and received together, by
/// the kernel's cookie of the connection.
///
/// # Errors
/// The descriptors of a process may not be read, or the kernel does not report connections.
pub fn connections(processes: impl IntoIterator<Item = i32>) -> io::Result<BTreeMap<u64, u64>> {
    let mut owned = BTreeSet::new();
    for pid in processes {
        sockets(pid, &mut owned)?;
    }
    let mut found = BTreeMap::new();
    if !owned.is_empty() {
        let until = Instant::now() + PATIENCE;
        for family in [libc::AF_INET, libc::AF_INET6] {
            query(family, until, |connection| {
                if connection.is_remote && owned.contains(&connection.inode) {
                    found.insert(connection.cookie, connection.bytes);
                }
            })?;
        }
    }
    Ok(found)
}

/// Adds the inodes of a process's sockets. Nothing is added for a process that has ended.
fn sockets(pid: i32, owned: &mut BTreeSet<u32>) -> io::Result<()> {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let targets = entries.flatten().take(MAX_DESCRIPTORS).filter_map(|entry| fs::read_link(entry.path()).ok());
    owned.extend(targets.filter_map(|target| {
        let number = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        number.parse::<u32>().ok()
    }));
    Ok(())
}

/// A TCP connection, as the kernel reports it.
#[derive(Debug, PartialEq, Eq)]
struct Connection {
    inode: u32,
    cookie: u64,
    /// True if the other end is on another machine.
    is_remote: bool,
    /// The bytes that were sent and acknowledged, plus the bytes that were received.
    bytes: u64,
}

/// Asks the kernel for all connections of an address family.
fn query(family: i32, until: Instant, mut found: impl FnMut(Connection)) -> io::Result<()> {
    let kernel =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    setsockopt(&kernel, sockopt::ReceiveTimeout, &TimeVal::new(0, 200_000))?;
    send(kernel.as_raw_fd(), &request(family), MsgFlags::empty())?;
    let mut buffer = vec![0; 64 << 10];
    while Instant::now() < until {
        let length = match recv(kernel.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        if !read(&buffer[..length], &mut found)? {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Returns the request for all connections of an address family.
fn request(family: i32) -> Vec<u8> {
    let size = HEADER + REQUEST;
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(u32::try_from(size).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend([family, libc::IPPROTO_TCP].map(|number| number.to_le_bytes()[0]));
    bytes.extend([1 << (INET_DIAG_INFO - 1), 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.resize(size, 0);
    bytes
}

/// Reads the messages of one answer. Returns false after the last one.
fn read(mut messages: &[u8], found: &mut impl FnMut(Connection)) -> io::Result<bool> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    while !messages.is_empty() {
        let length = u32_at(messages, 0).ok_or_else(broken)? as usize;
        let message = messages.get(HEADER..length).ok_or_else(broken)?;
        match u16_at(messages, 4) {
            Some(NLMSG_DONE) => return Ok(false),
            Some(NLMSG_ERROR) => {
                let code = u32_at(message, 0).ok_or_else(broken)?.cast_signed();
                return Err(io::Error::from_raw_os_error(code.wrapping_neg()));
            }
            Some(SOCK_DIAG_BY_FAMILY) => found(connection(message).ok_or_else(broken)?),
            _ => {}
        }
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

/// Parses a connection: a struct inet_diag_msg and attributes. A connection without counters has no bytes.
fn connection(message: &[u8]) -> Option<Connection> {
    const ADDRESSES: usize = 8;
    const COOKIE: usize = 44;
    const INODE: usize = 68;
    let cookie = u64::from(u32_at(message, COOKIE)?) | u64::from(u32_at(message, COOKIE + 4)?) << 32;
    let inode = u32_at(message, INODE)?;
    let is_ipv6 = i32::from(*message.first()?) == libc::AF_INET6;
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = message.get(at..at + 16)?.try_into().ok()?;
        let [a, b, c, d, ..] = bytes;
        Some(if is_ipv6 { Ipv6Addr::from(bytes).to_canonical() } else { [a, b, c, d].into() })
    };
    let (own, other) = (address(ADDRESSES)?, address(ADDRESSES + 16)?);
    let is_remote = own != other && !other.is_loopback();
    let mut attributes = message.get(ANSWER..)?;
    let mut bytes = 0;
    while let Some(length) = u16_at(attributes, 0).map(usize::from).filter(|length| *length >= 4) {
        if u16_at(attributes, 2) == Some(INET_DIAG_INFO) {
            let value = attributes.get(4..length)?;
            let counter = |at| u64_at(value, at).unwrap_or_default();
            bytes = counter(BYTES_ACKNOWLEDGED).saturating_add(counter(BYTES_RECEIVED));
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Connection { inode, cookie, is_remote, bytes })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    use nix::libc;
    use proptest::prelude::*;

    use super::{connections, query, read, sockets};

    /// Returns an answer with one connection from 10.0.0.1 to `other`.
    fn answer(other: [u8; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::to_ne_bytes(16 + 72 + 4 + 136));
        bytes.extend(u16::to_ne_bytes(20));
        bytes.resize(16, 0);
        bytes.push(2);
        bytes.resize(16 + 8, 0);
        bytes.extend([10, 0, 0, 1]);
        bytes.resize(16 + 24, 0);
        bytes.extend(other);
        bytes.resize(16 + 44, 0);
        bytes.extend([7, 0, 0, 0, 1, 0, 0, 0].map(u8::to_le));
        bytes.resize(16 + 68, 0);
        bytes.extend(u32::to_ne_bytes(4711));
        bytes.extend(u16::to_ne_bytes(4 + 136));
        bytes.extend(u16::to_ne_bytes(2));
        bytes.resize(16 + 72 + 4 + 120, 0);
        bytes.extend(u64::to_ne_bytes(100));
        bytes.extend(u64::to_ne_bytes(23));
        bytes
    }

    #[test]
    fn connections_to_other_machines_are_read_from_an_answer() {
        for (other, is_remote) in [([10, 0, 0, 2], true), ([127, 0, 0, 1], false), ([10, 0, 0, 1], false)] {
            let mut found = Vec::new();
            assert!(read(&answer(other), &mut |connection| found.push(connection)).expect("an answer"));
            let found = found.pop().expect("a connection");
            assert_eq!((found.inode, found.bytes, found.is_remote), (4711, 123, is_remote));
        }
        let done = [20, 0, 0, 0, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(!read(&done, &mut |_| panic!("no connection")).expect("an answer"));
        let refused = [20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255];
        let error = read(&refused, &mut |_| panic!("no connection")).expect_err("a refusal");
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_to_its_end(start in 0_usize..228, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut answer = answer([10, 0, 0, 2]);
            answer.splice(start.min(answer.len()).., bytes);
            let _ = read(&answer, &mut |_| {});
        }
    }

    #[test]
    fn the_kernel_counts_the_bytes_of_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let (mut server, _) = listener.accept().expect("a connection");
        let own = i32::try_from(std::process::id()).expect("a number");
        let mut owned = Default::default();
        sockets(own, &mut owned).expect("descriptors");
        let link = std::fs::read_link(format!("/proc/self/fd/{}", client.as_raw_fd())).expect("a link");
        let inode = owned.iter().copied().find(|inode| link.to_string_lossy() == format!("socket:[{inode}]"));
        client.write_all(&[1; 1000]).expect("sent");
        server.read_exact(&mut [0; 1000]).expect("received");
        let until = Instant::now() + Duration::from_secs(60);
        let mut counted = None;
        // The kernel counts the start of a connection as one more byte.
        while counted.is_none_or(|count| count < 1000) {
            assert!(Instant::now() < until, "{counted:?}");
            query(libc::AF_INET, until, |connection| {
                if Some(connection.inode) == inode {
                    assert!(!connection.is_remote);
                    counted = Some(connection.bytes);
                }
            })
            .expect("connections");
        }
        assert!(connections([own, i32::MAX]).expect("connections").is_empty(), "they go nowhere");
    }
}
