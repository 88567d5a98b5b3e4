//! The last output of a member, gathered as its streams end.

use crate::event::{Output, Process, RankOutput};
use crate::logs::StreamId;

/// The streams of a member. Its own come first, followed by those of ranks that it starts and that are not members
/// themselves.
#[derive(Debug)]
pub(super) struct Streams {
    /// The number under which the relay knows the process that the streams belong to.
    process: usize,
    /// The relay's part number of the first stream.
    first_part: usize,
    /// The attempt at running the ranks.
    attempt: u32,
    /// The ranks of the streams after the first.
    ranks: Vec<usize>,
    /// The last bytes of standard output and standard error of each part. `None` until the stream has ended.
    parts: Vec<[Option<Vec<u8>>; 2]>,
}

impl Streams {
    pub(super) fn new(process: usize, first_part: usize, attempt: u32, ranks: Vec<usize>) -> Streams {
        let parts = vec![[None, None]; ranks.len() + 1];
        Streams { process, first_part, attempt, ranks, parts }
    }

    /// Returns the position of a stream's part, if the stream belongs to the member.
    fn part_of(&self, id: StreamId) -> Option<usize> {
        let part = id.part.checked_sub(self.first_part).filter(|part| *part < self.parts.len())?;
        (id.process == self.process && id.attempt == self.attempt).then_some(part)
    }

    /// Returns the writer of a stream: the member itself or a rank that it starts. `None` if the stream does not
    /// belong to the member.
    pub(super) fn writer(&self, id: StreamId, own: &Process) -> Option<Process> {
        Some(match self.part_of(id)? {
            0 => own.clone(),
            part => Process::Rank(self.ranks[part - 1]),
        })
    }

    /// Returns every stream.
    pub(super) fn ids(&self) -> impl Iterator<Item = StreamId> {
        let (process, attempt) = (self.process, self.attempt);
        let parts = self.first_part..self.first_part + self.parts.len();
        parts.flat_map(move |part| [false, true].map(|is_stderr| StreamId { process, part, is_stderr, attempt }))
    }

    /// Takes the last bytes of a stream that has ended, and returns true if that was the last stream.
    pub(super) fn end(&mut self, id: StreamId, bytes: Vec<u8>) -> bool {
        if let Some(part) = self.part_of(id) {
            self.parts[part][usize::from(id.is_stderr)] = Some(bytes);
        }
        self.parts.iter().flatten().all(Option::is_some)
    }

    /// Returns the last output. Streams that have not ended count as empty.
    pub(super) fn output(&self) -> Output {
        let bytes = |part: usize, stream: usize| self.parts[part][stream].clone().unwrap_or_default();
        let of_rank =
            |(part, rank): (usize, &usize)| RankOutput { rank: *rank, stdout: bytes(part, 0), stderr: bytes(part, 1) };
        let ranks = (1..).zip(&self.ranks).map(of_rank).collect();
        Output { stdout: bytes(0, 0), stderr: bytes(0, 1), ranks }
    }
}

#[cfg(test)]
mod tests {
    use super::Streams;
    use crate::event::{Process, RankOutput};
    use crate::logs::StreamId;

    #[test]
    fn the_output_of_several_ranks_is_kept_by_rank() {
        let mut streams = Streams::new(7, 0, 0, vec![4, 5]);
        let id = |part, is_stderr| StreamId { process: 7, part, is_stderr, attempt: 0 };
        let ids: Vec<_> = streams.ids().collect();
        assert_eq!(ids.len(), 6);
        assert_eq!(streams.writer(id(2, true), &Process::default()), Some(Process::Rank(5)));
        assert_eq!(streams.writer(id(3, true), &Process::default()), None);
        assert_eq!(streams.writer(StreamId { process: 8, ..id(0, true) }, &Process::default()), None);
        for (at, id) in ids.iter().enumerate() {
            let is_last = streams.end(*id, format!("{} {}", id.part, id.is_stderr).into_bytes());
            assert_eq!(is_last, at == 5);
        }
        let output = streams.output();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"0 false"[..], &b"0 true"[..]));
        let last = RankOutput { rank: 5, stdout: b"2 false".to_vec(), stderr: b"2 true".to_vec() };
        assert_eq!(output.ranks[1], last);
    }
}
