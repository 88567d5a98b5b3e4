//! Which file is due: pure, and told of everything, the time included.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a file that nobody was seen to close must stay as it is.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(100 * SETTLE_TENTHS as u64);
const SETTLE_TENTHS: u32 = 10;

/// How often a file is tried, each time with the attempts of a single request within it.
const ATTEMPTS: u8 = 3;

/// After so many failures in a row no other file is tried for a while; at the end, no more at all.
const MANY_FAILURES: u32 = 8;
const PAUSE: Duration = Duration::from_secs(30);

/// What tells whether a file is still the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub inode: u64,
    pub size: u64,
    /// When it was last written to, in nanoseconds.
    pub written: i64,
}

/// Why a file was not uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub why: String,
    /// Whether it would be in vain to try again.
    pub is_final: bool,
}

/// One of many: there may be tens of thousands.
#[derive(Debug, Default)]
struct File {
    /// As what it was last found.
    seen: Stamp,
    /// Since when it is so, if it may still be written to.
    settling: Option<Moment>,
    /// Whether it is in S3 as it was last found.
    is_sent: bool,
    is_queued: bool,
    attempts: u8,
}

/// Tenths of a second since the first, from 1: four bytes of memory instead of sixteen.
type Moment = NonZeroU32;

/// An upload that is under way.
#[derive(Debug)]
struct Upload {
    stamp: Stamp,
    /// The file was closed or replaced meanwhile.
    again: bool,
}

/// The files of the folder, by their paths below it, and how far each is.
#[derive(Debug, Default)]
pub(super) struct Table {
    files: BTreeMap<Arc<Path>, File>,
    queue: VecDeque<Arc<Path>>,
    uploads: BTreeMap<Arc<Path>, Upload>,
    /// When those that have failed are tried again.
    waiting: BTreeMap<Arc<Path>, Instant>,
    /// Why a file is not in S3 as it is now.
    problems: BTreeMap<Arc<Path>, String>,
    failures_in_a_row: u32,
    paused_until: Option<Instant>,
    is_ending: bool,
    /// When the first moment was.
    began: Option<Instant>,
    /// How often a file was uploaded, and the bytes of these.
    pub uploaded: (u64, u64),
}

impl Table {
    fn file(&mut self, path: &Path) -> (Arc<Path>, &mut File) {
        let key = self.files.get_key_value(path).map_or_else(|| Arc::from(path), |(key, _)| Arc::clone(key));
        (Arc::clone(&key), self.files.entry(key).or_default())
    }

    fn enqueue(&mut self, path: &Path) {
        let (key, file) = self.file(path);
        (file.is_queued, file.settling) = (true, None);
        self.waiting.remove(path);
        self.queue.push_back(key);
    }

    /// A file was closed after it was written to, or has got this name.
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

