//! The network settings of a job: certificates and proxies.

use std::path::PathBuf;
use std::sync::Arc;

use super::tls::TlsSettings;

/// The certificates and proxies that all connections use.
#[derive(Clone, Debug, Default)]
pub(super) struct NetworkSettings {
    pub tls: Arc<TlsSettings>,
    /// The URL of the proxy for `http://` URLs. It may hold a password.
    pub http_proxy: Option<String>,
    /// The URL of the proxy for `https://` URLs. It may hold a password.
    pub https_proxy: Option<String>,
    /// The hosts to connect to directly, separated by commas.
    pub no_proxy: String,
}

impl NetworkSettings {
    /// Reads the settings with `get`, which returns variables that are set and not empty.
    pub fn from_variables(get: &impl Fn(&str) -> Option<String>) -> NetworkSettings {
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let all = first(&["ALL_PROXY", "all_proxy"]);
        NetworkSettings {
            tls: Arc::new(TlsSettings::new(first(&["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]).map(PathBuf::from))),
            // curl ignores HTTP_PROXY in capitals, because in a CGI program a request's `Proxy` header sets it. A
            // container is not a CGI program.
            http_proxy: first(&["http_proxy", "HTTP_PROXY"]).or_else(|| all.clone()),
            https_proxy: first(&["https_proxy", "HTTPS_PROXY"]).or(all),
            no_proxy: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }
}
