//! Credentials from the endpoints that the platform provides: a container's endpoint and the instance metadata.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Method;
use http::request::Builder;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::client::HttpRequestBody;
use tokio::sync::Mutex;

use super::error::{CredentialsError, reason};
use super::http::Client;
use super::payload::Payload;
use super::retry::{FailedAttempt, repeated};
use crate::files;

/// The maximum size of a file that holds a token, in bytes.
pub(super) const MAX_TOKEN: u64 = 64 << 10;
/// The maximum size of an answer, in bytes. A session token has a few kilobytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// The time for which credentials are reused. The endpoints renew them long before they expire, and a request costs about a
/// millisecond.
const REUSE_TIME: Duration = Duration::from_secs(300);
/// The server of the instance metadata, by the contract of Amazon EC2.
const INSTANCE_SERVER: &str = "http://169.254.169.254";
/// The path of the roles of an instance.
const ROLES: &str = "latest/meta-data/iam/security-credentials";
/// The maximum time of an attempt to get credentials from the instance metadata. The machine itself serves them.
const INSTANCE_TIME: Duration = Duration::from_secs(5);
/// The maximum length of a role's name, by the contract of IAM.
const LONGEST_ROLE: usize = 64;

/// An endpoint that answers JSON with AccessKeyId, SecretAccessKey and Token.
#[derive(Clone)]
pub(super) enum MachineEndpoint {
    /// AWS_CONTAINER_CREDENTIALS_*.
    Container { url: String, token: Option<String>, token_file: Option<String> },
    /// The instance metadata service, at its usual address or at this one.
    Instance { url: Option<String> },
}

/// A provider that asks an endpoint of the platform.
pub(super) struct MachineProvider {
    endpoint: MachineEndpoint,
    client: Client,
    /// The credentials that were fetched last, and when.
    last: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl fmt::Debug for MachineProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineProvider").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for MachineProvider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((at, credential)) = &*last
            && at.elapsed() < REUSE_TIME
        {
            return Ok(Arc::clone(credential));
        }
        let asked = repeated("credentials", || async {
            match &self.endpoint {
                MachineEndpoint::Container { url, token, token_file } => {
                    self.ask_container(url, token.as_deref(), token_file.as_deref()).await
                }
                MachineEndpoint::Instance { url } => {
                    let asked = self.ask_instance(url.as_deref().unwrap_or(INSTANCE_SERVER).trim_end_matches('/'));
                    let late = || FailedAttempt::for_now(format!("no answer within {} s", INSTANCE_TIME.as_secs()));
                    tokio::time::timeout(INSTANCE_TIME, asked).await.unwrap_or_else(|_| Err(late()))
                }
            }
        });
        let credential = Arc::new(asked.await.map_err(CredentialsError)?);
        *last = Some((Instant::now(), Arc::clone(&credential)));
        Ok(credential)
    }
}

impl MachineProvider {
    pub fn new(endpoint: MachineEndpoint, client: &Client) -> MachineProvider {
        MachineProvider { endpoint, client: client.clone(), last: Mutex::default() }
    }

    async fn ask_container(
        &self,
        url: &str,
        token: Option<&str>,
        token_file: Option<&str>,
    ) -> Result<AwsCredential, FailedAttempt> {
        let mut request = http::Request::get(url);
        let from_file = match token_file {
            Some(path) => {
                let read = files::text(Path::new(path), MAX_TOKEN);
                Some(read.map_err(|error| FailedAttempt::for_good(format!("the token file {path}: {error}")))?)
            }
            None => None,
        };
        if let Some(token) = from_file.as_deref().or(token) {
            request = request.header("Authorization", token.trim());
        }
        credential(&self.answer(request).await?)
    }

    /// Asks for a token, then for the role of the instance, then for the credentials of this role (IMDSv2).
    async fn ask_instance(&self, url: &str) -> Result<AwsCredential, FailedAttempt> {
        let token = http::Request::builder().method(Method::PUT).uri(format!("{url}/latest/api/token"));
        let token = self.answer(token.header("X-aws-ec2-metadata-token-ttl-seconds", "600")).await?;
        let get = |path: String| {
            http::Request::get(format!("{url}/{path}")).header("X-aws-ec2-metadata-token", token.trim_ascii())
        };
        let roles = self.answer(get(format!("{ROLES}/"))).await?;
        let role = role(&roles).ok_or_else(|| FailedAttempt::for_good("its answer names no role"))?;
        credential(&self.answer(get(format!("{ROLES}/{role}"))).await?)
    }

    /// Sends a request once, and returns the body of the answer.
    async fn answer(&self, request: Builder) -> Result<Vec<u8>, FailedAttempt> {
        let request = request.body(HttpRequestBody::empty());
        let request = request.map_err(|error| FailedAttempt::for_good(error.to_string()))?;
        let answer = self.client.send(request.map(Payload::from)).await;
        let answer = answer.map_err(|error| FailedAttempt::for_now(reason(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            let reason = format!("it answered {status}");
            return Err(FailedAttempt { reason, may_pass: status.is_server_error() });
        }
        let body = answer.into_body().read_to(LONGEST_ANSWER).await;
        body.map_err(|error| FailedAttempt::for_now(reason(&error)))
    }
}

/// Returns the first role of a list, if it is a name that IAM allows: any other text would lead to another path.
fn role(list: &[u8]) -> Option<&str> {
    let role = std::str::from_utf8(list).ok()?.lines().next()?.trim();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    let is_name = (1..=LONGEST_ROLE).contains(&role.len()) && role.chars().all(is_allowed);
    (is_name && !matches!(role, "." | "..")).then_some(role)
}

fn credential(answer: &[u8]) -> Result<AwsCredential, FailedAttempt> {
    let value: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    match (text("AccessKeyId"), text("SecretAccessKey")) {
        (Some(key_id), Some(secret_key)) => Ok(AwsCredential { key_id, secret_key, token: text("Token") }),
        _ => Err(FailedAttempt::for_good("its answer holds no credentials")),
    }
}

#[cfg(test)]
mod tests {
    use super::role;

    #[test]
    fn a_role_of_the_instance_is_a_name_and_nothing_else() {
        assert_eq!(role(b"my-role_1+=,.@\n"), Some("my-role_1+=,.@"));
        assert_eq!(role(b"first\r\nsecond"), Some("first"));
        let long = "r".repeat(65);
        for wrong in ["", "\n", "..", "../../user-data", "a b", "<html>", "a?x", "é", &long] {
            assert_eq!(role(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(role(b"\xff"), None);
    }
}
