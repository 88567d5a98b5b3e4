//! pip's settings, from its configuration files and its variables, and their translation for uv, which reads neither.
//!
//! The names and their meaning were read from pip 23.2.1 and uv 0.13.9.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The settings of `pip install`, by their long options without the dashes: `index-url`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PipSettings(BTreeMap<String, String>);

/// The variables that begin with `PIP_` but are not options.
const NOT_OPTIONS: [&str; 2] = ["PIP_CONFIG_FILE", "PIP_PYTHON_PATH"];

/// The settings that do not change what uv installs: they do not apply to uv, or uv behaves so by default.
const IRRELEVANT_TO_UV: [&str; 24] = [
    "break-system-packages",
    "cache-dir",
    "default-timeout",
    "disable-pip-version-check",
    "exists-action",
    "log",
    "no-color",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "retries",
    "root-user-action",
    "timeout",
    "truststore",
    "upgrade-strategy",
    "use-deprecated",
    "use-feature",
    "use-pep517",
    "verbose",
    "resume-retries",
];

/// pip's settings, translated for uv by [`PipSettings::for_uv`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UvSettings {
    /// Variables of uv.
    pub variables: Vec<(&'static str, String)>,
    /// Arguments of uv, for settings that have no variable.
    pub arguments: Vec<String>,
    /// The names of pip's settings that uv cannot express. If there are any, uv may install something other than pip.
    pub unsupported: Vec<String>,
}

impl PipSettings {
    /// Parses the texts of the configuration files, in ascending order of precedence, and the `PIP_` variables, which
    /// take precedence over all files. In the files, the section `install` takes precedence over `global`.
    pub fn read<'t>(
        files: impl IntoIterator<Item = &'t str>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> PipSettings {
        let (mut global, mut install) = (BTreeMap::new(), BTreeMap::new());
        for text in files {
            for (section, name, value) in entries(text) {
                if section == "global" {
                    global.insert(name, value);
                } else if section == "install" {
                    install.insert(name, value);
                }
            }
        }
        global.append(&mut install);
        for (name, value) in variables {
            // pip ignores empty variables.
            if let (Some(option), false) = (name.strip_prefix("PIP_"), value.is_empty())
                && !NOT_OPTIONS.contains(&name.as_str())
            {
                global.insert(option.to_lowercase().replace('_', "-"), value);
            }
        }
        PipSettings(global)
    }

    /// Returns the paths of pip's configuration files on Linux, in ascending order of precedence: those of the machine,
    /// of the user, of the interpreter, and last the file that `PIP_CONFIG_FILE` names, which replaces those of the
    /// user. `prefix` is the interpreter's `sys.prefix`.
    pub fn paths(prefix: &Path, variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let named = variable("PIP_CONFIG_FILE").map(PathBuf::from).filter(|path| path.exists());
        let machine = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
        let mut paths: Vec<PathBuf> = machine
            .split(':')
            .filter(|folder| !folder.is_empty())
            .map(|folder| Path::new(folder).join("pip/pip.conf"))
            .collect();
        paths.push("/etc/pip.conf".into());
        if let (None, Some(home)) = (&named, variable("HOME").map(PathBuf::from)) {
            paths.push(home.join(".pip/pip.conf"));
            let config = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
            paths.push(config.join("pip/pip.conf"));
        }
        paths.push(prefix.join("pip.conf"));
        paths.extend(named);
        paths
    }

    /// Replaces the index (`index-url`).
    pub fn set_index(&mut self, url: String) {
        self.0.insert("index-url".to_owned(), url);
    }

    /// Returns the value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the words of a setting that takes several, separated by white space.
    pub fn words(&self, name: &str) -> Vec<&str> {
        self.get(name).unwrap_or_default().split_whitespace().collect()
    }

    /// Returns true if a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_on)
    }

    /// Translates the settings for uv.
    pub fn for_uv(&self) -> UvSettings {
        let mut found = UvSettings::default();
        for (name, value) in &self.0 {
            let mut set = |name, value: &str| found.variables.push((name, value.to_owned()));
            let words = value.split_whitespace().collect::<Vec<_>>().join(" ");
            // Some of uv's variables separate their values by commas.
            let comma_separated = words.replace(' ', ",");
            match name.as_str() {
                "index-url" | "pypi-url" => set("UV_DEFAULT_INDEX", value.trim()),
                "extra-index-url" => set("UV_EXTRA_INDEX_URL", &words),
                "find-links" => set("UV_FIND_LINKS", &comma_separated),
                "trusted-host" => set("UV_INSECURE_HOST", &words),
                "constraint" => {
                    set("UV_CONSTRAINT", &words);
                    set("UV_BUILD_CONSTRAINT", &words);
                }
                "cert" => set("SSL_CERT_FILE", value.trim()),
                "client-cert" => set("SSL_CLIENT_CERT", value.trim()),
                "proxy" => set("ALL_PROXY", value.trim()),
                "no-binary" | "only-binary" => {
                    let packages = value.split([',', ' ', '\n']).map(str::trim).filter(|package| !package.is_empty());
                    let options = packages.flat_map(|package| [format!("--{name}"), package.to_owned()]);
                    found.arguments.extend(options);
                }
                "no-index" if is_on(value) => found.arguments.push("--no-index".to_owned()),
                "no-cache-dir" if is_on(value) => set("UV_NO_CACHE", "1"),
                "pre" if is_on(value) => set("UV_PRERELEASE", "allow"),
                "require-hashes" if is_on(value) => set("UV_REQUIRE_HASHES", "1"),
                name if IRRELEVANT_TO_UV.contains(&name) || is_off(value) => {}
                name => found.unsupported.push(name.to_owned()),
            }
        }
        if let Some(seconds) = self.get("timeout").or_else(|| self.get("default-timeout")) {
            // uv accepts whole seconds only.
            if let Ok(seconds) = seconds.trim().parse::<f64>() {
                found.variables.push(("UV_HTTP_TIMEOUT", format!("{:.0}", seconds.max(1.0))));
            }
        }
        found
    }
}

