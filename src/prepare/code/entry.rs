//! The entry point: which file of the code is run, and what it is.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::listing::{Listing, meant};

/// What an entry point is, which decides how it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A `.py` file: `python train.py`.
    PythonScript,
    /// A module of a package that is installed first: `python -m train`.
    PythonPackage,
    /// A folder with a `__main__.py`: `python folder`.
    PythonFolder,
    /// A `.sh` file: `./train.sh`.
    ShellScript,
    /// Any other file: `./train`.
    Executable,
}

/// The file of the code that is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    code_dir: PathBuf,
    name: String,
    kind: EntryKind,
}

/// Why there is no entry point. The text names what was asked for, what is there, and what to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// The name cannot be one.
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The name leads out of the code folder.
    Outside {
        /// The name.
        name: String,
        /// Where it leads.
        path: PathBuf,
        /// The code folder.
        code_dir: PathBuf,
    },
    /// There is no code folder, or nothing is in it.
    NoCode {
        /// The name.
        name: String,
        /// The code folder.
        code_dir: PathBuf,
        /// Whether the folder is there, then being empty.
        exists: bool,
    },
    /// There is no such file.
    NotFound {
        /// The name.
        name: String,
        /// The code folder.
        code_dir: PathBuf,
        /// What is in it, in words.
        holds: String,
        /// The file that may be meant.
        suggestion: Option<String>,
    },
    /// It is there, and cannot be run: a folder without `__main__.py`, a device.
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// The code folder cannot be read.
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
}

impl EntryPoint {
    /// Finds the file `name` in the code folder and says what it is.
    ///
    /// The kinds are those of `sagemaker-training` (its `_entry_point_type.py`): `.sh` comes before a package, a package
    /// (there is a `setup.py`) before a script. A `pyproject.toml` with a `[project]` or `[build-system]` table makes a
    /// package only if `name` is no file: a script beside such a file was always run as a script.
    ///
    /// # Errors
    ///
    /// Any [`EntryError`].
    pub fn find(code_dir: &Path, name: &str) -> Result<EntryPoint, EntryError> {
        let relative = checked(code_dir, name)?;
        let unreadable =
            |path: &Path, error: &io::Error| EntryError::Unreadable { path: path.to_owned(), error: error.to_string() };
        let no_code = |exists| EntryError::NoCode { name: name.to_owned(), code_dir: code_dir.to_owned(), exists };
        let real_dir = match code_dir.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_code(false)),
            Err(error) => return Err(unreadable(code_dir, &error)),
        };
        let listing = Listing::of(&real_dir).map_err(|error| unreadable(code_dir, &error))?;
        if listing.names.is_empty() {
            return Err(no_code(true));
        }
        let path = real_dir.join(&relative);
        let found = path.metadata();
        let found_kind = found.as_ref().ok().map(fs::Metadata::file_type);
        let entry = |kind| Ok(EntryPoint { code_dir: code_dir.to_owned(), name: relative.clone(), kind });
        if let Ok(real) = path.canonicalize()
            && !real.starts_with(&real_dir)
        {
            return Err(EntryError::Outside { name: name.to_owned(), path: real, code_dir: code_dir.to_owned() });
        }
        let shell = relative.ends_with(".sh");
        let package = real_dir.join("setup.py").exists() || (found_kind.is_none() && is_project(&real_dir));
        if package && !shell {
            return entry(EntryKind::PythonPackage);
        }
        match found_kind {
            Some(kind) if kind.is_file() && shell => entry(EntryKind::ShellScript),
            Some(kind) if kind.is_file() && relative.ends_with(".py") => entry(EntryKind::PythonScript),
            Some(kind) if kind.is_file() => entry(EntryKind::Executable),
            Some(kind) if kind.is_dir() && path.join("__main__.py").is_file() => entry(EntryKind::PythonFolder),
            Some(kind) if kind.is_dir() => Err(EntryError::NotAFile { path, found: "a folder without a __main__.py" }),
            Some(_) => Err(EntryError::NotAFile { path, found: "neither a file nor a folder" }),
            None => {
                let error = found.expect_err("no kind was found");
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                    return Err(unreadable(&path, &error));
                }
                Err(EntryError::NotFound {
                    name: name.to_owned(),
                    code_dir: code_dir.to_owned(),
                    holds: listing.to_string(),
                    suggestion: meant(&real_dir, &relative),
                })
            }
        }
    }

    /// What it is.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Its path relative to the code folder, in which it is started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its whole path. Of a package, there may be nothing at it: the module may come from elsewhere.
    pub fn path(&self) -> PathBuf {
        self.code_dir.join(&self.name)
    }

    /// The name of its module, for `python -m`: without `.py`, and with dots for slashes.
    pub fn module(&self) -> String {
        self.name.strip_suffix(".py").unwrap_or(&self.name).replace('/', ".")
    }

    /// Makes a shell script or another program executable for all who can read it, and says whether it is so now.
    ///
    /// That it cannot be made so (a read-only file system, another owner) is no error: the caller runs it with `/bin/sh`
    /// then. Python's scripts need not be executable and are left as they are.
    pub fn prepare(&self) -> bool {
        let path = self.path();
        if matches!(self.kind, EntryKind::ShellScript | EntryKind::Executable)
            && let Ok(found) = path.metadata()
        {
            let mode = found.permissions().mode();
            // Whoever may read it may run it; nobody gets more than that.
            let wanted = mode | (mode & 0o444) >> 2;
            if wanted != mode
                && let Err(error) = fs::set_permissions(&path, Permissions::from_mode(wanted))
            {
                tracing::debug!("cannot make {} executable: {error}", path.display());
            }
        }
        access(&path, AccessFlags::X_OK).is_ok()
    }
}

