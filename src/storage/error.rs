//! The errors of this folder. Each type distinguishes what its callers need to distinguish. None holds credentials.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::problem::{Problem, denial, tls_fault};
use crate::redact::Redactor;
use crate::system::resolve::ResolveError;

/// The maximum number of characters of a server's message that an error quotes.
const LONGEST_QUOTE: usize = 300;

/// An error of any type.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Variables that do not describe a usable connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum SettingsError {
    /// The file with the certificate authorities is unusable.
    #[error("the CA bundle {}: {reason}", path.display())]
    CaBundle { path: PathBuf, reason: String },
    /// A proxy's URL is unusable. The text leaves the URL out, because it may hold a password.
    #[error("the variable {scheme}_proxy holds no URL of a proxy")]
    Proxy { scheme: &'static str },
    /// The endpoint and the bucket do not form a URL.
    #[error("{url} is no URL of a bucket: {reason}")]
    Endpoint { url: String, reason: String },
    /// The name of a region has characters other than letters, digits and hyphens.
    #[error("{0:?} is no name of a region (AWS_REGION)")]
    Region(String),
    /// rustls refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(String),
    /// The kernel refuses a thread or the event queue of a runtime.
    #[error("{0}")]
    Runtime(String),
}

/// A request that received no answer, or only a part of one.
#[derive(Debug, Error)]
pub(super) enum TransportError {
    #[error("no answer")]
    NoAnswer(#[source] BoxError),
    /// The answer began and then broke off.
    #[error("the answer broke off")]
    BrokeOff(#[source] BoxError),
}

impl TransportError {
    /// Returns true if the name of the server does not exist, so that another attempt would fail too.
    pub fn is_unknown_name(&self) -> bool {
        chain(self).any(|error| matches!(error.downcast_ref(), Some(ResolveError::Unknown { .. })))
    }

    /// Returns the TLS error that made the connection fail, if there is one.
    fn of_tls(&self) -> Option<&rustls::Error> {
        chain(self).filter_map(|error| error.downcast_ref()).find_map(held_by)
    }

    /// Returns true if another attempt would fail too: the name of the server does not exist, or its certificate is refused.
    pub fn is_in_vain(&self) -> bool {
        self.is_unknown_name() || matches!(self.of_tls(), Some(rustls::Error::InvalidCertificate(_)))
    }

    /// Returns true if a connection was accepted and then stalled, so that every attempt takes long.
    pub fn is_stalled_connection(&self) -> bool {
        chain(self).any(|error| error.is::<StalledConnection>())
    }

    /// Returns true if the server was silent or too slow.
    fn is_slow(&self) -> bool {
        chain(self).any(|error| error.is::<SilentServer>() || error.is::<SlowServer>())
    }

    /// Returns the problem, and the system's description of it.
    fn problem(&self) -> (Problem, String) {
        if let Some(error) = self.of_tls() {
            return tls_fault(error);
        }
        let problem = match self {
            _ if self.is_unanswered_name() => Problem::NoNameService,
            _ if self.is_no_http() => Problem::Failing,
            _ if self.is_slow() => Problem::Slow,
            TransportError::NoAnswer(_) => Problem::Unreachable,
            TransportError::BrokeOff(_) => Problem::Damaged,
        };
        (problem, reason(self))
    }

    /// Returns true if the server answered with something other than HTTP, or with more than can be read.
    fn is_no_http(&self) -> bool {
        chain(self).any(|error| error.downcast_ref().is_some_and(hyper::Error::is_parse))
    }

    /// Returns true if the name servers could not determine whether the name of the server exists.
    fn is_unanswered_name(&self) -> bool {
        chain(self).any(|error| matches!(error.downcast_ref(), Some(ResolveError::Unanswered { .. })))
    }
}

/// Returns the TLS error that an I/O error contains, directly or nested. The I/O error does not list it among its
/// sources.
fn held_by(error: &io::Error) -> Option<&rustls::Error> {
    let mut held = error.get_ref()?;
    while let Some(inner) = held.downcast_ref::<io::Error>() {
        held = inner.get_ref()?;
    }
    held.downcast_ref()
}

/// A connection that was accepted, but on which TLS, or the proxy in between, was not ready within this time.
#[derive(Debug, Error)]
#[error("{stage} did not finish within {} s", .time.as_secs())]
pub(super) struct StalledConnection {
    pub stage: String,
    pub time: Duration,
}

/// A server that neither sent nor accepted anything for this time.
#[derive(Debug, Error)]
#[error("the server was silent for {} s", .0.as_secs())]
pub(super) struct SilentServer(pub Duration);

/// A server that sent or accepted only this many bytes in this time.
#[derive(Debug, Error)]
#[error("the server was too slow: {} bytes in {} s", .0, .1.as_secs())]
pub(super) struct SlowServer(pub u64, pub Duration);

/// A file that could not be read while it was sent.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct UnreadableFile(pub io::Error);

/// Credentials that could not be obtained. The text names their source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct CredentialsError(pub String);

impl CredentialsError {
    /// Converts an error of a credentials provider.
    pub fn from_provider(error: &object_store::Error) -> CredentialsError {
        let own = chain(error).find_map(|error| error.downcast_ref::<CredentialsError>());
        own.cloned().unwrap_or_else(|| CredentialsError(reason(error)))
    }
}

impl From<CredentialsError> for object_store::Error {
    fn from(error: CredentialsError) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(error) }
    }
}

