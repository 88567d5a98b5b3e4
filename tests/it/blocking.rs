//! Files and programs of the job that never answer: FIFOs, devices, sockets, files without end, tools that hang.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::job::{Ended, Job, executable};
use super::running::{Running, noting};

/// Puts a file that nobody must read in the place of `path`, and returns how it is called.
fn put(kind: &str, path: &Path) -> &'static str {
    match kind {
        "fifo" => {
            mkfifo(path, Mode::S_IRWXU).expect("made");
            "it is a FIFO (a named pipe), not a regular file"
        }
        "device" => {
            symlink("/dev/zero", path).expect("linked");
            "it is a device, not a regular file"
        }
        "socket" => {
            // The name stays when nobody listens any more.
            let _ = UnixListener::bind(path).expect("bound");
            "it is a socket, not a regular file"
        }
        _ => {
            fs::File::create(path).and_then(|file| file.set_len(10 << 30)).expect("made");
            "it has 10737418240 bytes, more than"
        }
    }
}

#[test]
fn requirements_that_cannot_be_read_in_bounded_time_are_refused() {
    for kind in ["fifo", "device", "socket", "endless"] {
        let job = Job::python("print('ran')");
        let what = put(kind, &job.path("code/requirements.txt"));
        let ended = job.train().failed(127, "");
        assert!(ended.failure().contains(&format!("/code/requirements.txt: {what}")), "{ended:#?}");

        let job = Job::python("print('ran')").file("code/requirements.txt", "-r more.txt\n");
        let what = put(kind, &job.path("code/more.txt"));
        let ended = job.train().failed(127, "the requirements cannot be read: ");
        assert!(ended.failure().contains(&format!("/code/more.txt: {what}")), "{ended:#?}");

        let job =
            Job::python("print('ran')").file("code/requirements.txt", "pip\n").variable("PIP_CONSTRAINT", "c.txt");
        let what = put(kind, &job.path("code/c.txt"));
        let ended = job.train().failed(127, "the requirements cannot be read: ");
        assert!(ended.failure().contains(&format!("/code/c.txt: {what}")), "{ended:#?}");

        let job = Job::python("print('ran')").file("code/requirements.txt", "pip\n");
        let what = put(kind, &job.path("pip.conf"));
        let path = job.path("pip.conf").display().to_string();
        let ended = job.variable("PIP_CONFIG_FILE", &path).train().failed(127, "pip's settings ");
        assert!(ended.failure().contains(&format!("/pip.conf cannot be read: {what}")), "{ended:#?}");
    }
}

#[test]
fn a_requirements_file_that_includes_itself_is_left_to_the_installer() {
    let job = Job::python("print('ran')").file("code/requirements.txt", "-r requirements.txt\n-r requirements.txt\n");
    // The installer reports it. That takes no longer than a start of it.
    let ended = job.variable("FOOTPLATE_INSTALLER", "pip").train();
    assert!(ended.code() != 0 && ended.failure.is_some(), "{ended:#?}");
}

#[test]
fn a_configuration_file_that_never_answers_is_named() {
    for (file, kind) in [("hyperparameters", "fifo"), ("resourceconfig", "device"), ("inputdataconfig", "endless")] {
        let job = Job::python("print('ran')");
        let path = job.path(&format!("input/config/{file}.json"));
        fs::remove_file(&path).expect("removed");
        let what = put(kind, &path);
        let ended = job.train().failed(78, "configuration: ");
        assert!(ended.failure().contains(&format!("{file}.json: cannot be read: {what}")), "{ended:#?}");
    }
}

#[test]
fn an_error_file_of_a_rank_that_is_no_file_does_not_hide_the_exception() {
    let script = "import os\npath = os.environ['TORCHELASTIC_ERROR_FILE']\nMAKE\nraise ValueError('bad row 3')";
    for make in
        ["os.mkfifo(path)", "os.symlink('/dev/zero', path)", "open(path, 'w').truncate(10 << 30)", "os.mkdir(path)"]
    {
        let job = Job::python(&script.replace("MAKE", make));
        let path = job.path("error.json").display().to_string();
        job.variable("TORCHELASTIC_ERROR_FILE", &path).train().failed(1, "ValueError: bad row 3\nat train.py:4");
    }
}

