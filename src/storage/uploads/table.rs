//! The state of every file, and the decision which file is due. Pure: the caller passes in every fact, including the
//! time.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time for which a file must be unchanged if its closing was not observed.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(100 * SETTLE_TENTHS as u64);
const SETTLE_TENTHS: u32 = 10;

/// The maximum number of failed uploads of a file. Each upload repeats its requests by itself.
const ATTEMPTS: u8 = 3;

/// The number of failures in a row after which no file is tried for [`PAUSE`] or, at the end, ever again.
const MANY_FAILURES: u32 = 8;
/// The pause after [`MANY_FAILURES`].
const PAUSE: Duration = Duration::from_secs(30);

/// The state of a file. Two equal stamps mean that the content is unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// The time of the last write, in nanoseconds since 1970.
    pub written: i64,
}

/// An upload that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UploadFailure {
    pub reason: String,
    /// True if another attempt would fail, too.
    pub is_final: bool,
}

/// The state of a file. It is small, because there may be tens of thousands.
#[derive(Debug, Default)]
struct FileState {
    /// The stamp at the last inspection.
    seen: FileStamp,
    /// The time of the last change, if the file may still be open for writing.
    settling: Option<Moment>,
    /// True if the content at the last inspection is in S3.
    is_sent: bool,
    is_queued: bool,
    /// The number of uploads that failed since the last change.
    attempts: u8,
}

/// A time in tenths of a second since the table's first one, counted from 1. An `Option` of it takes 4 bytes, an
/// `Option<Instant>` 16.
type Moment = NonZeroU32;

/// An upload that is in progress.
#[derive(Debug)]
struct RunningUpload {
    /// The state of the file when it was opened.
    stamp: FileStamp,
    /// True if the file was closed or replaced since then, so that it must be uploaded again.
    again: bool,
}

/// The reason why an upload failed if the end of the job cut it short.
pub(super) const NO_TIME: &str = "there was no more time";

/// The files of the folder, by their paths relative to it, and the state of each.
#[derive(Debug, Default)]
pub(super) struct UploadTable {
    files: BTreeMap<Arc<Path>, FileState>,
    /// The files that are due, oldest first. An entry counts only while the file's `is_queued` is set.
    queue: VecDeque<Arc<Path>>,
    uploads: BTreeMap<Arc<Path>, RunningUpload>,
    /// The files whose upload failed, and the time of the next attempt.
    waiting: BTreeMap<Arc<Path>, Instant>,
    /// The reasons why files are not in S3 with their present content.
    problems: BTreeMap<Arc<Path>, String>,
    failures_in_a_row: u32,
    paused_until: Option<Instant>,
    is_ending: bool,
    /// The time from which [`Moment`]s are counted.
    began: Option<Instant>,
    /// The number of uploads that succeeded, and their bytes.
    pub uploaded: (u64, u64),
}

impl UploadTable {
    /// Returns the entry of a file, which is new if there was none.
    fn file(&mut self, path: &Path) -> (Arc<Path>, &mut FileState) {
        let key = self.files.get_key_value(path).map_or_else(|| Arc::from(path), |(key, _)| Arc::clone(key));
        (Arc::clone(&key), self.files.entry(key).or_default())
    }

    /// Makes a file due.
    fn enqueue(&mut self, path: &Path) {
        let (key, file) = self.file(path);
        (file.is_queued, file.settling) = (true, None);
        self.waiting.remove(path);
        self.queue.push_back(key);
    }

    /// Records that a file was closed after a write, or was renamed to this path: it is due.
    pub fn closed(&mut self, path: &Path) {
        let (_, file) = self.file(path);
        file.attempts = 0;
        let is_queued = file.is_queued;
        match self.uploads.get_mut(path) {
            Some(upload) => upload.again = true,
            None if !is_queued => self.enqueue(path),
            None => {}
        }
    }

