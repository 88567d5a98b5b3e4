//! Credentials: chooses among the sources that the AWS SDKs know, and requests credentials from the chosen one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::{CredentialProvider, RetryConfig, StaticCredentialProvider};

use super::answers;
use super::error::{CredentialsError, chain, clean, reason};
use super::http::Client;
use super::machine::{MAX_TOKEN, MachineEndpoint, MachineProvider, without};
use super::region;
use crate::system::files;

/// The variables that name a container's credentials endpoint.
const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// The server of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, by the contract of Amazon ECS.
const CONTAINER_SERVER: &str = "http://169.254.170.2";
/// The addresses at which Amazon ECS and EKS serve a container's credentials. Over HTTP, a token is sent only to these
/// addresses and to the machine itself, because everybody on the way can read it. The AWS SDKs have the same rule.
const CONTAINER_SERVERS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];
/// The source of the credentials: the first one that the variables name, in the order of the AWS SDKs.
#[derive(Clone)]
pub(super) enum CredentialSource {
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
    Environment { key_id: String, secret_key: String, token: Option<String> },
    /// AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: a token that STS exchanges for credentials.
    WebIdentity { file: String, role: String, session: Option<String>, endpoint: String },
    /// The endpoint that the platform provides for a container (AWS_CONTAINER_CREDENTIALS_*).
    Container { url: String, token: Option<String>, token_file: Option<String> },
    /// An endpoint, named by the variable `variable`, that must not receive a request, for this reason.
    Refused { variable: &'static str, reason: String },
    /// The instance metadata service of the machine.
    Instance { endpoint: Option<String> },
    /// No source: the variables name none, and AWS_EC2_METADATA_DISABLED forbids the instance metadata.
    Nothing,
}

/// Shows the kind of source and never a secret.
impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialSource::Environment { .. } => {
                f.write_str("the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
            }
            CredentialSource::WebIdentity { file, .. } => write!(f, "the web identity token {file}"),
            CredentialSource::Container { url, .. } => {
                write!(f, "the container's credentials endpoint {}", url.split(['?', '#']).next().unwrap_or_default())
            }
            CredentialSource::Refused { variable, .. } => {
                write!(f, "the container's credentials endpoint ({variable})")
            }
            CredentialSource::Instance { .. } => f.write_str("the instance metadata"),
            CredentialSource::Nothing => f.write_str("no source of credentials"),
        }
    }
}

impl CredentialSource {
    /// Chooses the source. `get` returns variables that are set and not empty. `region` is the region whose STS is
    /// used.
    pub fn from_variables(get: &impl Fn(&str) -> Option<String>, region: &str) -> CredentialSource {
        if let (Some(key_id), Some(secret_key)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            return CredentialSource::Environment { key_id, secret_key, token: get("AWS_SESSION_TOKEN") };
        }
        if let (Some(file), Some(role)) = (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN")) {
            let endpoint = get("AWS_ENDPOINT_URL_STS").or_else(|| get("AWS_ENDPOINT_URL"));
            let endpoint = endpoint.unwrap_or_else(|| format!("https://sts.{region}.{}", region::domain(region)));
            return CredentialSource::WebIdentity { file, role, session: get("AWS_ROLE_SESSION_NAME"), endpoint };
        }
        let relative = get(RELATIVE_URI)
            .map(|path| (RELATIVE_URI, format!("{CONTAINER_SERVER}/{}", path.trim_start_matches('/'))));
        if let Some((variable, url)) = relative.or_else(|| Some((FULL_URI, get(FULL_URI)?))) {
            if let Err(reason) = may_be_asked(&url) {
                return CredentialSource::Refused { variable, reason };
            }
            let (token, token_file) =
                (get("AWS_CONTAINER_AUTHORIZATION_TOKEN"), get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
            return CredentialSource::Container { url, token, token_file };
        }
        match get("AWS_EC2_METADATA_DISABLED") {
            Some(value) if value.eq_ignore_ascii_case("true") => CredentialSource::Nothing,
            _ => CredentialSource::Instance { endpoint: get("AWS_EC2_METADATA_SERVICE_ENDPOINT") },
        }
    }

    /// Returns true if another request can yield newer credentials.
    pub fn can_renew(&self) -> bool {
        use CredentialSource::{Environment, Nothing, Refused};
        !matches!(self, Environment { .. } | Nothing | Refused { .. })
    }

    /// Creates the provider, which sends requests to the source when the first request needs credentials.
    pub fn provider(&self, client: &Client) -> AwsCredentialProvider {
        let inner: AwsCredentialProvider = match self.clone() {
            CredentialSource::Environment { key_id, secret_key, token } => {
                Arc::new(StaticCredentialProvider::new(AwsCredential { key_id, secret_key, token }))
            }
            CredentialSource::Nothing => Arc::new(FailingProvider("no credentials are set".to_owned())),
            CredentialSource::Refused { reason, .. } => Arc::new(FailingProvider(reason)),
            CredentialSource::Container { url, token, token_file } => {
                Arc::new(MachineProvider::new(MachineEndpoint::Container { url, token, token_file }, client))
            }
            CredentialSource::WebIdentity { file, role, session, endpoint } => {
                let mut builder = provider_builder(client)
                    .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, file)
                    .with_config(AmazonS3ConfigKey::RoleArn, role)
                    .with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
                if let Some(session) = session {
                    builder = builder.with_config(AmazonS3ConfigKey::RoleSessionName, session);
                }
                built(builder)
            }
            CredentialSource::Instance { endpoint } => {
                Arc::new(MachineProvider::new(MachineEndpoint::Instance { url: endpoint }, client))
            }
        };
        Arc::new(NamedProvider { source: self.clone(), inner })
    }
}

