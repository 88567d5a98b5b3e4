//! `footplate upload-output`: uploads intermediate output for the Python package `sagemaker_training`, which calls this
//! subcommand. Users do not.

use std::time::Duration;

use clap::{Arg, ArgMatches, Command};

use crate::event::Events;
use crate::job::config::base_paths;
use crate::job::{Variables, exit_code};
use crate::logs::{self, Relay};
use crate::redact::Redactor;
use crate::storage::Access;
use crate::storage::uploads::{IntermediateUploads, OutputTarget};

/// The interval at which the end of the job is looked for.
const INTERVAL: Duration = Duration::from_millis(100);

/// The time that the last messages have to be written.
const LOG_TIME: Duration = Duration::from_secs(2);

pub(super) fn command() -> Command {
    let option = |name: &'static str| Arg::new(name).long(name).value_name("NAME");
    Command::new("upload-output")
        .about("Upload what is written to the folder of intermediate output, until the job has ended")
        .hide(true)
        .arg(option("region").help("The region of the bucket"))
        .arg(Arg::new("url").value_name("URL").required(true).help("The S3 URL of the job's output"))
}

/// Uploads until there is a success or failure file, or until the process that called this one has ended. Prints a line once
/// no file can be missed any more.
pub(super) fn run(matches: &ArgMatches) -> i32 {
    let variables = Variables::of_this_process();
    let paths = base_paths(&variables);
    let (folder, ends) = (paths.intermediate(), [paths.success(), paths.failure()]);
    let url = matches.get_one::<String>("url").map(String::as_str).unwrap_or_default();
    let destination = match OutputTarget::parse(url, variables.get("TRAINING_JOB_NAME").as_deref()) {
        Ok(OutputTarget::S3(destination)) => destination,
        Ok(OutputTarget::Local) => return 0,
        Err(error) => return refuse(&error),
    };
    let Ok(relay) = Relay::start() else { return refuse("no thread can be started") };
    logs::init(relay.clone());
    logs::set_redactor(Redactor::new(variables.texts()));
    let access = Access::of(&variables, matches.get_one::<String>("region").map(String::as_str));
    let parent = nix::unistd::getppid();
    let mut uploads = match IntermediateUploads::begin(&folder, destination, access, Events::default()) {
        Ok(uploads) => uploads,
        Err(error) => return refuse(&format!("cannot upload {}: {error}", folder.display())),
    };
    super::common::print("watching\n");
    while !ends.iter().any(|path| path.exists()) && nix::unistd::getppid() == parent {
        std::thread::sleep(INTERVAL);
    }
    uploads.end();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async { while uploads.progressed().await {} }),
        Err(error) => return refuse(&format!("cannot wait for the uploads: {error}")),
    }
    relay.finish_within(LOG_TIME);
    0
}

fn refuse(text: &str) -> i32 {
    super::common::report(&format!("intermediate output: {text}"));
    exit_code::LAUNCH
}
