//! The judgement: from evidence to the one cause that the user reads.
//!
//! How the process ended decides what may count. After an exit, an exception that nothing caught is the cause. After
//! death by a signal it is the signal: a traceback further up was survived, whatever it says.

use std::path::Path;

use crate::event::{Cause, CauseDetail, CauseEnding, DetailLabel, Ending, SourcePlace};
use crate::job::exit_code;

use super::evidence::Evidence;
use super::hints::{self, Facts};
use super::launcher::{self, Report};
use super::lines::{Log, Stream};
use super::noise::{self, Level};
use super::other::{self, Telling};
use super::place;
use super::python::{self, Link, Origin, Raised, Traceback};
use super::select::{self, covered};
use super::text::one_line;

/// What one way of looking at the evidence found.
#[derive(Clone, Debug, Default)]
struct Finding {
    headline: String,
    details: Vec<CauseDetail>,
    place: Option<SourcePlace>,
    thread: Option<String>,
    /// Whose line it was read from, where several wrote.
    source: Stream,
    /// The first line of stderr after it; none if it was not read from stderr.
    end: Option<usize>,
}

/// What both texts say, read once.
struct Read<'e, 'r> {
    evidence: &'r Evidence<'e>,
    stderr: Log,
    stdout: Log,
    tracebacks: Vec<Traceback>,
    /// The lines of stderr that belong to tracebacks.
    covered: Vec<bool>,
    report: Option<Report>,
}

/// Judges why a process failed. Never fails itself: the worst evidence still gives the exit code and the command.
pub fn cause(evidence: &Evidence<'_>) -> Cause {
    let read = Read::new(evidence);
    // Where a launcher says how the rank ended that failed first, that counts, and not that the launcher exited with 1.
    let report = read.report.as_ref().filter(|report| match signal(evidence.ending) {
        None => !evidence.ending.is_success(),
        // mpirun passes the signal on that ended its rank.
        Some(number) => report.ending == Ending::Signaled(number),
    });
    let ending = report.map_or(evidence.ending, |report| report.ending);
    let signal = signal(ending);
    let finding = match (ending, &evidence.error_file, signal) {
        (ending, _, _) if ending.is_success() => Finding { headline: ending.to_string(), ..Finding::default() },
        (_, Some(error), _) => read.error_file(&error.message, error.traceback.as_deref()),
        (_, None, Some(number)) => read.killed(number),
        (_, None, None) => read.exited(ending.exit_code()),
    };
    let hints = match ending.is_success() {
        true => Vec::new(),
        false => {
            let code = ending.exit_code();
            let details = finding.details.iter().map(|detail| detail.text.as_str());
            let claimed = [finding.headline.as_str()].into_iter().chain(details).collect::<Vec<_>>().join("\n");
            hints::hints(&Facts::new(evidence, signal, code, claimed, &read.stderr, &read.stdout))
        }
    };
    let details = match ending.is_success() {
        true => Vec::new(),
        false => read.details(&finding, report.is_some()),
    };
    let host = whose_host(evidence, &finding.source, report);
    let rank = evidence.rank.or(finding.source.rank).or(report.and_then(|report| report.rank));
    Cause {
        details,
        place: finding.place,
        thread: finding.thread,
        host,
        rank,
        followers: evidence.followers,
        launcher: report.filter(|report| report.ending != evidence.ending).map(|report| report.launcher.to_owned()),
        hints,
        command: evidence.command.clone(),
        ..Cause::new(finding.headline, CauseEnding::Process(evidence.ending))
    }
}

/// The host of the rank that failed: by its lines' prefix, by mpirun, which runs ranks on other hosts too, or this one.
/// torchrun speaks only of its own host, and by a name that is not always the job's.
fn whose_host(evidence: &Evidence<'_>, source: &Stream, report: Option<&Report>) -> Option<String> {
    let reported = report.filter(|report| source.rank.is_none() || source.rank == report.rank);
    let host = |report: &Report| report.host.clone();
    let by_mpirun = reported.filter(|report| report.launcher == launcher::MPIRUN).and_then(host);
    source.host.clone().or(by_mpirun).or(evidence.host.clone()).or(reported.and_then(host))
}

