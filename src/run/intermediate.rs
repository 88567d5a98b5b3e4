//! Intermediate output: the start of its uploads, and the time limit for them at the end.

use std::time::{Duration, Instant};

use super::Prepared;
use super::context::Context;
use super::live::Live;
use crate::storage::Access;
use crate::storage::uploads::{IntermediateUploads, OutputTarget};
use crate::supervise::Interrupted;

/// The minimum time for the uploads if the script has used up its grace period. The platform kills the container 10 s
/// after the default grace period.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// The time within which abandoned uploads must abort what they have begun.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// Begins the uploads, if the job requests them. As with sagemaker-training, the platform itself uploads a folder
/// that already exists.
pub(super) fn begin(context: &Context, live: &mut Live, prepared: &Prepared) {
    let job = &prepared.job;
    let Some(url) = &job.request.s3_output else { return };
    let folder = job.paths.intermediate();
    if folder.exists() {
        tracing::info!("intermediate output: {} is there already: whoever made it uploads it", folder.display());
        return;
    }
    let target = match OutputTarget::parse(url, job.name.as_deref()) {
        Ok(target) => target,
        Err(error) => {
            tracing::warn!("intermediate output: {error}: nothing is uploaded");
            return;
        }
    };
    if let Err(error) = std::fs::create_dir_all(&folder) {
        tracing::warn!("intermediate output: cannot make {}: {error}: nothing is uploaded", folder.display());
        return;
    }
    let OutputTarget::S3(destination) = target else { return };
    let region = job.request.region.as_ref().and_then(|region| region.as_str());
    let access = Access::of(&context.variables, region);
    let to = destination.url("".as_ref());
    match IntermediateUploads::begin(&folder, destination, access, live.events.clone()) {
        Ok(uploads) => {
            tracing::info!("intermediate output: what is written to {} goes to {to}", folder.display());
            live.uploads = Some((uploads, prepared.settings.grace_period));
        }
        Err(error) => tracing::warn!("intermediate output: nothing is uploaded to {to}: {error}"),
    }
}

/// Tells the uploads that no process writes any more, so that the rest is uploaded while the outcome is decided.
pub(super) fn end(live: &Live) {
    if let Some((uploads, _)) = &live.uploads {
        uploads.end();
    }
}

/// Waits for the uploads. After a stop signal, waits for the rest of the grace period. Otherwise waits as long as the
/// uploads make progress at least once per grace period. A second stop signal ends the wait at once.
pub(super) async fn wait(live: &mut Live) {
    let Some((mut uploads, grace)) = live.uploads.take() else { return };
    // From now on, other hosts change nothing.
    live.supervisor.ignore_peers();
    let now = Instant::now();
    let mut stopped_at = live.supervisor.stopped_at();
    let mut deadline = match stopped_at {
        Some(stopped) => (stopped + grace).max(now + LEAST_TIME.min(grace)),
        None => now + grace,
    };
    loop {
        let progress = tokio::time::timeout_at(deadline.into(), uploads.progressed());
        match live.supervisor.wait_for(progress).await {
            Ok(Ok(true)) if stopped_at.is_some() => {}
            Ok(Ok(true)) => deadline = Instant::now() + grace,
            Ok(Ok(false)) => return,
            Ok(Err(_)) => break,
            Err(Interrupted::Signal(signal)) if stopped_at.is_none() => {
                let seconds = grace.as_secs_f64();
                tracing::info!("{signal}: the uploads of intermediate output have {seconds} s");
                stopped_at = live.supervisor.stopped_at();
                deadline = Instant::now() + grace;
            }
            Err(_) => break,
        }
    }
    uploads.give_up();
    let ended = async { while uploads.progressed().await {} };
    if tokio::time::timeout(GOODBYE_TIME, ended).await.is_err() {
        tracing::warn!(
            "intermediate output: the uploads hang and are left to themselves: what was written last may not be in S3"
        );
    }
}
