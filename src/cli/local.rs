//! `footplate local`.

use clap::{ArgMatches, Command};

pub(super) fn command() -> Command {
    Command::new("local")
}

pub(super) fn run(_: &ArgMatches) -> i32 {
    0
}
