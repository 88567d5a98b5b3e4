//! The kinds of failures of S3, each with a remedy of its own.

use std::time::Duration;

use rustls::CertificateError;

use crate::logs::Timestamp;

/// A kind of failure that has a remedy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No credentials are set, or their source failed.
    Credentials,
    /// The credentials have expired.
    Expired,
    /// The credentials do not permit the request.
    Denied,
    /// A policy that S3 names forbids the request. A permission for the job's role would not be enough.
    Forbidden,
    /// The credentials do not permit the use of the key that encrypts the object.
    KeyDenied,
    /// The KMS key that encrypts the object is disabled, deleted or scheduled for deletion.
    KeyUnusable,
    /// The object is encrypted with a key that each request must bring (SSE-C).
    CustomerKey,
    /// S3 does not serve this bucket or account any more.
    Closed,
    /// The bucket exists, but the key does not.
    NoSuchKey,
    /// The bucket does not exist.
    NoSuchBucket,
    /// S3 does not accept the credentials.
    InvalidCredentials,
    /// The clock of this machine differs from that of S3.
    Clock,
    /// The object is archived and must be restored first.
    Archived,
    /// The bucket is in another region.
    OtherRegion,
    /// The server redirects to another server, which S3 itself does not do.
    Redirected,
    /// The authority that signed the certificate of the server is not trusted.
    Untrusted,
    /// The certificate of the server has expired, or is not valid yet.
    CertificateDate,
    /// The certificate of the server is for other names.
    CertificateName,
    /// The certificate is not valid as the certificate of a server.
    CertificateForm,
    /// The server and footplate do not agree on TLS.
    NoTls,
    /// No server could be reached.
    Unreachable,
    /// The name service cannot determine whether the server's name exists, so its address is unknown.
    NoNameService,
    /// The server was reached, and was silent or too slow in every attempt.
    Slow,
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

impl Problem {
    /// Returns true if the same request may succeed later.
    pub(super) fn may_pass(self) -> bool {
        use Problem::{Changed, Damaged, Failing, NoNameService, Slow, Unreachable};
        matches!(self, Unreachable | NoNameService | Slow | Failing | Damaged | Changed)
    }

