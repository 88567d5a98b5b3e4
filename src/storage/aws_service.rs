//! Signed requests to AWS services other than S3, which answer JSON.

use http::Method;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequestBody;
use thiserror::Error;
use tokio::runtime::Runtime;
use url::Url;

use super::access::{Access, configured_endpoint};
use super::bucket_access::runtime;
use super::error::{CredentialsError, SettingsError, TransportError, clean, reason};
use super::http::Client;
use super::payload::Payload;
use super::region;
use super::retry::{FailedAttempt, repeated};
use crate::job::Variables;

/// The maximum size of an answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// A client of an AWS service in a region. Its functions block the calling thread.
#[derive(Debug)]
pub struct AwsService {
    runtime: Runtime,
    http: Client,
    credentials: AwsCredentialProvider,
    /// The name of the service in endpoints and signatures, such as `codeartifact`.
    name: &'static str,
    region: String,
    /// The URL of the server, without a slash at its end.
    endpoint: String,
}

/// The reason why a service cannot be used, or why it refused a request. The text holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct AwsServiceError(String);

impl AwsService {
    /// Creates a client with the credentials and the network settings of the variables. AWS_ENDPOINT_URL_<NAME> and
    /// AWS_ENDPOINT_URL replace the service's usual endpoint, as in the AWS SDKs. No request is sent yet.
    ///
    /// # Errors
    /// [`AwsServiceError`] if the variables do not describe a usable connection.
    pub fn new(variables: &Variables, name: &'static str, region: &str) -> Result<AwsService, AwsServiceError> {
        let failed = |error: SettingsError| AwsServiceError(error.to_string());
        if !region::is_name(region) {
            return Err(failed(SettingsError::Region(region.to_owned())));
        }
        let get = |name: &str| variables.get_non_empty(name).map(|value| value.trim().to_owned());
        let usual = || format!("https://{name}.{region}.{}", region::domain(region));
        let endpoint = configured_endpoint(&get, &name.to_ascii_uppercase()).unwrap_or_else(usual);
        // The signer panics if it cannot parse the URL of a request.
        if let Err(error) = Url::parse(&endpoint) {
            return Err(AwsServiceError(format!("{endpoint} is no URL: {error}")));
        }
        let access = Access::of(variables, Some(region));
        let http = Client::new(&access.network).map_err(failed)?;
        let runtime = runtime().map_err(failed)?;
        let credentials = access.credentials.provider(&http);
        let (endpoint, region) = (endpoint.trim_end_matches('/').to_owned(), region.to_owned());
        Ok(AwsService { runtime, http, credentials, name, region, endpoint })
    }

    /// Sends a request without a body and returns the JSON of the answer. `path` begins with a slash and may have a query.
    ///
    /// # Errors
    /// [`AwsServiceError`], after a bounded number of attempts.
    pub fn request(&self, method: Method, path: &str) -> Result<serde_json::Value, AwsServiceError> {
        let attempts = repeated(self.name, || self.attempt(method.clone(), path));
        self.runtime.block_on(attempts).map_err(AwsServiceError)
    }

    async fn attempt(&self, method: Method, path: &str) -> Result<serde_json::Value, FailedAttempt> {
        let credential = self.credentials.get_credential().await;
        let credential =
            credential.map_err(|error| FailedAttempt::for_good(clean(&CredentialsError::from_provider(&error).0)))?;
        let url = format!("{}{path}", self.endpoint);
        let request = http::Request::builder().method(method).uri(url).body(HttpRequestBody::empty());
        let mut request = request.map_err(|error| FailedAttempt::for_good(error.to_string()))?;
        AwsAuthorizer::new(&credential, self.name, &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| FailedAttempt::for_good(reason(&error)))?;
        let failed = |error: TransportError| FailedAttempt::for_now(reason(&error));
        let answer = self.http.send(request.map(Payload::from)).await.map_err(failed)?;
        let status = answer.status();
        let body = answer.into_body().read_to(LONGEST_ANSWER).await.map_err(failed)?;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let message = ["message", "Message"].iter().find_map(|name| json.get(name)?.as_str()).unwrap_or_default();
        let reason = clean(&format!("it answers {status} {message}"));
        Err(FailedAttempt { reason, may_pass: status.is_server_error() || status.as_u16() == 429 })
    }
}
