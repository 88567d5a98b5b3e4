//! The folders of a job in a temporary folder, and runs of footplate on them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use super::kept::search_path;

/// Returns how long a test waits for anything before it calls it a hang: 120 s, or the number of seconds in
/// FOOTPLATE_TEST_PATIENCE, for machines that do much else.
pub fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let seconds = std::env::var("FOOTPLATE_TEST_PATIENCE");
        Duration::from_secs(seconds.map_or(120, |text| text.parse().expect("FOOTPLATE_TEST_PATIENCE is a number")))
    })
}

/// Returns true if FOOTPLATE_TEST_FULL is set: then nothing is replaced by a shorter form (see .ci/full).
pub fn is_full() -> bool {
    std::env::var_os("FOOTPLATE_TEST_FULL").is_some()
}

/// Returns true if FOOTPLATE_TEST_ENGINES is set: then every case with a real engine runs (see tests/engines).
pub fn has_all_engines() -> bool {
    std::env::var_os("FOOTPLATE_TEST_ENGINES").is_some()
}

/// The binary under test.
pub const FOOTPLATE: &str = env!("CARGO_BIN_EXE_footplate");

/// A job. Its folders are removed when it is dropped.
#[must_use]
pub struct Job {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Job {
    /// Returns a job on one host, without hyperparameters and channels, that runs `train.py`.
    pub fn new() -> Job {
        let folder = tempfile::Builder::new().prefix("footplate-job-").tempdir().expect("a temporary folder");
        let mut variables = BTreeMap::new();
        for (name, value) in [
            ("PATH", search_path().to_owned()),
            ("HOME", "/root".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("SAGEMAKER_PROGRAM", "train.py".to_owned()),
            ("SAGEMAKER_BASE_DIR", folder.path().display().to_string()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        let job = Job { folder, variables };
        for folder in ["input/config", "input/data", "model", "output/data", "code"] {
            fs::create_dir_all(job.base().join(folder)).expect("a folder");
        }
        job.file("input/config/hyperparameters.json", "{}")
            .file("input/config/inputdataconfig.json", "{}")
            .file("input/config/resourceconfig.json", r#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#)
    }

    /// Returns a job that runs this Python script.
    pub fn python(script: &str) -> Job {
        Job::new().file("code/train.py", script)
    }

    /// Returns a job that runs this shell script.
    pub fn shell(script: &str) -> Job {
        Job::new().file("code/train.sh", script).variable("SAGEMAKER_PROGRAM", "train.sh")
    }

    /// Writes a file below the base folder.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Job {
        let path = self.base().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("written");
        self
    }

    /// Sets the hyperparameters, as JSON.
    pub fn hyperparameters(self, json: &str) -> Job {
        self.file("input/config/hyperparameters.json", json)
    }

    /// Sets a variable of the container.
    pub fn variable(mut self, name: &str, value: &str) -> Job {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a variable of the container.
    pub fn without(mut self, name: &str) -> Job {
        self.variables.remove(name);
        self
    }

    /// Returns the base folder.
    pub fn base(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a path below the base folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.base().join(path)
    }

    /// Returns the text of a file below the base folder, or `None` if it does not exist.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read(self.path(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns a command that starts footplate with the variables of this job's container.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(FOOTPLATE);
        command.args(arguments).env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }

    /// Gives another command the variables and the standard input that [`Job::command`] gives footplate.
    pub fn within(&self, mut command: Command) -> Command {
        let own = self.command([""; 0]);
        let variables = own.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        command.env_clear().envs(variables).stdin(Stdio::null());
        command
    }

    /// Returns the variables of the container.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Runs `footplate train` to its end.
    pub fn train(&self) -> Ended {
        self.run(["train"])
    }

    /// Runs footplate to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ended {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let child = command.spawn().expect("footplate starts");
        let output = wait_with_output(child);
        self.ended(output, begun.elapsed())
    }

    /// Returns the end of a run with the files that it left.
    pub fn ended(&self, output: Output, duration: Duration) -> Ended {
        Ended {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            failure: self.read("output/failure"),
            success: self.path("output/success").exists(),
            duration,
        }
    }
}

/// Waits until a child has ended and its output is complete. Kills the child and panics after [`patience`].
pub fn wait_with_output(child: Child) -> Output {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process number"));
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(patience()) {
        Ok(output) => {
            let _ = waiter.join();
            output.expect("waited")
        }
        Err(_) => {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            panic!("footplate did not end within {:?}", patience());
        }
    }
}

/// The end of a run of footplate.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub failure: Option<String>,
    pub success: bool,
    pub duration: Duration,
}

impl Ended {
    /// Returns the exit code, or -1 if a signal ended the run.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Returns the standard output as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns the text of the failure file, which must exist.
    #[track_caller]
    pub fn failure(&self) -> &str {
        self.failure.as_deref().unwrap_or_else(|| panic!("there is no failure file: {self:#?}"))
    }

    /// Checks that the job succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Ended {
        assert!(self.code() == 0 && self.success && self.failure.is_none(), "{self:#?}");
        self
    }

    /// Checks that the job failed with this exit code, and that the failure file starts with this text.
    #[track_caller]
    pub fn failed(self, code: i32, text: &str) -> Ended {
        assert_eq!(self.code(), code, "{self:#?}");
        assert!(self.failure().starts_with(text), "{self:#?}");
        assert!(!self.success, "{self:#?}");
        assert!(self.failure().chars().count() <= 1024);
        self
    }
}

/// Asks until there is an answer, and returns it. Panics after [`patience`].
#[track_caller]
pub fn eventually<T>(what: &str, answer: impl FnMut() -> Option<T>) -> T {
    eventually_or(answer, || what.to_owned())
}

/// Asks until there is an answer, and returns it. Panics after [`patience`] with a description of what was waited for.
#[track_caller]
pub fn eventually_or<T>(mut answer: impl FnMut() -> Option<T>, describe: impl Fn() -> String) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {}", describe());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes an executable file.
pub fn executable(path: &Path, content: &str) {
    fs::write(path, content).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made executable");
}