    /// Records the state of a file that was inspected. The file is due after it was unchanged for [`SETTLE_TIME`], or
    /// at once if no process is left that could write.
    pub fn found(&mut self, path: &Path, stamp: FileStamp, now: Instant) {
        let is_ending = self.is_ending;
        if let Some(upload) = self.uploads.get_mut(path) {
            upload.again |= is_ending && upload.stamp != stamp;
            return;
        }
        let was_given_up = self.problems.contains_key(path);
        let is_waiting = self.waiting.contains_key(path);
        let moment = self.moment(now);
        let (_, file) = self.file(path);
        if file.is_queued || (is_waiting && !is_ending) {
            return;
        }
        let is_same = file.seen == stamp;
        file.seen = stamp;
        file.is_sent &= is_same;
        if file.is_sent {
            file.settling = None;
            self.waiting.remove(path);
            self.problems.remove(path);
        } else if is_ending {
            // Leaves one last attempt.
            file.attempts = ATTEMPTS - 1;
            self.enqueue(path);
        } else if is_same && was_given_up {
            file.settling = None;
        } else {
            let since = *file.settling.get_or_insert(moment);
            if !is_same {
                file.settling = Some(moment);
            } else if moment.get().saturating_sub(since.get()) >= SETTLE_TENTHS {
                file.attempts = 0;
                self.enqueue(path);
            }
        }
    }