/// The error codes of S3 after which another attempt may succeed, whatever the HTTP status is.
const PASSING: [&str; 9] = [
    "InternalError",
    "KMS.ThrottlingException",
    "OperationAborted",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

/// An answer of S3 that refuses a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerRefusal {
    pub status: StatusCode,
    /// S3's error code, such as `NoSuchKey`; empty if the answer has none.
    pub code: String,
    /// S3's own message; empty if the answer has none.
    pub message: String,
    /// The region of the bucket, if the answer names it.
    pub region: Option<String>,
    /// The target of a redirection, if the answer names one.
    pub target: Option<String>,
}

impl ServerRefusal {
    /// Returns true if another attempt may succeed.
    pub fn may_pass(&self) -> bool {
        self.status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&self.status)
            // S3 may begin an answer with 200 and fail afterwards, and it sends some of these codes with 400.
            || PASSING.contains(&&*self.code)
    }

    /// Returns the problem that the refusal reports, by S3's code, which is more precise, or else by the HTTP status.
    fn problem(&self) -> Problem {
        match (&*self.code, self.status.as_u16()) {
            _ if self.may_pass() => Problem::Failing,
            ("NoSuchBucket", _) => Problem::NoSuchBucket,
            ("NoSuchUpload", _) => Problem::Failing,
            ("NoSuchKey", _) | (_, 404) => Problem::NoSuchKey,
            ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired", _) => {
                Problem::Expired
            }
            ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _) => Problem::OtherRegion,
            _ if self.status.is_redirection() => match (&self.region, &self.target) {
                (Some(_), _) => Problem::OtherRegion,
                // S3 names no target if the bucket is in another region.
                (None, Some(_)) => Problem::Redirected,
                (None, None) => Problem::Failing,
            },
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => Problem::InvalidCredentials,
            ("RequestTimeTooSkewed", _) => Problem::Clock,
            ("InvalidObjectState", _) => Problem::Archived,
            ("AccountProblem" | "AllAccessDisabled" | "NotSignedUp" | "InvalidPayer", _) => Problem::Closed,
            ("InvalidRequest", _) if self.message.contains("Server Side Encryption") => Problem::CustomerKey,
            (code, _) if code.starts_with("KMS.") && !code.contains("AccessDenied") => Problem::KeyUnusable,
            (_, 401 | 403) | ("KMS.AccessDeniedException", _) => denial(&self.message),
            ("XAmzContentSHA256Mismatch" | "BadDigest", _) | (_, 412) => Problem::Changed,
            _ => Problem::Failing,
        }
    }

    /// Returns S3's code and message, or the HTTP status if there is no code, with the target of a redirection.
    fn quote(&self) -> String {
        if let (Problem::Redirected, Some(target)) = (self.problem(), &self.target) {
            // A query may hold a token.
            let target = target.split(['?', '#']).next().unwrap_or_default();
            return clean(&format!("{} to {target}", self.status));
        }
        match (&*self.code, &*self.message) {
            ("", _) => self.status.to_string(),
            (code, "") => clean(code),
            (code, message) => clean(&format!("{code}: {message}")),
        }
    }
}

