//! `footplate stacks`: prints what each rank of the running job is doing.

use clap::Command;

use crate::job::exit_code;
use crate::redact::visible_lines;
use crate::watch::run_socket;

pub(super) fn command() -> Command {
    Command::new("stacks")
        .about("Print what each rank of the job that runs in this container is doing; nothing is ended")
        .after_help(
            "Run it in the job's container, as the job's user or as root.\n\nExample:\n  docker exec CONTAINER footplate stacks",
        )
}

pub(super) fn run() -> i32 {
    let answers = run_socket::query_all(&std::env::temp_dir());
    if answers.is_empty() {
        super::common::report(&format!(
            "no running job answers in {}: run this in the container of a job whose script has started, as its user or as root; \
             FOOTPLATE_STACKS=off turns the answers off",
            std::env::temp_dir().display()
        ));
        return exit_code::LAUNCH;
    }
    for answer in answers {
        super::common::print(visible_lines(&answer).as_bytes());
    }
    0
}
