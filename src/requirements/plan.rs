//! Whether packages are installed, which, and with what command.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code::{EntryKind, EntryPoint, nearest};

/// The file that is looked for if no other is named.
const USUAL: &str = "requirements.txt";

/// What pip is told unless the user has told it otherwise. They are variables and not options so that the user's own
/// variables win, and so that a pip that does not know one passes over it.
const VARIABLES: [(&str, &str); 5] = [
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"), // nobody is there to type a password: fail instead of waiting for ever
    ("PIP_PROGRESS_BAR", "off"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
    // Debian marks its Python as not to be touched by pip. In a container nobody else is hurt.
    ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
];

/// What is installed before the script runs. Its text is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// pip is run.
    Install {
        /// Where it is run.
        code_dir: PathBuf,
        /// The requirements file, relative to that.
        file: Option<String>,
        /// Whether the code itself is installed as a package.
        package: bool,
    },
    /// Installing is switched off by the setting.
    SwitchedOff {
        /// What would have been installed.
        left: Option<String>,
    },
    /// There is no requirements file.
    NotFound {
        /// Where there is none.
        code_dir: PathBuf,
        /// A file there whose name comes near.
        similar: Option<String>,
    },
    /// The requirements file holds no requirement.
    Empty {
        /// The file.
        file: String,
    },
    /// There is one, but the entry point is no Python script, and installs what it needs itself.
    LeftToScript {
        /// The file.
        file: String,
        /// The entry point.
        script: String,
    },
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequirementsError {
    /// The file that the job names is not there.
    Missing {
        /// The file's name.
        file: String,
        /// The code folder.
        code_dir: PathBuf,
        /// A file there whose name comes near.
        similar: Option<String>,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
}

impl Plan {
    /// Decides what is installed for the code in `code_dir`.
    ///
    /// `install` is the setting: `None` if it is not given. Then it is as `sagemaker-training` has it (its
    /// `entry_point.py`): a package is installed, a Python script's `requirements.txt` is, and shell scripts and other
    /// programs are left to do that themselves. `Some(true)` installs for these, too. `file` is another name than
    /// `requirements.txt`, relative to `code_dir`; a job that names one means it, so it is installed for any entry point,
    /// and has to be there.
    ///
    /// # Errors
    ///
    /// [`RequirementsError`]: a file that was named is not there, or cannot be read.
    pub fn make(
        code_dir: &Path,
        entry: &EntryPoint,
        install: Option<bool>,
        file: Option<&str>,
    ) -> Result<Plan, RequirementsError> {
        let named = file.map(str::trim).filter(|name| !name.is_empty());
        let name = named.unwrap_or(USUAL);
        let path = code_dir.join(name);
        let exists = path.is_file();
        let package = entry.kind() == EntryKind::PythonPackage;
        let present = || exists.then(|| name.to_owned());
        if install == Some(false) {
            let left = present().or_else(|| package.then(|| "the package in the code folder".to_owned()));
            return Ok(Plan::SwitchedOff { left });
        }
        if named.is_some() && !exists {
            let similar = similar(code_dir, name);
            return Err(RequirementsError::Missing { file: name.to_owned(), code_dir: code_dir.to_owned(), similar });
        }
        let whole = |file| Ok(Plan::Install { code_dir: code_dir.to_owned(), file, package });
        if !exists {
            return match package {
                true => whole(None),
                false => Ok(Plan::NotFound { code_dir: code_dir.to_owned(), similar: similar(code_dir, name) }),
            };
        }
        let script = matches!(entry.kind(), EntryKind::ShellScript | EntryKind::Executable);
        if script && named.is_none() && install.is_none() {
            return Ok(Plan::LeftToScript { file: name.to_owned(), script: entry.name().to_owned() });
        }
        let text = fs::read(&path)
            .map_err(|error| RequirementsError::Unreadable { path: path.clone(), error: error.to_string() })?;
        match (has_requirements(&text), package) {
            (true, _) => whole(present()),
            (false, true) => whole(None),
            (false, false) => Ok(Plan::Empty { file: name.to_owned() }),
        }
    }

    /// The command that installs, to be run in the code folder, or `None` if there is nothing to install. It is the
    /// command of `sagemaker-training`; what else pip is to be told comes with [`variables`].
    pub fn command(&self, python: &Path) -> Option<Vec<OsString>> {
        let Plan::Install { file, package, .. } = self else { return None };
        let mut command: Vec<OsString> = vec![python.into()];
        command.extend(["-m", "pip", "install"].map(OsString::from));
        if *package {
            command.push(".".into());
        }
        if let Some(file) = file {
            command.push("-r".into());
            command.push(file.into());
        }
        Some(command)
    }
}

/// The variables to run pip with: those that are not set yet, as `is_set` tells. The user's own are left alone.
pub fn variables(is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    VARIABLES.into_iter().filter(|(name, _)| !is_set(name)).collect()
}

/// Whether a requirements file holds more than comments and empty lines. A line with only an option counts: what it
/// means is pip's to say.
fn has_requirements(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    lines.any(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// A file in the folder that somebody may have meant to be the requirements file.
fn similar(code_dir: &Path, name: &str) -> Option<String> {
    let entries = fs::read_dir(code_dir).ok()?;
    let mut names: Vec<String> =
        entries.take(10_000).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Install { code_dir, file: Some(file), package: false } => {
                write!(f, "installing {file}, found in {}", code_dir.display())
            }
            Plan::Install { code_dir, file: Some(file), package: true } => {
                write!(f, "installing the package in {} and its {file}", code_dir.display())
            }
            Plan::Install { code_dir, file: None, .. } => {
                write!(f, "installing the package in {}", code_dir.display())
            }
            Plan::SwitchedOff { left: None } => f.write_str("no requirements are installed: switched off"),
            Plan::SwitchedOff { left: Some(left) } => write!(f, "{left} is not installed: switched off"),
            Plan::NotFound { code_dir, similar } => {
                write!(f, "no requirements are installed: no {USUAL} in {}", code_dir.display())?;
                match similar {
                    Some(similar) => write!(f, " (there is {similar}; rename it if it is meant)"),
                    None => Ok(()),
                }
            }
            Plan::Empty { file } => write!(f, "no requirements are installed: {file} holds none"),
            Plan::LeftToScript { file, script } => {
                write!(f, "{file} is not installed: {script} is no Python script and does that itself if it needs to")
            }
        }
    }
}

impl fmt::Display for RequirementsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequirementsError::Missing { file, code_dir, similar } => {
                write!(f, "the requirements file {file:?} is not in {}", code_dir.display())?;
                if let Some(similar) = similar {
                    write!(f, "; did you mean {similar:?}?")?;
                }
                f.write_str("; name one that is there, by its path in the code folder")
            }
            RequirementsError::Unreadable { path, error } => write!(
                f,
                "cannot read the requirements file {}: {error}; make it readable for the container's user",
                path.display()
            ),
        }
    }
}

