//! Which installer is run, with which arguments and variables.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::installed::{Installed, Interpreter};
use super::pip_settings::{ForUv, PipSettings};
use super::progress::Installer;
use super::scan::Scan;
use crate::job::settings::InstallerChoice;

/// What pip is told unless the user has told it otherwise. They are variables and not options so that the user's own
/// variables win, and so that a pip that does not know one passes over it.
const OF_PIP: [(&str, &str); 5] = [
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"), // nobody is there to type a password: fail instead of waiting for ever
    ("PIP_PROGRESS_BAR", "off"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
    // Debian marks its Python as not to be touched by pip. In a container nobody else is hurt.
    ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
];
/// The same for uv.
const OF_UV: [(&str, &str); 5] = [
    ("UV_BREAK_SYSTEM_PACKAGES", "1"),
    ("UV_PYTHON_DOWNLOADS", "never"),           // the image's Python, and no other
    ("UV_LINK_MODE", "copy"),                   // a cache on another volume cannot be linked to
    ("UV_INDEX_STRATEGY", "unsafe-best-match"), // pip takes the best version of all indexes
    ("UV_NO_PROGRESS", "1"),
];
/// Any of these of the user's own is stronger than the index of pip's settings.
const INDEXES_OF_UV: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"];

/// What keeps what is installed already as it is: the packages that [`constraints`] names for `on`.
pub const PROTECTED: [&str; 9] =
    ["torch", "torchvision", "torchaudio", "tensorflow", "tensorflow-cpu", "jax", "jaxlib", "numpy", "triton"];

/// Chooses between uv, if there is one, and pip; `obstacle` is why uv would not do as pip does. Gives what is worth saying
/// about it, too.
///
/// # Errors
/// uv is asked for, and there is none.
pub fn choose(
    asked: InstallerChoice,
    has_uv: bool,
    obstacle: Option<&str>,
) -> Result<(Installer, Option<String>), String> {
    match (asked, has_uv, obstacle) {
        (InstallerChoice::Uv, false, _) => {
            Err("FOOTPLATE_INSTALLER is uv, but there is no uv on PATH or beside Python: install uv in the image, or \
                 set FOOTPLATE_UV to its path"
                .to_owned())
        }
        (InstallerChoice::Uv, true, Some(obstacle)) => {
            Ok((Installer::Uv, Some(format!("uv is asked for, although {obstacle}"))))
        }
        (InstallerChoice::Auto, true, Some(obstacle)) => {
            Ok((Installer::Pip, Some(format!("pip in place of uv: {obstacle}"))))
        }
        (InstallerChoice::Uv | InstallerChoice::Auto, true, None) => Ok((Installer::Uv, None)),
        (InstallerChoice::Pip, ..) | (InstallerChoice::Auto, false, _) => Ok((Installer::Pip, None)),
    }
}

/// Why uv would not install what pip would, if that is so.
pub fn obstacle(scan: &Scan, for_uv: &ForUv, interpreter: &Interpreter) -> Option<String> {
    let setting = || for_uv.unknown.first().map(|name| format!("uv has nothing like pip's setting {name}"));
    let below = || {
        let text = "uv does not see the packages below a virtual environment";
        interpreter.sees_packages_below().then(|| text.to_owned())
    };
    let closed = || {
        let folder = interpreter.closed_folder()?.display();
        Some(format!("this user may not write to {folder}, and uv does not install for one user alone"))
    };
    scan.not_for_uv.clone().or_else(setting).or_else(below).or_else(closed)
}

/// What is to be installed.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Whether the code folder itself is, as a package.
    pub package: bool,
    /// The requirements file.
    pub file: Option<PathBuf>,
    /// A file of constraints.
    pub constraints: Option<PathBuf>,
    /// What else the installer is to be told by arguments; no URL.
    pub options: Vec<String>,
}

/// The command, to be run in the code folder. pip's is that of `sagemaker-training`; what else the installer is to be told
/// comes with [`variables`].
pub fn command(installer: Installer, program: &Path, python: &Path, order: &Order) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![program.into()];
    match installer {
        Installer::Pip => words.extend(["-m", "pip", "install"].map(OsString::from)),
        Installer::Uv => {
            words.extend(["pip", "install", "--python"].map(OsString::from));
            words.push(python.into());
        }
    }
    if order.package {
        words.push(".".into());
    }
    for (option, path) in [("-r", &order.file), ("-c", &order.constraints)] {
        if let Some(path) = path {
            words.extend([option.into(), path.into()]);
        }
    }
    words.extend(order.options.iter().map(OsString::from));
    words
}

