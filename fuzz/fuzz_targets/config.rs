//! The readers of the configuration files: whatever a file holds, they give a job or an error that names the file.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use footplate::job::config;
use footplate::job::{Paths, Variables};
use libfuzzer_sys::fuzz_target;

/// The files that are read, below the base folder. The first byte of the input chooses the one that holds the rest of it.
const FILES: [&str; 6] = [
    "input/config/hyperparameters.json",
    "input/config/resourceconfig.json",
    "input/config/inputdataconfig.json",
    "input/config/checkpointconfig.json",
    "input/data/sm_drivers/sourcecode.json",
    "input/data/sm_drivers/distributed.json",
];

/// In memory: the disk would take most of the time.
static BASE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let base = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    for number in 0..FILES.len() {
        let path = base.path().join(FILES[number]);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, usual(number)).expect("written");
    }
    base
});

/// What a file holds if it is not the one that is tried.
fn usual(number: usize) -> &'static [u8] {
    match number {
        1 => br#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#,
        _ => b"{}",
    }
}

fuzz_target!(|data: &[u8]| {
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
});
