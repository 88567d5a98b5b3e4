//! The thread's work: what is heard goes into the table, what is due from it to S3.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, watch};

use super::look::{Look, look, name_of, open};
use super::table::{Failure, SETTLE_TIME, Stamp, Table};
use super::watch::{Seen, Watch};
use super::{Destination, Order};
use crate::machine::Bytes;
use crate::storage::{Access, Parts, Problem, Sent, TransferError, Uploads};

/// How many files are under way at once, and how many files and parts of files are being sent.
const FILES_AT_ONCE: usize = 12;
const SENT_AT_ONCE: usize = 12;

/// How many parts of a file are under way at once.
const PARTS_AT_ONCE: usize = 8;

/// How often the folder is scanned where it must be.
const SCAN_INTERVAL: Duration = Duration::from_secs(5);

/// How many messages there are about single files; the rest is in the summary.
const MOST_MESSAGES: u32 = 5;

/// How many names there are for each reason, and how many reasons, in the summary.
const MOST_NAMES: usize = 5;
const MOST_REASONS: usize = 5;

pub(super) struct Work {
    pub root: PathBuf,
    pub destination: Destination,
    pub uploads: Uploads,
    pub orders: watch::Receiver<Order>,
    /// Counts what has arrived in S3: files and parts.
    pub progress: watch::Sender<u64>,
}

impl Work {
    pub fn new(
        root: PathBuf,
        destination: Destination,
        access: Access,
        orders: watch::Receiver<Order>,
        progress: watch::Sender<u64>,
    ) -> Work {
        let uploads = destination.uploads(access);
        Work { root, destination, uploads, orders, progress }
    }

    /// Uploads until all is done after the order to end, or until the order to give up.
    pub async fn run(self, mut watch: Watch) {
        let mut desk = Desk { root: self.root.clone(), table: Table::default(), messages: 0 };
        let turns = Semaphore::new(SENT_AT_ONCE);
        let mut running = FuturesUnordered::new();
        let mut orders = self.orders.clone();
        let mut order = Order::Run;
        let mut last_scan = Instant::now();
        // The tick comes in its time, however much else happens meanwhile.
        let mut next_tick = Instant::now();
        loop {
            while running.len() < FILES_AT_ONCE && order != Order::GiveUp {
                let Some((path, file, stamp)) = desk.next() else { break };
                running.push(self.upload(&turns, path, file, stamp));
            }
            if order != Order::Run && running.is_empty() && desk.table.is_done() {
                break;
            }
            // While so many are under way, what a tick would find could not begin.
            let is_full = running.len() == FILES_AT_ONCE;
            let needs_tick = !is_full && (desk.table.needs_tick() || watch.needs_scans());
            tokio::select! {
                () = watch.is_heard() => watch.pending(&mut |seen| desk.hear(seen)),
                Some((path, result)) = running.next(), if !running.is_empty() => desk.ended(&path, result, &self),
                Ok(()) = orders.changed() => {
                    order = *orders.borrow_and_update();
                    match order {
                        Order::Run => {}
                        Order::End => {
                            watch.pending(&mut |seen| desk.hear(seen));
                            desk.table.end();
                            watch.scan(&mut |seen| desk.hear(seen));
                        }
                        Order::GiveUp => desk.table.give_up("there was no more time"),
                    }
                }
                () = tokio::time::sleep_until(next_tick.into()), if needs_tick => {
                    next_tick = Instant::now() + SETTLE_TIME / 2;
                    let again = desk.table.tick(Instant::now());
                    again.iter().for_each(|path| desk.found(path));
                    if watch.needs_scans() && last_scan.elapsed() >= SCAN_INTERVAL {
                        watch.scan(&mut |seen| desk.hear(seen));
                        last_scan = Instant::now();
                    }
                }
            }
        }
        drop(running);
        summarize(&desk.table, &self.destination);
    }

    /// Uploads a file, as far as its size was when it was opened.
    async fn upload(
        &self,
        turns: &Semaphore,
        path: Arc<Path>,
        file: File,
        stamp: Stamp,
    ) -> (Arc<Path>, Result<(), Failure>) {
        let result = self.send(turns, &path, Arc::new(file), stamp.size).await;
        if result.is_ok() {
            self.progress.send_modify(|count| *count += 1);
        }
        (path, result)
    }

    async fn send(&self, turns: &Semaphore, path: &Path, file: Arc<File>, size: u64) -> Result<(), Failure> {
        let name = name_of(path).map_err(|why| Failure { why, is_final: true })?;
        let mut orders = self.orders.clone();
        let mut given_up = std::pin::pin!(orders.wait_for(|order| *order == Order::GiveUp));
        let no_time = || Failure { why: "there was no more time".to_owned(), is_final: true };
        if size <= Uploads::part_size(size) {
            let put = async {
                // It is never closed.
                let _turn = turns.acquire().await;
                self.uploads.put(name, &file, size).await.map_err(failure)
            };
            return tokio::select! {
                put = put => put,
                _ = &mut given_up => Err(no_time()),
            };
        }
        let upload = tokio::select! {
            begun = self.uploads.begin(name) => begun.map_err(failure)?,
            _ = &mut given_up => return Err(no_time()),
        };
        let written = tokio::select! {
            written = self.parts(turns, &upload, &file, size) => written.map_err(failure),
            _ = &mut given_up => Err(no_time()),
        };
        if written.is_err() {
            upload.give_up().await;
        }
        written
    }

