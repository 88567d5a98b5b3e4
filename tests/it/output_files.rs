//! The failure file and the success file on a volume that the script has filled, and beside what the script puts in their place.

use std::fs;
use std::process::Command;

use super::job::{Ended, Job};
use super::running::Running;

/// Fills the volume to the last byte.
const FILL: &str = "
import os
with open(os.environ['SM_MODEL_DIR'] + '/checkpoint', 'wb', buffering=0) as file:
    for size in 65536, 1:
        try:
            while True: file.write(b'x' * size)
        except OSError: pass
";

/// Runs `footplate train` with the base folder on a small file system in memory with these options, and takes the output folder
/// out of it at the end. `before` is a command of the shell that starts footplate.
fn on_small_volume(job: &Job, options: &str, before: &str) -> Ended {
    let base = job.base().display();
    let steps = format!(
        "mkdir {base}/volume && mount -t tmpfs -o {options} none {base}/volume && cp -a {base}/code {base}/input {base}/model \
         {base}/output {base}/volume/ && mv {base}/output {base}/before && mkdir {base}/output && ({before} \
         SAGEMAKER_BASE_DIR={base}/volume {} train); code=$?; cp -a {base}/volume/output/. {base}/output/; exit $code",
        super::job::FOOTPLATE
    );
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", &steps]);
    Running::of(job, job.within(command)).end(job)
}

/// Returns the names in the output folder.
fn output(job: &Job) -> Vec<String> {
    let entries = fs::read_dir(job.path("output")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_script_that_fills_the_disk_has_a_failure_file() {
    let job = Job::python(&format!("{FILL}\nraise RuntimeError('é' * 300)"));
    on_small_volume(&job, "size=2m", "").failed(1, &format!("RuntimeError: {}", "é".repeat(300)));
    assert_eq!(output(&job), ["data", "failure"]);

    let job = Job::python(FILL);
    on_small_volume(&job, "size=2m", "").succeeded();
    assert_eq!(output(&job), ["data", "success"]);
}

#[test]
fn a_script_that_takes_all_inodes_has_a_failure_file() {
    let script =
        "import os\nn = 0\nwhile True:\n    open(f\"{os.environ['SM_MODEL_DIR']}/{n}\", 'w').close()\n    n += 1";
    let job = Job::python(script);
    on_small_volume(&job, "size=8m,nr_inodes=200", "").failed(1, "OSError: [Errno 28] No space left on device: ");
    let job = Job::python(&script.replace("while True:", "while n < 1000:").replace("    n += 1", "    n += 1\n"));
    let job =
        job.file("code/run.sh", "python3 train.py 2> /dev/null\nexit 0\n").variable("SAGEMAKER_PROGRAM", "run.sh");
    on_small_volume(&job, "size=8m,nr_inodes=200", "").succeeded();
}

#[test]
fn a_file_size_limit_does_not_cost_the_failure_file() {
    let job = Job::python("raise ValueError('bad row 3')");
    let ended = on_small_volume(&job, "size=2m", "ulimit -S -f 0;").failed(1, "ValueError: bad row 3\nat train.py:1");
    // The kernel's signal for such a write is footplate's own business.
    assert!(!ended.stderr.contains("SIGXFSZ"), "{ended:#?}");
    assert_eq!(output(&job), ["data", "failure"]);
}

#[test]
fn what_the_script_puts_in_the_place_of_the_reserved_file_is_not_followed() {
    let script = "
import os
folder = os.environ['SM_OUTPUT_DIR']
for name in os.listdir(folder):
    if name != 'data':
        os.remove(f'{folder}/{name}')
        os.symlink(os.environ['PRECIOUS'], f'{folder}/{name}')
for name in 'failure', 'success':
    os.symlink(os.environ['PRECIOUS'], f'{folder}/{name}')
raise SystemExit(int(os.environ['CODE']))
";
    for code in ["0", "3"] {
        let job = Job::python(script).file("precious", "precious");
        let precious = job.path("precious").display().to_string();
        let job = job.variable("PRECIOUS", &precious).variable("CODE", code);
        let ended = job.train();
        assert_eq!((ended.code().to_string().as_str(), job.read("precious").as_deref()), (code, Some("precious")));
        let name = if code == "0" { "success" } else { "failure" };
        let found = fs::symlink_metadata(job.path("output").join(name)).expect("it is there");
        assert!(found.is_file(), "{found:?}");
        if code != "0" {
            assert!(ended.failure().starts_with("exit code 3"), "{ended:#?}");
        }
    }
}

#[test]
fn a_fifo_in_the_place_of_either_file_does_not_hold_the_job() {
    for (code, name) in [("0", "success"), ("3", "failure")] {
        let script = "import os\nfor name in 'failure', 'success': os.mkfifo(f\"{os.environ['SM_OUTPUT_DIR']}/{name}\")\n\
                      raise SystemExit(int(os.environ['CODE']))";
        let job = Job::python(script).variable("CODE", code);
        // The job's own reading of the files would wait for a writer.
        let ended = Running::start(&job, ["train"]).end_without_files();
        assert_eq!(ended.code(), Some(code.parse().expect("a number")));
        assert!(fs::symlink_metadata(job.path("output").join(name)).expect("it is there").is_file());
    }
}

#[test]
fn a_folder_in_the_place_of_the_failure_file_is_named() {
    let script = "import os\nos.makedirs(os.environ['SM_OUTPUT_FAILURE'] + '/full')\nraise SystemExit(3)";
    let ended = Job::python(script).train();
    assert_eq!((ended.code(), ended.failure.as_deref()), (3, None), "{ended:#?}");
    assert!(ended.stderr.contains("/output/failure: Is a directory"), "{ended:#?}");
}
