//! A container that runs a job whose base folder is a temporary folder of this machine. Everything that a test starts is
//! removed when the test ends, also when it fails. An assertion can show what a container did.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use tempfile::NamedTempFile;

use crate::images;
use crate::job::{Job, patience};

/// The shortest time for which tests wait for a container engine, which can be slow on a busy machine.
const CONTAINER_PATIENCE: Duration = Duration::from_secs(300);

/// Returns a job for a container, with a channel `training` of CSV data on the line y = 2x. The hyperparameters must name
/// the script.
pub fn job_with(hyperparameters: &str) -> Job {
    Job::new()
        .hyperparameters(hyperparameters)
        .file("input/config/inputdataconfig.json", r#"{"training": {"TrainingInputMode": "File"}}"#)
        .file("input/data/training/data.csv", "x,y\n1,2\n2,4\n3,6\n")
}

/// Returns a job for a container whose code folder holds one script.
pub fn job_of(script: &str, text: &str) -> Job {
    let hyperparameters =
        format!(r#"{{"sagemaker_program": "{script}", "sagemaker_submit_directory": "/opt/ml/code"}}"#);
    job_with(&hyperparameters).file(&format!("code/{script}"), text)
}

/// A container, which is removed when this value is dropped.
pub struct Container<'a> {
    name: String,
    job: &'a Job,
    started: Instant,
    follower: OnceLock<Follower>,
}

/// A program that writes the logs of a container into a file until the container has ended. It costs less than asking the
/// container engine again and again.
struct Follower {
    program: Mutex<Child>,
    logs: NamedTempFile,
}

/// The end of a container. `{}` shows all of it.
pub struct Ended {
    pub code: i32,
    pub logs: String,
    pub failure: Option<String>,
    pub success: bool,
    pub took: Duration,
}

impl<'a> Container<'a> {
    /// Starts `docker run OPTIONS IMAGE ARGUMENTS` with the job's folder as /opt/ml.
    pub fn start(job: &'a Job, image: &str, options: &[&str], arguments: &[&str]) -> Container<'a> {
        let volume = format!("--volume={}:/opt/ml", job.base().display());
        Container::start_without_volume(job, image, &[&[volume.as_str()], options].concat(), arguments)
    }

    /// Starts a container like [`Container::start`], but mounts nothing: the options can mount parts of the job.
    pub fn start_without_volume(job: &'a Job, image: &str, options: &[&str], arguments: &[&str]) -> Container<'a> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("footplate-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let container = Container { name, job, started: Instant::now(), follower: OnceLock::new() };
        let mut command = Command::new("docker");
        command.args(["run", "--detach", "--name", &container.name]).args(options).arg(image).args(arguments);
        images::run(&mut command);
        container
    }

    /// Returns the name by which the container engine knows the container.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the container has ended.
    pub fn end(&self) -> Ended {
        let mut command = Command::new("docker");
        let waiting = command.args(["wait", &self.name]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut waiting = waiting.expect("docker runs");
        self.poll_often("it has ended", || waiting.try_wait().expect("waited"));
        let waited = waiting.wait_with_output().expect("waited");
        let code = String::from_utf8_lossy(&waited.stdout).trim().parse();
        self.ended(code.unwrap_or_else(|_| panic!("docker wait: {}", String::from_utf8_lossy(&waited.stderr))))
    }

    /// Waits until the container's logs contain a text. A container that has ended logs nothing more.
    pub fn until_logged(&self, text: &str) {
        let is_logged = self.poll_often(&format!("it has logged {text:?}"), || {
            let (logs, is_complete) = self.logs_so_far();
            (is_complete || logs.contains(text)).then(|| logs.contains(text))
        });
        assert!(is_logged, "it has ended without {text:?}\n{}", self.end());
    }

    /// Returns what the container has written so far, and true if it has ended.
    pub fn logs_so_far(&self) -> (String, bool) {
        let follower = self.follower.get_or_init(|| {
            let logs = NamedTempFile::new().expect("a file for logs");
            // Clones of one file write behind each other.
            let [stdout, stderr] = [(); 2].map(|()| logs.as_file().try_clone().expect("a file for logs"));
            let mut command = Command::new("docker");
            let command = command.args(["logs", "--follow", &self.name]).stdout(stdout).stderr(stderr);
            Follower { program: Mutex::new(command.spawn().expect("docker runs")), logs }
        });
        let mut program = follower.program.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = program.try_wait().expect("waited").is_some();
        let logs = fs::read(follower.logs.path()).expect("the file of the logs");
        (String::from_utf8_lossy(&logs).into_owned(), has_ended)
    }

    /// Runs `docker stop`, as the platform does but with a shorter time limit. Returns how long it took.
    pub fn stop(&self, patience: Duration) -> Duration {
        let start = Instant::now();
        images::run(Command::new("docker").args(["stop", "--time", &patience.as_secs().to_string(), &self.name]));
        start.elapsed()
    }

    /// Runs `docker stop` for several containers at once.
    pub fn stop_all(containers: &[Container], patience: Duration) {
        let names = containers.iter().map(|container| &container.name);
        images::run(Command::new("docker").args(["stop", "--time", &patience.as_secs().to_string()]).args(names));
    }

    /// Sends a signal to the container's first process.
    pub fn signal(&self, name: &str) {
        images::run(Command::new("docker").args(["kill", "--signal", name, &self.name]));
    }

    /// Runs `docker kill`: all processes of the container end at once, as when a machine fails.
    pub fn kill(&self) {
        images::run(Command::new("docker").args(["kill", &self.name]));
    }

    /// Disconnects the container from a network, as if a cable were cut: no connection is closed.
    pub fn disconnect(&self, network: &str) {
        images::run(Command::new("docker").args(["network", "disconnect", network, &self.name]));
    }

    /// Returns the state letter and the command of every process in the container, which must have Python. `docker top`
    /// omits zombies, because they have left the control group.
    pub fn processes(&self) -> Vec<String> {
        let script = r#"
import os, pathlib
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        state = pathlib.Path("/proc", pid, "stat").read_text().rsplit(") ")[1][0]
        command = pathlib.Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        continue
    if int(pid) != os.getpid():
        print(state, command)
"#;
        let shown = images::output(Command::new("docker").args(["exec", &self.name, "python3", "-c", script]));
        shown.lines().map(str::to_owned).collect()
    }

    /// Returns the files that come from the image, without those that Docker puts into every container.
    pub fn files(&self) -> Vec<String> {
        let script = format!("docker export {} | tar --list", self.name);
        let listed = images::output(Command::new("sh").args(["-ec", &script]));
        let of_docker = |path: &&str| {
            path.starts_with(".dockerenv") || ["dev/", "etc/", "proc/", "sys/"].iter().any(|top| path.starts_with(top))
        };
        listed.lines().filter(|path| !of_docker(path)).map(str::to_owned).collect()
    }

    /// Returns what the container has written so far, standard output first.
    pub fn logs(&self) -> String {
        let output = images::run(Command::new("docker").args(["logs", &self.name]));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Polls until the condition returns a value. If it never does, the panic shows what the container did.
    pub fn poll<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        // Each look is a run of the program docker.
        self.poll_with_pauses(Duration::from_millis(250), what, condition)
    }

    /// Polls like [`Container::poll`] a condition that starts no program.
    pub fn poll_often<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        self.poll_with_pauses(Duration::from_millis(20), what, condition)
    }

    fn poll_with_pauses<T>(&self, pause: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + CONTAINER_PATIENCE.max(patience());
        loop {
            if let Some(value) = condition() {
                return value;
            }
            if Instant::now() > deadline {
                panic!("waited in vain until {what}\n{}", self.ended(-1));
            }
            std::thread::sleep(pause);
        }
    }

    fn ended(&self, code: i32) -> Ended {
        Ended {
            code,
            logs: self.logs(),
            failure: self.job.read("output/failure"),
            success: self.job.path("output/success").exists(),
            took: self.started.elapsed(),
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output();
        if let Some(follower) = self.follower.take() {
            let mut program = follower.program.into_inner().unwrap_or_else(PoisonError::into_inner);
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

impl Ended {
    /// Checks that the job succeeded: exit code 0, a success file and no failure file.
    #[track_caller]
    pub fn succeeded(&self) {
        assert_eq!(self.code, 0, "{self}");
        assert!(self.success && self.failure.is_none(), "{self}");
    }

    /// Returns the text of the failure file, which must exist.
    #[track_caller]
    pub fn failure(&self) -> &str {
        self.failure.as_deref().unwrap_or_else(|| panic!("no failure file\n{self}"))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Ended { code, success, took, .. } = self;
        writeln!(f, "exit code {code} after {took:.1?}, success file: {success}")?;
        writeln!(f, "--- failure file ---\n{}", self.failure.as_deref().unwrap_or("(none)"))?;
        write!(f, "--- logs ---\n{}---", self.logs)
    }
}
