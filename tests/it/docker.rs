//! Real jobs in containers: every way in which an image can start the binary, and the limits of containers. The platform
//! runs `docker run IMAGE train`, and stops a job by SIGTERM and, after a grace period, SIGKILL.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::code::archive_of;
use crate::container::{Container, job_of, job_with};

use crate::images;
use crate::job::{Job, is_full};

/// A script that writes a model and prints its user and arguments.
const TRAINS: &str = r#"
import os, pathlib, sys
print("trained as", os.getuid(), "with", sys.argv[1:])
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text("{}")
"#;

/// A script that runs until it is stopped, and then saves a checkpoint.
const SAVES_WHEN_STOPPED: &str = r#"
import os, signal, sys, time
def save(signal_number, frame):
    time.sleep(1)
    os.makedirs("/opt/ml/checkpoints", exist_ok=True)
    open("/opt/ml/checkpoints/state", "w").write("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("training", flush=True)
while True:
    time.sleep(0.1)
"#;

#[test]
fn the_entry_point_with_the_argument_train_runs_the_job() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_entrypoint(images::debian("bookworm"));
    let ended = Container::start(&job, image, &[], &["train"]).end();
    ended.succeeded();
    assert!(ended.logs.contains("trained as 0 with []"), "{ended}");
    assert_eq!(job.read("model/model.json").as_deref(), Some("{}"), "{ended}");
}

#[test]
fn the_entry_point_without_arguments_runs_the_job() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_entrypoint(images::debian("bookworm"));
    Container::start(&job, image, &[], &[]).end().succeeded();
}

#[test]
fn the_command_train_on_path_runs_the_job() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &[], &["train"]).end();
    ended.succeeded();
    assert_eq!(job.read("model/model.json").as_deref(), Some("{}"), "{ended}");
}

#[test]
fn a_job_runs_under_a_newer_debian_and_python() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_train(images::debian("trixie"));
    Container::start(&job, image, &[], &["train"]).end().succeeded();
}

#[test]
fn an_image_of_only_a_shell_and_python_is_sufficient() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_train(images::shell_and_python());
    Container::start(&job, image, &["--network=none"], &["train"]).end().succeeded();
}

#[test]
fn a_missing_interpreter_is_reported_in_the_failure_file() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let ended = Container::start(&job, images::footplate(), &[], &["train"]).end();
    assert_ne!(ended.code, 0, "{ended}");
    assert!(ended.failure().contains("python"), "{ended}");
}

#[test]
fn the_binary_alone_answers_version_and_help() {
    if !images::usable() {
        return;
    }
    let job = Job::new();
    let ended = Container::start_without_volume(&job, images::footplate(), &[], &["--version"]).end();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.logs.contains(env!("CARGO_PKG_VERSION")), "{ended}");

    let ended = Container::start_without_volume(&job, images::footplate(), &[], &["--help"]).end();
    assert_eq!(ended.code, 0, "{ended}");
    for subcommand in ["train", "exec"] {
        assert!(ended.logs.contains(subcommand), "{ended}");
    }
}

/// Sets the permissions of the job's folders. Without it only their owner can use them, because they are temporary.
fn permit(job: &Job, mode: u32, folders: &[&str]) {
    for folder in folders {
        std::fs::set_permissions(job.path(folder), std::fs::Permissions::from_mode(mode))
            .unwrap_or_else(|error| panic!("failed to set the permissions of {folder:?}: {error}"));
    }
}

#[test]
fn a_user_other_than_root_can_run_the_job() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_train(images::debian("bookworm"));
    permit(&job, 0o777, &["", "model", "output", "output/data"]);
    let ended = Container::start(&job, image, &["--user=1000:1000"], &["train"]).end();
    ended.succeeded();
    assert!(ended.logs.contains("trained as 1000 with []"), "{ended}");
}

#[test]
fn an_output_folder_that_the_user_cannot_write_is_named() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    permit(&job, 0o777, &["", "model"]);
    permit(&job, 0o755, &["output", "output/data"]);
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &["--user=1000:1000"], &["train"]).end();
    assert!(ended.logs.contains("/opt/ml/output"), "{ended}");
    assert!(ended.logs.contains("trained as 1000"), "the script itself needs no output folder\n{ended}");
}

#[test]
fn a_job_runs_with_a_read_only_root() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", TRAINS);
    let image = images::with_train(images::debian("bookworm"));
    Container::start(&job, image, &["--read-only"], &["train"]).end().succeeded();
}

