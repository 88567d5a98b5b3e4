//! A bucket, identified by its name, and clients for it, in the region that the variables name or that S3 names
//! instead.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::access::Access;
use super::client::BucketClient;
use super::error::{SettingsError, StorageError};
use super::problem::Problem;

/// A bucket and the means to reach it.
#[derive(Clone, Debug)]
pub(super) struct BucketAccess {
    access: Access,
    name: String,
}

impl BucketAccess {
    /// Combines the name of a bucket with the means to reach it. No request is sent yet.
    pub fn new(access: Access, name: &str) -> BucketAccess {
        BucketAccess { access, name: name.to_owned() }
    }

    /// Returns the name of the bucket.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates a client for the bucket in this region, or in the one that the variables name. Its connections and
    /// credentials are new.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn connect(&self, region: Option<&str>) -> Result<Arc<BucketClient>, SettingsError> {
        BucketClient::new(&self.access, &self.name, region.unwrap_or(&self.access.region)).map(Arc::new)
    }

    /// Runs `work` with a client. Runs it once more, with another client, if S3 reports that the bucket is in another
    /// region, or if the credentials have expired and can be renewed. Errors name `key`.
    ///
    /// # Errors
    /// The error of `work`, or a [`StorageError`] if no client can be created.
    pub async fn with_region<T>(
        &self,
        key: &str,
        work: impl AsyncFn(Arc<BucketClient>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let connect = |region| self.connect(region).map_err(|error| StorageError::of_settings(&self.name, key, &error));
        let first = connect(None)?;
        match work(Arc::clone(&first)).await {
            Ok(value) => Ok(value),
            Err(error) => match self.region_for_retry(&first, &error) {
                Some(region) => work(connect(Some(&region))?).await,
                None => Err(error),
            },
        }
    }

    /// Returns the region in which to repeat failed work with a new client, or `None` if a repetition would fail too.
    pub fn region_for_retry(&self, client: &BucketClient, error: &StorageError) -> Option<String> {
        match (error.problem, &error.region) {
            (Problem::OtherRegion | Problem::Denied | Problem::InvalidCredentials | Problem::Failing, Some(region))
                if region != client.region() =>
            {
                tracing::debug!("s3://{} is in {region}, not in {}", self.name, client.region());
                Some(region.clone())
            }
            (Problem::Expired, _) if self.access.credentials.can_renew() => Some(client.region().to_owned()),
            _ => None,
        }
    }
}

/// Creates a runtime for the requests of one thread.
///
/// # Errors
/// [`SettingsError::Runtime`] if the kernel refuses what it needs.
pub(super) fn runtime() -> Result<Runtime, SettingsError> {
    let built = Builder::new_current_thread().enable_time().enable_io().build();
    built.map_err(|error| SettingsError::Runtime(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::BucketAccess;
    use crate::job::Variables;
    use crate::storage::access::Access;
    use crate::storage::error::StorageError;
    use crate::storage::problem::Problem;

    #[test]
    fn work_is_repeated_in_the_region_that_s3_names_or_with_newer_credentials() {
        let bucket = |pairs: &[(&str, &str)]| {
            BucketAccess::new(Access::of(&pairs.iter().copied().collect::<Variables>(), Some("eu-west-1")), "b")
        };
        let from_instance = bucket(&[]);
        let client = from_instance.connect(None).expect("a client");
        let error = |problem, region: Option<&str>| {
            let mut error = StorageError::new("b", "k", problem, "");
            error.region = region.map(str::to_owned);
            error
        };
        let found = |problem, region| from_instance.region_for_retry(&client, &error(problem, region));
        assert_eq!(found(Problem::OtherRegion, Some("eu-west-3")).as_deref(), Some("eu-west-3"));
        assert_eq!(found(Problem::Denied, Some("eu-west-3")).as_deref(), Some("eu-west-3"));
        assert_eq!(found(Problem::Denied, Some("eu-west-1")), None);
        assert_eq!(found(Problem::NoSuchKey, Some("eu-west-3")), None);
        assert_eq!(found(Problem::OtherRegion, None), None);
        assert_eq!(found(Problem::Expired, None).as_deref(), Some("eu-west-1"));
        let fixed = bucket(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")]);
        assert_eq!(fixed.region_for_retry(&client, &error(Problem::Expired, None)), None);
    }

    #[test]
    fn an_endpoint_or_bucket_that_makes_no_url_is_an_error() {
        for (endpoint, bucket) in [("http://999.999.999.999", "b"), ("no url", "b"), ("http://h:99999", "b")] {
            let variables = [("S3_ENDPOINT_URL", endpoint)].into_iter().collect::<Variables>();
            let error = BucketAccess::new(Access::of(&variables, None), bucket).connect(None).expect_err(endpoint);
            assert!(error.to_string().starts_with(&format!("{endpoint}/{bucket} is no URL of a bucket: ")), "{error}");
        }
        assert!(BucketAccess::new(Access::of(&Variables::default(), None), "a b").connect(None).is_err());
    }
}
