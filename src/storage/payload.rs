//! The bodies of requests, which may be parts of files, and of answers.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use object_store::client::HttpRequestBody;
use tokio::time::{Instant, Sleep};

use super::error::{BoxError, SilentServer, SlowServer, TransportError, UnreadableFile};

/// The size of the blocks in which a file is read while it is sent, in bytes.
const BLOCK: usize = 16 << 10;

/// The body of a request.
pub(super) struct Payload {
    content: Content,
    /// The number of bytes that the connection has accepted.
    taken: Arc<AtomicU64>,
}

/// The limits for the slowness of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slowness {
    /// The maximum time without a byte.
    pub silence: Duration,
    /// The minimum number of bytes in that much time.
    pub least: u64,
}

enum Content {
    Memory(HttpRequestBody),
    File(Arc<File>, Range<u64>),
}

impl Payload {
    /// Creates a body from a range of a file, in bytes. The file is read block by block while it is sent.
    pub fn from_file(file: Arc<File>, range: Range<u64>) -> Payload {
        Payload { content: Content::File(file, range), taken: Arc::default() }
    }

    /// Returns the counter of the bytes that the connection has accepted.
    pub fn taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }
}

impl From<HttpRequestBody> for Payload {
    fn from(body: HttpRequestBody) -> Payload {
        Payload { content: Content::Memory(body), taken: Arc::default() }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame: Option<Result<Frame<Bytes>, BoxError>> = match &mut self.content {
            Content::Memory(body) => ready!(Pin::new(body).poll_frame(context).map_err(Into::into)),
            Content::File(_, range) if range.is_empty() => None,
            Content::File(file, range) => {
                let mut block = vec![0; usize::try_from(range.end - range.start).map_or(BLOCK, |left| left.min(BLOCK))];
                let read = file.read_exact_at(&mut block, range.start);
                range.start += block.len() as u64;
                Some(read.map(|()| Frame::data(block.into())).map_err(|error| UnreadableFile(error).into()))
            }
        };
        let taken = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        self.taken.fetch_add(taken as u64, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Memory(body) => body.is_end_stream(),
            Content::File(_, range) => range.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Memory(body) => body.size_hint(),
            Content::File(_, range) => SizeHint::with_exact(range.end - range.start),
        }
    }
}

/// The body of an answer. It ends with an error if a reader waits and the server sends nothing, or too little, for too
/// long. The time in which no reader waits does not count.
pub(super) struct AnswerBody {
    body: Incoming,
    limits: Slowness,
    deadline: Pin<Box<Sleep>>,
    /// The time at which the present wait for the server began. `None` if no reader waits.
    waits_since: Option<Instant>,
    /// The time spent waiting for the server in the current period, and the number of bytes that it sent.
    waited: Duration,
    arrived: u64,
}

impl AnswerBody {
    /// Creates a body with these limits for the slowness of its server.
    pub fn new(body: Incoming, limits: Slowness) -> AnswerBody {
        let deadline = Box::pin(tokio::time::sleep(limits.silence));
        AnswerBody { body, limits, deadline, waits_since: None, waited: Duration::ZERO, arrived: 0 }
    }

    /// Counts bytes that have arrived. Returns an error if they are too few for the time in which they were awaited.
    fn count(&mut self, bytes: usize) -> Option<SlowServer> {
        self.waited += self.waits_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.arrived += bytes as u64;
        if self.waited < self.limits.silence {
            return None;
        }
        let (arrived, waited) = (std::mem::take(&mut self.arrived), std::mem::take(&mut self.waited));
        (arrived < self.limits.least).then_some(SlowServer(arrived, waited))
    }

    /// Accepts any speed from now on, but no silence.
    pub fn accept_any_speed(&mut self) {
        self.limits.least = 0;
    }

    /// Returns the first `limit` bytes, or those that arrive before the answer breaks off.
    pub async fn read_what_arrives(mut self, limit: usize) -> Vec<u8> {
        let mut whole = Vec::new();
        while whole.len() < limit
            && let Some(Ok(bytes)) = self.next().await
        {
            whole.extend_from_slice(&bytes[..bytes.len().min(limit - whole.len())]);
        }
        whole
    }

    /// Returns the bytes that arrive next, or `None` at the end.
    ///
    /// # Errors
    /// [`TransportError::BrokeOff`].
    pub async fn next(&mut self) -> Option<Result<Bytes, TransportError>> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await?;
            // Trailers are ignored.
            match frame.map(Frame::into_data) {
                Ok(Ok(bytes)) => return Some(Ok(bytes)),
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Returns the first `limit` bytes, or all if there are fewer.
    ///
    /// # Errors
    /// [`TransportError::BrokeOff`].
    pub async fn read_to(mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
        let mut whole = Vec::new();
        while whole.len() < limit
            && let Some(bytes) = self.next().await.transpose()?
        {
            whole.extend_from_slice(&bytes[..bytes.len().min(limit - whole.len())]);
        }
        Ok(whole)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            if let Some(slow) = self.count(bytes).filter(|_| !self.body.is_end_stream() && bytes > 0) {
                return Poll::Ready(Some(Err(TransportError::BrokeOff(slow.into()))));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| TransportError::BrokeOff(error.into()))));
        }
        if self.waits_since.is_none() {
            let now = Instant::now();
            self.waits_since = Some(now);
            let deadline = now + self.limits.silence;
            self.deadline.as_mut().reset(deadline);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Some(Err(TransportError::BrokeOff(SilentServer(self.limits.silence).into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
