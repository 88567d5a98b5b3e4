//! `footplate report`: makes a page from the run records of a job, or of several jobs side by side.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::common;
use crate::job::exit_code;
use crate::observe::report;

pub(super) fn command() -> Command {
    Command::new("report")
        .about("Make an HTML page of what a job did, or of several jobs side by side")
        .after_help(
            "Example:\n  footplate report output/data/footplate\n  footplate report first/footplate second/footplate -o both.html\n\n\
             The page is one file that loads nothing and can be sent to others.",
        )
        .arg(
            Arg::new("folder")
                .value_name("DIR")
                .required(true)
                .action(ArgAction::Append)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("The output/data/footplate of a job, or the folder of a host in it; several jobs are compared"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .default_value("report.html")
                .help("The file of the page; - is standard output"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let folders: Vec<PathBuf> = matches.get_many("folder").into_iter().flatten().cloned().collect();
    let file: &Path = matches.get_one::<PathBuf>("output").map_or(Path::new("report.html"), PathBuf::as_path);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let page = match report::page(&folders, now) {
        Ok(page) => page,
        Err(error) => {
            common::report(&error.to_string());
            return exit_code::USAGE;
        }
    };
    if file.as_os_str() == OsStr::new("-") {
        common::print(page);
        return 0;
    }
    match std::fs::write(file, page) {
        Ok(()) => {
            common::report(&format!("report {}", file.display()));
            0
        }
        Err(error) => {
            common::report(&format!("cannot write {}: {error}: name another file with -o", file.display()));
            exit_code::USAGE
        }
    }
}
