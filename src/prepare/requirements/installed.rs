//! The packages that a Python has, and the check that they meet all requirements.
//!
//! If they do, the job starts no installer, which takes seconds even if it has nothing to install. Every case that this
//! module cannot decide counts as not met, so that the installer decides it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::requirement::{MarkerValues, Requirement, normal_name};
use super::scan::Scan;
use super::version::Version;
use crate::system::files;

/// The Python program whose output [`PythonEnvironment::parse`] reads.
const INSPECT: &str = include_str!("inspect.py");

/// Returns the command, including `python` itself, whose output [`PythonEnvironment::parse`] reads. If `pyproject` is
/// given, the command also prints the dependencies in this pyproject.toml; it fails if the file cannot be read.
pub fn inspection_command(python: &Path, pyproject: Option<&Path>) -> Vec<OsString> {
    let mut arguments = vec![python.into(), "-c".into(), INSPECT.into()];
    arguments.extend(pyproject.map(OsString::from));
    arguments
}

/// A Python and the environment that it imports packages from, as reported by the Python itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PythonEnvironment {
    /// Its `sys.prefix`.
    pub prefix: PathBuf,
    /// The folders that it imports from (`sys.path`), in the order in which they are searched.
    pub path: Vec<PathBuf>,
    /// The values of the variables in markers.
    pub markers: MarkerValues,
    /// True if it is certain that it has no pip.
    pub lacks_pip: bool,
    /// The modules in the code folder that have the names of Python's own, such as `typing.py`.
    pub shadows: Vec<String>,
    /// The default index of its pip, if it has pip.
    pub default_index: Option<String>,
    /// The dependencies in the pyproject.toml that was named.
    pub project_dependencies: Vec<String>,
    /// True if the pyproject.toml declares its dependencies as dynamic, so that they are known only after a build.
    pub has_dynamic_dependencies: bool,
}

