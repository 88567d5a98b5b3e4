//! Reading an object, or a range of it: the answer, and a request for the rest if the answer breaks off.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, HeaderValue, IF_MATCH, RANGE};
use http::{Method, StatusCode};

use super::checksum::StatedChecksum;
use super::client::BucketClient;
use super::error::{RequestError, StorageError};
use super::payload::AnswerBody;
use super::retry::Repetitions;

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// Requests an object, or a range of it, and waits for the head of the answer.
///
/// # Errors
/// [`StorageError`] after the last attempt.
pub(super) async fn get(
    client: &Arc<BucketClient>,
    key: &str,
    part: Option<ObjectRange>,
) -> Result<ObjectBody, StorageError> {
    let mut repetitions = Repetitions::new();
    let answer = get_part(client, key, part.as_ref(), &mut repetitions).await;
    let (head, body, rest) = answer.map_err(|error| client.error(key, &error))?;
    Ok(ObjectBody { head, body, rest, client: Arc::clone(client), key: key.to_owned(), repetitions })
}

/// Returns the head of an answer to GetObject, its body, and the range of the object that the body holds.
async fn get_part(
    client: &BucketClient,
    key: &str,
    part: Option<&ObjectRange>,
    repetitions: &mut Repetitions,
) -> Result<(ObjectHead, AnswerBody, Range<u64>), RequestError> {
    let mut request = client.request(Method::GET, key);
    request.headers.insert(CHECKSUM_MODE, HeaderValue::from_static("ENABLED"));
    if let Some(ObjectRange { range, etag, .. }) = part {
        request.headers.insert(RANGE, header(&format!("bytes={}-{}", range.start, range.end - 1))?);
        if let Some(etag) = etag {
            request.headers.insert(IF_MATCH, header(etag)?);
        }
    }
    let (answer, body) = client.send_repeatedly(&request, repetitions).await?.into_parts();
    let text = |name: &str| answer.headers.get(name)?.to_str().ok().map(str::to_owned);
    let answered_etag = text(ETAG.as_str());
    let (range, size) = match part {
        Some(ObjectRange { range, etag, size }) => {
            let found = text(CONTENT_RANGE.as_str()).and_then(|text| content_range(&text));
            match found.filter(|(found, _)| answer.status == StatusCode::PARTIAL_CONTENT && found == range) {
                // Not every server supports If-Match.
                Some((_, of))
                    if of != *size || (answered_etag.is_some() && etag.is_some() && answered_etag != *etag) =>
                {
                    return Err(RequestError::Replaced);
                }
                Some(found) => found,
                None => {
                    let (first, last) = (range.start, range.end - 1);
                    let text = format!("it was asked for the bytes {first}-{last} and answered others");
                    return Err(RequestError::Unexpected(text));
                }
            }
        }
        // A part must not be mistaken for the whole object.
        None if answer.status != StatusCode::OK => {
            return Err(RequestError::Unexpected(format!("it answered {} in place of the object", answer.status)));
        }
        None => {
            let size = text(CONTENT_LENGTH.as_str()).and_then(|size| size.parse().ok());
            let size = size.ok_or_else(|| RequestError::Unexpected("its answer has no Content-Length".to_owned()))?;
            (0..size, size)
        }
    };
    let head = ObjectHead { size, etag: answered_etag, checksum: StatedChecksum::from_headers(&text) };
    Ok((head, body, range))
}

/// A range of an object, in bytes. The request fails if the object has a different size or ETag by then.
pub(super) struct ObjectRange {
    pub range: Range<u64>,
    /// The ETag of the object, if it is known.
    pub etag: Option<String>,
    /// The size of the whole object, in bytes.
    pub size: u64,
}

/// The properties of an object.
#[derive(Clone, Debug)]
pub(super) struct ObjectHead {
    /// The size of the whole object, in bytes.
    pub size: u64,
    pub etag: Option<String>,
    /// The checksum of the whole object, if S3 states one.
    pub checksum: StatedChecksum,
}

/// The arriving bytes of an object, or of a range of it. If the answer breaks off, another request fetches the rest.
pub(super) struct ObjectBody {
    pub head: ObjectHead,
    body: AnswerBody,
    /// The range of the object that has not arrived yet.
    rest: Range<u64>,
    client: Arc<BucketClient>,
    key: String,
    repetitions: Repetitions,
}

impl ObjectBody {
    /// Returns the bytes that arrive next, or `None` at the end. The caller compares their number with the size.
    ///
    /// # Errors
    /// [`StorageError`] after the last attempt, or if the object was replaced.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            let error = match self.body.next().await {
                None => return Ok(None),
                Some(Ok(bytes)) => {
                    self.rest.start += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => RequestError::Transport(error),
            };
            // Without an ETag, the rest could belong to another object.
            let (false, Some(etag)) = (self.rest.is_empty(), &self.head.etag) else { return Err(self.error(&error)) };
            if !self.repetitions.wait().await {
                return Err(self.error(&error));
            }
            let rest = ObjectRange { range: self.rest.clone(), etag: Some(etag.clone()), size: self.head.size };
            let answer = get_part(&self.client, &self.key, Some(&rest), &mut self.repetitions).await;
            let (head, body, _) = answer.map_err(|resumed| match resumed {
                // A server without support for ranges cannot send the rest of an answer that broke off.
                RequestError::Unexpected(_) => self.error(&error),
                resumed => self.error(&resumed),
            })?;
            if head.etag != self.head.etag {
                return Err(self.error(&error));
            }
            self.body = body;
        }
    }

    fn error(&self, error: &RequestError) -> StorageError {
        self.client.error(&self.key, error)
    }
}

/// Reads the value of a `Content-Range` header: the range and the size of the whole object, in bytes.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let end = last.parse::<u64>().ok()?.checked_add(1)?;
    Some((first.parse().ok()?..end, size.parse().ok()?))
}

fn header(text: &str) -> Result<HeaderValue, RequestError> {
    HeaderValue::try_from(text).map_err(|error| RequestError::Unexpected(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn a_content_range_is_a_range_and_a_size() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, 100)));
        for wrong in ["", "bytes */100", "bytes 0-9/*", "0-9/100", "bytes 0-18446744073709551615/1", "bytes a-9/100"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
