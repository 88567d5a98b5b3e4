//! The explanation of death by a signal.

use super::ParsedEvidence;
use crate::event::{CauseDetail, DetailLabel, Ending, SourcePlace};
use crate::failure::account::{Account, AccountSource};
use crate::failure::teardown::{self, BeforeCrash};
use crate::failure::{noise, other, place, read, runtime, select};

impl ParsedEvidence<'_, '_> {
    /// Explains the end of a process that was already failing when it was told to end: it had written a traceback, or a
    /// fatal error as its last words.
    pub(super) fn was_failing(&self, number: i32) -> Option<Account> {
        let is_told = self.evidence.told_to_end
            && self.evidence.stopped.is_none()
            && matches!(number, nix::libc::SIGTERM | nix::libc::SIGKILL);
        if let Some(found) = self.best(1).filter(|_| is_told)
            && select::is_at_the_end(&self.stderr, found, &self.covered)
        {
            return Some(self.explained(found));
        }
        let written =
            [&self.stderr, &self.stdout].into_iter().find_map(|log| Some((log, other::last_line(log, 0, &[])?)));
        let (log, line) = written.filter(|(log, line)| is_told && noise::is_fatal(log.text(*line)))?;
        Some(Account::of_last_words(log, line))
    }

    /// Explains death by a signal, with the uncaught exception because of which the process was already ending.
    pub(super) fn crashed(&self, number: i32) -> Account {
        let account = self.killed(number);
        let report = self.report.as_ref();
        let before = teardown::before_crash(&self.stderr, &self.tracebacks, &self.covered, report, number);
        let Some(BeforeCrash { found, is_certain }) = before else { return account };
        // An exception that is already the headline, or that the crash repeats, needs no detail.
        if account.source == AccountSource::Exception || account.place.is_some() && !is_certain {
            return account;
        }
        if !is_certain {
            let details = account.details.into_iter().chain([self.beside(found)]).collect();
            return Account { details, ..account };
        }
        let own = self.explained(found);
        let then = CauseDetail { label: Some(DetailLabel::Then), text: account.headline };
        Account { details: own.details.into_iter().chain([then]).collect(), ..own }
    }

    /// Explains death by a signal. Uses the signal, the output of the program as it aborted, and the place of the
    /// interpreter.
    fn killed(&self, number: i32) -> Account {
        const ABORT: i32 = nix::libc::SIGABRT;
        let headline = Ending::Signaled(number).to_string();
        if number == nix::libc::SIGINT
            && let Some(best) = self.best(1).filter(|best| best.last().name == "KeyboardInterrupt")
        {
            return self.raised(&self.stderr, best, Some(best.lines.end() + 1));
        }
        if number == ABORT
            && let Some(found) = runtime::abort(&self.stderr)
        {
            let code_dir = self.evidence.code_dir;
            let of_same = teardown::place_of_same_error(&found, &self.stderr, &self.tracebacks, code_dir);
            let account = self.account_of(found);
            let place = account.place.clone().or_else(|| self.interpreter_at()).or(of_same);
            return Account { place, ..account };
        }
        if number == ABORT
            && let Some(headline) = runtime::crash_of_java(&self.stdout)
        {
            return Account { headline, ..Account::default() };
        }
        if matches!(number, ABORT | nix::libc::SIGILL | nix::libc::SIGTRAP)
            && runtime::aborts_for_exception(&self.stderr)
            && let Some(best) = self.best(1)
        {
            return self.raised(&self.stderr, best, Some(best.lines.end() + 1));
        }
        let place = self.interpreter_at();
        let fatal =
            read::fatal(&self.stderr).filter(|fatal| number == ABORT && fatal.error != "Fatal Python error: Aborted");
        let headline = match (fatal, self.evidence.memory) {
            (Some(fatal), _) => fatal.error,
            (None, Some(_)) if number == nix::libc::SIGKILL => format!("{headline}: out of memory"),
            (None, _) => headline,
        };
        Account { headline, place, ..Account::default() }
    }

    /// Returns the place where the interpreter was when a fatal error or a deadly signal occurred.
    fn interpreter_at(&self) -> Option<SourcePlace> {
        let fatal = read::fatal(&self.stderr).or_else(|| read::crash(&self.stderr))?;
        place::deepest(fatal.frames.iter(), self.evidence.code_dir)
    }
}
