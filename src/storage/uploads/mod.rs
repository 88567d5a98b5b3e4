//! Intermediate output: the files that the script writes into `output/intermediate` are uploaded to S3 while it runs.
//!
//! ```text
//! inotify, scans ─► watch ─► look ─► table: which file is due ─► worker: storage::Uploader ─► S3
//! ```
//!
//! All of it runs on a separate thread, with a lower priority than the script. Its errors are only warnings. A file is
//! due
//!
//! - after it was closed by a writer, or after a rename gave it its name;
//! - after it was unchanged for a second, if its closing could not be observed: links, files in new folders, and every
//!   file if inotify is unavailable.
//!
//! A file that is closed again during its upload is uploaded again. Nothing is ever deleted in S3. At the end the folder is
//! scanned once more, and each file whose present content is not in S3 is tried one last time.
//!
//! `table` decides and is pure: it receives every fact, and the time, as arguments. This folder must not end the job,
//! and must not delay the script.

mod destination;
mod inspection;
mod table;
mod watch;
mod worker;

use std::io;
use std::path::Path;

use tokio::sync::watch as channel;

pub use self::destination::{OutputTarget, UploadDestination};
use self::watch::FolderWatch;
use self::worker::{UploadOrder, Worker};
use crate::event::Events;
use crate::storage::access::Access;
use crate::system::kernel;

/// The uploads of a folder, which run until [`IntermediateUploads::end`] or [`IntermediateUploads::give_up`] is called.
#[derive(Debug)]
pub struct IntermediateUploads {
    orders: channel::Sender<UploadOrder>,
    /// Counts the files and parts that have arrived; closed when the thread ends.
    progress: channel::Receiver<u64>,
}

impl IntermediateUploads {
    /// Starts to upload the files that are written into a folder from now on. The end of each upload is an event.
    ///
    /// # Errors
    /// The folder does not exist or is a link, or the kernel refuses a thread.
    pub fn begin(
        folder: &Path,
        destination: UploadDestination,
        access: Access,
        events: Events,
    ) -> io::Result<IntermediateUploads> {
        if folder.symlink_metadata()?.is_symlink() {
            return Err(io::Error::other("it is a link, and what it leads to is not uploaded"));
        }
        let root = folder.canonicalize()?;
        let (orders, receiver) = channel::channel(UploadOrder::Run);
        let (sender, progress) = channel::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build()?;
        // The watch must exist before this function returns, because the script may write at once.
        let watch = {
            let _in_runtime = runtime.enter();
            FolderWatch::begin(&root, true)
        };
        kernel::spawn_thread("intermediate", None, move || {
            kernel::yield_to_others();
            let worker = Worker::new(root, destination, access, receiver, sender, events);
            runtime.block_on(worker.run(watch));
        })?;
        Ok(IntermediateUploads { orders, progress })
    }

    /// Reports that no process writes to the folder any more. The thread uploads the remaining files and ends.
    pub fn end(&self) {
        self.orders.send_replace(UploadOrder::End);
    }

    /// Makes the thread end at once, without the files that have not arrived yet.
    pub fn give_up(&self) {
        self.orders.send_replace(UploadOrder::GiveUp);
    }

    /// Waits until another file or part has arrived in S3. Returns false after the thread has ended.
    pub async fn progressed(&mut self) -> bool {
        self.progress.changed().await.is_ok()
    }
}
