//! The Python that runs the script, found without starting a process.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::machine::{DEFAULT_PATH, Lookup, is_program, which};
use crate::system::files;

/// The folders of Python in nearly every image, for images that do not set PATH.
const LAST_RESORT: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/opt/conda/bin"];
/// Python's names, in the order of preference.
const NAMES: [&str; 2] = ["python3", "python"];

/// The Python that runs the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPython {
    /// The path, with symbolic links unresolved. The Python of a virtual environment is a link, and finds its
    /// environment by that path.
    pub path: PathBuf,
    /// The rule that found it.
    pub found_by: FoundBy,
}

/// The rules that find Python, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The command of a processing job.
    Command,
    /// The setting `FOOTPLATE_PYTHON`.
    Setting,
    /// The variable `VIRTUAL_ENV`, which names an activated virtual environment.
    VirtualEnv,
    /// `.venv` in the code folder, if the Python that it was created with exists on this machine.
    CodeFolder,
    /// PATH.
    Path,
    /// The variable `CONDA_PREFIX`.
    Conda,
    /// A folder where Python usually is, such as `/usr/local/bin`.
    UsualPlace,
}

/// A reason why no Python was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InterpreterError {
    /// The setting names a Python that does not exist or cannot be executed.
    #[error(
        "the Python {name:?} that FOOTPLATE_PYTHON names {}; set it to a path or a name on PATH",
        if *.not_executable { "cannot be executed" } else { "does not exist" }
    )]
    Setting {
        /// The value of the setting.
        name: String,
        /// True if a file of that name exists and cannot be executed.
        not_executable: bool,
    },
    /// No rule found a Python.
    #[error("no python3 or python on PATH ({path}); install Python in the image, or set FOOTPLATE_PYTHON to its path")]
    NotFound {
        /// The value of PATH.
        path: String,
    },
}

/// Finds the Python that runs the script. `variable` looks up an environment variable.
///
/// Tries in this order:
///
/// 1. `setting`, a path or a name on PATH;
/// 2. the activated virtual environment;
/// 3. `.venv` in the code folder;
/// 4. `python3` on PATH, then `python` on PATH, which is Python 2 in old images;
/// 5. the Conda environment in `CONDA_PREFIX`. An activated Conda environment is on PATH, so rule 4 finds it: a variable
///    without it on PATH is a leftover;
/// 6. the folders where Python usually is.
///
/// # Errors
///
/// [`InterpreterError`], which names the setting or PATH. A setting that names no Python is an error: the other rules are
/// not tried.
pub fn find(
    setting: Option<&str>,
    code_dir: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<FoundPython, InterpreterError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let path_variable = variable("PATH");
    let path_list = path_variable.as_deref().map(OsStr::new);
    if let Some(name) = setting.map(str::trim).filter(|name| !name.is_empty()) {
        return match which(name, path_list) {
            Lookup::Found(path) => Ok(FoundPython { path, found_by: FoundBy::Setting }),
            other => Err(InterpreterError::Setting {
                name: name.to_owned(),
                not_executable: matches!(other, Lookup::NotExecutable(_)),
            }),
        };
    }
    let in_folder = |folder: PathBuf| NAMES.iter().map(|name| folder.join(name)).find(|path| is_program(path));
    let in_environment = |folder: PathBuf| in_folder(folder.join("bin"));
    let on_path = || NAMES.iter().find_map(|name| which(name, path_list).found());
    let found = None
        .or_else(|| Some((in_environment(variable("VIRTUAL_ENV")?.into())?, FoundBy::VirtualEnv)))
        .or_else(|| {
            let environment = code_dir.join(".venv");
            // Few jobs have one, and reading a file takes longer than looking for one.
            let python = in_environment(environment.clone())?;
            is_usable_here(&environment).then_some((python, FoundBy::CodeFolder))
        })
        .or_else(|| Some((on_path()?, FoundBy::Path)))
        .or_else(|| Some((in_environment(variable("CONDA_PREFIX")?.into())?, FoundBy::Conda)))
        .or_else(|| Some((LAST_RESORT.iter().map(PathBuf::from).find_map(&in_folder)?, FoundBy::UsualPlace)));
    match found {
        Some((path, found_by)) => Ok(FoundPython { path, found_by }),
        None => Err(InterpreterError::NotFound { path: path_variable.unwrap_or_else(|| DEFAULT_PATH.to_owned()) }),
    }
}

