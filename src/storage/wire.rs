//! What stands between `object_store` and the HTTP client.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use super::checksum::{Given, Sha256};
use super::http::{Client, Payload};

/// The header of a checksum.
const SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
/// What says that checksums are asked for.
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

tokio::task_local! {
    static SENT: Part;
}

/// A part of a file, or all of it, which is read while it is sent: `object_store` would have it in memory.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub file: Arc<File>,
    /// In bytes.
    pub range: Range<u64>,
    pub digest: Sha256,
    pub region: String,
    pub credentials: AwsCredentialProvider,
}

impl Part {
    /// Has the requests to a bucket that are made within send this in place of the nothing that `object_store` is given.
    pub async fn send<T>(self, within: impl Future<Output = T>) -> T {
        SENT.scope(self, within).await
    }
}

/// In a request's extensions: it is for the object at this URL, whatever `object_store` has made of its key, and S3 is
/// asked for the checksums that it has of it.
#[derive(Clone, Debug)]
pub(super) struct Exactly {
    pub url: String,
    pub region: String,
    pub credentials: AwsCredentialProvider,
}

/// Sends requests, and sees what S3 says beside the answer.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client,
    /// The region that S3 says the bucket is in.
    region: Arc<Mutex<Option<String>>>,
}

impl Wire {
    pub fn of(client: Client) -> Wire {
        Wire { client, region: Arc::default() }
    }

    /// The region that S3 said the bucket is in, if it did.
    pub fn region(&self) -> Option<String> {
        self.region.lock().ok()?.clone()
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let failed = |error| HttpError::new_boxed(HttpErrorKind::Unknown, error);
        let part = SENT.try_with(Part::clone).ok();
        if let Some(exactly) = request.extensions().get::<Exactly>().cloned() {
            *request.uri_mut() = exactly.url.parse().map_err(|error| failed(Box::new(error)))?;
            request.headers_mut().insert(CHECKSUM_MODE, HeaderValue::from_static("ENABLED"));
            sign(&mut request, &exactly.credentials, &exactly.region, None).await?;
        }
        if let Some(part) = &part {
            let length = part.range.end - part.range.start;
            let checksum = HeaderValue::try_from(part.digest.base64()).map_err(|error| failed(Box::new(error)))?;
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
            request.headers_mut().insert(SHA256, checksum);
            sign(&mut request, &part.credentials, &part.region, Some(part.digest.bytes())).await?;
        }
        let request = request.map(|given| match part {
            Some(Part { file, range, .. }) => Payload::of_file(file, range),
            None => given.into(),
        });
        let mut response = self.client.send(request).await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        if let (Some(region), Ok(mut place)) = (header("x-amz-bucket-region"), self.region.lock()) {
            *place = Some(region);
        }
        let given = Given::of(&header);
        response.extensions_mut().insert(given);
        Ok(response)
    }
}

/// Signs a request anew, as it is now.
async fn sign(
    request: &mut HttpRequest,
    credentials: &AwsCredentialProvider,
    region: &str,
    digest: Option<&[u8]>,
) -> Result<(), HttpError> {
    let failed = |error| HttpError::new(HttpErrorKind::Unknown, error);
    let credential = credentials.get_credential().await.map_err(failed)?;
    AwsAuthorizer::new(&credential, "s3", region).try_authorize(request, digest).map_err(failed)
}
