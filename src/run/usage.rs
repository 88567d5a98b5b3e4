//! The end of a job whose command line is wrong. The platform passes ContainerArguments to footplate itself.

use std::ffi::OsString;

use super::context::{LeavesFiles, Options, ProcessingCommand};
use super::start::shown_command;
use super::{Outcome, Refusal, lifecycle};
use crate::job::{Variables, config, exit_code};
use crate::redact::Redactor;

/// Refuses a job because of its command line, and returns the exit code. `problem` describes the error. The reason is
/// written into the failure file if the configuration of a job exists.
pub fn refuse_command_line(words: &[OsString], problem: &str) -> i32 {
    let variables = Variables::of_this_process();
    let paths = config::paths_here(&variables);
    if !config::is_there(&paths) {
        return exit_code::USAGE;
    }
    let message = format!(
        "the command line of the container is wrong: {problem} in `{}`; footplate itself gets the container's arguments \
         (ContainerArguments, CMD): give the script's arguments as hyperparameters of the job, or run a command with \
         `footplate exec -- COMMAND`",
        shown_command(&Redactor::new(variables.texts()), words)
    );
    let refused = Outcome::refused(Refusal::CommandLine, message);
    let command = paths.are_of_processing().then(ProcessingCommand::default);
    lifecycle::run(Options { command, ..Options::default() }, LeavesFiles::Always, async |_, _| Err(refused))
}
