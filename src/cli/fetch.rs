//! `footplate fetch`: brings code into a folder for the Python package `sagemaker_training`, which calls this
//! subcommand. Users do not.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::job::Variables;
use crate::job::exit_code;
use crate::job::settings::CodePrecedence;
use crate::prepare::code::{CodeError, CodeSource, fetch, fetch_packed};
use crate::storage::Access;

pub(super) fn command() -> Command {
    Command::new("fetch")
        .about("Bring code from S3, an archive or a folder into a folder")
        .hide(true)
        .arg(
            Arg::new("packed")
                .long("packed")
                .action(ArgAction::SetTrue)
                .help("Write an object of S3 to a file as it is"),
        )
        .arg(Arg::new("uri").value_name("URI").required(true))
        .arg(Arg::new("to").value_name("PATH").required(true).value_parser(value_parser!(PathBuf)))
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let access = Access::of(&Variables::of_this_process(), None);
    let uri = matches.get_one::<String>("uri").map(String::as_str).unwrap_or_default();
    let to = matches.get_one::<PathBuf>("to").cloned().unwrap_or_default();
    let fetched = CodeSource::parse(uri, Path::new("."), &to).and_then(|source| match source {
        None => Ok(()),
        Some(source) if matches.get_flag("packed") => fetch_packed(&source, &to, &access),
        Some(source) => fetch(&source, &to, CodePrecedence::Supplied, &access).map(|_| ()),
    });
    match fetched {
        Ok(()) => 0,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &CodeError) -> i32 {
    super::common::report(&error.to_string());
    exit_code::CODE
}
