//! Which Python runs the script. Nothing is started to find out.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::{DEFAULT_PATH, Lookup, is_program, which};

/// Where Python is in nearly every image, if PATH does not say.
const LAST_RESORT: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/opt/conda/bin"];
/// The names of Python, the first one first.
const NAMES: [&str; 2] = ["python3", "python"];

/// The Python that runs the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its path. A symbolic link is not followed: a virtual environment's Python is one, and knows itself by it.
    pub path: PathBuf,
    /// Where it was found.
    pub found_by: FoundBy,
}

/// Where the Python was found, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The setting `FOOTPLATE_PYTHON`.
    Setting,
    /// The variable `VIRTUAL_ENV`: an activated virtual environment.
    VirtualEnv,
    /// `.venv` in the code folder, if it was made on this machine or one like it.
    CodeFolder,
    /// PATH.
    Path,
    /// The variable `CONDA_PREFIX`.
    Conda,
    /// A folder where Python usually is.
    UsualPlace,
}

/// Why there is no Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterpreterError {
    /// The setting names one that is not there.
    Setting {
        /// What the setting names.
        name: String,
        /// Whether there is a file of that name which cannot be executed.
        not_executable: bool,
    },
    /// There is none anywhere.
    NotFound {
        /// PATH.
        path: String,
    },
}

/// Finds the Python that runs the script: `setting` (a path, or a name on PATH), else the virtual environment that is
/// activated, else the code folder's `.venv`, else `python3` on PATH, else `python` on PATH, which in old images is
/// Python 2, else Conda's environment, else a folder where Python usually is.
///
/// An activated Conda environment is on PATH; its variable alone, overruled by PATH, is a leftover.
/// `variable` looks up an environment variable.
///
/// # Errors
///
/// [`InterpreterError`], which names the setting or PATH.
pub fn find(
    setting: Option<&str>,
    code_dir: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Interpreter, InterpreterError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let path_variable = variable("PATH");
    let path_list = path_variable.as_deref().map(OsStr::new);
    if let Some(name) = setting.map(str::trim).filter(|name| !name.is_empty()) {
        return match which(name, path_list) {
            Lookup::Found(path) => Ok(Interpreter { path, found_by: FoundBy::Setting }),
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
            is_from_here(&environment).then_some(())?;
            Some((in_environment(environment)?, FoundBy::CodeFolder))
        })
        .or_else(|| Some((on_path()?, FoundBy::Path)))
        .or_else(|| Some((in_environment(variable("CONDA_PREFIX")?.into())?, FoundBy::Conda)))
        .or_else(|| Some((LAST_RESORT.iter().map(PathBuf::from).find_map(&in_folder)?, FoundBy::UsualPlace)));
    match found {
        Some((path, found_by)) => Ok(Interpreter { path, found_by }),
        None => Err(InterpreterError::NotFound { path: path_variable.unwrap_or_else(|| DEFAULT_PATH.to_owned()) }),
    }
}

/// Whether a virtual environment can work on this machine: the folder of the Python that it was made with is here. One
/// that was uploaded with the code from a laptop names a folder of the laptop.
fn is_from_here(environment: &Path) -> bool {
    let text = fs::read_to_string(environment.join("pyvenv.cfg")).unwrap_or_default();
    let home = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    });
    home.is_some_and(|home| NAMES.iter().any(|name| is_program(&home.join(name))))
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FoundBy::Setting => "named by FOOTPLATE_PYTHON",
            FoundBy::VirtualEnv => "of the virtual environment in VIRTUAL_ENV",
            FoundBy::CodeFolder => "of the virtual environment in the code folder",
            FoundBy::Path => "found on PATH",
            FoundBy::Conda => "of the Conda environment in CONDA_PREFIX",
            FoundBy::UsualPlace => "found in its usual place, not on PATH",
        })
    }
}

impl fmt::Display for InterpreterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterpreterError::Setting { name, not_executable } => {
                let what = if *not_executable { "cannot be executed" } else { "does not exist" };
                write!(f, "the Python {name:?} that FOOTPLATE_PYTHON names {what}; set it to a path or a name on PATH")
            }
            InterpreterError::NotFound { path } => write!(
                f,
                "no python3 or python on PATH ({path}); install Python in the image, or set FOOTPLATE_PYTHON to its path"
            ),
        }
    }
}

impl std::error::Error for InterpreterError {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::{FoundBy, InterpreterError, find};

    fn program(path: PathBuf, mode: u32) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_python_that_a_user_would_expect_is_found() {
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
    fn where_there_is_no_python_the_message_names_path() {
        let lookup = |name: &str| (name == "PATH").then(|| "/none:/nowhere".to_owned());
        match find(None, Path::new("/none"), lookup) {
            // Wherever these tests run, Python may be in its usual place.
            Ok(found) => assert_eq!(found.found_by, FoundBy::UsualPlace),
            Err(error) => assert!(error.to_string().contains("no python3 or python on PATH (/none:/nowhere)")),
        }
    }
}
