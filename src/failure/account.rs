//! An account: one explanation of a failure.

use crate::event::{CauseDetail, SourcePlace};

use super::lines::{Log, Writer};
use super::noise;

/// The part of the evidence that an account was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AccountSource {
    /// An exception.
    Exception,
    /// A fatal error as the last words of a process that was then told to end.
    LastWords,
    /// The way the process ended, or a line that it wrote.
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
    /// The writer of the lines that it was read from, if several wrote.
    pub(super) writer: Writer,
    /// The first line of stderr after those that it was read from; `None` if it was not read from stderr.
    pub(super) end: Option<usize>,
}

impl Account {
    /// Returns the account of the last words of a process that was then told to end: a line that says that it cannot go on.
    pub(super) fn of_last_words(log: &Log, line: usize) -> Account {
        let headline = noise::message(log.text(line)).to_owned();
        Account { headline, source: AccountSource::LastWords, writer: log.writer(line).clone(), ..Account::default() }
    }

    /// Returns the headline with the details.
    pub(super) fn claimed(&self) -> String {
        let details = self.details.iter().map(|detail| detail.text.as_str());
        [self.headline.as_str()].into_iter().chain(details).collect::<Vec<_>>().join("\n")
    }
}
