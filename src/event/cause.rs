//! The cause of a failure, as plain data.
//!
//! A cause is judged or made once, on the host on which the failure happened. It travels to other hosts and into the run
//! record without secrets (`failure::redacted`) and becomes text once, at the end (`failure::text`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Ending;
use super::collective::Collective;
use super::consequence::reads_like_consequence;

/// The exit codes of a process that was killed by SIGABRT and of one that was killed by SIGSEGV.
const ABORTED: i32 = 134;
const CRASHED: i32 = 139;

/// The reason why a process, a host or the job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The first line of the failure file: an exception, a signal, or the most telling line.
    pub headline: String,
    /// The facts that explain the headline, in the order in which they are shown.
    pub details: Vec<CauseDetail>,
    /// The place in the user's code, if it is known.
    pub place: Option<SourcePlace>,
    /// The thread or child process in which an exception was raised, such as `thread loader`, if it was not the main one.
    pub thread: Option<String>,
    /// The host on which the failure happened, if the job has several hosts.
    pub host: Option<String>,
    /// The rank that failed, if the job has several ranks.
    pub rank: Option<usize>,
    /// The number of other ranks that failed after this one.
    pub followers: usize,
    /// The number of other ranks that were ended because of this failure.
    pub ended: usize,
    /// The part of the job that failed, if that was not the script.
    pub stage: Option<CauseStage>,
    /// The way in which the failed part ended. It decides the exit code of the job.
    pub ending: CauseEnding,
    /// The launcher that ended with [`Cause::ending`], if that ending is not the rank's own.
    pub launcher: Option<String>,
    /// The end of the failed rank, if the launcher reported it and ended otherwise.
    pub rank_ending: Option<Ending>,
    /// The hosts of the launch that had not connected when the job failed: the failed rank may have been waiting for
    /// them.
    pub absent_hosts: Vec<String>,
    /// The collective operation that timed out, if that is the failure.
    pub collective: Option<Collective>,
    /// Advice that the evidence supports, the most certain first.
    pub hints: Vec<String>,
    /// The command of the process that failed, without secrets; empty if no process failed.
    pub command: String,
    /// The attempt in which the job failed, counted from 0.
    pub attempt: u32,
}

/// One line of a cause below the headline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseDetail {
    /// The relation of the text to the headline; `None` if the text continues the headline.
    pub label: Option<DetailLabel>,
    /// The text, of one line or several.
    pub text: String,
}

/// The relation of a detail to the headline. Its display form is the label in the failure file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailLabel {
    /// An exception that led to the headline's exception (`raise … from`), or a member of an exception group.
    CausedBy,
    /// An exception that was being handled when the headline's was raised.
    WhileHandling,
    /// The exception in which another process passed on the headline's error.
    PassedOnAs,
    /// The error of another thread before the headline's exception was raised, or the exception because of which the
    /// process was ending when it crashed.
    BeforeIt,
    /// A line of a library or of the kernel that gives more information about the error.
    Logged,
    /// An error that another rank reported afterwards.
    Then,
    /// The last line that the process wrote.
    LastLine,
    /// The number of attempts at running the ranks.
    Attempts,
    /// The work that was lost because it was done after the last checkpoint.
    Lost,
}

impl fmt::Display for DetailLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DetailLabel::CausedBy => "caused by",
            DetailLabel::WhileHandling => "while handling",
            DetailLabel::PassedOnAs => "passed on as",
            DetailLabel::BeforeIt => "before it",
            DetailLabel::Logged => "logged",
            DetailLabel::Then => "then",
            DetailLabel::LastLine => "last line",
            DetailLabel::Attempts => "attempts",
            DetailLabel::Lost => "lost",
        })
    }
}

/// A place in a source file. Its display form is `path:line in function`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlace {
    /// The file, relative to the folder of the user's code if it lies in that folder.
    pub path: String,
    /// The line, counted from 1.
    pub line: u64,
    /// The function; `None` at the top level of a file.
    pub function: Option<String>,
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)?;
        match &self.function {
            Some(function) => write!(f, " in {function}"),
            None => Ok(()),
        }
    }
}

/// The way in which the failed part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseEnding {
    /// A process ended.
    Process(Ending),
    /// No process ended. footplate ends the job with this exit code, which is 0 if the job was only told to stop.
    NoProcess(i32),
}

impl CauseEnding {
    /// Returns the exit code of the job, 0 to 255.
    pub fn exit_code(self) -> i32 {
        match self {
            CauseEnding::Process(ending) => ending.exit_code(),
            CauseEnding::NoProcess(code) => code,
        }
    }
}

/// A part of a job other than the script that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseStage {
    /// The installation of the requirements.
    Requirements,
    /// Any other preparation of the job.
    BeforeScript,
}

impl fmt::Display for CauseStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CauseStage::Requirements => "while the requirements were installed",
            CauseStage::BeforeScript => "before the script started",
        })
    }
}

/// The words that begin the `thread` of a cause that was raised in a task of TensorFlow. The task's name or its host
/// follows.
pub const TENSORFLOW_TASK: &str = "TensorFlow task";

impl Cause {
    /// Returns a cause that consists of a headline and an ending.
    pub fn new(headline: impl Into<String>, ending: CauseEnding) -> Cause {
        Cause {
            headline: headline.into(),
            details: Vec::new(),
            place: None,
            thread: None,
            host: None,
            rank: None,
            followers: 0,
            ended: 0,
            stage: None,
            ending,
            launcher: None,
            rank_ending: None,
            absent_hosts: Vec::new(),
            collective: None,
            hints: Vec::new(),
            command: String::new(),
            attempt: 0,
        }
    }

