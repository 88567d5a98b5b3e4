//! The HTTP client: small buffers, so that many connections take little memory, and a limit on a server's silence.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::connect::Connector;
use super::error::{SettingsError, SilentServer, SlowServer, TransportError, chain};
use super::network::NetworkSettings;
use super::payload::{AnswerBody, Payload, Slowness};

/// The maximum time for which a server may send nothing of an answer, or accept nothing of a request.
const SILENCE: Duration = Duration::from_secs(20);
/// The minimum speed of a server that sends an answer or accepts a request, in bytes for each second of waiting. A
/// slower server would take days for an archive, although it is never silent for long.
const LEAST_SPEED: u64 = 1 << 10;
/// The maximum size of an answer with credentials, in bytes.
const LONGEST_CREDENTIALS: usize = 1 << 20;
/// The maximum size of a connection's buffer, in bytes.
const BUFFER: usize = 16 << 10;

/// A client with a pool of connections. Its clones share the pool, which belongs to the runtime that first uses it.
#[derive(Clone)]
pub(super) struct Client {
    inner: legacy::Client<Connector, Payload>,
    connector: Connector,
    silence: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client with the job's network settings.
    ///
    /// # Errors
    /// [`SettingsError`] if the bundle of certificates or the URL of a proxy is unusable.
    pub fn new(network: &NetworkSettings) -> Result<Client, SettingsError> {
        let connector = Connector::new(network)?;
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(BUFFER)
            .build(connector.clone());
        Ok(Client { inner, connector, silence: SILENCE })
    }

    /// Returns the client with another limit for a server's silence.
    #[cfg(test)]
    pub fn with_silence(self, silence: Duration) -> Client {
        Client { silence, ..self }
    }

    /// Sends a request once and waits for the head of the answer.
    ///
    /// # Errors
    /// [`TransportError::NoAnswer`] if no connection was established, it broke, or the server was silent for too long.
    pub async fn send(&self, mut request: Request<Payload>) -> Result<Response<AnswerBody>, TransportError> {
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("footplate/", env!("CARGO_PKG_VERSION"))));
        if let Some(authorization) = self.connector.proxy_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let (taken, size) = (request.body().taken(), request.body().size_hint().lower());
        let slowness = Slowness { silence: self.silence, least: LEAST_SPEED * self.silence.as_secs() };
        let mut answer = std::pin::pin!(self.inner.request(request));
        let mut taken_before = 0;
        let answer = loop {
            match tokio::time::timeout(self.silence, &mut answer).await {
                Ok(answer) => break answer.map_err(|error| TransportError::NoAnswer(error.into()))?,
                Err(_) => {
                    let taken = taken.load(Ordering::Relaxed);
                    let newly = taken - std::mem::replace(&mut taken_before, taken);
                    // The time for an answer begins when the server has accepted the whole request.
                    let is_enough = newly >= slowness.least || (newly > 0 && taken >= size);
                    if !is_enough {
                        let error = if newly == 0 {
                            SilentServer(self.silence).into()
                        } else {
                            SlowServer(newly, self.silence).into()
                        };
                        return Err(TransportError::NoAnswer(error));
                    }
                }
            }
        };
        Ok(answer.map(|body| AnswerBody::new(body, slowness)))
    }
}

/// Sends the requests of `object_store`'s credentials providers.
#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.send(request.map(Payload::from)).await.map_err(http_error)?;
        Ok(answer.map(|body| HttpResponseBody::new(ProviderBody { body, arrived: 0 })))
    }
}

