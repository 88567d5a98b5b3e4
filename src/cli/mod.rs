//! The command line, with one file for each subcommand.
//!
//! It parses the words, calls [`crate::run`] or prints, and returns an exit code. It must not contain rules about
//! jobs.

mod alike;
mod channels;
mod check;
mod common;
mod completions;
mod entry_point;
mod env;
mod exec;
mod explain;
mod fetch;
mod here;
mod local;
mod man;
mod outputs;
mod package_index;
mod plan;
mod process;
mod report;
mod serve;
mod shim;
mod stacks;
mod train;
mod upload_output;

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use crate::cluster::agent;
use crate::job::{Variables, config, exit_code};
use crate::local as local_job;
use crate::redact::{Redactor, visible_lines};
use crate::run;
use crate::supervise::{direct, guard, keeper};

/// The subcommands that run no job in this container.
const QUESTIONS: [&str; 15] = [
    "env",
    "plan",
    "check",
    "explain",
    "report",
    "local",
    "stacks",
    "serve",
    "completions",
    "man",
    "shim",
    "entry-point",
    "fetch",
    "package-index",
    "upload-output",
];

/// Runs the command line `words` and returns the exit code. The first word is the program's name.
pub fn run(words: Vec<OsString>) -> i32 {
    if called(&words, agent::NAME) {
        return agent::run(&words);
    }
    if called(&words, direct::NAME) {
        return direct::run(&words);
    }
    if called(&words, guard::NAME) {
        return guard::run();
    }
    if words.get(1).is_some_and(|word| word == keeper::WORD) {
        return keeper::run(&words[2..]);
    }
    if words.get(1).is_some_and(|word| word == local_job::PART_WORD) {
        return local_job::play_part(&words[2..]);
    }
    let complete = with_subcommand(words.clone());
    // The words with which the platform starts a job need no parser. Building the parser's help texts takes longer
    // than much of the start.
    if complete.len() == 2 && complete[1] == "train" {
        return run::train(run::Options::default());
    }
    let problem = match command().try_get_matches_from(complete) {
        Ok(matches) if matches.subcommand().is_some() => return dispatch(&matches),
        Ok(_) => {
            eprint!("{}", command().render_help());
            "no subcommand is given".to_owned()
        }
        Err(error) => {
            let text = error.render().to_string();
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                common::print(text);
                return 0;
            }
            // An argument may contain anything.
            eprint!("{}", visible_lines(&Redactor::default().clean(&text)));
            let lines = text.trim_start_matches("error: ").lines().take_while(|line| !line.trim().is_empty());
            lines.map(str::trim).collect::<Vec<_>>().join(" ")
        }
    };
    // A user has typed a command that asks for information. It must not leave a failure file for the job.
    let is_question = words.get(1).is_some_and(|word| QUESTIONS.iter().any(|question| word == question));
    if is_question && !called(&words, "train") {
        return exit_code::USAGE;
    }
    run::refuse_command_line(&words, &problem)
}

/// Returns true if footplate was called by `name`.
fn called(words: &[OsString], name: &str) -> bool {
    words.first().is_some_and(|word| Path::new(word).file_name().is_some_and(|word| word == name))
}

/// Returns the command line with its subcommand. The platform starts a training image as `IMAGE train`, as `train` on PATH, or,
/// if the image has its own ENTRYPOINT, without arguments.
fn with_subcommand(mut words: Vec<OsString>) -> Vec<OsString> {
    let called_train = called(&words, "train");
    if words.is_empty() {
        words.push("footplate".into());
    }
    let first = words.get(1).and_then(|word| word.to_str());
    if called_train
        && first.is_none_or(|word| word.starts_with('-') && !["-h", "--help", "-V", "--version"].contains(&word))
    {
        words.insert(1, "train".into());
    } else if words.len() == 1 {
        let paths = config::paths_here(&Variables::of_this_process());
        if config::is_there(&paths) {
            words.push(if paths.are_of_processing() { "process" } else { "train" }.into());
        }
    }
    words
}

fn dispatch(matches: &ArgMatches) -> i32 {
    match matches.subcommand() {
        Some(("train", matches)) => train::run(matches),
        Some(("exec", matches)) => exec::run(matches),
        Some(("process", matches)) => process::run(matches),
        Some(("env", matches)) => env::run(matches),
        Some(("plan", matches)) => plan::run(matches),
        Some(("report", matches)) => report::run(matches),
        Some(("check", matches)) => check::run(matches),
        Some(("local", matches)) => local::run(matches),
        Some(("explain", matches)) => explain::run(matches),
        Some(("completions", matches)) => completions::run(matches, command()),
        Some(("man", _)) => man::run(command()),
        Some(("entry-point", matches)) => entry_point::run(matches),
        Some(("fetch", matches)) => fetch::run(matches),
        Some(("package-index", matches)) => package_index::run(matches),
        Some(("upload-output", matches)) => upload_output::run(matches),
        Some(("shim", matches)) => shim::run(matches),
        Some(("stacks", _)) => stacks::run(),
        Some(("serve", _)) => serve::run(),
        _ => exit_code::USAGE,
    }
}

/// Returns the definition of the command line.
pub fn command() -> Command {
    Command::new("footplate")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .about("Runs a training or processing job in any container image: as its ENTRYPOINT, or as `train` on its PATH.")
        .after_help(
            "Examples:\n  \
             footplate train                              run the job in /opt/ml\n  \
             footplate exec -- python train.py            run a command as a job would\n  \
             footplate process clean.py                   run the script of a processing job\n  \
             footplate local --entry-point train.py       run a job on this machine\n  \
             footplate plan                               show what would run\n\n\
             Without arguments: `footplate train`, or in the container of a processing job `footplate process`, if a job's \
             configuration is there.",
        )
        .subcommand(train::command())
        .subcommand(exec::command())
        .subcommand(process::command())
        .subcommand(local::command())
        .subcommand(plan::command())
        .subcommand(report::command())
        .subcommand(env::command())
        .subcommand(check::command())
        .subcommand(stacks::command())
        .subcommand(explain::command())
        .subcommand(completions::command())
        .subcommand(man::command())
        .subcommand(serve::command())
        .subcommand(shim::command())
        .subcommand(entry_point::command())
        .subcommand(fetch::command())
        .subcommand(package_index::command())
        .subcommand(upload_output::command())
}
