//! Resources: samples of the container while the script runs, in the file and in the record.

use std::process::Command;

use serde_json::Value;

use super::job::{FOOTPLATE, Job};
use super::record::record;
use super::running::Running;

const SAMPLES: &str = "output/data/footplate/algo-1/resources.jsonl";

#[test]
fn samples_are_taken_while_the_script_runs() {
    // Keeps a processor busy until there are some samples.
    let script = "import os, time\npath = os.environ['SAMPLES']\n\
        while not os.path.exists(path) or open(path).read().count('\\n') < 4:\n    sum(range(100000))\n";
    let job = Job::python(script).variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1");
    let path = job.path(SAMPLES);
    let job = job.variable("SAMPLES", path.to_str().expect("UTF-8"));
    assert_eq!(job.train().code(), 0);
    let text = job.read(SAMPLES).expect("samples");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(
        (&lines[0]["schema"], &lines[0]["host"], &lines[0]["interval"]),
        (&"footplate.resources/1".into(), &"algo-1".into(), &0.1.into())
    );
    for sample in &lines[1..] {
        assert!(sample["cpu"]["cores"].as_f64() >= Some(1.0), "{sample}");
        let memory = &sample["memory"];
        assert!(
            memory["working_set"].as_u64() <= memory["usage"].as_u64() && memory["limit"].as_u64() > Some(0),
            "{sample}"
        );
        assert!(sample["disk"]["free"].as_u64() <= sample["disk"]["size"].as_u64(), "{sample}");
    }
    let times: Vec<f64> = lines[1..].iter().filter_map(|sample| sample["time"].as_f64()).collect();
    assert!(times.len() >= 3 && times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    let resources = &record(&job)["resources"];
    assert_eq!(resources["samples"].as_u64(), Some(times.len() as u64), "{resources}");
    assert!(resources["cpu_max"].as_f64() > Some(0.0), "{resources}");
    assert!(resources["memory_peak"].as_u64() > Some(1 << 20), "{resources}");
}

#[test]
fn a_container_without_control_groups_is_said_once() {
    let job = Job::shell("sleep 0.5").variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
    unshare.arg("mount -t tmpfs none /sys/fs/cgroup; exec \"$0\" train").arg(FOOTPLATE);
    let ended = Running::of(&job, job.within(unshare)).end(&job).succeeded();
    let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("not recorded")).collect();
    let [line] = said[..] else { panic!("{ended:#?}") };
    assert!(line.contains("resources: processor time, memory not recorded"), "{line}");
    let normal = Job::shell("sleep 0.5").variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1").train();
    assert!(!normal.stderr.contains("not recorded"), "{normal:#?}");
}

#[test]
fn nothing_is_sampled_if_it_is_turned_off() {
    for (name, value) in [("FOOTPLATE_RESOURCE_INTERVAL", "0"), ("FOOTPLATE_RECORD", "off")] {
        let job = Job::shell(":").variable(name, value);
        assert_eq!(job.train().code(), 0);
        assert_eq!(job.read(SAMPLES), None, "{name}={value}");
    }
}
