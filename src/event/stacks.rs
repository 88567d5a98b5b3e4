//! The stacks of ranks, in the form in which hosts exchange them and the run record keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The means by which stacks were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackMethod {
    /// The memory of each process.
    Memory,
    /// Python's own `faulthandler`, which answers a signal.
    Faulthandler,
    /// The kernel's function in which a process waits, by `/proc`.
    Kernel,
}

impl fmt::Display for StackMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StackMethod::Memory => "memory",
            StackMethod::Faulthandler => "faulthandler",
            StackMethod::Kernel => "/proc",
        })
    }
}

/// Ranks that are all at one place in the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankGroup {
    /// The ranks, in order.
    pub ranks: Vec<usize>,
    /// The calls, the innermost first, each as `function (file:line)`.
    pub stack: Vec<String>,
    /// The innermost call in the user's code.
    pub place: Option<StackPlace>,
    /// The function of a library in which the ranks wait for other ranks, such as `all_reduce`.
    pub wait: Option<String>,
    /// The time since the last output of the rank that has been silent longest, in milliseconds.
    pub silent_ms: u64,
}

/// A call in the user's code. Its display form is `function (file:line)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackPlace {
    /// The function.
    pub function: String,
    /// The file, relative to the folder of the user's code if it lies in that folder; empty for a function of the kernel.
    pub file: String,
    /// The line, counted from 1; 0 if it is not known.
    pub line: u64,
}

impl fmt::Display for StackPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.function),
            (file, 0) => write!(f, "{} ({file})", self.function),
            (file, line) => write!(f, "{} ({file}:{line})", self.function),
        }
    }
}
