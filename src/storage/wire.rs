//! What stands between `object_store` and the HTTP client.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::Client;

use super::checksum::Given;
use super::error::is_unknown_name;
use crate::resolve::ResolveError;

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
        if let Some(exactly) = request.extensions().get::<Exactly>().cloned() {
            let failed = |error| HttpError::new_boxed(HttpErrorKind::Unknown, error);
            *request.uri_mut() = exactly.url.parse().map_err(|error| failed(Box::new(error)))?;
            request.headers_mut().insert("x-amz-checksum-mode", http::HeaderValue::from_static("ENABLED"));
            let credential = exactly.credentials.get_credential().await.map_err(|error| failed(Box::new(error)))?;
            AwsAuthorizer::new(&credential, "s3", &exactly.region)
                .try_authorize(&mut request, None)
                .map_err(|error| failed(Box::new(error)))?;
        }
        let mut response = self.client.call(request).await.map_err(|error| match is_unknown_name(&error) {
            // Asking for it again gives the same answer.
            Some(unknown) => HttpError::new::<ResolveError>(HttpErrorKind::Unknown, unknown),
            None => error,
        })?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        if let (Some(region), Ok(mut place)) = (header("x-amz-bucket-region"), self.region.lock()) {
            *place = Some(region);
        }
        let given = Given::of(&header);
        response.extensions_mut().insert(given);
        Ok(response)
    }
}
