//! The control sequences that keep the last lines of a terminal apart from the output above them.
//!
//! They are sequences of the VT100 and of ECMA-48, which every terminal program of today supports.

use crate::system::kernel::WindowSize;

/// The number of lines of the view.
pub(super) const LINES: usize = 3;

/// The minimum size of a window that has room for the view.
const LEAST: WindowSize = WindowSize { rows: 10, columns: 20 };

/// Saves the position of the cursor and its colours.
const SAVE: &str = "\x1b7";
/// Restores the position and the colours.
const RESTORE: &str = "\x1b8";
/// Lets the whole window scroll. It moves the cursor.
const WHOLE: &str = "\x1b[r";
/// Clears everything below the cursor.
const CLEAR_BELOW: &str = "\x1b[J";
/// Clears the rest of the line.
const CLEAR_LINE: &str = "\x1b[K";

/// The state of the terminal.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The window and the lines, if the view is shown.
    shown: Option<(WindowSize, [String; LINES])>,
}

impl Screen {
    /// Returns the bytes that show these lines in a window of this size. Empty if they are already shown.
    pub(super) fn draw(&mut self, size: Option<WindowSize>, lines: [String; LINES]) -> Vec<u8> {
        let Some(size) = size.filter(|size| size.rows >= LEAST.rows && size.columns >= LEAST.columns) else {
            return self.clear();
        };
        let mut bytes = String::new();
        match &self.shown {
            Some((before, shown)) if *before == size && *shown == lines => return Vec::new(),
            Some((before, _)) if *before == size => {}
            Some(_) => {
                // When the window's size changed, the terminal may have moved the lines.
                bytes.push_str(&format!("{SAVE}{WHOLE}{RESTORE}{SAVE}\r\n{CLEAR_BELOW}{RESTORE}"));
                bytes.push_str(&reserve(size));
            }
            None => bytes.push_str(&reserve(size)),
        }
        bytes.push_str(SAVE);
        for (row, line) in (usize::from(size.rows) - LINES + 1..).zip(&lines) {
            bytes.push_str(&format!("\x1b[{row};1H{CLEAR_LINE}{line}"));
        }
        bytes.push_str(RESTORE);
        self.shown = Some((size, lines));
        bytes.into_bytes()
    }

    /// Returns the bytes that release the whole window. Empty if the view is not shown.
    pub(super) fn clear(&mut self) -> Vec<u8> {
        let Some((size, _)) = self.shown.take() else { return Vec::new() };
        let first = usize::from(size.rows) - LINES + 1;
        format!("{SAVE}{WHOLE}\x1b[{first};1H{CLEAR_BELOW}{RESTORE}").into_bytes()
    }
}

/// Returns the sequence that makes room for the lines. It moves output that is in their place up, and lets only the
/// rest of the window scroll.
fn reserve(size: WindowSize) -> String {
    let last = usize::from(size.rows) - LINES;
    // IND moves the cursor down in its column, and scrolls at the end of the window.
    let down = "\x1bD".repeat(LINES);
    format!("{down}\x1b[{LINES}A{SAVE}\x1b[1;{last}r{RESTORE}")
}

#[cfg(test)]
mod tests {
    use super::{LINES, Screen};
    use crate::system::kernel::WindowSize;

    fn lines(text: &str) -> [String; LINES] {
        [text, "b", "c"].map(str::to_owned)
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn lines_are_drawn_when_they_change_and_cleared_once() {
        let size = Some(WindowSize { rows: 24, columns: 80 });
        let mut screen = Screen::default();
        assert_eq!(text(screen.clear()), "");
        let first = text(screen.draw(size, lines("a")));
        assert_eq!(
            first,
            "\x1bD\x1bD\x1bD\x1b[3A\x1b7\x1b[1;21r\x1b8\x1b7\x1b[22;1H\x1b[Ka\x1b[23;1H\x1b[Kb\x1b[24;1H\x1b[Kc\x1b8"
        );
        assert_eq!(text(screen.draw(size, lines("a"))), "");
        let second = text(screen.draw(size, lines("x")));
        assert!(second.starts_with("\x1b7\x1b[22;1H\x1b[Kx"), "{second:?}");
        let resized = text(screen.draw(Some(WindowSize { rows: 30, columns: 80 }), lines("x")));
        assert!(resized.contains("\x1b[r") && resized.contains("\x1b[1;27r"), "{resized:?}");
        assert_eq!(text(screen.clear()), "\x1b7\x1b[r\x1b[28;1H\x1b[J\x1b8");
        assert_eq!(text(screen.clear()), "");
    }

    #[test]
    fn a_window_that_is_too_small_has_no_view() {
        let mut screen = Screen::default();
        for (rows, columns) in [(9, 80), (24, 19)] {
            assert_eq!(text(screen.draw(Some(WindowSize { rows, columns }), lines("a"))), "");
        }
        let large = Some(WindowSize { rows: 24, columns: 80 });
        assert_ne!(text(screen.draw(large, lines("a"))), "");
        let small = Some(WindowSize { rows: 5, columns: 80 });
        assert_eq!(text(screen.draw(small, lines("a"))), "\x1b7\x1b[r\x1b[22;1H\x1b[J\x1b8");
        assert_eq!(text(screen.draw(None, lines("a"))), "");
    }
}