impl std::error::Error for RequirementsError {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Plan, RequirementsError, variables};
    use crate::code::EntryPoint;

    fn code(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn plan(
        folder: &Path,
        entry: &str,
        install: Option<bool>,
        file: Option<&str>,
    ) -> Result<(String, Option<String>), RequirementsError> {
        let entry = EntryPoint::find(folder, entry).unwrap();
        let plan = Plan::make(folder, &entry, install, file)?;
        let command = plan.command(Path::new("/py")).map(|argv| argv.join(" ".as_ref()).into_string().unwrap());
        Ok((plan.to_string().replace(folder.to_str().unwrap(), "CODE"), command))
    }

    #[test]
    fn what_is_installed_depends_on_the_file_the_entry_point_and_the_setting() {
        let plain =
            [("train.py", ""), ("train.sh", ""), ("run", ""), ("requirements.txt", "numpy\n"), ("more.txt", "x")];
        let folder = code(&plain);
        let usual = Some("/py -m pip install -r requirements.txt");
        let left = "requirements.txt is not installed: ";
        for (entry, install, file, text, command) in [
            ("train.py", None, None, "installing requirements.txt, found in CODE", usual),
            ("train.py", Some(true), Some(" "), "installing requirements.txt, found in CODE", usual),
            ("train.py", Some(false), None, "requirements.txt is not installed: switched off", None),
            (
                "train.py",
                None,
                Some("more.txt"),
                "installing more.txt, found in CODE",
                Some("/py -m pip install -r more.txt"),
            ),
            ("train.sh", None, None, left, None),
            ("run", None, None, left, None),
            ("train.sh", Some(true), None, "installing requirements.txt, found in CODE", usual),
            ("train.sh", None, Some("more.txt"), "installing more.txt", Some("/py -m pip install -r more.txt")),
        ] {
            let (found, argv) = plan(folder.path(), entry, install, file).unwrap();
            assert!(found.starts_with(text), "{entry}: {found}");
            assert_eq!(argv.as_deref(), command, "{entry} {install:?} {file:?}");
        }
    }

    #[test]
    fn a_package_is_installed_with_its_requirements() {
        let folder = code(&[("setup.py", ""), ("train.py", "")]);
        let (text, argv) = plan(folder.path(), "train.py", None, None).unwrap();
        assert_eq!((&*text, argv.as_deref()), ("installing the package in CODE", Some("/py -m pip install .")));
        fs::write(folder.path().join("requirements.txt"), "x").unwrap();
        let (text, argv) = plan(folder.path(), "train.py", None, None).unwrap();
        assert_eq!(text, "installing the package in CODE and its requirements.txt");
        assert_eq!(argv.as_deref(), Some("/py -m pip install . -r requirements.txt"));
        fs::write(folder.path().join("requirements.txt"), "# none").unwrap();
        assert_eq!(plan(folder.path(), "train.py", None, None).unwrap().1.as_deref(), Some("/py -m pip install ."));
        assert_eq!(plan(folder.path(), "train.py", Some(false), None).unwrap().1, None);
    }

    #[test]
    fn a_file_without_requirements_starts_no_pip() {
        let folder = code(&[("train.py", "")]);
        let write = |bytes: &[u8]| fs::write(folder.path().join("requirements.txt"), bytes).unwrap();
        for empty in [&b""[..], b"\n \r\n\t", b"# numpy\r\n  # torch", b"\xef\xbb\xbf# numpy\n"] {
            write(empty);
            let expected = "no requirements are installed: requirements.txt holds none".to_owned();
            assert_eq!(plan(folder.path(), "train.py", None, None).unwrap(), (expected, None), "{empty:?}");
        }
        for full in [&b"# x\rnumpy"[..], b"-r other.txt", b"\xff\xfen\0u\0m\0p\0y\0", b"\xef\xbb\xbfnumpy"] {
            write(full);
            assert!(plan(folder.path(), "train.py", None, None).unwrap().1.is_some(), "{full:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_said_and_one_that_comes_near_is_named() {
        let folder = code(&[("train.py", "")]);
        let (text, _) = plan(folder.path(), "train.py", None, None).unwrap();
        assert_eq!(text, "no requirements are installed: no requirements.txt in CODE");
        fs::write(folder.path().join("Requirement.txt"), "x").unwrap();
        let (text, command) = plan(folder.path(), "train.py", Some(true), None).unwrap();
        let expected = "no requirements are installed: no requirements.txt in CODE (there is Requirement.txt; rename it \
                        if it is meant)";
        assert_eq!((&*text, command), (expected, None));
        let error = plan(folder.path(), "train.py", None, Some("requirement.txt")).unwrap_err().to_string();
        assert!(
            error.contains("\"requirement.txt\" is not in ") && error.contains("did you mean \"Requirement.txt\"?")
        );
    }

    #[test]
    fn the_users_own_variables_are_left_alone() {
        let ours = variables(|name| name == "PIP_PROGRESS_BAR");
        assert!(ours.contains(&("PIP_NO_INPUT", "1")) && ours.contains(&("PIP_BREAK_SYSTEM_PACKAGES", "1")));
        assert!(!ours.iter().any(|(name, _)| *name == "PIP_PROGRESS_BAR"));
        assert_eq!(variables(|_| false).len(), 5);
    }
}
