//! footplate while it runs: its output so far, signals to it, and the processes that are left after its end.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::job::{Ended, Job, eventually, eventually_or};

/// A module for scripts: `note(text)` adds a line to the job's notes, `wait_for(name)` waits for [`Running::tell`].
///
/// Scripts also wait for signals by `wait_for`. If a signal comes just before `signal.pause` or a long sleep, Python runs its
/// handler only afterwards.
const NOTES: &str = r#"
import os, time
def note(text):
    fd = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, (str(text) + "\n").encode())
    os.close(fd)
def wait_for(name):
    while not os.path.exists(os.environ["NOTES"] + "." + name):
        time.sleep(0.01)
"#;

/// Returns a job that runs this Python script, which can `from notes import note, wait_for`.
pub fn noting(script: &str) -> Job {
    with_notes(Job::python(script))
}

/// Adds the module `notes` to a job.
pub fn with_notes(job: Job) -> Job {
    let path = job.path("notes").display().to_string();
    job.file("code/notes.py", NOTES).variable("NOTES", &path)
}

/// A run of footplate that has started.
#[must_use]
pub struct Running {
    child: Child,
    base: PathBuf,
    written: [Arc<Mutex<Vec<u8>>>; 2],
    readers: Vec<JoinHandle<()>>,
    begun: Instant,
}

impl Running {
    /// Starts footplate in a job's container.
    pub fn start<A: AsRef<OsStr>>(job: &Job, arguments: impl IntoIterator<Item = A>) -> Running {
        Running::of(job, job.command(arguments))
    }

    /// Starts a command that starts footplate in a job's container, and reads its output.
    pub fn of(job: &Job, command: Command) -> Running {
        Running::with_stdout(job, command, Stdio::piped())
    }

    /// Starts such a command with another standard output.
    pub fn with_stdout(job: &Job, mut command: Command, stdout: Stdio) -> Running {
        command.stderr(Stdio::piped());
        Running::with_streams(job, command, stdout)
    }

    /// Starts such a command with another standard output, and with the standard error that the command already has.
    pub fn with_streams(job: &Job, mut command: Command, stdout: Stdio) -> Running {
        let mut child = command.stdout(stdout).spawn().expect("it starts");
        // The command holds copies of the streams.
        drop(command);
        let written = [Arc::default(), Arc::default()];
        let stdout = child.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
        let stderr = child.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
        let streams = [stdout, stderr].into_iter().zip(&written);
        let readers = streams.filter_map(|(stream, written)| Some(read(stream?, written))).collect();
        Running { child, base: job.base().to_owned(), written, readers, begun: Instant::now() }
    }

    /// Returns the process ID of the command.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process number"))
    }

    /// Sends a signal to the command.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it still runs");
    }

    /// Returns the standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.written[0].lock().expect("no panic").clone()
    }

    /// Returns the standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.written[1].lock().expect("no panic")).into_owned()
    }

    /// Waits until standard error contains a text.
    #[track_caller]
    pub fn says(&self, text: &str) {
        eventually(&format!("{text:?} on standard error"), || self.stderr().contains(text).then_some(()));
    }

    /// Waits until the script has noted `count` lines that start with a text. Returns all notes.
    #[track_caller]
    pub fn noted(&self, text: &str, count: usize) -> Vec<String> {
        eventually(&format!("{count} notes of {text:?}; standard error: {}", self.stderr()), || {
            let notes = notes(&self.base);
            (notes.iter().filter(|note| note.starts_with(text)).count() >= count).then_some(notes)
        })
    }

    /// Lets the script continue that waits for this name.
    pub fn tell(&self, name: &str) {
        fs::write(self.base.join(format!("notes.{name}")), "").expect("written");
    }

    /// Waits for the end, which must be a success. Returns both streams byte for byte.
    #[track_caller]
    pub fn end_with_streams(self, job: &Job) -> [Vec<u8>; 2] {
        let written = self.written.clone();
        let ended = self.end(job);
        assert!(ended.code() == 0 && ended.success, "exit code {}", ended.code());
        written.map(|written| written.lock().expect("no panic").clone())
    }

    /// Waits for the end, and looks at no file.
    #[track_caller]
    pub fn end_without_files(mut self) -> std::process::ExitStatus {
        eventually("footplate's end", || self.child.try_wait().expect("waited"))
    }

    /// Waits for the end.
    #[track_caller]
    pub fn end(mut self, job: &Job) -> Ended {
        let written = Arc::clone(&self.written[1]);
        let describe = || {
            let stderr = String::from_utf8_lossy(&written.lock().expect("no panic")).into_owned();
            format!("footplate's end; standard error so far:\n{stderr}")
        };
        let status = eventually_or(|| self.child.try_wait().expect("waited"), describe);
        let duration = self.begun.elapsed();
        eventually("the end of its output", || self.readers.iter().all(JoinHandle::is_finished).then_some(()));
        let stderr = self.stderr().into_bytes();
        job.ended(Output { status, stdout: self.stdout(), stderr }, duration)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test must not leave processes behind.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for pid in survivors(&self.base) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn read(mut stream: Box<dyn Read + Send>, written: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let written = Arc::clone(written);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            written.lock().expect("no panic").extend_from_slice(&buffer[..length]);
        }
    })
}

/// Returns the lines that scripts have noted.
pub fn notes(base: &Path) -> Vec<String> {
    fs::read_to_string(base.join("notes")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Returns the processes of a job that still run. They are recognized by the base folder in their variables.
pub fn survivors(base: &Path) -> Vec<i32> {
    let marker = [b"SAGEMAKER_BASE_DIR=", base.as_os_str().as_bytes(), b"\0"].concat();
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // A zombie has no variables.
    let is_ours = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.windows(marker.len()).any(|part| part == marker))
    };
    numbers.filter(is_ours).collect()
}

/// Checks that no process of a job still runs.
#[track_caller]
pub fn nothing_survives(job: &Job) {
    assert_eq!(survivors(job.base()), Vec::<i32>::new(), "some processes are left");
}