#[test]
fn the_failure_text_starts_with_the_scripts_own_error() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", "def load():\n    raise ValueError('bad data in line 3')\n\nload()\n");
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &[], &["train"]).end();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.failure().starts_with("ValueError: bad data in line 3"), "{ended}");
    assert!(ended.failure().contains("train.py:2"), "{ended}");
    assert!(!ended.success, "{ended}");

    let job = job_of("train.py", "import sys\nsys.exit(42)\n");
    let ended = Container::start(&job, image, &[], &["train"]).end();
    assert_eq!(ended.code, 42, "{ended}");
    assert!(ended.failure().contains("42"), "{ended}");
}

#[test]
fn a_stopped_script_can_save_a_checkpoint() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", SAVES_WHEN_STOPPED);
    let image = images::with_train(images::debian("bookworm"));
    let container = Container::start(&job, image, &[], &["train"]);
    container.until_logged("training");
    let took = container.stop(Duration::from_secs(60));
    let ended = container.end();
    assert_eq!(job.read("checkpoints/state").as_deref(), Some("saved"), "{ended}");
    assert_eq!(ended.code, 0, "the script's own code\n{ended}");
    assert_eq!(ended.failure, None, "{ended}");
    assert!(took < Duration::from_secs(15), "docker stop took {took:?}\n{ended}");
}

#[test]
fn a_stop_reaches_children_of_a_shell_script() {
    if !images::usable() {
        return;
    }
    // The shell waits for its child and forwards no signal, so footplate must signal the child.
    let job = job_of("train.sh", "python3 worker.py\necho the worker ended with $?\n")
        .file("code/worker.py", SAVES_WHEN_STOPPED);
    let image = images::with_train(images::debian("bookworm"));
    let container = Container::start(&job, image, &[], &["train"]);
    container.until_logged("training");
    let took = container.stop(Duration::from_secs(60));
    let ended = container.end();
    assert_eq!(job.read("checkpoints/state").as_deref(), Some("saved"), "{ended}");
    assert!(took < Duration::from_secs(15), "docker stop took {took:?}\n{ended}");
}

#[test]
fn a_script_that_a_stop_ends_fails_with_the_signals_name() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", "import time\nprint('training', flush=True)\nwhile True:\n    time.sleep(0.1)\n");
    let image = images::with_train(images::debian("bookworm"));
    let container = Container::start(&job, image, &[], &["train"]);
    container.until_logged("training");
    let took = container.stop(Duration::from_secs(60));
    let ended = container.end();
    assert_eq!(ended.code, 143, "{ended}");
    assert!(ended.failure().contains("SIGTERM"), "{ended}");
    assert!(took < Duration::from_secs(10), "docker stop took {took:?}\n{ended}");
}

#[test]
fn a_script_that_ignores_a_stop_is_killed_after_the_grace_period() {
    if !images::usable() {
        return;
    }
    let ignores = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('training', flush=True)\n\
                   while True:\n    time.sleep(0.1)\n";
    let job = job_of("train.py", ignores);
    let image = images::with_train(images::debian("bookworm"));
    let container = Container::start(&job, image, &["--env=FOOTPLATE_GRACE_PERIOD=2"], &["train"]);
    container.until_logged("training");
    let took = container.stop(Duration::from_secs(60));
    let ended = container.end();
    assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&took), "docker stop took {took:?}\n{ended}");
    assert_eq!(ended.code, 137, "{ended}");
    assert!(ended.failure().contains("SIGKILL"), "{ended}");
}

#[test]
fn an_out_of_memory_kill_is_reported_with_the_limit() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", "data = []\nwhile True:\n    data.append(b'x' * (4 << 20))\n");
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &["--memory=64m", "--memory-swap=64m"], &["train"]).end();
    assert_eq!(ended.code, 137, "{ended}");
    assert!(ended.failure().to_lowercase().contains("out of memory"), "{ended}");
    assert!(ended.failure().contains("64"), "the limit\n{ended}");
}

#[test]
fn full_shared_memory_is_reported_beside_the_exception() {
    if !images::usable() {
        return;
    }
    // The pieces are small, because the kernel may refuse one that is larger than the free space as a whole.
    let script = "with open('/dev/shm/batch', 'wb', buffering=0) as file:\n    while True: file.write(b'x' * 4096)\n";
    let job = job_of("train.py", script);
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &["--shm-size=1m"], &["train"]).end();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.failure().starts_with("OSError: [Errno 28] No space left on device"), "{ended}");
    assert!(ended.failure().contains("/dev/shm"), "{ended}");
}

