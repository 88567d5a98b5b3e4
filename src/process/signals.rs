//! Catching signals.

use std::io;

use nix::libc;
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::UnboundedSender;

/// Signals that are not caught: two cannot be, and the rest mean that footplate itself is at fault.
const NOT_CAUGHT: [i32; 9] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Catches every signal that can be, and sends its number.
///
/// # Errors
/// A handler cannot be installed.
pub(super) fn catch<E: Send + 'static>(events: UnboundedSender<E>, event: fn(i32) -> E) -> io::Result<()> {
    let standard = 1..=31;
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    let caught: Vec<i32> = standard.chain(real_time).filter(|signal| !NOT_CAUGHT.contains(signal)).collect();
    let mut signals = Signals::new(caught)?;
    std::thread::Builder::new().name("signals".to_owned()).stack_size(128 << 10).spawn(move || {
        for signal in signals.forever() {
            if events.send(event(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