    /// A file was found as it is: it is due once it has settled, or at once if nothing runs any more that could write.
    pub fn found(&mut self, path: &Path, stamp: Stamp, now: Instant) {
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
            // One last time.
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

    fn moment(&mut self, now: Instant) -> Moment {
        let elapsed = now.saturating_duration_since(*self.began.get_or_insert(now));
        Moment::MIN.saturating_add(u32::try_from(elapsed.as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// There is no such file any more.
    pub fn gone(&mut self, path: &Path) {
        self.files.remove(path);
        self.problems.remove(path);
        self.waiting.remove(path);
    }

    /// A file cannot be uploaded; gives whether that is new.
    pub fn leave_out(&mut self, path: &Path, why: String) -> bool {
        let (key, file) = self.file(path);
        (file.is_queued, file.settling) = (false, None);
        self.waiting.remove(path);
        let is_new = self.problems.get(path) != Some(&why);
        self.problems.insert(key, why);
        is_new
    }

    /// The file to be uploaded next; [`Table::begun`], [`Table::gone`] or [`Table::leave_out`] must follow.
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

    /// A file was opened and its upload begins.
    pub fn begun(&mut self, path: &Path, stamp: Stamp) {
        let (key, file) = self.file(path);
        file.is_queued = false;
        file.is_sent &= file.seen == stamp;
        file.seen = stamp;
        self.uploads.insert(key, Upload { stamp, again: false });
    }

    /// An upload has ended; gives whether it is tried again.
    pub fn ended(&mut self, path: &Path, result: Result<(), Failure>, now: Instant) -> bool {
        let Some((key, Upload { stamp, again })) = self.uploads.remove_entry(path) else { return false };
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
                // What was deleted meanwhile is missed by nobody.
                if let Some(file) = file {
                    file.attempts += 1;
                    // So that the same is not found to be new.
                    file.seen = stamp;
                    if !failure.is_final && file.attempts < ATTEMPTS {
                        self.waiting.insert(Arc::clone(&key), now + Duration::from_secs(1 << file.attempts));
                        goes_on = true;
                    }
                    self.problems.insert(key, failure.why);
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

    /// Nothing writes any more: what is there now is the last that there will be, and [`Table::found`] is told all of it.
    pub fn end(&mut self) {
        self.is_ending = true;
        self.failures_in_a_row = 0;
        self.paused_until = None;
    }

    /// Nothing that has not begun is tried any more.
    pub fn give_up(&mut self, why: &str) {
        self.queue.clear();
        let waiting = std::mem::take(&mut self.waiting);
        for (path, file) in &mut self.files {
            let is_left = file.is_queued || file.settling.is_some();
            if is_left || waiting.contains_key(path) || self.uploads.contains_key(path) {
                self.problems.entry(Arc::clone(path)).or_insert_with(|| why.to_owned());
                (file.is_queued, file.settling) = (false, None);
            }
        }
    }

    /// Lets those wait no longer whose time has come; gives the paths that must be looked at again.
    pub fn tick(&mut self, now: Instant) -> Vec<Arc<Path>> {
        let due = self.waiting.iter().filter(|(_, until)| **until <= now);
        let due: Vec<Arc<Path>> = due.map(|(path, _)| Arc::clone(path)).collect();
        due.iter().for_each(|path| self.enqueue(path));
        let settling = self.files.iter().filter(|(_, file)| file.settling.is_some());
        settling.map(|(path, _)| Arc::clone(path)).collect()
    }

    /// Whether time alone makes something due.
    pub fn needs_tick(&self) -> bool {
        self.paused_until.is_some()
            || !self.waiting.is_empty()
            || self.files.values().any(|file| file.settling.is_some())
    }

    /// Whether nothing is due, now or later, but what has not settled.
    pub fn is_done(&self) -> bool {
        let is_queued = |path| self.files.get(path).is_some_and(|file| file.is_queued);
        self.uploads.is_empty() && self.waiting.is_empty() && !self.queue.iter().any(is_queued)
    }

    /// What is not in S3 as it is, by the reason.
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

    use super::{Failure, PAUSE, SETTLE_TIME, Stamp, Table};

    fn stamp(size: u64) -> Stamp {
        Stamp { inode: 1, size, written: 1 }
    }

    fn a() -> &'static Path {
        Path::new("a")
    }

    /// Uploads what is due, with this result; gives what it was.
    fn upload(table: &mut Table, result: Result<(), Failure>, now: Instant) -> Option<String> {
        let path = table.next(now)?;
        table.begun(&path, stamp(1));
        table.ended(&path, result, now);
        Some(path.display().to_string())
    }

    fn failing(is_final: bool) -> Result<(), Failure> {
        Err(Failure { why: "broken".to_owned(), is_final })
    }

    #[test]
    fn what_is_closed_is_due_once_and_again_if_it_is_closed_meanwhile() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.closed(a());
        table.closed(a());
        assert_eq!(table.next(now).as_deref(), Some(a()));
        assert_eq!(table.next(now), None);
        table.begun(a(), stamp(1));
        table.closed(a());
        assert_eq!(table.next(now), None, "two uploads of one file at once");
        assert!(table.ended(a(), Ok(()), now));
        assert_eq!(upload(&mut table, Ok(()), now).as_deref(), Some("a"));
        assert_eq!((table.next(now), table.uploaded, table.is_done()), (None, (2, 2), true));
    }

    #[test]
    fn what_is_found_is_due_when_it_has_settled_and_at_once_at_the_end() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.found(a(), stamp(1), now);
        table.found(a(), stamp(2), now + SETTLE_TIME);
        assert_eq!(table.next(now), None);
        assert!(table.needs_tick() && table.tick(now) == [Arc::from(a())]);
        table.found(a(), stamp(2), now + SETTLE_TIME * 2);
        assert_eq!(table.next(now).as_deref(), Some(a()));
        table.begun(a(), stamp(2));
        table.ended(a(), Ok(()), now);
        table.found(a(), stamp(2), now);
        assert!(table.next(now).is_none() && !table.needs_tick());
        table.end();
        table.found(a(), stamp(2), now);
        assert_eq!(table.next(now), None);
        table.found(a(), stamp(3), now);
        assert_eq!(table.next(now).as_deref(), Some(a()));
        // The upload that is under way at the end may be of what was there before.
        table.begun(a(), stamp(3));
        table.found(a(), stamp(4), now);
        assert!(table.ended(a(), Ok(()), now));
        assert_eq!(table.next(now).as_deref(), Some(a()));
    }

    #[test]
    fn failures_are_tried_again_a_bounded_number_of_times_and_once_at_the_end() {
        let (mut table, mut now) = (Table::default(), Instant::now());
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
        assert!(table.next(now).is_none() && table.is_done(), "what was given up is tried for ever");
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
    fn many_failures_in_a_row_pause_and_end_it_at_the_end() {
        let (mut table, now) = (Table::default(), Instant::now());
        let paths: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
        paths.iter().for_each(|path| table.closed(Path::new(path)));
        let count = (0..30).filter(|_| upload(&mut table, failing(true), now).is_some()).count();
        assert_eq!(count, 8);
        assert!(table.next(now + PAUSE).is_some());
        let mut table = Table::default();
        table.end();
        paths.iter().for_each(|path| table.found(Path::new(path), stamp(1), now));
        let count = (0..30).filter(|_| upload(&mut table, failing(false), now).is_some()).count();
        assert_eq!((count, table.is_done(), table.missing().values().map(Vec::len).sum()), (8, true, 20));
    }

    #[test]
    fn what_is_left_out_is_new_once_and_forgotten_when_it_is_gone() {
        let mut table = Table::default();
        assert!(table.leave_out(a(), "a pipe".to_owned()) && !table.leave_out(a(), "a pipe".to_owned()));
        assert_eq!(table.missing()["a pipe"], [a()]);
        table.gone(a());
        assert!(table.missing().is_empty() && table.is_done());
    }
}
