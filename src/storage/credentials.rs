//! Credentials: which of the sources of the AWS SDKs a container has, and asking it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpRequestBody, HttpService};
use object_store::{CredentialProvider, RetryConfig, StaticCredentialProvider};
use tokio::sync::Mutex;

use super::access::Access;
use super::error::reason;
use super::http::{Client, persistently};

/// The container's own endpoint, to which a relative path belongs.
const CONTAINER: &str = "http://169.254.170.2";
/// How long credentials of the container's endpoint are used before it is asked again: it renews them long before they
/// end, and asking costs a millisecond.
const USED_FOR: Duration = Duration::from_secs(300);

/// Where the credentials come from: the first that is there, in the order of the AWS SDKs.
#[derive(Clone)]
pub(super) enum Sources {
    /// AWS_ACCESS_KEY_ID and what belongs to it.
    Environment { key_id: String, secret_key: String, token: Option<String> },
    /// AWS_WEB_IDENTITY_TOKEN_FILE.
    WebIdentity { file: String, role: String, session: Option<String>, endpoint: String },
    /// The endpoint that the platform gives a container.
    Container { url: String, token: Option<String>, token_file: Option<String> },
    /// The machine's.
    Instance { endpoint: Option<String> },
    /// None is there, and the machine's may not be asked.
    Nothing,
}

/// Without what is secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sources::Environment { .. } => f.write_str("the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
            Sources::WebIdentity { file, .. } => write!(f, "the web identity token {file}"),
            Sources::Container { url, .. } => {
                write!(f, "the container's credentials endpoint {}", url.split(['?', '#']).next().unwrap_or_default())
            }
            Sources::Instance { .. } => f.write_str("the instance metadata"),
            Sources::Nothing => f.write_str("no source of credentials"),
        }
    }
}

impl Sources {
    /// Reads the variables with `get`, which gives those that are set and not empty.
    pub fn of(get: &impl Fn(&str) -> Option<String>, region: &str) -> Sources {
        if let (Some(key_id), Some(secret_key)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            return Sources::Environment { key_id, secret_key, token: get("AWS_SESSION_TOKEN") };
        }
        if let (Some(file), Some(role)) = (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN")) {
            let endpoint = get("AWS_ENDPOINT_URL_STS").or_else(|| get("AWS_ENDPOINT_URL"));
            let endpoint = endpoint.unwrap_or_else(|| format!("https://sts.{region}.{}", Access::suffix(region)));
            return Sources::WebIdentity { file, role, session: get("AWS_ROLE_SESSION_NAME"), endpoint };
        }
        let relative = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
        if let Some(url) = relative.or_else(|| get("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
            let (token, token_file) =
                (get("AWS_CONTAINER_AUTHORIZATION_TOKEN"), get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
            return Sources::Container { url, token, token_file };
        }
        match get("AWS_EC2_METADATA_DISABLED") {
            Some(value) if value.eq_ignore_ascii_case("true") => Sources::Nothing,
            _ => Sources::Instance { endpoint: get("AWS_EC2_METADATA_SERVICE_ENDPOINT") },
        }
    }

    /// Whether asking again can give others.
    pub fn can_renew(&self) -> bool {
        !matches!(self, Sources::Environment { .. } | Sources::Nothing)
    }

    /// What gives the credentials, asked when the first request is made.
    pub fn provider(&self, client: &Client) -> AwsCredentialProvider {
        let inner: AwsCredentialProvider = match self.clone() {
            Sources::Environment { key_id, secret_key, token } => {
                return Arc::new(StaticCredentialProvider::new(AwsCredential { key_id, secret_key, token }));
            }
            Sources::Nothing => Arc::new(Failing("no credentials are set".to_owned())),
            Sources::Container { url, token, token_file } => {
                Arc::new(Container { url, token, token_file, client: client.clone(), last: Mutex::default() })
            }
            Sources::WebIdentity { file, role, session, endpoint } => {
                let mut builder = metadata(client)
                    .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, file)
                    .with_config(AmazonS3ConfigKey::RoleArn, role)
                    .with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
                if let Some(session) = session {
                    builder = builder.with_config(AmazonS3ConfigKey::RoleSessionName, session);
                }
                built(builder)
            }
            Sources::Instance { endpoint } => {
                let mut builder = metadata(client);
                if let Some(endpoint) = endpoint {
                    let endpoint = endpoint.trim_end_matches('/');
                    builder = builder.with_config(AmazonS3ConfigKey::MetadataEndpoint, endpoint);
                }
                built(builder)
            }
        };
        Arc::new(Named { source: self.clone(), inner })
    }
}

/// A builder of which only the credentials are wanted.
fn metadata(client: &Client) -> AmazonS3Builder {
    let retry = RetryConfig { max_retries: 1, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
    AmazonS3Builder::new().with_bucket_name("none").with_retry(retry).with_http_connector(client.clone())
}

fn built(builder: AmazonS3Builder) -> AwsCredentialProvider {
    match builder.build() {
        Ok(store) => Arc::clone(store.credentials()),
        Err(error) => Arc::new(Failing(reason(&error))),
    }
}

/// No credentials could be had.
#[derive(Debug)]
pub(super) struct CredentialsError(String);

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CredentialsError {}

impl From<CredentialsError> for object_store::Error {
    fn from(error: CredentialsError) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(error) }
    }
}

/// Credentials whose errors say where they were to come from.
#[derive(Debug)]
struct Named {
    source: Sources,
    inner: AwsCredentialProvider,
}

#[async_trait]
impl CredentialProvider for Named {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.inner
            .get_credential()
            .await
            .map_err(|error| CredentialsError(format!("{}: {}", self.source, reason(&error))).into())
    }
}

#[derive(Debug)]
struct Failing(String);

#[async_trait]
impl CredentialProvider for Failing {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Err(CredentialsError(self.0.clone()).into())
    }
}

/// The endpoint that the platform gives a container: JSON with AccessKeyId, SecretAccessKey and Token.
struct Container {
    url: String,
    token: Option<String>,
    token_file: Option<String>,
    client: Client,
    last: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Container {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((at, credential)) = &*last
            && at.elapsed() < USED_FOR
        {
            return Ok(Arc::clone(credential));
        }
        let credential = Arc::new(persistently("credentials", || self.ask()).await.map_err(CredentialsError)?);
        *last = Some((Instant::now(), Arc::clone(&credential)));
        Ok(credential)
    }
}

impl Container {
    /// Asks once; an error comes with whether asking again may help.
    async fn ask(&self) -> Result<AwsCredential, (String, bool)> {
        let mut request = http::Request::get(&self.url);
        let from_file = match &self.token_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                Some(read.map_err(|error| (format!("the token file {path}: {error}"), false))?)
            }
            None => None,
        };
        if let Some(token) = from_file.as_deref().or(self.token.as_deref()) {
            request = request.header("Authorization", token.trim());
        }
        let request = request.body(HttpRequestBody::empty()).map_err(|error| (error.to_string(), false))?;
        let answer = self.client.call(request).await.map_err(|error| (reason(&error), true))?;
        let status = answer.status();
        if !status.is_success() {
            return Err((format!("it answered {status}"), status.is_server_error()));
        }
        let body = answer.into_body().bytes().await.map_err(|error| (reason(&error), true))?;
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        match (text("AccessKeyId"), text("SecretAccessKey")) {
            (Some(key_id), Some(secret_key)) => Ok(AwsCredential { key_id, secret_key, token: text("Token") }),
            _ => Err(("its answer holds no credentials".to_owned(), false)),
        }
    }
}
