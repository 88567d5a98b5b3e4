//! GPUs and Neuron cores in the samples of resources.
//!
//! There is no device on the machines that run these tests. So NVIDIA's library, nvidia-smi and neuron-monitor are stand-ins,
//! which answer in the forms of the real ones.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::job::{Job, eventually, executable};
use super::record::record;

const SAMPLES: &str = "output/data/footplate/algo-1/resources.jsonl";

/// A script that runs until a sample contains the text that the variable UNTIL names.
const UNTIL_SAMPLED: &str = "import os, time\nwhile True:\n    try:\n        if os.environ['UNTIL'] in open(os.environ['SAMPLES']).read():\n            break\n    except OSError:\n        pass\n    time.sleep(0.01)\n";

/// Returns a job that samples often, assumes two GPUs, and runs until a sample contains a text.
fn job(until: &str) -> Job {
    let job = Job::python(UNTIL_SAMPLED)
        .variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1")
        .variable("FOOTPLATE_GPUS", "2")
        .variable("FOOTPLATE_LAUNCHER", "process")
        .variable("UNTIL", until);
    let path = job.path(SAMPLES).display().to_string();
    job.variable("SAMPLES", &path)
}

/// Builds the stand-in for NVIDIA's library, and has the job's programs find it.
fn with_library(job: Job, options: &[&str]) -> Job {
    let folder = job.path("library");
    std::fs::create_dir(&folder).expect("made");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvml.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-w", "-Wl,-soname,libnvidia-ml.so.1", "-o"]);
    compiler.arg(folder.join("libnvidia-ml.so.1")).arg(source).arg("-lpthread").args(options);
    let built = compiler.output().expect("cc runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let calls = job.path("calls").display().to_string();
    job.variable("LD_LIBRARY_PATH", &folder.display().to_string()).variable("STAND_IN_CALLS", &calls)
}

/// Puts a program on the job's PATH, before all others.
fn with_program(job: Job, name: &str, content: &str) -> Job {
    let folder = job.path("programs");
    std::fs::create_dir_all(&folder).expect("made");
    executable(&folder.join(name), content);
    let path = format!("{}:{}", folder.display(), job.variables()["PATH"]);
    job.variable("PATH", &path)
}

/// Returns the samples that have GPUs.
fn gpus(job: &Job) -> Vec<Value> {
    let text = job.read(SAMPLES).expect("samples");
    let lines = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|sample| sample["gpus"].clone()).filter(|gpus| !gpus.is_null()).collect()
}

#[test]
fn the_helper_asks_the_library_and_ends_with_the_job() {
    let job = with_library(job("\"gpus\""), &["-DNEW"]);
    job.train().succeeded();
    let expected = serde_json::json!([
        {"index": 0, "busy": 97.0, "memory_busy": 41.0, "memory_used": 70_u64 << 30, "memory_total": 80_u64 << 30,
         "power": 412.3, "power_limit": 700.0, "temperature": 61.0, "clock": 1410.0, "max_clock": 1980.0,
         "slowed": ["power-cap", "heat"], "memory_errors": 5},
        {"index": 1, "busy": null, "memory_used": 70_u64 << 30, "memory_total": 80_u64 << 30, "power": null,
         "temperature": 61.0, "clock": 1410.0, "max_clock": 1980.0},
    ]);
    let sampled = gpus(&job);
    assert!(!sampled.is_empty() && sampled.iter().all(|gpus| *gpus == expected), "{sampled:#?}");
    let summary = &record(&job)["resources"]["gpus"];
    assert_eq!(summary[0]["name"], "NVIDIA Stand-in 1", "{summary}");
    assert_eq!((&summary[0]["busy_mean"], &summary[0]["memory_errors"]), (&97.0.into(), &5.into()), "{summary}");
    assert_eq!(summary[1]["busy_mean"], Value::Null, "{summary}");
    let calls = job.read("calls").expect("the library was called");
    let helper = calls.split(' ').next().expect("a process");
    eventually("the end of the helper", || (!Path::new("/proc").join(helper).exists()).then_some(()));
}

#[test]
fn the_library_of_an_old_driver_is_asked_for_what_it_has() {
    let job = with_library(job("\"gpus\""), &[]);
    job.train().succeeded();
    let gpu = &gpus(&job)[0][0];
    assert_eq!(gpu["memory_used"].as_u64(), Some(71 << 30), "{gpu}");
    assert_eq!(gpu["slowed"], serde_json::json!(["heat"]), "{gpu}");
}

#[test]
fn a_library_that_does_not_answer_holds_up_neither_samples_nor_the_end() {
    let job = with_library(job("\"elapsed\":"), &["-DNEW"]).variable("STAND_IN_HANGS", "1");
    let script = "while not os.path.exists(path) or open(path).read().count('\\n') < 4: time.sleep(0.01)\n";
    let job = job.file("code/train.py", format!("import os, time\npath = os.environ['SAMPLES']\n{script}"));
    job.train().succeeded();
    assert_eq!(gpus(&job), [] as [Value; 0]);
    let calls = job.read("calls").expect("the library was called");
    let helper = calls.split(' ').next().expect("a process");
    eventually("the end of the helper", || (!Path::new("/proc").join(helper).exists()).then_some(()));
}

