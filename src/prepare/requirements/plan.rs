//! The decision which requirements file is installed before the script starts, and whether the code itself is
//! installed as a package.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::prepare::code::{EntryKind, EntryPoint};
use crate::prepare::nearest::nearest;
use crate::system::files;

/// The requirements file if the job names no other.
const DEFAULT_FILE: &str = "requirements.txt";

/// The files that are used if there is no [`DEFAULT_FILE`]; the first that exists counts.
const ALTERNATIVES: [&str; 2] = ["uv.lock", "pyproject.toml"];

/// The format of a file that lists requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A requirements file of pip.
    Requirements,
    /// A pyproject.toml, for the dependencies in it.
    Pyproject,
    /// The lock file of uv, beside a pyproject.toml.
    Lock,
}

impl Format {
    /// Returns the format of a file with this name.
    pub fn of_name(name: &str) -> Format {
        match Path::new(name).file_name().and_then(|name| name.to_str()) {
            Some("pyproject.toml") => Format::Pyproject,
            Some("uv.lock") => Format::Lock,
            _ => Format::Requirements,
        }
    }
}

/// The packages to install before the script starts. Its text is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallPlan {
    /// Packages are installed.
    Install {
        /// The code folder.
        code_dir: PathBuf,
        /// The requirements file, relative to the code folder.
        file: Option<String>,
        /// True if the code itself is installed as a package.
        package: bool,
        /// True if the job did not request it, because sagemaker-training ignores such a file. A failure to install
        /// it must not fail a job that works with sagemaker-training.
        is_unasked: bool,
    },
    /// The setting forbids installing anything.
    SwitchedOff {
        /// The file or package that would have been installed.
        left: Option<String>,
    },
    /// There is no requirements file.
    NotFound {
        /// The code folder.
        code_dir: PathBuf,
        /// A file in it with a similar name.
        similar: Option<String>,
    },
    /// The requirements file lists no requirement.
    Empty {
        /// The requirements file.
        file: String,
    },
    /// There is a requirements file, but the entry point is not a Python script, and must install its requirements
    /// itself.
    LeftToScript {
        /// The requirements file.
        file: String,
        /// The entry point.
        script: String,
    },
}

/// The reason why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum RequirementsError {
    /// The file that the job names does not exist.
    #[error(
        "the requirements file {file:?} is not in {code_dir}{hint}; name one that is there, by its path in the code \
         folder",
        code_dir = .code_dir.display(),
        hint = suggestion(.similar.as_deref())
    )]
    Missing {
        /// The name of the file.
        file: String,
        /// The code folder.
        code_dir: PathBuf,
        /// A file in it with a similar name.
        similar: Option<String>,
    },
    /// The file cannot be read.
    #[error(
        "cannot read the requirements file {path}: {error}; make it readable for the container's user",
        path = .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

/// Returns the question after a name that is not found.
fn suggestion(similar: Option<&str>) -> String {
    similar.map(|similar| format!("; did you mean {similar:?}?")).unwrap_or_default()
}

impl InstallPlan {
    /// Decides what is installed for the code in `code_dir`. `entry` is `None` if the job is a command of the user.
    ///
    /// `install` is the setting, `None` if the job does not set it:
    ///
    /// - `None` behaves like `sagemaker-training` (its `entry_point.py`): a package is installed, and so is the
    ///   `requirements.txt` of a Python script. Shell scripts and other programs install their requirements themselves.
    /// - `Some(true)` installs for all entry points.
    /// - `Some(false)` installs nothing.
    ///
    /// `file` is the name of another file than `requirements.txt`, relative to `code_dir`. A file that the job names
    /// is installed for any entry point and must exist. If no file is named and there is no `requirements.txt`, the
    /// plan uses a `uv.lock` or `pyproject.toml`.
    ///
    /// # Errors
    ///
    /// The named file does not exist, or the requirements file cannot be read.
    pub fn make(
        code_dir: &Path,
        entry: Option<&EntryPoint>,
        install: Option<bool>,
        file: Option<&str>,
    ) -> Result<InstallPlan, RequirementsError> {
        let named = file.map(str::trim).filter(|name| !name.is_empty());
        let kind = entry.map(EntryPoint::kind);
        let package = kind == Some(EntryKind::PythonPackage);
        let is_file = |name: &&str| code_dir.join(name).is_file();
        let alternative = || ALTERNATIVES.into_iter().filter(|_| !package).find(is_file);
        let unnamed = || Some(DEFAULT_FILE).filter(is_file).or_else(alternative).unwrap_or(DEFAULT_FILE);
        let name = named.unwrap_or_else(unnamed);
        let path = code_dir.join(name);
        // The reader reports a FIFO or a device as a separate error.
        let exists = path.exists() && !path.is_dir();
        let existing = || exists.then(|| name.to_owned());
        if install == Some(false) {
            let left = existing().or_else(|| package.then(|| "the package in the code folder".to_owned()));
            return Ok(InstallPlan::SwitchedOff { left });
        }
        if named.is_some() && !exists {
            let similar = similar(code_dir, name);
            return Err(RequirementsError::Missing { file: name.to_owned(), code_dir: code_dir.to_owned(), similar });
        }
        let is_unasked = named.is_none() && Format::of_name(name) != Format::Requirements;
        let install_all = |file| Ok(InstallPlan::Install { code_dir: code_dir.to_owned(), file, package, is_unasked });
        if !exists {
            return if package {
                install_all(None)
            } else {
                Ok(InstallPlan::NotFound { code_dir: code_dir.to_owned(), similar: similar(code_dir, name) })
            };
        }
        let is_program = matches!(kind, None | Some(EntryKind::ShellScript | EntryKind::Executable));
        if is_program && named.is_none() && install.is_none() {
            let script = entry.map_or("the job's command", EntryPoint::name);
            return Ok(InstallPlan::LeftToScript { file: name.to_owned(), script: script.to_owned() });
        }
        if Format::of_name(name) != Format::Requirements {
            return install_all(existing());
        }
        let text = match files::read(&path, files::TEXT_SIZE) {
            Ok(text) => text,
            Err(error) => return Err(RequirementsError::Unreadable { path, error }),
        };
        match (has_requirements(&text), package) {
            (true, _) => install_all(existing()),
            (false, true) => install_all(None),
            (false, false) => Ok(InstallPlan::Empty { file: name.to_owned() }),
        }
    }
}