impl PythonEnvironment {
    /// Parses the output of [`inspection_command`]: one `name=value` on each line. Other lines are ignored.
    pub fn parse(output: &str) -> PythonEnvironment {
        let mut found = PythonEnvironment::default();
        for (name, value) in output.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "prefix" => found.prefix = value.into(),
                "path" => found.path.push(value.into()),
                "lacks" => found.lacks_pip = true,
                "shadows" => found.shadows.push(value.to_owned()),
                "index" => found.default_index = Some(value.to_owned()),
                "requires" => found.project_dependencies.push(value.to_owned()),
                "dynamic" => found.has_dynamic_dependencies = true,
                _ => {
                    found.markers.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        found
    }

    /// Returns the first folder for packages below the prefix if this user cannot write to any of them. pip then
    /// installs into the user's own folder; uv fails.
    pub fn unwritable_folder(&self) -> Option<&Path> {
        let is_for_packages = |path: &&PathBuf| {
            path.starts_with(&self.prefix)
                && path.file_name().is_some_and(|name| name == "site-packages" || name == "dist-packages")
        };
        let mut folders = self.path.iter().filter(is_for_packages);
        let first = folders.clone().next()?;
        let none_is_writable = folders.all(|folder| access(folder, AccessFlags::W_OK).is_err());
        none_is_writable.then_some(first.as_path())
    }

    /// Returns true if this is a virtual environment that also imports the packages of the Python that it was made from
    /// (`include-system-site-packages`). uv does not see those packages.
    pub fn sees_system_packages(&self) -> bool {
        let text = files::text(&self.prefix.join("pyvenv.cfg"), files::TEXT_SIZE).unwrap_or_default();
        let is_enabled = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some(name.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true"))
        };
        text.lines().any(|line| is_enabled(line) == Some(true))
    }
}

/// The packages that a Python can import, by their normal names.
#[derive(Clone, Debug, Default)]
pub struct Installed(BTreeMap<String, InstalledPackage>);

#[derive(Clone, Debug)]
struct InstalledPackage {
    version: String,
    /// The `.dist-info` folder; `None` for an `.egg-info`, the older format, which is left to the installer.
    info: Option<PathBuf>,
}

/// The reason why the installed packages do not meet the requirements, or may not.
#[derive(Debug, thiserror::Error)]
pub enum Unsatisfied {
    /// A line that only the installer can evaluate.
    #[error("only the installer can evaluate {0:?}")]
    Undecided(String),
    /// A requirement whose marker cannot be evaluated.
    #[error("the marker of {0} cannot be evaluated")]
    UnknownMarker(String),
    /// A package that is missing.
    #[error("{0} is not installed")]
    NotInstalled(String),
    /// A package whose version is not one of PEP 440.
    #[error("{name} is installed in the unreadable version {version:?}")]
    UnreadableVersion {
        /// The normal name.
        name: String,
        /// The version, as in the name of the folder.
        version: String,
    },
    /// A package whose version does not meet a requirement or a constraint.
    #[error("{name} is installed as {version}")]
    WrongVersion {
        /// The normal name.
        name: String,
        /// The installed version.
        version: String,
    },
    /// A package without a `.dist-info` folder.
    #[error("{0} has no .dist-info folder, so that its dependencies are unknown")]
    NoMetadata(String),
    /// A METADATA file that cannot be read.
    #[error("cannot read {path}: {error}", path = .path.display())]
    UnreadableMetadata {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// A dependency of a package that only the installer can evaluate, such as one by URL.
    #[error("{info} requires {dependency:?}", info = .info.display())]
    UndecidedDependency {
        /// The `.dist-info` folder of the package.
        info: PathBuf,
        /// The dependency.
        dependency: String,
    },
}

impl Installed {
    /// Reads the names of the packages in the folders that Python imports from. If a package is in several folders, the
    /// first counts. A folder that cannot be read counts as empty.
    pub fn in_folders(path: &[PathBuf]) -> Installed {
        let mut found = BTreeMap::new();
        for entry in path.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            let Ok(file) = entry.file_name().into_string() else { continue };
            let (stem, info) = match (file.strip_suffix(".dist-info"), file.strip_suffix(".egg-info")) {
                (Some(stem), _) => (stem, Some(entry.path())),
                (None, Some(stem)) => (stem, None),
                (None, None) => continue,
            };
            let (name, version) = stem.split_once('-').unwrap_or((stem, ""));
            let package = InstalledPackage { version: version.to_owned(), info };
            found.entry(normal_name(name)).or_insert(package);
        }
        Installed(found)
    }

    /// Returns the installed version of a package, as in the name of its folder.
    pub fn version(&self, name: &str) -> Option<&str> {
        self.0.get(&normal_name(name)).map(|package| package.version.as_str())
    }

