//! What happens when footplate itself is at fault.

use std::panic::PanicHookInfo;
use std::time::Duration;

use crate::failure;
use crate::job::Paths;
use crate::logs::Relay;
use crate::process;

/// The exit code of a defect (EX_SOFTWARE of sysexits.h).
const EXIT_CODE: i32 = 70;

/// Makes every panic end the job with a failure file that says so, and with nothing left running.
pub(super) fn install(paths: Paths, relay: Relay) {
    std::panic::set_hook(Box::new(move |panic| {
        let text = describe(panic);
        // The job is lost: what was written of it so far matters less than that the reason gets out.
        if let Err(error) = failure::write(&paths.failure(), &text) {
            relay.message(format!("{error:#}\n").into_bytes());
        }
        relay.message(format!("{text}\n").into_bytes());
        process::kill_descendants();
        relay.finish(Duration::from_secs(1));
        std::process::exit(EXIT_CODE);
    }));
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    format!(
        "footplate {} itself failed{place}: {message}; the job was ended with exit code {EXIT_CODE}; this is a defect of \
         footplate, not of the script: please report it",
        env!("CARGO_PKG_VERSION")
    )
}

/// In debug builds, a way for tests to see all of this.
pub(super) fn on_request() {
    if cfg!(debug_assertions) && std::env::var_os("FOOTPLATE_TEST_PANIC").is_some() {
        panic!("asked for by FOOTPLATE_TEST_PANIC");
    }
}
