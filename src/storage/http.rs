//! The HTTP client: small buffers, so that many connections take little memory, and an end to a server's silence.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http::header::{HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use tokio::time::{Instant, Sleep};

use super::access::Network;
use super::connect::{BoxError, Connector};
use super::error::{chain, is_unknown_name};

/// How long a server may send nothing while it is to send something, and take nothing while it is to take something.
const SILENCE: Duration = Duration::from_secs(20);
/// How much of a message a connection holds, in bytes.
const HELD: usize = 16 << 10;
/// How much of a file is read at once to be sent, in bytes.
const BLOCK: usize = 16 << 10;
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

/// A client; its connections are shared by its clones, and belong to the runtime that they were made in.
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
    /// Makes a client.
    ///
    /// # Errors
    /// In words: the certificates or a proxy are not as they should be.
    pub fn of(network: &Network) -> Result<Client, String> {
        let connector = Connector::of(network)?;
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(HELD)
            .build(connector.clone());
        Ok(Client { inner, connector, silence: SILENCE })
    }

    /// Sends a request. An answer's body may end with an error, after which it can be asked for again.
    ///
    /// # Errors
    /// No connection came about, it broke, or the server was silent for too long.
    pub async fn send(&self, mut request: Request<Payload>) -> Result<HttpResponse, HttpError> {
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("footplate/", env!("CARGO_PKG_VERSION"))));
        if let Some(authorization) = self.connector.proxy_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let taken = Arc::clone(&request.body().taken);
        let mut answer = std::pin::pin!(self.inner.request(request));
        let answer = loop {
            match tokio::time::timeout(self.silence, &mut answer).await {
                Ok(answer) => break answer.map_err(|error| failed(Failure::NoAnswer(error.into())))?,
                Err(_) if taken.swap(false, Ordering::Relaxed) => {}
                Err(_) => return Err(failed(Failure::NoAnswer(Silent(self.silence).into()))),
            }
        };
        let silence = self.silence;
        let arriving =
            |body| Arriving { body, silence, ends: Box::pin(tokio::time::sleep(silence)), is_waiting: false };
        Ok(answer.map(|body| HttpResponseBody::new(arriving(body))))
    }
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.send(request.map(Payload::from)).await
    }
}

impl HttpConnector for Client {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// What a request sends.
pub(super) struct Payload {
    content: Content,
    /// Whether any of it was taken since this was last looked at.
    taken: Arc<AtomicBool>,
}

enum Content {
    Given(HttpRequestBody),
    File(Arc<File>, Range<u64>),
}

impl Payload {
    /// A part of a file, which is read while it is sent.
    pub fn of_file(file: Arc<File>, range: Range<u64>) -> Payload {
        Payload { content: Content::File(file, range), taken: Arc::default() }
    }
}

impl From<HttpRequestBody> for Payload {
    fn from(body: HttpRequestBody) -> Payload {
        Payload { content: Content::Given(body), taken: Arc::default() }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.taken.store(true, Ordering::Relaxed);
        match &mut self.content {
            Content::Given(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Content::File(_, range) if range.is_empty() => Poll::Ready(None),
            Content::File(file, range) => {
                let mut block = vec![0; usize::try_from(range.end - range.start).map_or(BLOCK, |left| left.min(BLOCK))];
                let read = file.read_exact_at(&mut block, range.start);
                range.start += block.len() as u64;
                Poll::Ready(Some(read.map(|()| Frame::data(block.into())).map_err(|error| Unreadable(error).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Given(body) => body.is_end_stream(),
            Content::File(_, range) => range.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Given(body) => body.size_hint(),
            Content::File(_, range) => SizeHint::with_exact(range.end - range.start),
        }
    }
}

/// An answer's body: an error where the server is silent for too long while something is waited for.
struct Arriving {
    body: Incoming,
    silence: Duration,
    ends: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| failed(Failure::Body(error.into())))));
        }
        if !self.is_waiting {
            self.is_waiting = true;
            let ends = Instant::now() + self.silence;
            self.ends.as_mut().reset(ends);
        }
        ready!(self.ends.as_mut().poll(context));
        Poll::Ready(Some(Err(failed(Failure::Body(Silent(self.silence).into())))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub(super) enum Failure {
    NoAnswer(BoxError),
    /// The answer had begun.
    Body(BoxError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::NoAnswer(_) => "no answer",
            Failure::Body(_) => "the answer broke off",
        })
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (Failure::NoAnswer(error) | Failure::Body(error)) = self;
        Some(&**error)
    }
}

/// The server did nothing.
#[derive(Debug)]
struct Silent(Duration);

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server was silent for {} s", self.0.as_secs())
    }
}

impl Error for Silent {}

/// The file that was to be sent could not be read.
#[derive(Debug)]
pub(super) struct Unreadable(pub io::Error);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Unreadable {}

/// As an error that says whether asking again may help: a name that is not known stays so.
fn failed(failure: Failure) -> HttpError {
    let kind = match is_unknown_name(&failure) {
        true => HttpErrorKind::Unknown,
        false => chain(&failure).find_map(kind).unwrap_or(HttpErrorKind::Unknown),
    };
    HttpError::new(kind, failure)
}

fn kind(error: &(dyn Error + 'static)) -> Option<HttpErrorKind> {
    if error.is::<Silent>() {
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
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use http::Request;
    use object_store::client::{HttpError, HttpErrorKind, HttpRequestBody};

    use super::{Client, Payload};
    use crate::storage::access::Network;
    use crate::storage::bucket::runtime;

    /// What a server whose only connection is served so answers, where it may be silent for a second.
    fn ask(payload: Payload, serve: impl FnOnce(TcpStream) + Send + 'static) -> Result<String, HttpError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = thread::spawn(move || serve(listener.accept().expect("a connection").0));
        let silence = Duration::from_secs(1);
        let found = runtime().expect("a runtime").block_on(async {
            let client = Client { silence, ..Client::of(&Network::default()).expect("a client") };
            let answer = client.send(Request::put(url).body(payload).expect("a request")).await?;
            Ok(String::from_utf8_lossy(&answer.into_body().bytes().await?).into_owned())
        });
        server.join().expect("served");
        found
    }

    fn nothing() -> Payload {
        HttpRequestBody::empty().into()
    }

    #[track_caller]
    fn is_timed_out(found: Result<String, HttpError>, what: &str) {
        let error = found.expect_err("no answer");
        let source = error.source().expect("a failure");
        assert_eq!(error.kind(), HttpErrorKind::Timeout, "{error:?}");
        assert_eq!(source.to_string(), what);
        assert_eq!(source.source().expect("a reason").to_string(), "the server was silent for 1 s");
    }

    #[test]
    fn a_server_that_is_silent_is_not_waited_for() {
        let silent = |mut stream: TcpStream| drop(stream.read_to_end(&mut Vec::new()));
        is_timed_out(ask(nothing(), silent), "no answer");
        let stops = move |mut stream: TcpStream| {
            // An answer that comes before its request is none.
            assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").expect("written");
            silent(stream);
        };
        is_timed_out(ask(nothing(), stops), "the answer broke off");
    }

    #[test]
    fn one_that_is_slow_is_waited_for() {
        let mut file = tempfile::tempfile().expect("a file");
        // More than a connection holds before it waits for its reader, who takes 1.6 s.
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
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n").expect("written");
            for byte in b"steady" {
                thread::sleep(Duration::from_millis(250));
                stream.write_all(&[*byte]).expect("written");
            }
        };
        let payload = Payload::of_file(Arc::new(file), 0..length as u64);
        assert_eq!(ask(payload, slow).expect("answered"), "steady");
    }
}
