//! The operations of S3 on one bucket in one region.
//!
//! Each attempt of a request is signed anew, so that a repetition can use newer credentials. A file is read block by
//! block while it is sent. The signature and the checksum header contain a digest that was computed in advance.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Response};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequestBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::access::Access;
use super::answers::{self, CompletedUpload, CreatedUpload, ErrorDocument, ListEntry, ListPage, StoredPart};
use super::checksum::Sha256;
use super::error::{CredentialsError, RequestError, ServerRefusal, SettingsError, StorageError, TransferError, reason};
use super::http::{Client, may_pass};
use super::listing::KeyList;
use super::payload::{AnswerBody, Payload};
use super::problem::Problem;
use super::region;
use super::retry::Repetitions;

/// The characters that are escaped in the value of a query, by the rules of AWS's signatures.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The characters that are escaped in the key in a URL. Two slashes in a row stay in the key.
const IN_KEY: &AsciiSet = &IN_QUERY.remove(b'/');
/// The maximum size of an answer that is not an object, in bytes. A page of 1,000 keys has at most about 2 MB.
const LONGEST_ANSWER: usize = 16 << 20;
/// The maximum time that S3 may take to join the parts of an upload. Meanwhile it sends a space now and then.
const JOIN_TIME: Duration = Duration::from_secs(15 * 60);
/// The maximum size of a refusal that is read, in bytes.
const LONGEST_REFUSAL: usize = 64 << 10;

const SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// A client of a bucket in a region.
#[derive(Debug)]
pub(super) struct BucketClient {
    http: Client,
    credentials: AwsCredentialProvider,
    bucket: String,
    /// The URL of the bucket, without a slash at its end.
    url: String,
    region: String,
    /// The reason why the last attempt of a request failed. `None` if it succeeded.
    last_failure: Mutex<Option<String>>,
}

/// A range of a file that a request sends, in bytes, with its digest.
#[derive(Clone, Debug)]
pub(super) struct FilePart {
    file: Arc<File>,
    range: Range<u64>,
    digest: Sha256,
}

impl FilePart {
    /// Reads the range once to compute its digest.
    ///
    /// # Errors
    /// [`TransferError::File`] if the file is shorter or cannot be read.
    pub fn new(file: &Arc<File>, range: Range<u64>) -> Result<FilePart, TransferError> {
        let digest = Sha256::of_range(file, &range).map_err(TransferError::File)?;
        Ok(FilePart { file: Arc::clone(file), range, digest })
    }
}

/// A request before it is signed.
pub(super) struct UnsignedRequest {
    method: Method,
    url: String,
    pub headers: HeaderMap,
    content: Content,
}

enum Content {
    Nothing,
    Text(Bytes),
    File(FilePart),
}

impl BucketClient {
    /// Creates a client. It connects when it sends its first request.
    ///
    /// # Errors
    /// [`SettingsError`] if the network settings are unusable, or if the endpoint and the bucket do not form a URL.
    pub fn new(access: &Access, bucket: &str, region: &str) -> Result<BucketClient, SettingsError> {
        let http = Client::new(&access.network)?;
        if !region::is_name(region) {
            return Err(SettingsError::Region(region.to_owned()));
        }
        let url = access.bucket_url(bucket, region);
        // The signer panics if it cannot parse the URL of a request.
        if let Err(error) = Url::parse(&format!("{url}/")) {
            return Err(SettingsError::Endpoint { url, reason: error.to_string() });
        }
        let credentials = access.credentials.provider(&http);
        Ok(BucketClient {
            http,
            credentials,
            bucket: bucket.to_owned(),
            url,
            region: region.to_owned(),
            last_failure: Mutex::default(),
        })
    }

