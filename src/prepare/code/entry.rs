//! The entry point: the file of the code that runs, and its kind.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use thiserror::Error;

use super::listing::{Listing, meant};
use crate::system::files;

/// The kind of an entry point, which decides how it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A `.py` file: `python train.py`.
    PythonScript,
    /// A module of a package that is installed first: `python -m train`.
    PythonPackage,
    /// A module of the code or of the image, which the job names as `-m package.train`: `python -m package.train`.
    PythonModule,
    /// A folder with a `__main__.py`: `python folder`.
    PythonFolder,
    /// A `.sh` file: `./train.sh`.
    ShellScript,
    /// Any other file: `./train`.
    Executable,
}

/// The file of the code that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    code_dir: PathBuf,
    name: String,
    kind: EntryKind,
}

/// The remedy for a wrong entry point: the settings that contain its name, and the places where users know them from.
const SET: &str = "set SAGEMAKER_PROGRAM (the estimator's entry_point, the hyperparameter sagemaker_program)";

/// A reason why there is no entry point. Its text states the requested name, the files that exist, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// The name cannot be an entry point.
    #[error("the entry point {name:?} cannot be used: {problem}; {SET} to a path in the code folder, such as train.py")]
    Name {
        /// The name.
        name: String,
        /// The problem with it.
        problem: &'static str,
    },
    /// The name leads out of the code folder.
    #[error(
        "the entry point {name:?} leads to {path}, outside the code folder {code_dir}; put the file into the code folder \
         and {SET} to its path there"
    )]
    Outside {
        /// The name.
        name: String,
        /// The path that it leads to.
        path: PathBuf,
        /// The code folder.
        code_dir: PathBuf,
    },
    /// The code folder does not exist or is empty.
    #[error(
        "the entry point {name:?} cannot be run: the code folder {code_dir} {}; {}",
        if *.exists { "is empty" } else { "does not exist" },
        in_working_dir(.working_dir).unwrap_or_else(|| {
            "COPY the code into it in the Dockerfile, or give the estimator a source_dir, or set \
             SAGEMAKER_SUBMIT_DIRECTORY to the folder or archive that holds the code"
                .to_owned()
        })
    )]
    NoCode {
        /// The name.
        name: String,
        /// The code folder.
        code_dir: PathBuf,
        /// True if the folder exists and is empty.
        exists: bool,
        /// The image's working directory, if the file is there.
        working_dir: Option<PathBuf>,
    },
    /// The file does not exist.
    #[error(
        "the entry point {name:?} is not in {code_dir}, which holds {holds}; {}",
        in_working_dir(.working_dir).unwrap_or_else(|| remedy(.suggestion))
    )]
    NotFound {
        /// The name.
        name: String,
        /// The code folder.
        code_dir: PathBuf,
        /// The content of the code folder, in words.
        holds: String,
        /// The file that the name may stand for.
        suggestion: Option<String>,
        /// The image's working directory, if the file is there.
        working_dir: Option<PathBuf>,
    },
    /// The name exists and cannot be run: a folder without `__main__.py`, or a device.
    #[error("the entry point {path} cannot be run: it is {found}; {SET} to a file, or to a folder with a __main__.py")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// A description of what the path is.
        found: &'static str,
    },
    /// The file is not a program, and no interpreter runs such a file.
    #[error("cannot execute {path}: it is {found}; {remedy}")]
    NotAProgram {
        /// The path.
        path: PathBuf,
        /// A description of the file.
        found: &'static str,
        /// The remedy.
        remedy: &'static str,
    },
    /// The image does not have the interpreter of a script.
    #[error("cannot execute {path}: {found}; {remedy}")]
    NoInterpreter {
        /// The path.
        path: PathBuf,
        /// A description of the script and the interpreter.
        found: String,
        /// The remedy.
        remedy: String,
    },
    /// A shell script was saved on Windows.
    #[error(
        "cannot execute {path}: its lines end as on Windows (CRLF), so the interpreter after #! is not found: save it \
         with Unix line ends"
    )]
    WindowsLineEnds {
        /// The path.
        path: PathBuf,
    },
    /// The code folder cannot be read.
    #[error("cannot read {path}: {error}; make the code readable for the container's user")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        error: String,
    },
}

fn remedy(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(file) => format!("did you mean {file:?}? if so, {SET} to it"),
        None => format!("{SET} to one of these files"),
    }
}

