//! The package indexes that an installer will use, and the check that they can be reached.
//!
//! The check runs before the installer, because an installer that cannot reach an index retries for minutes and then
//! reports a missing package.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use http::Uri;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::installer::InstallerKind;
use super::pip_settings::PipSettings;
use super::scan::Scan;
use crate::system::resolve::{self, ResolveError};

/// The maximum time for looking up a name, and again for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The sources that an installer takes packages from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageSources {
    /// The URLs of the indexes. They can hold passwords.
    pub indexes: Vec<String>,
    /// True if there are other sources (`--find-links`): folders, or pages with links.
    pub has_find_links: bool,
}

/// Returns the sources that the requirements files, the variables and pip's settings name.
///
/// There is one main index: the one in the files, else in uv's variables (for uv only), else in pip's settings, else
/// `default_index`. All further indexes are added to it.
pub fn package_sources(
    installer: InstallerKind,
    scan: &Scan,
    settings: &PipSettings,
    default_index: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> PackageSources {
    let words = |name: &str| -> Vec<String> {
        let value = if installer == InstallerKind::Uv { variable(name) } else { None };
        value.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let uv_index = || words("UV_DEFAULT_INDEX").pop().or_else(|| words("UV_INDEX_URL").pop());
    let pip_index = || settings.get("index-url").map(|url| url.trim().to_owned());
    let index = scan.index.clone().or_else(uv_index).or_else(pip_index).or_else(|| default_index.map(str::to_owned));
    let mut indexes: Vec<String> = index.into_iter().chain(scan.extra_indexes.iter().cloned()).collect();
    indexes.extend(words("UV_INDEX").into_iter().chain(words("UV_EXTRA_INDEX_URL")));
    indexes.extend(settings.words("extra-index-url").into_iter().map(str::to_owned));
    if scan.no_index || settings.is_on("no-index") {
        indexes.clear();
    }
    let has_find_links =
        !scan.find_links.is_empty() || !settings.words("find-links").is_empty() || !words("UV_FIND_LINKS").is_empty();
    PackageSources { indexes, has_find_links }
}

/// The proxies between an installer and the indexes.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// The proxy for `http`.
    pub http: Option<String>,
    /// The proxy for `https`.
    pub https: Option<String>,
    /// The hosts that are reached without a proxy, separated by commas (`no_proxy`).
    pub none_for: String,
}

impl Proxies {
    /// Returns the proxies that pip's setting `proxy` names, else those of the usual variables.
    pub fn from_settings(settings: &PipSettings, variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let pip_proxy = settings.get("proxy").map(|url| url.trim().to_owned());
        let all = first(&["all_proxy", "ALL_PROXY"]);
        Proxies {
            http: pip_proxy.clone().or_else(|| first(&["http_proxy", "HTTP_PROXY"])).or_else(|| all.clone()),
            https: pip_proxy.or_else(|| first(&["https_proxy", "HTTPS_PROXY"])).or(all),
            none_for: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }

    /// Returns the proxy for a host; `None` if the host is reached directly.
    fn proxy_for(&self, scheme: &str, host: &str) -> Option<&str> {
        let mut direct = self.none_for.split(',').map(|name| name.trim().trim_start_matches('.'));
        let is_direct = direct.any(|name| {
            let is_below = || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
            !name.is_empty() && (name == "*" || host.eq_ignore_ascii_case(name) || is_below())
        });
        let proxy = if scheme == "https" { &self.https } else { &self.http };
        proxy.as_deref().filter(|_| !is_direct)
    }
}

/// An index that cannot be reached. Its text holds no user name or password.
#[derive(Debug, thiserror::Error)]
#[error("the package index {index} cannot be reached: {reason}")]
pub struct UnreachableIndex {
    /// The URL of the index, without user name and password.
    index: String,
    reason: Unreachable,
}

/// The server of an index that a connection cannot be made to.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    #[error("{0}")]
    Index(ConnectError),
    #[error("its proxy: {0}")]
    Proxy(ConnectError),
}

/// The reason why a connection cannot be made.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Lookup(#[from] ResolveError),
    #[error("no name server answers for {0} within {seconds} s", seconds = CONNECT_TIMEOUT.as_secs())]
    LookupTimeout(String),
    #[error("{host} port {port}: {error}")]
    Refused { host: String, port: u16, error: io::Error },
    #[error("{host} port {port}: no connection within {seconds} s", seconds = CONNECT_TIMEOUT.as_secs())]
    Timeout { host: String, port: u16 },
}

/// The remedies for indexes that cannot be reached, for messages.
pub const INDEX_REMEDY: &str = "under network isolation bring the packages as a channel of wheels (PIP_NO_INDEX=1 and PIP_FIND_LINKS=its folder) \
     or in the image; in a VPC give the job a NAT gateway, or the VPC endpoint of a CodeArtifact repository \
     (CA_REPOSITORY_ARN)";

/// Connects to all indexes at once, or to their proxies, and returns those that cannot be reached. No request is
/// sent, because the installer will see the answers of the indexes. A text that is not a URL is left to the installer
/// too.
pub async fn unreachable_indexes(indexes: &[String], proxies: &Proxies) -> Vec<UnreachableIndex> {
    let probes = indexes.iter().map(|url| async move {
        let (scheme, host, port) = parts(url)?;
        let reason = match proxies.proxy_for(&scheme, &host) {
            None => Unreachable::Index(connect(&host, port).await.err()?),
            Some(proxy) => {
                let proxy = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
                let (_, host, port) = parts(&proxy)?;
                Unreachable::Proxy(connect(&host, port).await.err()?)
            }
        };
        Some(UnreachableIndex { index: without_password(url), reason })
    });
    join_all(probes).await.into_iter().flatten().collect()
}

