//! uv's own settings, in particular those that can make uv change packages even if all requirements are met.
//!
//! The names were read from uv 0.13.9. An unknown setting counts as one that can.

use std::path::{Path, PathBuf};

use crate::system::files;

/// The beginnings of the names of variables that do not change which installed packages uv accepts: places of
/// packages, caches, the network, and tools other than `uv pip`. `UV_CONSTRAINT` is handled like a requirements file.
const IRRELEVANT: [&str; 44] = [
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_BUILD_CONSTRAINT",
    "UV_CACHE_DIR",
    "UV_COMPILE_BYTECODE",
    "UV_CONCURRENT_",
    "UV_CONSTRAINT",
    "UV_CUSTOM_COMPILE_COMMAND",
    "UV_DEFAULT_INDEX",
    "UV_DOWNLOAD_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_GITHUB_TOKEN",
    "UV_HTTP_",
    "UV_INDEX",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_INSTALL",
    "UV_KEYRING_PROVIDER",
    "UV_LINK_MODE",
    "UV_LOG_CONTEXT",
    "UV_MANAGED_PYTHON",
    "UV_NATIVE_TLS",
    "UV_NO_BUILD",
    "UV_NO_CACHE",
    "UV_NO_INDEX",
    "UV_NO_MANAGED_PYTHON",
    "UV_NO_PROGRESS",
    "UV_NO_SYNC",
    "UV_OFFLINE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PUBLISH_",
    "UV_PYPY_INSTALL_MIRROR",
    "UV_PYTHON",
    "UV_REQUEST_TIMEOUT",
    "UV_S3_ENDPOINT_URL",
    "UV_STACK_SIZE",
    "UV_SYSTEM_CERTS",
    "UV_SYSTEM_PYTHON",
    "UV_TOOL_",
    "UV_TORCH_BACKEND",
    "UV_UNMANAGED_INSTALL",
    "UV_VENV_",
    "UV_VERSION",
    "UV_WORKING_DIR",
];

/// Returns the name of a setting of uv that can change which packages are installed although all requirements are met;
/// `None` if there is none. `variables` are those of the container, as names and values.
pub fn deciding_setting(
    variables: impl Iterator<Item = (String, String)>,
    code_dir: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let matters = |(name, value): (String, String)| {
        let is_known = IRRELEVANT.iter().any(|beginning| name.starts_with(beginning));
        (name.starts_with("UV_") && !is_known && !value.is_empty()).then_some(name)
    };
    let of_variables = variables.into_iter().find_map(matters);
    of_variables.or_else(|| configuration(code_dir, variable).map(|path| path.display().to_string()))
}

/// Returns the first existing configuration file among those that uv would read when it runs in the code folder.
fn configuration(code_dir: &Path, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let of_projects = code_dir.ancestors().flat_map(|folder| [folder.join("uv.toml"), folder.join("pyproject.toml")]);
    let users = variable("XDG_CONFIG_HOME").or_else(|| Some(format!("{}/.config", variable("HOME")?)));
    let machines = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let folders = users.iter().map(String::as_str).chain(machines.split(':')).chain(["/etc"]);
    let own = folders.map(|folder| Path::new(folder).join("uv/uv.toml"));
    let decides = |path: &PathBuf| {
        if path.ends_with("uv.toml") {
            path.is_file()
        } else {
            files::read(path, files::TEXT_SIZE).is_ok_and(|text| String::from_utf8_lossy(&text).contains("[tool.uv"))
        }
    };
    of_projects.chain(own).find(decides)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::deciding_setting;

    #[test]
    fn a_setting_that_can_change_the_answer_is_found_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let code = folder.path().join("code");
        fs::create_dir_all(&code).unwrap();
        let found = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let home = folder.path().join("home").display().to_string();
            deciding_setting(pairs.into_iter(), &code, |name| (name == "HOME").then(|| home.clone()))
        };
        for name in [
            "UV_OVERRIDE",
            "UV_EXCLUDE_NEWER",
            "UV_PRERELEASE",
            "UV_RESOLUTION",
            "UV_UPGRADE",
            "UV_REINSTALL",
            "UV_NO_DEPS",
            "UV_TARGET",
            "UV_CONFIG_FILE",
            "UV_SOMETHING_NEW",
        ] {
            assert_eq!(found(&[("PATH", "x"), (name, "1")]).as_deref(), Some(name));
            assert_eq!(found(&[(name, "")]), None, "an empty variable is none");
        }
        let irrelevant = ["UV_CACHE_DIR", "UV_INDEX_URL", "UV_HTTP_TIMEOUT", "UV_LINK_MODE", "UV_CONSTRAINT", "UVX"];
        assert_eq!(found(&irrelevant.map(|name| (name, "1"))), None);
        fs::write(code.join("pyproject.toml"), "[project]\nname = 'x'\n").unwrap();
        assert_eq!(found(&[]), None);
        for (path, text) in [
            ("code/pyproject.toml", "[tool.uv]\noverride-dependencies = ['a<2']\n"),
            ("uv.toml", "upgrade = true\n"),
            ("home/.config/uv/uv.toml", "[pip]\n"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            assert_eq!(found(&[]), Some(path.display().to_string()));
            fs::remove_file(&path).unwrap();
        }
    }
}
