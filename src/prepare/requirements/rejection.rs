//! Package indexes that refuse credentials, from the output of an installer.
//!
//! Both installers report a package without versions, and only sometimes the status of the index. So the installer is
//! asked again for this package alone, in a way that shows the status. The wordings are those of pip 21.2 to 26.3 and
//! of uv 0.13.9.

use std::ffi::OsString;
use std::path::Path;

use super::installer::InstallerKind;
use super::scan::Scan;
use super::tool::ISOLATED_PIP;

/// The statuses of a server that refuses credentials, in the wordings of pip and uv, with their meanings.
const REFUSALS: [(&str, &[&str], &str); 3] = [
    (
        "401 Unauthorized",
        &["401 Unauthorized", "401 Client Error", "401 Error", "HTTP error 401"],
        "refuses the credentials",
    ),
    ("403 Forbidden", &["403 Forbidden", "403 Client Error", "403 Error", "HTTP error 403"], "denies access"),
    (
        "407 Proxy Authentication Required",
        &["407 Proxy Authentication", "407 Client Error"],
        "cannot be reached: the proxy refuses the credentials",
    ),
];

/// The errors of servers, in the wordings of pip and uv.
const SERVER_ERRORS: [&str; 3] = ["Server Error: ", "HTTP status server error (", "too many "];

/// The remedy for an index that refuses credentials.
const REMEDY: &str = "renew the user name and the password or token in the index's URL (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, \
                      pip.conf or the requirements file), or give the job's role access";

/// The beginning and the end of pip's error about a package for which it found no version.
const NO_VERSIONS: (&str, &str) = ("satisfies the requirement ", "(from versions: none)");

/// The end of uv's error about a package that no index has.
const NOT_FOUND: &str = " was not found in the package registry";

/// Returns the reason why an index gave no packages, if the output of an installer shows that the index refused the
/// credentials or failed. `error` is the installer's own error, so that messages of a build about other servers do
/// not count.
pub fn rejection(installer: InstallerKind, output: &[u8], error: &str) -> Option<String> {
    match installer {
        InstallerKind::Pip if error.contains(NO_VERSIONS.1) => refusal(output),
        InstallerKind::Pip if error.contains("HTTP error") => refusal(error.as_bytes()),
        InstallerKind::Pip => None,
        InstallerKind::Uv if error.contains(" (building ") || error.contains(" (fetching ") => None,
        InstallerKind::Uv => refusal(output),
    }
}

/// A question to an installer that has found no version of a package. It is asked in a way that shows the status of
/// the indexes. Nothing is installed or downloaded.
#[derive(Clone, Debug)]
pub struct IndexQuery {
    installer: InstallerKind,
    package: String,
    /// The indexes that the requirements files name.
    index: Option<String>,
    extra_indexes: Vec<String>,
    trusted_hosts: Vec<String>,
}

impl IndexQuery {
    /// Returns the question after an error about a package without versions; `None` for any other error, and if no index
    /// is used.
    pub fn after(installer: InstallerKind, error: &str, scan: &Scan) -> Option<IndexQuery> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let package = match installer {
            InstallerKind::Pip if error.contains(NO_VERSIONS.1) => {
                error.split_once(NO_VERSIONS.0)?.1.split(|c| !is_name(c)).next()?
            }
            InstallerKind::Pip => return None,
            InstallerKind::Uv => error.split_once(NOT_FOUND)?.0.rsplit(|c| !is_name(c)).next()?,
        };
        (!package.is_empty() && !scan.no_index).then(|| IndexQuery {
            installer,
            package: package.to_owned(),
            index: scan.index.clone(),
            extra_indexes: scan.extra_indexes.clone(),
            trusted_hosts: scan.trusted_hosts.clone(),
        })
    }

    /// Returns the command. `program` is Python for pip, else uv.
    pub fn command(&self, program: &Path, python: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![program.into()];
        match self.installer {
            // For pip 21.2 and later. With fewer than two letters of verbosity, pip does not print the status.
            InstallerKind::Pip => {
                words.extend(ISOLATED_PIP.map(OsString::from));
                words.extend(["index", "versions", "-vv"].map(OsString::from));
            }
            InstallerKind::Uv => {
                words.extend(["pip", "install", "--dry-run", "--no-deps", "--python"].map(OsString::from));
                words.push(python.into());
            }
        }
        words.push((&self.package).into());
        words
    }

    /// Returns the variables to replace. `given` returns those of the installer that failed.
    pub fn variables(&self, given: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
        let (mut found, [index, extra_indexes, trusted_hosts]) = match self.installer {
            InstallerKind::Pip => (
                vec![("PIP_RETRIES", "0".to_owned()), ("PIP_TIMEOUT", "10".to_owned())],
                ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"],
            ),
            // uv forgets the status of an index if it asks all of them.
            InstallerKind::Uv => (
                vec![("UV_INDEX_STRATEGY", "first-index".to_owned())],
                ["UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST"],
            ),
        };
        found.extend(self.index.clone().map(|url| (index, url)));
        for (name, own) in [(extra_indexes, &self.extra_indexes), (trusted_hosts, &self.trusted_hosts)] {
            if !own.is_empty() {
                found.push((name, [given(name).unwrap_or_default(), own.join(" ")].join(" ").trim().to_owned()));
            }
        }
        found
    }

    /// Returns the reason in the installer's answer. `None` if the indexes have answered normally.
    pub fn answer(&self, output: &[u8]) -> Option<String> {
        refusal(output)
    }
}

