//! The hosts of a job as processes on this machine. Each is a footplate with its own folders and its own loopback
//! address.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

use super::hosts::{self, DirectOverseer, HostProcess};
use super::job::LocalJob;
use crate::cluster;
use crate::job::Paths;
use crate::run::Scratch;
use crate::system::kernel;

/// The variables that decide what runs. The job does not inherit them from this machine's shell.
const NOT_INHERITED: [&str; 3] = ["SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "SAGEMAKER_TRAINING_MODULE"];

/// The setting and the variable of the secret that the hosts of a job share.
const KEY_SETTING: &str = "cluster_key";
const KEY_VARIABLE: &str = "FOOTPLATE_CLUSTER_KEY";

/// Runs the hosts until they end, and returns their exit statuses in the order of the hosts.
pub(super) fn run(job: &LocalJob, hosts: &[Paths]) -> Result<Vec<ExitStatus>> {
    let signals = hosts::signals()?;
    let mut temporary = Scratch::default();
    let key = key(job)?;
    let mut processes = Vec::new();
    for (index, (paths, name)) in hosts.iter().zip(job.host_names()).enumerate() {
        let mut command = command(job, paths)?;
        // The hosts' names may not resolve on this machine.
        command.env("FOOTPLATE_HOST_ADDRESSES", addresses(job));
        if let Some(key) = &key {
            command.env(KEY_VARIABLE, key);
        }
        if hosts.len() > 1 {
            command.args(["--set", "log_prefix=on"]);
            let folder = temporary_folder(temporary.path().context("cannot make a temporary folder")?, index)?;
            command.env("TMPDIR", folder);
        }
        let (record, failure) = (paths.record(&name), paths.failure());
        processes.push(HostProcess { name, command, record, failure });
    }
    hosts::run(&job.name, processes, signals, &DirectOverseer)
}

/// Returns the command that runs one host.
fn command(job: &LocalJob, paths: &Paths) -> Result<Command> {
    let binary = std::env::current_exe().context("cannot find footplate's own binary")?;
    let mut command = Command::new(&binary);
    command.arg("train");
    if let Some(gpus) = job.gpus_per_host {
        command.arg("--set").arg(format!("gpus={gpus}"));
    }
    for (name, value) in job.settings.iter().filter(|(name, _)| name != KEY_SETTING) {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(job.variables.iter().map(|(name, value)| (name, value)));
    command.env("SAGEMAKER_BASE_DIR", paths.base()).env("TRAINING_JOB_NAME", &job.name);
    kernel::end_with_this_thread(&mut command);
    Ok(command)
}

/// Returns the secret that the hosts share. It is passed in their environment, which no other user of this machine
/// can read. The secret is random unless the user has chosen one. Normally footplate derives the key from the job's
/// configuration, which other users of this machine could guess. With the key, they could run commands as this user.
fn key(job: &LocalJob) -> Result<Option<String>> {
    let value = |pairs: &[(String, String)], name: &str| {
        pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    if let Some(chosen) = value(&job.settings, KEY_SETTING) {
        return Ok(Some(chosen));
    }
    let chosen = value(&job.variables, KEY_VARIABLE).map(OsString::from).or_else(|| std::env::var_os(KEY_VARIABLE));
    if chosen.is_some_and(|key| !key.is_empty()) || job.hosts == 1 {
        return Ok(None);
    }
    cluster::random_secret().map(Some).context("cannot make a key for the hosts of the job")
}

/// Returns the addresses of the hosts. They are loopback addresses derived from this process's ID, so that two jobs
/// on this machine have different ones.
fn addresses(job: &LocalJob) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = |number: usize| Ipv4Addr::new(127, 64 + high % 128, low, u8::try_from(number).unwrap_or(u8::MAX));
    let pairs = job.host_names().into_iter().zip(1..).map(|(host, number)| format!("{host}={}", address(number)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Creates the temporary folder of a host. On the platform, each host has its own temporary folder, in which mpirun
/// stores files for that host. The path is short, because the paths of sockets must be short.
fn temporary_folder(of_job: &Path, index: usize) -> Result<PathBuf> {
    let folder = of_job.join((index + 1).to_string());
    std::fs::create_dir(&folder).context("cannot make a temporary folder")?;
    Ok(folder)
}
