//! Whether packages are installed, which, and with what command.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::prepare::code::{EntryKind, EntryPoint};
use crate::prepare::nearest::nearest;

/// The file that is looked for if no other is named.
const USUAL: &str = "requirements.txt";

/// Files that say the same in another form, looked for where there is no [`USUAL`] one; the first counts.
const OTHERS: [&str; 2] = ["uv.lock", "pyproject.toml"];

/// How a file says what is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As pip's requirements files.
    Requirements,
    /// As the dependencies in a pyproject.toml.
    Pyproject,
    /// As uv's lock file beside a pyproject.toml.
    Lock,
}

impl Format {
    /// The format of a file of this name.
    pub fn of(name: &str) -> Format {
        match Path::new(name).file_name().and_then(|name| name.to_str()) {
            Some("pyproject.toml") => Format::Pyproject,
            Some("uv.lock") => Format::Lock,
            _ => Format::Requirements,
        }
    }
}

/// What is installed before the script runs. Its text is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Something is.
    Install {
        /// The code folder.
        code_dir: PathBuf,
        /// The requirements file, relative to that.
        file: Option<String>,
        /// Whether the code itself is installed as a package.
        package: bool,
        /// Whether nobody asked for it: `sagemaker-training` would not have installed it, and a job that works there has to
        /// work where this fails.
        is_unasked: bool,
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
    /// and has to be there. Where there is no `requirements.txt`, a `uv.lock` or `pyproject.toml` is taken. Without an entry
    /// point the job is a command of the user's.
    ///
    /// # Errors
    ///
    /// [`RequirementsError`]: a file that was named is not there, or cannot be read.
    pub fn make(
        code_dir: &Path,
        entry: Option<&EntryPoint>,
        install: Option<bool>,
        file: Option<&str>,
    ) -> Result<Plan, RequirementsError> {
        let named = file.map(str::trim).filter(|name| !name.is_empty());
        let kind = entry.map(EntryPoint::kind);
        let package = kind == Some(EntryKind::PythonPackage);
        let is_there = |name: &&str| code_dir.join(name).is_file();
        let other = || OTHERS.into_iter().filter(|_| !package).find(is_there);
        let unnamed = || Some(USUAL).filter(is_there).or_else(other).unwrap_or(USUAL);
        let name = named.unwrap_or_else(unnamed);
        let path = code_dir.join(name);
        let exists = path.is_file();
        let present = || exists.then(|| name.to_owned());
        if install == Some(false) {
            let left = present().or_else(|| package.then(|| "the package in the code folder".to_owned()));
            return Ok(Plan::SwitchedOff { left });
        }
        if named.is_some() && !exists {
            let similar = similar(code_dir, name);
            return Err(RequirementsError::Missing { file: name.to_owned(), code_dir: code_dir.to_owned(), similar });
        }
        let is_unasked = named.is_none() && Format::of(name) != Format::Requirements;
        let whole = |file| Ok(Plan::Install { code_dir: code_dir.to_owned(), file, package, is_unasked });
        if !exists {
            return match package {
                true => whole(None),
                false => Ok(Plan::NotFound { code_dir: code_dir.to_owned(), similar: similar(code_dir, name) }),
            };
        }
        let is_program = matches!(kind, None | Some(EntryKind::ShellScript | EntryKind::Executable));
        if is_program && named.is_none() && install.is_none() {
            let script = entry.map_or("the job's command", EntryPoint::name);
            return Ok(Plan::LeftToScript { file: name.to_owned(), script: script.to_owned() });
        }
        if Format::of(name) != Format::Requirements {
            return whole(present());
        }
        let text = fs::read(&path)
            .map_err(|error| RequirementsError::Unreadable { path: path.clone(), error: error.to_string() })?;
        match (has_requirements(&text), package) {
            (true, _) => whole(present()),
            (false, true) => whole(None),
            (false, false) => Ok(Plan::Empty { file: name.to_owned() }),
        }
    }
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
            Plan::Install { code_dir, file: Some(file), package: false, .. } => {
                let of = if Format::of(file) == Format::Requirements { "" } else { "the dependencies of " };
                write!(f, "installing {of}{file}, found in {}", code_dir.display())
            }
            Plan::Install { code_dir, file: Some(file), package: true, .. } => {
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

    use super::{Plan, RequirementsError};
    use crate::prepare::code::EntryPoint;
    use crate::prepare::requirements::{Installer, Order, command};

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
        let plan = Plan::make(folder, Some(&entry), install, file)?;
        let command = match &plan {
            Plan::Install { file, package, .. } => {
                let order = Order { package: *package, file: file.as_ref().map(Into::into), ..Order::default() };
                let argv = command(Installer::Pip, Path::new("/py"), Path::new("/py"), &order);
                Some(argv.join(" ".as_ref()).into_string().unwrap())
            }
            _ => None,
        };
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
    fn other_forms_are_taken_where_there_is_no_requirements_file() {
        let folder = code(&[("train.py", ""), ("train.sh", ""), ("pyproject.toml", "")]);
        let is_unasked = |entry: &str, file: Option<&str>| {
            let entry = EntryPoint::find(folder.path(), entry).unwrap();
            match Plan::make(folder.path(), Some(&entry), None, file).unwrap() {
                Plan::Install { file, is_unasked, .. } => Some((file.unwrap(), is_unasked)),
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
        let command = Plan::make(folder.path(), None, Some(true), None).unwrap();
        assert!(matches!(command, Plan::Install { package: false, is_unasked: false, .. }), "{command:?}");
        assert!(matches!(Plan::make(folder.path(), None, None, None).unwrap(), Plan::LeftToScript { .. }));
    }
}
