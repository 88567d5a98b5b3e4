//! `footplate local`: runs a job on this machine.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::common::report;
use crate::event::Ending;
use crate::job::exit_code;
use crate::local::{self, LocalJob, pair};
use crate::python::{Separators, Value, parse};

/// The maximum number of hosts. Their addresses share a network of 256, and no machine has room for more.
const MAX_HOSTS: i64 = 250;

pub(super) fn command() -> Command {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("DIR").value_parser(value_parser!(PathBuf)).help(help)
    };
    let pairs = |name: &'static str, value_name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value_name).action(ArgAction::Append).value_parser(pair).help(help)
    };
    let count = |name: &'static str, least: i64, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u8).range(least..=MAX_HOSTS)).help(help)
    };
    Command::new("local")
        .about("Run a job on this machine as the platform would, without Docker")
        .after_help(
            "Example:\n  footplate local --source-dir src --entry-point train.py \\\n      \
             --hyperparameter epochs=3 --channel training=data/train --output-dir out\n  \
             footplate local --entry-point train.py --hosts 2 --gpus-per-host 4 --set launcher=per-gpu",
        )
        .arg(path("source-dir", "The folder of the code").default_value("."))
        .arg(
            Arg::new("entry-point")
                .long("entry-point")
                .value_name("FILE")
                .required(true)
                .help("The script, relative to the folder of the code"),
        )
        .arg(pairs("hyperparameter", "NAME=VALUE", "A hyperparameter; may be given several times"))
        .arg(
            Arg::new("hyperparameters")
                .long("hyperparameters")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A JSON object of hyperparameters"),
        )
        .arg(pairs("channel", "NAME=PATH", "A folder or file as an input channel; may be given several times"))
        .arg(path("checkpoint-dir", "The folder of checkpoints, which is kept"))
        .arg(
            path("output-dir", "The folder for model.tar.gz, output.tar.gz and failure")
                .default_value("footplate-output"),
        )
        .arg(pairs("env", "NAME=VALUE", "A variable of the container; may be given several times"))
        .arg(count("hosts", 1, "The number of hosts, each with its own address").default_value("1"))
        .arg(count(
            "gpus-per-host",
            0,
            "The number of GPUs that each host is assumed to have, whatever this machine has",
        ))
        .arg(Arg::new("job-name").long("job-name").value_name("NAME").help("TRAINING_JOB_NAME"))
        .arg(super::common::settings_option())
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let ran = job(matches).and_then(|job| local::run(&job));
    match ran {
        Ok(results) => {
            report(&format!("model {}", results.model.display()));
            report(&format!("output {}", results.output.display()));
            if let Some(failure) = &results.failure {
                report(&format!("failure {}", failure.display()));
            }
            if results.exit_code != 0 {
                report(&format!("the job failed with {}", Ending::Exited(results.exit_code)));
            }
            results.exit_code
        }
        Err(error) => {
            report(&format!("{error:#}"));
            exit_code::CONFIGURATION
        }
    }
}

/// Returns the job that the command line describes.
fn job(matches: &ArgMatches) -> Result<LocalJob> {
    let pairs =
        |name: &str| -> Vec<(String, String)> { matches.get_many(name).into_iter().flatten().cloned().collect() };
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let entry_point = matches.get_one::<String>("entry-point").cloned().unwrap_or_default();
    let mut hyperparameters = match path("hyperparameters") {
        Some(path) => read_hyperparameters(&path)?,
        None => Vec::new(),
    };
    hyperparameters.extend(pairs("hyperparameter"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(LocalJob {
        source_dir: path("source-dir").unwrap_or_default(),
        name: matches.get_one::<String>("job-name").cloned().unwrap_or_else(|| local::job_name(&entry_point, now)),
        entry_point,
        hyperparameters,
        channels: pairs("channel").into_iter().map(|(name, path)| (name, path.into())).collect(),
        checkpoint_dir: path("checkpoint-dir"),
        output_dir: path("output-dir").unwrap_or_default(),
        variables: pairs("env"),
        settings: super::common::options(matches).settings,
        hosts: matches.get_one::<u8>("hosts").copied().map_or(1, usize::from),
        gpus_per_host: matches.get_one::<u8>("gpus-per-host").copied().map(usize::from),
    })
}

/// Reads a file of hyperparameters and returns each value as JSON, as the SDK sends it.
fn read_hyperparameters(path: &std::path::Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The file is read and written as Python would: with integers of any size, and NaN.
    match parse(&text).with_context(|| format!("{} is not JSON", path.display()))? {
        Value::Dict(dict) => {
            Ok(dict.iter().map(|(name, value)| (name.to_string(), value.dumps(Separators::Default))).collect())
        }
        _ => bail!("{} must hold a JSON object such as {{\"epochs\": 3}}", path.display()),
    }
}
