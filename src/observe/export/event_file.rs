//! The event file of TensorBoard: records with checksums, each with a protocol buffer of the type `tensorflow.Event`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crc_fast::{CrcAlgorithm, checksum};

use super::protobuf::ProtoMessage;
use crate::system::files::create_own as create;

/// The size of the file above which every second value of a metric is left out, in bytes. At twice this size, three
/// of four values are left out, and so on.
const FULL: u64 = 10_000_000;

/// The version of the format.
const VERSION: &str = "brain.Event:2";

/// The fields of `Event`, `Summary` and `Summary.Value`.
const WALL_TIME: u32 = 1;
const STEP: u32 = 2;
const FILE_VERSION: u32 = 3;
const SUMMARY: u32 = 5;
const VALUE: u32 = 1;
const TAG: u32 = 1;
const SIMPLE_VALUE: u32 = 2;

/// The event file of this host. Its clones share it.
#[derive(Clone, Debug)]
pub struct EventFile {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    file: Events,
    size: u64,
    /// For each tag, the number of its values and the lowest rank that has written one.
    tags: BTreeMap<String, (u64, usize)>,
}

#[derive(Debug)]
enum Events {
    /// Nothing was written yet.
    Absent,
    Open(BufWriter<File>),
    /// The file cannot be written any more.
    Failed,
}

impl EventFile {
    /// Describes the file in a folder. Each host has its own folder in that folder, which TensorBoard shows as a run.
    /// Nothing is written.
    pub fn new(folder: &Path, host: &str, unix_seconds: f64) -> EventFile {
        // TensorBoard reads files with `tfevents` in their names, the oldest first.
        let name = format!("events.out.tfevents.{:010}.{host}.{}.footplate", unix_seconds as u64, std::process::id());
        let path = folder.join(host).join(name);
        EventFile { state: Arc::new(Mutex::new(State { path, file: Events::Absent, size: 0, tags: BTreeMap::new() })) }
    }

    /// Adds a value. If several ranks write one tag, only the values of the lowest rank count. Without a step, the
    /// values are numbered.
    pub fn add(&self, tag: &str, value: f64, step: Option<u64>, time: f64, rank: usize) {
        let mut state = self.lock();
        let stride = 1u64 << (state.size / FULL).min(62);
        let (count, lowest) = state.tags.entry(tag.to_owned()).or_insert((0, rank));
        *lowest = rank.min(*lowest);
        if rank > *lowest {
            return;
        }
        let number = *count;
        *count += 1;
        if !number.is_multiple_of(stride) {
            return;
        }
        let value = ProtoMessage::default().text(TAG, tag).float(SIMPLE_VALUE, value as f32);
        let summary = ProtoMessage::default().message(VALUE, value);
        let event = ProtoMessage::default().double(WALL_TIME, time).number(STEP, step.unwrap_or(number));
        state.write(time, event.message(SUMMARY, summary));
    }

    /// Writes the values that are still in memory.
    pub fn flush(&self) {
        let mut state = self.lock();
        let flushed = if let Events::Open(file) = &mut state.file { file.flush() } else { Ok(()) };
        state.note(flushed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, time: f64, event: ProtoMessage) {
        let written = self.append(time, event);
        self.note(written);
    }

    fn append(&mut self, time: f64, event: ProtoMessage) -> io::Result<()> {
        if matches!(self.file, Events::Absent) {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new("/")))?;
            let mut file = BufWriter::new(create(&self.path)?);
            let first = ProtoMessage::default().double(WALL_TIME, time).text(FILE_VERSION, VERSION);
            file.write_all(&record(&first.bytes()))?;
            self.file = Events::Open(file);
        }
        let Events::Open(file) = &mut self.file else { return Ok(()) };
        let record = record(&event.bytes());
        self.size += record.len() as u64;
        file.write_all(&record)
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::warn!("the events for TensorBoard are not complete: {}: {error}", self.path.display());
            self.file = Events::Failed;
        }
    }
}

/// Returns a record of a TFRecord file: the length, its checksum, the data, its checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// Returns the CRC-32C of some bytes, masked as TFRecord requires, so that a checksum of data that contains checksums
/// stays useful.
fn masked(bytes: &[u8]) -> [u8; 4] {
    const DELTA: u32 = 0xa282_ead8;
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32;
    crc.rotate_right(15).wrapping_add(DELTA).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::{EventFile, masked};

    #[test]
    fn checksums_are_masked_as_tfrecord_has_them() {
        // The length of the first record of a file that TensorFlow wrote: 24 bytes.
        assert_eq!(masked(&24u64.to_le_bytes()), [0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn the_lowest_rank_counts_and_nothing_is_written_without_a_value() {
        let folder = tempfile::tempdir().expect("a folder");
        let event_file = EventFile::new(folder.path(), "algo-1", 1_700_000_000.5);
        event_file.flush();
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
        event_file.add("loss", 0.5, Some(7), 1_700_000_001.0, 1);
        event_file.add("loss", 0.25, Some(7), 1_700_000_001.0, 0);
        event_file.add("loss", 0.125, Some(8), 1_700_000_001.0, 1);
        event_file.flush();
        let mut files = std::fs::read_dir(folder.path().join("algo-1")).expect("listed");
        let file = files.next().expect("a file").expect("an entry");
        let name = file.file_name().into_string().expect("UTF-8");
        assert!(name.starts_with("events.out.tfevents.1700000000.algo-1."), "{name}");
        let bytes = std::fs::read(file.path()).expect("read");
        let has = |value: f32| bytes.windows(4).any(|window| window == value.to_le_bytes());
        assert_eq!([has(0.5), has(0.25), has(0.125)], [true, true, false]);
    }
}
