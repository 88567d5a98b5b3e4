//! The place of a part of a text.

use std::ops::Range;

/// Returns the range of a part of a text, which must be a slice of it.
pub(super) fn range_of(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}
