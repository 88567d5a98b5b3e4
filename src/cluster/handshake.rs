//! The handshake: each side proves to the other that it has the key, before any message is sent.
//!
//! ```text
//! leader ► host    magic, version, challenge of the leader
//! host   ► leader  challenge of the host, tag over both challenges and the name, name
//! leader ► host    tag over both challenges and the name
//! ```

use std::io;

use tokio::net::TcpStream;

use super::frame::{self, Direction, Sequence};
use super::key::{Key, TAG_SIZE, random};

const MAGIC: &[u8; 9] = b"footplate";

/// The version of the protocol of this folder.
const VERSION: u8 = 1;

const CHALLENGE_SIZE: usize = 32;

/// The maximum size of a frame from a peer that has proved nothing yet, in bytes.
const MAX_UNPROVED_FRAME: usize = 1024;

/// The reason for refusing a peer with another key.
pub(super) const OTHER_KEY: &str = "it has another key";

/// Both directions of a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) sender: Sequence,
    pub(super) receiver: Sequence,
}

fn refused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what.into())
}

/// Performs the leader's side, and returns the name of the host.
///
/// # Errors
/// The peer does not have the key or does not speak this protocol, or the connection is broken.
pub(super) async fn admit(stream: &mut TcpStream, key: &Key) -> io::Result<(String, Session)> {
    let own = random::<CHALLENGE_SIZE>()?;
    frame::write(stream, &[MAGIC.as_slice(), &[VERSION], &own].concat()).await?;
    let answer = frame::read(stream, MAX_UNPROVED_FRAME).await?;
    let parts = answer.split_first_chunk::<CHALLENGE_SIZE>();
    let parts = parts.and_then(|(theirs, rest)| Some((theirs, rest.split_first_chunk::<TAG_SIZE>()?)));
    let (theirs, (tag, name)) = parts.ok_or_else(|| refused("it does not speak footplate's protocol"))?;
    if !key.verifies(&[b"host", &own, theirs, name], tag) {
        return Err(refused(OTHER_KEY));
    }
    let host = std::str::from_utf8(name).map_err(|_| refused("its name is no text"))?.to_owned();
    frame::write(stream, &key.tag(&[b"leader", &own, theirs, name])).await?;
    let session = key.session(&[b"session", &own, theirs, name]);
    let sender = Sequence::new(session.clone(), Direction::FromLeader);
    Ok((host, Session { sender, receiver: Sequence::new(session, Direction::ToLeader) }))
}

/// Performs the other host's side.
///
/// # Errors
/// The leader does not have the key or does not speak this protocol, or the connection is broken.
pub(super) async fn introduce(stream: &mut TcpStream, key: &Key, host: &str) -> io::Result<Session> {
    let greeting = frame::read(stream, MAX_UNPROVED_FRAME).await?;
    let rest = greeting.strip_prefix(MAGIC).ok_or_else(|| refused("what listens there is not footplate"))?;
    let (version, theirs) = rest.split_first().ok_or_else(|| refused("what listens there is not footplate"))?;
    if *version != VERSION {
        return Err(refused(format!(
            "it speaks version {version} of footplate's protocol, this host version {VERSION}: use the same footplate on all hosts"
        )));
    }
    let own = random::<CHALLENGE_SIZE>()?;
    let name = host.as_bytes();
    let tag = key.tag(&[b"host", theirs, &own, name]);
    frame::write(stream, &[&own, tag.as_slice(), name].concat()).await?;
    let proof = frame::read(stream, MAX_UNPROVED_FRAME).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => refused(
            "it refuses this host: it has another key or another configuration of the job, or strangers keep it busy",
        ),
        _ => error,
    })?;
    if !key.verifies(&[b"leader", theirs, &own, name], &proof) {
        return Err(refused(OTHER_KEY));
    }
    let session = key.session(&[b"session", theirs, &own, name]);
    let sender = Sequence::new(session.clone(), Direction::ToLeader);
    Ok(Session { sender, receiver: Sequence::new(session, Direction::FromLeader) })
}
