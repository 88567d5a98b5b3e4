//! The search of a job's output for the values of metrics.

use std::borrow::Cow;
use std::ops::Range;

use super::compiled::CompiledMetric;
use super::finder::Finder;
use super::rarity::Rarity;
use super::windows::Windows;

/// The size of the beginning of the output that shows which texts are rare, in bytes.
const SAMPLE: usize = 64 << 10;

/// The number of bytes per line tried in vain below which the windows are chosen again. It means that about 5 % of
/// the lines are tried in vain.
const BYTES_FOR_EACH_VAIN_LINE: usize = 2000;

/// The number of bytes after which the windows are rated.
const TRIAL: usize = 4 << 20;

/// The maximum number of times that windows are chosen.
const MAX_CHOICES: u32 = 10;

/// A match of a definition in a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<'a> {
    /// The number of the definition.
    pub(super) number: usize,
    /// The line, without the end of line.
    pub(super) line: &'a str,
    /// The range of the first group in the line.
    pub(super) group: Range<usize>,
}

/// Scans blocks of output.
#[derive(Debug)]
pub(super) struct Scanner {
    definitions: Vec<CompiledMetric>,
    finder: Finder,
    choice: Choice,
    /// For each definition, the number of the line on which it was last tried.
    tried: Vec<u64>,
    line: u64,
}

/// The state of the choice of windows.
#[derive(Debug)]
struct Choice {
    /// The beginning of the output, until it is long enough.
    sample: Vec<u8>,
    /// The number of choices so far.
    number: u32,
    /// The number of bytes, and of lines tried in vain, since the last choice.
    bytes: usize,
    vain: usize,
}

impl Scanner {
    /// Makes a scanner for these definitions.
    pub(super) fn new(definitions: Vec<CompiledMetric>) -> Scanner {
        Scanner {
            finder: finder(&definitions, &Rarity::typical()),
            choice: Choice { sample: Vec::new(), number: 0, bytes: 0, vain: 0 },
            tried: vec![0; definitions.len()],
            line: 0,
            definitions,
        }
    }

    /// Returns the definitions.
    pub(super) fn definitions(&self) -> &[CompiledMetric] {
        &self.definitions
    }

    /// Searches a block of whole lines for values. Calls `found` once for each definition that matches a line, with
    /// its first match.
    pub(super) fn scan(&mut self, block: &[u8], mut found: impl FnMut(&CompiledMetric, &Found<'_>)) {
        self.finder.begin();
        let mut at = 0;
        while let Some(hit) = self.finder.next(block, at) {
            let start = memchr::memrchr(b'\n', &block[at..hit]).map_or(at, |end| at + end + 1);
            let end = memchr::memchr(b'\n', &block[hit..]).map_or(block.len(), |end| hit + end);
            let whole = &block[start..end];
            let matched = if memchr::memchr(b'\r', whole).is_none() {
                self.try_line(whole, hit - start, &mut found)
            } else {
                // A carriage return ends a line too.
                let lines = whole.split(|byte| *byte == b'\r').filter(|line| !line.is_empty());
                lines.filter(|line| self.try_line(line, 0, &mut found)).count() > 0
            };
            self.choice.vain += usize::from(!matched);
            at = end + 1;
            if at >= block.len() {
                break;
            }
        }
        self.learn(block);
    }

    /// Tries the definitions that may match a line. The line contains no text before `first`. Returns true if one
    /// matches.
    fn try_line(&mut self, line: &[u8], first: usize, found: &mut impl FnMut(&CompiledMetric, &Found<'_>)) -> bool {
        self.line += 1;
        let text = match std::str::from_utf8(line) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(line),
        };
        let Scanner { definitions, finder, tried, line: number, .. } = self;
        let mut matched = false;
        finder.patterns_of(&line[first..], |definition| {
            if std::mem::replace(&mut tried[definition], *number) == *number {
                return;
            }
            let (number, definition) = (definition, &definitions[definition]);
            let Some(group) = definition.core.search(&text) else { return };
            matched = true;
            if let Some(group) = group {
                found(definition, &Found { number, line: &text, group });
            }
        });
        matched
    }

    /// Chooses other windows once the job's own output is known, and again if they occur too often.
    fn learn(&mut self, block: &[u8]) {
        let choice = &mut self.choice;
        if choice.number == 0 {
            choice.sample.extend_from_slice(&block[..block.len().min(SAMPLE - choice.sample.len())]);
            if choice.sample.len() < SAMPLE {
                return;
            }
        } else {
            choice.bytes += block.len();
            if choice.bytes < TRIAL || choice.number >= MAX_CHOICES {
                return;
            }
            if choice.vain < choice.bytes / BYTES_FOR_EACH_VAIN_LINE {
                (choice.bytes, choice.vain) = (0, 0);
                return;
            }
        }
        let sample = std::mem::take(&mut choice.sample);
        let sample = if sample.is_empty() { &block[block.len().saturating_sub(SAMPLE)..] } else { &sample };
        (choice.number, choice.bytes, choice.vain) = (choice.number + 1, 0, 0);
        self.finder = finder(&self.definitions, &Rarity::of(sample));
    }
}

fn finder(definitions: &[CompiledMetric], rarity: &Rarity) -> Finder {
    let windows: Vec<_> = definitions.iter().map(|definition| Windows::of(&definition.hir, rarity)).collect();
    Finder::new(&windows)
}

#[cfg(test)]
mod tests {
    use super::{CompiledMetric, SAMPLE, Scanner, TRIAL};
    use crate::job::config::MetricDefinition;

