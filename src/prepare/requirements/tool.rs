//! The choice of the installer, and its command and variables.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::installed::{Installed, PythonEnvironment};
use super::installer::InstallerKind;
use super::pip_settings::{PipSettings, UvSettings};
use super::scan::Scan;
use crate::job::settings::InstallerChoice;

/// The variables that pip is started with, unless the job sets them. They are not options, because the variables of the
/// job must win and an older pip must ignore the ones that it does not know.
const PIP_VARIABLES: [(&str, &str); 5] = [
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"), // pip fails instead of waiting for a password
    ("PIP_PROGRESS_BAR", "off"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
    // Debian forbids pip to change the system's Python. In a container, nothing else depends on it.
    ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
];
/// The variables that uv is started with, unless the job sets them.
const UV_VARIABLES: [(&str, &str); 5] = [
    ("UV_BREAK_SYSTEM_PACKAGES", "1"),
    ("UV_PYTHON_DOWNLOADS", "never"),           // uv must use the image's Python
    ("UV_LINK_MODE", "copy"),                   // files cannot be linked to a cache on another volume
    ("UV_INDEX_STRATEGY", "unsafe-best-match"), // as pip, which takes the best version of all indexes
    ("UV_NO_PROGRESS", "1"),
];
/// The variables that name uv's main index. If the job sets one, uv does not receive the index of pip's
/// settings.
const UV_INDEX_VARIABLES: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"];

/// The words after Python that start pip so that it imports nothing from its working directory, which is the user's code
/// folder. pip itself has no option for that, and Python has one since version 3.11.
pub(super) const ISOLATED_PIP: [&str; 2] = [
    "-c",
    "import os, sys; here = os.path.realpath(os.getcwd()); \
     sys.path[:] = [path for path in sys.path if os.path.realpath(path or here) != here]; \
     import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)",
];
/// The words after Python that start pip.
const PIP: [&str; 2] = ["-m", "pip"];

/// The packages that the setting `protected_packages` protects if it is `on`: their installed versions are kept.
pub const FRAMEWORKS: [&str; 9] =
    ["torch", "torchvision", "torchaudio", "tensorflow", "tensorflow-cpu", "jax", "jaxlib", "numpy", "triton"];

/// Error for a job that demands uv in an image without uv.
#[derive(Debug, thiserror::Error)]
#[error(
    "FOOTPLATE_INSTALLER is uv, but there is no uv on PATH or beside Python: install uv in the image, or set \
     FOOTPLATE_UV to its path"
)]
pub struct UvMissing;

/// Chooses between uv, if the image has it, and pip. `obstacle` is the reason why uv would install something other
/// than pip would. Returns the installer, and a note for the log if the choice needs an explanation.
///
/// # Errors
///
/// The setting demands uv, but the image has no uv.
pub fn choose_installer(
    setting: InstallerChoice,
    has_uv: bool,
    has_pip: bool,
    obstacle: Option<&str>,
) -> Result<(InstallerKind, Option<String>), UvMissing> {
    match (setting, has_uv, obstacle) {
        (InstallerChoice::Uv, false, _) => Err(UvMissing),
        (InstallerChoice::Uv, true, Some(obstacle)) => {
            Ok((InstallerKind::Uv, Some(format!("uv is used, as FOOTPLATE_INSTALLER demands, although {obstacle}"))))
        }
        (InstallerChoice::Auto, true, Some(obstacle)) if !has_pip => {
            Ok((InstallerKind::Uv, Some(format!("uv is used, because this Python has no pip, although {obstacle}"))))
        }
        (InstallerChoice::Auto, true, Some(obstacle)) => {
            Ok((InstallerKind::Pip, Some(format!("pip in place of uv: {obstacle}"))))
        }
        (InstallerChoice::Uv | InstallerChoice::Auto, true, None) => Ok((InstallerKind::Uv, None)),
        (InstallerChoice::Pip, ..) | (InstallerChoice::Auto, false, _) => Ok((InstallerKind::Pip, None)),
    }
}

/// Returns the reason why uv would fail or install something other than pip would; `None` if there is none.
pub fn obstacle_to_uv(scan: &Scan, uv_settings: &UvSettings, environment: &PythonEnvironment) -> Option<String> {
    let setting = || {
        let name = uv_settings.unsupported.first()?;
        Some(format!("uv has nothing like pip's setting {name}"))
    };
    let system_packages = || {
        let text = "this virtual environment includes the system's packages, and uv does not see those";
        environment.sees_system_packages().then(|| text.to_owned())
    };
    let unwritable = || {
        let folder = environment.unwritable_folder()?.display();
        Some(format!("this user cannot write to {folder}, and uv does not install for one user alone"))
    };
    scan.not_for_uv.clone().or_else(setting).or_else(system_packages).or_else(unwritable)
}

