//! An account: one explanation of a failure.

use crate::event::{CauseDetail, Ending, SourcePlace};

use super::lines::{Log, Writer};
use super::noise;
use super::runtime::ErrorLine;

/// The part of the evidence that an account is based on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AccountSource {
    /// An exception.
    Exception,
    /// The fatal error in the last line that a process wrote before it was told to end.
    LastWords,
    /// The way in which the process ended, or a line that it wrote.
    #[default]
    Other,
}

/// One explanation of the failure, from one part of the evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) headline: String,
    pub(super) source: AccountSource,
    pub(super) details: Vec<CauseDetail>,
    pub(super) place: Option<SourcePlace>,
    pub(super) thread: Option<String>,
    /// The writer of the lines that the account was read from, if there are several writers.
    pub(super) writer: Writer,
    /// The index of the first line of stderr after those that the account was read from. `None` if it was not read from
    /// stderr.
    pub(super) end: Option<usize>,
}

impl Account {
    /// Returns the account of a process whose last line, written before it was told to end, states that it cannot
    /// continue.
    pub(super) fn of_last_words(log: &Log, line: usize) -> Account {
        let headline = noise::message(log.text(line)).to_owned();
        Account { headline, source: AccountSource::LastWords, writer: log.writer(line).clone(), ..Account::default() }
    }

    /// Returns an account that is based on a line of stderr.
    pub(super) fn of_line(stderr: &Log, found: ErrorLine) -> Account {
        Account {
            headline: found.headline,
            place: found.place,
            writer: stderr.writer(found.line).clone(),
            end: Some(found.line + 1),
            ..Account::default()
        }
    }

    /// Returns the account of an exit without any output about the reason.
    pub(super) fn of_silent_exit(code: i32) -> Account {
        let headline = format!("{}, with no error printed", Ending::Exited(code));
        Account { headline, end: Some(0), ..Account::default() }
    }

    /// Returns the account of an exit with a code that stands for the signal that killed a child process.
    pub(super) fn of_killed_child(code: i32, number: i32) -> Account {
        let headline =
            format!("{} (-{number}): a child process was {}", Ending::Exited(code), Ending::Signaled(number));
        Account { headline, end: Some(0), ..Account::default() }
    }

    /// Returns the headline with the details.
    pub(super) fn claimed(&self) -> String {
        let details = self.details.iter().map(|detail| detail.text.as_str());
        [self.headline.as_str()].into_iter().chain(details).collect::<Vec<_>>().join("\n")
    }
}
