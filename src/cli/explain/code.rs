//! Exit codes.

use nix::sys::signal::Signal;

use super::line;
use crate::job::exit_code::{EXIT_CODES, as_signal};

/// Explains an exit code: its meaning in footplate, and the signal that it may represent.
pub(super) fn explained(name: &str) -> Option<String> {
    let number: i32 = name.parse().ok().filter(|number| (0..=255).contains(number))?;
    let mut text = format!("{number}, an exit code\n");
    let own = EXIT_CODES.iter().find(|(code, _)| *code == name);
    if let Some((_, meaning)) = own {
        text += &line("footplate", meaning);
    }
    match as_signal(number) {
        Some(signal) => {
            let named = Signal::try_from(signal).map(|signal| format!(", {}", signal.as_str())).unwrap_or_default();
            text += &line("or", &format!("signal {signal}{named}, ended the script (128 + {signal})"));
            if let Some(why) = why_killed(signal) {
                text += &line("often", why);
            }
        }
        None if number == 0 => {}
        None => text += &line("or", "the script ended with this code itself"),
    }
    Some(text)
}

/// Returns the usual reason for death by a signal.
fn why_killed(signal: i32) -> Option<&'static str> {
    Some(match Signal::try_from(signal).ok()? {
        Signal::SIGKILL => {
            "the kernel had no memory left (the failure text gives the limit), or the grace period after a stop was over"
        }
        Signal::SIGTERM => {
            "the platform stopped the job: on request, at its maximum run time, or for a spot interruption"
        }
        Signal::SIGINT => "somebody pressed Ctrl-C",
        Signal::SIGSEGV | Signal::SIGILL => "a defect of a compiled library, or one that was built for another machine",
        Signal::SIGBUS => "/dev/shm was full",
        Signal::SIGABRT => "a library found an error from which it cannot continue, and said so on standard error",
        Signal::SIGFPE => "a compiled library divided a whole number by zero",
        Signal::SIGPIPE => "the reader of the script's output was gone",
        _ => return None,
    })
}
