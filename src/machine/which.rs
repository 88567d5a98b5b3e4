//! Searching for programs without starting them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// The value that replaces an unset PATH: the default of Linux's C libraries and of Docker.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The result of a search for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The path of the program.
    Found(PathBuf),
    /// The first file of that name, if this user may execute none of them.
    NotExecutable(PathBuf),
    /// No file has that name.
    Missing,
}

impl Lookup {
    /// Returns the path of the program, if it was found.
    pub fn found(self) -> Option<PathBuf> {
        match self {
            Lookup::Found(path) => Some(path),
            Lookup::NotExecutable(_) | Lookup::Missing => None,
        }
    }
}

/// Searches for a program. A name with a slash is a path. Any other name is looked up in the folders of `path`, which
/// is the value of PATH. If `path` is not set or empty, [`DEFAULT_PATH`] is used.
///
/// Empty and relative folders of PATH are left out, because their meaning depends on the working directory.
pub fn which(name: &str, path: Option<&OsStr>) -> Lookup {
    let candidates = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else if name.is_empty() {
        return Lookup::Missing;
    } else {
        folders(path).map(|folder| folder.join(name)).collect()
    };
    let mut not_executable = None;
    for candidate in candidates {
        // This takes one system call per folder without the program, which matters because a start searches many
        // folders.
        match access(&candidate, AccessFlags::X_OK) {
            Ok(()) if candidate.is_file() => return Lookup::Found(candidate),
            Err(Errno::EACCES) if not_executable.is_none() && candidate.is_file() => not_executable = Some(candidate),
            Ok(()) | Err(_) => {}
        }
    }
    not_executable.map_or(Lookup::Missing, Lookup::NotExecutable)
}

fn folders(path: Option<&OsStr>) -> impl Iterator<Item = PathBuf> {
    let path = path.filter(|path| !path.is_empty()).unwrap_or(OsStr::new(DEFAULT_PATH));
    std::env::split_paths(path).filter(|folder| folder.is_absolute())
}

/// Returns true if `path` is a regular file that this user may execute. The kernel decides (`access` with `X_OK`),
/// because the mode alone is not enough for files of other users and for file systems that are mounted without
/// execution.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::{Lookup, which};

    /// Creates an empty file with these permissions, and the folders that contain it.
    pub(crate) fn program(path: PathBuf, mode: u32) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_program_is_told_from_a_file_that_cannot_be_executed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let plain = program(at("a/x"), 0o644);
        let real = program(at("b/x"), 0o755);
        program(at("a/y"), 0o600);
        fs::create_dir(at("a/z")).unwrap();
        program(at("c/x"), 0o755);
        let relative = format!("{}{}", "../".repeat(30), at("c").display().to_string().trim_start_matches('/'));
        assert!(Path::new(&relative).join("x").is_file());
        let path = format!(":{relative}:{}:{}", at("a").display(), at("b").display());
        let path = Some(OsStr::new(&path));
        assert_eq!(which("x", path), Lookup::Found(real.clone()));
        assert_eq!(which("x", path).found(), Some(real.clone()));
        assert_eq!(which("y", path), Lookup::NotExecutable(at("a/y")));
        assert_eq!(which(real.to_str().unwrap(), None), Lookup::Found(real));
        assert_eq!(which(plain.to_str().unwrap(), None), Lookup::NotExecutable(plain));
        for missing in ["z", "", "none", "/none/x"] {
            assert_eq!(which(missing, path), Lookup::Missing, "{missing}");
        }
        for unset in [None, Some(OsStr::new(""))] {
            assert_eq!(which("sh", unset).found().map(|sh| sh.ends_with("sh")), Some(true));
        }
    }
}
