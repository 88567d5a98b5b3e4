//! Exceptions as the program that raised them printed them, whatever its language.

use std::ops::RangeInclusive;

use super::message;
use crate::failure::place::Frame;

/// The relation of an exception to the one before it in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::failure) enum Link {
    /// It was raised with `raise … from` the one before.
    Cause,
    /// It was raised while the one before was handled.
    Context,
    /// It stands in the message of the one before, which only passes it on from another process.
    Within,
}

/// An exception of a traceback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::failure) struct Raised {
    /// The name of its type, qualified as it was printed; empty if the message says all.
    pub(in crate::failure) name: String,
    /// Its message, of one line or several.
    pub(in crate::failure) message: String,
    /// The calls, the outermost first.
    pub(in crate::failure) frames: Vec<Frame>,
    /// The source line of its innermost call; empty if it was not printed.
    pub(in crate::failure) source: String,
    /// The exceptions in it and in its inner groups, if it is a group.
    pub(in crate::failure) members: Vec<Raised>,
    /// Its relation to the exception before it in its chain; `None` for the first one.
    pub(in crate::failure) link: Option<Link>,
}

impl Raised {
    /// Returns `Type: message`, as Python prints it.
    pub(in crate::failure) fn headline(&self) -> String {
        self.named(&self.message)
    }

    /// Returns the lines for a headline and the rest of the message.
    pub(in crate::failure) fn divided(&self) -> (String, String) {
        let (first, rest) = message::divide(&self.message);
        (self.named(&first), rest)
    }

    /// Returns the number of lines within which another exception follows that this one only passes on; `None` if it
    /// passes on none.
    pub(super) fn passes_on(&self) -> Option<usize> {
        // Rules and the cell of a notebook may stand between.
        const WRAPPERS: [&str; 4] =
            ["RemoteTraceback", "ProcessRaisedException", "PapermillExecutionError", "CellExecutionError"];
        const WITHIN: usize = 40;
        const NEAR: usize = 3;
        if WRAPPERS.iter().any(|name| self.name.ends_with(name)) {
            Some(WITHIN)
        } else {
            self.message.ends_with(':').then_some(NEAR)
        }
    }

    /// Returns true if the exception is the form in which Ray passes on that of a task, or of an actor's `__init__`, on some
    /// host. The calls of the task follow, and then the task's exception.
    pub(in crate::failure) fn is_of_remote_task(&self) -> bool {
        let name = self.name.split('(').next().unwrap_or_default();
        match name.rsplit('.').next() {
            Some("RayTaskError") => true,
            Some("ActorDiedError" | "RayActorError") => self.message.contains("an error raised in its creation task"),
            _ => false,
        }
    }

    /// Returns true if a library only reports by the exception that a run which it started has failed.
    pub(super) fn is_report_of_run(&self) -> bool {
        matches!(self.name.rsplit('.').next(), Some("TrainingFailedError" | "WorkerGroupError"))
    }

    fn named(&self, message: &str) -> String {
        match (self.name.is_empty(), message.is_empty()) {
            (true, _) => message.to_owned(),
            (_, true) => self.name.clone(),
            _ => format!("{}: {message}", self.name),
        }
    }
}

/// The part of the program that printed a traceback, which decides its meaning for the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::failure) enum Origin {
    /// The interpreter, about an exception that nothing caught; or the script in this form.
    Main,
    /// A logger, after a record of level error: the exception was caught.
    Logged,
    /// The threading module: the named thread ended, and the process went on.
    Thread(String),
    /// The multiprocessing module: the named child process ended.
    Child(String),
    /// The interpreter, about an exception that it ignored.
    Ignored,
}

/// A complete traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::failure) struct Traceback {
    pub(in crate::failure) origin: Origin,
    /// The chain of exceptions in the order in which they were printed, never empty. The last one ended the process.
    pub(in crate::failure) chain: Vec<Raised>,
    /// Its lines in the log, from the first to the last; other writers' lines may be among them.
    pub(in crate::failure) lines: RangeInclusive<usize>,
    /// The index of its writer in [`Log::writers`](super::super::lines::Log::writers).
    pub(in crate::failure) writer: usize,
}

impl Traceback {
    /// Returns the last exception of the chain.
    pub(in crate::failure) fn last(&self) -> &Raised {
        self.chain.last().expect("a chain has an exception")
    }
}

/// The interpreter's report of a fatal error or a deadly signal (the faulthandler module).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::failure) struct Fatal {
    /// The line that names the error, such as `Fatal Python error: Segmentation fault`.
    pub(in crate::failure) error: String,
    /// The calls of the thread in which it happened, the outermost first.
    pub(in crate::failure) frames: Vec<Frame>,
}

/// The exceptions that were read at a cursor.
#[derive(Debug)]
pub(super) struct Reading {
    /// The chain of exceptions in the order of [`Traceback::chain`].
    pub(super) chain: Vec<Raised>,
    /// The index of the first line, if that is before the line at which the form was recognized.
    pub(super) first: Option<usize>,
    /// The part of the program that printed it, if the form tells.
    pub(super) origin: Option<Origin>,
}

impl Reading {
    /// Returns exceptions that begin at the line at which their form was recognized.
    pub(super) fn here(chain: Vec<Raised>) -> Reading {
        Reading { chain, first: None, origin: None }
    }
}
