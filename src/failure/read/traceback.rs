//! Exceptions as they were printed by the program that raised them, in any language.

use std::ops::RangeInclusive;

use super::message;
use crate::failure::place::Frame;

/// The relation of an exception to the previous one in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::failure) enum Link {
    /// The exception was raised with `raise … from` the previous one.
    Cause,
    /// The exception was raised while the previous one was being handled.
    Context,
    /// The exception is contained in the message of the previous one, which only passes it on from another process.
    Within,
}

/// An exception of a traceback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::failure) struct Raised {
    /// The name of the exception's type, qualified as it was printed. Empty if the message contains everything.
    pub(in crate::failure) name: String,
    /// The message, which may have several lines.
    pub(in crate::failure) message: String,
    /// The calls, the outermost first.
    pub(in crate::failure) frames: Vec<Frame>,
    /// The source line of the innermost call. Empty if it was not printed.
    pub(in crate::failure) source: String,
    /// If the exception is a group, the exceptions in it and in its inner groups.
    pub(in crate::failure) members: Vec<Raised>,
    /// The relation to the previous exception of the chain. `None` for the first one.
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

    /// Returns the number of lines within which another exception follows that this exception only passes on. `None` if
    /// this exception does not pass one on.
    pub(super) fn passes_on(&self) -> Option<usize> {
        // Rules and the cell of a notebook may be between the two.
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

    /// Returns true if Ray uses this exception to pass on the exception of a task, or of an actor's `__init__`, on some
    /// host. The calls of the task follow, and then the task's exception.
    pub(in crate::failure) fn is_of_remote_task(&self) -> bool {
        let name = self.name.split('(').next().unwrap_or_default();
        match name.rsplit('.').next() {
            Some("RayTaskError") => true,
            Some("ActorDiedError" | "RayActorError") => self.message.contains("an error raised in its creation task"),
            _ => false,
        }
    }

    /// Returns true if a library uses this exception only to report that a run that it started has failed.
    pub(super) fn is_report_of_run(&self) -> bool {
        matches!(self.name.rsplit('.').next(), Some("TrainingFailedError" | "WorkerGroupError"))
    }

    /// Returns true if Java uses this exception only to pass on one that was raised in a call by reflection, or while a
    /// class was initialized.
    pub(super) fn is_wrapper_of_java(&self) -> bool {
        const WRAPPERS: [&str; 3] =
            ["InvocationTargetException", "ExceptionInInitializerError", "UndeclaredThrowableException"];
        self.name.rsplit('.').next().is_some_and(|name| WRAPPERS.contains(&name))
    }

    fn named(&self, message: &str) -> String {
        match (self.name.is_empty(), message.is_empty()) {
            (true, _) => message.to_owned(),
            (_, true) => self.name.clone(),
            _ => format!("{}: {message}", self.name),
        }
    }
}

/// The part of the program that printed a traceback. It determines what the traceback means for the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::failure) enum Origin {
    /// The interpreter, which printed an uncaught exception, or the script, which printed in the interpreter's form.
    Main,
    /// A logger, after a record of level error. The exception was caught.
    Logged,
    /// The threading module. The named thread ended, and the process continued.
    Thread(String),
    /// The multiprocessing module. The named child process ended.
    Child(String),
    /// The interpreter, which ignored the exception.
    Ignored,
}

/// A complete traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::failure) struct Traceback {
    pub(in crate::failure) origin: Origin,
    /// The chain of exceptions in the order in which they were printed. It is never empty. The last one ended the
    /// process.
    pub(in crate::failure) chain: Vec<Raised>,
    /// The lines of the traceback in the log, from the first to the last. Lines of other writers may be among them.
    pub(in crate::failure) lines: RangeInclusive<usize>,
    /// The index of the writer in [`Log::writers`](super::super::lines::Log::writers).
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
    /// The calls of the thread in which the error occurred, the outermost first.
    pub(in crate::failure) frames: Vec<Frame>,
}

/// The exceptions that were read at a cursor.
#[derive(Debug)]
pub(super) struct Reading {
    /// The chain of exceptions in the order of [`Traceback::chain`].
    pub(super) chain: Vec<Raised>,
    /// The index of the first line, if it is before the line at which the form was recognized.
    pub(super) first: Option<usize>,
    /// The part of the program that printed the exceptions, if the form shows it.
    pub(super) origin: Option<Origin>,
    /// True if the program goes on after the report and may print others of its kind. The first one counts.
    pub(super) is_of_series: bool,
    /// The position in its series, if that differs from the order in which the series was printed.
    pub(super) turn: Turn,
}

/// The time at which a report of a series came, compared with those that are printed before or after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// The report came in the order in which it was printed.
    #[default]
    AsPrinted,
    /// The report came after a failure that is printed below it.
    AfterFailure,
    /// The report is a failure that is printed below all reports of another kind.
    Failure,
}

impl Reading {
    /// Returns a reading of exceptions that are one of a series.
    pub(super) fn of_series(chain: Vec<Raised>) -> Reading {
        Reading { is_of_series: true, ..Reading::here(chain) }
    }

    /// Returns a reading of exceptions that begin at the line at which their form was recognized.
    pub(super) fn here(chain: Vec<Raised>) -> Reading {
        Reading { chain, first: None, origin: None, is_of_series: false, turn: Turn::AsPrinted }
    }
}