/// Checks that a token may be sent to a container's credentials endpoint: over HTTPS, or to an address that no other
/// machine has.
///
/// # Errors
/// The reason why it may not be sent, without the URL's user part and query, which may be secret.
fn may_be_asked(url: &str) -> Result<(), String> {
    let parsed: http::Uri = url.parse().map_err(|error| format!("its value is no URL: {error}"))?;
    let host = parsed.host().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let address = address.map(|address| address.to_canonical());
    let is_near = host.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|address| address.is_loopback() || CONTAINER_SERVERS.contains(&address));
    match parsed.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_near => Ok(()),
        Some("http") => Err(format!(
            "it is not asked, because its token would go to {host} over HTTP, where others can read it: use HTTPS, an \
             address of this machine, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]"
        )),
        _ => Err("its value is no http:// or https:// URL".to_owned()),
    }
}

/// Returns a builder for a store. Only the credentials provider of the store is used.
fn provider_builder(client: &Client) -> AmazonS3Builder {
    let retry = RetryConfig { max_retries: 1, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
    AmazonS3Builder::new().with_bucket_name("none").with_retry(retry).with_http_connector(client.clone())
}

/// Returns the credentials provider of the store.
fn built(builder: AmazonS3Builder) -> AwsCredentialProvider {
    match builder.build() {
        Ok(store) => Arc::clone(store.credentials()),
        Err(error) => Arc::new(FailingProvider(reason(&error))),
    }
}

/// A provider whose errors name the source.
#[derive(Debug)]
struct NamedProvider {
    source: CredentialSource,
    inner: AwsCredentialProvider,
}

#[async_trait]
impl CredentialProvider for NamedProvider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // If the token file were a FIFO, the provider would wait for it for ever.
        let token = match &self.source {
            CredentialSource::WebIdentity { file, .. } => files::text(Path::new(file), MAX_TOKEN)
                .map_err(|error| CredentialsError(format!("{}: {error}", self.source)))?,
            _ => String::new(),
        };
        // The reason quotes the server, whose answer may repeat the token that was sent.
        let failed = |reason: String| CredentialsError(format!("{}: {}", self.source, without(&reason, token.trim())));
        let credential = self.inner.get_credential().await.map_err(|error| {
            let refusal = chain(&error).last().and_then(|last| answers::refusal_of_sts(&last.to_string()));
            failed(refusal.map_or_else(|| reason(&error), |refusal| clean(&refusal)))
        })?;
        usable(&credential).map_err(failed)?;
        Ok(credential)
    }
}