/// A request to S3 that failed.
#[derive(Debug, Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("{}", .0.quote())]
    Refused(ServerRefusal),
    /// The object has a different size or ETag than before.
    #[error("it has another size or another ETag than before")]
    Replaced,
    /// The answer does not follow S3's documentation, or the request cannot be made.
    #[error("{0}")]
    Unexpected(String),
}

/// An object, or the objects below a prefix, that could not be read or written. The text names the bucket, the key, the
/// problem and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("s3://{bucket}/{key}: {}", self.reason())]
pub struct StorageError {
    /// The bucket.
    pub bucket: String,
    /// The key or the prefix within the bucket.
    pub key: String,
    /// The kind of failure.
    pub problem: Problem,
    /// The message of the server or the system; may be empty.
    pub detail: String,
    /// True if the operation was to write the object.
    is_writing: bool,
    /// The region of the bucket, if S3 named it.
    pub(super) region: Option<String>,
}

impl StorageError {
    /// Creates an error of reading.
    pub(super) fn new(bucket: &str, key: &str, problem: Problem, detail: impl Into<String>) -> StorageError {
        let (bucket, key, detail) = (bucket.to_owned(), key.to_owned(), detail.into());
        StorageError { bucket, key, problem, detail, is_writing: false, region: None }
    }

    /// Creates an error for variables that do not describe a usable connection.
    pub(super) fn of_settings(bucket: &str, key: &str, error: &SettingsError) -> StorageError {
        StorageError::new(bucket, key, Problem::Settings, error.to_string())
    }

    /// Converts the error of a request.
    pub(super) fn of_request(bucket: &str, key: &str, error: &RequestError) -> StorageError {
        let (problem, detail) = match error {
            RequestError::Credentials(error) => (Problem::Credentials, clean(&error.0)),
            RequestError::Transport(error) => error.problem(),
            RequestError::Replaced => (Problem::Changed, error.to_string()),
            RequestError::Unexpected(text) => (Problem::Failing, clean(text)),
            RequestError::Refused(refusal) => {
                let found = StorageError::new(bucket, key, refusal.problem(), refusal.quote());
                return StorageError { region: refusal.region.clone(), ..found };
            }
        };
        StorageError::new(bucket, key, problem, detail)
    }

    /// Turns the error into an error of writing, which has other remedies.
    pub(super) fn writing(self) -> StorageError {
        StorageError { is_writing: true, ..self }
    }

    /// Returns the problem and the remedy, without the bucket and the key.
    pub fn reason(&self) -> String {
        let (what, remedy) = self.problem.words(self.is_writing);
        let remedy = match (self.problem, &self.region) {
            (Problem::OtherRegion, Some(region)) => format!("set AWS_REGION to {region}"),
            _ => remedy.to_owned(),
        };
        if self.detail.is_empty() { format!("{what}; {remedy}") } else { format!("{what} ({}); {remedy}", self.detail) }
    }
}

/// An object that could not be downloaded into a file, or a file that could not be uploaded.
#[derive(Debug, Error)]
pub enum TransferError {
    /// S3 failed, or the object did not arrive whole.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file could not be read or written.
    #[error(transparent)]
    File(io::Error),
}

impl TransferError {
    /// Converts the error of a request that was to send a file.
    pub(super) fn of_upload(bucket: &str, key: &str, error: &RequestError) -> TransferError {
        match chain(error).find_map(|error| error.downcast_ref()) {
            Some(UnreadableFile(error)) => TransferError::File(io::Error::new(error.kind(), error.to_string())),
            None => TransferError::Storage(StorageError::of_request(bucket, key, error).writing()),
        }
    }
}

