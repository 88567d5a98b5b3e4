//! Credentials from the endpoints that the platform provides: a container's endpoint and the instance metadata.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::request::Builder;
use http::{Method, StatusCode};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::client::HttpRequestBody;
use tokio::sync::Mutex;

use super::error::{CredentialsError, clean, reason};
use super::http::Client;
use super::payload::Payload;
use super::retry::{FailedAttempt, repeated};
use crate::redact::HIDDEN;
use crate::system::files;

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
/// The maximum time of an attempt to get credentials. The machine itself, or one near it, serves them. The AWS SDKs wait for
/// one or two seconds. With all its attempts, an endpoint that stalls delays a job by at most 13 s.
const ATTEMPT_TIME: Duration = Duration::from_secs(4);
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

/// A provider that requests credentials from an endpoint of the platform.
pub(super) struct MachineProvider {
    endpoint: MachineEndpoint,
    client: Client,
    attempt_time: Duration,
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
            let late = || FailedAttempt::for_now(format!("no answer within {} s", self.attempt_time.as_secs()));
            tokio::time::timeout(self.attempt_time, self.ask()).await.unwrap_or_else(|_| Err(late()))
        });
        let credential = Arc::new(asked.await.map_err(CredentialsError)?);
        *last = Some((Instant::now(), Arc::clone(&credential)));
        Ok(credential)
    }
}

impl MachineProvider {
    pub fn new(endpoint: MachineEndpoint, client: &Client) -> MachineProvider {
        MachineProvider { endpoint, client: client.clone(), attempt_time: ATTEMPT_TIME, last: Mutex::default() }
    }

    /// Requests credentials once.
    async fn ask(&self) -> Result<AwsCredential, FailedAttempt> {
        match &self.endpoint {
            MachineEndpoint::Container { url, token, token_file } => {
                self.ask_container(url, token.as_deref(), token_file.as_deref()).await
            }
            MachineEndpoint::Instance { url } => {
                self.ask_instance(url.as_deref().unwrap_or(INSTANCE_SERVER).trim_end_matches('/')).await
            }
        }
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
        let asked = async { credential(&self.answer(request).await?) };
        // The reason quotes the endpoint, whose answer may repeat the token that was sent.
        let token = from_file.as_deref().or(token).map_or("", str::trim);
        asked.await.map_err(|failed| FailedAttempt { reason: without(&failed.reason, token), ..failed })
    }

    /// Requests a token, then the role of the instance, then the credentials of this role (IMDSv2).
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
            let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let words = words(&answer.into_body().read_what_arrives(LONGEST_ANSWER).await);
            let reason = words.map_or_else(|| reason.clone(), |words| format!("{reason}: {words}"));
            return Err(FailedAttempt { reason, may_pass });
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
        _ => {
            let words = words(answer).map_or_else(String::new, |words| format!(": {words}"));
            Err(FailedAttempt::for_good(format!("its answer holds no credentials{words}")))
        }
    }
}

/// Returns a text with [`HIDDEN`] in place of a token, which may be empty.
pub(super) fn without(text: &str, token: &str) -> String {
    if token.is_empty() { text.to_owned() } else { text.replace(token, HIDDEN) }
}

/// Returns the code and the message of an answer that refuses credentials, as these endpoints write them.
fn words(answer: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let text = |names: [&str; 2]| names.iter().find_map(|name| value.get(name)?.as_str());
    let (code, message) = (text(["Code", "code"]), text(["Message", "message"]));
    let words: Vec<&str> = [code, message].into_iter().flatten().collect();
    (!words.is_empty()).then(|| clean(&words.join(": ")))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use object_store::CredentialProvider;

    use super::{Client, MachineEndpoint, MachineProvider, credential, role, words};
    use crate::storage::network::NetworkSettings;

    /// Requests credentials from a container's endpoint that treats its connections with `serve`, and returns the error.
    /// An attempt may take one second.
    fn refused(serve: fn(&mut TcpStream)) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                serve(&mut stream);
                kept.push(stream);
            }
        });
        let client = Client::new(&NetworkSettings::default()).expect("a client");
        let mut provider =
            MachineProvider::new(MachineEndpoint::Container { url, token: None, token_file: None }, &client);
        provider.attempt_time = Duration::from_secs(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(provider.get_credential()).expect_err("no credentials").to_string()
    }

    #[test]
    fn an_endpoint_that_stalls_at_any_point_is_given_up_within_seconds() {
        let silent: fn(&mut TcpStream) = |_| {};
        let stops: fn(&mut TcpStream) = |stream| {
            // hyper treats bytes that arrive before the request as an error.
            let _ = stream.read(&mut [0; 4096]);
            // The result is ignored: the client may have given up.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"AccessKeyId\": ");
        };
        for serve in [silent, stops] {
            let begun = Instant::now();
            let error = refused(serve);
            assert!(error.contains("no answer within 1 s"), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        }
    }

    #[test]
    fn the_words_of_an_endpoint_that_refuses_are_quoted() {
        let refused = br#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume\nthe role"}"#;
        let said = "AssumeRoleUnauthorizedAccess: EC2 cannot assume the role";
        assert_eq!(words(refused).as_deref(), Some(said));
        let failed = credential(refused).expect_err("no credentials");
        assert_eq!(failed.reason, format!("its answer holds no credentials: {said}"));
        assert_eq!(words(br#"{"code": "NoRole", "message": "m"}"#).as_deref(), Some("NoRole: m"));
        for nothing in ["", "<html>", "[]", "{}", "{\"Code\": 1}"] {
            assert_eq!(words(nothing.as_bytes()), None, "{nothing}");
        }
    }

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
