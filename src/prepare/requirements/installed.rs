//! What is installed for a Python, and whether that is all that is required: so that a job whose image has everything
//! starts no installer, which alone takes seconds.
//!
//! Whatever is not plain is not decided here: then the installer is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::requirement::{MarkerValues, Requirement, normal_name};
use super::scan::Scan;
use super::version::Version;

/// A program for the image's Python that says what [`Interpreter::read`] reads.
const INSPECT: &str = include_str!("inspect.py");

/// The arguments to run Python with, so that it prints what [`Interpreter::read`] reads. `pyproject` is a pyproject.toml
/// whose dependencies are wanted.
pub fn inspection(python: &Path, pyproject: Option<&Path>) -> Vec<OsString> {
    let mut arguments = vec![python.into(), "-c".into(), INSPECT.into()];
    arguments.extend(pyproject.map(OsString::from));
    arguments
}

/// What a Python says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interpreter {
    /// Its `sys.prefix`.
    pub prefix: PathBuf,
    /// The folders that it imports from.
    pub path: Vec<PathBuf>,
    /// The values of markers.
    pub values: MarkerValues,
    /// The index that its pip has built in, if it has a pip.
    pub index: Option<String>,
    /// The dependencies of the pyproject.toml that was asked about.
    pub requires: Vec<String>,
    /// Whether a program has to be run to know these.
    pub is_dynamic: bool,
}

impl Interpreter {
    /// Reads what [`inspection`] prints.
    pub fn read(text: &str) -> Interpreter {
        let mut found = Interpreter::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "prefix" => found.prefix = value.into(),
                "path" => found.path.push(value.into()),
                "index" => found.index = Some(value.to_owned()),
                "requires" => found.requires.push(value.to_owned()),
                "dynamic" => found.is_dynamic = true,
                _ => drop(found.values.insert(name.to_owned(), value.to_owned())),
            }
        }
        found
    }

    /// A folder that packages are installed in, if this user may write to none. pip installs for the user alone then, and uv
    /// does not.
    pub fn closed_folder(&self) -> Option<&Path> {
        let is_for_packages = |path: &&PathBuf| {
            path.starts_with(&self.prefix)
                && path.file_name().is_some_and(|name| name == "site-packages" || name == "dist-packages")
        };
        let mut folders = self.path.iter().filter(is_for_packages);
        let first = folders.clone().next()?;
        let is_closed = folders.all(|folder| access(folder, AccessFlags::W_OK).is_err());
        is_closed.then_some(first.as_path())
    }

    /// Whether it is a virtual environment that sees the packages of the Python below it. uv does not see those.
    pub fn sees_packages_below(&self) -> bool {
        let text = fs::read_to_string(self.prefix.join("pyvenv.cfg")).unwrap_or_default();
        let is_said = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some(name.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true"))
        };
        text.lines().any(|line| is_said(line) == Some(true))
    }
}

/// The packages that a Python can import.
#[derive(Clone, Debug, Default)]
pub struct Installed(BTreeMap<String, Package>);

#[derive(Clone, Debug)]
struct Package {
    version: String,
    /// Its `.dist-info`; none of an older kind, which is left to the installer.
    info: Option<PathBuf>,
}

impl Installed {
    /// Looks into the folders that Python imports from; the first counts.
    pub fn look(path: &[PathBuf]) -> Installed {
        let mut found = BTreeMap::new();
        for entry in path.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            let Ok(file) = entry.file_name().into_string() else { continue };
            let (stem, info) = match (file.strip_suffix(".dist-info"), file.strip_suffix(".egg-info")) {
                (Some(stem), _) => (stem, Some(entry.path())),
                (None, Some(stem)) => (stem, None),
                (None, None) => continue,
            };
            let (name, version) = stem.split_once('-').unwrap_or((stem, ""));
            let package = Package { version: version.to_owned(), info };
            found.entry(normal_name(name)).or_insert(package);
        }
        Installed(found)
    }

    /// The version of a package.
    pub fn version(&self, name: &str) -> Option<&str> {
        self.0.get(&normal_name(name)).map(|package| package.version.as_str())
    }

    /// Checks that all that is required is there, with what it itself requires; gives how many packages that are.
    ///
    /// # Errors
    /// What is not there, or cannot be told, in words.
    pub fn satisfy(&self, scan: &Scan, values: &MarkerValues) -> Result<usize, String> {
        if let Some(line) = &scan.undecided {
            return Err(format!("only the installer can tell of {line:?}"));
        }
        let mut seen: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
        let mut waiting: Vec<(Requirement, Vec<String>)> =
            scan.requirements.iter().map(|requirement| (requirement.clone(), Vec::new())).collect();
        while let Some((requirement, extras)) = waiting.pop() {
            let name = &requirement.name;
            if !requirement
                .applies(values, &extras)
                .ok_or_else(|| format!("nobody can tell whether {name} is meant"))?
            {
                continue;
            }
            let package = self.0.get(name).ok_or_else(|| format!("{name} is not installed"))?;
            let version = Version::parse(&package.version).ok_or_else(|| format!("{name} has no plain version"))?;
            let unmet = || format!("{name} is installed as {}", package.version);
            if !requirement.specifiers.hold_for(&version) {
                return Err(unmet());
            }
            for constraint in scan.constraints.iter().filter(|constraint| constraint.name == *name) {
                if constraint.applies(values, &[]) != Some(false) && !constraint.specifiers.hold_for(&version) {
                    return Err(unmet());
                }
            }
            if seen.insert((name.clone(), requirement.extras.clone())) {
                let info = package.info.as_ref().ok_or_else(|| format!("{name} was installed in an old way"))?;
                waiting.extend(required_by(info)?.into_iter().map(|required| (required, requirement.extras.clone())));
            }
        }
        Ok(seen.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len())
    }
}