/// The signal that ended a process, whether it was its own end or that of a child whose shell passed it on as 128 + n.
fn signal(ending: Ending) -> Option<i32> {
    // HUP INT QUIT ILL TRAP ABRT BUS FPE KILL SEGV PIPE ALRM TERM XCPU XFSZ SYS
    const DEADLY: [i32; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31];
    match ending {
        Ending::Signaled(number) => Some(number),
        Ending::Exited(code) => exit_code::as_signal(code).filter(|number| DEADLY.contains(number)),
    }
}

/// The signal that a child died of, if a Python program passed its return code on: `sys.exit(-9)` is exit code 247.
fn negative(code: i32) -> Option<i32> {
    Some(256 - code).filter(|number| [4, 6, 7, 8, 9, 11].contains(number))
}

impl<'e, 'r> Read<'e, 'r> {
    fn new(evidence: &'r Evidence<'e>) -> Read<'e, 'r> {
        let stderr = Log::read(evidence.stderr, evidence.host.as_deref());
        let stdout = Log::read(evidence.stdout, evidence.host.as_deref());
        let tracebacks = python::tracebacks(&stderr);
        let covered = covered(&stderr, &tracebacks);
        let report = launcher::report(&stderr);
        Read { evidence, stderr, stdout, tracebacks, covered, report }
    }

    /// After an exit: an uncaught exception, else what else the program said.
    fn exited(&self, code: i32) -> Finding {
        let code_dir = self.evidence.code_dir;
        let best = select::best(&self.stderr, &self.tracebacks, &self.covered, self.report.as_ref(), code, code_dir);
        let after = best.map_or(0, |best| best.lines.end() + 1);
        if code == 2
            && let Some(found) = other::argument_error(&self.stderr, after)
        {
            return self.told(found);
        }
        // A shell that cannot start a program says so last, whatever failed before.
        if matches!(code, exit_code::NOT_EXECUTABLE | exit_code::NOT_FOUND)
            && let Some(found) = other::telling(&self.stderr, after, &self.covered)
        {
            return self.told(found);
        }
        if let Some(best) = best {
            return self.raised(&self.stderr, best, Some(best.lines.end() + 1));
        }
        let passed = select::last_survived(&self.tracebacks);
        let lost = launcher::lost_daemon(&self.stderr).map(|headline| Finding { headline, ..Finding::default() });
        let is_mpirun = self.evidence.command.starts_with(launcher::MPIRUN);
        let notice = launcher::notice(&self.stderr).filter(|_| is_mpirun);
        lost.or_else(|| notice.map(|(headline, end)| Finding { headline, end: Some(end), ..Finding::default() }))
            .or_else(|| self.fatal())
            .or_else(|| self.printed())
            .or_else(|| select::elsewhere(&self.tracebacks).map(|found| self.raised(&self.stderr, found, None)))
            .or_else(|| other::telling(&self.stderr, passed, &self.covered).map(|found| self.told(found)))
            .or_else(|| negative(code).map(|number| self.passed_on(code, number)))
            .or_else(|| self.said(passed))
            .or_else(|| select::ignored(&self.tracebacks).map(|found| self.raised(&self.stderr, found, None)))
            .unwrap_or_else(|| self.silent(code))
    }