/// Returns the run of a script that takes four samples, on a machine with GPUs that cannot be sampled.
fn without_gpus(job: Job) -> super::job::Ended {
    let script = "while not os.path.exists(path) or open(path).read().count('\\n') < 5: time.sleep(0.01)\n";
    let job = job
        .file("code/train.py", format!("import os, time\npath = os.environ['SAMPLES']\n{script}"))
        .hyperparameters(r#"{"sagemaker_container_log_level": "10"}"#);
    let ended = job.train().succeeded();
    assert_eq!(gpus(&job), [] as [Value; 0]);
    ended
}

#[test]
fn a_source_that_is_missing_or_broken_is_reported_once() {
    for (job, problem) in [
        (job(""), "libnvidia-ml.so.1: cannot open shared object file"),
        (with_library(job(""), &["-DNEW"]).variable("STAND_IN_BROKEN", "1"), "error 9 (the driver is not loaded)"),
        (
            with_program(job(""), "nvidia-smi", "#!/bin/sh\necho 'No devices were found'\nexit 6\n"),
            "nvidia-smi has ended: No devices were found",
        ),
    ] {
        let ended = without_gpus(job);
        let reports: Vec<&str> =
            ended.stderr.lines().filter(|line| line.contains("the use of GPUs is not recorded")).collect();
        assert!(reports.len() == 1 && reports[0].contains(problem), "{problem}: {}", ended.stderr);
    }
}

/// A stand-in for nvidia-smi of an old driver: it refuses the new name of the reasons.
const SMI: &str = r#"#!/bin/sh
[ "$1" = --list-gpus ] && { echo "GPU 0: NVIDIA A10G"; exit 0; }
case $1 in *clocks_event_reasons*)
    echo 'Field "clocks_event_reasons.active" is not a valid field to query.'
    exit 2 ;;
esac
echo "$@" > "$SMI_ARGUMENTS"
while :; do
    echo "0, 45, 12, 1024, 23028, 120.50, 300.00, 44, 1200, 1710, 0x0000000000000001, 0, NVIDIA A10G"
    echo "1, [Unknown Error], [N/A], [N/A], 23028, [Not Supported], [N/A], 40, 300, [N/A], [N/A], [N/A], NVIDIA A10G"
    sleep 0.1
done
"#;

#[test]
fn without_the_library_one_nvidia_smi_is_asked() {
    let job = with_program(job("\"gpus\""), "nvidia-smi", SMI);
    let arguments = job.path("arguments").display().to_string();
    let job = job.variable("SMI_ARGUMENTS", &arguments);
    job.train().succeeded();
    let gpus = &gpus(&job)[0];
    let expected = serde_json::json!([
        {"index": 0, "busy": 45.0, "memory_busy": 12.0, "memory_used": 1_u64 << 30, "memory_total": 23_028_u64 << 20,
         "power": 120.5, "power_limit": 300.0, "temperature": 44.0, "clock": 1200.0, "max_clock": 1710.0,
         "memory_errors": 0},
        {"index": 1, "busy": null, "memory_used": null, "memory_total": 23_028_u64 << 20, "power": null,
         "temperature": 40.0, "clock": 300.0},
    ]);
    assert_eq!(*gpus, expected);
    let arguments = job.read("arguments").expect("it ran");
    assert!(arguments.ends_with("--format=csv,noheader,nounits -l 1\n"), "{arguments}");
}

#[test]
fn a_companion_is_not_part_of_the_job() {
    // The script ends on a stop signal, so nothing but the companion is left. A trap of the companion would leave a mark.
    let smi = SMI.replace("#!/bin/sh\n", "#!/bin/sh\ntrap 'echo signalled > \"$SMI_ARGUMENTS.signal\"' TERM INT\n");
    let job = with_program(job("\"gpus\""), "nvidia-smi", &smi);
    let script = format!("import signal, sys\n{UNTIL_SAMPLED}os.kill(os.getppid(), signal.SIGTERM)\nsignal.pause()\n");
    let arguments = job.path("arguments").display().to_string();
    let job = job
        .file("code/train.py", script)
        .variable("SMI_ARGUMENTS", &arguments)
        .variable("FOOTPLATE_GRACE_PERIOD", "100");
    let ended = job.train();
    assert_eq!(ended.code(), 143, "{ended:#?}");
    assert!(ended.duration.as_secs() < 60, "{ended:#?}");
    assert_eq!(job.read("arguments.signal"), None);
    assert!(!ended.stderr.contains("left"), "{}", ended.stderr);
}

#[test]
fn neuron_cores_are_sampled_by_neuron_monitor() {
    let document = r#"{"neuron_runtime_data":[{"pid":11,"error":"","report":{"neuroncore_counters":{"neuroncores_in_use":{"1":{"neuroncore_utilization":80.5},"0":{"neuroncore_utilization":42.25}}},"memory_used":{"neuron_runtime_used_bytes":{"host":1000,"neuron_device":5000}}}}]}"#;
    let monitor = format!(
        "#!/bin/sh\n[ \"$1\" = -c ] && cat \"$2\" > \"$MONITOR_CONFIG\"\nwhile :; do echo '{document}'; sleep 0.1; done\n"
    );
    let job = with_program(job("\"neuron\""), "neuron-monitor", &monitor);
    let job = with_program(job, "neuron-ls", "#!/bin/sh\necho '[{\"nc_count\": 2}]'\n").without("FOOTPLATE_GPUS");
    let configuration = job.path("monitor.json").display().to_string();
    let job = job.variable("MONITOR_CONFIG", &configuration);
    job.train().succeeded();
    let text = job.read(SAMPLES).expect("samples");
    let cores = r#""neuron":{"cores":[{"index":0,"busy":42.25},{"index":1,"busy":80.5}],"memory_used":5000,"host_memory_used":1000}"#;
    assert!(text.contains(cores), "{text}");
    let configuration: Value = serde_json::from_str(&job.read("monitor.json").expect("it ran")).expect("JSON");
    assert_eq!(configuration["period"], "1s");
}
