//! The bodies of requests, which may be parts of files, and of answers.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use object_store::client::HttpRequestBody;
use tokio::time::{Instant, Sleep};

use super::error::{BoxError, SilentServer, TransportError, UnreadableFile};

/// The size of the blocks in which a file is read while it is sent, in bytes.
const BLOCK: usize = 16 << 10;

/// The body of a request.
pub(super) struct Payload {
    content: Content,
    /// Set when the connection takes some of the body; the client clears it to see whether the server still takes any.
    taken: Arc<AtomicBool>,
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

    /// Returns the flag that is set whenever the connection takes some of the body.
    pub fn taken(&self) -> Arc<AtomicBool> {
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
        self.taken.store(true, Ordering::Relaxed);
        match &mut self.content {
            Content::Memory(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Content::File(_, range) if range.is_empty() => Poll::Ready(None),
            Content::File(file, range) => {
                let mut block = vec![0; usize::try_from(range.end - range.start).map_or(BLOCK, |left| left.min(BLOCK))];
                let read = file.read_exact_at(&mut block, range.start);
                range.start += block.len() as u64;
                Poll::Ready(Some(
                    read.map(|()| Frame::data(block.into())).map_err(|error| UnreadableFile(error).into()),
                ))
            }
        }
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

/// The body of an answer. It ends with an error if the server sends nothing for too long while it is awaited.
pub(super) struct AnswerBody {
    body: Incoming,
    /// The maximum time without a byte.
    silence: Duration,
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl AnswerBody {
    /// Creates a body that accepts a silence of the server for at most `silence`.
    pub fn new(body: Incoming, silence: Duration) -> AnswerBody {
        AnswerBody { body, silence, deadline: Box::pin(tokio::time::sleep(silence)), is_waiting: false }
    }

    /// Returns the bytes that arrive next, or `None` at the end.
    ///
    /// # Errors
    /// [`TransportError::BrokeOff`].
    pub async fn next(&mut self) -> Option<Result<Bytes, TransportError>> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await?;
            // Trailers are of no interest.
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
            self.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| TransportError::BrokeOff(error.into()))));
        }
        if !self.is_waiting {
            self.is_waiting = true;
            let deadline = Instant::now() + self.silence;
            self.deadline.as_mut().reset(deadline);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Some(Err(TransportError::BrokeOff(SilentServer(self.silence).into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
