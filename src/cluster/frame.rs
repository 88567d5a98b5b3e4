//! Frames: a length, a payload, and a tag that verifies the sender and the position of the frame.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::key::{Key, TAG_SIZE};
use super::message::{FROM_LEADER, Message, TO_LEADER};

/// The maximum size of a frame from a peer that has proved itself, in bytes. mpirun's commands name every host.
const MAX_FRAME: usize = 1 << 20;

/// The direction of a frame. A frame that is sent back to its sender is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToLeader,
    FromLeader,
}

impl Direction {
    fn name(self) -> &'static [u8] {
        match self {
            Direction::ToLeader => b"to leader",
            Direction::FromLeader => b"from leader",
        }
    }

    /// Returns the kinds of messages that go in this direction.
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Direction::ToLeader => &TO_LEADER,
            Direction::FromLeader => &FROM_LEADER,
        }
    }
}

/// One direction of a session: its key, and the number of the next frame.
#[derive(Debug)]
pub(super) struct Sequence {
    key: Key,
    direction: Direction,
    number: u64,
}

impl Sequence {
    pub(super) fn new(key: Key, direction: Direction) -> Sequence {
        Sequence { key, direction, number: 0 }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, stream: &mut (impl AsyncWrite + Unpin), message: &Message) -> io::Result<()> {
        let mut payload = message.to_bytes();
        let tag = self.key.tag(&[self.direction.name(), &self.number.to_be_bytes(), &payload]);
        self.number += 1;
        payload.extend_from_slice(&tag);
        write(stream, &payload).await
    }

    /// Receives the next message. `None` for a message of a kind that is not sent in this direction.
    ///
    /// # Errors
    /// The connection has ended or is broken, or the data is too long, is not the next frame of this session, or is not
    /// a message.
    pub(super) async fn receive(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Message>> {
        let frame = read(stream, MAX_FRAME).await?;
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let (payload, tag) =
            frame.split_last_chunk::<TAG_SIZE>().ok_or_else(|| wrong("a frame without a tag".to_owned()))?;
        if !self.key.verifies(&[self.direction.name(), &self.number.to_be_bytes(), payload], tag) {
            return Err(wrong("a frame that is not of this session".to_owned()));
        }
        self.number += 1;
        // The error would contain text from the peer.
        Message::from_bytes(payload, self.direction.kinds())
            .map_err(|error| wrong(format!("a frame that is no message, at byte {}", error.column())))
    }
}

/// Writes a frame in one call.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), payload].concat()).await
}

/// Reads a frame of at most `limit` bytes.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await? as usize;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::{Direction, Key, Message, Sequence, read, write};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn what_was_sent_is_received_once_and_in_its_order_and_direction_only() {
        runtime().block_on(async {
            let key = Key::new(&[b"session"]);
            let mut sent = Vec::new();
            let mut sequence = Sequence::new(key.clone(), Direction::ToLeader);
            sequence.send(&mut sent, &Message::Ready).await.expect("sent");
            let mut receiver = Sequence::new(key.clone(), Direction::ToLeader);
            assert_eq!(receiver.receive(&mut sent.as_slice()).await.expect("received"), Some(Message::Ready));
            let replayed = receiver.receive(&mut sent.as_slice()).await.expect_err("replayed");
            assert!(replayed.to_string().contains("not of this session"), "{replayed}");
            let mut other_way = Sequence::new(key, Direction::FromLeader);
            other_way.receive(&mut sent.as_slice()).await.expect_err("sent back");
        });
    }

    #[test]
    fn what_is_no_frame_is_refused_before_it_is_read() {
        runtime().block_on(async {
            let mut receiver = Sequence::new(Key::new(&[b"session"]), Direction::ToLeader);
            let endless = [0xff; 64];
            assert!(
                receiver.receive(&mut endless.as_slice()).await.expect_err("too long").to_string().contains("bytes")
            );
            // A frame of exactly the limit is read, and a frame that is one byte longer is refused.
            let frame = |length: u32| [&length.to_be_bytes()[..], &[0; 16]].concat();
            assert_eq!(read(&mut frame(8).as_slice(), 8).await.expect("read").len(), 8);
            read(&mut frame(9).as_slice(), 8).await.expect_err("too long");
            let mut short = Vec::new();
            write(&mut short, b"short").await.expect("written");
            receiver.receive(&mut short.as_slice()).await.expect_err("no tag");
            receiver.receive(&mut &short[..3]).await.expect_err("cut off");
        });
    }
}
