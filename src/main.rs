//! The footplate binary: hands the command line to [`footplate::cli`] and ends with the exit code that it gives.

fn main() {
    std::process::exit(footplate::cli::run(std::env::args_os().collect()));
}
