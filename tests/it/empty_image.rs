//! An image that contains only footplate and a job.

use std::fs;
use std::process::{Command, Stdio};

use super::job::{Ended, FOOTPLATE, Job, wait_with_output};

/// Runs a job in an image that contains only footplate and the job.
pub fn run(job: &Job, words: &[&str]) -> Ended {
    fs::copy(FOOTPLATE, job.path("footplate")).expect("copied");
    fs::create_dir_all(job.path("tmp")).expect("a folder");
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("chroot")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "chroot"]);
        command
    };
    let program = job
        .command(words)
        .get_envs()
        .find(|(name, _)| *name == "SAGEMAKER_PROGRAM")
        .and_then(|(_, v)| v)
        .map(ToOwned::to_owned);
    command.arg(job.base()).arg("/footplate").args(words);
    command.env_clear().env("SAGEMAKER_BASE_DIR", "/").envs(program.map(|program| ("SAGEMAKER_PROGRAM", program)));
    // The test's part of PATH is for finding chroot itself.
    command.env("PATH", format!("/image/bin:{}", std::env::var("PATH").expect("a PATH")));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    job.ended(wait_with_output(child), std::time::Duration::ZERO)
}
