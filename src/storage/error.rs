//! The errors of this folder. Each type says as much as its callers decide on; none holds credentials.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use crate::redact::Redactor;
use crate::resolve::ResolveError;

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
    /// The endpoint, together with the bucket, makes no URL.
    #[error("{url} is no URL of a bucket: {reason}")]
    Endpoint { url: String, reason: String },
    /// A region's name has other characters than letters, digits and hyphens.
    #[error("{0:?} is no name of a region (AWS_REGION)")]
    Region(String),
    /// rustls refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(String),
    /// The kernel refuses a thread or the event queue of a runtime.
    #[error("{0}")]
    Runtime(String),
}

/// A request that got no answer, or not all of it.
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

    /// Returns true if the server's certificate is not trusted.
    fn is_untrusted(&self) -> bool {
        // An I/O error, which may hold another one, does not name what it holds among its sources.
        let held = |error: &io::Error| {
            let mut held = error.get_ref();
            while let Some(inner) = held.and_then(|error| error.downcast_ref::<io::Error>()) {
                held = inner.get_ref();
            }
            held.is_some_and(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
        };
        chain(self).filter_map(|error| error.downcast_ref()).any(held)
    }

    /// Returns true if the server answered something else than HTTP, or more than can be read.
    fn is_no_http(&self) -> bool {
        chain(self).any(|error| error.downcast_ref().is_some_and(hyper::Error::is_parse))
    }

    /// Returns true if no name server could say whether the name of the server exists.
    fn is_unanswered_name(&self) -> bool {
        chain(self).any(|error| matches!(error.downcast_ref(), Some(ResolveError::Unanswered { .. })))
    }
}

/// A server that neither sent nor took anything for this time.
#[derive(Debug, Error)]
#[error("the server was silent for {} s", .0.as_secs())]
pub(super) struct SilentServer(pub Duration);

/// A server that sent or took only this many bytes in this time.
#[derive(Debug, Error)]
#[error("the server was too slow: {} bytes in {} s", .0, .1.as_secs())]
pub(super) struct SlowServer(pub u64, pub Duration);

/// A file that could not be read while it was sent.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct UnreadableFile(pub io::Error);

/// Credentials that could not be had. The text names their source.
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

/// An answer of S3 that refuses a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerRefusal {
    pub status: StatusCode,
    /// S3's error code, such as `NoSuchKey`; empty if the answer has none.
    pub code: String,
    /// S3's own words; empty if the answer has none.
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
            // S3 may begin an answer with 200 and fail only then.
            || (self.status.is_success() && ["InternalError", "SlowDown"].contains(&&*self.code))
    }

    /// Returns the problem that it means: by S3's code, which says more, or else by the HTTP status.
    fn problem(&self) -> Problem {
        match (&*self.code, self.status.as_u16()) {
            ("NoSuchBucket", _) => Problem::NoSuchBucket,
            ("NoSuchUpload", _) => Problem::Failing,
            ("NoSuchKey", _) | (_, 404) => Problem::NoSuchKey,
            ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired", _) => {
                Problem::Expired
            }
            ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _) => Problem::OtherRegion,
            // S3 names no target if the bucket is in another region.
            _ if self.status.is_redirection() && self.target.is_some() && self.region.is_none() => Problem::Redirected,
            _ if self.status.is_redirection() => Problem::OtherRegion,
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => Problem::InvalidCredentials,
            ("RequestTimeTooSkewed", _) => Problem::Clock,
            ("InvalidObjectState", _) => Problem::Archived,
            (_, 401 | 403) => Problem::Denied,
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
    /// The object has another size or another ETag than before.
    #[error("it has another size or another ETag than before")]
    Replaced,
    /// The answer is not as S3's documentation has it, or the request cannot be made.
    #[error("{0}")]
    Unexpected(String),
}

