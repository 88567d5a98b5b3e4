//! Why something in S3 could not be read or written.

use std::error::Error;
use std::fmt;
use std::io;

use regex::Regex;

use super::credentials::CredentialsError;
use super::http::Failure;
use crate::redact::Redactor;
use crate::resolve::ResolveError;

/// How much of what a server says is passed on.
const LONGEST: usize = 300;

/// What went wrong, as far as the remedy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There are no credentials, or they could not be had.
    Credentials,
    /// The credentials are not valid any more.
    Expired,
    /// The credentials are not allowed to.
    Denied,
    /// The bucket exists, the key does not.
    NoSuchKey,
    /// There is no such bucket.
    NoSuchBucket,
    /// The bucket is in another region.
    OtherRegion,
    /// No server could be reached.
    Unreachable,
    /// The server was reached, but did not answer as it should, however often it was asked.
    Failing,
    /// The object became another while it was read, or the file that was to become one.
    Changed,
    /// What arrived is not what S3 has: its length or its checksum.
    Damaged,
    /// There is no room for what arrives before its turn.
    NoRoom,
    /// The variables say something that cannot be.
    Settings,
}

/// Why an object, or what is below a prefix, could not be read or written. Its text names the bucket and the key, what
/// was found and what can be done, and never credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageError {
    /// The bucket.
    pub bucket: String,
    /// The key or the prefix within it.
    pub key: String,
    /// What went wrong.
    pub problem: Problem,
    /// What was said about it.
    pub detail: String,
    /// Whether it was to be written.
    pub(super) is_writing: bool,
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}: {}", self.bucket, self.key, self.reason())
    }
}

impl Error for StorageError {}

impl StorageError {
    pub(super) fn new(bucket: &str, key: &str, problem: Problem, detail: impl Into<String>) -> StorageError {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        StorageError { bucket, key, problem, detail: detail.into(), is_writing: false }
    }

    /// The same of an object that was to be written: the remedies are others.
    pub(super) fn writing(self) -> StorageError {
        StorageError { is_writing: true, ..self }
    }

    /// What was found and what can be done, without bucket and key.
    pub fn reason(&self) -> String {
        let StorageError { problem, detail, is_writing, .. } = self;
        let (what, remedy) = match problem {
            Problem::Denied if *is_writing => (
                "access denied",
                "allow the job's role s3:PutObject and s3:AbortMultipartUpload on the key, and kms:GenerateDataKey and \
                 kms:Decrypt where the bucket is encrypted with a key",
            ),
            Problem::Changed if *is_writing => (
                "it was written to while it was uploaded",
                "write under another name, and rename it when it is complete",
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
                 key where it is encrypted with one",
            ),
            Problem::NoSuchKey => ("there is no such key", "see whether it was uploaded, and under this name"),
            Problem::NoSuchBucket => ("there is no such bucket", "see whether its name is right"),
            Problem::OtherRegion => ("the bucket is in another region", "set AWS_REGION to that region"),
            Problem::Unreachable => (
                "S3 cannot be reached",
                "a job in a VPC needs an S3 endpoint there, and one under network isolation its code as a channel",
            ),
            Problem::Failing => ("S3 does not answer as it should", "try again, or look at its status"),
            Problem::Changed => ("it was replaced while it was read", "upload a job's code under a name of its own"),
            Problem::Damaged => ("it did not arrive whole", "try again; if it comes again, upload it anew"),
            Problem::NoRoom => ("it cannot be kept while it arrives", "give the folder more room"),
            Problem::Settings => ("S3 cannot be used as the variables say", "correct them"),
        };
        match detail.is_empty() {
            true => format!("{what}; {remedy}"),
            false => format!("{what} ({detail}); {remedy}"),
        }
    }

    /// What an error of `object_store` means. Its text holds the answer of the server, an XML document, which may repeat
    /// the request with its signature: only the code and the message in it are taken.
    pub(super) fn of(bucket: &str, key: &str, error: &object_store::Error) -> StorageError {
        let make = |problem, detail: String| StorageError::new(bucket, key, problem, detail);
        if let Some(error) = chain(error).find_map(|error| error.downcast_ref::<CredentialsError>()) {
            return make(Problem::Credentials, clean(&error.to_string()));
        }
        if let Some(error) = chain(error).find_map(|error| error.downcast_ref::<ResolveError>()) {
            return make(Problem::Unreachable, error.to_string());
        }
        let text = error.to_string();
        let element = |name: &str| {
            let pattern = Regex::new(&format!("(?s)<{name}>(.*?)</{name}>")).ok()?;
            Some(pattern.captures(&text)?[1].to_owned())
        };
        let status = Regex::new(r"status code: (\d{3})[^:]*").ok().and_then(|pattern| {
            let found = pattern.captures(&text)?;
            Some((found[1].parse::<u16>().ok()?, found[0].trim_start_matches("status code: ").to_owned()))
        });
        let code = element("Code");
        let message = element("Message").unwrap_or_default();
        let said = |fallback: String| match &code {
            Some(code) if message.is_empty() => clean(code),
            Some(code) => clean(&format!("{code}: {message}")),
            None => fallback,
        };
        let number = status.as_ref().map_or(0, |(number, _)| *number);
        let status = status.map(|(_, text)| text).unwrap_or_default();
        let problem = match (code.as_deref().unwrap_or_default(), number) {
            ("NoSuchBucket", _) => Problem::NoSuchBucket,
            ("NoSuchKey", _) | (_, 404) => Problem::NoSuchKey,
            ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired", _) => {
                Problem::Expired
            }
            ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _) | (_, 301 | 307) => {
                Problem::OtherRegion
            }
            (_, 401 | 403) => Problem::Denied,
            ("XAmzContentSHA256Mismatch" | "BadDigest", _) | (_, 412) => Problem::Changed,
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => Problem::Denied,
            (_, 400..) => Problem::Failing,
            _ if text.contains("redirect without LOCATION") => Problem::OtherRegion,
            _ if text.contains("HTTP error") => match is_body(error) {
                true => Problem::Damaged,
                false => Problem::Unreachable,
            },
            _ => Problem::Failing,
        };
        make(problem, said(if status.is_empty() { reason(error) } else { status }))
    }
}

/// Why an object is not in its file, or a file not in its object.
#[derive(Debug)]
pub enum TransferError {
    /// It did not arrive whole.
    Storage(StorageError),
    /// The file could not be written, or read.
    File(io::Error),
}

/// Whether the answer had begun.
fn is_body(error: &object_store::Error) -> bool {
    chain(error).any(|error| matches!(error.downcast_ref(), Some(Failure::Body(_))))
}

/// Whether it is that a name is not known.
pub(super) fn is_unknown_name(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| matches!(error.downcast_ref(), Some(ResolveError::Unknown { .. })))
}

/// An error and those that it comes from.
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The innermost reason of an error, which is the one in plain words.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    clean(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

/// A text of a server, without secrets and not too long.
fn clean(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = Redactor::default().clean(&line).into_owned();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