/// The packages to install, as arguments of an installer.
#[derive(Clone, Debug, Default)]
pub struct InstallRequest {
    /// True if the code folder itself is installed as a package.
    pub package: bool,
    /// The requirements file, relative to the code folder or absolute.
    pub file: Option<PathBuf>,
    /// True if pip must not import anything from the code folder, because a module there has the name of one of
    /// Python's own.
    pub avoids_folder: bool,
    /// A constraints file.
    pub constraints: Option<PathBuf>,
    /// Further options. They hold no URL, because the command is logged and visible to all processes.
    pub options: Vec<String>,
}

/// Returns the command of the installer, for the code folder as its working directory. `program` is Python for pip,
/// else uv. pip's command is that of `sagemaker-training`; all other settings are passed by [`install_variables`].
pub fn install_command(
    installer: InstallerKind,
    program: &Path,
    python: &Path,
    request: &InstallRequest,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![program.into()];
    match installer {
        InstallerKind::Pip => {
            words.extend(if request.avoids_folder { ISOLATED_PIP } else { PIP }.map(OsString::from));
            words.push("install".into());
        }
        InstallerKind::Uv => {
            words.extend(["pip", "install", "--python"].map(OsString::from));
            words.push(python.into());
        }
    }
    if request.package {
        words.push(".".into());
    }
    for (option, path) in [("-r", &request.file), ("-c", &request.constraints)] {
        if let Some(path) = path {
            words.extend([option.into(), path.into()]);
        }
    }
    words.extend(request.options.iter().map(OsString::from));
    words
}

/// Returns the variables to add for the installer. `given` returns the variables of the container: those are not
/// replaced. `warm_pool` is the folder in which a warm pool keeps caches for later jobs.
pub fn install_variables(
    installer: InstallerKind,
    settings: &PipSettings,
    scan: &Scan,
    warm_pool: Option<&Path>,
    given: impl Fn(&str) -> Option<String>,
) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let cache = |name: &str| warm_pool.map(|folder| folder.join("footplate").join(name).to_string_lossy().into_owned());
    match installer {
        InstallerKind::Pip => {
            found.extend(PIP_VARIABLES.map(|(name, value)| (name, value.to_owned())));
            found.extend(cache("pip").map(|path| ("PIP_CACHE_DIR", path)));
        }
        InstallerKind::Uv => {
            found.extend(UV_VARIABLES.map(|(name, value)| (name, value.to_owned())));
            found.extend(cache("uv").map(|path| ("UV_CACHE_DIR", path)));
            found.extend(settings.for_uv().variables);
            // pip reads this variable through the library requests.
            let bundle = given("REQUESTS_CA_BUNDLE").filter(|path| !path.is_empty());
            if let (Some(bundle), None) = (bundle, settings.get("cert")) {
                found.push(("SSL_CERT_FILE", bundle));
            }
            // uv ignores these options in a requirements file.
            if scan.pre {
                found.push(("UV_PRERELEASE", "allow".to_owned()));
            }
            if !scan.trusted_hosts.is_empty() {
                let hosts = [settings.words("trusted-host").join(" "), scan.trusted_hosts.join(" ")].join(" ");
                found.retain(|(name, _)| *name != "UV_INSECURE_HOST");
                found.push(("UV_INSECURE_HOST", hosts.trim().to_owned()));
            }
            if UV_INDEX_VARIABLES.iter().any(|name| given(name).is_some()) {
                found.retain(|(name, _)| !UV_INDEX_VARIABLES.contains(name));
            }
        }
    }
    found.retain(|(name, _)| given(name).is_none());
    found
}

