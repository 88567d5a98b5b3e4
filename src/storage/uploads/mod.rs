//! Intermediate output: what the script writes into `output/intermediate` is uploaded to S3 while it runs.
//!
//! ```text
//! inotify, scans ─► watch ─► look ─► table: which file is due ─► work: storage::Uploads ─► S3
//! ```
//!
//! All of it runs on a thread of its own, which gets less of the processor than the script; no error of it is more than a
//! warning. A file is due when it is closed after it was written to, when it gets its name by a rename, and, where nobody
//! was seen to close it (links, files in folders that are new, and all where there is no inotify), when it has stayed as it
//! is for a second. What is closed again while it is uploaded is uploaded again. Nothing is ever deleted in S3. At the end the
//! folder is scanned once more, and what is not in S3 as it is by then is tried one last time.

mod look;
mod table;
mod watch;
mod work;

use std::io;
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use tokio::sync::watch as channel;

use crate::kernel;
use crate::storage::{Access, Bucket, Uploads};

/// Where the files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    bucket: String,
    /// What stands before the files' paths in their keys, without a slash at its end.
    prefix: String,
}

/// What `sagemaker_s3_output` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To upload.
    Upload(Destination),
    /// To leave the files where they are: a `file://` URL.
    Local,
}

impl Destination {
    /// Reads the URL of a job's output, as `sagemaker-training` does: the files go to
    /// `<url>/<TRAINING_JOB_NAME>/output/intermediate/`.
    ///
    /// # Errors
    /// It is no URL of a bucket.
    pub fn parse(url: &str, job_name: Option<&str>) -> Result<Asked, String> {
        let wrong = || format!("sagemaker_s3_output is {url:?}, but must be s3://bucket/prefix");
        let (scheme, place) = url.split_once("://").ok_or_else(wrong)?;
        match scheme.to_ascii_lowercase().as_str() {
            "file" => return Ok(Asked::Local),
            "s3" => {}
            _ => return Err(wrong()),
        }
        let place = place.split(['?', '#']).next().unwrap_or_default();
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(wrong());
        }
        let mut prefix = path.trim_start_matches('/').to_owned();
        for part in [job_name.unwrap_or_default(), "output/intermediate"] {
            if !prefix.is_empty() && !prefix.ends_with('/') {
                prefix.push('/');
            }
            prefix.push_str(part);
        }
        Ok(Asked::Upload(Destination { bucket: bucket.to_owned(), prefix }))
    }

    fn uploads(&self, access: Access) -> Uploads {
        Uploads::new(Bucket::new(access, &self.bucket), &self.prefix)
    }

    /// The URL of a file.
    pub fn url(&self, below: &Path) -> String {
        format!("s3://{}/{}/{}", self.bucket, self.prefix, below.display())
    }
}

/// How far the thread is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    /// Nothing writes any more: to upload what is left, and to end.
    End,
    /// To end at once.
    GiveUp,
}

/// The uploads of a folder.
#[derive(Debug)]
pub struct Intermediate {
    orders: channel::Sender<Order>,
    progress: channel::Receiver<u64>,
}

impl Intermediate {
    /// Begins to upload what is written into a folder, which is there.
    ///
    /// # Errors
    /// The folder is not there, or the kernel refuses a thread.
    pub fn begin(folder: &Path, destination: Destination, access: Access) -> io::Result<Intermediate> {
        let root = folder.canonicalize()?;
        let (orders, receiver) = channel::channel(Order::Run);
        let (sender, progress) = channel::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build()?;
        // The script may write as soon as this returns.
        let watch = {
            let _in_runtime = runtime.enter();
            watch::Watch::begin(&root, true)
        };
        // Signals are the supervisor's.
        let mut mask = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
        let spawned = std::thread::Builder::new().name("intermediate".to_owned()).spawn(move || {
            kernel::yield_to_others();
            let work = work::Work::new(root, destination, access, receiver, sender);
            runtime.block_on(work.run(watch));
        });
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        spawned?;
        Ok(Intermediate { orders, progress })
    }

    /// Nothing writes any more: uploads what is left, and ends.
    pub fn end(&self) {
        self.orders.send_replace(Order::End);
    }

    /// Ends at once; what has not arrived is not waited for.
    pub fn give_up(&self) {
        self.orders.send_replace(Order::GiveUp);
    }

    /// Waits until something more has arrived in S3, or until all has ended; gives whether it goes on.
    pub async fn has_progressed(&mut self) -> bool {
        self.progress.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Asked, Destination};

    #[test]
    fn keys_are_those_of_the_toolkit() {
        let url = |output: &str, job: Option<&str>| match Destination::parse(output, job) {
            Ok(Asked::Upload(destination)) => destination.url(Path::new("a/b")),
            other => format!("{other:?}"),
        };
        for (output, job, expected) in [
            ("s3://bucket/p/q", Some("job-1"), "s3://bucket/p/q/job-1/output/intermediate/a/b"),
            ("s3://bucket/p/q/", Some("job-1"), "s3://bucket/p/q/job-1/output/intermediate/a/b"),
            ("s3://bucket//p//q//", Some("job-1"), "s3://bucket/p//q//job-1/output/intermediate/a/b"),
            ("s3://bucket", Some("job-1"), "s3://bucket/job-1/output/intermediate/a/b"),
            ("S3://bucket/?x#y", None, "s3://bucket/output/intermediate/a/b"),
            ("s3://bucket/p", Some(""), "s3://bucket/p/output/intermediate/a/b"),
        ] {
            assert_eq!(url(output, job), expected, "{output}");
        }
        assert_eq!(Destination::parse("file:///tmp/x", None), Ok(Asked::Local));
        for wrong in ["", "bucket/p", "https://bucket/p", "s3:///p", "s3://"] {
            assert!(Destination::parse(wrong, None).is_err(), "{wrong}");
        }
    }
}