/// What a package requires.
fn required_by(info: &Path) -> Result<Vec<Requirement>, String> {
    let path = info.join("METADATA");
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    // The description, which follows an empty line, can say anything.
    let header = text.lines().take_while(|line| !line.is_empty());
    let lines = header.filter_map(|line| line.strip_prefix("Requires-Dist:"));
    let read =
        |line: &str| Requirement::parse(line).ok_or_else(|| format!("{} requires {:?}", info.display(), line.trim()));
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Installed, Interpreter};
    use crate::prepare::requirements::requirement::{MarkerValues, Requirement};
    use crate::prepare::requirements::scan::Scan;

    fn package(folder: &Path, name: &str, requires: &[&str]) {
        let info = folder.join(format!("{name}.dist-info"));
        fs::create_dir_all(&info).unwrap();
        let lines: String = requires.iter().map(|line| format!("Requires-Dist: {line}\n")).collect();
        fs::write(info.join("METADATA"), format!("Metadata-Version: 2.1\n{lines}\nRequires-Dist: not-this\n")).unwrap();
    }

    fn values() -> MarkerValues {
        MarkerValues::from([("python_version".to_owned(), "3.11".to_owned())])
    }

    fn satisfy(installed: &Installed, requirements: &[&str], constraints: &[&str]) -> Result<usize, String> {
        let read = |lines: &[&str]| lines.iter().map(|line| Requirement::parse(line).expect(line)).collect();
        let scan = Scan { requirements: read(requirements), constraints: read(constraints), ..Scan::default() };
        installed.satisfy(&scan, &values())
    }

    #[test]
    fn what_is_there_with_all_that_it_requires_satisfies() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        package(
            first.path(),
            "torch-2.3.0+cu121",
            &["numpy>=1", "ring-a; extra == 'rings'", "old; python_version < '3'"],
        );
        package(second.path(), "torch-1.0", &["nothing-of-this"]);
        package(second.path(), "numpy-1.26.4", &[]);
        package(second.path(), "Ring_A-1.0", &["ring-b"]);
        package(second.path(), "ring_b-1.0", &["ring_a", "gone"]);
        package(second.path(), "dirty-1.0", &["x @ https://a/x.whl"]);
        fs::create_dir(second.path().join("older-1.0-py3.11.egg-info")).unwrap();
        let installed = Installed::look(&[first.path().to_owned(), "/nonexistent".into(), second.path().to_owned()]);
        assert_eq!(installed.version("Torch"), Some("2.3.0+cu121"));
        for (requirements, constraints, expected) in [
            (&["torch==2.3.0", "numpy<2"][..], &[][..], Ok(2)),
            (&["gone; python_version < '3'"], &[], Ok(0)),
            (&["torch>=2.4"], &[], Err("torch is installed as 2.3.0+cu121")),
            (&["torch"], &["numpy<1.26"], Err("numpy is installed as 1.26.4")),
            (&["numpy"], &["torch<1"], Ok(1)),
            (&["torch[rings]"], &[], Err("gone is not installed")),
            (&["torch", "torch[rings]"], &[], Err("gone is not installed")),
            (&["dirty"], &[], Err("")),
            (&["older"], &[], Err("")),
            (&["numpy; unheard_of == 'x'"], &[], Err("nobody can tell whether numpy is meant")),
        ] {
            let found = satisfy(&installed, requirements, constraints);
            match (&found, expected) {
                (Err(reason), Err(expected)) => assert!(reason.starts_with(expected), "{requirements:?}: {reason}"),
                _ => assert_eq!(found, expected.map_err(str::to_owned), "{requirements:?}"),
            }
        }
        let scan = Scan { undecided: Some("-e .".to_owned()), ..Scan::default() };
        assert!(installed.satisfy(&scan, &values()).is_err());
    }

    #[test]
    fn a_python_whose_packages_this_user_may_not_write_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let (open, closed) = (folder.path().join("lib/dist-packages"), folder.path().join("gone/site-packages"));
        fs::create_dir_all(&open).unwrap();
        let python = |path: &[&Path]| {
            let path = path.iter().map(|path| (*path).to_owned()).collect();
            Interpreter { prefix: folder.path().to_owned(), path, ..Interpreter::default() }
        };
        assert_eq!(python(&[&closed, Path::new("/lib")]).closed_folder(), Some(closed.as_path()));
        assert_eq!(python(&[&closed, &open]).closed_folder(), None);
        assert_eq!(python(&[Path::new("/elsewhere/site-packages")]).closed_folder(), None);
    }

    #[test]
    fn what_python_says_of_itself_is_read() {
        let found = Interpreter::read("prefix=/usr\npath=/a b\npath=/c\nos_name=posix\nrequires=x>=1; y=='2'\nnoise\n");
        assert_eq!((found.prefix.as_path(), found.path.len()), (Path::new("/usr"), 2));
        assert_eq!((found.values["os_name"].as_str(), found.requires[0].as_str()), ("posix", "x>=1; y=='2'"));
    }
}