/// Returns the text of a constraints file that keeps the packages in `names` at their installed versions. Packages that
/// are not installed are left out.
pub fn pinning_constraints(names: &[String], installed: &Installed) -> String {
    let pinned = names.iter().filter_map(|name| {
        let version = installed.version(name).filter(|version| !version.is_empty())?;
        Some(format!("{name}=={version}\n"))
    });
    pinned.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        FRAMEWORKS, InstallRequest, choose_installer, install_command, install_variables, obstacle_to_uv,
        pinning_constraints,
    };
    use crate::job::settings::InstallerChoice;
    use crate::prepare::requirements::installed::{Installed, PythonEnvironment};
    use crate::prepare::requirements::installer::InstallerKind;
    use crate::prepare::requirements::pip_settings::{PipSettings, UvSettings};
    use crate::prepare::requirements::scan::Scan;

    #[test]
    fn uv_is_chosen_if_the_image_has_it_and_nothing_speaks_against_it() {
        let choose = |setting, has_uv, has_pip, obstacle| {
            choose_installer(setting, has_uv, has_pip, obstacle).ok().map(|(installer, _)| installer)
        };
        assert_eq!(choose(InstallerChoice::Auto, true, false, Some("x")), Some(InstallerKind::Uv));
        for (setting, has_uv, obstacle, expected) in [
            (InstallerChoice::Auto, true, None, Some(InstallerKind::Uv)),
            (InstallerChoice::Auto, true, Some("x"), Some(InstallerKind::Pip)),
            (InstallerChoice::Auto, false, None, Some(InstallerKind::Pip)),
            (InstallerChoice::Pip, true, None, Some(InstallerKind::Pip)),
            (InstallerChoice::Uv, true, Some("x"), Some(InstallerKind::Uv)),
            (InstallerChoice::Uv, false, None, None),
        ] {
            let found = choose(setting, has_uv, true, obstacle);
            assert_eq!(found, expected, "{setting:?} {has_uv} {obstacle:?}");
        }
    }

    #[test]
    fn settings_and_lines_that_uv_cannot_read_are_left_to_pip() {
        let folder = tempfile::tempdir().unwrap();
        let environment = PythonEnvironment { prefix: folder.path().to_owned(), ..PythonEnvironment::default() };
        let scan = Scan::default();
        let settings = UvSettings::default();
        assert_eq!(obstacle_to_uv(&scan, &settings, &environment), None);
        let unsupported = UvSettings { unsupported: vec!["target".to_owned()], ..UvSettings::default() };
        let reason = obstacle_to_uv(&scan, &unsupported, &environment).unwrap();
        assert!(reason.contains("pip's setting target"), "{reason}");
        let unreadable = Scan { not_for_uv: Some("uv does not read --no-deps".to_owned()), ..Scan::default() };
        assert_eq!(obstacle_to_uv(&unreadable, &unsupported, &environment), unreadable.not_for_uv);
        std::fs::write(folder.path().join("pyvenv.cfg"), "include-system-site-packages = true\n").unwrap();
        let reason = obstacle_to_uv(&scan, &settings, &environment).unwrap();
        assert!(reason.contains("uv does not see"), "{reason}");
    }

    #[test]
    fn only_installed_packages_are_pinned() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["torch-2.3.0+cu121.dist-info", "numpy-1.26.4.dist-info", "other-1.0.dist-info", "jax.egg-info"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let installed = Installed::in_folders(&[folder.path().to_owned()]);
        let names = FRAMEWORKS.map(str::to_owned);
        assert_eq!(pinning_constraints(&names, &installed), "torch==2.3.0+cu121\nnumpy==1.26.4\n");
    }

    #[test]
    fn commands_are_short_and_hold_no_url() {
        let request = InstallRequest {
            package: true,
            file: Some("r.txt".into()),
            constraints: Some("/t/c.txt".into()),
            avoids_folder: false,
            options: vec!["--no-index".to_owned()],
        };
        let text = |installer, program| {
            install_command(installer, Path::new(program), Path::new("/py"), &request).join(" ".as_ref())
        };
        assert_eq!(text(InstallerKind::Pip, "/py"), "/py -m pip install . -r r.txt -c /t/c.txt --no-index");
        assert_eq!(text(InstallerKind::Uv, "/uv"), "/uv pip install --python /py . -r r.txt -c /t/c.txt --no-index");
    }

    #[test]
    fn variables_of_the_container_are_not_replaced() {
        let settings = PipSettings::read(["[global]\nindex-url = https://a\ntrusted-host = a"], []);
        let scan = Scan { trusted_hosts: vec!["b".to_owned()], pre: true, ..Scan::default() };
        let found = |installer, pool: Option<&str>, given: &[&str]| {
            let given = |name: &str| given.contains(&name).then(String::new);
            install_variables(installer, &settings, &scan, pool.map(Path::new), given)
        };
        let has = |found: &[(&str, String)], name: &str, value: &str| found.contains(&(name, value.to_owned()));
        let pip = found(InstallerKind::Pip, Some("/pool"), &["PIP_PROGRESS_BAR"]);
        assert!(has(&pip, "PIP_NO_INPUT", "1") && has(&pip, "PIP_CACHE_DIR", "/pool/footplate/pip"), "{pip:?}");
        assert!(!pip.iter().any(|(name, _)| *name == "PIP_PROGRESS_BAR" || name.starts_with("UV_")), "{pip:?}");
        let uv = found(InstallerKind::Uv, Some("/pool"), &[]);
        for (name, value) in [
            ("UV_CACHE_DIR", "/pool/footplate/uv"),
            ("UV_DEFAULT_INDEX", "https://a"),
            ("UV_INSECURE_HOST", "a b"),
            ("UV_PRERELEASE", "allow"),
            ("UV_INDEX_STRATEGY", "unsafe-best-match"),
        ] {
            assert!(has(&uv, name, value), "{name}: {uv:?}");
        }
        let uv = found(InstallerKind::Uv, None, &["UV_INDEX_URL", "UV_LINK_MODE"]);
        assert!(
            !uv.iter().any(|(name, _)| ["UV_DEFAULT_INDEX", "UV_LINK_MODE", "UV_CACHE_DIR"].contains(name)),
            "{uv:?}"
        );
    }
}
