//! How a job ends: the one place that makes exit codes and failure texts.

use nix::sys::signal::Signal;

use crate::cluster::Verdict;
use crate::event::{Cause, Ending};
use crate::failure::{self, Earlier, MAX_TEXT, Written};
use crate::job::{Paths, exit_code};
use crate::redact::Redactor;

/// Why a job ended before its script started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A configuration file or a setting.
    Configuration,
    /// The supplied code.
    Code,
    /// There is no such entry point, or no Python for it.
    NotFound,
    /// The entry point is no program.
    NotExecutable,
    /// The launcher.
    Launch,
    /// footplate itself, or the machine under it.
    Internal,
}

impl Refusal {
    fn exit_code(self) -> i32 {
        match self {
            Refusal::Configuration => exit_code::CONFIGURATION,
            Refusal::Code => exit_code::CODE,
            Refusal::NotFound => exit_code::NOT_FOUND,
            Refusal::NotExecutable => exit_code::NOT_EXECUTABLE,
            Refusal::Launch => exit_code::LAUNCH,
            Refusal::Internal => exit_code::DEFECT,
        }
    }
}

/// How a job ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The script ended well.
    Succeeded,
    /// The script failed.
    Failed {
        /// How it ended.
        ending: Ending,
        /// Why.
        cause: Box<Cause>,
    },
    /// The requirements could not be installed.
    Requirements {
        /// How the installer ended.
        ending: Ending,
        /// Its own words.
        complaint: String,
        /// Its command.
        command: String,
    },
    /// The job ended before its script started.
    Refused {
        /// What refused it.
        refusal: Refusal,
        /// What was found, and what to do.
        message: String,
    },
    /// A stop signal came before the script started.
    Stopped(Signal),
    /// The job failed, as all hosts agree.
    Agreed(Verdict),
    /// The job failed on another host before the script started on this one.
    Elsewhere,
}

impl Outcome {
    /// A refusal with the words of an error.
    pub fn refused(refusal: Refusal, error: impl std::fmt::Display) -> Outcome {
        Outcome::Refused { refusal, message: error.to_string() }
    }

    /// The exit code of footplate.
    pub fn exit_code(&self) -> i32 {
        match self {
            Outcome::Succeeded => exit_code::SUCCESS,
            Outcome::Failed { ending, .. } | Outcome::Requirements { ending, .. } => ending.exit_code(),
            Outcome::Refused { refusal, .. } => refusal.exit_code(),
            Outcome::Stopped(signal) => exit_code::of_signal(*signal as i32),
            Outcome::Agreed(verdict) => verdict.exit_code,
            Outcome::Elsewhere => exit_code::HOST_LOST,
        }
    }

    /// The text of the failure file: at most 1,024 characters, the most telling first; none of a success.
    pub fn failure_text(&self, redactor: &Redactor) -> Option<String> {
        let text = match self {
            Outcome::Succeeded => return None,
            Outcome::Failed { cause, .. } => return Some(failure::text(cause, redactor)),
            Outcome::Requirements { ending, complaint, command } => {
                format!("{complaint}\nwhile the requirements were installed, {ending}\ncommand: {command}")
            }
            Outcome::Refused { message, .. } => {
                format!("{message}\nbefore the script started, exit code {}", self.exit_code())
            }
            Outcome::Stopped(signal) => {
                format!("stopped by {signal} before the script started, exit code {}", self.exit_code())
            }
            Outcome::Agreed(verdict) => verdict.text.clone(),
            Outcome::Elsewhere => {
                format!("another host failed before the script started on this one, exit code {}", self.exit_code())
            }
        };
        Some(redactor.clean(&text).chars().take(MAX_TEXT).collect())
    }

    /// The first line of the failure text, for the log.
    fn headline(&self, redactor: &Redactor) -> String {
        match self {
            Outcome::Failed { cause, .. } => failure::headline(cause, redactor),
            other => other.failure_text(redactor).unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
        }
    }

    /// Logs the end.
    pub fn log(&self, redactor: &Redactor) {
        match self {
            Outcome::Succeeded => tracing::info!("the script succeeded"),
            _ => tracing::error!("failed with exit code {}: {}", self.exit_code(), self.headline(redactor)),
        }
    }

    /// Writes the success or the failure file. What cannot be written is named, and changes no exit code.
    pub fn record(&self, paths: &Paths, earlier: &Earlier, redactor: &Redactor) {
        let written = match self.failure_text(redactor) {
            None => failure::success(&paths.success()).map(|()| Written::Written),
            Some(text) => {
                // One of an earlier run must not say otherwise.
                let _ = std::fs::remove_file(paths.success());
                failure::write(&paths.failure(), &text, earlier)
            }
        };
        match written {
            Ok(Written::Written) => {}
            Ok(Written::Kept) => tracing::info!("{} was written by the script, and is kept", paths.failure().display()),
            Err(error) => tracing::error!("{error:#}"),
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
        let redactor = Redactor::new([("API_KEY", "0123456789")]);
        let outcome = Outcome::refused(Refusal::Configuration, format!("bad 0123456789 {}", "é".repeat(3000)));
        let text = outcome.failure_text(&redactor).expect("a text");
        assert_eq!(text.chars().count(), 1024);
        assert!(text.starts_with("bad ****** éé"), "{text}");
    }

    #[test]
    fn every_exit_code_of_our_own_is_documented() {
        for refusal in [
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
