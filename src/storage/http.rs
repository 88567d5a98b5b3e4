//! The HTTP client: with a resolver, certificates and proxies of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use reqwest::{Client, NoProxy, Proxy};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::access::Network;
use crate::resolve;

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a server may send nothing while it is to send something.
const SILENCE: Duration = Duration::from_secs(20);
/// Addresses within the machine that give credentials; no proxy reaches them.
const WITHIN: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,localhost,127.0.0.1";

/// How often a small request is asked at most.
const ATTEMPTS: u32 = 3;

/// Asks again where that may help, which an error says, with a pause that grows.
///
/// # Errors
/// The last one.
pub(super) async fn persistently<T, A>(what: &str, ask: impl Fn() -> A) -> Result<T, String>
where
    A: Future<Output = Result<T, (String, bool)>>,
{
    let mut attempt = 1;
    loop {
        match ask().await {
            Err((error, true)) if attempt < ATTEMPTS => {
                tracing::debug!("{what}: {error}; asking again");
                tokio::time::sleep(Duration::from_millis(300) * attempt).await;
                attempt += 1;
            }
            other => return other.map_err(|(error, _)| error),
        }
    }
}

/// Makes a client.
///
/// # Errors
/// In words: the certificates or a proxy are not as they should be.
pub(super) fn client(network: &Network) -> Result<Client, String> {
    let mut builder = Client::builder()
        .dns_resolver(Arc::new(Names))
        .tls_backend_preconfigured(tls(network.ca_bundle.as_deref())?)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECTING)
        .read_timeout(SILENCE)
        .user_agent(concat!("footplate/", env!("CARGO_PKG_VERSION")));
    let direct = || NoProxy::from_string(&format!("{},{WITHIN}", network.no_proxy));
    for (scheme, proxy) in [("http", &network.http_proxy), ("https", &network.https_proxy)] {
        let Some(url) = proxy else { continue };
        // The URL may hold a password.
        let bad = |_| format!("the variable {scheme}_proxy holds no URL of a proxy");
        let proxy = match scheme {
            "http" => Proxy::http(url),
            _ => Proxy::https(url),
        };
        builder = builder.proxy(proxy.map_err(bad)?.no_proxy(direct()));
    }
    builder.build().map_err(|error| error.to_string())
}

/// The certificates that are trusted: those of a bundle that was named, else the image's, else the ones built in.
fn tls(bundle: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match bundle {
        Some(path) => {
            let failed = |error: &dyn std::fmt::Display| format!("the CA bundle {}: {error}", path.display());
            let text = std::fs::read(path).map_err(|error| failed(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|error| failed(&error))?;
                // A bundle may hold a certificate that is of no use beside those that are.
                let _ = roots.add(certificate);
            }
            if roots.is_empty() {
                return Err(failed(&"it holds no certificate"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Looks names up without the C library.
#[derive(Debug)]
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = resolve::lookup(name.as_str()).await?;
            // The port is put in by the client.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
