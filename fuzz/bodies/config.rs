//! The readers of the configuration files: for any content they return a job, or an error that names the file.
//!
//! The fuzz target and the tests (tests/it/mutated.rs) run this body.

use std::fs;
use std::sync::LazyLock;

use footplate::job::config;
use footplate::job::{Paths, Variables};

/// The files that are read, below the base folder.
const FILES: [&str; 6] = [
    "input/config/hyperparameters.json",
    "input/config/resourceconfig.json",
    "input/config/inputdataconfig.json",
    "input/config/checkpointconfig.json",
    "input/data/sm_drivers/sourcecode.json",
    "input/data/sm_drivers/distributed.json",
];

/// The base folder, in memory because a disk would take most of the time. Each process has its own.
static BASE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let base = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    for (number, file) in FILES.iter().enumerate() {
        let path = base.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, usual(number)).expect("written");
    }
    base
});

/// Returns the content of a file that the input does not choose.
fn usual(number: usize) -> &'static [u8] {
    if number == 1 { br#"{"current_host": "algo-1", "hosts": ["algo-1"]}"# } else { b"{}" }
}

/// Reads the input as a configuration file. The first byte is not part of it: it chooses the file.
pub fn run(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else { return };
    let chosen = usize::from(*choice) % FILES.len();
    fs::write(BASE.path().join(FILES[chosen]), content).expect("written");
    match config::read(Paths::under(BASE.path()), &Variables::default()) {
        Ok(config) => {
            let job = config.job;
            assert!(job.node_rank() < job.nodes().len());
            assert!(job.cluster.hosts.contains(&job.cluster.current_host));
        }
        Err(error) => assert!(error.path.ends_with(FILES[chosen]), "{error}"),
    }
    fs::write(BASE.path().join(FILES[chosen]), usual(chosen)).expect("written");
}
