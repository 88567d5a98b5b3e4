//! The pages of a listing, which a server may repeat without end.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::answers::{ListEntry, ListPage};

/// The maximum number of pages of a listing. A page should have at most 1,000 keys.
const MOST_PAGES: usize = 10_000;
/// The maximum size of all keys in memory, in bytes, and the size that a key takes in addition to its text.
const MOST_KEY_BYTES: usize = 128 << 20;
const KEY_OVERHEAD: usize = 48;
/// The maximum size of a key, in bytes. S3 accepts 1,024.
const LONGEST_KEY: usize = 4096;

/// The pages of a listing that have arrived.
#[derive(Default)]
pub(super) struct KeyList {
    pub found: Vec<ListEntry>,
    /// The size of all keys in memory, in bytes.
    key_bytes: usize,
    /// The hashes of the tokens of the pages so far. A token can be long.
    tokens: HashSet<u64>,
    hasher: RandomState,
}

impl KeyList {
    /// Adds a page and returns the token of the next one. `None` if it was the last.
    ///
    /// # Errors
    /// A description, if the listing repeats itself, breaks off, or has more keys than any source of code.
    pub fn add(&mut self, page: ListPage) -> Result<Option<String>, String> {
        if let Some(long) = page.contents.iter().map(|entry| entry.key.len()).find(|length| *length > LONGEST_KEY) {
            return Err(format!("its list has a key of {long} bytes"));
        }
        self.key_bytes += page.contents.iter().map(|entry| entry.key.len() + KEY_OVERHEAD).sum::<usize>();
        self.found.extend(page.contents);
        let token = page.next_continuation_token.filter(|token| !token.is_empty());
        let next = match (page.is_truncated, token) {
            (Some(false), _) | (None, None) => return Ok(None),
            (Some(true), None) => {
                return Err(format!("its list breaks off after {} keys, without a next page", self.found.len()));
            }
            (Some(true) | None, Some(next)) => next,
        };
        if self.key_bytes > MOST_KEY_BYTES || self.tokens.len() >= MOST_PAGES {
            return Err(format!("its list is too long: {} keys on {} pages", self.found.len(), self.tokens.len() + 1));
        }
        if !self.tokens.insert(self.hasher.hash_one(&next)) {
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
        ListPage { contents, is_truncated: None, next_continuation_token: next.map(str::to_owned) }
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
        let many = |number: usize| {
            let contents = (0..50_000).map(|_| ListEntry { key: "x".to_owned(), size: 1 }).collect();
            ListPage { contents, ..page("a", Some(&number.to_string())) }
        };
        let pages = (0..).take_while(|number| long.add(many(*number)).is_ok()).count();
        assert!((40..60).contains(&pages), "{pages}");
        let key = "x".repeat(1 << 20);
        assert_eq!(KeyList::default().add(page(&key, None)), Err("its list has a key of 1048576 bytes".to_owned()));
    }

    #[test]
    fn a_page_says_if_it_is_the_last() {
        let next =
            |is_truncated, token: Option<&str>| KeyList::default().add(ListPage { is_truncated, ..page("a", token) });
        for (is_truncated, token) in
            [(Some(false), None), (Some(false), Some("")), (Some(false), Some("t")), (None, None), (None, Some(""))]
        {
            assert_eq!(next(is_truncated, token), Ok(None), "{is_truncated:?} {token:?}");
        }
        assert_eq!(next(Some(true), Some("t")), Ok(Some("t".to_owned())));
        for token in [None, Some("")] {
            assert_eq!(
                next(Some(true), token),
                Err("its list breaks off after 1 keys, without a next page".to_owned())
            );
        }
    }
}