#[test]
fn full_shared_memory_is_reported_as_the_cause_of_sigbus() {
    if !images::usable() {
        return;
    }
    // Data loaders do this: they map a sparse file, which cannot grow when it is written to.
    let script = "import mmap\nfile = open('/dev/shm/batch', 'w+b')\nfile.truncate(4 << 20)\n\
                  memory = mmap.mmap(file.fileno(), 4 << 20)\nmemory.write(b'x' * (4 << 20))\n";
    let job = job_of("train.py", script);
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &["--shm-size=1m"], &["train"]).end();
    assert_eq!(ended.code, 135, "{ended}");
    assert!(ended.failure().contains("SIGBUS"), "{ended}");
    assert!(ended.failure().contains("/dev/shm"), "{ended}");
}

#[test]
fn a_terminal_changes_neither_the_lines_nor_the_exit_code() {
    if !images::usable() {
        return;
    }
    let script = "import sys\nprint('first')\nprint('second', file=sys.stderr)\nprint('third')\nsys.exit(7)\n";
    let image = images::with_train(images::debian("bookworm"));
    for (options, end_of_line) in [(&[][..], "\n"), (&["--tty"][..], "\r\n")] {
        let job = job_of("train.py", script);
        let ended = Container::start(&job, image, options, &["train"]).end();
        assert_eq!(ended.code, 7, "{ended}");
        for line in ["first", "second", "third"] {
            let line = format!("{line}{end_of_line}");
            assert!(ended.logs.starts_with(&line) || ended.logs.contains(&format!("\n{line}")), "{line:?}\n{ended}");
        }
    }
}

#[test]
fn orphans_that_end_are_reaped_while_the_job_runs() {
    if !images::usable() {
        return;
    }
    let script = r#"
import os, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.3)
        os._exit(0)
    os.wait()
print("left 20 orphans", flush=True)
while not os.path.exists("/opt/ml/input/enough"):
    time.sleep(0.05)
"#;
    let zombies = |container: &Container| container.processes().iter().filter(|p| p.starts_with('Z')).count();
    let job = job_of("train.py", script);
    let image = images::with_train(images::debian("bookworm"));

    // Without footplate the zombies stay, because the script is process 1 and does not reap them. This shows that the check
    // below can see zombies.
    let options = ["--workdir=/opt/ml/code", "--entrypoint=python3"];
    let bare = Container::start(&job, image, &options, &["train.py"]);
    bare.poll("20 zombies are there", || (zombies(&bare) == 20).then_some(()));

    let container = Container::start(&job, image, &[], &["train"]);
    container.until_logged("left 20 orphans");
    container
        .poll("no process but footplate and the script is there", || (container.processes().len() == 2).then_some(()));
    assert_eq!(zombies(&container), 0);
    std::fs::write(job.path("input/enough"), "").expect("failed to end the job");
    container.end().succeeded();
}

#[test]
fn a_process_left_behind_does_not_keep_the_job_from_ending() {
    if !images::usable() {
        return;
    }
    let script = "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\nprint('done')\n";
    let job = job_of("train.py", script);
    let image = images::with_train(images::debian("bookworm"));
    let ended = Container::start(&job, image, &[], &["train"]).end();
    ended.succeeded();
    assert!(ended.took < Duration::from_secs(20), "{ended}");
}

#[test]
fn exec_in_a_container_supervises_any_command() {
    if !images::usable() {
        return;
    }
    let job = job_of("train.py", "import os\nraise KeyError(os.environ['SM_CURRENT_HOST'])\n");
    let image = images::with_entrypoint(images::debian("bookworm"));
    let command = ["exec", "--", "python3", "/opt/ml/code/train.py"];
    let ended = Container::start(&job, image, &[], &command).end();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.failure().starts_with("KeyError: 'algo-1'"), "{ended}");
}

