//! Exact failure texts, for real programs that run here and for recorded output of other programs.

mod behind;
mod boundaries;
mod forms;
mod hints;
mod interpreters;
mod languages;
mod lookalikes;
mod mutated;
mod native;
mod plain;
mod prefixes;
mod printed;
mod programs;
mod python;
mod ranks;
mod recorded;
mod reports;
mod runners;
mod runtimes;
mod scripts;
mod stops;
mod teardown;
mod wrappers;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use super::{Evidence, cause};
use crate::event::Cause;
use crate::event::Ending;
use crate::redact::Redactor;

/// A folder of user code.
struct Code {
    folder: TempDir,
}

impl Code {
    fn new(files: &[(&str, &str)]) -> Code {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Code { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command in the folder until it ends.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for name in ["PYTHONPATH", "PYTHONWARNINGS", "PYTHONFAULTHANDLER", "PYTHONUNBUFFERED", "PYTHON_COLORS"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").output().unwrap_or_else(|error| panic!("failed to run {program}: {error}"))
    }

    /// Returns the failure text of a program with this output.
    fn text(&self, output: &Output) -> String {
        let evidence =
            Evidence::new(ending(output), &output.stderr, &output.stdout, self.path(), "python3 train.py".into());
        text(&cause(&evidence))
    }
}

fn ending(output: &Output) -> Ending {
    match output.status.code() {
        Some(code) => Ending::Exited(code),
        None => Ending::Signaled(output.status.signal().unwrap()),
    }
}

fn text(cause: &Cause) -> String {
    super::text(cause, &Redactor::default())
}

/// Returns the failure text of a Python script, `train.py`, that the real interpreter runs.
fn script(source: &str) -> String {
    let code = Code::new(&[("train.py", source)]);
    code.text(&code.run("python3", &["train.py"]))
}

/// Returns the failure text of a recorded stderr.
fn recorded(ending: Ending, stderr: &str) -> String {
    text(&cause(&evidence(ending, stderr)))
}

/// The hosts of the job in recorded texts.
static HOSTS: LazyLock<Vec<String>> =
    LazyLock::new(|| ["algo-1", "algo-2", "algo-1-x7k2p"].map(str::to_owned).to_vec());

/// Returns the evidence of a recorded stderr.
fn evidence(ending: Ending, stderr: &str) -> Evidence<'_> {
    let command = "python3 train.py".into();
    let evidence = Evidence::new(ending, stderr.as_bytes(), b"", Path::new("/opt/ml/code"), command);
    Evidence { hosts: &HOSTS, ..evidence }
}