/// The name relative to the code folder, if it can be a name at all.
fn checked(code_dir: &Path, name: &str) -> Result<String, EntryError> {
    let wrong = |problem| Err(EntryError::Name { name: name.to_owned(), problem });
    if name.trim().is_empty() {
        return wrong("it is empty");
    }
    if name.contains('\0') {
        return wrong("it holds a NUL byte");
    }
    if name.starts_with('-') {
        return wrong("it begins with a dash, which Python and the shell take for an option");
    }
    let mut path = Path::new(name);
    if path.is_absolute() {
        let below = path.strip_prefix(code_dir).ok();
        let real = code_dir.canonicalize().ok();
        match below.or_else(|| path.strip_prefix(real?).ok()) {
            Some(below) => path = below,
            None => {
                let (name, path, code_dir) = (name.to_owned(), path.to_owned(), code_dir.to_owned());
                return Err(EntryError::Outside { name, path, code_dir });
            }
        }
    }
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            _ => return wrong("it holds `..`"),
        }
    }
    match parts.first() {
        None => wrong("it is the code folder itself"),
        Some(first) if first.starts_with('-') => wrong("it begins with a dash, which is taken for an option"),
        Some(_) => Ok(parts.join("/")),
    }
}

/// Whether a folder is a Python project by its `pyproject.toml`: with these tables, pip can install it. Many have that
/// file for the settings of their tools alone.
fn is_project(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("pyproject.toml")).unwrap_or_default();
    let table = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let inner = line.trim().strip_prefix('[')?.strip_suffix(']')?;
        Some(matches!(inner.trim(), "project" | "build-system"))
    };
    text.lines().any(|line| table(line).unwrap_or(false))
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SET: &str = "set SAGEMAKER_PROGRAM (the estimator's entry_point, the hyperparameter sagemaker_program)";
        match self {
            EntryError::Name { name, problem } => write!(
                f,
                "the entry point {name:?} cannot be used: {problem}; {SET} to a path in the code folder, such as train.py"
            ),
            EntryError::Outside { name, path, code_dir } => write!(
                f,
                "the entry point {name:?} leads to {}, outside the code folder {}; put the file into the code folder \
                 and {SET} to its path there",
                path.display(),
                code_dir.display()
            ),
            EntryError::NoCode { name, code_dir, exists } => {
                let what = if *exists { "is empty" } else { "does not exist" };
                write!(
                    f,
                    "the entry point {name:?} cannot be run: the code folder {} {what}; COPY the code into it in the \
                     Dockerfile, or give the estimator a source_dir, or set SAGEMAKER_SUBMIT_DIRECTORY to the folder or \
                     archive that holds the code",
                    code_dir.display()
                )
            }
            EntryError::NotFound { name, code_dir, holds, suggestion } => {
                write!(f, "the entry point {name:?} is not in {}, which holds {holds}; ", code_dir.display())?;
                match suggestion {
                    Some(file) => write!(f, "did you mean {file:?}? if so, {SET} to it"),
                    None => write!(f, "{SET} to one of these files"),
                }
            }
            EntryError::NotAFile { path, found } => write!(
                f,
                "the entry point {} cannot be run: it is {found}; {SET} to a file, or to a folder with a __main__.py",
                path.display()
            ),
            EntryError::Unreadable { path, error } => {
                write!(f, "cannot read {}: {error}; make the code readable for the container's user", path.display())
            }
        }
    }
}

impl std::error::Error for EntryError {}

#[cfg(test)]
mod tests;
