//! Random and mutated files: reading them returns a job or an error, and never panics.

use std::fs;

use proptest::prelude::*;

use crate::job::config::{Config, ConfigError, read};
use crate::job::{Paths, Variables};

/// Every configuration file, relative to the base folder, with valid content.
const FILES: [(&str, &str); 6] = [
    (
        "input/config/hyperparameters.json",
        r#"{"lr": "1e-5", "n": "null", "s": "\"a\\u0000\"", "big": 12345678901234567890, "o": {"k": [1, true]},
            "sagemaker_program": "\"train.py\"", "sagemaker_container_log_level": "20", "sagemaker_mpi_enabled": "true",
            "sagemaker_distribution_instance_groups": "[\"g\"]", "footplate_grace_period": "3"}"#,
    ),
    (
        "input/config/resourceconfig.json",
        r#"{"current_group_name": "g", "current_host": "algo-2", "current_instance_type": "ml.p4d.24xlarge",
            "hosts": ["algo-1", "algo-2"], "network_interface_name": "eth0", "topology": null,
            "instance_groups": [{"hosts": ["algo-2", "algo-1"], "instance_group_name": "g", "instance_type": "x"}]}"#,
    ),
    ("input/config/inputdataconfig.json", r#"{"train": {"TrainingInputMode": "File"}, "test": {}}"#),
    ("input/config/checkpointconfig.json", r#"{"LocalPath": "/state"}"#),
    (
        "input/data/sm_drivers/sourcecode.json",
        r#"{"source_dir": "code", "requirements": null, "entry_script": "train.py", "command": null}"#,
    ),
    (
        "input/data/sm_drivers/distributed.json",
        r#"{"process_count_per_node": 4, "mpi_additional_options": ["-x", "VAR1"]}"#,
    ),
];

/// The index of the checkpoint file, whose errors only cause warnings.
const OPTIONAL: usize = 3;

/// Reads the files of a job; the one with the index `changed` contains `content`.
fn read_with(changed: usize, content: &[u8]) -> (String, Result<Config, ConfigError>) {
    let base = tempfile::tempdir().expect("a folder");
    for (number, (file, usual)) in FILES.iter().enumerate() {
        let path = base.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, if number == changed { content } else { usual.as_bytes() }).expect("written");
    }
    let path = base.path().join(FILES[changed].0).display().to_string();
    (path, read(Paths::under(base.path()), &Variables::default()))
}

/// Checks the invariants of the result, whatever the files contain.
fn check_result(changed: usize, content: &[u8]) {
    match read_with(changed, content) {
        (path, Ok(config)) => {
            let job = &config.job;
            assert!(job.cluster.hosts.contains(&job.cluster.current_host));
            assert!(job.node_rank() < job.nodes().len());
            assert!(!job.master().is_empty());
            assert!(config.warnings.iter().all(|warning| warning.starts_with(&format!("not used: {path}: "))));
        }
        (path, Err(error)) => {
            assert_ne!(changed, OPTIONAL, "{error}");
            assert_eq!(error.path.display().to_string(), path);
            let text = error.to_string();
            assert!(text.starts_with(&format!("{path}: ")) && text.contains("; expected an object "), "{text}");
            assert!(text.len() < path.len() + 1000 + content.len(), "{text}");
        }
    }
}

#[test]
fn the_files_that_the_other_tests_mutate_are_valid() {
    let (_, config) = read_with(0, FILES[0].1.as_bytes());
    let config = config.expect("read");
    assert_eq!(config.job.node_rank(), 1, "hosts are sorted where the drivers of SDK version 3 run");
    assert_eq!(config.own_hyperparameters.len(), 1);
    assert!(config.job.drivers.is_some() && config.warnings.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_result_in_a_job_or_an_error_that_names_the_file(
        changed in 0..FILES.len(),
        content in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        check_result(changed, &content);
    }

    #[test]
    fn random_json_results_in_a_job_or_an_error_that_names_the_file(
        changed in 0..FILES.len(),
        content in r#"(\{|\[|"hosts"|"current_host"|"LocalPath"|"a"|: ?|, |\]|\}|null|-?[0-9.e]{1,4}|"\\ud800"|"algo-1"){0,20}"#,
    ) {
        check_result(changed, content.as_bytes());
    }

    #[test]
    fn mutated_files_result_in_a_job_or_an_error_that_names_the_file(
        changed in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut content = FILES[changed].1.as_bytes().to_vec();
        for (index, byte, inserted) in changes {
            let at = index.index(content.len());
            // Most bytes are characters of JSON, so that changes lead to different errors.
            let byte = if byte < 192 { b"\"\\{}[]:,0-e nt\x00"[usize::from(byte) % 15] } else { byte };
            if inserted {
                content.insert(at, byte);
            } else {
                content[at] = byte;
            }
        }
        if cut {
            content.truncate(length.index(content.len()));
        }
        check_result(changed, &content);
    }
}
