//! `footplate local`: runs a job on this machine.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::channels;
use super::common::report;
use crate::event::Ending;
use crate::job::exit_code;
use crate::job::python::{Separators, Value, parse};
use crate::local::{self, ContainerError, GpuGrant, JobImage, LocalJob, pair};

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
        .about("Run a job on this machine as the platform would, as processes or in containers")
        .after_help(
            "Example:\n  footplate local --source-dir src --entry-point train.py \\\n      \
             --hyperparameter epochs=3 --channel training=data/train --output-dir out\n  \
             footplate local --entry-point train.py --hosts 2 --gpus-per-host 4 --set launcher=per-gpu\n  \
             footplate local --image my-image --channel training=data/train --memory 8g",
        )
        .arg(path("source-dir", "The folder of the code").default_value("."))
        .arg(
            Arg::new("entry-point")
                .long("entry-point")
                .value_name("FILE")
                .required_unless_present("image")
                .help("The script, relative to the folder of the code; without it, what is in the image runs"),
        )
        .arg(pairs("hyperparameter", "NAME=VALUE", "A hyperparameter; may be given several times"))
        .arg(
            Arg::new("hyperparameters")
                .long("hyperparameters")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A JSON object of hyperparameters"),
        )
        .args(channels::options())
        .arg(path("checkpoint-dir", "The folder of checkpoints, which is kept"))
        .arg(
            path("output-dir", "The folder for model.tar.gz, output.tar.gz and failure")
                .default_value("footplate-output"),
        )
        .arg(
            Arg::new("env")
                .long("env")
                .value_name("NAME[=VALUE]")
                .action(ArgAction::Append)
                .value_parser(variable)
                .help("A variable of the container, without a value that of this shell; may be given several times"),
        )
        .arg(count("hosts", 1, "The number of hosts, each with its own address").default_value("1"))
        .arg(count(
            "gpus-per-host",
            0,
            "The number of GPUs that each host is assumed to have, whatever this machine has",
        ))
        .arg(Arg::new("job-name").long("job-name").value_name("NAME").help("TRAINING_JOB_NAME"))
        .args(container_options())
        .arg(super::common::settings_option())
}

/// Returns the options for containers.
fn container_options() -> [Arg; 6] {
    let option = |name: &'static str, value_name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value_name).requires("image").help(help)
    };
    [
        Arg::new("image").long("image").value_name("IMAGE").help("Run each host in a container of this image"),
        option("engine", "PROGRAM", "The container engine: docker, podman or a path [default: the first on PATH]"),
        option("gpus", "all|N", "The GPUs of each container [default: the instance type's, else all]")
            .value_parser(gpus),
        option("shm-size", "SIZE", "The size of /dev/shm, such as 2g [default: half of the memory]").value_parser(size),
        option("memory", "SIZE", "The limit of the memory, such as 16g [default: the instance type's]")
            .value_parser(size),
        option("instance-type", "TYPE", "The instance to imitate, such as ml.g5.xlarge"),
    ]
}

/// Reads a variable. If no value is given, uses the value in this process's environment, so that secrets need not be
/// on the command line.
fn variable(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return pair(text);
    }
    let value = std::env::var_os(text).ok_or_else(|| format!("{text} is not set in this shell"))?;
    let value = value.into_string().map_err(|_| format!("the value of {text} is not UTF-8"))?;
    Ok((text.to_owned(), value))
}

/// Reads a size in bytes, with the units of the container engines.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        "t" | "tb" | "tib" => Some(40),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "expected a size such as 512m or 16g".to_owned())
}

/// Reads a number of GPUs.
fn gpus(text: &str) -> Result<GpuGrant, String> {
    match text {
        "all" => Ok(GpuGrant::All),
        "none" => Ok(GpuGrant::Some(0)),
        _ => text.parse().map(GpuGrant::Some).map_err(|_| "expected all, none or a number".to_owned()),
    }
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let ran = job(matches).and_then(|job| local::run(&job, &report));
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
            error.downcast_ref().map_or(exit_code::CONFIGURATION, ContainerError::exit_code)
        }
    }
}

/// Returns the job that the command line describes.
fn job(matches: &ArgMatches) -> Result<LocalJob> {
    let pairs =
        |name: &str| -> Vec<(String, String)> { matches.get_many(name).into_iter().flatten().cloned().collect() };
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let entry_point = text("entry-point");
    let image = text("image").map(|name| JobImage {
        name,
        engine: text("engine"),
        gpus: matches.get_one("gpus").copied(),
        shared_memory: matches.get_one("shm-size").copied(),
        memory: matches.get_one("memory").copied(),
        instance_type: text("instance-type"),
    });
    let named_after = entry_point.as_ref().or(image.as_ref().map(|image| &image.name)).cloned().unwrap_or_default();
    let mut hyperparameters = match path("hyperparameters") {
        Some(path) => read_hyperparameters(&path)?,
        None => Vec::new(),
    };
    hyperparameters.extend(pairs("hyperparameter"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(LocalJob {
        source_dir: path("source-dir").unwrap_or_default(),
        name: text("job-name").unwrap_or_else(|| local::job_name(&named_after, now)),
        entry_point,
        hyperparameters,
        channels: channels::channels(matches)?,
        checkpoint_dir: path("checkpoint-dir"),
        output_dir: path("output-dir").unwrap_or_default(),
        variables: pairs("env"),
        settings: super::common::options(matches).settings,
        hosts: matches.get_one::<u8>("hosts").copied().map_or(1, usize::from),
        gpus_per_host: matches.get_one::<u8>("gpus-per-host").copied().map(usize::from),
        image,
    })
}

/// Reads a file of hyperparameters and returns each value as JSON, as the SDK sends it.
fn read_hyperparameters(path: &std::path::Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The file is read and written as Python would do it: with integers of any size, and NaN.
    match parse(&text).with_context(|| format!("{} is not JSON", path.display()))? {
        Value::Dict(dict) => {
            Ok(dict.iter().map(|(name, value)| (name.to_string(), value.dumps(Separators::Default))).collect())
        }
        _ => bail!("{} must hold a JSON object such as {{\"epochs\": 3}}", path.display()),
    }
}
