//! The search for the lines of a block that may match a pattern.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, packed};
use memchr::memmem;

use super::windows::Windows;

/// The length below which a text is searched for on its own. Together with others, it would slow the common search
/// down.
const SHORT: usize = 3;

/// Finds lines that contain a window of a pattern, and reports the patterns.
#[derive(Debug)]
pub(super) struct Finder {
    /// Searches a block for all longer windows at once.
    search: Search,
    /// The searches for short windows, each with the position of its next occurrence in the current block.
    short: Vec<(memmem::Finder<'static>, Next)>,
    /// Finds all windows of a line. `None` if there are none.
    on_line: Option<AhoCorasick>,
    /// The patterns of each window.
    owners: Vec<Vec<usize>>,
    /// The patterns without windows, which must be tried on every line.
    always: Vec<usize>,
}

#[derive(Debug)]
enum Search {
    Nothing,
    /// A search with vector instructions of the processor, for up to about 60 texts.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// The place of the next text in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Unknown,
    At(usize),
    Nowhere,
}

impl Finder {
    /// Makes a finder from the windows of each pattern.
    pub(super) fn new(windows: &[Option<Windows>]) -> Finder {
        let mut texts: Vec<&[u8]> =
            windows.iter().flatten().flat_map(|windows| &windows.texts).map(|text| &text[..]).collect();
        texts.sort_unstable();
        texts.dedup();
        let has = |windows: &Option<Windows>, text: &[u8]| {
            windows.as_ref().is_some_and(|windows| windows.texts.iter().any(|own| own == text))
        };
        let owners =
            texts.iter().map(|text| (0..windows.len()).filter(|at| has(&windows[*at], text)).collect()).collect();
        let always = (0..windows.len()).filter(|at| windows[*at].is_none()).collect();
        let (short, long): (Vec<&[u8]>, Vec<&[u8]>) = texts.iter().partition(|text| text.len() < SHORT);
        let automaton =
            |texts: &[&[u8]], form, kind| AhoCorasick::builder().kind(Some(form)).match_kind(kind).build(texts).ok();
        let packed = packed::Config::new().builder().extend(&long).build();
        let search = match packed {
            _ if long.is_empty() => Search::Nothing,
            Some(packed) => Search::Packed(packed),
            None => automaton(&long, AhoCorasickKind::DFA, MatchKind::LeftmostFirst)
                .map_or(Search::Nothing, Search::Automaton),
        };
        Finder {
            search,
            short: short.iter().map(|text| (memmem::Finder::new(text).into_owned(), Next::Unknown)).collect(),
            // This automaton sees few lines, and needs much less memory than the faster form.
            on_line: if texts.is_empty() {
                None
            } else {
                automaton(&texts, AhoCorasickKind::ContiguousNFA, MatchKind::Standard)
            },
            owners,
            always,
        }
    }

    /// Begins another block.
    pub(super) fn begin(&mut self) {
        self.short.iter_mut().for_each(|(_, next)| *next = Next::Unknown);
    }

    /// Returns the position of the first text at or after `from`. The line that contains it must be tried.
    pub(super) fn next(&mut self, block: &[u8], from: usize) -> Option<usize> {
        if !self.always.is_empty() {
            return (from < block.len()).then_some(from);
        }
        let rest = &block[from..];
        let mut first = match &self.search {
            Search::Nothing => None,
            Search::Packed(packed) => packed.find(rest).map(|found| from + found.start()),
            Search::Automaton(automaton) => automaton.find(rest).map(|found| from + found.start()),
        };
        for (finder, next) in &mut self.short {
            if *next == Next::Unknown || matches!(*next, Next::At(at) if at < from) {
                *next = finder.find(rest).map_or(Next::Nowhere, |found| Next::At(from + found));
            }
            if let Next::At(at) = *next {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
        }
        first
    }

    /// Calls `take` with each pattern that must be tried on a line, whose beginning, up to its first text, may be
    /// missing. A pattern may be passed more than once.
    pub(super) fn patterns_of(&self, line: &[u8], mut take: impl FnMut(usize)) {
        if let Some(on_line) = &self.on_line {
            for found in on_line.find_overlapping_iter(line) {
                self.owners[found.pattern().as_usize()].iter().for_each(|pattern| take(*pattern));
            }
        }
        self.always.iter().for_each(|pattern| take(*pattern));
    }
}