    /// Returns the region that the requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the reason why the last attempt of a request failed. `None` if it succeeded.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_failure(&self, reason: Option<String>) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Returns all objects below a prefix.
    ///
    /// # Errors
    /// [`StorageError`] after the last attempt of a request, or if the list has no end.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ListEntry>, StorageError> {
        let mut listing = KeyList::default();
        let mut token: Option<String> = None;
        loop {
            let mut url = format!("{}/?list-type=2&prefix={}", self.url, in_query(prefix));
            if let Some(token) = &token {
                url.push_str(&format!("&continuation-token={}", in_query(token)));
            }
            let request =
                UnsignedRequest { method: Method::GET, url, headers: HeaderMap::new(), content: Content::Nothing };
            let page: Result<ListPage, RequestError> = async {
                let answer = self.send_repeatedly(&request, &mut Repetitions::new()).await?;
                ListPage::parse(&whole(answer).await?).map_err(RequestError::Unexpected)
            }
            .await;
            let added = page.and_then(|page| listing.add(page).map_err(RequestError::Unexpected));
            token = added.map_err(|error| self.error(prefix, &error))?;
            if token.is_none() {
                return Ok(listing.found);
            }
        }
    }

    /// Writes an object in one request.
    ///
    /// # Errors
    /// [`TransferError`] after the last attempt.
    pub async fn put(&self, key: &str, part: FilePart) -> Result<(), TransferError> {
        let request = self.request(Method::PUT, key).sending(part);
        let sent = self.send_repeatedly(&request, &mut Repetitions::new()).await;
        sent.map(|_| ()).map_err(|error| self.upload_error(key, &error))
    }

    /// Begins to write an object in parts and returns the ID of the upload.
    ///
    /// # Errors
    /// [`StorageError`] after the last attempt.
    pub async fn create_upload(&self, key: &str) -> Result<String, StorageError> {
        let mut request = self.request(Method::POST, key);
        request.url.push_str("?uploads=");
        request.headers.insert(CHECKSUM_ALGORITHM, HeaderValue::from_static("SHA256"));
        request.headers.insert(CONTENT_LENGTH, 0.into());
        let created: Result<CreatedUpload, RequestError> = async {
            let answer = self.send_repeatedly(&request, &mut Repetitions::new()).await?;
            answers::parse(&whole(answer).await?).map_err(RequestError::Unexpected)
        }
        .await;
        created.map(|created| created.upload_id).map_err(|error| self.error(key, &error).writing())
    }

    /// Sends a part of an upload. `number` counts from 0.
    ///
    /// # Errors
    /// [`TransferError`] after the last attempt.
    pub async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: usize,
        part: FilePart,
    ) -> Result<StoredPart, TransferError> {
        let mut request = self.request(Method::PUT, key).sending(part);
        request.url.push_str(&format!("?partNumber={}&uploadId={}", number + 1, in_query(upload)));
        let sent = self.send_repeatedly(&request, &mut Repetitions::new()).await.and_then(|answer| {
            let text = |name: HeaderName| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
            let etag = text(ETAG).ok_or_else(|| RequestError::Unexpected("its answer has no ETag".to_owned()))?;
            Ok(StoredPart { etag, sha256: text(SHA256) })
        });
        sent.map_err(|error| self.upload_error(key, &error))
    }

    /// Joins the parts of an upload into the object.
    ///
    /// # Errors
    /// [`StorageError`] after the last attempt.
    pub async fn complete_upload(&self, key: &str, upload: &str, parts: &[StoredPart]) -> Result<(), StorageError> {
        let mut request = self.request(Method::POST, key);
        request.url.push_str(&format!("?uploadId={}", in_query(upload)));
        request.content = Content::Text(answers::completion(parts).into());
        let completed = async {
            let mut repetitions = Repetitions::new();
            loop {
                let mut answer = self.send_repeatedly(&request, &mut repetitions).await?;
                let status = answer.status();
                answer.body_mut().accept_any_speed();
                let late = || RequestError::Unexpected("it does not join the parts".to_owned());
                let text = tokio::time::timeout(JOIN_TIME, whole(answer)).await.unwrap_or_else(|_| Err(late()))?;
                let completed: CompletedUpload = answers::parse(&text).map_err(RequestError::Unexpected)?;
                if completed.etag.is_some() {
                    return Ok(());
                }
                // S3 sends the status before it joins the parts, so an error may follow a status of 200.
                let ErrorDocument { code, message, .. } = ErrorDocument::parse(text.as_bytes());
                let refusal = ServerRefusal { status, code, message, region: None, target: None };
                if !refusal.may_pass() || !repetitions.wait().await {
                    return Err(RequestError::Refused(refusal));
                }
            }
        };
        completed.await.map_err(|error| self.error(key, &error).writing())
    }

    /// Aborts an upload, so that S3 deletes its parts.
    ///
    /// # Errors
    /// [`StorageError`] after the last attempt.
    pub async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StorageError> {
        let mut request = self.request(Method::DELETE, key);
        request.url.push_str(&format!("?uploadId={}", in_query(upload)));
        let sent = self.send_repeatedly(&request, &mut Repetitions::new()).await;
        sent.map(|_| ()).map_err(|error| self.error(key, &error).writing())
    }

    /// Creates a request for an object, without a query, headers or content.
    pub fn request(&self, method: Method, key: &str) -> UnsignedRequest {
        let url = format!("{}/{}", self.url, utf8_percent_encode(key, IN_KEY));
        UnsignedRequest { method, url, headers: HeaderMap::new(), content: Content::Nothing }
    }

    /// Sends a request until it succeeds, its repetitions are used up, or another attempt would fail too.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub async fn send_repeatedly(
        &self,
        request: &UnsignedRequest,
        repetitions: &mut Repetitions,
    ) -> Result<Response<AnswerBody>, RequestError> {
        loop {
            let error = match self.send(request).await {
                Ok(answer) => {
                    self.note_failure(None);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            self.note_failure(Some(reason(&error)));
            let repeat = match &error {
                RequestError::Transport(error) => may_pass(error),
                RequestError::Refused(refusal) => refusal.may_pass(),
                RequestError::Credentials(_) | RequestError::Replaced | RequestError::Unexpected(_) => false,
            };
            if matches!(&error, RequestError::Transport(error) if error.is_stalled_connection()) {
                repetitions.shorten();
            }
            if !repeat || !repetitions.wait().await {
                return Err(error);
            }
            tracing::debug!("s3://{}: {} is repeated after: {}", self.bucket, request.method, reason(&error));
        }
    }

    /// Signs a request and sends it once.
    async fn send(&self, request: &UnsignedRequest) -> Result<Response<AnswerBody>, RequestError> {
        let unexpected = |error: &dyn std::fmt::Display| RequestError::Unexpected(error.to_string());
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| CredentialsError::from_provider(&error))?;
        let (body, digest) = match &request.content {
            Content::Text(text) => (HttpRequestBody::from(text.clone()), None),
            Content::File(part) => (HttpRequestBody::empty(), Some(part.digest.bytes())),
            Content::Nothing => (HttpRequestBody::empty(), None),
        };
        let signed = http::Request::builder().method(&request.method).uri(&request.url).body(body);
        let mut signed = signed.map_err(|error| unexpected(&error))?;
        signed.headers_mut().clone_from(&request.headers);
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut signed, digest)
            .map_err(|error| unexpected(&reason(&error)))?;
        let signed = signed.map(|body| match &request.content {
            Content::File(part) => Payload::from_file(Arc::clone(&part.file), part.range.clone()),
            Content::Text(_) | Content::Nothing => Payload::from(body),
        });
        let answer = self.http.send(signed).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(RequestError::Refused(refusal(answer).await)) }
    }

    /// Converts the error of a request for an object.
    pub fn error(&self, key: &str, error: &RequestError) -> StorageError {
        let mut found = StorageError::of_request(&self.bucket, key, error);
        if found.problem == Problem::OtherRegion && found.region.as_deref() == Some(&*self.region) {
            let is_redirection = matches!(error, RequestError::Refused(refusal) if refusal.status.is_redirection());
            found.problem = if is_redirection { Problem::Redirected } else { Problem::Failing };
        }
        found
    }

    fn upload_error(&self, key: &str, error: &RequestError) -> TransferError {
        TransferError::of_upload(&self.bucket, key, error)
    }
}