    /// Returns the text of the problem and the text of its remedy.
    pub(super) fn words(self, is_writing: bool) -> (&'static str, &'static str) {
        match self {
            Problem::Denied if is_writing => (
                "access denied",
                "allow the job's role s3:PutObject and s3:AbortMultipartUpload on the key, and kms:GenerateDataKey and \
                 kms:Decrypt if the bucket is encrypted with a key",
            ),
            Problem::KeyDenied if is_writing => (
                "the job's role may not use the bucket's KMS key",
                "allow it kms:GenerateDataKey and kms:Decrypt on that key, in the role's policy and in the key's",
            ),
            Problem::Changed if is_writing => (
                "it was written to while it was uploaded",
                "write under another name, and rename the file when it is complete",
            ),
            Problem::Unreachable if is_writing => (
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
            Problem::Forbidden => {
                ("access denied", "change the policy that S3 names: it forbids this to the job's role")
            }
            Problem::KeyDenied => (
                "the job's role may not use the KMS key that encrypts it",
                "allow it kms:Decrypt on that key, in the role's policy and in the key's",
            ),
            Problem::KeyUnusable => (
                "the KMS key that encrypts it cannot be used",
                "enable the key or cancel its deletion; if the key no longer exists, upload the object again with another key",
            ),
            Problem::CustomerKey => (
                "it is encrypted with a key that every request must carry (SSE-C), and footplate does not have that key",
                "upload it with S3's own encryption or that of KMS",
            ),
            Problem::Closed => (
                "S3 does not serve this bucket or its account any more",
                "ask the owner of the account, or AWS Support",
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
                "name the file with its authority in AWS_CA_BUNDLE, and check the proxy if there is one",
            ),
            Problem::CertificateDate => (
                "the certificate of S3's server is not valid at this time",
                "have the server get a new one, or set this machine's clock if it is wrong",
            ),
            Problem::CertificateName => (
                "the certificate of S3's server is for other names",
                "use one of its names in AWS_ENDPOINT_URL_S3, and check the proxy if there is one",
            ),
            Problem::CertificateForm => (
                "the certificate of S3's server is not one of a server",
                "give the server a certificate with CA:FALSE and, if it lists usages, serverAuth",
            ),
            Problem::NoTls => (
                "S3's server and footplate do not agree on TLS",
                "the server, or the proxy in front of it, must offer TLS 1.2 or 1.3 and ask for no certificate; if it \
                 speaks plain HTTP, begin AWS_ENDPOINT_URL_S3 with http://",
            ),
            Problem::OtherRegion => ("the bucket is in another region", "set AWS_REGION to the region of the bucket"),
            Problem::Unreachable => (
                "S3 cannot be reached",
                "a job in a VPC needs an S3 endpoint there, and one under network isolation its code as a channel",
            ),
            Problem::NoNameService => (
                "S3 cannot be reached, because its name cannot be looked up",
                "see /etc/resolv.conf, and the DNS settings and security groups of the job's VPC; a job under network \
                 isolation reaches no service and gets its code as a channel",
            ),
            Problem::Slow => (
                "S3 is too slow",
                "try again, and check the network and the proxy or the firewall between the job and S3",
            ),
            Problem::Failing => ("S3 does not answer as it should", "try again, or look at its status"),
            Problem::Changed => ("it was replaced while it was read", "upload each job's code under a key of its own"),
            Problem::Damaged => ("it did not arrive whole", "try again; if this happens again, upload it anew"),
            Problem::NoRoom => ("it cannot be stored while it arrives", "give the folder more room"),
            Problem::Settings => ("S3 cannot be used as the variables say", "correct them"),
        }
    }
}

/// Returns the problem of a denied request, by S3's message. The message names the policy that decided, in the formats
/// of "Troubleshoot access denied errors in Amazon S3".
pub(super) fn denial(message: &str) -> Problem {
    let says = |text: &str| message.contains(text);
    // Without a permission for the key, S3 passes on the message of KMS. The second form is the older one.
    if says("to perform: kms:") || says("The ciphertext refers to a customer master key") {
        return Problem::KeyDenied;
    }
    let others = ["VPC endpoint", "service control", "resource control", "permissions boundary", "session"];
    let is_other = others.iter().any(|policy| says(&format!("because no {policy}")));
    if is_other || says("with an explicit deny") { Problem::Forbidden } else { Problem::Denied }
}

/// Returns the problem that a TLS error means, and a description of it.
pub(super) fn tls_fault(error: &rustls::Error) -> (Problem, String) {
    let rustls::Error::InvalidCertificate(error) = error else { return (Problem::NoTls, error.to_string()) };
    let time = |time: rustls::pki_types::UnixTime| Timestamp(Duration::from_secs(time.as_secs()));
    match error {
        CertificateError::ExpiredContext { time: now, not_after } => {
            let detail = format!("it expired at {}, and it is {} by the clock", time(*not_after), time(*now));
            (Problem::CertificateDate, detail)
        }
        CertificateError::NotValidYetContext { time: now, not_before } => {
            let detail = format!("it begins at {}, and it is {} by the clock", time(*not_before), time(*now));
            (Problem::CertificateDate, detail)
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // A name is shown as `DnsName("h")`, an address as `IpAddress(a)`.
            let name = |shown: &String| shown.split(['(', ')']).nth(1).unwrap_or(shown).trim_matches('"').to_owned();
            let names = presented.iter().filter(|name| name.starts_with("DnsName") || name.starts_with("IpAddress"));
            let names = names.map(name).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "it has none".to_owned() } else { format!("it is for {names}") };
            (Problem::CertificateName, format!("{} is asked, and {names}", expected.to_str()))
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            (Problem::CertificateForm, error.to_string())
        }
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            (Problem::CertificateForm, "it is that of an authority: it has CA:TRUE".to_owned())
        }
        CertificateError::UnknownIssuer => (Problem::Untrusted, "its authority is unknown".to_owned()),
        _ => (Problem::Untrusted, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{CertificateError, OtherError};

    use super::Problem;
    use crate::storage::error::{RequestError, StorageError, TransportError};
    use crate::storage::http::may_pass;

    #[test]
    fn a_certificate_is_refused_at_once_for_what_is_wrong_with_it() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("localhost").expect("a name"),
            presented: presented.iter().map(|&name| name.to_owned()).collect(),
        };
        let authority = CertificateError::Other(OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity"))));
        for (error, expected, said) in [
            (
                CertificateError::ExpiredContext { time: time(86_400), not_after: time(0) },
                Problem::CertificateDate,
                "it expired at 1970-01-01T00:00:00.000Z, and it is 1970-01-02T00:00:00.000Z by the clock",
            ),
            (
                CertificateError::NotValidYetContext { time: time(0), not_before: time(86_400) },
                Problem::CertificateDate,
                "it begins at 1970-01-02T00:00:00.000Z, and it is 1970-01-01T00:00:00.000Z by the clock",
            ),
            (
                name(&["DnsName(\"a.test\")", "IpAddress(10.0.0.1)"]),
                Problem::CertificateName,
                "localhost is asked, and it is for a.test, 10.0.0.1",
            ),
            (name(&["Unsupported(0x01)"]), Problem::CertificateName, "localhost is asked, and it has none"),
            (authority, Problem::CertificateForm, "it is that of an authority: it has CA:TRUE"),
            (CertificateError::UnknownIssuer, Problem::Untrusted, "its authority is unknown"),
        ] {
            // As the connection returns it.
            let held = io::Error::other(io::Error::other(rustls::Error::InvalidCertificate(error)));
            let transport = TransportError::NoAnswer(held.into());
            assert!(!may_pass(&transport), "{transport:?}");
            let found = StorageError::of_request("b", "k", &RequestError::Transport(transport));
            assert_eq!((found.problem, &*found.detail), (expected, said));
        }
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion);
        let transport = TransportError::NoAnswer(io::Error::other(alert).into());
        let found = StorageError::of_request("b", "k", &RequestError::Transport(transport));
        assert_eq!((found.problem, &*found.detail), (Problem::NoTls, "received fatal alert: ProtocolVersion"));
    }
}
