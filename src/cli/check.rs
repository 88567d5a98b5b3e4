//! `footplate check`.

use clap::{ArgMatches, Command};

pub(super) fn command() -> Command {
    Command::new("check")
}

pub(super) fn run(_: &ArgMatches) -> i32 {
    0
}