impl UnsignedRequest {
    /// Adds a range of a file as the content, with its length and checksum.
    fn sending(mut self, part: FilePart) -> UnsignedRequest {
        self.headers.insert(CONTENT_LENGTH, (part.range.end - part.range.start).into());
        // Base64 is always valid in a header.
        if let Ok(digest) = HeaderValue::try_from(part.digest.base64()) {
            self.headers.insert(SHA256, digest);
        }
        self.content = Content::File(part);
        self
    }
}

/// Reads the answer that refuses a request.
async fn refusal(answer: Response<AnswerBody>) -> ServerRefusal {
    let (head, body) = answer.into_parts();
    let target = head.headers.get(LOCATION).map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
    // The status is known even if the connection breaks before the end of the body.
    let document = ErrorDocument::parse(&body.read_what_arrives(LONGEST_REFUSAL).await);
    let ErrorDocument { code, message, region } = document;
    // A server in front of S3 may pass on only the document, without S3's headers.
    let named = head.headers.get(BUCKET_REGION).and_then(|region| region.to_str().ok()).map(str::to_owned);
    let region = Some(named.unwrap_or(region)).filter(|region| region::is_name(region));
    ServerRefusal { status: head.status, code, message, region, target }
}

/// Reads the whole answer as text.
async fn whole(answer: Response<AnswerBody>) -> Result<String, RequestError> {
    let body = answer.into_body().read_to(LONGEST_ANSWER).await?;
    if body.len() == LONGEST_ANSWER {
        return Err(RequestError::Unexpected(format!("its answer has {LONGEST_ANSWER} bytes or more")));
    }
    String::from_utf8(body).map_err(|error| RequestError::Unexpected(format!("its answer is not text: {error}")))
}

