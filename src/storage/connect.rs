//! Connections: with a resolver, certificates and proxies of footplate's own.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::access::Network;
use crate::resolve::{self, ResolveError};

/// How long a connection may take to come about, with all that belongs to it.
const CONNECTING: Duration = Duration::from_secs(5);
/// Addresses within the machine that give credentials; no proxy reaches them.
const WITHIN: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,localhost,127.0.0.1";

/// Any error.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Pending<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Connects to the server of a URL, or to the proxy that leads to it.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Names>,
    tls: Arc<Tls>,
    proxies: Arc<Matcher>,
}

impl Connector {
    /// As the variables have it.
    ///
    /// # Errors
    /// In words: the certificates or a proxy are not as they should be.
    pub fn of(network: &Network) -> Result<Connector, String> {
        let mut proxies = Matcher::builder().no(format!("{},{WITHIN}", network.no_proxy));
        for (scheme, proxy) in [("http", &network.http_proxy), ("https", &network.https_proxy)] {
            let Some(url) = proxy else { continue };
            if !is_proxy(url) {
                // The URL may hold a password.
                return Err(format!("the variable {scheme}_proxy holds no URL of a proxy"));
            }
            proxies = match scheme {
                "http" => proxies.http(url.clone()),
                _ => proxies.https(url.clone()),
            };
        }
        let mut tcp = HttpConnector::new_with_resolver(Names);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECTING));
        let tls = Arc::clone(&network.tls);
        if tls.bundle().is_some() {
            tls.config()?;
        }
        Ok(Connector { tcp, tls, proxies: Arc::new(proxies.build()) })
    }

    /// What a request must say to the proxy that passes it on, if one does. In a tunnel nothing is said.
    pub fn proxy_authorization(&self, url: &Uri) -> Option<HeaderValue> {
        let proxy = self.proxies.intercept(url).filter(|_| url.scheme_str() == Some("http"))?;
        proxy.basic_auth().cloned()
    }

    async fn connect(mut self, url: Uri) -> Result<Stream, BoxError> {
        let Some(proxy) = self.proxies.intercept(&url) else { return self.reach(url, false).await };
        if url.scheme_str() == Some("http") {
            return self.reach(proxy.uri().clone(), true).await;
        }
        let tls = self.tls.config()?;
        let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpsConnector::from((self.tcp, Arc::clone(&tls))));
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        Ok(Stream::of(HttpsConnector::from((tunnel, tls)).call(url).await?, false))
    }

    /// Connects to a server, which may be a proxy.
    async fn reach(&mut self, url: Uri, is_proxied: bool) -> Result<Stream, BoxError> {
        match url.scheme_str() {
            Some("http") => Ok(Stream::of(self.tcp.call(url).await?, is_proxied)),
            _ => {
                let mut secure = HttpsConnector::from((self.tcp.clone(), self.tls.config()?));
                Ok(Stream::of(secure.call(url).await?, is_proxied))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pending<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Pending<Stream> {
        let connecting = self.clone().connect(url);
        Box::pin(async move {
            let late = || format!("no connection within {} s", CONNECTING.as_secs());
            tokio::time::timeout(CONNECTING, connecting).await.map_err(|_| late())?
        })
    }
}

/// Whether this is the URL of a proxy that can be used; `http` where it names no scheme.
fn is_proxy(url: &str) -> bool {
    let found = Matcher::builder().all(url.to_owned()).build();
    let proxy = found.intercept(&Uri::from_static("http://example.org/"));
    proxy.is_some_and(|proxy| matches!(proxy.uri().scheme_str(), Some("http" | "https")))
}

/// What connections with TLS need. Certificates are read when the first one is made, and once.
#[derive(Debug, Default)]
pub(super) struct Tls {
    /// Certificates to trust, and no others.
    bundle: Option<PathBuf>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    /// With the certificates of this file, if one is named.
    pub fn of(bundle: Option<PathBuf>) -> Tls {
        Tls { bundle, config: OnceLock::new() }
    }

    /// The file that is named.
    pub fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| config(self.bundle()).map(Arc::new)).clone()
    }
}

/// The certificates that are trusted: those of a bundle that was named, else the image's, else the ones built in.
fn config(bundle: Option<&Path>) -> Result<ClientConfig, String> {
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
#[derive(Clone)]
struct Names;

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let addresses = resolve::lookup(name.as_str()).await?;
            // The port is put in by the connector.
            let addresses: Vec<SocketAddr> = addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}

/// What bytes go over, with or without TLS.
trait Bytes: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Bytes for T {}

/// A connection.
pub(super) struct Stream {
    bytes: Box<dyn Bytes>,
    /// Whether requests are passed on by a proxy, which must be told the whole URL.
    is_proxied: bool,
}

impl Stream {
    fn of(bytes: impl Bytes + 'static, is_proxied: bool) -> Stream {
        Stream { bytes: Box::new(bytes), is_proxied }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(context, buffers)
    }
}

#[cfg(test)]
mod tests {
    use super::is_proxy;

    #[test]
    fn a_proxy_is_reached_by_http() {
        for (url, expected) in [
            ("http://proxy.internal:3128", true),
            ("https://user:pass%40word@proxy.internal:3128/", true),
            ("proxy.internal:3128", true),
            ("10.0.0.1:3128", true),
            ("socks5://proxy.internal:1080", false),
            ("ftp://proxy.internal", false),
            ("http://", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(is_proxy(url), expected, "{url}");
        }
    }
}
