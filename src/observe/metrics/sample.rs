//! The beginning and the end of a job's output, for a search for lines that look like a pattern.

use std::collections::VecDeque;

/// The size of the beginning and of the end, in bytes each.
const SIZE: usize = 32 << 10;

/// The beginning and the end of the output.
#[derive(Debug, Default)]
pub(super) struct Sample {
    first: Vec<u8>,
    last: VecDeque<u8>,
}

impl Sample {
    /// Adds output.
    pub(super) fn add(&mut self, output: &[u8]) {
        let (first, rest) = output.split_at(output.len().min(SIZE - self.first.len()));
        self.first.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(SIZE)..];
        let surplus = (self.last.len() + rest.len()).saturating_sub(SIZE);
        self.last.drain(..surplus);
        self.last.extend(rest);
    }

    /// Returns the beginning and the end of the output.
    pub(super) fn text(&self) -> String {
        let (one, other) = self.last.as_slices();
        String::from_utf8_lossy(&[&self.first[..], b"\n", one, other].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZE, Sample};

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let mut sample = Sample::default();
        sample.add(b"begin\n");
        for number in 0..100_000 {
            sample.add(format!("line {number}\n").as_bytes());
        }
        let text = sample.text();
        assert!(text.starts_with("begin\nline 0\n"));
        assert!(text.ends_with("line 99998\nline 99999\n"));
        assert_eq!(text.len(), 2 * SIZE + 1);
    }
}