/// Returns an error and its sources, outermost first.
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the text of an error's innermost source, which states the cause in plain words, without secrets.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    clean(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

/// Returns the text of a server as one line, without secrets, shortened to [`LONGEST_QUOTE`].
pub(super) fn clean(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = Redactor::default().clean(&line).into_owned();
    match line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use http::StatusCode;

    use super::{
        Problem, RequestError, ServerRefusal, SilentServer, StorageError, TransferError, TransportError,
        UnreadableFile, clean,
    };
    use crate::system::resolve::ResolveError;

    fn refusal(status: u16, code: &str, message: &str) -> ServerRefusal {
        ServerRefusal {
            status: StatusCode::from_u16(status).expect("a status"),
            code: code.to_owned(),
            message: message.to_owned(),
            region: None,
            target: None,
        }
    }

    fn error(refusal: ServerRefusal) -> StorageError {
        StorageError::of_request("b", "k", &RequestError::Refused(refusal))
    }

    #[test]
    fn a_refusal_becomes_the_problem_that_its_code_or_else_its_status_names() {
        for (status, code, expected, may_pass) in [
            (404, "NoSuchBucket", Problem::NoSuchBucket, false),
            (404, "NoSuchKey", Problem::NoSuchKey, false),
            (404, "", Problem::NoSuchKey, false),
            (400, "ExpiredToken", Problem::Expired, false),
            (403, "RequestExpired", Problem::Expired, false),
            (301, "PermanentRedirect", Problem::OtherRegion, false),
            (307, "TemporaryRedirect", Problem::OtherRegion, false),
            (307, "", Problem::Failing, false),
            (304, "", Problem::Failing, false),
            (400, "AuthorizationHeaderMalformed", Problem::OtherRegion, false),
            (403, "AccessDenied", Problem::Denied, false),
            (401, "", Problem::Denied, false),
            (400, "InvalidToken", Problem::InvalidCredentials, false),
            (403, "SignatureDoesNotMatch", Problem::InvalidCredentials, false),
            (403, "RequestTimeTooSkewed", Problem::Clock, false),
            (403, "InvalidObjectState", Problem::Archived, false),
            (404, "NoSuchUpload", Problem::Failing, false),
            (400, "XAmzContentSHA256Mismatch", Problem::Changed, false),
            (412, "PreconditionFailed", Problem::Changed, false),
            (416, "InvalidRange", Problem::Failing, false),
            (302, "", Problem::Failing, false),
            (400, "KMS.DisabledException", Problem::KeyUnusable, false),
            (400, "KMS.NotFoundException", Problem::KeyUnusable, false),
            (400, "KMS.KMSInvalidStateException", Problem::KeyUnusable, false),
            (403, "AllAccessDisabled", Problem::Closed, false),
            (400, "RequestTimeout", Problem::Failing, true),
            (400, "ThrottlingException", Problem::Failing, true),
            (400, "KMS.ThrottlingException", Problem::Failing, true),
            (409, "OperationAborted", Problem::Failing, true),
            (408, "", Problem::Failing, true),
            (429, "", Problem::Failing, true),
            (500, "InternalError", Problem::Failing, true),
            (503, "SlowDown", Problem::Failing, true),
            (200, "SlowDown", Problem::Failing, true),
            (200, "", Problem::Failing, false),
        ] {
            let refusal = refusal(status, code, "");
            assert_eq!(refusal.may_pass(), may_pass, "{status} {code}");
            assert_eq!(error(refusal).problem, expected, "{status} {code}");
        }
        let with_region = ServerRefusal { region: Some("eu-west-3".to_owned()), ..refusal(302, "", "") };
        let found = error(with_region);
        assert_eq!((found.problem, found.region.as_deref()), (Problem::OtherRegion, Some("eu-west-3")));
    }

    #[test]
    fn a_denied_request_names_the_policy_or_the_key_that_decides() {
        let key = "User: u is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/k because no \
                   identity-based policy allows the kms:Decrypt action";
        let old = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you \
                   are not allowed to access.";
        let says =
            |words: &str| format!("User: u is not authorized to perform: s3:GetObject on resource: \"r\" {words}");
        let endpoint = says("because no VPC endpoint policy allows the s3:GetObject action");
        let deny = says("with an explicit deny in a resource-based policy");
        let role = says("because no identity-based policy allows the s3:GetObject action");
        for (message, expected, remedy) in [
            (key, Problem::KeyDenied, "allow it kms:Decrypt on that key, in the role's policy and in the key's"),
            (old, Problem::KeyDenied, "allow it kms:Decrypt on that key"),
            (&endpoint, Problem::Forbidden, "change the policy that S3 names"),
            (&deny, Problem::Forbidden, "change the policy that S3 names"),
            (&role, Problem::Denied, "allow the job's role s3:GetObject"),
            ("Access Denied", Problem::Denied, "allow the job's role s3:GetObject"),
        ] {
            let found = error(refusal(403, "AccessDenied", message));
            assert_eq!(found.problem, expected, "{message}");
            assert!(found.to_string().contains(&format!("; {remedy}")), "{found}");
        }
        let writing = error(refusal(403, "AccessDenied", key)).writing().to_string();
        assert!(writing.contains("allow it kms:GenerateDataKey and kms:Decrypt on that key"), "{writing}");
        let customer =
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided";
        assert_eq!(error(refusal(400, "InvalidRequest", customer)).problem, Problem::CustomerKey);
        assert_eq!(error(refusal(400, "InvalidRequest", "x")).problem, Problem::Failing);
    }

    #[test]
    fn the_text_names_the_object_the_problem_and_the_remedy() {
        let denied = error(refusal(403, "AccessDenied", "said"));
        assert!(
            denied
                .to_string()
                .starts_with("s3://b/k: access denied (AccessDenied: said); allow the job's role s3:GetObject"),
            "{denied}"
        );
        let denied = denied.writing().to_string();
        assert!(denied.contains("allow the job's role s3:PutObject"), "{denied}");
        let by_status = error(refusal(503, "", "")).to_string();
        assert!(by_status.contains("S3 does not answer as it should (503 Service Unavailable); "), "{by_status}");
    }

    #[test]
    fn an_answer_that_broke_off_is_told_from_none() {
        let problem = |error| StorageError::of_request("b", "k", &RequestError::Transport(error)).problem;
        assert_eq!(problem(TransportError::NoAnswer("x".into())), Problem::Unreachable);
        assert_eq!(problem(TransportError::BrokeOff("x".into())), Problem::Damaged);
        let silent = || SilentServer(Duration::from_secs(1)).into();
        assert_eq!(problem(TransportError::NoAnswer(silent())), Problem::Slow);
        assert_eq!(problem(TransportError::BrokeOff(silent())), Problem::Slow);
        let unknown = ResolveError::Unknown { host: "h".to_owned() };
        let unknown = TransportError::NoAnswer(unknown.into());
        assert!(unknown.is_unknown_name());
        let text = StorageError::of_request("b", "k", &RequestError::Transport(unknown)).to_string();
        assert!(text.contains("S3 cannot be reached (the name h is not known to the hosts file or DNS); "), "{text}");
        let unanswered = ResolveError::Unanswered { host: "h".to_owned(), reason: "r".to_owned() };
        assert_eq!(problem(TransportError::NoAnswer(unanswered.into())), Problem::NoNameService);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_error_of_s3() {
        let unreadable = UnreadableFile(io::ErrorKind::UnexpectedEof.into());
        let error = RequestError::Transport(TransportError::NoAnswer(unreadable.into()));
        let found = TransferError::of_upload("b", "k", &error);
        assert!(
            matches!(&found, TransferError::File(error) if error.kind() == io::ErrorKind::UnexpectedEof),
            "{found}"
        );
    }

    #[test]
    fn quotes_are_one_short_line() {
        assert_eq!(clean(" a\n b\t"), "a b");
        assert_eq!(clean(&"é".repeat(500)).chars().count(), 301);
    }
}
