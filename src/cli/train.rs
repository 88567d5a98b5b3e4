//! `footplate train`.

use std::fmt::Write;

use clap::{ArgMatches, Command};

use crate::job::settings::REGISTRY;
use crate::launch;
use crate::run;

pub(super) fn command() -> Command {
    let mut settings =
        String::from("Settings (--set NAME=VALUE, or the variable, or the hyperparameter footplate_NAME):\n");
    for setting in &REGISTRY {
        // Writing to a string cannot fail.
        let _ = writeln!(
            settings,
            "  {:<19} {} [default: {}]",
            setting.name,
            setting.values.replace('`', ""),
            setting.default
        );
    }
    settings.push_str("\nLaunchers:\n");
    for engine in launch::ENGINES {
        let _ = writeln!(settings, "  {:<19} {}", engine.name, engine.summary.replace('`', ""));
    }
    Command::new("train")
        .about("Run the training job whose configuration is in /opt/ml (or SAGEMAKER_BASE_DIR)")
        .after_help(settings + "\nExample:\n  footplate train --set grace_period=30")
        .arg(super::common::settings_option())
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    run::train(super::common::options(matches))
}
