//! `footplate shim`: writes the Python package `sagemaker_training`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::common::report;
use crate::job::exit_code;
use crate::shim;

pub(super) fn command() -> Command {
    Command::new("shim")
        .about("Write the Python package sagemaker_training, for frameworks that import it, on top of footplate")
        .after_help(
            "pip takes the package for sagemaker-training, so that nothing installs the original over it.\n\nExample:\n  \
             footplate shim --dir \"$(python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')\"",
        )
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The folder of the image's Python packages"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let folder = matches.get_one::<PathBuf>("dir").cloned().unwrap_or_default();
    let binary = std::env::current_exe().unwrap_or_else(|_| "footplate".into());
    match shim::write(&folder, &binary) {
        Ok(written) => {
            report(&format!("sagemaker-training {} is in {}", shim::VERSION, folder.display()));
            if written.has_original_containers {
                report("sagemaker_containers is there already, and is left as it is");
            }
            0
        }
        Err(error) => {
            report(&error.to_string());
            exit_code::CONFIGURATION
        }
    }
}