/// Returns the remedy for a file that is in the image's working directory and not in the code folder.
fn in_working_dir(folder: &Option<PathBuf>) -> Option<String> {
    let folder = folder.as_ref()?.display();
    Some(format!(
        "it is in the image's working directory, {folder}: set SAGEMAKER_SUBMIT_DIRECTORY={folder} in the image, or COPY the \
         code into the code folder"
    ))
}

impl EntryError {
    /// Adds the image's working directory to an error about a file that is not in the code folder, if the file is there.
    #[must_use]
    pub fn with_working_dir(mut self, folder: &Path) -> EntryError {
        if let EntryError::NotFound { name, code_dir, working_dir, .. }
        | EntryError::NoCode { name, code_dir, working_dir, .. } = &mut self
            && folder != code_dir
            && folder.join(&*name).is_file()
        {
            *working_dir = Some(folder.to_owned());
        }
        self
    }
}

impl EntryPoint {
    /// Finds the file `name` in the code folder and determines its kind.
    ///
    /// The kinds are those of `sagemaker-training` (its `_entry_point_type.py`): a name that ends with `.sh` is a
    /// shell script; any other name is a package if there is a `setup.py`, and a file otherwise. A `pyproject.toml`
    /// with a `[project]` or `[build-system]` table makes a package only if the file `name` does not exist, because
    /// `sagemaker-training` runs a script next to such a file as a script.
    ///
    /// In addition, `-m package.train` names a module, which Python itself finds.
    ///
    /// # Errors
    ///
    /// Any [`EntryError`].
    pub fn find(code_dir: &Path, name: &str) -> Result<EntryPoint, EntryError> {
        if let Some(module) = module_of(name) {
            return EntryPoint::of_module(code_dir, name, module);
        }
        let relative = relative_name(code_dir, name)?;
        let unreadable =
            |path: &Path, error: &io::Error| EntryError::Unreadable { path: path.to_owned(), error: error.to_string() };
        let no_code = |exists| EntryError::NoCode {
            name: name.to_owned(),
            code_dir: code_dir.to_owned(),
            exists,
            working_dir: None,
        };
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
        let found = path.metadata().map(|found| found.file_type());
        let entry = |kind| Ok(EntryPoint { code_dir: code_dir.to_owned(), name: relative.clone(), kind });
        if let Ok(real) = path.canonicalize()
            && !real.starts_with(&real_dir)
        {
            return Err(EntryError::Outside { name: name.to_owned(), path: real, code_dir: code_dir.to_owned() });
        }
        let shell = relative.ends_with(".sh");
        let package = real_dir.join("setup.py").exists() || (found.is_err() && is_project(&real_dir));
        if package && !shell {
            return entry(EntryKind::PythonPackage);
        }
        match found {
            Ok(kind) if kind.is_file() && shell => entry(EntryKind::ShellScript),
            Ok(kind) if kind.is_file() && relative.ends_with(".py") => entry(EntryKind::PythonScript),
            Ok(kind) if kind.is_file() => entry(EntryKind::Executable),
            Ok(kind) if kind.is_dir() && path.join("__main__.py").is_file() => entry(EntryKind::PythonFolder),
            Ok(kind) if kind.is_dir() => Err(EntryError::NotAFile { path, found: "a folder without a __main__.py" }),
            Ok(_) => Err(EntryError::NotAFile { path, found: "neither a file nor a folder" }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(EntryError::NotFound {
                    name: name.to_owned(),
                    code_dir: code_dir.to_owned(),
                    holds: listing.to_string(),
                    suggestion: meant(&real_dir, &relative),
                    working_dir: None,
                })
            }
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Finds the script that the command of a processing job names: a path that starts from the working directory,
    /// else from the folder of the supplied code. A package is not installed, because the processors of the SDK do
    /// not install packages either.
    ///
    /// # Errors
    ///
    /// Any [`EntryError`].
    pub fn of_command(working_dir: &Path, code_dir: &Path, name: &str) -> Result<EntryPoint, EntryError> {
        let entry = |name: String, kind| Ok(EntryPoint { code_dir: working_dir.to_owned(), name, kind });
        let wrong = |problem| Err(EntryError::Name { name: name.to_owned(), problem });
        if let Some(module) = module_of(name) {
            return entry(EntryPoint::of_module(code_dir, name, module)?.name, EntryKind::PythonModule);
        }
        if name.trim().is_empty() {
            return wrong("it is empty");
        }
        if name.starts_with('-') {
            return wrong("it begins with a dash, which Python and the shell take for an option");
        }
        let path = Some(working_dir.join(name)).filter(|path| path.exists()).unwrap_or_else(|| code_dir.join(name));
        let found = match path.metadata() {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                let folder = path.parent().filter(|folder| folder.is_dir()).unwrap_or(code_dir);
                let holds = Listing::of(folder).map_or_else(|_| "nothing".to_owned(), |listing| listing.to_string());
                return Err(EntryError::NotFound {
                    name: name.to_owned(),
                    code_dir: folder.to_owned(),
                    holds,
                    suggestion: meant(folder, &path.file_name().unwrap_or_default().to_string_lossy()),
                    working_dir: None,
                });
            }
            Err(error) => return Err(EntryError::Unreadable { path, error: error.to_string() }),
        };
        let name = if path.starts_with(working_dir) && !Path::new(name).is_absolute() {
            name.to_owned()
        } else {
            path.to_string_lossy().into_owned()
        };
        if found.is_dir() {
            return if path.join("__main__.py").is_file() {
                entry(name, EntryKind::PythonFolder)
            } else {
                Err(EntryError::NotAFile { path, found: "a folder without a __main__.py" })
            };
        }
        if !found.is_file() {
            return Err(EntryError::NotAFile { path, found: "neither a file nor a folder" });
        }
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("py") => EntryKind::PythonScript,
            Some("sh") => EntryKind::ShellScript,
            _ => EntryKind::Executable,
        };
        entry(name, kind)
    }

