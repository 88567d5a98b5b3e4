//! A stream in its style, with one process or the ranks of mpirun as its writers.

use std::time::{Duration, Instant};

use super::style::{Style, Styler};
use super::tags::{Untagger, untagged};

/// The state that turns the bytes of a stream into lines in a style.
#[derive(Debug)]
pub(super) struct StyledStream {
    style: Style,
    writers: Writers,
}

/// The writers of a stream.
#[derive(Debug)]
enum Writers {
    One(Styler),
    Tagged(Box<Untagger>),
}

impl StyledStream {
    pub(super) fn new(style: Style) -> StyledStream {
        let writers = match style.tags.clone() {
            Some(tags) => Writers::Tagged(Box::new(Untagger::new(style.clone(), tags))),
            None => Writers::One(Styler::new(style.clone())),
        };
        StyledStream { style, writers }
    }

    /// Returns true if bytes are passed on unchanged.
    pub(super) fn is_plain(&self) -> bool {
        self.style.is_plain()
    }

    /// Returns the time for which a line without an end is held back.
    pub(super) fn partial_line_delay(&self) -> Duration {
        self.style.partial_line_delay()
    }

    /// Appends the lines of `input`, with their changes, to `output`. The last line may be unfinished.
    pub(super) fn style(&mut self, input: &[u8], now: Instant, output: &mut Vec<u8>) {
        match &mut self.writers {
            Writers::One(styler) => styler.style(input, now, output),
            Writers::Tagged(untagger) => untagger.style(input, now, output),
        }
    }

    /// Returns true if unfinished lines are held that are no longer in the stream's own buffer.
    pub(super) fn holds_lines(&self) -> bool {
        match &self.writers {
            Writers::One(_) => false,
            Writers::Tagged(untagger) => untagger.holds(),
        }
    }

    /// Adds the lines that were held back for too long.
    pub(super) fn flush(&mut self, now: Instant, output: &mut Vec<u8>) {
        if let Writers::Tagged(untagger) = &mut self.writers {
            untagger.flush(now, output);
        }
    }

    /// Adds the bytes that are still held back when the stream has ended.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        match &mut self.writers {
            Writers::One(styler) => styler.finish(output),
            Writers::Tagged(untagger) => untagger.finish(Instant::now(), output),
        }
    }

    /// Returns the record of a stream in a readable form, for the judge.
    pub(super) fn readable(&self, record: Vec<u8>) -> Vec<u8> {
        match &self.style.tags {
            Some(tags) => untagged(&record, tags),
            None => record,
        }
    }
}
