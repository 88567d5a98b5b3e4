//! CodeArtifact: a package index that a role is let into, by two signed requests.

use std::fmt;

use http::Method;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequestBody, HttpService};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::access::Access;
use super::bucket::runtime;
use super::error::reason;
use super::http::{Client, persistently};
use crate::job::Variables;

/// What stays as it is in a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A repository of CodeArtifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    arn: String,
    region: String,
    owner: String,
    domain: String,
    name: String,
}

/// A repository's index for Python, and the token that lets in.
#[derive(Clone)]
pub struct PackageIndex {
    /// Its URL, without the token.
    pub url: String,
    /// The token, the password of [`USER`](PackageIndex::USER).
    pub token: String,
}

impl PackageIndex {
    /// The user name that belongs to the token.
    pub const USER: &str = "aws";

    /// Its URL with user name and token.
    pub fn url_with_token(&self) -> String {
        self.url.replacen("://", &format!("://{}:{}@", PackageIndex::USER, encoded(&self.token)), 1)
    }

    /// Its host.
    pub fn host(&self) -> String {
        self.url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }
}

/// Without the token.
impl fmt::Debug for PackageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackageIndex(…)")
    }
}

/// Why CodeArtifact let nobody in. Its text names the repository and holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeArtifactError(String);

impl fmt::Display for CodeArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CodeArtifactError {}

impl Repository {
    /// Reads an ARN: `arn:aws:codeartifact:REGION:OWNER:repository/DOMAIN/NAME`.
    ///
    /// # Errors
    /// It is none of a repository.
    pub fn parse(arn: &str) -> Result<Repository, CodeArtifactError> {
        let parts: Vec<&str> = arn.trim().splitn(6, ':').collect();
        if let ["arn", _, "codeartifact", region, owner, rest] = parts[..]
            && let Some((domain, name)) = rest.strip_prefix("repository/").and_then(|rest| rest.split_once('/'))
            && ![region, owner, domain, name].iter().any(|part| part.is_empty())
        {
            let [region, owner, domain, name] = [region, owner, domain, name].map(str::to_owned);
            return Ok(Repository { arn: arn.trim().to_owned(), region, owner, domain, name });
        }
        Err(CodeArtifactError(format!(
            "CA_REPOSITORY_ARN is {arn:?}, but must be as arn:aws:codeartifact:REGION:ACCOUNT:repository/DOMAIN/NAME"
        )))
    }

    /// Asks for a token and for the address of the index. It blocks the thread that it is called on.
    ///
    /// # Errors
    /// [`CodeArtifactError`], after a bounded number of attempts.
    pub fn index(&self, variables: &Variables) -> Result<PackageIndex, CodeArtifactError> {
        let get = |name: &str| variables.get_non_empty(name).map(|value| value.trim().to_owned());
        let ignored =
            get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let configured = get("AWS_ENDPOINT_URL_CODEARTIFACT").or_else(|| get("AWS_ENDPOINT_URL")).filter(|_| !ignored);
        let usual = || format!("https://codeartifact.{}.{}", self.region, Access::suffix(&self.region));
        let endpoint = configured.unwrap_or_else(usual);
        let access = Access::of(variables, Some(&self.region));
        let failed = |detail: String| self.failed(&detail);
        let client = Client::of(&access.network).map_err(failed)?;
        let runtime = runtime().map_err(|error| failed(error.to_string()))?;
        runtime.block_on(async {
            let of = format!("domain={}&domain-owner={}", encoded(&self.domain), encoded(&self.owner));
            let ask = async |method: Method, path: &str, field: &str| {
                let url = format!("{}{path}", endpoint.trim_end_matches('/'));
                let once = || self.ask_once(&client, &access, method.clone(), &url, field);
                persistently("CodeArtifact", once).await.map_err(failed)
            };
            let token = ask(Method::POST, &format!("/v1/authorization-token?{of}"), "authorizationToken").await?;
            let path = format!("/v1/repository/endpoint?{of}&format=pypi&repository={}", encoded(&self.name));
            let address = ask(Method::GET, &path, "repositoryEndpoint").await?;
            Ok(PackageIndex { url: format!("{}/simple/", address.trim_end_matches('/')), token })
        })
    }

    fn failed(&self, detail: &str) -> CodeArtifactError {
        CodeArtifactError(format!(
            "the CodeArtifact repository {} (CA_REPOSITORY_ARN) cannot be used: {detail}; allow the job's role \
             codeartifact:GetAuthorizationToken, codeartifact:GetRepositoryEndpoint, codeartifact:ReadFromRepository and \
             sts:GetServiceBearerToken; a job in a VPC needs endpoints for codeartifact.api and codeartifact.repositories",
            self.arn
        ))
    }

    /// Sends a signed request; gives a field of the answer. An error comes with whether asking again may help.
    async fn ask_once(
        &self,
        client: &Client,
        access: &Access,
        method: Method,
        url: &str,
        field: &str,
    ) -> Result<String, (String, bool)> {
        let credential =
            access.sources.provider(client).get_credential().await.map_err(|error| (reason(&error), false))?;
        let request = http::Request::builder().method(method).uri(url).body(HttpRequestBody::empty());
        let mut request = request.map_err(|error| (error.to_string(), false))?;
        AwsAuthorizer::new(&credential, "codeartifact", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| (reason(&error), false))?;
        let response = client.call(request).await.map_err(|error| (reason(&error), true))?;
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(|error| (reason(&error), true))?;
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        if !status.is_success() {
            let message = text("message").or_else(|| text("Message")).unwrap_or_default();
            let said = format!("it answers {status} {message}").trim_end().to_owned();
            return Err((said, status.is_server_error() || status.as_u16() == 429));
        }
        text(field).ok_or_else(|| (format!("its answer has no {field}"), false))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::{PackageIndex, Repository};

    #[test]
    fn the_token_is_put_into_the_url_only_where_it_is_asked_for() {
        let index = PackageIndex { url: "https://a.b:1/pypi/r/simple/".to_owned(), token: "t/=".to_owned() };
        assert_eq!(index.url_with_token(), "https://aws:t%2F%3D@a.b:1/pypi/r/simple/");
        assert_eq!((index.host().as_str(), format!("{index:?}").as_str()), ("a.b", "PackageIndex(…)"));
    }

    #[test]
    fn an_arn_is_that_of_a_repository_or_is_refused() {
        let found =
            Repository::parse("arn:aws-cn:codeartifact:cn-north-1:123456789012:repository/dom/re/po").expect("read");
        assert_eq!(
            [&*found.region, &*found.owner, &*found.domain, &*found.name],
            ["cn-north-1", "123456789012", "dom", "re/po"]
        );
        for arn in [
            "",
            "arn:aws:s3:::bucket",
            "arn:aws:codeartifact:r:1:repository/x",
            "arn:aws:codeartifact::1:repository/x/y",
        ] {
            let error = Repository::parse(arn).expect_err(arn).to_string();
            assert!(error.starts_with(&format!("CA_REPOSITORY_ARN is {arn:?}")), "{error}");
        }
    }
}