/// Returns true if a requirements file holds more than comments and empty lines. A line with only an option counts,
/// because it can require packages.
fn has_requirements(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    lines.any(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// Returns the file in the folder whose name is most similar to `name`, if one is similar.
fn similar(code_dir: &Path, name: &str) -> Option<String> {
    let entries = fs::read_dir(code_dir).ok()?;
    let mut names: Vec<String> =
        entries.take(10_000).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

impl fmt::Display for InstallPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallPlan::Install { code_dir, file: Some(file), package: false, .. } => {
                let part = if Format::of_name(file) == Format::Requirements { "" } else { "the dependencies of " };
                write!(f, "installing {part}{file}, found in {}", code_dir.display())
            }
            InstallPlan::Install { code_dir, file: Some(file), package: true, .. } => {
                write!(f, "installing the package in {} and its {file}", code_dir.display())
            }
            InstallPlan::Install { code_dir, file: None, .. } => {
                write!(f, "installing the package in {}", code_dir.display())
            }
            InstallPlan::SwitchedOff { left: None } => f.write_str("no requirements are installed: switched off"),
            InstallPlan::SwitchedOff { left: Some(left) } => write!(f, "{left} is not installed: switched off"),
            InstallPlan::NotFound { code_dir, similar } => {
                write!(f, "no requirements are installed: no {DEFAULT_FILE} in {}", code_dir.display())?;
                match similar {
                    Some(similar) => write!(f, " (there is {similar}; rename it if it is meant)"),
                    None => Ok(()),
                }
            }
            InstallPlan::Empty { file } => write!(f, "no requirements are installed: {file} holds none"),
            InstallPlan::LeftToScript { file, script } => {
                write!(f, "{file} is not installed: {script} is not a Python script, and installs what it needs itself")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{InstallPlan, RequirementsError};
    use crate::prepare::code::EntryPoint;
    use crate::prepare::requirements::{InstallRequest, InstallerKind, install_command};

    fn code(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// Returns the plan as text, with `CODE` for the folder, and pip's command if something is installed.
    fn plan(
        folder: &Path,
        entry: &str,
        install: Option<bool>,
        file: Option<&str>,
    ) -> Result<(String, Option<String>), RequirementsError> {
        let entry = EntryPoint::find(folder, entry).unwrap();
        let plan = InstallPlan::make(folder, Some(&entry), install, file)?;
        let command = match &plan {
            InstallPlan::Install { file, package, .. } => {
                let file = file.as_ref().map(Into::into);
                let request = InstallRequest { package: *package, file, ..InstallRequest::default() };
                let argv = install_command(InstallerKind::Pip, Path::new("/py"), Path::new("/py"), &request);
                Some(argv.join(" ".as_ref()).into_string().unwrap())
            }
            _ => None,
        };
        Ok((plan.to_string().replace(folder.to_str().unwrap(), "CODE"), command))
    }

    #[test]
    fn the_file_the_entry_point_and_the_setting_decide_what_is_installed() {
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
    fn a_file_without_requirements_starts_no_installer() {
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
    fn a_missing_file_is_reported_with_a_similar_name() {
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
    fn other_formats_are_used_if_there_is_no_requirements_file() {
        let folder = code(&[("train.py", ""), ("train.sh", ""), ("pyproject.toml", "")]);
        let is_unasked = |entry: &str, file: Option<&str>| {
            let entry = EntryPoint::find(folder.path(), entry).unwrap();
            match InstallPlan::make(folder.path(), Some(&entry), None, file).unwrap() {
                InstallPlan::Install { file, is_unasked, .. } => Some((file.unwrap(), is_unasked)),
                _ => None,
            }
        };
        assert_eq!(is_unasked("train.py", None), Some(("pyproject.toml".to_owned(), true)));
        assert_eq!(is_unasked("train.sh", None), None);
        assert_eq!(is_unasked("train.sh", Some("pyproject.toml")), Some(("pyproject.toml".to_owned(), false)));
        fs::write(folder.path().join("uv.lock"), "").unwrap();
        assert_eq!(is_unasked("train.py", None), Some(("uv.lock".to_owned(), true)));
        fs::write(folder.path().join("requirements.txt"), "x").unwrap();
        assert_eq!(is_unasked("train.py", None), Some(("requirements.txt".to_owned(), false)));
        let command = InstallPlan::make(folder.path(), None, Some(true), None).unwrap();
        assert!(matches!(command, InstallPlan::Install { package: false, is_unasked: false, .. }), "{command:?}");
        assert!(matches!(
            InstallPlan::make(folder.path(), None, None, None).unwrap(),
            InstallPlan::LeftToScript { .. }
        ));
    }
}