    /// Returns the entry point for `-m module`. With a `setup.py`, the package is installed first.
    fn of_module(code_dir: &Path, name: &str, module: &str) -> Result<EntryPoint, EntryError> {
        let is_word = |word: &str| {
            let mut letters = word.chars();
            letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
                && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        };
        if !module.split('.').all(is_word) {
            let problem = "`-m` is followed by the name of a module, such as `-m package.train`, and by nothing else";
            return Err(EntryError::Name { name: name.to_owned(), problem });
        }
        let is_package = code_dir.join("setup.py").exists();
        let kind = if is_package { EntryKind::PythonPackage } else { EntryKind::PythonModule };
        Ok(EntryPoint { code_dir: code_dir.to_owned(), name: module.to_owned(), kind })
    }

    /// Returns the kind of the entry point.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Returns the name: a path relative to the working directory of the script, or an absolute path in a processing
    /// job. For a module, returns the module's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole path. For a package, nothing may exist at this path, because the module may be installed
    /// elsewhere.
    pub fn path(&self) -> PathBuf {
        self.code_dir.join(&self.name)
    }

    /// Returns the name of the module for `python -m`: without `.py`, and with dots in place of slashes.
    pub fn module(&self) -> String {
        if self.kind == EntryKind::PythonModule {
            return self.name.clone();
        }
        self.name.strip_suffix(".py").unwrap_or(&self.name).replace('/', ".")
    }

    /// Makes a shell script or a program executable for everyone who may read it. Returns true if this process may execute
    /// the file.
    ///
    /// A file that cannot be changed (a read-only file system, another owner) is not an error: the caller runs it with
    /// `/bin/sh`. Python scripts are not changed, because they need not be executable.
    pub fn make_executable(&self) -> bool {
        let path = self.path();
        if matches!(self.kind, EntryKind::ShellScript | EntryKind::Executable)
            && let Ok(found) = path.metadata()
        {
            let mode = found.permissions().mode();
            let wanted = mode | (mode & 0o444) >> 2; // each read bit adds the execute bit of the same user, group or others
            if wanted != mode
                && let Err(error) = fs::set_permissions(&path, Permissions::from_mode(wanted))
            {
                tracing::debug!("cannot make {} executable: {error}", path.display());
            }
        }
        access(&path, AccessFlags::X_OK).is_ok()
    }
}

/// Returns the module of an entry point of the form `-m module`; `None` for any other.
pub fn module_of(name: &str) -> Option<&str> {
    let rest = name.trim().strip_prefix("-m")?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim())
}

/// Returns the name relative to the code folder, without `.` components.
///
/// # Errors
///
/// [`EntryError::Name`] and [`EntryError::Outside`].
fn relative_name(code_dir: &Path, name: &str) -> Result<String, EntryError> {
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

/// Returns true if pip can install a folder as a project: its `pyproject.toml` has one of two tables. Many folders have
/// that file only for the settings of tools.
fn is_project(folder: &Path) -> bool {
    let text = files::text(&folder.join("pyproject.toml"), files::TEXT_SIZE).unwrap_or_default();
    let table = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let inner = line.trim().strip_prefix('[')?.strip_suffix(']')?;
        Some(matches!(inner.trim(), "project" | "build-system"))
    };
    text.lines().any(|line| table(line).unwrap_or(false))
}

#[cfg(test)]
mod tests;