/// Returns a URL without its user name and password.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest)),
        None => url.to_owned(),
    }
}

/// Returns scheme, host and port of an `http` or `https` URL; `None` for any other text.
fn parts(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.trim().parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some((scheme, uri.host()?.to_owned(), uri.port_u16().unwrap_or(usual)))
}

/// Connects to a host and closes the connection. The addresses of the host are tried one after the other.
async fn connect(host: &str, port: u16) -> Result<(), ConnectError> {
    let addresses = match timeout(CONNECT_TIMEOUT, resolve::lookup(host)).await {
        Ok(addresses) => addresses?,
        Err(_) => return Err(ConnectError::LookupTimeout(host.to_owned())),
    };
    let connected = timeout(CONNECT_TIMEOUT, async {
        let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &addresses {
            match TcpStream::connect((*address, port)).await {
                Ok(_) => return Ok(()),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    });
    let host = || host.to_owned();
    match connected.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ConnectError::Refused { host: host(), port, error }),
        Err(_) => Err(ConnectError::Timeout { host: host(), port }),
    }
}

#[cfg(test)]
mod tests {
    use super::{PackageSources, Proxies, package_sources, parts, unreachable_indexes, without_password};
    use crate::prepare::requirements::installer::InstallerKind;
    use crate::prepare::requirements::pip_settings::PipSettings;
    use crate::prepare::requirements::scan::Scan;

    #[test]
    fn the_index_of_a_file_overrides_variables_and_pips_settings() {
        let found = |installer, scan: Scan, settings: &str, variables: &[(&str, &str)]| {
            let settings = PipSettings::read([settings], []);
            let variable =
                |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            package_sources(installer, &scan, &settings, Some("https://built-in"), variable)
        };
        let scan = |index: Option<&str>| Scan { index: index.map(str::to_owned), ..Scan::default() };
        let indexes = |sources: PackageSources| sources.indexes.join(" ");
        assert_eq!(
            indexes(found(InstallerKind::Pip, scan(None), "", &[("UV_INDEX_URL", "https://uv")])),
            "https://built-in"
        );
        assert_eq!(indexes(found(InstallerKind::Uv, scan(None), "", &[("UV_INDEX_URL", "https://uv")])), "https://uv");
        let settings = "[global]\nindex-url = https://set\nextra-index-url = https://x https://y\nfind-links = /w";
        let set = found(InstallerKind::Pip, scan(None), settings, &[]);
        assert!(set.has_find_links);
        assert_eq!(indexes(set), "https://set https://x https://y");
        assert_eq!(indexes(found(InstallerKind::Uv, scan(Some("https://file")), "", &[])), "https://file");
        assert_eq!(indexes(found(InstallerKind::Uv, scan(None), "[install]\nno-index = true", &[])), "");
        let none = Scan { no_index: true, ..scan(Some("https://file")) };
        assert_eq!(indexes(found(InstallerKind::Pip, none, "", &[])), "");
    }

    #[tokio::test]
    async fn an_index_that_refuses_connections_is_named_without_its_password() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = socket.local_addr().unwrap().port();
        let closed = {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().port()
        };
        let index = |port: u16| format!("http://me:p@ss@127.0.0.1:{port}/simple");
        let indexes = [index(open), index(closed), "not a URL".to_owned(), "file:///x".to_owned()];
        let found = unreachable_indexes(&indexes, &Proxies::default()).await;
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = format!(
            "the package index http://127.0.0.1:{closed}/simple cannot be reached: 127.0.0.1 port {closed}: Connection \
             refused (os error 111)"
        );
        assert_eq!(texts, [expected]);
        let proxies = Proxies { http: Some(format!("127.0.0.1:{closed}")), ..Proxies::default() };
        let found = unreachable_indexes(&indexes[..1], &proxies).await;
        assert!(found[0].to_string().contains("cannot be reached: its proxy: 127.0.0.1 port "), "{}", found[0]);
        assert_eq!(without_password("https://token@host/simple"), "https://host/simple");
        assert_eq!(without_password("host/simple"), "host/simple");
    }

    #[test]
    fn each_host_has_its_proxy_unless_no_proxy_lists_it() {
        let variables = [("HTTPS_PROXY", "http://p:3128"), ("no_proxy", "a.org, .b.org,127.0.0.1")];
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let proxies = Proxies::from_settings(&PipSettings::default(), variable);
        for (scheme, host, expected) in [
            ("https", "c.org", true),
            ("http", "c.org", false),
            ("https", "a.org", false),
            ("https", "x.a.org", false),
            ("https", "xa.org", true),
            ("https", "x.b.org", false),
            ("https", "127.0.0.1", false),
        ] {
            assert_eq!(proxies.proxy_for(scheme, host).is_some(), expected, "{scheme} {host}");
        }
        assert_eq!(parts("https://u:p@host/simple"), Some(("https".to_owned(), "host".to_owned(), 443)));
        assert_eq!(parts("http://[::1]:8080/"), Some(("http".to_owned(), "[::1]".to_owned(), 8080)));
        assert_eq!((parts("file:///x"), parts("nonsense")), (None, None));
    }
}