#[test]
fn the_example_of_a_basic_image_trains() {
    example("basic", &job_with(r#"{"ridge": "0"}"#), None);
}

#[test]
fn the_example_of_an_image_with_a_script_baked_in_trains() {
    // A volume over all of /opt/ml would hide the script.
    let job = job_with(r#"{"ridge": "0"}"#);
    let volumes =
        ["input", "model", "output"].map(|part| format!("--volume={}:/opt/ml/{part}", job.path(part).display()));
    example("baked-in", &job, Some(&volumes.each_ref().map(String::as_str)));
}

#[test]
fn the_example_of_a_script_mode_image_trains() {
    let script = include_str!("../../docker/examples/script-mode/train.py");
    let hyperparameters = r#"{"sagemaker_program": "\"train.py\"", "sagemaker_submit_directory": "\"/opt/ml/input/data/code\"", "ridge": "0"}"#;
    let job = job_with(hyperparameters).file("input/data/code/train.py", script);
    example("script-mode", &job, None);
}

#[test]
fn under_network_isolation_the_archive_of_a_channel_runs() {
    if !images::usable() {
        return;
    }
    // The SDK sends the path inside the container.
    let hyperparameters = r#"{"sagemaker_program": "\"train.py\"", "sagemaker_submit_directory": "\"/opt/ml/input/data/code/sourcedir.tar.gz\""}"#;
    let job = job_with(hyperparameters).file(
        "input/data/code/sourcedir.tar.gz",
        archive_of(&[("train.py", TRAINS), ("requirements.txt", "no-such-package")]),
    );
    let image = images::with_entrypoint(images::debian("bookworm"));
    let ended =
        Container::start(&job, image, &["--network=none", "--env=FOOTPLATE_REQUIREMENTS=off"], &["train"]).end();
    ended.succeeded();
    assert!(ended.logs.contains("trained as 0 with []"), "{ended}");
    // Packages that are not in the image cannot be downloaded, which is reported at once.
    let job = job_with(hyperparameters).file(
        "input/data/code/sourcedir.tar.gz",
        archive_of(&[("train.py", TRAINS), ("requirements.txt", "no-such-package")]),
    );
    let options = ["--network=none", "--env=PIP_INDEX_URL=https://index.example/simple"];
    let ended = Container::start(&job, image, &options, &["train"]).end();
    assert_eq!(ended.code, 1, "{ended}");
    let text = "the package index https://index.example/simple cannot be reached: ";
    assert!(ended.failure().starts_with(text) && ended.failure().contains("under network isolation"), "{ended}");
}

#[test]
fn the_example_of_a_framework_image_trains() {
    // An image of a framework has no /opt/ml/code, and the platform makes none.
    let job = job_with(r#"{"ridge": "0"}"#);
    std::fs::remove_dir(job.path("code")).expect("failed to remove the code folder");
    example("framework", &job, None);
}

/// Builds an example's image with the binary under test, and runs a job in it.
fn example(name: &str, job: &Job, volumes: Option<&[&str]>) {
    if !images::usable() {
        return;
    }
    let tag = format!("footplate-test/example-{name}:{}", std::process::id());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/examples").join(name);
    let base = format!("BASE_IMAGE={}", images::small_python());
    let binary = format!("FOOTPLATE_IMAGE={}", images::footplate());
    images::run(
        Command::new("docker")
            .args(["build", "--quiet", "--tag", &tag, "--build-arg", &base, "--build-arg", &binary])
            .arg(folder),
    );
    let _image = Removed(tag.clone());
    let container = match volumes {
        Some(volumes) => Container::start_without_volume(job, &tag, volumes, &["train"]),
        None => Container::start(job, &tag, &[], &["train"]),
    };
    let ended = container.end();
    ended.succeeded();
    assert!(ended.logs.contains("rows=3 slope=2.0000"), "{ended}");
    assert_eq!(job.read("model/model.json").as_deref(), Some(r#"{"slope": 2.0}"#), "{ended}");
}

#[test]
fn the_dockerfile_builds_an_image_that_holds_one_file() {
    if !images::usable() {
        return;
    }
    // Only .ci/full compiles the binary anew, in an image that has cargo.
    let builder = if is_full() { images::builder() } else { images::builder_of_prebuilt() };
    let _lock = images::locked("dockerfile");
    for stage in ["dependencies", "build", "checked"] {
        build_stage(builder, stage, &["--target", stage]);
    }
    let tag = build_stage(builder, "dockerfile", &[]);

    let job = Job::new();
    let container = Container::start_without_volume(&job, &tag, &[], &["--version"]);
    let ended = container.end();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.logs.contains(env!("CARGO_PKG_VERSION")), "{ended}");
    let files = container.files();
    assert_eq!(files, ["footplate"], "the image holds more than the binary");
    let entry_point =
        images::output(Command::new("docker").args(["inspect", "--format", "{{json .Config.Entrypoint}}", &tag]));
    assert_eq!(entry_point, r#"["/footplate"]"#);
}

/// Builds a stage of docker/Dockerfile with the development profile, and returns the image's tag. The tag is this checkout's
/// own, so that the next build starts from the image. An image that had the tag before is removed.
fn build_stage(builder: &str, name: &str, target: &[&str]) -> String {
    let tag = images::of_checkout(name);
    let id = || images::output(Command::new("docker").args(["image", "ls", "--quiet", "--no-trunc", &tag]));
    let before = id();
    images::run(
        Command::new("docker")
            .args(["build", "--file", "docker/Dockerfile", "--build-arg", "PROFILE=dev", "--tag", &tag])
            .args(["--build-arg", &format!("BUILDER_IMAGE={builder}")])
            .args(target)
            .arg(".")
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    if !before.is_empty() && before != id() {
        drop(Removed(before));
    }
    tag
}

/// An image that is removed when the value is dropped.
struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", &self.0]).output();
    }
}
