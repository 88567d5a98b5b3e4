//! Errors that `main` of a Rust program returned, as anyhow and eyre print them:
//!
//! ```text
//! Error: cannot train
//!
//! Caused by:
//!     0: cannot read the index
//!     1: No such file or directory (os error 2)
//! ```

use super::cursor::Cursor;
use super::traceback::{Link, Raised};

/// The maximum number of causes that are read.
const MAX_CAUSES: usize = 20;

/// Returns true if an error may begin at a line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("Error: ") || line == "Error:"
}

/// Reads an error with its causes.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let line = cursor.line()?;
    let causes = cursor.find(4, |line| line == "Caused by:")?;
    let mut chain = vec![Raised { message: line.to_owned(), ..Raised::default() }];
    cursor.at = causes + 1;
    while let Some(line) = cursor.line().filter(|line| line.starts_with("   ") && chain.len() <= MAX_CAUSES) {
        let line = line.trim();
        let numbered = line.split_once(": ").filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
        let message = numbered.map_or(line, |(_, message)| message).to_owned();
        chain.push(Raised { message, ..Raised::default() });
        cursor.at += 1;
    }
    chain.reverse();
    for raised in &mut chain[1..] {
        raised.link = Some(Link::Cause);
    }
    Some(chain)
}