    /// After death by a signal: the signal; what a program says as it aborts; where the interpreter says it was.
    fn killed(&self, number: i32) -> Finding {
        const INTERRUPT: i32 = nix::libc::SIGINT;
        const ABORT: i32 = nix::libc::SIGABRT;
        let headline = Ending::Signaled(number).to_string();
        let code_dir = self.evidence.code_dir;
        let last = || select::best(&self.stderr, &self.tracebacks, &self.covered, self.report.as_ref(), 1, code_dir);
        if number == INTERRUPT
            && let Some(best) = last().filter(|best| best.last().name == "KeyboardInterrupt")
        {
            return self.raised(&self.stderr, best, Some(best.lines.end() + 1));
        }
        if number == ABORT
            && let Some(found) = other::abort(&self.stderr)
        {
            return self.told(found);
        }
        // An exception that nothing caught, and then threads that were still running as the process took itself down.
        if number == ABORT
            && self.stderr.lines.iter().any(|line| line.text == "terminate called without an active exception")
            && let Some(best) = last()
        {
            return self.raised(&self.stderr, best, Some(best.lines.end() + 1));
        }
        let fatal = python::fatal(&self.stderr);
        let place = fatal.as_ref().and_then(|fatal| place::deepest(fatal.frames.iter(), code_dir));
        let fatal = fatal.filter(|fatal| number == ABORT && fatal.error != "Aborted");
        let headline = match (fatal, self.evidence.memory) {
            (Some(fatal), _) => format!("Fatal Python error: {}", fatal.error),
            (None, Some(_)) if number == nix::libc::SIGKILL => format!("{headline}: out of memory"),
            (None, _) => headline,
        };
        Finding { headline, place, ..Finding::default() }
    }

    /// From torch elastic's error file: its traceback, if it has one, tells the place too.
    fn error_file(&self, message: &str, traceback: Option<&str>) -> Finding {
        let log = Log::read(traceback.unwrap_or_default().as_bytes(), None);
        match python::tracebacks(&log).last() {
            Some(found) => self.raised(&log, found, None),
            None => Finding { headline: message.to_owned(), ..Finding::default() },
        }
    }

    /// A fatal error of the interpreter that is no signal: it could not start.
    fn fatal(&self) -> Option<Finding> {
        let fatal = python::fatal(&self.stderr)?;
        let place = place::deepest(fatal.frames.iter(), self.evidence.code_dir);
        Some(Finding { headline: format!("Fatal Python error: {}", fatal.error), place, ..Finding::default() })
    }

    /// A traceback that the script printed to stdout.
    fn printed(&self) -> Option<Finding> {
        let tracebacks = python::tracebacks(&self.stdout);
        let covered = covered(&self.stdout, &tracebacks);
        let best = select::best(&self.stdout, &tracebacks, &covered, None, 0, self.evidence.code_dir)?;
        Some(self.raised(&self.stdout, best, None))
    }

    /// The last words: of stderr whatever they are, of stdout only if they tell of an error.
    fn said(&self, from: usize) -> Option<Finding> {
        if let Some(found) = other::last_words(&self.stderr, from, &self.covered) {
            return Some(self.told(found));
        }
        let found = other::telling(&self.stdout, 0, &[])?;
        Some(Finding { end: None, ..self.told(found) })
    }

    fn silent(&self, code: i32) -> Finding {
        let headline = format!("{}, with no error printed", Ending::Exited(code));
        Finding { headline, end: Some(0), ..Finding::default() }
    }

    fn passed_on(&self, code: i32, number: i32) -> Finding {
        let headline =
            format!("{} (-{number}): a child process was {}", Ending::Exited(code), Ending::Signaled(number));
        Finding { headline, end: Some(0), ..Finding::default() }
    }

    fn told(&self, found: Telling) -> Finding {
        let source = self.stderr.lines.get(found.line).map(|line| self.stderr.streams[line.stream].clone());
        Finding {
            headline: found.headline,
            place: found.place,
            source: source.unwrap_or_default(),
            end: Some(found.line + 1),
            ..Finding::default()
        }
    }

