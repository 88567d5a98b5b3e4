//! The stacks of a process, as one of the means has read them.

use super::call::StackCall;
use crate::event::StackMethod;

/// The maximum number of threads per process, and of calls per thread, that are kept.
pub(super) const MAX_THREADS: usize = 64;
pub(super) const MAX_FRAMES: usize = 100;

/// The stacks of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStacks {
    /// The process.
    pub pid: i32,
    /// The name of the process, as the kernel reports it.
    pub name: String,
    /// The means by which they were read.
    pub method: StackMethod,
    /// The threads, the main thread first.
    pub threads: Vec<ThreadStack>,
}

/// The stack of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadStack {
    /// The name; empty if it is not known.
    pub name: String,
    /// The calls, the innermost first.
    pub frames: Vec<StackCall>,
}

impl ProcessStacks {
    /// Makes the stacks of a process, cut to the limits. `main` is the index of the main thread among the threads.
    pub(super) fn new(
        (pid, name): (i32, &str),
        method: StackMethod,
        mut threads: Vec<ThreadStack>,
        main: usize,
    ) -> ProcessStacks {
        if main < threads.len() {
            let main = threads.remove(main);
            threads.insert(0, main);
        }
        threads.truncate(MAX_THREADS);
        threads.iter_mut().for_each(|thread| thread.frames.truncate(MAX_FRAMES));
        ProcessStacks { pid, name: name.to_owned(), method, threads }
    }

    /// Returns the calls of the main thread.
    pub fn main(&self) -> &[StackCall] {
        self.threads.first().map_or(&[], |thread| &thread.frames)
    }

    /// Returns true if these are calls of Python rather than of the kernel.
    pub fn is_python(&self) -> bool {
        self.method != StackMethod::Kernel
    }
}