/// Shows the names only, because values can hold passwords.
impl std::fmt::Debug for PipSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys().collect::<BTreeSet<_>>()).finish()
    }
}

fn is_on(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t")
}

fn is_off(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off" | "n" | "f")
}

/// Returns section, name and value of each entry of a configuration file, as Python's configparser reads it. The values
/// of a multi-line entry are separated by line feeds.
fn entries(text: &str) -> Vec<(String, String, String)> {
    let (mut section, mut found) = (String::new(), Vec::<(String, String, String)>::new());
    for line in text.trim_start_matches('\u{feff}').lines() {
        let content = line.trim();
        if content.starts_with(['#', ';']) || content.is_empty() {
            continue;
        }
        let is_continued = line.starts_with(char::is_whitespace);
        if let (true, Some((_, _, value))) = (is_continued, found.last_mut()) {
            value.push('\n');
            value.push_str(content);
        } else if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if let Some(at) = content.find(['=', ':']) {
            let name = content[..at].trim().trim_start_matches("--").to_lowercase().replace('_', "-");
            found.push((section.clone(), name, content[at + 1..].trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::PipSettings;

    const FILE: &str = "# ours\n[global]\nindex-url = https://me:pw@one/simple\nextra_index_url =\n    https://two/simple\n    \
                        https://three/simple\n; no\n[install]\nno-deps: false\nfind-links = /wheels /more\n[freeze]\nuser = 1\n";

    fn settings(variables: &[(&str, &str)]) -> PipSettings {
        PipSettings::read([FILE], variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn variables_override_files_and_a_commands_section_the_global_one() {
        let read = settings(&[("PIP_INDEX_URL", "https://four"), ("PIP_NO_INPUT", ""), ("PIP_CONFIG_FILE", "/x")]);
        assert_eq!(read.get("index-url"), Some("https://four"));
        assert_eq!(read.words("extra-index-url"), ["https://two/simple", "https://three/simple"]);
        assert_eq!((read.get("user"), read.get("no-input"), read.get("config-file")), (None, None, None));
        let read = PipSettings::read(["[install]\ntimeout = 1\n[global]\ntimeout = 2\n", "[global]\ntimeout = 3"], []);
        assert_eq!(read.get("timeout"), Some("1"));
        assert!(!format!("{:?}", settings(&[])).contains("pw"));
    }

    #[test]
    fn each_setting_is_translated_for_uv_or_reported_as_unsupported() {
        let found = settings(&[
            ("PIP_TRUSTED_HOST", "one two"),
            ("PIP_CONSTRAINT", "a.txt b.txt"),
            ("PIP_NO_INDEX", "0"),
            ("PIP_PRE", "true"),
            ("PIP_ONLY_BINARY", "numpy,:all:"),
            ("PIP_DEFAULT_TIMEOUT", "12.5"),
            ("PIP_CERT", "/ca.pem"),
        ])
        .for_uv();
        let mut variables = found.variables;
        variables.sort();
        let expected = [
            ("SSL_CERT_FILE", "/ca.pem"),
            ("UV_BUILD_CONSTRAINT", "a.txt b.txt"),
            ("UV_CONSTRAINT", "a.txt b.txt"),
            ("UV_DEFAULT_INDEX", "https://me:pw@one/simple"),
            ("UV_EXTRA_INDEX_URL", "https://two/simple https://three/simple"),
            ("UV_FIND_LINKS", "/wheels,/more"),
            ("UV_HTTP_TIMEOUT", "12"),
            ("UV_INSECURE_HOST", "one two"),
            ("UV_PRERELEASE", "allow"),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name, value.to_owned())));
        assert!(found.unsupported.is_empty(), "{:?}", found.unsupported);
        assert_eq!(found.arguments, ["--only-binary", "numpy", "--only-binary", ":all:"]);
        assert_eq!(settings(&[("PIP_TARGET", "/t"), ("PIP_USER", "1")]).for_uv().unsupported, ["target", "user"]);
    }
}
