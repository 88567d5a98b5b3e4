//! The judgement: it derives the one cause that the user reads from the evidence.
//!
//! The ending of the process decides which evidence counts. After an exit, the cause is an uncaught exception. After
//! death by a signal, the cause is the signal, because the process survived every traceback before it, unless it crashed
//! while it was ending because of an exception.

mod killed;

use crate::event::{self, Cause, CauseDetail, CauseEnding, Collective, DetailLabel, Ending};
use crate::job::exit_code;

use super::account::{Account, AccountSource};
use super::behind::Behind;
use super::evidence::{Evidence, RankEvidence};
use super::hints::{self, HintFacts, JudgedFailure};
use super::launcher::{self, RankReport};
use super::lines::{Log, LogText, Writer};
use super::other;
use super::place;
use super::read::{self, Origin, Traceback};
use super::runtime::ErrorLine;
use super::select::{self, covered};
use super::text::one_line;
use super::weight::{Judgement, Weight};
use super::{afterwards, behind, chain, dynamic, nccl, plain, signal, signs, swallowed};

/// The evidence, with all data that several steps of the judgement derive from it.
struct ParsedEvidence<'e, 'r> {
    evidence: &'r Evidence<'e>,
    stderr: Log,
    stdout: Log,
    /// The tracebacks on stderr.
    tracebacks: Vec<Traceback>,
    /// For each line of stderr, true if it belongs to a traceback.
    covered: Vec<bool>,
    report: Option<RankReport>,
}

/// Returns the cause of a failure. This never fails: even the poorest evidence yields the exit code and the command.
pub fn cause(evidence: &Evidence<'_>) -> Cause {
    judge(evidence).cause
}

/// Returns the cause of a failure with its weight.
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    let parsed = ParsedEvidence::new(evidence);
    // A launcher's report about the rank that failed first is more informative than the launcher's exit code.
    let report = parsed.report.as_ref().filter(|report| match signal::deadly(evidence.ending) {
        None => !evidence.ending.is_success(),
        // mpirun passes on the signal that killed its rank.
        Some(number) => report.ending == Ending::Signaled(number),
    });
    let ending = report.map_or(evidence.ending, |report| report.ending);
    let aborted = launcher::aborted_by_mpich(&parsed.stderr, ending);
    let signal = signal::deadly(ending).filter(|_| aborted.is_none());
    let account = match (&evidence.error_file, signal) {
        _ if ending.is_success() => Account { headline: ending.to_string(), ..Account::default() },
        (Some(error), _) => parsed.error_file(&error.message, error.traceback.as_deref()),
        (None, Some(number)) => parsed.was_failing(number).unwrap_or_else(|| parsed.crashed(number)),
        (None, None) => parsed.exited(ending.exit_code()),
    };
    let account = parsed.with_compiler(parsed.of_rank_that_failed_first(account));
    let account = parsed.with_memory(account, signal);
    let host = launcher::host(evidence.host.as_deref(), &account.writer, report);
    let (hints, details) = if ending.is_success() {
        (Vec::new(), Vec::new())
    } else {
        (
            parsed.hints(&account, (signal, ending.exit_code()), host.as_deref()),
            parsed.details(&account, report.is_some()),
        )
    };
    let is_own = account.source != AccountSource::Other;
    let collective = parsed.collective(&account, signal);
    let differing = report.filter(|report| report.ending != evidence.ending);
    let cause = Cause {
        details,
        place: account.place,
        thread: account.thread,
        host,
        rank: evidence.rank.or(account.writer.rank).or(report.and_then(|report| report.rank)).or(aborted),
        launcher: differing.map(|report| report.launcher.to_owned()),
        rank_ending: differing.map(|report| report.ending),
        collective,
        hints,
        command: evidence.command.clone(),
        ..Cause::new(account.headline, CauseEnding::Process(evidence.ending))
    };
    let weight = if evidence.told_to_end && (!is_own || signal::is_about_a_stop(&cause.headline)) {
        Weight::Told
    } else if cause.is_consequence() {
        Weight::Consequence
    } else {
        Weight::Own
    };
    Judgement { cause, weight }
}

