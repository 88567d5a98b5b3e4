//! What an archive or a folder gave reason to remark on: the first few remarks, and how many more there were.

use std::fmt;

/// How many remarks are kept as text. An archive of a million odd entries must fill neither the memory nor the log.
const KEPT: usize = 10;
/// How many characters of an entry's name are shown.
const SHOWN: usize = 160;

/// The first few remarks, and a count of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    kept: Vec<String>,
    more: u64,
}

impl Notes {
    /// The remarks that were kept, in the order in which they were made.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    /// How many remarks there were beyond those kept.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Whether there is nothing to remark on.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds a remark. The text is made only if it is kept.
    pub(super) fn add(&mut self, remark: impl FnOnce() -> String) {
        match self.kept.len() < KEPT {
            true => self.kept.push(remark()),
            false => self.more += 1,
        }
    }
}

/// The remarks, separated by `; `, with the count of the others last.
impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kept.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// A name out of an archive as it may be shown: on one line, in quotes, and not too long.
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
    fn only_the_first_remarks_are_kept() {
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
