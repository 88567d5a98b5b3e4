//! The end of a job because footplate itself has a defect or hangs.

use std::io;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::failure::OutputFiles;
use crate::job::exit_code;
use crate::logs::{self, Relay};
use crate::observe::record::EarlyEnd;
use crate::redact::visible_message;
use crate::supervise::{self, Supervisor};
use crate::system::files;

/// The time limit for writing the failure file when the main thread hangs.
const RECORD_TIME: Duration = Duration::from_secs(3);

/// True once a thread has panicked.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// The handle for finishing the run record, once there is one.
static RECORD: OnceLock<EarlyEnd> = OnceLock::new();

/// Makes a panic or hang finish the run record.
pub(super) fn finish_at_the_end(record: EarlyEnd) {
    // A process runs only one job.
    let _ = RECORD.set(record);
}

/// Finishes the run record, if there is one, within a bounded time.
fn finish_record(code: i32, text: &str) {
    if let Some(record) = RECORD.get() {
        record.write(code, text);
    }
}

/// Waits for the end of the process if a thread has panicked. The panic hook kills the script, and the main thread
/// must not mistake that for the end of the job.
pub(super) fn give_way() {
    while HAS_PANICKED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Makes every panic end the job with a failure file that states the reason, and with no process left running.
pub(super) fn install(files: OutputFiles, relay: Relay) {
    std::panic::set_hook(Box::new(move |panic| {
        HAS_PANICKED.store(true, Ordering::SeqCst);
        let text = visible_message(&logs::clean(&describe(panic))).into_owned();
        // The job is lost. Its remaining output matters less than the reason.
        if let Err(error) = files.fail(&text) {
            relay.message(format!("{}\n", visible_message(&format!("{error:#}"))).into_bytes());
        }
        relay.message(format!("{text}\n").into_bytes());
        supervise::kill_descendants();
        finish_record(exit_code::DEFECT, &text);
        relay.finish_within(Duration::from_secs(1));
        std::process::exit(exit_code::DEFECT);
    }));
}

/// Makes a stop signal end the job even if the main thread hangs and does not handle it. The failure file states
/// that.
pub(super) fn end_if_stop_is_not_handled(
    supervisor: &mut Supervisor,
    output: OutputFiles,
    relay: Relay,
) -> io::Result<()> {
    supervisor.on_unhandled_stop(move |signal| {
        let code = exit_code::of_signal(signal as i32);
        let text = format!(
            "stopped by {signal}, exit code {code}; footplate did not hear the signal, because a file system did not answer"
        );
        supervise::kill_descendants();
        let written = text.clone();
        if files::within(RECORD_TIME, move || output.fail(&written)).is_none_or(|written| written.is_err()) {
            relay.message(b"the failure file cannot be written\n".to_vec());
        }
        relay.message(format!("{text}\n").into_bytes());
        finish_record(code, &text);
        relay.finish_within(Duration::from_secs(1));
        std::process::exit(code);
    })
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    format!(
        "footplate {} itself failed{place}: {message}; the job was ended with exit code {}; this is a defect of \
         footplate, not of the script: please report it",
        env!("CARGO_PKG_VERSION"),
        exit_code::DEFECT
    )
}

/// Lets tests cause a panic, in debug builds: FOOTPLATE_TEST_PANIC holds the path of a file whose creation makes a
/// thread panic. If the variable is empty, footplate panics at once.
pub(super) fn on_request() {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(trigger) = std::env::var_os("FOOTPLATE_TEST_PANIC") else { return };
    if trigger.is_empty() {
        panic!("asked for by FOOTPLATE_TEST_PANIC");
    }
    std::thread::spawn(move || {
        loop {
            if let Ok(message) = std::fs::read_to_string(&trigger) {
                panic!("asked for by FOOTPLATE_TEST_PANIC: {message}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}
