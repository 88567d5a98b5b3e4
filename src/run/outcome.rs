//! The end of a job. Only this file makes exit codes and failure texts.

use nix::sys::signal::Signal;

use crate::event::{Cause, CauseEnding, CauseStage, Ending};
use crate::failure::{self, OutputFiles, TextLimit, Written};
use crate::job::exit_code;
use crate::redact::Redactor;
use crate::supervise::{Interrupted, LIMIT_REMEDY};

/// The reason why a job ended before its script started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command line is wrong.
    CommandLine,
    /// A configuration file or a setting is wrong.
    Configuration,
    /// The supplied code cannot be used.
    Code,
    /// The entry point, or a Python for it, was not found.
    NotFound,
    /// The entry point cannot be executed.
    NotExecutable,
    /// The image or the machine cannot launch the job.
    Launch,
    /// footplate itself has a defect, or the machine has a problem.
    Internal,
}

impl Refusal {
    fn exit_code(self) -> i32 {
        match self {
            Refusal::CommandLine => exit_code::USAGE,
            Refusal::Configuration => exit_code::CONFIGURATION,
            Refusal::Code => exit_code::CODE,
            Refusal::NotFound => exit_code::NOT_FOUND,
            Refusal::NotExecutable => exit_code::NOT_EXECUTABLE,
            Refusal::Launch => exit_code::LAUNCH,
            Refusal::Internal => exit_code::DEFECT,
        }
    }
}

/// The end of a job.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The script succeeded.
    Succeeded,
    /// The script failed, here or on another host.
    Failed(Box<Cause>),
    /// The requirements could not be installed.
    Requirements {
        /// The way in which the installer ended.
        ending: Ending,
        /// The installer's own error message.
        complaint: String,
        /// The installer's command.
        command: String,
    },
    /// The job ended before its script started.
    Refused {
        /// The reason.
        refusal: Refusal,
        /// The problem, the place and the remedy.
        message: String,
    },
    /// A stop signal came before the script started.
    Stopped(Signal),
    /// The job failed on another host before the script started on this one.
    PeerFailed,
}

impl Outcome {
    /// Makes a refusal with the text of an error.
    pub fn refused(refusal: Refusal, error: impl std::fmt::Display) -> Outcome {
        Outcome::Refused { refusal, message: error.to_string() }
    }

    /// Returns the exit code of footplate.
    pub fn exit_code(&self) -> i32 {
        match self {
            Outcome::Succeeded => exit_code::SUCCESS,
            Outcome::Failed(cause) => cause.exit_code(),
            Outcome::Requirements { ending, .. } => ending.exit_code(),
            Outcome::Refused { refusal, .. } => refusal.exit_code(),
            Outcome::Stopped(signal) => exit_code::of_signal(*signal as i32),
            Outcome::PeerFailed => exit_code::HOST_LOST,
        }
    }

    /// Returns the cause of the failure. `None` for a success.
    pub fn cause(&self) -> Option<Cause> {
        let code = self.exit_code();
        let before = |found: &str| Cause::new(found, CauseEnding::NoProcess(code));
        Some(match self {
            Outcome::Succeeded => return None,
            Outcome::Failed(cause) => (**cause).clone(),
            Outcome::Requirements { ending, complaint, command } => Cause {
                stage: Some(CauseStage::Requirements),
                hints: failure::installer_hints(*ending, complaint),
                command: command.clone(),
                ..Cause::from_message(complaint, CauseEnding::Process(*ending))
            },
            Outcome::Refused { message, .. } => Cause {
                stage: Some(CauseStage::BeforeScript),
                ..Cause::from_message(message, CauseEnding::NoProcess(code))
            },
            Outcome::Stopped(signal) => {
                before(&format!("stopped by {signal} before the script started, exit code {code}"))
            }
            Outcome::PeerFailed => {
                before(&format!("another host failed before the script started on this one, exit code {code}"))
            }
        })
    }

    /// Returns the text of the failure file. `None` for a success.
    pub fn failure_text(&self, redactor: &Redactor) -> Option<String> {
        Some(failure::text(&self.cause()?, redactor))
    }

    /// Returns the first line of the failure text, for the log.
    pub(super) fn headline(&self, redactor: &Redactor) -> String {
        self.cause().map(|cause| failure::headline(&cause, redactor)).unwrap_or_default()
    }

    /// Logs the end of the job.
    pub fn log(&self, redactor: &Redactor) {
        match self {
            Outcome::Succeeded => tracing::info!("the script succeeded"),
            _ => tracing::error!("failed with exit code {}: {}", self.exit_code(), self.headline(redactor)),
        }
    }

    /// Writes the success or the failure file, with a text of at most this length. An error is logged, but does not
    /// change the exit code. Blocks as long as the file system does.
    pub fn record(&self, files: &OutputFiles, limit: TextLimit, redactor: &Redactor) {
        let written = match self.cause() {
            None => files.succeed().map(|()| Written::Written),
            Some(cause) => files.fail(&failure::text_within(limit, &cause, redactor)),
        };
        match written {
            Ok(Written::Written) => {}
            Ok(Written::Kept) => tracing::info!("{} was written by the script, and is kept", files.failure().display()),
            Err(error) => tracing::error!("{error:#}"),
        }
    }
}

impl From<Interrupted> for Outcome {
    fn from(interrupted: Interrupted) -> Outcome {
        match interrupted {
            Interrupted::Signal(signal) => Outcome::Stopped(signal),
            Interrupted::Peers => Outcome::PeerFailed,
            Interrupted::NoThread(error) => {
                Outcome::refused(Refusal::Internal, format!("cannot start a thread: {}: {LIMIT_REMEDY}", error.desc()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Refusal};
    use crate::job::exit_code::EXIT_CODES;
    use crate::redact::Redactor;

    #[test]
    fn failure_texts_are_cut_on_a_character_and_hold_no_secret() {
        let redactor = Redactor::new([("API_KEY", "0123456789abc")]);
        let outcome = Outcome::refused(Refusal::Configuration, format!("bad 0123456789abc {}", "é".repeat(3000)));
        let text = outcome.failure_text(&redactor).expect("a text");
        assert_eq!(text.chars().count(), 1024);
        assert!(text.starts_with("bad ****** éé"), "{text}");
    }

    #[test]
    fn every_exit_code_of_our_own_is_documented() {
        for refusal in [
            Refusal::CommandLine,
            Refusal::Configuration,
            Refusal::Code,
            Refusal::NotFound,
            Refusal::NotExecutable,
            Refusal::Launch,
            Refusal::Internal,
        ] {
            let code = refusal.exit_code().to_string();
            assert!(EXIT_CODES.iter().any(|(documented, _)| *documented == code), "{code}");
        }
    }
}
