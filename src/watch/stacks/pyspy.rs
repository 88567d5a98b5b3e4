//! py-spy, a program that reads the stacks of another Python process.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::call::StackCall;
use super::process::{ProcessStacks, ThreadStack};
use crate::event::StackMethod;
use crate::machine;

/// The maximum number of lines of an error that are told.
const MAX_LINES: usize = 3;

/// A thread in the answer of `py-spy dump --json`.
#[derive(Deserialize)]
struct Thread {
    thread_name: Option<String>,
    os_thread_id: Option<i64>,
    #[serde(default)]
    frames: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    name: String,
    filename: String,
    #[serde(default)]
    line: i64,
}

/// Asks py-spy for the stacks of a process.
///
/// # Errors
/// The words of py-spy, or the reason why it said nothing.
pub(super) fn ask(program: &Path, process: (i32, &str), patience: Duration) -> Result<ProcessStacks, String> {
    let mut command = Command::new(program);
    // A process that is paused meanwhile could miss a deadline of its peers.
    command.args(["dump", "--nonblocking", "--json", "--pid", &process.0.to_string()]).env_clear();
    let answer = machine::ask(&mut command, patience).map_err(|error| error.to_string())?;
    read(process, &answer.stdout).ok_or_else(|| {
        let words = String::from_utf8_lossy(&answer.stderr);
        words.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_LINES).collect::<Vec<_>>().join(" ")
    })
}

/// Reads the answer of py-spy. `None` if it is not whole, or has no calls.
pub(super) fn read(process: (i32, &str), answer: &[u8]) -> Option<ProcessStacks> {
    let threads: Vec<Thread> = serde_json::from_slice(answer).ok()?;
    let is_main = |thread: &Thread| {
        thread.os_thread_id == Some(process.0.into()) || thread.thread_name.as_deref() == Some("MainThread")
    };
    let main = threads.iter().position(is_main).unwrap_or(0);
    let call = |call: Call| StackCall {
        function: call.name,
        file: call.filename,
        line: u64::try_from(call.line).unwrap_or_default(),
    };
    let of_thread = |thread: Thread| ThreadStack {
        name: thread.thread_name.unwrap_or_default(),
        frames: thread.frames.into_iter().map(call).collect(),
    };
    let threads: Vec<ThreadStack> = threads.into_iter().map(of_thread).collect();
    let has_calls = threads.iter().any(|thread| !thread.frames.is_empty());
    has_calls.then(|| ProcessStacks::new(process, StackMethod::PySpy, threads, main))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_main_thread_comes_first_and_what_is_not_whole_is_refused() {
        let call = |name: &str, line: i64| serde_json::json!({"name": name, "filename": "/c/t.py", "short_filename": "t.py", "line": line, "locals": null});
        let answer = serde_json::json!([
            {"pid": 7, "thread_id": 1, "thread_name": "loader", "os_thread_id": 9, "frames": [call("worker", 3)]},
            {"pid": 7, "thread_id": 2, "thread_name": null, "os_thread_id": 7, "frames": [call("read", 5), call("<module>", -1)]},
        ])
        .to_string();
        let found = read((7, "python3"), answer.as_bytes()).expect("stacks");
        assert_eq!(found.threads.len(), 2);
        let main: Vec<(&str, u64)> = found.main().iter().map(|frame| (frame.function.as_str(), frame.line)).collect();
        assert_eq!(main, [("read", 5), ("<module>", 0)]);
        assert_eq!(found.threads[1].name, "loader");
        for wrong in ["", "[]", "{}", "[{\"frames\": []}]", &answer[..answer.len() - 1]] {
            assert_eq!(read((7, "python3"), wrong.as_bytes()), None, "{wrong}");
        }
    }
}