/// Checks that credentials can be sent in headers. The signer panics if they cannot.
///
/// # Errors
/// A description, without the credentials.
fn usable(credential: &AwsCredential) -> Result<(), String> {
    let AwsCredential { key_id, secret_key, token } = credential;
    let parts = [("key ID", Some(key_id)), ("secret key", Some(secret_key)), ("session token", token.as_ref())];
    for (name, text) in parts {
        match text.map(|text| (text.is_empty(), text.bytes().all(|byte| byte.is_ascii_graphic()))) {
            Some((true, _)) => return Err(format!("the {name} is empty")),
            Some((false, false)) => {
                return Err(format!("the {name} holds a blank, a line break or another character that it cannot have"));
            }
            Some((false, true)) | None => {}
        }
    }
    Ok(())
}

/// A provider that always fails with this text.
#[derive(Debug)]
struct FailingProvider(String);

#[async_trait]
impl CredentialProvider for FailingProvider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Err(CredentialsError(self.0.clone()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::{CredentialSource, may_be_asked};

    #[test]
    fn a_token_goes_over_http_to_this_machine_and_the_container_services_only() {
        for near in [
            "http://127.0.0.1:8080/creds",
            "http://127.4.5.6/",
            "http://localhost/creds",
            "http://[::1]:80/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://169.254.170.2/v2?id=1",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "https://credentials.example/x",
        ] {
            assert_eq!(may_be_asked(near), Ok(()), "{near}");
        }
        for (far, host) in [
            ("http://10.0.0.5/x?hidden", "10.0.0.5"),
            ("http://credentials.example/x", "credentials.example"),
            ("http://localhost.example/", "localhost.example"),
            ("http://user:hidden@10.0.0.5:80/x", "10.0.0.5"),
            ("http://127.0.0.1@10.0.0.5/x", "10.0.0.5"),
            ("http://169.254.170.2@10.0.0.5/x", "10.0.0.5"),
            ("http://2130706433/x", "2130706433"),
            ("http://169.254.169.254/latest", "169.254.169.254"),
            ("http://[fd00:ec2::24]/x", "[fd00:ec2::24]"),
            ("http://0.0.0.0/x", "0.0.0.0"),
        ] {
            let reason = may_be_asked(far).expect_err(far);
            let said = format!("it is not asked, because its token would go to {host} over HTTP, ");
            assert!(reason.starts_with(&said) && !reason.contains("hidden"), "{reason}");
        }
        for wrong in ["", "/creds", "ftp://127.0.0.1/x", "127.0.0.1/x", "http://a b/"] {
            assert!(may_be_asked(wrong).is_err(), "{wrong}");
        }
        // A relative URI cannot name another host.
        for path in ["@10.0.0.5/x", ".example/x", ":80@10.0.0.5/"] {
            let get = |name: &str| (name == "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").then(|| path.to_owned());
            let source = CredentialSource::from_variables(&get, "eu-west-1");
            let CredentialSource::Container { url, .. } = source else { panic!("{source:?}") };
            assert_eq!(url, format!("http://169.254.170.2/{path}"));
        }
    }

    #[test]
    fn the_first_source_that_the_variables_name_is_used_and_shows_no_secret() {
        let mut variables = vec![("AWS_EC2_METADATA_DISABLED", "true")];
        let source = |variables: &[(&str, &str)]| {
            let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let source = CredentialSource::from_variables(&get, "cn-north-1");
            let url = match &source {
                CredentialSource::WebIdentity { endpoint, .. } => endpoint.clone(),
                CredentialSource::Container { url, .. } => url.clone(),
                _ => String::new(),
            };
            (format!("{source:?}"), url, source.can_renew())
        };
        let expect = |text: &str, url: &str, can_renew| (text.to_owned(), url.to_owned(), can_renew);
        assert_eq!(source(&[]), expect("the instance metadata", "", true));
        assert_eq!(source(&variables), expect("no source of credentials", "", false));
        variables.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://h/x?secret"));
        assert_eq!(
            source(&variables),
            expect("the container's credentials endpoint https://h/x", "https://h/x?secret", true)
        );
        variables.push(("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/1"));
        assert_eq!(source(&variables).1, "http://169.254.170.2/v2/1");
        variables.extend([("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn")]);
        let sts = "https://sts.cn-north-1.amazonaws.com.cn";
        assert_eq!(source(&variables), expect("the web identity token /token", sts, true));
        variables.extend([("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hidden")]);
        let text = "the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        assert_eq!(source(&variables), expect(text, "", false));
    }
}