fn refusal(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let refused = text.lines().find_map(|line| {
        let is_in = |words: &[&str]| words.iter().any(|word| line.contains(word));
        let (status, _, meaning) = REFUSALS.iter().find(|(_, words, _)| is_in(words))?;
        Some(format!("the package index {} {meaning} ({status}): {REMEDY}", url_in(line)?))
    });
    let failed = || {
        text.lines().find_map(|line| {
            let start = SERVER_ERRORS.iter().find_map(|words| line.find(words))?;
            // pip prints the status before these words, and uv after them.
            let after = line[start..].strip_prefix("too many ").or_else(|| line[start..].split('(').nth(1));
            let around = [line[..start].trim_end().rsplit(' ').next()?, after.unwrap_or_default()];
            let number = |text: &&str| text.get(..3).filter(|number| number.parse::<u16>().is_ok()).map(str::to_owned);
            let status = around.iter().find_map(number)?;
            Some(format!("the package index {} has failed with status {status}: try again", url_in(line)?))
        })
    };
    refused.or_else(failed)
}

/// Returns the first URL in a line, without user name and password.
fn url_in(line: &str) -> Option<String> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let is_end = |c: char| c.is_whitespace() || ")'\"`,".contains(c);
    let url = line[start..].split(is_end).next()?.trim_end_matches([':', '.']);
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{IndexQuery, refusal};
    use crate::prepare::requirements::{InstallerKind, Scan};

    #[test]
    fn an_index_that_refuses_credentials_is_named_without_them() {
        for (output, expected) in [
            (
                "error: No solution found\n\nhint: An index URL (http://host/simple) could not be queried due to a lack of valid \
                 authentication credentials (401 Unauthorized)\n",
                "the package index http://host/simple refuses the credentials (401 Unauthorized): renew",
            ),
            (
                "hint: An index (https://host/simple) returned a 403 Forbidden error. Check that",
                "the package index https://host/simple denies access (403 Forbidden): renew",
            ),
            (
                "WARNING: 401 Error, Credentials not correct for https://me:secret@host/simple/x/",
                "the package index https://host/simple/x/ refuses the credentials (401 Unauthorized): renew",
            ),
            (
                "Could not fetch URL http://host/simple/x/: 403 Client Error: Forbidden for url: http://host/simple/x/ - skipping",
                "the package index http://host/simple/x/ denies access (403 Forbidden): renew",
            ),
            (
                "ERROR: HTTP error 403 while getting https://host/x.whl (from -r r.txt (line 1))",
                "the package index https://host/x.whl denies access (403 Forbidden): renew",
            ),
            (
                "  cause: HTTP status server error (503 Service Unavailable) for url (http://host/simple/x/)",
                "the package index http://host/simple/x/ has failed with status 503: try again",
            ),
            (
                "Could not fetch URL http://host/simple/x/: 500 Server Error: Internal Server Error for url: http://host/simple/x/",
                "the package index http://host/simple/x/ has failed with status 500: try again",
            ),
        ] {
            let found = refusal(output.as_bytes()).unwrap_or_default();
            assert!(found.starts_with(expected), "{output}: {found}");
        }
        for other in
            ["", "Could not fetch URL http://host/x/: 404 Client Error: Not Found for url: http://host/x/", "401 files"]
        {
            assert_eq!(refusal(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_installer_is_asked_again_only_about_a_package_without_versions() {
        let pip =
            "Could not find a version that satisfies the requirement fix[x]==1 (from needy) (from versions: none)";
        let uv = "Because needy==1 depends on fix and fix was not found in the package registry, we can conclude";
        let indexes =
            Scan { index: Some("http://a".to_owned()), extra_indexes: vec!["http://b".to_owned()], ..Scan::default() };
        for (installer, error, command) in [
            (InstallerKind::Pip, pip, "index versions -vv fix"),
            (InstallerKind::Uv, uv, "pip install --dry-run --no-deps --python /py fix"),
        ] {
            let query = IndexQuery::after(installer, error, &indexes).unwrap();
            let words = query.command(Path::new("/p"), Path::new("/py")).join(" ".as_ref());
            assert!(words.to_string_lossy().ends_with(command), "{words:?}");
            let variables = query.variables(|name| name.contains("EXTRA").then(|| "http://c".to_owned()));
            assert!(variables.iter().any(|(_, value)| value == "http://c http://b"), "{variables:?}");
            assert!(IndexQuery::after(installer, error, &Scan { no_index: true, ..Scan::default() }).is_none());
            let other = "Because there is no version of fix==9 and (from versions: 1.0, 2.0)";
            assert!(IndexQuery::after(installer, other, &indexes).is_none());
        }
    }
}
