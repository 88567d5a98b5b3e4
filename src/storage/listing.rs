//! The pages of a listing, which a server may repeat without end.

use std::collections::HashSet;

use super::answers::{ListEntry, ListPage};

/// The maximum number of pages of a listing, each of which has at most 1,000 keys, and the maximum size of all keys, in bytes.
const MOST_PAGES: usize = 10_000;
const MOST_KEY_BYTES: usize = 64 << 20;

/// The pages of a listing that have arrived.
#[derive(Default)]
pub(super) struct KeyList {
    pub found: Vec<ListEntry>,
    /// The size of all keys, in bytes.
    key_bytes: usize,
    /// The tokens of the pages so far.
    tokens: HashSet<String>,
}

impl KeyList {
    /// Adds a page and returns the token of the next one. `None` if it was the last.
    ///
    /// # Errors
    /// A description: the listing repeats itself, or has more than any source of code.
    pub fn add(&mut self, page: ListPage) -> Result<Option<String>, String> {
        self.key_bytes += page.contents.iter().map(|entry| entry.key.len()).sum::<usize>();
        self.found.extend(page.contents);
        let Some(next) = page.next_continuation_token else { return Ok(None) };
        if self.key_bytes > MOST_KEY_BYTES || self.tokens.len() >= MOST_PAGES {
            return Err(format!("its list has no end: {} keys on {} pages", self.found.len(), self.tokens.len() + 1));
        }
        if !self.tokens.insert(next.clone()) {
            return Err(format!("its list repeats itself after {} keys", self.found.len()));
        }
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyList, MOST_PAGES};
    use crate::storage::answers::{ListEntry, ListPage};

    fn page(key: &str, next: Option<&str>) -> ListPage {
        let contents = vec![ListEntry { key: key.to_owned(), size: 1 }];
        ListPage { contents, next_continuation_token: next.map(str::to_owned) }
    }

    #[test]
    fn a_listing_ends_with_its_last_page_or_with_an_error() {
        let mut whole = KeyList::default();
        assert_eq!(whole.add(page("a", Some("1"))), Ok(Some("1".to_owned())));
        assert_eq!(whole.add(page("b", None)), Ok(None));
        assert_eq!(whole.found.len(), 2);
        let mut circle = KeyList::default();
        for token in ["1", "2", "3"] {
            circle.add(page("a", Some(token))).expect(token);
        }
        assert_eq!(circle.add(page("a", Some("2"))), Err("its list repeats itself after 4 keys".to_owned()));
        let mut endless = KeyList::default();
        let pages = (0..).take_while(|number| endless.add(page("a", Some(&number.to_string()))).is_ok()).count();
        assert_eq!(pages, MOST_PAGES);
        let mut long = KeyList::default();
        let key = "x".repeat(1 << 20);
        let pages = (0..).take_while(|number| long.add(page(&key, Some(&number.to_string()))).is_ok()).count();
        assert_eq!(pages, 64);
    }
}
