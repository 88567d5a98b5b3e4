//! Connections to servers: with footplate's own resolver, certificates and proxies.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use tower_service::Service;

use super::error::{BoxError, SettingsError, StalledConnection};
use super::network::NetworkSettings;
use super::tls::TlsSettings;
use crate::system::resolve::{self, ResolveError};

/// The maximum time to establish a connection after name resolution, including the proxy and TLS.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The addresses at which the machine itself serves credentials, and its own addresses. A proxy cannot reach them.
const NEVER_PROXIED: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,localhost,127.0.0.0/8,::1,\
     ::ffff:127.0.0.0/104,::ffff:169.254.169.254,::ffff:169.254.170.2,::ffff:169.254.170.23";

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A service that connects to the server of a URL, or to the proxy in front of it.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<FootplateResolver>,
    tls: Arc<TlsSettings>,
    proxies: Arc<Matcher>,
    /// The maximum time to resolve a name and to establish a connection.
    time: Duration,
}

impl Connector {
    /// Creates a connector with the job's network settings.
    ///
    /// # Errors
    /// [`SettingsError`] if the bundle of certificates or the URL of a proxy is unusable.
    pub fn new(network: &NetworkSettings) -> Result<Connector, SettingsError> {
        let mut proxies = Matcher::builder().no(format!("{},{NEVER_PROXIED}", network.no_proxy));
        for (scheme, proxy) in [("http", &network.http_proxy), ("https", &network.https_proxy)] {
            let Some(url) = proxy else { continue };
            if !is_usable_proxy(url) {
                return Err(SettingsError::Proxy { scheme });
            }
            proxies = if scheme == "http" { proxies.http(url.clone()) } else { proxies.https(url.clone()) };
        }
        let mut tcp = HttpConnector::new_with_resolver(FootplateResolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let tls = Arc::clone(&network.tls);
        if tls.bundle().is_some() {
            tls.config()?;
        }
        Ok(Connector { tcp, tls, proxies: Arc::new(proxies.build()), time: resolve::LOOKUP_TIME + CONNECT_TIME })
    }

    /// Returns the `Proxy-Authorization` header for a request that a proxy forwards. `None` for requests through a
    /// tunnel, because the CONNECT request carries the header there.
    pub fn proxy_authorization(&self, url: &Uri) -> Option<HeaderValue> {
        let proxy = self.proxies.intercept(url).filter(|_| url.scheme_str() == Some("http"))?;
        proxy.basic_auth().cloned()
    }

    /// Connects to the server of this URL, through a proxy if the settings name one for it.
    async fn connect(mut self, url: Uri) -> Result<HttpStream, BoxError> {
        let Some(proxy) = self.proxies.intercept(&url) else { return self.connect_to(url, false).await };
        if url.scheme_str() == Some("http") {
            return self.connect_to(proxy.uri().clone(), true).await;
        }
        let tls = self.tls.config()?;
        let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpsConnector::from((self.tcp, Arc::clone(&tls))));
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        Ok(HttpStream::new(HttpsConnector::from((tunnel, tls)).call(url).await?, false))
    }

    /// Connects to the server of this URL itself, which may be a proxy.
    async fn connect_to(&mut self, url: Uri, is_proxied: bool) -> Result<HttpStream, BoxError> {
        if url.scheme_str() == Some("http") {
            return Ok(HttpStream::new(self.tcp.call(url).await?, is_proxied));
        }
        let mut secure = HttpsConnector::from((self.tcp.clone(), self.tls.config()?));
        Ok(HttpStream::new(secure.call(url).await?, is_proxied))
    }
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = BoxError;
    type Future = Pending<HttpStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Pending<HttpStream> {
        let time = self.time;
        // A connection with neither TLS nor a proxy has a shorter limit, which the TCP connector enforces.
        let host = url.host().unwrap_or_default();
        let stage = match self.proxies.intercept(&url) {
            Some(proxy) => {
                format!("the connection to {host} through the proxy {}", proxy.uri().host().unwrap_or_default())
            }
            None => format!("the TLS handshake with {host}"),
        };
        let connecting = self.clone().connect(url);
        Box::pin(
            async move { tokio::time::timeout(time, connecting).await.map_err(|_| StalledConnection { stage, time })? },
        )
    }
}

/// Returns true if this is the URL of a proxy that is reached by HTTP or HTTPS. A URL without a scheme means HTTP.
fn is_usable_proxy(url: &str) -> bool {
    let found = Matcher::builder().all(url.to_owned()).build();
    let proxy = found.intercept(&Uri::from_static("http://example.org/"));
    proxy.is_some_and(|proxy| matches!(proxy.uri().scheme_str(), Some("http" | "https")))
}

/// Resolves names with [`crate::system::resolve`] in place of the C library.
#[derive(Clone)]
struct FootplateResolver;

impl Service<Name> for FootplateResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let addresses = resolve::lookup(name.as_str()).await?;
            // The connector sets the port.
            let addresses: Vec<SocketAddr> = addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}

/// A stream of bytes in both directions, with or without TLS.
trait ByteStream: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> ByteStream for T {}

/// A connection that carries HTTP.
pub(super) struct HttpStream {
    bytes: Box<dyn ByteStream>,
    /// True if a proxy forwards the requests. The proxy needs the whole URL in each request.
    is_proxied: bool,
}

impl HttpStream {
    fn new(bytes: impl ByteStream + 'static, is_proxied: bool) -> HttpStream {
        HttpStream { bytes: Box::new(bytes), is_proxied }
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied)
    }
}

impl Read for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl Write for HttpStream {
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
    use std::net::TcpListener;
    use std::time::Duration;

    use http::Uri;
    use tower_service::Service;

    use super::{Connector, is_usable_proxy};
    use crate::storage::network::NetworkSettings;

    #[test]
    fn what_stalls_while_it_connects_is_named() {
        // The kernel accepts the connections, and nobody reads from them.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let proxied = NetworkSettings { https_proxy: Some(format!("http://me:word@{address}")), ..Default::default() };
        for (settings, url, expected) in [
            (
                NetworkSettings::default(),
                format!("https://{address}/x?y"),
                "the TLS handshake with 127.0.0.1 did not finish within 1 s",
            ),
            (
                proxied,
                "https://s3.example/x".to_owned(),
                "the connection to s3.example through the proxy 127.0.0.1 did not finish within 1 s",
            ),
        ] {
            let mut connector = Connector::new(&settings).expect("a connector");
            connector.time = Duration::from_secs(1);
            let url: Uri = url.parse().expect("a URL");
            let error = runtime.block_on(connector.call(url)).err().expect("no connection");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn only_proxies_that_are_reached_by_http_or_https_are_accepted() {
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
            assert_eq!(is_usable_proxy(url), expected, "{url}");
        }
    }
}
