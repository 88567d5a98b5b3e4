//! The size of a terminal's window.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// The size of a terminal's window, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// The number of rows.
    pub rows: u16,
    /// The number of columns.
    pub columns: u16,
}

/// Returns the size of a terminal's window. `None` if the descriptor is not a terminal, or if the size is not known.
pub fn window_size(terminal: BorrowedFd<'_>) -> Option<WindowSize> {
    // SAFETY: `winsize` is plain data for which zeros are valid.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the pointer points to a local variable of the type that the request fills.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_row > 0 && size.ws_col > 0)
        .then_some(WindowSize { rows: size.ws_row, columns: size.ws_col })
}
