//! `footplate package-index`: logs in to the CodeArtifact repository that the job names, for the Python package
//! `sagemaker_training`, which calls this subcommand. Users do not.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::job::Variables;
use crate::job::exit_code;
use crate::prepare::requirements::Repository;
use crate::system::files;

pub(super) fn command() -> Command {
    Command::new("package-index").about("Log in to the CodeArtifact repository of the job").hide(true).arg(
        Arg::new("netrc")
            .long("netrc")
            .value_name("FILE")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("The new file for the token, with the content of the user's own netrc file"),
    )
}

/// Prints the URL of the index, without the token. Prints nothing if the job names no repository.
pub(super) fn run(matches: &ArgMatches) -> i32 {
    let variables = Variables::of_this_process();
    let Some(repository) = Repository::of_job(&variables) else { return 0 };
    let index = match repository.and_then(|repository| repository.index(&variables)) {
        Ok(index) => index,
        Err(error) => return refuse(&error.to_string()),
    };
    let file = matches.get_one::<PathBuf>("netrc").cloned().unwrap_or_default();
    match files::write_secret(&file, &index.netrc(&variables)) {
        Ok(()) => {
            super::common::print(&index.url);
            0
        }
        Err(error) => refuse(&format!("cannot write {}: {error}", file.display())),
    }
}

fn refuse(text: &str) -> i32 {
    super::common::report(text);
    exit_code::CODE
}
