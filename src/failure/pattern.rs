//! Patterns of this folder's own.

use regex::Regex;

/// Compiles a pattern that stands in this code.
///
/// # Panics
/// The pattern is not valid.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}