#[test]
fn credentials_that_never_answer_are_named() {
    let job =
        || Job::python("print('ran')").hyperparameters(r#"{"sagemaker_submit_directory": "s3://bucket/code.tar.gz"}"#);
    let with_keys = |job: Job| job.variable("AWS_ACCESS_KEY_ID", "AKIA").variable("AWS_SECRET_ACCESS_KEY", "x");
    for (name, others, expected) in [
        ("AWS_CA_BUNDLE", [("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:1"), ("A", "b")], "the CA bundle "),
        ("SSL_CERT_FILE", [("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:1"), ("A", "b")], "the CA bundle "),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"),
                ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"),
            ],
            "the token file ",
        ),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            [("AWS_ROLE_ARN", "arn"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")],
            "the web identity token ",
        ),
    ] {
        for kind in ["fifo", "device"] {
            let job = if name.ends_with("TOKEN_FILE") { job() } else { with_keys(job()) };
            let path = job.path("secret");
            let what = put(kind, &path);
            let mut job = job.variable(name, &path.display().to_string());
            for (name, value) in others {
                job = job.variable(name, value);
            }
            let ended = job.train().failed(65, "");
            assert!(
                ended.failure().contains(expected) && ended.failure().contains(&format!(": {what}")),
                "{name}: {ended:#?}"
            );
        }
    }
}

#[test]
fn a_python_that_writes_without_end_when_it_is_asked_is_refused() {
    let job = Job::python("print('ran')").file("code/requirements.txt", "pip\n").file("bin/python3", "");
    executable(&job.path("bin/python3"), "#!/bin/sh\nexec yes x\n");
    let path = format!("{}:{}", job.path("bin").display(), job.variables()["PATH"]);
    let ended = job.variable("PATH", &path).train();
    ended
        .failed(126, "")
        .failure()
        .split_once("cannot be used: asked about its packages, it wrote more than 4 MiB")
        .expect("said");
}

/// A file system that never answers, until it is dropped: nobody reads the kernel's questions to it (fuse(4)).
struct Silent {
    target: PathBuf,
    _questions: fs::File,
}

impl Silent {
    fn over(target: &Path) -> Silent {
        let questions = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("this machine has FUSE");
        let standard_input = questions.try_clone().expect("a descriptor");
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
        let mut mount = Command::new("mount");
        mount.args(["-i", "-t", "fuse", "-o", options, "silent"]).arg(target).stdin(standard_input);
        assert!(mount.status().expect("mount runs").success());
        Silent { target: target.to_owned(), _questions: questions }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Whoever waits for it gets an error. Nothing can be done if that fails.
        let _ = Command::new("umount").args(["--force", "--lazy"]).arg(&self.target).status();
    }
}

#[test]
fn a_folder_that_never_answers_is_named_before_the_script_starts() {
    let ended = |folder: &str| {
        let job = Job::python("print('ran')").file("checkpoints/x", "");
        let silent = Silent::over(&job.path(folder));
        let running = Running::start(&job, ["train"]);
        running.says("its file system did not answer within 10 s");
        drop(silent);
        running.end(&job)
    };
    let folders = ["code", "checkpoints", "input/config"];
    let all: Vec<Ended> = std::thread::scope(|scope| {
        let running: Vec<_> = folders.iter().map(|folder| scope.spawn(|| ended(folder))).collect();
        running.into_iter().map(|thread| thread.join().expect("ended")).collect()
    });
    for (folder, ended) in folders.iter().zip(all) {
        assert!(ended.failure().starts_with("configuration: /"), "{folder}: {ended:#?}");
        assert!(ended.failure().contains(&format!("/{folder}")), "{folder}: {ended:#?}");
        assert_eq!(ended.code(), 78);
    }
}

#[test]
fn a_stop_is_heard_although_a_file_system_no_longer_answers() {
    let ended = |folder: &str| {
        let job =
            noting("from notes import note\nnote('begun')\nimport signal\nsignal.pause()\n").file("checkpoints/x", "");
        let running = Running::start(&job, ["train"]);
        running.noted("begun", 1);
        let silent = Silent::over(&job.path(folder));
        running.signal(Signal::SIGTERM);
        let status = running.end_without_files();
        drop(silent);
        status.code()
    };
    let folders = ["code", "checkpoints", "output", "output/data", "model", "input"];
    std::thread::scope(|scope| {
        for folder in folders {
            scope.spawn(move || assert_eq!(ended(folder), Some(143), "{folder}"));
        }
    });
}

#[test]
fn a_stop_ends_a_job_that_hangs_in_the_kernel_before_its_script_starts() {
    let job = Job::python("print('ran')");
    let silent = Silent::over(&job.path("code"));
    let running = Running::start(&job, ["train"]);
    running.signal(Signal::SIGTERM);
    let status = running.end_without_files();
    drop(silent);
    assert!(matches!(status.code(), Some(78 | 143)) || status.signal() == Some(15), "{status:?}");
}
