//! Whether the package indexes can be reached, asked before an installer asks them again and again.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use http::Uri;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::pip_settings::PipSettings;
use super::progress::Installer;
use super::scan::Scan;
use crate::resolve;

/// How long looking a name up, and connecting, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an installer looks for packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The indexes.
    pub indexes: Vec<String>,
    /// Whether packages can come from elsewhere, too: folders, or pages with links.
    pub has_others: bool,
}

/// The places that the files, the variables and pip's settings name, the strongest of which counts as the one index;
/// `built_in` is the index where none is named.
pub fn places(
    installer: Installer,
    scan: &Scan,
    settings: &PipSettings,
    built_in: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Places {
    let words = |name: &str| -> Vec<String> {
        let value = if installer == Installer::Uv { variable(name) } else { None };
        value.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let own = || words("UV_DEFAULT_INDEX").pop().or_else(|| words("UV_INDEX_URL").pop());
    let set = || settings.get("index-url").map(|url| url.trim().to_owned());
    let index = scan.index.clone().or_else(own).or_else(set).or_else(|| built_in.map(str::to_owned));
    let mut indexes: Vec<String> = index.into_iter().chain(scan.extra_indexes.iter().cloned()).collect();
    indexes.extend(words("UV_INDEX").into_iter().chain(words("UV_EXTRA_INDEX_URL")));
    indexes.extend(settings.words("extra-index-url").into_iter().map(str::to_owned));
    if scan.no_index || settings.is_on("no-index") {
        indexes.clear();
    }
    let has_others =
        !scan.find_links.is_empty() || !settings.words("find-links").is_empty() || !words("UV_FIND_LINKS").is_empty();
    Places { indexes, has_others }
}

/// Proxies that the installer goes through.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `http`.
    pub http: Option<String>,
    /// For `https`.
    pub https: Option<String>,
    /// Hosts that are reached without.
    pub none_for: String,
}

impl Proxies {
    /// As the variables and pip's own setting say.
    pub fn of(settings: &PipSettings, variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let own = settings.get("proxy").map(|url| url.trim().to_owned());
        let all = first(&["all_proxy", "ALL_PROXY"]);
        Proxies {
            http: own.clone().or_else(|| first(&["http_proxy", "HTTP_PROXY"])).or_else(|| all.clone()),
            https: own.or_else(|| first(&["https_proxy", "HTTPS_PROXY"])).or(all),
            none_for: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }

    /// The proxy for a host.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The index.
    pub index: String,
    reason: String,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the package index {} cannot be reached: {}", self.index, self.reason)
    }
}

/// What can be done about indexes that cannot be reached.
pub const REMEDY: &str = "under network isolation bring the packages as a channel of wheels (PIP_NO_INDEX=1 and \
                          PIP_FIND_LINKS=its folder) or in the image; in a VPC give the job a NAT gateway, or the VPC \
                          endpoint of a CodeArtifact repository (CA_REPOSITORY_ARN)";

/// Connects to each index, or to the proxy before it, all at once; gives those that cannot be connected to. What an index
/// answers is the installer's to see.
pub async fn probe(indexes: &[String], proxies: &Proxies) -> Vec<Unreachable> {
    let probes = indexes.iter().map(|url| async move {
        // What is no URL, the installer will say.
        let (scheme, host, port) = parts(url)?;
        let shown = match url.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest)),
            None => url.clone(),
        };
        let unreachable = |reason| Unreachable { index: shown.clone(), reason };
        match proxies.proxy_for(&scheme, &host) {
            None => connect(&host, port).await.err().map(unreachable),
            Some(proxy) => {
                let proxy = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
                let (_, host, port) = parts(&proxy)?;
                let error = connect(&host, port).await.err()?;
                Some(unreachable(format!("its proxy: {error}")))
            }
        }
    });
    join_all(probes).await.into_iter().flatten().collect()
}

/// Scheme, host and port of a URL that is reached over a network.
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

async fn connect(host: &str, port: u16) -> Result<(), String> {
    let addresses = match timeout(PATIENCE, resolve::lookup(host)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no name server tells within {} s what {host} is", PATIENCE.as_secs())),
    };
    let mut reason = String::new();
    let connected = timeout(PATIENCE, async {
        for address in &addresses {
            match TcpStream::connect((*address, port)).await {
                Ok(_) => return true,
                Err(error) => reason = format!("{host} port {port}: {error}"),
            }
        }
        false
    });
    match connected.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(reason),
        Err(_) => Err(format!("{host} port {port}: no connection within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, Proxies, parts, places};
    use crate::prepare::requirements::pip_settings::PipSettings;
    use crate::prepare::requirements::progress::Installer;
    use crate::prepare::requirements::scan::Scan;

    #[test]
    fn the_places_are_those_of_the_files_then_of_the_variables_then_of_pips_settings() {
        let found = |installer, scan: Scan, settings: &str, variables: &[(&str, &str)]| {
            let settings = PipSettings::read([settings], []);
            let variable =
                |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            places(installer, &scan, &settings, Some("https://built-in"), variable)
        };
        let scan = |index: Option<&str>| Scan { index: index.map(str::to_owned), ..Scan::default() };
        let indexes = |places: Places| places.indexes.join(" ");
        assert_eq!(
            indexes(found(Installer::Pip, scan(None), "", &[("UV_INDEX_URL", "https://uv")])),
            "https://built-in"
        );
        assert_eq!(indexes(found(Installer::Uv, scan(None), "", &[("UV_INDEX_URL", "https://uv")])), "https://uv");
        let settings = "[global]\nindex-url = https://set\nextra-index-url = https://x https://y\nfind-links = /w";
        let set = found(Installer::Pip, scan(None), settings, &[]);
        assert!(set.has_others);
        assert_eq!(indexes(set), "https://set https://x https://y");
        assert_eq!(indexes(found(Installer::Uv, scan(Some("https://file")), "", &[])), "https://file");
        assert_eq!(indexes(found(Installer::Uv, scan(None), "[install]\nno-index = true", &[])), "");
        let none = Scan { no_index: true, ..scan(Some("https://file")) };
        assert_eq!(indexes(found(Installer::Pip, none, "", &[])), "");
    }

    #[test]
    fn proxies_are_passed_through_but_for_the_hosts_that_need_none() {
        let variables = [("HTTPS_PROXY", "http://p:3128"), ("no_proxy", "a.org, .b.org,127.0.0.1")];
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let proxies = Proxies::of(&PipSettings::default(), variable);
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
