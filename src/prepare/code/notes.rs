//! Notes about the entries of an archive or a folder that were skipped or written differently.

use std::fmt;

/// The maximum number of notes kept as text. An archive of a million unusual entries must not fill the memory or the log.
const KEPT: usize = 10;
/// The maximum length of an entry's name in a note, in characters.
const SHOWN: usize = 160;

/// The first few notes, and the number of the others. Its text is the notes, separated by `; `.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    kept: Vec<String>,
    more: u64,
}

impl Notes {
    /// Returns the first notes, in the order in which they were added.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    /// Returns the number of notes beyond those kept.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Returns true if there are no notes.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds a note. `text` is called only if the note is kept.
    pub(super) fn add(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() < KEPT {
            self.kept.push(text());
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kept.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Returns an entry's name for a message: quoted, on one line, and shortened to [`SHOWN`] characters.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Notes, shown};

    #[test]
    fn only_the_first_notes_are_kept() {
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        for n in 0..1000 {
            notes.add(|| format!("note {n}"));
        }
        assert_eq!((notes.kept().len(), notes.more()), (10, 990));
        assert!(notes.to_string().starts_with("note 0; note 1; "), "{notes}");
        assert!(notes.to_string().ends_with("note 9; and 990 more"), "{notes}");
    }

    #[test]
    fn a_name_is_shown_on_one_line() {
        assert_eq!(shown(b"a\nb\x1b[0m\xff"), "\"a\\nb\\u{1b}[0m\u{fffd}\"");
        assert_eq!(shown("ä".repeat(500).as_bytes()).chars().count(), 160 + 3);
    }
}