    /// Writes the parts of an object, and makes it of them.
    async fn parts(&self, turns: &Semaphore, upload: &Parts, file: &Arc<File>, size: u64) -> Result<(), TransferError> {
        let length = Uploads::part_size(size);
        let starts = (0..).map(|number| number * length).take_while(|start| *start < size);
        let parts = starts.enumerate().map(async |(number, start)| {
            let _turn = turns.acquire().await;
            let sent = upload.send(number, file, start..(start + length).min(size)).await?;
            self.progress.send_modify(|count| *count += 1);
            Ok(sent)
        });
        let parts: Vec<Sent> = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect().await?;
        upload.finish(parts).await
    }
}

fn failure(error: TransferError) -> Failure {
    match error {
        TransferError::File(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Failure { why: "became shorter while it was uploaded".to_owned(), is_final: false }
        }
        TransferError::File(error) => Failure { why: format!("cannot be read: {error}"), is_final: false },
        TransferError::Storage(error) => {
            let may_pass =
                matches!(error.problem, Problem::Unreachable | Problem::Failing | Problem::Damaged | Problem::Changed);
            Failure { why: error.reason(), is_final: !may_pass }
        }
    }
}

/// The table, and what it is told of and tells.
struct Desk {
    root: PathBuf,
    table: Table,
    messages: u32,
}

impl Desk {
    fn hear(&mut self, seen: Seen) {
        match seen {
            Seen::Closed(path) => self.table.closed(&path),
            Seen::Found(path) => self.found(&path),
        }
    }

    fn found(&mut self, path: &Path) {
        match look(&self.root, path) {
            Look::File(_, stamp) => self.table.found(path, stamp, Instant::now()),
            other => self.not_a_file(path, other),
        }
    }

    /// Opens the file that is due next.
    fn next(&mut self) -> Option<(Arc<Path>, File, Stamp)> {
        while let Some(path) = self.table.next(Instant::now()) {
            let opened = match look(&self.root, &path) {
                Look::File(real, _) => open(&real),
                other => Err(other),
            };
            match opened {
                Ok((file, stamp)) => {
                    self.table.begun(&path, stamp);
                    return Some((path, file, stamp));
                }
                Err(other) => self.not_a_file(&path, other),
            }
        }
        None
    }

    fn not_a_file(&mut self, path: &Path, look: Look) {
        match look {
            Look::LeftOut(why) => {
                let text = format!("{} is left out: {why}", self.root.join(path).display());
                if self.table.leave_out(path, why) {
                    self.warn(&text);
                }
            }
            Look::File(..) | Look::Gone => self.table.gone(path),
        }
    }

    fn ended(&mut self, path: &Path, result: Result<(), Failure>, work: &Work) {
        let why = result.as_ref().err().map(|failure| failure.why.clone());
        let goes_on = self.table.ended(path, result, Instant::now());
        match why {
            None => tracing::debug!("intermediate output: {} is uploaded", path.display()),
            Some(why) => {
                let url = work.destination.url(path);
                let then = if goes_on { "; it is tried again" } else { "" };
                self.warn(&format!("{} is not uploaded to {url}: {why}{then}", self.root.join(path).display()));
            }
        }
    }

    /// Warns, but not of each of thousands of files.
    fn warn(&mut self, text: &str) {
        self.messages += 1;
        match self.messages {
            ..MOST_MESSAGES => tracing::warn!("intermediate output: {text}"),
            MOST_MESSAGES => tracing::warn!("intermediate output: {text} (more such messages are left out)"),
            _ => tracing::debug!("intermediate output: {text}"),
        }
    }
}

/// Says what was uploaded, and what was not and why.
fn summarize(table: &Table, destination: &Destination) {
    let (files, bytes) = table.uploaded;
    let url = destination.url(Path::new(""));
    if files > 0 {
        let word = if files == 1 { "file" } else { "files" };
        tracing::info!("intermediate output: uploaded {files} {word} ({}) to {url}", Bytes(bytes));
    }
    let missing = table.missing();
    for (why, paths) in missing.iter().take(MOST_REASONS) {
        let names: Vec<String> =
            paths.iter().take(MOST_NAMES).map(|path| path.display().to_string().escape_debug().to_string()).collect();
        let more = match paths.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let word = if paths.len() == 1 { "file was" } else { "files were" };
        tracing::warn!(
            "intermediate output: {} {word} not uploaded to {url}: {}{more}: {why}",
            paths.len(),
            names.join(", ")
        );
    }
    if missing.len() > MOST_REASONS {
        let more: usize = missing.values().skip(MOST_REASONS).map(Vec::len).sum();
        tracing::warn!("intermediate output: nor were {more} more files, for other reasons");
    }
}