    fn scanner(patterns: &[&str]) -> Scanner {
        let given =
            patterns.iter().map(|pattern| MetricDefinition { name: (*pattern).into(), pattern: (*pattern).into() });
        Scanner::new(given.map(|given| CompiledMetric::compile(&given).expect("a pattern")).collect())
    }

    fn values(scanner: &mut Scanner, block: &[u8]) -> Vec<(usize, String)> {
        let mut values = Vec::new();
        scanner.scan(block, |_, found| values.push((found.number, found.line[found.group.clone()].to_owned())));
        values.sort();
        values
    }

    #[test]
    fn each_definition_gives_its_first_match_of_a_line() {
        let mut scanner = scanner(&[r"loss=(\S+)", r"f1=(\d+)", r"(\d+) %", r"x(y)?="]);
        let block = b"loss=1 loss=2\nnothing\nf1=7 f1=8 50 %\rloss=3\n\nx=\n loss=\xff\n";
        let found = values(&mut scanner, block);
        let expected = [(0, "1"), (0, "3"), (0, "\u{fffd}"), (1, "7"), (2, "50")];
        assert_eq!(found, expected.map(|(at, text)| (at, text.to_owned())));
    }

    #[test]
    fn values_are_found_before_and_after_the_windows_are_chosen_anew() {
        let patterns = [r"step (\d+)", r"loss: ([0-9.]+)", r"zz=(\d)"];
        let mut scanner = scanner(&patterns);
        let line = b"the loss of this step is not a loss; loss: 0.5 at step 12\n";
        let block = line.repeat(200);
        let mut seen = 0;
        let mut scanned = 0;
        while scanned < SAMPLE + 2 * TRIAL {
            seen += values(&mut scanner, &block).len();
            scanned += block.len();
        }
        assert!(scanner.choice.number >= 1);
        assert_eq!(seen, 2 * scanned / line.len());
        // The words now appear in every line, and the windows stay those of the patterns.
        let vain = b"loss of step\n".repeat(100_000);
        for _ in 0..8 {
            assert_eq!(values(&mut scanner, &vain), []);
        }
        assert_eq!(values(&mut scanner, b"zz=3 loss: 1\n").len(), 2);
    }
}
