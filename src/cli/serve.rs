//! `footplate serve`: reports that serving is not supported. The platform starts inference images in this way.

use clap::Command;

use crate::job::exit_code;

pub(super) fn command() -> Command {
    Command::new("serve").about("Say that this is a training image").hide(true)
}

pub(super) fn run() -> i32 {
    eprintln!(
        "footplate: this is a training image, and cannot serve: create an endpoint with an inference image and the model that \
         this image has trained"
    );
    exit_code::USAGE
}
