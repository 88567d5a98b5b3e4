//! Python's `faulthandler`, which writes the stacks of all threads when a signal comes, even while Python waits for a
//! lock or runs C code.
//!
//! A module that Python imports at its start registers it. This needs a change of the script's `PYTHONPATH`, so it is
//! used only if the user allows it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::call::StackCall;
use super::process::{ProcessStacks, ThreadStack};
use crate::event::StackMethod;
use crate::system::kernel;

/// The number of the signal: SIGRTMIN + 3 in glibc.
const SIGNAL: i32 = 37;

/// The interval of checks for the answer, which is complete if it has not grown for one interval.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// The module.
const MODULE: &str = include_str!("hook.py");

/// A folder that contains the module and the files that processes write.
#[derive(Clone, Debug)]
pub struct Hook {
    folder: PathBuf,
}

impl Hook {
    /// Writes the module into a new folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn install(folder: PathBuf) -> io::Result<Hook> {
        fs::create_dir(&folder)?;
        fs::write(folder.join("sitecustomize.py"), MODULE.replace("SIGNAL", &SIGNAL.to_string()))?;
        Ok(Hook { folder })
    }

    /// Returns the folder, which must come first in the script's `PYTHONPATH`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks all processes that can answer, at the same time. The answers are in the order of the processes.
    pub(super) fn request(&self, processes: &[(i32, String)], deadline: Instant) -> Vec<Option<ProcessStacks>> {
        let sizes: Vec<Option<u64>> = processes.iter().map(|(pid, _)| self.size(*pid)).collect();
        for ((pid, _), _) in processes.iter().zip(&sizes).filter(|(_, size)| size.is_some()) {
            kernel::send_signal(Pid::from_raw(*pid), SIGNAL);
        }
        let answer = |((pid, name), before): (&(i32, String), &Option<u64>)| {
            let text = self.answer(*pid, (*before)?, deadline)?;
            read((*pid, name), &text)
        };
        processes.iter().zip(&sizes).map(answer).collect()
    }

    /// Returns the size of a process's file. `None` if the signal would kill the process.
    fn size(&self, pid: i32) -> Option<u64> {
        let found = fs::symlink_metadata(self.file(pid)).ok().filter(fs::Metadata::is_file)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & (1 << (SIGNAL - 1)) != 0).then_some(found.len())
    }

    /// Waits until a process has answered, and returns the text that it has added to its file.
    fn answer(&self, pid: i32, before: u64, deadline: Instant) -> Option<String> {
        let mut last = before;
        loop {
            let now = fs::symlink_metadata(self.file(pid)).ok()?.len();
            let is_late = Instant::now() >= deadline;
            if now > before && (now == last || is_late) {
                break;
            }
            if is_late {
                return None;
            }
            last = now;
            std::thread::sleep(LOOK_INTERVAL);
        }
        let mut file = File::open(self.file(pid)).ok()?;
        file.seek(SeekFrom::Start(before)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_ANSWER).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn file(&self, pid: i32) -> PathBuf {
        self.folder.join(format!("pid-{pid}"))
    }
}

/// Parses the output of `faulthandler`. The main thread is the last one, because Python lists the newest thread
/// first.
fn read(process: (i32, &str), text: &str) -> Option<ProcessStacks> {
    let mut threads: Vec<ThreadStack> = Vec::new();
    for line in text.lines() {
        if line.contains("hread 0x") && line.contains("(most recent call first)") {
            // `Thread 0x00007f… [name] (most recent call first):` since Python 3.14.
            let name = line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(name, _)| name);
            threads.push(ThreadStack { name: name.to_owned(), frames: Vec::new() });
        } else if let (Some(thread), Some(frame)) = (threads.last_mut(), call(line)) {
            thread.frames.push(frame);
        }
    }
    let main = threads.len().checked_sub(1)?;
    Some(ProcessStacks::new(process, StackMethod::Faulthandler, threads, main))
}

/// Reads a call: `  File "/opt/ml/code/train.py", line 5 in read_shard`.
fn call(line: &str) -> Option<StackCall> {
    let (file, rest) = line.trim_start().strip_prefix("File \"")?.rsplit_once("\", line ")?;
    let (number, function) = rest.split_once(" in ")?;
    Some(StackCall { function: function.to_owned(), file: file.to_owned(), line: number.parse().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_last_thread_is_the_main_thread() {
        let text = "Thread 0x00007f1a [loader] (most recent call first):\n  File \"/l/lib/python3.14/queue.py\", line 171 in get\n  \
                    File \"/c/t.py\", line 3 in worker\n\nCurrent thread 0x00007f1b (most recent call first):\n  \
                    File \"/c/a \"b.py\", line 5 in read\n  File \"/c/t.py\", line 9 in <module>\n";
        let found = read((7, "python3"), text).expect("stacks");
        let main: Vec<String> = found.main().iter().map(|f| format!("{} {} {}", f.function, f.file, f.line)).collect();
        assert_eq!(main, ["read /c/a \"b.py 5", "<module> /c/t.py 9"]);
        assert_eq!((found.threads.len(), found.threads[1].name.as_str()), (2, "loader"));
        assert_eq!(read((7, "python3"), "nothing\n"), None);
    }
}