/// The variables to run the installer with: those that are not set yet, as `given` tells. The user's own are left alone.
pub fn variables(
    installer: Installer,
    settings: &PipSettings,
    scan: &Scan,
    warm_pool: Option<&Path>,
    given: impl Fn(&str) -> Option<String>,
) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let cache = |name: &str| warm_pool.map(|folder| folder.join("footplate").join(name).to_string_lossy().into_owned());
    match installer {
        Installer::Pip => {
            found.extend(OF_PIP.map(|(name, value)| (name, value.to_owned())));
            found.extend(cache("pip").map(|path| ("PIP_CACHE_DIR", path)));
        }
        Installer::Uv => {
            found.extend(OF_UV.map(|(name, value)| (name, value.to_owned())));
            found.extend(cache("uv").map(|path| ("UV_CACHE_DIR", path)));
            found.extend(settings.for_uv().variables);
            // pip's requests reads this one.
            let bundle = given("REQUESTS_CA_BUNDLE").filter(|path| !path.is_empty());
            if let (Some(bundle), None) = (bundle, settings.get("cert")) {
                found.push(("SSL_CERT_FILE", bundle));
            }
            // uv passes over these where they stand in a file.
            if scan.pre {
                found.push(("UV_PRERELEASE", "allow".to_owned()));
            }
            if !scan.trusted_hosts.is_empty() {
                let hosts = [settings.words("trusted-host").join(" "), scan.trusted_hosts.join(" ")].join(" ");
                found.retain(|(name, _)| *name != "UV_INSECURE_HOST");
                found.push(("UV_INSECURE_HOST", hosts.trim().to_owned()));
            }
            if INDEXES_OF_UV.iter().any(|name| given(name).is_some()) {
                found.retain(|(name, _)| !INDEXES_OF_UV.contains(name));
            }
        }
    }
    found.retain(|(name, _)| given(name).is_none());
    found
}

/// Constraints that keep packages at the versions that are installed, for those of `names` that are.
pub fn constraints(names: &[String], installed: &Installed) -> String {
    let pinned = names.iter().filter_map(|name| {
        let version = installed.version(name).filter(|version| !version.is_empty())?;
        Some(format!("{name}=={version}\n"))
    });
    pinned.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Order, choose, command, variables};
    use crate::job::settings::InstallerChoice;
    use crate::prepare::requirements::pip_settings::PipSettings;
    use crate::prepare::requirements::progress::Installer;
    use crate::prepare::requirements::scan::Scan;

    #[test]
    fn uv_is_run_where_it_is_there_and_can_read_everything() {
        for (asked, has_uv, obstacle, expected) in [
            (InstallerChoice::Auto, true, None, Some(Installer::Uv)),
            (InstallerChoice::Auto, true, Some("x"), Some(Installer::Pip)),
            (InstallerChoice::Auto, false, None, Some(Installer::Pip)),
            (InstallerChoice::Pip, true, None, Some(Installer::Pip)),
            (InstallerChoice::Uv, true, Some("x"), Some(Installer::Uv)),
            (InstallerChoice::Uv, false, None, None),
        ] {
            let found = choose(asked, has_uv, obstacle).ok().map(|(installer, _)| installer);
            assert_eq!(found, expected, "{asked:?} {has_uv} {obstacle:?}");
        }
    }

    #[test]
    fn commands_are_short_and_hold_no_url() {
        let order = Order {
            package: true,
            file: Some("r.txt".into()),
            constraints: Some("/t/c.txt".into()),
            options: vec!["--no-index".to_owned()],
        };
        let text =
            |installer, program| command(installer, Path::new(program), Path::new("/py"), &order).join(" ".as_ref());
        assert_eq!(text(Installer::Pip, "/py"), "/py -m pip install . -r r.txt -c /t/c.txt --no-index");
        assert_eq!(text(Installer::Uv, "/uv"), "/uv pip install --python /py . -r r.txt -c /t/c.txt --no-index");
    }

    #[test]
    fn the_users_own_variables_are_left_alone() {
        let settings = PipSettings::read(["[global]\nindex-url = https://a\ntrusted-host = a"], []);
        let scan = Scan { trusted_hosts: vec!["b".to_owned()], pre: true, ..Scan::default() };
        let found = |installer, pool: Option<&str>, given: &[&str]| {
            let given = |name: &str| given.contains(&name).then(String::new);
            variables(installer, &settings, &scan, pool.map(Path::new), given)
        };
        let has = |found: &[(&str, String)], name: &str, value: &str| found.contains(&(name, value.to_owned()));
        let pip = found(Installer::Pip, Some("/pool"), &["PIP_PROGRESS_BAR"]);
        assert!(has(&pip, "PIP_NO_INPUT", "1") && has(&pip, "PIP_CACHE_DIR", "/pool/footplate/pip"), "{pip:?}");
        assert!(!pip.iter().any(|(name, _)| *name == "PIP_PROGRESS_BAR" || name.starts_with("UV_")), "{pip:?}");
        let uv = found(Installer::Uv, Some("/pool"), &[]);
        for (name, value) in [
            ("UV_CACHE_DIR", "/pool/footplate/uv"),
            ("UV_DEFAULT_INDEX", "https://a"),
            ("UV_INSECURE_HOST", "a b"),
            ("UV_PRERELEASE", "allow"),
            ("UV_INDEX_STRATEGY", "unsafe-best-match"),
        ] {
            assert!(has(&uv, name, value), "{name}: {uv:?}");
        }
        let uv = found(Installer::Uv, None, &["UV_INDEX_URL", "UV_LINK_MODE"]);
        assert!(
            !uv.iter().any(|(name, _)| ["UV_DEFAULT_INDEX", "UV_LINK_MODE", "UV_CACHE_DIR"].contains(name)),
            "{uv:?}"
        );
    }
}
