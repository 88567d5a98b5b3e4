//! The search for wordings in a text.

use memchr::memmem;

/// Returns true if the text contains the parts of the wording, which are separated by `*`, in this order.
pub(super) fn contains(text: &str, wording: &str) -> bool {
    let mut rest = text.as_bytes();
    wording.split('*').all(|part| match memmem::find(rest, part.as_bytes()) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
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