/// Returns true if a virtual environment works on this machine: the Python that it was created with exists here. An
/// environment that was uploaded with the code from a laptop names a folder of the laptop.
fn is_usable_here(environment: &Path) -> bool {
    let text = files::text(&environment.join("pyvenv.cfg"), files::TEXT_SIZE).unwrap_or_default();
    let home = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    });
    home.is_some_and(|home| NAMES.iter().any(|name| is_program(&home.join(name))))
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FoundBy::Command => "named by the command",
            FoundBy::Setting => "named by FOOTPLATE_PYTHON",
            FoundBy::VirtualEnv => "of the virtual environment in VIRTUAL_ENV",
            FoundBy::CodeFolder => "of the virtual environment in the code folder",
            FoundBy::Path => "found on PATH",
            FoundBy::Conda => "of the Conda environment in CONDA_PREFIX",
            FoundBy::UsualPlace => "found in its usual place, not on PATH",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{FoundBy, InterpreterError, find};
    use crate::machine::program;

    #[test]
    fn each_rule_finds_python_in_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = |name: &str| at(name).to_str().unwrap().to_owned();
        for name in ["venv/bin/python3", "conda/bin/python", "local/bin/python", "usr/bin/python3", "usr/bin/python"] {
            program(at(name), 0o755);
        }
        program(at("usr/bin/python3.9"), 0o755);
        program(at("code/.venv/bin/python"), 0o755);
        program(at("noexec/python3"), 0o644);
        let home =
            |home: &str| fs::write(at("code/.venv/pyvenv.cfg"), format!("home = {home}\nversion = 3\n")).unwrap();
        home("/Users/me/bin");
        let local_first = format!("{}:{}:{}", text("noexec"), text("local/bin"), text("usr/bin"));
        let search = |setting: Option<&str>, variables: &[(&str, &str)]| {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            find(setting, &at("code"), lookup).map(|found| (found.path, found.found_by))
        };
        let (path, usr, venv, conda) = (&*local_first, &*text("usr/bin"), &*text("venv"), &*text("conda"));
        let ok = |name: &str, by: FoundBy| Ok((at(name), by));
        assert_eq!(search(None, &[("PATH", path)]), ok("usr/bin/python3", FoundBy::Path));
        assert_eq!(search(None, &[("PATH", &text("local/bin"))]), ok("local/bin/python", FoundBy::Path));
        assert_eq!(search(None, &[("PATH", usr), ("CONDA_PREFIX", conda)]), ok("usr/bin/python3", FoundBy::Path));
        assert_eq!(search(None, &[("PATH", path), ("VIRTUAL_ENV", venv)]), ok("venv/bin/python3", FoundBy::VirtualEnv));
        assert_eq!(search(None, &[("PATH", usr), ("VIRTUAL_ENV", "/none")]), ok("usr/bin/python3", FoundBy::Path));
        assert_eq!(search(None, &[("PATH", "/none"), ("CONDA_PREFIX", conda)]), ok("conda/bin/python", FoundBy::Conda));
        let all = [("PATH", path), ("VIRTUAL_ENV", venv)];
        assert_eq!(search(Some("python3.9"), &all), ok("usr/bin/python3.9", FoundBy::Setting));
        let direct = text("conda/bin/python");
        assert_eq!(search(Some(&direct), &all), ok("conda/bin/python", FoundBy::Setting));
        assert_eq!(search(Some(" "), &all), ok("venv/bin/python3", FoundBy::VirtualEnv));
        home(usr);
        assert_eq!(search(None, &[("PATH", path)]), ok("code/.venv/bin/python", FoundBy::CodeFolder));
        let missing = search(Some("python9"), &all).unwrap_err();
        assert_eq!(missing, InterpreterError::Setting { name: "python9".to_owned(), not_executable: false });
        assert!(missing.to_string().contains("\"python9\" that FOOTPLATE_PYTHON names does not exist"), "{missing}");
        let plain = search(Some(&text("noexec/python3")), &all).unwrap_err();
        assert!(plain.to_string().contains("cannot be executed"), "{plain}");
    }

    #[test]
    fn the_error_for_a_missing_python_names_path() {
        let lookup = |name: &str| (name == "PATH").then(|| "/none:/nowhere".to_owned());
        match find(None, Path::new("/none"), lookup) {
            // The machine that runs this test may have Python in its usual place.
            Ok(found) => assert_eq!(found.found_by, FoundBy::UsualPlace),
            Err(error) => assert!(error.to_string().contains("no python3 or python on PATH (/none:/nowhere)")),
        }
    }
}
