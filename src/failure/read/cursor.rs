//! The position of a reader in the lines of one writer.

/// The lines of one writer, and the position of the next line to read.
pub(super) struct Cursor<'l> {
    pub(super) lines: &'l [&'l str],
    /// The index of the next line.
    pub(super) at: usize,
    /// The index of the first line that no traceback has taken yet. No reader looks back beyond it.
    pub(super) floor: usize,
    /// True if the interpreter ignored the exception that is being read. The program's next output then follows
    /// directly.
    pub(super) is_ignored: bool,
}

impl<'l> Cursor<'l> {
    /// Returns the next line; `None` at the end.
    pub(super) fn line(&self) -> Option<&'l str> {
        self.lines.get(self.at).copied()
    }

    /// Returns the line before the next one; `None` if another traceback has taken it.
    pub(super) fn above(&self) -> Option<&'l str> {
        (self.at > self.floor).then(|| self.lines[self.at - 1])
    }

    /// Returns the next line and moves past it.
    pub(super) fn take(&mut self) -> Option<&'l str> {
        let line = self.line()?;
        self.at += 1;
        Some(line)
    }

    /// Returns the next line and moves past it, if the line satisfies a condition.
    pub(super) fn take_if(&mut self, accept: impl FnOnce(&str) -> bool) -> Option<&'l str> {
        let line = self.line().filter(|line| accept(line))?;
        self.at += 1;
        Some(line)
    }

    /// Moves past empty lines.
    pub(super) fn skip_empty(&mut self) {
        while self.take_if(str::is_empty).is_some() {}
    }

    /// Returns the index of the first of the next `most` lines that satisfies a condition.
    pub(super) fn find(&self, most: usize, accept: impl Fn(&str) -> bool) -> Option<usize> {
        let end = self.lines.len().min(self.at + most);
        (self.at..end).find(|&at| accept(self.lines[at]))
    }
}