impl HttpConnector for Client {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// An answer's body with the errors of `object_store`, which reads whole bodies into memory. Therefore a body longer
/// than [`LONGEST_CREDENTIALS`] ends with an error.
struct ProviderBody {
    body: AnswerBody,
    arrived: usize,
}

impl Body for ProviderBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context).map_err(http_error));
        self.arrived += frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        if self.arrived > LONGEST_CREDENTIALS {
            let text = format!("the answer has more than {LONGEST_CREDENTIALS} bytes");
            return Poll::Ready(Some(Err(http_error(TransportError::BrokeOff(text.into())))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Converts an error for `object_store`, which repeats the request unless the kind is `Unknown`.
fn http_error(error: TransportError) -> HttpError {
    HttpError::new(kind(&error), error)
}

/// Returns true if another attempt of the request may succeed.
pub(super) fn may_pass(error: &TransportError) -> bool {
    kind(error) != HttpErrorKind::Unknown
}

/// Returns the kind of an error. It is `Unknown` if another attempt would fail too, as for a name that does not exist.
fn kind(error: &TransportError) -> HttpErrorKind {
    if error.is_in_vain() {
        return HttpErrorKind::Unknown;
    }
    chain(error).find_map(kind_of_source).unwrap_or(HttpErrorKind::Unknown)
}

/// Returns the kind that one error in a chain of sources determines, or `None` if it determines none.
fn kind_of_source(error: &(dyn Error + 'static)) -> Option<HttpErrorKind> {
    if error.is::<SilentServer>() || error.is::<SlowServer>() {
        return Some(HttpErrorKind::Timeout);
    }
    if let Some(error) = error.downcast_ref::<legacy::Error>() {
        return error.is_connect().then_some(HttpErrorKind::Connect);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        let was_cut =
            error.is_closed() || error.is_canceled() || error.is_incomplete_message() || error.is_body_write_aborted();
        return was_cut.then_some(HttpErrorKind::Request);
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        ErrorKind::TimedOut => Some(HttpErrorKind::Timeout),
        ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(HttpErrorKind::Interrupted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::future::{Ready, ready};
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::thread;
    use std::time::Duration;

    use http::{Request, Uri};
    use hyper_util::client::legacy;
    use hyper_util::rt::TokioExecutor;
    use object_store::client::{HttpErrorKind, HttpRequestBody};
    use tower_service::Service;

    use super::{Client, Payload, kind, may_pass};
    use crate::storage::connect::HttpStream;
    use crate::storage::error::{BoxError, StalledConnection, TransportError, UnreadableFile};
    use crate::storage::network::NetworkSettings;
    use crate::system::resolve::ResolveError;

    /// Sends a payload to a server that serves one connection with `serve`, and returns the body of its answer. The
    /// client accepts a silence of one second.
    fn ask(payload: Payload, serve: impl FnOnce(TcpStream) + Send + 'static) -> Result<String, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = thread::spawn(move || serve(listener.accept().expect("a connection").0));
        let silence = Duration::from_secs(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let found = runtime.block_on(async {
            let client = Client::new(&NetworkSettings::default()).expect("a client").with_silence(silence);
            let answer = client.send(Request::put(url).body(payload).expect("a request")).await?;
            Ok(String::from_utf8_lossy(&answer.into_body().read_to(usize::MAX).await?).into_owned())
        });
        // Closes the connection. The server may be waiting for its end.
        drop(runtime);
        server.join().expect("served");
        found
    }

    fn nothing() -> Payload {
        HttpRequestBody::empty().into()
    }

    #[track_caller]
    fn is_timed_out(found: Result<String, TransportError>, what: &str) {
        let error = found.expect_err("no answer");
        assert_eq!(kind(&error), HttpErrorKind::Timeout, "{error:?}");
        assert_eq!(error.to_string(), what);
        assert_eq!(error.source().expect("a reason").to_string(), "the server was silent for 1 s");
    }

    #[test]
    fn a_silent_server_is_given_up() {
        let silent = |mut stream: TcpStream| {
            // The result is ignored: the client may reset the connection.
            let _ = stream.read_to_end(&mut Vec::new());
        };
        is_timed_out(ask(nothing(), silent), "no answer");
        let stops = move |mut stream: TcpStream| {
            // hyper treats bytes that arrive before the request as an error.
            assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").expect("written");
            silent(stream);
        };
        is_timed_out(ask(nothing(), stops), "the answer broke off");
    }

    #[test]
    fn a_slow_server_is_waited_for() {
        let mut file = tempfile::tempfile().expect("a file");
        // More than the socket buffers hold. The server takes 1.6 s to read it.
        let length = 32 << 20;
        file.write_all(&vec![7; length]).expect("written");
        let slow = move |mut stream: TcpStream| {
            let mut left = length;
            let mut block = vec![0; 1 << 20];
            while left > 0 {
                let count = stream.read(&mut block).expect("read");
                left = left.saturating_sub(count);
                thread::sleep(Duration::from_nanos(50 * count as u64));
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2400\r\n\r\n").expect("written");
            for _ in 0..6 {
                thread::sleep(Duration::from_millis(250));
                stream.write_all(&[b'x'; 400]).expect("written");
            }
        };
        let payload = Payload::from_file(Arc::new(file), 0..length as u64);
        assert_eq!(ask(payload, slow).expect("answered").len(), 2400);
    }

    #[test]
    fn a_server_that_sends_or_takes_a_few_bytes_a_second_is_given_up() {
        let too_slow = |error: TransportError| {
            let source = error.source().expect("a source").to_string();
            assert!(source.starts_with("the server was too slow: "), "{source}");
            assert!(may_pass(&error));
        };
        let drips = |mut stream: TcpStream| {
            assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").expect("written");
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        };
        too_slow(ask(nothing(), drips).expect_err("it never ends"));
        // More than the socket buffers hold. The server reads 100 bytes of it now and then.
        let mut file = tempfile::tempfile().expect("a file");
        let length = 64 << 20;
        file.write_all(&vec![7; length]).expect("written");
        let sips = |mut stream: TcpStream| {
            for _ in 0..200 {
                // The client may have given up.
                let _ = stream.read_exact(&mut [0; 100]);
                thread::sleep(Duration::from_millis(20));
            }
        };
        let error = ask(Payload::from_file(Arc::new(file), 0..length as u64), sips).expect_err("it never ends");
        // The kernel may accept no further bytes for a whole second, because the server reads so few.
        let source = error.source().expect("a source").to_string();
        assert!(source.starts_with("the server was "), "{source}");
        assert!(may_pass(&error));
    }

    /// A connector that fails with this error.
    #[derive(Clone)]
    struct FailingConnector(fn() -> BoxError);

    impl Service<Uri> for FailingConnector {
        type Response = HttpStream;
        type Error = BoxError;
        type Future = Ready<Result<HttpStream, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            ready(Err((self.0)()))
        }
    }

    #[test]
    fn unknown_names_and_refused_certificates_are_not_tried_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let error = |error: fn() -> BoxError| {
            let client = legacy::Client::builder(TokioExecutor::new()).build::<_, Payload>(FailingConnector(error));
            let request = Request::get("http://h/").body(nothing()).expect("a request");
            TransportError::NoAnswer(runtime.block_on(client.request(request)).expect_err("no connection").into())
        };
        assert!(!may_pass(&error(|| ResolveError::Unknown { host: "h".to_owned() }.into())));
        assert!(may_pass(&error(|| ResolveError::Unanswered { host: "h".to_owned(), reason: "r".to_owned() }.into())));
        assert!(!may_pass(&error(|| io::Error::other(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer
        ))
        .into())));
        let refused = error(|| io::Error::from(io::ErrorKind::ConnectionRefused).into());
        assert!(may_pass(&refused) && !refused.is_stalled_connection());
        let stalled = error(|| StalledConnection { stage: "s".to_owned(), time: Duration::from_secs(9) }.into());
        assert!(may_pass(&stalled) && stalled.is_stalled_connection());
    }

    #[test]
    fn a_connection_that_breaks_is_tried_again_and_an_unreadable_file_is_not() {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(may_pass(&TransportError::BrokeOff(reset.into())));
        let unreadable = UnreadableFile(std::io::ErrorKind::UnexpectedEof.into());
        assert!(!may_pass(&TransportError::NoAnswer(unreadable.into())));
    }
}
