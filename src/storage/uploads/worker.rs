//! The work of the upload thread: it records events in the table and uploads the files that are due.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, watch};

use super::destination::UploadDestination;
use super::inspection::{PathInspection, inspect, name_of, open};
use super::table::{FileStamp, NO_TIME, SETTLE_TIME, UploadFailure, UploadTable};
use super::watch::{FileEvent, FolderWatch};
use crate::event::{EventKind, Events};
use crate::machine::Bytes;
use crate::storage::access::Access;
use crate::storage::error::TransferError;
use crate::storage::upload::{MultipartUpload, SentPart, Uploader};

/// The number of files that are uploaded at once.
const FILES_AT_ONCE: usize = 12;
/// The number of requests, each with a file or a part of one, that are sent at once.
const SENT_AT_ONCE: usize = 12;

/// The number of parts of one file that are uploaded at once.
const PARTS_AT_ONCE: usize = 8;

/// The interval of the scans, if they are needed.
const SCAN_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum number of warnings about single files. The summary covers the rest.
const MOST_WARNINGS: u32 = 5;

/// The maximum number of names for each reason in the summary.
const MOST_NAMES: usize = 5;
/// The maximum number of reasons in the summary.
const MOST_REASONS: usize = 5;

/// The next step of the upload thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadOrder {
    /// To upload files as they are written.
    Run,
    /// To upload the files that are left and to end, because no process writes any more.
    End,
    /// To end at once.
    GiveUp,
}

/// The upload thread.
pub(super) struct Worker {
    root: PathBuf,
    destination: UploadDestination,
    uploader: Uploader,
    orders: watch::Receiver<UploadOrder>,
    /// Counts the files and parts that have arrived in S3.
    progress: watch::Sender<u64>,
    events: Events,
}

impl Worker {
    /// Creates the worker for a folder, whose path `root` must be free of links.
    pub fn new(
        root: PathBuf,
        destination: UploadDestination,
        access: Access,
        orders: watch::Receiver<UploadOrder>,
        progress: watch::Sender<u64>,
        events: Events,
    ) -> Worker {
        let uploader = destination.uploader(access);
        Worker { root, destination, uploader, orders, progress, events }
    }

    /// Uploads files until all have arrived after the order to end, or until the order to give up.
    pub async fn run(self, mut watch: FolderWatch) {
        let (root, events) = (self.root.clone(), self.events.clone());
        let mut folder = TableOfFolder { root, table: UploadTable::default(), warnings: 0, events };
        let turns = Semaphore::new(SENT_AT_ONCE);
        let mut running = FuturesUnordered::new();
        let mut orders = self.orders.clone();
        let mut order = UploadOrder::Run;
        let mut last_scan = Instant::now();
        // The tick has a fixed time, so that other events cannot delay it for ever.
        let mut next_tick = Instant::now();
        loop {
            while running.len() < FILES_AT_ONCE && order != UploadOrder::GiveUp {
                let Some((path, file, stamp)) = folder.next() else { break };
                running.push(self.upload(&turns, path, file, stamp));
            }
            if order != UploadOrder::Run && running.is_empty() && folder.table.is_done() {
                break;
            }
            // No upload could begin now, so a tick would find nothing to do.
            let is_full = running.len() == FILES_AT_ONCE;
            let needs_tick = !is_full && (folder.table.needs_tick() || watch.needs_scans());
            tokio::select! {
                () = watch.readable() => watch.pending(&mut |event| folder.record(event)),
                Some((path, result)) = running.next(), if !running.is_empty() => folder.ended(&path, result, &self.destination),
                Ok(()) = orders.changed() => {
                    let was_running = order == UploadOrder::Run;
                    order = *orders.borrow_and_update();
                    // If two orders follow quickly, only the second is seen. The files that were written last must be
                    // named even then.
                    if was_running && order != UploadOrder::Run {
                        watch.pending(&mut |event| folder.record(event));
                        folder.table.end();
                        watch.scan(&mut |event| folder.record(event));
                    }
                    if order == UploadOrder::GiveUp {
                        folder.table.give_up(&self.out_of_time());
                    }
                }
                () = tokio::time::sleep_until(next_tick.into()), if needs_tick => {
                    next_tick = Instant::now() + SETTLE_TIME / 2;
                    let again = folder.table.tick(Instant::now());
                    again.iter().for_each(|path| folder.found(path));
                    if watch.needs_scans() && last_scan.elapsed() >= SCAN_INTERVAL {
                        watch.scan(&mut |event| folder.record(event));
                        last_scan = Instant::now();
                    }
                }
            }
        }
        // Cancels the requests that are in progress.
        drop(running);
        summarize(&folder.table, &self.destination);
    }

