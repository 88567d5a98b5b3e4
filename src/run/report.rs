//! The report at the end of a job, if it was requested. The job is already over, so a report that fails changes
//! nothing.

use std::time::Duration;

use super::live::Live;
use crate::event::Moment;
use crate::observe::report;

/// The time limit for making the report.
const REPORT_TIME: Duration = Duration::from_secs(10);

/// Writes the report.
pub(super) async fn write(live: &mut Live) {
    let Some(folder) = live.report.take() else { return };
    let path = folder.join(report::NAME);
    let now = Moment::now().unix_seconds();
    match live.supervisor.run_at_end(REPORT_TIME, move || report::write(&folder, now)).await {
        Some(Ok(path)) => tracing::info!("report: {}", path.display()),
        Some(Err(error)) => tracing::warn!("there is no report: {error}"),
        None => tracing::warn!("there is no report: {} cannot be written in time", path.display()),
    }
}
