//! The rules for turning the files into a job, each with its edge cases.

use std::fs;
use std::path::Path;

use crate::job::config::{Config, ConfigError, base_paths, is_absent, is_there, read};
use crate::job::python::{Dict, Separators, Value};
use crate::job::{Paths, Variables};

const HYPERPARAMETERS: &str = "input/config/hyperparameters.json";
const RESOURCES: &str = "input/config/resourceconfig.json";
const CHANNELS: &str = "input/config/inputdataconfig.json";

/// A job's folder with files in it.
struct Files(tempfile::TempDir);

impl Files {
    /// The files that every job has.
    fn new() -> Files {
        let files = Files::none();
        files
            .with(HYPERPARAMETERS, "{}")
            .with(RESOURCES, r#"{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}"#)
            .with(CHANNELS, "{}")
    }

    fn none() -> Files {
        Files(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn paths(&self) -> Paths {
        Paths::under(self.path())
    }

    fn with(self, file: &str, content: &str) -> Files {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("written");
        self
    }

    fn read(&self) -> Result<Config, ConfigError> {
        self.read_with([])
    }

    fn read_with<const N: usize>(&self, variables: [(&str, &str); N]) -> Result<Config, ConfigError> {
        read(self.paths(), &variables.into_iter().collect::<Variables>())
    }

    /// Reads the files, and checks that the one at `file` is refused because of this problem.
    #[track_caller]
    fn refused(&self, file: &str, problem: &str) {
        let error = self.read().expect_err(problem);
        assert_eq!((error.path.as_path(), error.problem.as_str()), (self.path().join(file).as_path(), problem));
    }
}

fn names(dict: &Dict) -> Vec<String> {
    dict.keys().map(|key| key.to_str().into_owned()).collect()
}

#[test]
fn hyperparameters_are_sorted_by_whom_they_are_for() {
    let files = Files::new().with(
        HYPERPARAMETERS,
        r#"{"lr": "1e-5", "footplate_grace_period": "3", "sagemaker_program": "\"train.py\"", "sagemaker_mpi_enabled": "true",
            "_tuning_objective_metric": "loss", "text": "a b", "default_user_module_name": "x"}"#,
    );
    let Config { job, own_hyperparameters, .. } = files.read().expect("read");
    assert_eq!(names(&own_hyperparameters), ["footplate_grace_period"]);
    assert_eq!(names(&job.hyperparameters), ["lr", "text"]);
    assert_eq!(names(&job.framework_parameters), ["sagemaker_mpi_enabled"]);
    assert_eq!(job.all_hyperparameters.len(), 6, "all but footplate's own");
    assert_eq!(job.hyperparameters.get("lr").expect("lr").dumps(Separators::Default), "1e-05");
    assert_eq!(job.hyperparameters.get("text").and_then(Value::as_str), Some("a b"));
}

#[test]
fn variables_of_the_image_win_and_empty_values_are_ignored() {
    let empty = r#"{"sagemaker_program": "\"\"", "sagemaker_submit_directory": "", "sagemaker_s3_output": "null"}"#;
    let request = Files::new().with(HYPERPARAMETERS, empty).read().expect("read").job.request;
    assert_eq!((request.program, request.submit_directory, request.s3_output), (None, None, None));

    let files = Files::new().with(
        HYPERPARAMETERS,
        r#"{"sagemaker_program": "a.py", "sagemaker_submit_directory": "s3://b/k", "sagemaker_s3_output": "s3://b/out",
            "sagemaker_region": "\"eu-west-1\""}"#,
    );
    let request = files.read().expect("read").job.request;
    assert_eq!(request.program.as_deref(), Some("a.py"));
    assert_eq!(request.submit_directory.as_deref(), Some("s3://b/k"));
    assert_eq!(request.s3_output.as_deref(), Some("s3://b/out"));
    let variables =
        [("SAGEMAKER_PROGRAM", "b.py"), ("SAGEMAKER_TRAINING_MODULE", ""), ("AWS_DEFAULT_REGION", "eu-west-2")];
    let request = files.read_with(variables).expect("read").job.request;
    assert_eq!((request.program.as_deref(), request.training_module), (Some("b.py"), None));
    assert_eq!(request.region, Some(Value::from("eu-west-1".to_owned())), "the hyperparameter is stronger");
    let request = Files::new().read_with(variables).expect("read").job.request;
    assert_eq!(request.region, Some(Value::from("eu-west-2".to_owned())));
}

#[test]
fn a_distribution_spans_the_named_groups_or_the_current_one() {
    let groups = |hyperparameters: &str| {
        let files = Files::new().with(HYPERPARAMETERS, hyperparameters);
        files.read().expect("read").job.cluster.distribution_groups
    };
    assert_eq!(groups("{}"), [] as [&str; 0]);
    assert_eq!(groups(r#"{"sagemaker_mpi_enabled": "false"}"#), [] as [&str; 0]);
    assert_eq!(groups(r#"{"sagemaker_mpi_enabled": "true"}"#), ["homogeneousCluster"]);
    let named = r#"{"sagemaker_mpi_enabled": "true", "sagemaker_distribution_instance_groups": "[\"a\", \"b\"]"}"#;
    assert_eq!(groups(named), ["a", "b"]);
}

#[test]
fn a_job_needs_hosts_or_hyperparameters() {
    for (file, there, absent) in [
        (None, false, true),
        (Some(HYPERPARAMETERS), true, false),
        (Some(RESOURCES), true, false),
        (Some("input/config/resourceConfig.json"), true, false),
        (Some(CHANNELS), false, false),
    ] {
        let files = file.map_or_else(Files::none, |file| Files::none().with(file, "{}"));
        assert_eq!((is_there(&files.paths()), is_absent(&files.paths())), (there, absent), "{file:?}");
    }
}

#[test]
fn the_base_folder_is_the_platforms_unless_a_variable_names_one() {
    let base = |value: &str| base_paths(&[("SAGEMAKER_BASE_DIR", value)].into_iter().collect()).base().to_owned();
    assert_eq!(base("/x"), Path::new("/x"));
    assert_eq!(base(""), Path::new("/opt/ml"));
    assert_eq!(base_paths(&Variables::default()).base(), Path::new("/opt/ml"));
}

#[test]
fn hosts_are_refused_with_the_key_that_is_wrong() {
    for (content, problem) in [
        (r#"{"hosts": ["a"]}"#, r#"the key "current_host" is missing"#),
        (r#"{"current_host": "", "hosts": ["a"]}"#, r#"the key "current_host" is empty"#),
        (r#"{"current_host": 1, "hosts": ["a"]}"#, r#"the key "current_host" is a number, not a string"#),
        (r#"{"current_host": "a"}"#, r#"the key "hosts" is missing"#),
        (r#"{"current_host": "a", "hosts": []}"#, r#"the key "hosts" is an empty list"#),
        (r#"{"current_host": "a", "hosts": [1]}"#, r#"the key "hosts" holds something that is not a string"#),
        (
            r#"{"current_host": "a", "hosts": ["b"]}"#,
            r#"the key "current_host" is "a", which is not one of the hosts ["b"]"#,
        ),
        (
            r#"{"current_host": "a", "hosts": ["a"], "instance_groups": [{"hosts": ["a"]}]}"#,
            r#"the key "instance_groups[0].instance_group_name" is missing"#,
        ),
    ] {
        Files::new().with(RESOURCES, content).refused(RESOURCES, problem);
    }
}

#[test]
fn the_other_name_of_the_resource_file_is_read_if_the_usual_is_absent() {
    const OTHER: &str = "input/config/resourceConfig.json";
    let hosts = r#"{"current_host": "x", "hosts": ["x"]}"#;
    let files = Files::new().with(OTHER, hosts);
    assert_eq!(files.read().expect("read").job.cluster.current_host, "algo-1");
    fs::remove_file(files.path().join(RESOURCES)).expect("removed");
    assert_eq!(files.read().expect("read").job.cluster.current_host, "x");
}

#[test]
fn files_that_could_block_the_job_are_refused() {
    let files = Files::new();
    let path = files.path().join(CHANNELS);
    fs::remove_file(&path).expect("removed");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    files.refused(CHANNELS, "cannot be read: it is a FIFO (a named pipe), not a regular file");
    fs::remove_file(&path).expect("removed");
    // A sparse file, of which nothing is read.
    let too_large = (32 << 20) + 1;
    fs::File::create(&path).expect("a file").set_len(too_large).expect("sized");
    files.refused(CHANNELS, &format!("cannot be read: it has {too_large} bytes, more than 33554432"));
}

#[test]
fn a_file_below_something_that_is_not_a_folder_is_missing() {
    let files = Files::new().with("input/data/sm_drivers", "a file");
    assert!(files.read().expect("read").job.drivers.is_none());
}

#[test]
fn the_configuration_of_the_drivers_ignores_what_is_null_or_empty() {
    let read = |source_code: Option<&str>, distributed: Option<&str>| {
        let mut files = Files::new();
        for (file, content) in [("sourcecode.json", source_code), ("distributed.json", distributed)] {
            if let Some(content) = content {
                files = files.with(&format!("input/data/sm_drivers/{file}"), content);
            }
        }
        files.read().expect("read").job.drivers
    };
    assert!(read(None, None).is_none());
    assert!(read(None, Some("{}")).is_none());
    assert!(read(Some("null"), Some("null")).is_none());
    assert!(read(None, Some(r#"{"process_count_per_node": 2}"#)).expect("drivers").distributed.is_some());
    let drivers = read(Some(r#"{"entry_script": "train.py", "command": "", "requirements": null}"#), Some("{}"));
    let drivers = drivers.expect("drivers");
    assert_eq!(drivers.entry_script.as_deref(), Some("train.py"));
    assert!(drivers.command.is_none() && drivers.requirements.is_none() && drivers.distributed.is_none());
}

#[test]
fn checkpoints_are_in_the_named_folder_or_in_the_platforms_if_it_exists() {
    const FILE: &str = "input/config/checkpointconfig.json";
    let folder = |files: &Files| {
        let Config { job, warnings, .. } = files.read().expect("read");
        (job.checkpoint_dir, warnings.len())
    };
    assert_eq!(folder(&Files::new()), (None, 0));
    assert_eq!(folder(&Files::new().with(FILE, r#"{"LocalPath": "/state"}"#)), (Some("/state".into()), 0));
    let files = Files::new().with("checkpoints/step-1", "");
    let platforms = files.path().join("checkpoints");
    assert_eq!(folder(&files), (Some(platforms.clone()), 0));
    for (content, warnings) in
        [("{}", 0), (r#"{"LocalPath": null}"#, 0), (r#"{"LocalPath": ""}"#, 1), (r#"{"LocalPath": 1}"#, 1), ("[]", 1)]
    {
        fs::create_dir_all(files.path().join("input/config")).expect("a folder");
        fs::write(files.path().join(FILE), content).expect("written");
        assert_eq!(folder(&files), (Some(platforms.clone()), warnings), "{content}");
    }
}