/// A kind of failure that has a remedy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No credentials are set, or their source failed.
    Credentials,
    /// The credentials have expired.
    Expired,
    /// The credentials do not permit the request.
    Denied,
    /// The bucket exists, the key does not.
    NoSuchKey,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The credentials are not those of S3.
    InvalidCredentials,
    /// The clock of this machine differs from that of S3.
    Clock,
    /// The object is in an archive, from which it must be restored first.
    Archived,
    /// The bucket is in another region.
    OtherRegion,
    /// The server names another one, which S3 itself does not do.
    Redirected,
    /// The certificate of the server is not trusted.
    Untrusted,
    /// No server could be reached.
    Unreachable,
    /// The name service does not answer, so that the server's address is not known.
    NoNameService,
    /// The server was reached, but failed in every attempt.
    Failing,
    /// The object was replaced while it was read, or the file was written to while it was uploaded.
    Changed,
    /// The bytes that arrived differ from the object's length or checksum.
    Damaged,
    /// The folder has no room for bytes that arrive before their turn.
    NoRoom,
    /// The variables do not describe a usable connection.
    Settings,
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
    /// The words of the server or the system; may be empty.
    pub detail: String,
    /// True if the object was to be written.
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
            RequestError::Transport(error) if error.is_unanswered_name() => (Problem::NoNameService, reason(error)),
            RequestError::Transport(error) if error.is_untrusted() => (Problem::Untrusted, reason(error)),
            RequestError::Transport(error) if error.is_no_http() => (Problem::Failing, reason(error)),
            RequestError::Transport(error @ TransportError::NoAnswer(_)) => (Problem::Unreachable, reason(error)),
            RequestError::Transport(error @ TransportError::BrokeOff(_)) => (Problem::Damaged, reason(error)),
            RequestError::Replaced => (Problem::Changed, error.to_string()),
            RequestError::Unexpected(text) => (Problem::Failing, clean(text)),
            RequestError::Refused(refusal) => {
                let found = StorageError::new(bucket, key, refusal.problem(), refusal.quote());
                return StorageError { region: refusal.region.clone(), ..found };
            }
        };
        StorageError::new(bucket, key, problem, detail)
    }

    /// Turns it into an error of writing, which has other remedies.
    pub(super) fn writing(self) -> StorageError {
        StorageError { is_writing: true, ..self }
    }

    /// Returns the problem and the remedy, without the bucket and the key.
    pub fn reason(&self) -> String {
        let StorageError { problem, detail, is_writing, .. } = self;
        let (what, remedy) = match problem {
            Problem::Denied if *is_writing => (
                "access denied",
                "allow the job's role s3:PutObject and s3:AbortMultipartUpload on the key, and kms:GenerateDataKey and \
                 kms:Decrypt if the bucket is encrypted with a key",
            ),
            Problem::Changed if *is_writing => (
                "it was written to while it was uploaded",
                "write under another name, and rename the file when it is complete",
            ),
            Problem::Unreachable if *is_writing => (
                "S3 cannot be reached",
                "a job in a VPC needs an S3 endpoint there, and one under network isolation cannot upload",
            ),
            Problem::Credentials => (
                "there are no credentials for S3",
                "run the job with a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            Problem::Expired => {
                ("the credentials have expired", "give the job credentials that last longer, or a role")
            }
            Problem::Denied => (
                "access denied",
                "allow the job's role s3:GetObject on the key and s3:ListBucket on the bucket, and kms:Decrypt on its \
                 key if the bucket is encrypted with one",
            ),
            Problem::NoSuchKey => ("there is no such key", "check that it was uploaded, and under this name"),
            Problem::NoSuchBucket => ("there is no such bucket", "check its name"),
            Problem::InvalidCredentials => (
                "S3 does not accept the credentials",
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the job's role",
            ),
            Problem::Clock => ("the clock of this machine differs from that of S3", "set it"),
            Problem::Archived => ("it is in an archive", "restore it, or copy it to another storage class"),
            Problem::Redirected => (
                "the server redirects, which is not followed",
                "set AWS_ENDPOINT_URL_S3 to the server of S3 itself, and check the proxy if there is one",
            ),
            Problem::Untrusted => (
                "the certificate of S3's server is not trusted",
                "name the file with its authority in AWS_CA_BUNDLE, and check the endpoint's name and this machine's clock",
            ),
            Problem::OtherRegion => ("the bucket is in another region", "set AWS_REGION to that region"),
            Problem::Unreachable => (
                "S3 cannot be reached",
                "a job in a VPC needs an S3 endpoint there, and one under network isolation its code as a channel",
            ),
            Problem::NoNameService => (
                "S3 cannot be reached, because the name service does not answer",
                "see /etc/resolv.conf, and the DNS settings and security groups of the job's VPC; a job under network \
                 isolation reaches no service and gets its code as a channel",
            ),
            Problem::Failing => ("S3 does not answer as it should", "try again, or look at its status"),
            Problem::Changed => ("it was replaced while it was read", "upload each job's code under a key of its own"),
            Problem::Damaged => ("it did not arrive whole", "try again; if this happens again, upload it anew"),
            Problem::NoRoom => ("it cannot be stored while it arrives", "give the folder more room"),
            Problem::Settings => ("S3 cannot be used as the variables say", "correct them"),
        };
        if detail.is_empty() { format!("{what}; {remedy}") } else { format!("{what} ({detail}); {remedy}") }
    }
}

/// An object that could not be brought into a file, or a file that could not be uploaded.
#[derive(Debug, Error)]
pub enum TransferError {
    /// S3 failed, or the object did not arrive whole.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file could not be written, or read.
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

/// Returns the text of an error's innermost source, which says the cause in plain words, without secrets.
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

    use http::StatusCode;

    use super::{
        Problem, RequestError, ServerRefusal, StorageError, TransferError, TransportError, UnreadableFile, clean,
    };
    use crate::resolve::ResolveError;

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
            (307, "", Problem::OtherRegion, false),
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
            (302, "", Problem::OtherRegion, false),
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