    /// Uploads a file up to the size that it had when it was opened.
    async fn upload(
        &self,
        turns: &Semaphore,
        path: Arc<Path>,
        file: File,
        stamp: FileStamp,
    ) -> (Arc<Path>, Result<(), UploadFailure>) {
        let result = self.send(turns, &path, Arc::new(file), stamp.size).await;
        if result.is_ok() {
            self.progress.send_modify(|count| *count += 1);
        }
        (path, result)
    }

    /// Returns the reason for an upload that the end of the job cuts short. It includes the reason why the last attempt of a
    /// request failed, if it did.
    fn out_of_time(&self) -> String {
        match self.uploader.last_failure() {
            Some(reason) => format!("{NO_TIME}, and the last attempt failed: {reason}"),
            None => NO_TIME.to_owned(),
        }
    }

    /// Sends a file in one request, or a large one in parts. `turns` limits the number of simultaneous requests.
    async fn send(&self, turns: &Semaphore, path: &Path, file: Arc<File>, size: u64) -> Result<(), UploadFailure> {
        let name = name_of(path).map_err(|reason| UploadFailure { reason, is_final: true })?;
        let mut orders = self.orders.clone();
        let mut given_up = std::pin::pin!(orders.wait_for(|order| *order == UploadOrder::GiveUp));
        let no_time = || UploadFailure { reason: self.out_of_time(), is_final: true };
        if size <= Uploader::part_size(size) {
            let put = async {
                // The semaphore is never closed, so this cannot fail.
                let _turn = turns.acquire().await;
                self.uploader.put(name, &file, size).await.map_err(failure)
            };
            return tokio::select! {
                put = put => put,
                _ = &mut given_up => Err(no_time()),
            };
        }
        let upload = tokio::select! {
            begun = self.uploader.begin(name) => begun.map_err(failure)?,
            _ = &mut given_up => return Err(no_time()),
        };
        let written = tokio::select! {
            written = self.parts(turns, &upload, &file, size) => written.map_err(failure),
            _ = &mut given_up => Err(no_time()),
        };
        if written.is_err() {
            upload.abort().await;
        }
        written
    }

    /// Sends the parts of a large file and joins them.
    async fn parts(
        &self,
        turns: &Semaphore,
        upload: &MultipartUpload,
        file: &Arc<File>,
        size: u64,
    ) -> Result<(), TransferError> {
        let length = Uploader::part_size(size);
        let starts = (0..).map(|number| number * length).take_while(|start| *start < size);
        let parts = starts.enumerate().map(async |(number, start)| {
            let _turn = turns.acquire().await;
            let sent = upload.send(number, file, start..(start + length).min(size)).await?;
            self.progress.send_modify(|count| *count += 1);
            Ok::<SentPart, TransferError>(sent)
        });
        let parts: Vec<SentPart> = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect().await?;
        upload.finish(parts).await
    }
}

/// Converts an error of an upload.
fn failure(error: TransferError) -> UploadFailure {
    match error {
        TransferError::File(error) if error.kind() == ErrorKind::UnexpectedEof => {
            UploadFailure { reason: "became shorter while it was uploaded".to_owned(), is_final: false }
        }
        TransferError::File(error) => UploadFailure { reason: format!("cannot be read: {error}"), is_final: false },
        TransferError::Storage(error) => UploadFailure { reason: error.reason(), is_final: !error.problem.may_pass() },
    }
}

/// The table together with the folder that it describes.
struct TableOfFolder {
    root: PathBuf,
    table: UploadTable,
    /// The number of warnings about single files so far.
    warnings: u32,
    events: Events,
}

