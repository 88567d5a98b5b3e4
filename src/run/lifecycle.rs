//! The order of a run: begin, phases, agreement with the other hosts, files, uploads, record, report, end.

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::context::{Context, LeavesFiles, Options};
use super::judge::Ended;
use super::live::Live;
use super::timeline::Timeline;
use super::{Outcome, Refusal, call, checkpoints, hang, intermediate, observe, panic, peers, report};
use crate::event::{EventKind, Events};
use crate::failure::TextLimit;
use crate::logs::{self, Relay};
use crate::redact::Redactor;
use crate::supervise::LIMIT_REMEDY;

/// The time limit for writing the success or the failure file.
const RECORD_TIME: Duration = Duration::from_secs(10);

/// Runs the phases of a job, and returns the exit code of footplate.
pub(super) fn run(
    options: Options,
    leaves: LeavesFiles,
    phases: impl AsyncFnOnce(&Context, &mut Live) -> Result<Ended, Outcome>,
) -> i32 {
    let context = Context::read(options, leaves);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(&context, &error),
    };
    runtime.block_on(async {
        let events = Events::default();
        let timeline = Timeline::subscribe(&events);
        let mut live = match begin(&context, events, timeline) {
            Ok(live) => live,
            Err(error) => return cannot_start(&context, &error),
        };
        let ended = phases(&context, &mut live).await.unwrap_or_else(Ended::from);
        panic::give_way();
        let ended = hang::end(&context, &mut live, ended).await;
        observe::end(&mut live).await;
        checkpoints::end(&live).await;
        intermediate::end(&live);
        let outcome = peers::agree(&mut live, ended).await;
        let outcome = checkpoints::explain(&live, outcome);
        record(&context, &mut live, &outcome).await;
        intermediate::wait(&mut live).await;
        let exit_code = outcome.exit_code();
        live.events.emit(EventKind::JobOver { exit_code, cause: outcome.cause().map(Arc::new) });
        if let Some(record) = live.record.take() {
            record.finish();
        }
        report::write(&mut live).await;
        live.supervisor.finish().await;
        exit_code
    })
}

/// Begins a run. From here on, messages are written, panics are reported, and signals are caught.
fn begin(context: &Context, events: Events, timeline: Timeline) -> std::io::Result<Live> {
    let relay = Relay::start()?;
    logs::init(relay.clone());
    logs::set_redactor(Redactor::new(context.variables.texts()));
    panic::install(context.files.clone(), relay.clone());
    let mut live = Live::begin(relay.clone(), events, timeline)?;
    panic::end_if_stop_is_not_handled(&mut live.supervisor, context.files.clone(), relay)?;
    if context.leaves_files {
        context.files.begin();
    }
    panic::on_request();
    Ok(live)
}

/// Logs the end of the job and writes the success or the failure file. A file system that does not answer delays the end by a
/// bounded time.
async fn record(context: &Context, live: &mut Live, outcome: &Outcome) {
    let (outcome, files) = (outcome.clone(), context.leaves_files.then(|| context.files.clone()));
    let (call, limit) = (context.options.call.clone(), live.text_limit);
    let recorded = live.supervisor.run_at_end(RECORD_TIME, move || {
        let redactor = logs::redactor();
        outcome.log(&redactor);
        if let Some(call) = call {
            call::report(&call, &outcome, &redactor);
        }
        if let Some(files) = files {
            outcome.record(&files, limit, &redactor);
        }
    });
    if recorded.await.is_none() {
        let folder = context.paths.output();
        tracing::error!(
            "the end of the job cannot be recorded in {}: its file system does not answer",
            folder.display()
        );
    }
}

/// Ends a run for which no thread or descriptor is available. Writing the failure file needs neither.
fn cannot_start(context: &Context, error: &std::io::Error) -> i32 {
    let remedy = match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
        Errno::EAGAIN => LIMIT_REMEDY,
        Errno::EMFILE | Errno::ENFILE => {
            "allow the container more open files (docker run --ulimit nofile=1024, ulimit -n)"
        }
        // Docker before 20.10.10 refuses clone3 with this error. The C library uses clone3 to create threads.
        Errno::EPERM | Errno::ENOSYS => {
            "the container engine forbids a system call for threads, signals or events: use a newer engine (Docker since \
             20.10.10), or allow the call (docker run --security-opt seccomp=unconfined)"
        }
        _ => "look at the limits of the container and of its engine",
    };
    let outcome = Outcome::refused(Refusal::Internal, format!("footplate cannot start: {error}: {remedy}"));
    let redactor = Redactor::new(context.variables.texts());
    eprintln!("{}", outcome.headline(&redactor));
    if context.leaves_files {
        outcome.record(&context.files, TextLimit::Reason, &redactor);
    }
    outcome.exit_code()
}