/// Escapes a text for the value of a URL's query, by the rules of AWS's signatures.
pub fn in_query(text: &str) -> String {
    utf8_percent_encode(text, IN_QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::BucketClient;
    use crate::job::Variables;
    use crate::storage::access::Access;
    use crate::storage::answers::StoredPart;
    use crate::storage::error::StorageError;
    use crate::storage::problem::Problem;

    /// Completes an upload at a server that sends a space each 100 ms while it joins the parts, for 2.5 s, and then these bytes
    /// of its answer. The client accepts a silence of one second.
    fn completed(answer: &'static str) -> Result<(), StorageError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // The client may have given up.
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                for _ in 0..25 {
                    thread::sleep(Duration::from_millis(100));
                    let _ = stream.write_all(b" ");
                }
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let variables = [
            ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("no_proxy", "127.0.0.1"),
        ];
        let access = Access::of(&variables.into_iter().collect::<Variables>(), Some("eu-west-1"));
        let mut client = BucketClient::new(&access, "b", "eu-west-1").expect("a client");
        client.http = client.http.with_silence(Duration::from_secs(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let parts = [StoredPart { etag: "e".to_owned(), sha256: None }];
        runtime.block_on(client.complete_upload("k", "u", &parts))
    }

    #[test]
    fn a_server_that_joins_parts_slowly_is_waited_for() {
        let joined = "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";
        assert_eq!(completed(joined), Ok(()));
        let refused = completed("<Error><Code>InvalidPart</Code><Message>said</Message></Error>").expect_err("refused");
        assert_eq!((refused.problem, &*refused.detail), (Problem::Failing, "InvalidPart: said"));
        let broken = completed("").expect_err("it breaks off");
        assert_eq!(broken.problem, Problem::Failing, "{broken}");
    }
}