    /// Returns a cause with a message of one line or several. The first line is the headline; a line that begins with
    /// `hint: ` is a hint; every other line is a detail without a label.
    pub fn from_message(message: &str, ending: CauseEnding) -> Cause {
        let mut lines = message.lines().filter(|line| !line.trim().is_empty());
        let mut cause = Cause::new(lines.next().unwrap_or_default(), ending);
        for line in lines {
            match line.strip_prefix("hint: ") {
                Some(hint) => cause.hints.push(hint.to_owned()),
                None => cause.details.push(CauseDetail { label: None, text: line.to_owned() }),
            }
        }
        cause
    }

    /// Returns the exit code of the job if this is its cause.
    pub fn exit_code(&self) -> i32 {
        self.ending.exit_code()
    }

    /// Returns true if a process of the script failed with an error that reads like a consequence of another failure;
    /// see [`reads_like_consequence`]. A library that gives up on other ranks may abort the process. In that case the
    /// last words of the process decide.
    pub fn is_consequence(&self) -> bool {
        let CauseEnding::Process(ending) = self.ending else { return false };
        let has_aborted = matches!(ending.exit_code(), ABORTED | CRASHED);
        let is_word = |detail: &&CauseDetail| matches!(detail.label, Some(DetailLabel::Logged | DetailLabel::LastLine));
        let mut words = self.details.iter().filter(|detail| has_aborted && is_word(detail));
        self.stage.is_none()
            && (reads_like_consequence(&self.headline) || words.any(|word| reads_like_consequence(&word.text)))
    }

    /// Returns true if nothing failed and the job was only told to stop.
    pub fn is_stop(&self) -> bool {
        self.ending == CauseEnding::NoProcess(0)
    }

    /// Replaces the name of a TensorFlow task by the host that runs the task.
    pub fn locate_task(&mut self, task: &str, host: &str) {
        let is_it = |thread: &&str| thread.strip_prefix(TENSORFLOW_TASK).is_some_and(|rest| rest.trim_start() == task);
        if self.thread.as_deref().filter(is_it).is_some() {
            self.thread = Some(format!("{TENSORFLOW_TASK} on host {host}"));
        }
    }

    /// Replaces the cause's host by `name` if a launcher reported the host by this address.
    pub fn call_host(&mut self, address: &str, name: &str) {
        if self.host.as_deref() == Some(address) {
            self.host = Some(name.to_owned());
        }
        let task = self.thread.as_deref().and_then(|thread| thread.strip_suffix(address)?.strip_suffix("host "));
        if let Some(before) = task {
            self.thread = Some(format!("{before}host {name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, CauseDetail, CauseEnding, CauseStage, DetailLabel, SourcePlace};
    use crate::event::Ending;

    #[test]
    fn only_a_process_of_the_script_can_fail_as_a_consequence() {
        let words = "host algo-2 is lost: its connection was closed";
        assert!(Cause::new(words, CauseEnding::Process(Ending::Exited(1))).is_consequence());
        assert!(!Cause::new(words, CauseEnding::NoProcess(68)).is_consequence());
        let with_words = |number| {
            let ending = Ending::Signaled(number);
            let text = "Terminating process because the JAX distributed service detected fatal errors".to_owned();
            let details = vec![CauseDetail { label: Some(DetailLabel::LastLine), text }];
            Cause { details, ..Cause::new(ending.to_string(), CauseEnding::Process(ending)) }
        };
        assert_eq!([6, 11, 9].map(|number| with_words(number).is_consequence()), [true, true, false]);
        let installer = Cause::new("pip: connection refused", CauseEnding::Process(Ending::Exited(1)));
        assert!(!Cause { stage: Some(CauseStage::Requirements), ..installer }.is_consequence());
    }

    #[test]
    fn a_cause_survives_serialization() {
        let cause = Cause {
            details: vec![CauseDetail { label: Some(DetailLabel::CausedBy), text: "KeyError: 'x'".into() }],
            place: Some(SourcePlace { path: "train.py".into(), line: 4, function: Some("load".into()) }),
            thread: Some("thread loader".into()),
            host: Some("algo-2".into()),
            rank: Some(3),
            followers: 2,
            ended: 1,
            stage: Some(CauseStage::Requirements),
            launcher: Some("torchrun".into()),
            absent_hosts: vec!["algo-4".into()],
            command: "python3 train.py".into(),
            attempt: 1,
            ..Cause::from_message("ValueError: bad\nhint: a hint", CauseEnding::Process(Ending::Signaled(9)))
        };
        let json = serde_json::to_string(&cause).unwrap();
        assert_eq!(serde_json::from_str::<Cause>(&json).unwrap(), cause);
    }

    #[test]
    fn a_message_of_several_lines_becomes_headline_details_and_hints() {
        let cause = Cause::from_message("bad\n\nmore\nhint: a\nhint: b\n", CauseEnding::NoProcess(78));
        assert_eq!((cause.headline.as_str(), cause.exit_code()), ("bad", 78));
        assert_eq!(cause.details, [CauseDetail { label: None, text: "more".into() }]);
        assert_eq!(cause.hints, ["a", "b"]);
    }

    #[test]
    fn a_host_that_a_launcher_knows_by_its_address_gets_its_name() {
        let mut cause = Cause { host: Some("10.0.0.3".into()), ..Cause::new("x", CauseEnding::NoProcess(1)) };
        cause.call_host("10.0.0.30", "algo-9");
        cause.call_host("10.0.0.3", "algo-2");
        assert_eq!(cause.host.as_deref(), Some("algo-2"));
        cause.thread = Some("Ray task on host 10.0.0.30".into());
        cause.call_host("10.0.0.3", "algo-2");
        cause.call_host("10.0.0.30", "algo-9");
        assert_eq!(cause.thread.as_deref(), Some("Ray task on host algo-9"));
    }
}
