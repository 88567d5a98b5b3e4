//! The place in S3 to which a job's files are uploaded.

use std::path::Path;

use crate::storage::access::Access;
use crate::storage::upload::Uploader;

/// The bucket and the prefix of a job's intermediate output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadDestination {
    bucket: String,
    /// The part of the keys before the files' paths, without a slash at its end.
    prefix: String,
}

/// The meaning of `sagemaker_s3_output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// The files are to be uploaded.
    S3(UploadDestination),
    /// The files are not uploaded, because the URL is a `file://` URL.
    Local,
}

impl OutputTarget {
    /// Reads the URL of a job's output, as `sagemaker-training` does: the files go to
    /// `<url>/<TRAINING_JOB_NAME>/output/intermediate/`.
    ///
    /// # Errors
    /// A description, if the URL is neither that of a bucket nor a `file://` URL.
    pub fn parse(url: &str, job_name: Option<&str>) -> Result<OutputTarget, String> {
        let wrong = || format!("sagemaker_s3_output is {url:?}, but must be s3://bucket/prefix");
        let (scheme, place) = url.split_once("://").ok_or_else(wrong)?;
        match scheme.to_ascii_lowercase().as_str() {
            "file" => return Ok(OutputTarget::Local),
            "s3" => {}
            _ => return Err(wrong()),
        }
        let place = place.split(['?', '#']).next().unwrap_or_default();
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(wrong());
        }
        let mut prefix = path.trim_start_matches('/').to_owned();
        for part in [job_name.unwrap_or_default(), "output/intermediate"] {
            if !prefix.is_empty() && !prefix.ends_with('/') {
                prefix.push('/');
            }
            prefix.push_str(part);
        }
        Ok(OutputTarget::S3(UploadDestination { bucket: bucket.to_owned(), prefix }))
    }
}

impl UploadDestination {
    /// Creates the uploader for this place.
    pub(super) fn uploader(&self, access: Access) -> Uploader {
        Uploader::new(access, &self.bucket, &self.prefix)
    }

    /// Returns the URL of a file, whose path is relative to the folder.
    pub fn url(&self, path: &Path) -> String {
        format!("s3://{}/{}/{}", self.bucket, self.prefix, path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::OutputTarget;

    #[test]
    fn keys_equal_those_of_sagemaker_training() {
        let url = |output: &str, job: Option<&str>| match OutputTarget::parse(output, job) {
            Ok(OutputTarget::S3(destination)) => destination.url(Path::new("a/b")),
            other => format!("{other:?}"),
        };
        for (output, job, expected) in [
            ("s3://bucket/p/q", Some("job-1"), "s3://bucket/p/q/job-1/output/intermediate/a/b"),
            ("s3://bucket/p/q/", Some("job-1"), "s3://bucket/p/q/job-1/output/intermediate/a/b"),
            ("s3://bucket//p//q//", Some("job-1"), "s3://bucket/p//q//job-1/output/intermediate/a/b"),
            ("s3://bucket", Some("job-1"), "s3://bucket/job-1/output/intermediate/a/b"),
            ("S3://bucket/?x#y", None, "s3://bucket/output/intermediate/a/b"),
            ("s3://bucket/p", Some(""), "s3://bucket/p/output/intermediate/a/b"),
        ] {
            assert_eq!(url(output, job), expected, "{output}");
        }
        assert_eq!(OutputTarget::parse("file:///tmp/x", None), Ok(OutputTarget::Local));
        for wrong in ["", "bucket/p", "https://bucket/p", "s3:///p", "s3://"] {
            assert!(OutputTarget::parse(wrong, None).is_err(), "{wrong}");
        }
    }
}
