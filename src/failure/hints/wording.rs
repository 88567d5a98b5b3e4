//! The search for wordings in a text.

use std::ops::Range;

use memchr::memmem;

/// Returns the place of each part of a wording, in this order and from the position `from` on. The parts are separated by `*`.
/// A part that is not found has no place.
pub(super) fn parts<'t>(
    text: &'t str,
    wording: &'t str,
    from: usize,
) -> impl Iterator<Item = Option<Range<usize>>> + 't {
    let mut from = from;
    wording.split('*').map(move |part| {
        let at = from + memmem::find(text.as_bytes().get(from..)?, part.as_bytes())?;
        from = at + part.len();
        Some(at..from)
    })
}

/// Returns true if the text contains the parts of the wording.
pub(super) fn contains(text: &str, wording: &str) -> bool {
    parts(text, wording, 0).all(|place| place.is_some())
}

/// Returns the text after the first `start` and before the next `end`, if it is short enough to be shown.
pub(super) fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    const SHOWN: usize = 160;
    let after = text.split_once(start)?.1;
    let found = if end.is_empty() { after } else { after.split_once(end)?.0 };
    (!found.is_empty() && found.len() <= SHOWN).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::{between, contains};

    #[test]
    fn a_wording_with_a_star_is_found_in_order() {
        assert!(contains("GPU 5 has a total capacity of 79 GiB", "GPU * capacity of"));
        assert!(!contains("capacity of GPU 5", "GPU * capacity of"));
        assert_eq!(between("a 'b' c", "'", "'"), Some("b"));
        assert_eq!(between("a 'b", "'", "'"), None);
    }
}
