//! `footplate explain`: what a name means, and why it has its value here.

use super::job::{Ended, Job};

fn explain(job: &Job, words: &[&str]) -> Ended {
    job.run([&["explain"], words].concat())
}

/// Explains a name, which must exist, and checks that the explanation has each of these lines.
#[track_caller]
fn says(job: &Job, words: &[&str], lines: &[&str]) {
    let ended = explain(job, words);
    assert_eq!(ended.code(), 0, "{ended:#?}");
    let stdout = ended.stdout();
    let squeezed: Vec<String> =
        stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in lines {
        assert!(squeezed.iter().any(|said| said == line), "{line:?} is not in\n{stdout}");
    }
    assert!(ended.failure.is_none() && !ended.success, "{ended:#?}");
}

#[test]
fn a_setting_is_explained_with_the_place_that_its_value_comes_from() {
    let job = Job::python("").hyperparameters(r#"{"footplate_drain_time": 7}"#).variable("FOOTPLATE_DRAIN_TIME", "5");
    says(&job, &["grace_period"], &["grace_period, a setting", "takes seconds", "here 110 (the default)"]);
    says(&job, &["FOOTPLATE_DRAIN_TIME"], &["drain_time, a setting", "here 5, from the variable FOOTPLATE_DRAIN_TIME"]);
    says(&job, &["drain_time", "--set", "drain_time=3"], &["here 3, from --set drain_time"]);
    let job = job.without("FOOTPLATE_DRAIN_TIME");
    says(&job, &["footplate_drain_time"], &["here 7, from the hyperparameter footplate_drain_time"]);
    says(&job, &["launcher"], &["here process, because nobody asks for another"]);
    let job = job.hyperparameters(r#"{"sagemaker_torch_distributed_enabled": true}"#);
    says(&job, &["launcher"], &["here torchrun, which the job asks for"]);
    let job = Job::python("").variable("FOOTPLATE_CLUSTER_KEY", "a key of sixteen bytes");
    says(&job, &["cluster_key"], &["here ******, from the variable FOOTPLATE_CLUSTER_KEY"]);
    let job = Job::python("").variable("FOOTPLATE_GRACE_PERIOD", "soon");
    let ended = explain(&job, &["grace_period"]);
    assert!(ended.stdout().contains("soon, from the variable FOOTPLATE_GRACE_PERIOD; settings: "), "{ended:#?}");
}

#[test]
fn a_variable_is_explained_with_the_reason_for_its_value() {
    let job = Job::python("").hyperparameters(r#"{"lr": 0.1, "api_key": "s3cret-s3cret"}"#);
    let job = job.variable("SM_NUM_GPUS", "99").variable("MASTER_PORT", "1234").variable("MINE", "x");
    says(&job, &["SM_HP_LR"], &["holds Each hyperparameter.", "here \"0.1\""]);
    let replaced = "because footplate computes it from the job; the container's own value is replaced";
    says(&job, &["SM_NUM_GPUS"], &[replaced]);
    let of_container = "because the container has it (the image, or the job's environment)";
    says(&job, &["MASTER_PORT"], &["here \"1234\"", of_container]);
    says(&job, &["MINE"], &["here \"x\"", of_container]);
    says(&job, &["SM_HP_API_KEY"], &["here \"******\""]);
    let not_set = "because it is not set here: nothing in this job or on this machine calls for it";
    says(&job, &["RANK"], &[not_set]);
    let job = job.variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    says(&job, &["WORLD_SIZE"], &["here \"2\""]);
}

#[test]
fn codes_launchers_and_output_are_explained() {
    let job = Job::python("");
    says(&job, &["69"], &["footplate The image or the machine cannot launch what the job asks for."]);
    says(&job, &["137"], &["or signal 9, SIGKILL, ended the script (128 + 9)"]);
    says(&job, &["7"], &["or the script ended with this code itself"]);
    says(&job, &["torchrun"], &["torchrun, a launcher", "starts torchrun on every host", "needs PyTorch"]);
    let ended = explain(
        &job,
        &[
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    import numpi\nModuleNotFoundError: No module named 'numpi'",
        ],
    );
    assert!(ended.stdout().contains("error      ModuleNotFoundError: No module named 'numpi'\n"), "{ended:#?}");
    assert!(ended.stdout().contains("hint       "), "{ended:#?}");
    says(&job, &["all is well"], &["hint none: nothing more follows from this text"]);
}

#[test]
fn advice_and_hints_are_explained() {
    let job = Job::python("");
    says(
        &job,
        &["memory"],
        &[
            "memory, a kind of advice",
            "says memory is nearly used up",
            "given if The working set is above 90 % of the limit.",
        ],
    );
    says(
        &job,
        &["advice: the processors are throttled (31 % of the periods): use fewer"],
        &["throttled, a kind of advice"],
    );
    says(
        &job,
        &["hint: the disk is full (/tmp: 0 B free); write less, or use a larger volume"],
        &[
            "a hint of a failure file",
            "problem the disk is full (/tmp: 0 B free)",
            "remedy write less, or use a larger volume",
        ],
    );
}

#[test]
fn an_unknown_name_is_refused_with_the_one_that_is_meant() {
    let job = Job::python("");
    let ended = explain(&job, &["grace_perid"]);
    assert_eq!((ended.code(), ended.failure.is_none()), (2, true), "{ended:#?}");
    assert!(ended.stderr.contains("\"grace_perid\"; did you mean grace_period?"), "{ended:#?}");
}

#[test]
fn a_container_without_a_job_explains_all_the_same() {
    let job = Job::python("");
    std::fs::remove_dir_all(job.path("input/config")).expect("removed");
    says(&job, &["SM_MODEL_DIR"], &["holds The folder to save the model in."]);
    says(&job, &["drain_time"], &["here 1 (the default)"]);
}
