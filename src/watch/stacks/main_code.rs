//! A look at the main thread of a process that is silent after a traceback: whether its program still runs.

use std::fs;
use std::path::Path;

use super::call::StackCall;
use super::process::MAX_FRAMES;
use super::python;
use crate::supervise::MainCode;

/// The files of frameworks that wait for other ranks when a process ends, below the folder in which packages are
/// installed: the destructor of MXNet's store, and the exit handler of JAX.
const WAITING: [&str; 2] = ["mxnet/", "jax/"];

/// The function of a module's own code.
const MODULE: &str = "<module>";

/// The module of Python that runs `python -m`.
const RUNNER: &str = "runpy";

/// Returns the state of the main program of a Python process, by the calls of its main thread. The process is neither
/// stopped nor signalled.
pub fn main_code(pid: i32) -> MainCode {
    // A program that embeds Python can call functions that no module's code surrounds.
    let is_interpreter = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| is_python(&program));
    match is_interpreter.then(|| python::stacks_of((pid, ""))).flatten() {
        Some(stacks) => state(stacks.main()),
        None => MainCode::Unknown,
    }
}

fn is_python(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"))
}

/// Returns the state that the calls of the main thread show, the innermost first. Until the main program has ended, its
/// own code is the outermost call. Only exit handlers and destructors run afterwards.
fn state(calls: &[StackCall]) -> MainCode {
    let Some(outermost) = calls.last().filter(|_| calls.len() < MAX_FRAMES) else { return MainCode::Unknown };
    if outermost.function == MODULE || outermost.file.contains(RUNNER) {
        return MainCode::Runs;
    }
    let waits = |call: &StackCall| WAITING.iter().any(|package| call.short_file().starts_with(package));
    if calls.iter().any(waits) { MainCode::Waits } else { MainCode::Unknown }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::{StackCall, main_code, state};
    use crate::supervise::MainCode;

    #[test]
    fn a_process_whose_program_has_ended_waits_only_in_a_framework() {
        let call = |function: &str, file: &str| StackCall { function: function.into(), file: file.into(), line: 1 };
        let own = || call("<module>", "/opt/ml/code/train.py");
        let mxnet = || call("__del__", "/opt/venv/lib/python3.11/site-packages/mxnet/kvstore/kvstore.py");
        let jax = || call("clean_up", "/usr/lib/python3/dist-packages/jax/_src/distributed.py");
        for (calls, expected) in [
            (vec![mxnet()], MainCode::Waits),
            (vec![call("wait", "/usr/lib/python3.11/threading.py"), jax()], MainCode::Waits),
            (vec![mxnet(), own()], MainCode::Runs),
            (vec![jax(), call("_run_module_as_main", "<frozen runpy>")], MainCode::Runs),
            (vec![call("finish", "/opt/venv/lib/python3.11/site-packages/wandb/run.py")], MainCode::Unknown),
            (vec![], MainCode::Unknown),
            (vec![mxnet(); 100], MainCode::Unknown),
        ] {
            assert_eq!(state(&calls), expected, "{calls:?}");
        }
    }

    #[test]
    fn the_state_of_a_program_is_read_from_its_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let package = folder.path().join("site-packages/mxnet");
        fs::create_dir_all(&package).expect("a folder");
        let store = "import threading\nclass Store:\n    def __del__(self):\n        print('waits', flush=True)\n        \
                     lock = threading.Lock()\n        lock.acquire()\n        lock.acquire()\n";
        fs::write(package.join("__init__.py"), store).expect("written");
        for (rest, expected) in [
            ("raise ValueError('bad')", MainCode::Waits),
            ("del store", MainCode::Runs),
            (
                "import atexit, time\natexit.register(lambda: [print('waits', flush=True), time.sleep(600)])",
                MainCode::Unknown,
            ),
        ] {
            let script = format!("import mxnet\nstore = mxnet.Store()\n{rest}");
            let mut command = Command::new("python3");
            command.args(["-c", &script]).env("PYTHONPATH", folder.path().join("site-packages"));
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("python3 starts");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
            let pid = i32::try_from(child.id()).expect("a number");
            let found = main_code(pid);
            child.kill().expect("killed");
            child.wait().expect("reaped");
            assert_eq!((line.as_str(), found), ("waits\n", expected), "{rest}");
        }
    }
}