    /// What a traceback of `log` says; `end` is where stderr goes on after it.
    fn raised(&self, log: &Log, found: &Traceback, end: Option<usize>) -> Finding {
        let code_dir = self.evidence.code_dir;
        let last = found.last();
        let mut details = chain_details(&found.chain);
        if end.is_some() && last.name.ends_with("CalledProcessError") {
            let before = select::before(log, &self.tracebacks, found, &self.covered);
            details.extend(before.map(|text| detail(DetailLabel::BeforeIt, text)));
        }
        let thread = match &found.origin {
            Origin::Thread(name) => Some(format!("thread {name}")),
            Origin::Child(name) => Some(format!("process {name}")),
            Origin::Main | Origin::Logged | Origin::Ignored => None,
        };
        let source = log.streams[found.stream].clone();
        Finding { headline: last.headline(), details, place: place_of(&found.chain, code_dir), thread, source, end }
    }

    /// The details of a finding, and what was written after it.
    fn details(&self, finding: &Finding, reported: bool) -> Vec<CauseDetail> {
        let mut details = finding.details.clone();
        // A launcher goes on after the rank that failed, and what it says last is not the rank's.
        if reported {
            return details;
        }
        let log = &self.stderr;
        let from = finding.end.unwrap_or(0);
        let on_stdout = || Some((&self.stdout, other::last_line(&self.stdout, 0, &[])?));
        if launcher::lost_daemon(log).is_some() {
            return details;
        }
        let silent = matches!(finding.end, None | Some(0));
        let found = match other::last_line(log, from, &self.covered) {
            // After an error was told, what loggers record of the way out adds nothing.
            Some(at) if !silent && noise::level(log.text(at)) == Some(Level::Harmless) => None,
            Some(at) => Some((log, at)),
            None if silent => on_stdout(),
            None => None,
        };
        let said = found.map(|(log, at)| one_line(log.text(at))).filter(|said| *said != one_line(&finding.headline));
        details.extend(said.map(|said| detail(DetailLabel::LastLine, said)));
        details
    }
}

/// What led to the last exception of a chain: the one before it, the first one, and the members of a group.
fn chain_details(chain: &[Raised]) -> Vec<CauseDetail> {
    const MEMBERS: usize = 3;
    let Some((last, before)) = chain.split_last() else { return Vec::new() };
    let told = |raised: &&Raised| {
        !raised.name.ends_with("RemoteTraceback") && (&raised.name, &raised.message) != (&last.name, &last.message)
    };
    let linked: Vec<(DetailLabel, &Raised)> = before
        .iter()
        .zip(&chain[1..])
        .filter(|(raised, _)| told(raised))
        .map(|(raised, next)| match next.link {
            Some(Link::Context) => (DetailLabel::WhileHandling, raised),
            Some(Link::Within) => (DetailLabel::PassedOnAs, raised),
            Some(Link::Cause) | None => (DetailLabel::CausedBy, raised),
        })
        .collect();
    let first = linked.first().filter(|_| linked.len() > 1);
    let members = last.members.iter().take(MEMBERS).map(|member| (DetailLabel::CausedBy, member));
    let all = members.chain(linked.last().copied()).chain(first.copied());
    all.map(|(label, raised)| detail(label, raised.headline())).collect()
}

fn detail(label: DetailLabel, text: String) -> CauseDetail {
    CauseDetail { label: Some(label), text }
}

/// Where a chain's last exception was raised: in the group's first member that says so; in the child process that it
/// was passed on from; in its own frames; and if those are all of libraries, in the frames of what led to it.
fn place_of(chain: &[Raised], code_dir: &Path) -> Option<SourcePlace> {
    let last = chain.last()?;
    let member = last.members.iter().find(|member| !member.frames.is_empty());
    let original = chain.iter().find(|raised| (&raised.name, &raised.message) == (&last.name, &last.message));
    let candidates = || member.into_iter().chain(original).chain(chain.iter().rev());
    let own = candidates().find(|raised| place::any_own(&raised.frames, code_dir));
    let frames = &own.or_else(|| candidates().find(|raised| !raised.frames.is_empty()))?.frames;
    place::deepest(frames.iter(), code_dir)
}
