//! FIFOs that the script reads the data of a channel from: `<channel>_0` in the first epoch, then `<channel>_1`, and
//! so on.
//!
//! Each channel of each host has a thread. It waits for a reader, writes the objects, closes the FIFO, and makes the
//! next one. A reader that closes the FIFO early does not want the rest of the epoch. Nothing waits for the threads.
//! A thread that still waits for a reader ends with this process.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::objects::{Piece, Unit};
use super::order::EpochOrder;
use super::request::RecordWrapper;
use super::{StagedChannel, StagedData};
use crate::job::Paths;
use crate::system::kernel;

/// The first word of a RecordIO record.
const MAGIC: u32 = 0xCED7_230A;

/// The length from which on an object does not fit into a single record, in bytes, because a length has 29 bits.
const RECORD_LIMIT: u64 = 1 << 29;

/// The mode of a FIFO: the script may run as another user.
const MODE: u32 = 0o644;

/// The feed of all pipes of a job. No new FIFO is made after it is dropped.
#[derive(Debug, Default)]
pub(in crate::local) struct Feed {
    is_over: Arc<Mutex<bool>>,
}

impl Feed {
    /// Makes the first FIFO of each pipe in the folders of each host, and begins to feed them.
    ///
    /// # Errors
    /// A FIFO or a thread cannot be made.
    pub(in crate::local) fn begin(channels: &[StagedChannel], hosts: &[Paths], tell: Report) -> Result<Feed> {
        let feed = Feed::default();
        for channel in channels {
            let StagedData::Streams { units, order, wrapper } = &channel.data else { continue };
            for (host, paths) in hosts.iter().enumerate() {
                let mut pipe = Pipe {
                    stem: paths.channel(&channel.name),
                    units: units.clone(),
                    order: *order,
                    wrapper: *wrapper,
                    host,
                    is_over: Arc::clone(&feed.is_over),
                };
                make(&pipe.fifo(0)).with_context(|| format!("cannot make {}", pipe.fifo(0).display()))?;
                let name = channel.name.clone();
                kernel::spawn_thread("pipe", None, move || {
                    if let Err(error) = pipe.feed() {
                        tell(&format!("the channel {name} has ended: {error:#}"));
                    }
                })
                .context("cannot start a thread for a pipe")?;
            }
        }
        Ok(feed)
    }
}

/// Receives a message for the user.
pub(in crate::local) type Report = fn(&str);

impl Drop for Feed {
    fn drop(&mut self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

/// A channel of a host.
struct Pipe {
    /// The path of the FIFOs without the epoch.
    stem: PathBuf,
    units: Vec<Unit>,
    order: EpochOrder,
    wrapper: RecordWrapper,
    host: usize,
    is_over: Arc<Mutex<bool>>,
}

impl Pipe {
    fn fifo(&self, epoch: u64) -> PathBuf {
        let mut name = self.stem.file_name().unwrap_or_default().to_owned();
        name.push(format!("_{epoch}"));
        self.stem.with_file_name(name)
    }

    /// Feeds one epoch after another until the job is over.
    fn feed(&mut self) -> Result<()> {
        let mut epoch = 0;
        loop {
            let fifo = self.fifo(epoch);
            // Opening the FIFO waits for a reader.
            let pipe = OpenOptions::new().write(true).open(&fifo);
            let pipe = pipe.with_context(|| format!("cannot open {}", fifo.display()))?;
            let written = self.write(pipe, epoch);
            epoch += 1;
            // The job's folder is not removed while this lock is held.
            let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
            if *is_over {
                return Ok(());
            }
            // A reader that comes too late must not wait on the FIFO of an epoch that is over.
            let _ = fs::remove_file(&fifo);
            written?;
            let next = self.fifo(epoch);
            make(&next).with_context(|| format!("cannot make {}", next.display()))?;
        }
    }

    /// Writes the objects of an epoch. A reader that closes early is not an error.
    fn write(&self, pipe: File, epoch: u64) -> Result<()> {
        let mut out = BufWriter::with_capacity(64 << 10, pipe);
        for at in self.order.of_host(self.units.len(), self.host, epoch) {
            for piece in &self.units[at] {
                if !write_piece(&mut out, piece, self.wrapper)? {
                    // No reader is left for the bytes in the buffer.
                    let _ = out.into_parts();
                    return Ok(());
                }
            }
        }
        still_read(out.flush()).map(|_| ()).context("cannot write to a pipe")
    }
}

fn make(path: &Path) -> io::Result<()> {
    mkfifo(path, Mode::from_bits_truncate(0o600))?;
    fs::set_permissions(path, Permissions::from_mode(MODE))
}

/// Returns false if the FIFO has no reader any more.
fn still_read(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a piece in its frame. Returns false if the FIFO has no reader any more.
fn write_piece(out: &mut impl Write, piece: &Piece, wrapper: RecordWrapper) -> Result<bool> {
    let (length, mut content): (u64, Box<dyn Read>) = match piece {
        Piece::Text(text) => (text.len() as u64, Box::new(text.as_slice())),
        Piece::File(path) => {
            let named = || format!("cannot read {}", path.display());
            let file = File::open(path).with_context(named)?;
            (file.metadata().with_context(named)?.len(), Box::new(file))
        }
    };
    if wrapper == RecordWrapper::None {
        return Ok(still_read(io::copy(&mut content, out).map(|_| ()))?);
    }
    let Some(framed) = u32::try_from(length).ok().filter(|_| length < RECORD_LIMIT) else {
        anyhow::bail!("{piece:?} has {length} bytes, and a RecordIO record has at most {}", RECORD_LIMIT - 1);
    };
    // A file whose size changes meanwhile must not break the frames after it.
    let padding = (4 - length % 4) % 4;
    let mut content = content.take(length).chain(io::repeat(0)).take(length + padding);
    let head = [MAGIC.to_le_bytes(), framed.to_le_bytes()].concat();
    Ok(still_read(out.write_all(&head).and_then(|()| io::copy(&mut content, out).map(|_| ())))?)
}

#[cfg(test)]
mod tests {
    use super::{Piece, RecordWrapper, write_piece};

    #[test]
    fn a_record_is_framed_and_padded() {
        let mut out = Vec::new();
        for text in ["abcde", "", "abcd"] {
            let piece = Piece::Text(text.into());
            assert!(write_piece(&mut out, &piece, RecordWrapper::RecordIO).expect("written"));
        }
        let magic = b"\x0a\x23\xd7\xce";
        let records = [&magic[..], b"\x05\0\0\0abcde\0\0\0", magic, b"\0\0\0\0", magic, b"\x04\0\0\0abcd"].concat();
        assert_eq!(out, records);
    }
}