    /// Checks that the requirements and, recursively, the dependencies of the required packages are installed. Returns
    /// the number of packages that were checked.
    ///
    /// # Errors
    ///
    /// A requirement that is not met or cannot be decided; if there are several, any one of them.
    pub fn satisfy(&self, scan: &Scan, markers: &MarkerValues) -> Result<usize, Unsatisfied> {
        if let Some(line) = &scan.undecided {
            return Err(Unsatisfied::Undecided(line.clone()));
        }
        let mut seen: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
        // Each requirement with the extras of the package that lists it.
        let mut waiting: Vec<(Requirement, Vec<String>)> =
            scan.requirements.iter().map(|requirement| (requirement.clone(), Vec::new())).collect();
        while let Some((requirement, extras)) = waiting.pop() {
            let name = &requirement.name;
            let applies = requirement.applies(markers, &extras);
            if !applies.ok_or_else(|| Unsatisfied::UnknownMarker(name.clone()))? {
                continue;
            }
            let package = self.0.get(name).ok_or_else(|| Unsatisfied::NotInstalled(name.clone()))?;
            let info = package.info.as_ref().ok_or_else(|| Unsatisfied::NoMetadata(name.clone()))?;
            let installed = || (name.clone(), package.version.clone());
            let version = Version::parse(&package.version).ok_or_else(|| {
                let (name, version) = installed();
                Unsatisfied::UnreadableVersion { name, version }
            })?;
            let own_constraints = scan.constraints.iter().filter(|constraint| constraint.name == *name);
            // A constraint whose marker cannot be evaluated counts as one that applies.
            let mut constraints = own_constraints.filter(|constraint| constraint.applies(markers, &[]) != Some(false));
            if !requirement.specifiers.hold_for(&version)
                || constraints.any(|constraint| !constraint.specifiers.hold_for(&version))
            {
                let (name, version) = installed();
                return Err(Unsatisfied::WrongVersion { name, version });
            }
            if seen.insert((name.clone(), requirement.extras.clone())) {
                let dependencies = dependencies(info)?.into_iter();
                waiting.extend(dependencies.map(|dependency| (dependency, requirement.extras.clone())));
            }
        }
        Ok(seen.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len())
    }
}

/// Returns the dependencies of an installed package, from the METADATA file in its `.dist-info` folder.
fn dependencies(info: &Path) -> Result<Vec<Requirement>, Unsatisfied> {
    let path = info.join("METADATA");
    let bytes = match files::read(&path, files::TEXT_SIZE) {
        Ok(bytes) => bytes,
        Err(error) => return Err(Unsatisfied::UnreadableMetadata { path, error }),
    };
    let text = String::from_utf8_lossy(&bytes);
    // The description follows an empty line and can hold lines that look like headers.
    let header = text.lines().take_while(|line| !line.is_empty());
    let lines = header.filter_map(|line| line.strip_prefix("Requires-Dist:"));
    let parse = |line: &str| {
        let undecided =
            || Unsatisfied::UndecidedDependency { info: info.to_owned(), dependency: line.trim().to_owned() };
        Requirement::parse(line).ok_or_else(undecided)
    };
    lines.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Installed, PythonEnvironment};
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

    /// Returns the result of the check, with the error as text.
    fn satisfy(installed: &Installed, requirements: &[&str], constraints: &[&str]) -> Result<usize, String> {
        let read = |lines: &[&str]| lines.iter().map(|line| Requirement::parse(line).expect(line)).collect();
        let scan = Scan { requirements: read(requirements), constraints: read(constraints), ..Scan::default() };
        installed.satisfy(&scan, &values()).map_err(|error| error.to_string())
    }

    #[test]
    fn requirements_are_met_only_if_their_dependencies_are_met_too() {
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
        let installed =
            Installed::in_folders(&[first.path().to_owned(), "/nonexistent".into(), second.path().to_owned()]);
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
            (&["older"], &[], Err("older has no .dist-info folder")),
            (&["numpy; unheard_of == 'x'"], &[], Err("the marker of numpy cannot be evaluated")),
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
    fn a_folder_for_packages_is_unwritable_only_if_no_other_is_writable() {
        let folder = tempfile::tempdir().unwrap();
        let (open, closed) = (folder.path().join("lib/dist-packages"), folder.path().join("gone/site-packages"));
        fs::create_dir_all(&open).unwrap();
        let python = |path: &[&Path]| {
            let path = path.iter().map(|path| (*path).to_owned()).collect();
            PythonEnvironment { prefix: folder.path().to_owned(), path, ..PythonEnvironment::default() }
        };
        assert_eq!(python(&[&closed, Path::new("/lib")]).unwritable_folder(), Some(closed.as_path()));
        assert_eq!(python(&[&closed, &open]).unwritable_folder(), None);
        assert_eq!(python(&[Path::new("/elsewhere/site-packages")]).unwritable_folder(), None);
    }

    #[test]
    fn the_output_of_the_inspection_is_parsed_and_noise_is_ignored() {
        let found =
            PythonEnvironment::parse("prefix=/usr\npath=/a b\npath=/c\nos_name=posix\nrequires=x>=1; y=='2'\nnoise\n");
        assert_eq!((found.prefix.as_path(), found.path.len()), (Path::new("/usr"), 2));
        assert_eq!(
            (found.markers["os_name"].as_str(), found.project_dependencies[0].as_str()),
            ("posix", "x>=1; y=='2'")
        );
    }
}