    /// Converts a time, rounded down.
    fn moment(&mut self, now: Instant) -> Moment {
        let elapsed = now.saturating_duration_since(*self.began.get_or_insert(now));
        Moment::MIN.saturating_add(u32::try_from(elapsed.as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// Records that a file no longer exists.
    pub fn record_removed(&mut self, path: &Path) {
        self.files.remove(path);
        self.problems.remove(path);
        self.waiting.remove(path);
    }

    /// Records that a file cannot be uploaded. Returns true unless the same reason was recorded before.
    pub fn leave_out(&mut self, path: &Path, reason: String) -> bool {
        let (key, file) = self.file(path);
        (file.is_queued, file.settling) = (false, None);
        self.waiting.remove(path);
        let is_new = self.problems.get(path) != Some(&reason);
        self.problems.insert(key, reason);
        is_new
    }

    /// Takes the next file that is due. The caller must then call [`UploadTable::begun`], [`UploadTable::gone`] or
    /// [`UploadTable::leave_out`] for it.
    pub fn next(&mut self, now: Instant) -> Option<Arc<Path>> {
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        while let Some(path) = self.queue.pop_front() {
            if self.files.get(&path).is_some_and(|file| file.is_queued) {
                return Some(path);
            }
        }
        None
    }

    /// Records that a file was opened with this state and that its upload begins.
    pub fn record_begun(&mut self, path: &Path, stamp: FileStamp) {
        let (key, file) = self.file(path);
        file.is_queued = false;
        file.is_sent &= file.seen == stamp;
        file.seen = stamp;
        self.uploads.insert(key, RunningUpload { stamp, again: false });
    }

    /// Records the end of an upload. Returns true if the file is to be uploaded again.
    pub fn ended(&mut self, path: &Path, result: Result<(), UploadFailure>, now: Instant) -> bool {
        let Some((key, RunningUpload { stamp, again })) = self.uploads.remove_entry(path) else { return false };
        let is_ending = self.is_ending;
        let file = self.files.get_mut(path);
        let mut goes_on = again;
        match result {
            Ok(()) => {
                self.uploaded.0 += 1;
                self.uploaded.1 += stamp.size;
                self.failures_in_a_row = 0;
                self.problems.remove(path);
                if let Some(file) = file {
                    (file.seen, file.is_sent) = (stamp, true);
                }
            }
            Err(failure) => {
                // A file that was deleted during its upload needs no other attempt.
                if let Some(file) = file {
                    file.attempts += 1;
                    // The next inspection must not mistake this state for a change.
                    file.seen = stamp;
                    if !failure.is_final && file.attempts < ATTEMPTS {
                        self.waiting.insert(Arc::clone(&key), now + Duration::from_secs(1 << file.attempts));
                        goes_on = true;
                    }
                    // The end of an attempt that was cut short does not explain why earlier attempts failed.
                    if failure.reason != NO_TIME || !self.problems.contains_key(path) {
                        self.problems.insert(key, failure.reason);
                    }
                }
                self.failures_in_a_row += 1;
                if self.failures_in_a_row >= MANY_FAILURES {
                    self.paused_until = Some(now + PAUSE).filter(|_| !is_ending);
                    if is_ending {
                        self.give_up("so many uploads failed in a row that no more was tried");
                        return false;
                    }
                }
            }
        }
        if again {
            self.enqueue(path);
        }
        goes_on
    }

    /// Records that no process writes any more. The caller must then call [`UploadTable::found`] for every file.
    pub fn end(&mut self) {
        self.is_ending = true;
        self.failures_in_a_row = 0;
        self.paused_until = None;
    }

    /// Stops all uploads that have not begun, for this reason.
    pub fn give_up(&mut self, reason: &str) {
        self.queue.clear();
        let waiting = std::mem::take(&mut self.waiting);
        for (path, file) in &mut self.files {
            let is_left = file.is_queued || file.settling.is_some();
            if is_left || waiting.contains_key(path) || self.uploads.contains_key(path) {
                self.problems.entry(Arc::clone(path)).or_insert_with(|| reason.to_owned());
                (file.is_queued, file.settling) = (false, None);
            }
        }
    }

    /// Makes files due whose next attempt is due. Returns the files that are settling, which the caller must inspect.
    pub fn tick(&mut self, now: Instant) -> Vec<Arc<Path>> {
        let due = self.waiting.iter().filter(|(_, until)| **until <= now);
        let due: Vec<Arc<Path>> = due.map(|(path, _)| Arc::clone(path)).collect();
        due.iter().for_each(|path| self.enqueue(path));
        let settling = self.files.iter().filter(|(_, file)| file.settling.is_some());
        settling.map(|(path, _)| Arc::clone(path)).collect()
    }

    /// Returns true if a file may become due merely because time passes.
    pub fn needs_tick(&self) -> bool {
        self.paused_until.is_some()
            || !self.waiting.is_empty()
            || self.files.values().any(|file| file.settling.is_some())
    }

    /// Returns true if no file is due or will be due later, except for files that are settling.
    pub fn is_done(&self) -> bool {
        let is_queued = |path| self.files.get(path).is_some_and(|file| file.is_queued);
        self.uploads.is_empty() && self.waiting.is_empty() && !self.queue.iter().any(is_queued)
    }

    /// Returns the files whose present content is not in S3, grouped by the reason.
    pub fn missing(&self) -> BTreeMap<&str, Vec<&Path>> {
        let mut missing: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
        for (path, problem) in &self.problems {
            missing.entry(problem).or_default().push(path);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{FileStamp, NO_TIME, PAUSE, SETTLE_TIME, UploadFailure, UploadTable};

    fn stamp(size: u64) -> FileStamp {
        FileStamp { inode: 1, size, written: 1 }
    }

    fn a() -> &'static Path {
        Path::new("a")
    }

    /// Ends the upload of the next file that is due with this result, and returns the path.
    fn upload(table: &mut UploadTable, result: Result<(), UploadFailure>, now: Instant) -> Option<String> {
        let path = table.next(now)?;
        table.record_begun(&path, stamp(1));
        table.ended(&path, result, now);
        Some(path.display().to_string())
    }

    fn failing(is_final: bool) -> Result<(), UploadFailure> {
        Err(UploadFailure { reason: "broken".to_owned(), is_final })
    }

    #[test]
    fn a_closed_file_is_due_once_and_again_if_it_is_closed_during_its_upload() {
        let (mut table, now) = (UploadTable::default(), Instant::now());
        table.closed(a());
        table.closed(a());
        assert_eq!(table.next(now).as_deref(), Some(a()));
        assert_eq!(table.next(now), None);
        table.record_begun(a(), stamp(1));
        table.closed(a());
        assert_eq!(table.next(now), None, "two uploads of one file at once");
        assert!(table.ended(a(), Ok(()), now));
        assert_eq!(upload(&mut table, Ok(()), now).as_deref(), Some("a"));
        assert_eq!((table.next(now), table.uploaded, table.is_done()), (None, (2, 2), true));
    }

    #[test]
    fn a_found_file_is_due_after_it_settled_and_at_the_end_at_once() {
        let (mut table, now) = (UploadTable::default(), Instant::now());
        table.found(a(), stamp(1), now);
        table.found(a(), stamp(2), now + SETTLE_TIME);
        assert_eq!(table.next(now), None);
        assert!(table.needs_tick() && table.tick(now) == [Arc::from(a())]);
        table.found(a(), stamp(2), now + SETTLE_TIME * 2);
        assert_eq!(table.next(now).as_deref(), Some(a()));
        table.record_begun(a(), stamp(2));
        table.ended(a(), Ok(()), now);
        table.found(a(), stamp(2), now);
        assert!(table.next(now).is_none() && !table.needs_tick());
        table.end();
        table.found(a(), stamp(2), now);
        assert_eq!(table.next(now), None);
        table.found(a(), stamp(3), now);
        assert_eq!(table.next(now).as_deref(), Some(a()));
        // The content may have changed after the upload began.
        table.record_begun(a(), stamp(3));
        table.found(a(), stamp(4), now);
        assert!(table.ended(a(), Ok(()), now));
        assert_eq!(table.next(now).as_deref(), Some(a()));
    }

    #[test]
    fn an_attempt_that_is_cut_short_hides_no_failure_before_it() {
        let (mut table, now) = (UploadTable::default(), Instant::now());
        let cut_short = || Err(UploadFailure { reason: NO_TIME.to_owned(), is_final: true });
        table.closed(Path::new("b"));
        upload(&mut table, cut_short(), now);
        table.closed(a());
        upload(&mut table, failing(false), now);
        let later = now + Duration::from_secs(60);
        table.tick(later);
        upload(&mut table, cut_short(), later);
        let missing: Vec<_> = table.missing().into_iter().collect();
        assert_eq!(missing, [("broken", vec![a()]), (NO_TIME, vec![Path::new("b")])]);
    }

    #[test]
    fn a_failed_upload_is_repeated_some_times_and_once_at_the_end() {
        let (mut table, mut now) = (UploadTable::default(), Instant::now());
        table.closed(a());
        let mut attempts = 0;
        for _ in 0..100 {
            table.tick(now);
            attempts += usize::from(upload(&mut table, failing(false), now).is_some());
            now += Duration::from_secs(1);
        }
        assert_eq!(attempts, 3);
        assert_eq!(table.missing()["broken"], [a()]);
        table.found(a(), stamp(1), now);
        table.found(a(), stamp(1), now + SETTLE_TIME);
        assert!(table.next(now).is_none() && table.is_done(), "a file that was given up is tried forever");
        table.end();
        table.found(a(), stamp(1), now);
        assert!(upload(&mut table, failing(false), now).is_some() && table.is_done());
        table.found(a(), stamp(1), now);
        assert!(upload(&mut table, Ok(()), now).is_some() && table.missing().is_empty());
        table.closed(a());
        upload(&mut table, failing(true), now);
        assert!(table.is_done() && !table.needs_tick());
    }

    #[test]
    fn many_failures_in_a_row_pause_the_uploads_or_end_them_at_the_end() {
        let (mut table, now) = (UploadTable::default(), Instant::now());
        let paths: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
        paths.iter().for_each(|path| table.closed(Path::new(path)));
        let count = (0..30).filter(|_| upload(&mut table, failing(true), now).is_some()).count();
        assert_eq!(count, 8);
        assert!(table.next(now + PAUSE).is_some());
        let mut table = UploadTable::default();
        table.end();
        paths.iter().for_each(|path| table.found(Path::new(path), stamp(1), now));
        let count = (0..30).filter(|_| upload(&mut table, failing(false), now).is_some()).count();
        assert_eq!((count, table.is_done(), table.missing().values().map(Vec::len).sum()), (8, true, 20));
    }

    #[test]
    fn a_left_out_file_is_reported_once_and_forgotten_when_it_is_gone() {
        let mut table = UploadTable::default();
        assert!(table.leave_out(a(), "a pipe".to_owned()) && !table.leave_out(a(), "a pipe".to_owned()));
        assert_eq!(table.missing()["a pipe"], [a()]);
        table.record_removed(a());
        assert!(table.missing().is_empty() && table.is_done());
    }
}