impl<'e, 'r> ParsedEvidence<'e, 'r> {
    fn new(evidence: &'r Evidence<'e>) -> ParsedEvidence<'e, 'r> {
        let hosts: Vec<&str> = evidence.hosts.iter().map(String::as_str).chain(evidence.host.as_deref()).collect();
        let log = |own, of_rank: fn(&RankEvidence<'e>) -> &'e [u8]| {
            let ranks: Vec<_> = evidence.ranks.iter().map(|rank| (&rank.label, of_rank(rank))).collect();
            Log::from_text(LogText { own, ranks: &ranks, hosts: &hosts, redactor: &evidence.redactor })
        };
        let stderr = log(evidence.stderr, |rank| rank.stderr);
        let stdout = log(evidence.stdout, |rank| rank.stdout);
        let tracebacks = dynamic::named(read::tracebacks(&stderr), evidence.script.as_ref());
        let covered = covered(&stderr, &tracebacks);
        let report = launcher::report(&stderr);
        ParsedEvidence { evidence, stderr, stdout, tracebacks, covered, report }
    }

    /// Explains an exit, by an uncaught exception if there is one, else by other output of the program.
    fn exited(&self, code: i32) -> Account {
        let best = self.best(code);
        let after = best.map_or(0, |best| best.lines.end() + 1);
        if code == 2
            && let Some(found) = other::argument_error(&self.stderr, after)
        {
            return self.account_of(found);
        }
        // A shell that cannot start a program reports that last, whatever failed before.
        if matches!(code, exit_code::NOT_EXECUTABLE | exit_code::NOT_FOUND)
            && let Some(found) = other::last_error(&self.stderr, after, &self.covered)
        {
            return self.account_of(found);
        }
        if let Some(best) = best {
            return self.explained(best);
        }
        let survived = select::last_survived(&self.tracebacks);
        let raised = |found| self.raised(&self.stderr, found, None);
        let of_other_thread = || select::of_other_thread(&self.stderr, &self.tracebacks, &self.covered);
        let last_resort = || select::last_resort(&self.stderr, &self.tracebacks, &self.covered);
        self.launchers_own()
            .or_else(|| self.interpreters_own())
            .or_else(|| self.printed())
            .or_else(|| (code == 1).then(|| self.before_thread()).flatten())
            .or_else(|| of_other_thread().map(raised))
            .or_else(|| other::last_error(&self.stderr, survived, &self.covered).map(|found| self.account_of(found)))
            .or_else(|| signal::negative(code).map(|number| Account::of_killed_child(code, number)))
            .or_else(|| self.notice(|end| other::last_line(&self.stderr, end, &self.covered).is_none()))
            .or_else(|| self.last_words(survived))
            .or_else(|| last_resort().map(raised))
            .or_else(|| swallowed::line(&self.stderr, survived, &self.covered).map(|found| self.account_of(found)))
            .or_else(|| plain::account(&self.stdout, self.report.as_ref(), code))
            .unwrap_or_else(|| Account::of_silent_exit(code))
    }

    /// Returns the traceback on stderr that ended a process with this exit code, if there is one.
    fn best(&self, code: i32) -> Option<&Traceback> {
        let code_dir = self.evidence.code_dir;
        select::best(&self.stderr, &self.tracebacks, &self.covered, self.report.as_ref(), code, code_dir)
    }

    /// Explains the failure by torch elastic's error file. If the file contains a traceback, the place is read from it.
    fn error_file(&self, message: &str, traceback: Option<&str>) -> Account {
        let own = traceback.unwrap_or_default().as_bytes();
        let log = Log::from_text(LogText { own, ranks: &[], hosts: &[], redactor: &self.evidence.redactor });
        match read::tracebacks(&log).last() {
            Some(found) => self.raised(&log, found, None),
            None => Account { headline: message.to_owned(), source: AccountSource::Exception, ..Account::default() },
        }
    }

    /// Explains an exit by an error of the launcher itself: mpirun lost a daemon or could not start the ranks, or a node of Ray
    /// lost a process.
    fn launchers_own(&self) -> Option<Account> {
        if let Some(headline) = launcher::lost_part(&self.stderr, &self.stdout) {
            return Some(Account { headline, ..Account::default() });
        }
        let is_mpirun = self.evidence.command.starts_with(launcher::MPIRUN);
        let is_last = |end| other::last_line(&self.stderr, end, &self.covered).is_none();
        self.notice(|_| is_mpirun)
            .or_else(|| self.notice(is_last).filter(|account| launcher::is_own_error(&account.headline)))
    }

    /// Explains an exit by a notice of Open MPI, if it counts. `counts` receives the index of the line after it.
    fn notice(&self, counts: impl Fn(usize) -> bool) -> Option<Account> {
        let (headline, end) = launcher::notice(&self.stderr).filter(|(_, end)| counts(*end))?;
        Some(Account { headline, end: Some(end), ..Account::default() })
    }

    /// Explains an exit by a fatal error of the interpreter that is not a signal: it could not start, or faulthandler
    /// ended it.
    fn interpreters_own(&self) -> Option<Account> {
        let fatal = read::fatal(&self.stderr).or_else(|| read::timed_out(&self.stderr))?;
        let place = place::deepest(fatal.frames.iter(), self.evidence.code_dir);
        Some(Account { headline: fatal.error, place, ..Account::default() })
    }

    /// Explains an exit by a traceback that the script printed to stdout.
    fn printed(&self) -> Option<Account> {
        let tracebacks = read::tracebacks(&self.stdout);
        let covered = covered(&self.stdout, &tracebacks);
        let best = select::best(&self.stdout, &tracebacks, &covered, None, 0, self.evidence.code_dir)?;
        let is_survived = select::is_followed_by_another(&self.stdout, best, &covered, (&self.stderr, &self.covered));
        (!is_survived).then(|| self.raised(&self.stdout, best, None))
    }

    /// Explains an exit by the message with which the script ended before a thread raised an exception.
    fn before_thread(&self) -> Option<Account> {
        let said = behind::exit_message(&self.stderr, &self.tracebacks, &self.covered)?;
        let thread = select::of_other_thread(&self.stderr, &self.tracebacks, &self.covered)?;
        let then = CauseDetail { label: Some(DetailLabel::Then), ..self.beside(thread) };
        Some(Account { details: vec![then], ..self.account_of(said) })
    }

    /// Explains an exit by the last words. These are the last words on stderr, whatever they are, else those on stdout
    /// that report an error. `from` is the first line of stderr that counts.
    fn last_words(&self, from: usize) -> Option<Account> {
        if let Some(found) = other::last_words(&self.stderr, from, &self.covered) {
            return Some(self.account_of(found));
        }
        let found = other::last_error(&self.stdout, 0, &[])?;
        let writer = self.stdout.writer(found.line).clone();
        Some(Account { headline: found.headline, place: found.place, writer, ..Account::default() })
    }

    /// Returns an account that is based on a line of stderr.
    fn account_of(&self, found: ErrorLine) -> Account {
        Account::of_line(&self.stderr, found)
    }

    /// Returns an account that is based on a traceback of `log`. `end` is the first line of stderr after it.
    fn raised(&self, log: &Log, found: &Traceback, end: Option<usize>) -> Account {
        let (headline, rest) = chain::headline(&found.chain);
        let rest = Some(rest).filter(|rest| !rest.is_empty()).map(|text| CauseDetail { label: None, text });
        let details = rest.into_iter().chain(chain::details(&found.chain, self.evidence.code_dir)).collect();
        let thread = match &found.origin {
            Origin::Thread(name) => Some(format!("thread {name}")),
            Origin::Child(name) => Some(format!("process {name}")),
            Origin::Main | Origin::Logged | Origin::Ignored => chain::remote_task(&found.chain),
        };
        Account {
            headline,
            source: AccountSource::Exception,
            details,
            place: chain::place(&found.chain, self.evidence.code_dir),
            thread,
            writer: log.writers[found.writer].clone(),
            end,
        }
    }

    /// Returns an account of the traceback that ended the process. If the traceback only reports the failure of another
    /// thread or process, the account begins with that failure.
    fn explained(&self, found: &Traceback) -> Account {
        let own = self.raised(&self.stderr, found, Some(found.lines.end() + 1));
        let first = match behind::behind(&self.stderr, &self.tracebacks, found, &self.covered, self.evidence.code_dir) {
            // The child's traceback may be on stdout, if its two streams were merged.
            None => match behind::reports_an_exit(found).then(|| self.printed()).flatten() {
                Some(printed) => printed,
                None => return own,
            },
            Some(Behind::Beside(other)) => {
                let beside = self.beside(other);
                return Account { details: own.details.into_iter().chain([beside]).collect(), ..own };
            }
            Some(Behind::Raised(first)) => {
                let account = self.raised(&self.stderr, first, None);
                // The program of `python -c` has no file that the user could open.
                let mut frames = first.last().frames.clone();
                frames.retain(|frame| !frame.path.starts_with('<'));
                if place::any_own(&frames, self.evidence.code_dir) {
                    account
                } else {
                    Account { place: None, ..account }
                }
            }
            Some(Behind::Printed(line)) => self.account_of(line),
        };
        let (place, text) = match (first.place, &own.place) {
            (Some(place), Some(other)) => (Some(place), format!("{} (at {other})", own.headline)),
            (place, _) => (place.or(own.place), own.headline),
        };
        let passed_on = CauseDetail { label: Some(DetailLabel::PassedOnAs), text };
        let details = first.details.into_iter().chain([passed_on]).collect();
        Account { place, details, end: own.end, writer: own.writer, source: AccountSource::Exception, ..first }
    }

    /// Returns a detail about an exception that was raised before that of the account.
    fn beside(&self, other: &Traceback) -> CauseDetail {
        let other = self.raised(&self.stderr, other, None);
        let text = match (&other.place, &other.thread) {
            (Some(place), Some(thread)) => format!("{} (at {place} in {thread})", other.headline),
            (Some(place), None) => format!("{} (at {place})", other.headline),
            _ => other.headline,
        };
        CauseDetail { label: Some(DetailLabel::BeforeIt), text }
    }

    /// Returns a detail about the exception that ended a rank, a thread or a child process before the job was stopped,
    /// if the account is only about the stop.
    fn raised_before_stop(&self, account: &Account) -> Option<CauseDetail> {
        let is_of_stop = account.source == AccountSource::Other || signal::is_about_a_stop(&account.headline);
        self.evidence.stopped.as_ref().filter(|_| is_of_stop)?;
        select::before_stop(&self.stderr, &self.tracebacks, &self.covered, &self.stdout).map(|found| self.beside(found))
    }

    /// Replaces an account that reads like a consequence if there are several ranks and another rank reports a cause.
    fn of_rank_that_failed_first(&self, account: Account) -> Account {
        if self.stderr.writers.len() < 2 || !event::reads_like_consequence(&one_line(&account.headline)) {
            return account;
        }
        let is_cause = |found: &&Traceback| !event::reads_like_consequence(&one_line(&found.last().headline()));
        if let Some(best) = self.best(1).filter(is_cause) {
            return self.explained(best);
        }
        let Some(report) = self.report.as_ref().filter(|report| report.names(&account.writer) == Some(false)) else {
            return account;
        };
        // According to the launcher, another rank failed first. That rank may have written something or nothing.
        let names = |writer: &Writer| report.names(writer) == Some(true);
        let writer = self.stderr.writers.iter().position(names).unwrap_or(0);
        let of_others =
            |log: &Log| -> Vec<bool> { log.lines.iter().map(|line| !names(&log.writers[line.writer])).collect() };
        let skipped: Vec<bool> =
            (0..self.stderr.lines.len()).map(|at| self.covered[at] || self.stderr.lines[at].writer != writer).collect();
        let said = other::last_error(&self.stderr, 0, &skipped).map(|line| self.account_of(line));
        let printed = || other::last_error(&self.stdout, 0, &of_others(&self.stdout));
        let printed =
            || printed().map(|line| Account { headline: line.headline, place: line.place, ..Account::default() });
        let last = || other::last_words(&self.stderr, 0, &skipped).map(|line| self.account_of(line));
        let code = report.ending.exit_code();
        let plain = || plain::account(&self.stdout, Some(report), code);
        let silent = || Account::of_silent_exit(code);
        let first = said.or_else(printed).or_else(last).or_else(plain).unwrap_or_else(silent);
        let writer = Writer { rank: report.rank, local_rank: report.local_rank, ..self.stderr.writers[writer].clone() };
        let then = CauseDetail { label: Some(DetailLabel::Then), text: account.headline };
        Account { details: vec![then], end: None, writer, ..first }
    }

    /// Adds the error that a compiler printed, if the headline only states that a build failed.
    fn with_compiler(&self, account: Account) -> Account {
        match signs::of_compiler(&account.headline, &self.stderr, &self.stdout, &account.writer) {
            Some(found) => Account { headline: format!("{}: {found}", account.headline), ..account },
            None => account,
        }
    }

    /// Puts at the start of the headline that the kernel killed a process of the container for lack of memory.
    fn with_memory(&self, account: Account, signal: Option<i32>) -> Account {
        // A process that was told to end may have been killed because of that, and not for lack of memory.
        let is_told = self.evidence.told_to_end && account.source == AccountSource::Other;
        if self.evidence.memory.is_none() || signal == Some(nix::libc::SIGKILL) || is_told {
            return account;
        }
        let headline =
            format!("out of memory: the kernel killed a process of the container; then {}", account.headline);
        Account { headline, ..account }
    }

    /// Returns the information that the ranks print about a collective operation that ran out of time, if that is the
    /// failure.
    fn collective(&self, account: &Account, signal: Option<i32>) -> Option<Collective> {
        let found = || nccl::collective(&self.stderr, self.evidence.rank);
        if nccl::claims_timeout(&account.claimed()) {
            return Some(found());
        }
        (signal == Some(nix::libc::SIGABRT)).then(found).filter(|found| !found.late.is_empty())
    }

    /// Returns the details of an account, and the last line that was written after it if that line adds information.
    fn details(&self, account: &Account, is_reported: bool) -> Vec<CauseDetail> {
        let mut details = account.details.clone();
        let claimed = account.claimed();
        let signs = signs::signs(&claimed, &self.stderr, &self.stdout, &account.writer);
        details.extend(self.raised_before_stop(account));
        details.extend(signs.into_iter().map(|text| CauseDetail { label: Some(DetailLabel::Logged), text }));
        // A launcher continues to write after the failure of a rank, so its last line is not the rank's.
        if is_reported || launcher::lost_part(&self.stderr, &self.stdout).is_some() {
            return details;
        }
        let end = account.end.filter(|_| account.source == AccountSource::Other).unwrap_or(0);
        let before = other::before_summary(&self.stderr, end, &self.covered).map(one_line);
        details.extend(before.map(|text| CauseDetail { label: Some(DetailLabel::BeforeIt), text }));
        let told = details.iter().map(|detail| detail.text.as_str()).chain([account.headline.as_str()]);
        let told: Vec<String> = told.map(one_line).collect();
        let is_new =
            |line: &String| !told.iter().any(|told| line.contains(told.as_str()) || told.contains(line.as_str()));
        let found = afterwards::last_line(&self.stderr, &self.stdout, account.end, &self.covered);
        let line = found.map(one_line).filter(is_new);
        details.extend(line.map(|text| CauseDetail { label: Some(DetailLabel::LastLine), text }));
        details
    }

    /// Returns the hints for an account of a process that ended in this way on this host.
    fn hints(&self, account: &Account, ended: (Option<i32>, i32), host: Option<&str>) -> Vec<String> {
        let Account { headline, details, .. } = account;
        let judged = JudgedFailure { headline, details, ended, host };
        hints::hints(&HintFacts::new(self.evidence, judged, &self.stderr, &self.stdout))
    }
}