impl TableOfFolder {
    /// Records an event.
    fn record(&mut self, event: FileEvent) {
        match event {
            FileEvent::Closed(path) => self.table.closed(&path),
            FileEvent::Found(path) => self.found(&path),
        }
    }

    /// Inspects a path and records the result.
    fn found(&mut self, path: &Path) {
        match inspect(&self.root, path) {
            PathInspection::File(_, stamp) => self.table.found(path, stamp, Instant::now()),
            other => self.not_a_file(path, other),
        }
    }

    /// Takes and opens the next file that is due.
    fn next(&mut self) -> Option<(Arc<Path>, File, FileStamp)> {
        while let Some(path) = self.table.next(Instant::now()) {
            let opened = match inspect(&self.root, &path) {
                PathInspection::File(real, _) => open(&real),
                other => Err(other),
            };
            match opened {
                Ok((file, stamp)) => {
                    self.table.record_begun(&path, stamp);
                    return Some((path, file, stamp));
                }
                Err(other) => self.not_a_file(&path, other),
            }
        }
        None
    }

    /// Records that a path is not, or is no longer, a file to upload.
    fn not_a_file(&mut self, path: &Path, look: PathInspection) {
        match look {
            PathInspection::LeftOut(reason) => {
                let text = format!("{} is left out: {reason}", self.root.join(path).display());
                if self.table.leave_out(path, reason) {
                    self.warn(&text);
                }
            }
            PathInspection::File(..) | PathInspection::Gone => self.table.record_removed(path),
        }
    }

    /// Records the end of an upload and reports it.
    fn ended(&mut self, path: &Path, result: Result<(), UploadFailure>, destination: &UploadDestination) {
        let reason = result.as_ref().err().map(|failure| failure.reason.clone());
        let before = self.table.uploaded.1;
        let is_repeated = self.table.ended(path, result, Instant::now());
        match reason {
            None => {
                tracing::debug!("intermediate output: {} is uploaded", path.display());
                let bytes = self.table.uploaded.1 - before;
                self.events.emit(EventKind::UploadFinished { path: path.to_owned(), bytes });
            }
            Some(reason) => {
                if !is_repeated {
                    let (path, error) = (path.to_owned(), reason.clone());
                    self.events.emit(EventKind::UploadFailed { path, error });
                }
                let url = destination.url(path);
                let then = if is_repeated { "; it is tried again" } else { "" };
                self.warn(&format!("{} is not uploaded to {url}: {reason}{then}", self.root.join(path).display()));
            }
        }
    }

    /// Logs a warning about a single file, or only a debug message after [`MOST_WARNINGS`].
    fn warn(&mut self, text: &str) {
        self.warnings += 1;
        match self.warnings {
            ..MOST_WARNINGS => tracing::warn!("intermediate output: {text}"),
            MOST_WARNINGS => {
                tracing::warn!("intermediate output: {text} (further warnings like this one are left out)")
            }
            _ => tracing::debug!("intermediate output: {text}"),
        }
    }
}

/// Logs the number of files that were uploaded, and the names of those that were not, with the reasons.
fn summarize(table: &UploadTable, destination: &UploadDestination) {
    let (files, bytes) = table.uploaded;
    let url = destination.url(Path::new(""));
    if files > 0 {
        let word = if files == 1 { "file" } else { "files" };
        tracing::info!("intermediate output: uploaded {files} {word} ({}) to {url}", Bytes(bytes));
    }
    let missing = table.missing();
    for (reason, paths) in missing.iter().take(MOST_REASONS) {
        let names: Vec<String> =
            paths.iter().take(MOST_NAMES).map(|path| path.display().to_string().escape_debug().to_string()).collect();
        let more = match paths.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let word = if paths.len() == 1 { "file was" } else { "files were" };
        tracing::warn!(
            "intermediate output: {} {word} not uploaded to {url}: {}{more}: {reason}",
            paths.len(),
            names.join(", ")
        );
    }
    if missing.len() > MOST_REASONS {
        let more: usize = missing.values().skip(MOST_REASONS).map(Vec::len).sum();
        tracing::warn!("intermediate output: {more} more files were not uploaded, for other reasons");
    }
}
