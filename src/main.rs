//! The footplate binary: passes the command line to [`footplate::cli`] and exits with the exit code that it returns.

fn main() {
    footplate::system::kernel::use_one_arena();
    footplate::supervise::guard::allow();
    std::process::exit(footplate::cli::run(std::env::args_os().collect()));
}
