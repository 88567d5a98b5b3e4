//! The live view: three lines at the bottom of the terminal that show what a job on this machine is doing.
//!
//! The output of the job scrolls above them, in a region of the terminal that ends where they begin. The view reads
//! files that the hosts write anyway, so no host knows about it. All of its output goes through the relay, so that it
//! never interrupts a piece of the job's output. At the end of the job, and while the job is suspended, the terminal
//! is restored.

mod lines;
mod screen;
mod state_reader;

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::unistd::{getpgrp, tcgetpgrp};

use crate::logs::Relay;
use crate::system::kernel;

use lines::Paint;
use screen::Screen;
use state_reader::StateReader;

/// The interval of checks of the window's size.
const TICK: Duration = Duration::from_millis(250);

/// The number of ticks between two reads of the job's files.
const TICKS_PER_LOOK: u32 = 4;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// Returns true if standard output is a terminal that understands control sequences.
pub(super) fn is_possible() -> bool {
    let terminal = std::env::var_os("TERM").unwrap_or_default();
    std::io::stdout().is_terminal() && !terminal.is_empty() && terminal != "dumb"
}

/// Returns true if this process is the foreground job of the terminal. In the background, the terminal belongs to
/// another job. While a script asks for a password, it belongs to the script.
fn is_in_foreground(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
}

/// The live view of a job. It is cleared when this value is dropped.
#[derive(Debug)]
pub(super) struct LiveView {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The state of the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Shown,
    /// The view is being cleared, because the job is about to be suspended.
    Hiding,
    /// The view is cleared and the terminal is restored.
    Hidden,
    Ended,
}

impl LiveView {
    /// Begins to show a job. `records` are the folders in which the hosts keep their records. `None` if no thread can
    /// be started.
    pub(super) fn begin(name: &str, records: Vec<PathBuf>, relay: &Relay) -> Option<LiveView> {
        let shared = Arc::new(Shared::default());
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = if no_colour { Paint::Plain } else { Paint::Coloured };
        let mut reader = StateReader::new(name.to_owned(), records);
        let (seen, relay) = (Arc::clone(&shared), relay.clone());
        let work = move || show_until_end(&seen, &relay, &mut reader, style);
        let thread = kernel::spawn_thread("view", Some(STACK_SIZE), work).ok()?;
        Some(LiveView { shared, thread: Some(thread) })
    }

    /// Returns a handle for suspending the view.
    pub(super) fn pause(&self) -> Pause {
        Pause(Arc::clone(&self.shared))
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        self.shared.set(State::Ended);
        // The thread does not panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A handle for suspending the view.
#[derive(Clone, Debug)]
pub(super) struct Pause(Arc<Shared>);

impl Pause {
    /// Clears the view, and waits until it is cleared.
    pub(super) fn hide(&self) {
        let mut state = self.0.lock();
        if *state != State::Shown {
            return;
        }
        *state = State::Hiding;
        self.0.changed.notify_all();
        let waited = self.0.changed.wait_timeout_while(state, TICK, |state| *state == State::Hiding);
        // The wait is limited, because the terminal may take nothing.
        let _ = waited;
    }

    /// Shows the view again.
    pub(super) fn show(&self) {
        let mut state = self.0.lock();
        if *state != State::Ended {
            *state = State::Shown;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Waits for a tick, or until the state changes, and returns the state.
    fn tick(&self, before: State) -> State {
        let waited = self.changed.wait_timeout_while(self.lock(), TICK, |state| *state == before);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn show_until_end(shared: &Shared, relay: &Relay, reader: &mut StateReader, style: Paint) {
    let stdout = std::io::stdout();
    let begun = Instant::now();
    let mut screen = Screen::default();
    let (mut state, mut ticks, mut drawn) = (State::Shown, 0u32, None::<Receiver<()>>);
    loop {
        match state {
            State::Shown => {
                if ticks.is_multiple_of(TICKS_PER_LOOK) {
                    reader.read();
                }
                ticks += 1;
                // If the terminal takes nothing, nothing more is written to it.
                let is_stuck = drawn.as_ref().is_some_and(|drawn| drawn.try_recv() == Err(TryRecvError::Empty));
                let size = kernel::window_size(stdout.as_fd()).filter(|_| is_in_foreground(stdout.as_fd()));
                let lines =
                    size.map(|size| lines::of(reader.seen(), begun.elapsed(), usize::from(size.columns), style));
                if !is_stuck {
                    drawn = Some(relay.draw(screen.draw(size, lines.unwrap_or_default())));
                }
            }
            State::Hiding => {
                // No message comes on this channel. It is closed once everything is written.
                let _ = relay.draw(screen.clear()).recv_timeout(TICK);
                shared.set(State::Hidden);
            }
            State::Hidden => {}
            State::Ended => {
                relay.draw(screen.clear());
                return;
            }
        }
        state = shared.tick(if state == State::Hiding { State::Hidden } else { state });
    }
}
