//! What a program, and the ranks that it started, wrote last to one of their two streams.

/// How much of it all is kept together where there are several.
pub const RECORD_SIZE: usize = 1 << 20;

/// The ends of the streams, gathered as they end: the program's own, and after it those of ranks, by their names.
#[derive(Debug)]
pub(super) struct Record {
    names: Vec<Vec<u8>>,
    parts: Vec<Option<Vec<u8>>>,
    whole: Option<Vec<u8>>,
}

impl Record {
    /// None has ended yet.
    pub(super) fn new(names: Vec<Vec<u8>>) -> Record {
        Record { parts: vec![None; names.len() + 1], names, whole: None }
    }

    /// How many there are.
    pub(super) fn parts(&self) -> usize {
        self.names.len() + 1
    }

    /// One has ended.
    pub(super) fn end(&mut self, part: usize, bytes: Vec<u8>) {
        let Some(ended) = self.parts.get_mut(part) else { return };
        *ended = Some(bytes);
        if self.parts.iter().all(Option::is_some) {
            self.whole = Some(self.join());
        }
    }

    /// All of it, once everything has ended.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.whole.as_deref()
    }

    /// The same, or nothing.
    pub(super) fn take(self) -> Vec<u8> {
        self.whole.unwrap_or_default()
    }

    /// Puts before it what ranks wrote that have records of their own.
    pub(super) fn add_ranks<'a>(&mut self, ranks: impl ExactSizeIterator<Item = (&'a [u8], &'a Record)>) {
        let own = self.whole.take().unwrap_or_default();
        self.whole = Some(joined(own, ranks.map(|(name, record)| (name, record.whole().unwrap_or_default()))));
    }

    /// The lines of ranks, and then the program's own.
    fn join(&mut self) -> Vec<u8> {
        let mut parts = std::mem::take(&mut self.parts).into_iter().map(Option::unwrap_or_default);
        let own = parts.next().unwrap_or_default();
        let parts: Vec<Vec<u8>> = parts.collect();
        joined(own, self.names.iter().zip(&parts).map(|(name, part)| (&name[..], &part[..])))
    }
}

/// The lines of ranks, each with its rank's name, and then the program's own: what it reports comes last.
fn joined<'a>(own: Vec<u8>, ranks: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    if ranks.len() == 0 {
        return own;
    }
    let most = RECORD_SIZE / (ranks.len() + 1);
    let mut joined = Vec::new();
    for (name, part) in ranks {
        let from = part.len().saturating_sub(most);
        for line in part[from..].split_inclusive(|byte| *byte == b'\n') {
            joined.extend_from_slice(name);
            joined.extend_from_slice(line);
        }
        if joined.last().is_some_and(|byte| *byte != b'\n') {
            joined.push(b'\n');
        }
    }
    joined.extend(own);
    joined
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn the_record_of_several_streams_says_whose_lines_they_are() {
        let mut record = Record::new(vec![b"[algo-1:0] ".to_vec(), b"[algo-1:1] ".to_vec()]);
        record.end(2, b"a\nb".to_vec());
        record.end(0, b"own\n".to_vec());
        assert_eq!(record.whole(), None);
        record.end(1, Vec::new());
        assert_eq!(record.whole(), Some(&b"[algo-1:1] a\n[algo-1:1] b\nown\n"[..]));

        let mut record = Record::new(Vec::new());
        record.end(0, b"as it is".to_vec());
        assert_eq!(record.take(), b"as it is");
    }
}
