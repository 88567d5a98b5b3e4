//! CodeArtifact: a package index. Two signed requests give the job's role a token for it.
//!
//! Contract: the operations GetAuthorizationToken and GetRepositoryEndpoint of the AWS CodeArtifact API, 2018-09-22.

use std::fmt;

use http::Method;
use thiserror::Error;

use crate::job::Variables;
use crate::storage::{AwsService, in_query};
use crate::system::files;

/// The variable with the ARN of the repository to install from, as in `sagemaker-training` (its `modules.py`).
const VARIABLE: &str = "CA_REPOSITORY_ARN";

/// A repository of CodeArtifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    arn: String,
    region: String,
    owner: String,
    domain: String,
    name: String,
}

/// The index of a repository for Python packages, and the token for it.
#[derive(Clone)]
pub struct PackageIndex {
    /// The URL, without the token.
    pub url: String,
    /// The token, which is the password of the user [`USER`](PackageIndex::USER).
    pub token: String,
}

impl PackageIndex {
    /// The user name that belongs to the token.
    pub const USER: &str = "aws";

    /// Returns the URL with the user name and the token.
    pub fn url_with_token(&self) -> String {
        self.url.replacen("://", &format!("://{}:{}@", PackageIndex::USER, in_query(&self.token)), 1)
    }

    /// Returns the text of a netrc file with the token and the content of the user's own netrc file, for pip.
    ///
    /// The token must not be in the URL that pip gets: a pip that builds a package passes the URL to another pip as an
    /// argument, which all processes can see.
    pub fn netrc(&self, variables: &Variables) -> String {
        let variable = |name: &str| variables.get_non_empty(name).map(|value| value.into_owned());
        let path = variable("NETRC").or_else(|| Some(format!("{}/.netrc", variable("HOME")?)));
        let own = path.and_then(|path| files::text(path.as_ref(), files::TEXT_SIZE).ok()).unwrap_or_default();
        format!("machine {} login {} password {}\n{own}", self.host(), PackageIndex::USER, self.token)
    }

    /// Returns the host of the URL.
    fn host(&self) -> String {
        self.url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }
}

/// Leaves the token out.
impl fmt::Debug for PackageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackageIndex(…)")
    }
}

/// A repository that cannot be used. The text names the repository and the permissions that it requires, and contains
/// no credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct CodeArtifactError(String);

impl Repository {
    /// Returns the repository that the job names; `None` if it names none.
    ///
    /// # Errors
    /// [`CodeArtifactError`] if the variable is not the ARN of a repository.
    pub fn of_job(variables: &Variables) -> Option<Result<Repository, CodeArtifactError>> {
        Some(Repository::parse(&variables.get_non_empty(VARIABLE)?))
    }

    /// Reads an ARN: `arn:aws:codeartifact:REGION:OWNER:repository/DOMAIN/NAME`.
    ///
    /// # Errors
    /// [`CodeArtifactError`] if the text is not the ARN of a repository.
    fn parse(arn: &str) -> Result<Repository, CodeArtifactError> {
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

    /// Requests a token and the address of the index. Blocks the calling thread.
    ///
    /// # Errors
    /// [`CodeArtifactError`], after a bounded number of attempts.
    pub fn index(&self, variables: &Variables) -> Result<PackageIndex, CodeArtifactError> {
        let service = AwsService::new(variables, "codeartifact", &self.region);
        let service = service.map_err(|error| self.error(&error.to_string()))?;
        let request = |method: Method, path: &str, field: &str| {
            let answer = service.request(method, path).map_err(|error| self.error(&error.to_string()))?;
            let value = answer.get(field).and_then(|value| value.as_str()).map(str::to_owned);
            value.ok_or_else(|| self.error(&format!("its answer has no {field}")))
        };
        let domain = format!("domain={}&domain-owner={}", in_query(&self.domain), in_query(&self.owner));
        let token = request(Method::POST, &format!("/v1/authorization-token?{domain}"), "authorizationToken")?;
        let path = format!("/v1/repository/endpoint?{domain}&format=pypi&repository={}", in_query(&self.name));
        let address = request(Method::GET, &path, "repositoryEndpoint")?;
        Ok(PackageIndex { url: format!("{}/simple/", address.trim_end_matches('/')), token })
    }

    fn error(&self, detail: &str) -> CodeArtifactError {
        CodeArtifactError(format!(
            "the CodeArtifact repository {} (CA_REPOSITORY_ARN) cannot be used: {detail}; allow the job's role \
             codeartifact:GetAuthorizationToken, codeartifact:GetRepositoryEndpoint, codeartifact:ReadFromRepository and \
             sts:GetServiceBearerToken; a job in a VPC needs endpoints for codeartifact.api and codeartifact.repositories",
            self.arn
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{PackageIndex, Repository};

    #[test]
    fn only_url_with_token_shows_the_token() {
        let index = PackageIndex { url: "https://a.b:1/pypi/r/simple/".to_owned(), token: "t/=".to_owned() };
        assert_eq!(index.url_with_token(), "https://aws:t%2F%3D@a.b:1/pypi/r/simple/");
        assert_eq!((index.host().as_str(), format!("{index:?}").as_str()), ("a.b", "PackageIndex(…)"));
    }

    #[test]
    fn only_the_arn_of_a_repository_is_accepted() {
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
