//! A bucket: what is in it, reading it, and clients of it.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider, Checksum};
use object_store::path::Path as Place;
use object_store::{BackoffConfig, GetOptions, GetResult, ObjectStore, RetryConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::access::Access;
use super::checksum::Sha256;
use super::download::{self, Asked, Download, Fetched};
use super::error::{Problem, StorageError, TransferError};
use super::http::Client;
use super::placed;
use super::wire::{Exactly, Part, Wire};

/// How often a request is repeated after an error of the server or the network, and how long in all.
const RETRIES: usize = 4;
const RETRY_TIME: Duration = Duration::from_secs(60);
const BACKOFF: BackoffConfig =
    BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(4), base: 2.0 };
/// What a key's letters may be in a URL (S3's own rule for signatures).
const IN_KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    access: Access,
    name: String,
}

/// An object below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key, the prefix included.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Bucket {
    /// A bucket of this name; nothing is asked yet.
    pub fn new(access: Access, name: &str) -> Bucket {
        Bucket { access, name: name.to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins to read an object: waits for the answer's beginning, and no longer. What follows arrives on a thread of its
    /// own, some MiB ahead of what is read: they wait in a file without a name in the folder `beside`.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub fn read(&self, key: &str, beside: &Path) -> Result<Download, StorageError> {
        self.ask(key, beside)?.answered()
    }

    /// The same without waiting: several can be asked for before they are read, one after the other.
    ///
    /// # Errors
    /// [`StorageError`] where no thread can be started.
    pub fn ask(&self, key: &str, beside: &Path) -> Result<Asked, StorageError> {
        download::begin(self.clone(), key, beside)
    }

    /// Brings an object into a file that is new and empty, the one at this path; gives its size. What arrives is written at
    /// once, and nothing waits for what comes before it.
    ///
    /// # Errors
    /// [`TransferError`]; the file may hold parts of it then.
    pub fn bring(&self, key: &str, file: &File, at: &Path) -> Result<u64, TransferError> {
        placed::bring(self, key, file, at)
    }

    /// What counts as small, in bytes: it is held in memory while it arrives.
    pub const SMALL: u64 = 1 << 20;

    /// Up to this size, in bytes, an object comes in one answer, of which little is held; beyond it in several at once.
    pub const IN_ONE: u64 = download::LARGE;

    /// Begins to read many small objects, several at once.
    ///
    /// # Errors
    /// [`StorageError`] where no thread can be started; others come with the objects.
    pub fn read_small(&self, keys: Vec<String>) -> Result<Fetched, StorageError> {
        download::fetch(self.clone(), keys)
    }

    /// Everything below a prefix, which ends with a slash or is empty.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        let error = |error: &object_store::Error| StorageError::of(&self.name, prefix, error);
        let settings = |text: String| StorageError::new(&self.name, prefix, Problem::Settings, text);
        let place = Place::parse(prefix).map_err(|found| settings(found.to_string()))?;
        let runtime = runtime().map_err(|error| settings(error.to_string()))?;
        runtime.block_on(self.with_region(prefix, async |client| {
            let objects =
                client.store.list(Some(&place)).map_ok(|found| Listed { key: found.location.into(), size: found.size });
            objects.try_collect().await.map_err(|found| error(&found))
        }))
    }

    /// Does something with a client; once more where S3 says that the bucket is in another region, or that the credentials
    /// have expired and others can be had.
    pub(super) async fn with_region<T>(
        &self,
        key: &str,
        work: impl AsyncFn(Connected) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let connect = |region: &str| {
            self.connect(region).map_err(|text| StorageError::new(&self.name, key, Problem::Settings, text))
        };
        let first = connect(&self.access.region)?;
        match work(first.clone()).await {
            Ok(value) => Ok(value),
            Err(error) => match self.better_region(&first, &error) {
                Some(region) => work(connect(&region)?).await,
                None => Err(error),
            },
        }
    }

    /// The region in which to try once more, with new credentials, what has failed; none if that would be in vain.
    pub(super) fn better_region(&self, client: &Connected, error: &StorageError) -> Option<String> {
        match (error.problem, client.wire.region()) {
            (Problem::OtherRegion | Problem::Denied | Problem::Failing, Some(region)) if region != client.region => {
                tracing::debug!("s3://{}: is in {region}, not in {}", self.name, client.region);
                Some(region)
            }
            (Problem::Expired, _) if self.access.sources.can_renew() => Some(client.region.clone()),
            _ => None,
        }
    }

    /// A client of the bucket in the region that the variables name.
    pub(super) fn connect_at_first(&self, prefix: &str) -> Result<Connected, String> {
        self.connect_below(&self.access.region, prefix)
    }

    fn connect(&self, region: &str) -> Result<Connected, String> {
        self.connect_below(region, "")
    }

    /// A client for the keys below a prefix. It is a part of the URL: `object_store` knows no keys with two slashes.
    pub(super) fn connect_below(&self, region: &str, prefix: &str) -> Result<Connected, String> {
        let http = Client::of(&self.access.network)?;
        let credentials = self.access.sources.provider(&http);
        let wire = Wire::of(http);
        let mut url = self.access.bucket_url(&self.name, region);
        if !prefix.is_empty() {
            url = format!("{url}/{}", utf8_percent_encode(prefix, IN_KEY));
        }
        let store = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(region)
            .with_endpoint(&url)
            .with_virtual_hosted_style_request(true) // the URL has the bucket already
            .with_allow_http(true)
            .with_credentials(Arc::clone(&credentials))
            .with_http_connector(wire.clone())
            // What is written is hashed for its signature in any case.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(RetryConfig { backoff: BACKOFF, max_retries: RETRIES, retry_timeout: RETRY_TIME })
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Connected { store: Arc::new(store), wire, url, region: region.to_owned(), credentials })
    }
}

/// A client of a bucket in a region.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) store: Arc<AmazonS3>,
    wire: Wire,
    url: String,
    region: String,
    credentials: AwsCredentialProvider,
}

impl Connected {
    /// Asks for an object or a range of it, under the key as it is.
    pub async fn get(&self, key: &str, mut options: GetOptions) -> object_store::Result<GetResult> {
        options.extensions.insert(Exactly {
            url: format!("{}/{}", self.url, utf8_percent_encode(key, IN_KEY)),
            region: self.region.clone(),
            credentials: Arc::clone(&self.credentials),
        });
        // The wire puts the key in its place.
        self.store.get_opts(&Place::from("object"), options).await
    }

    /// What a request is to send.
    pub fn part(&self, file: &Arc<File>, range: Range<u64>, digest: Sha256) -> Part {
        let (region, credentials) = (self.region.clone(), Arc::clone(&self.credentials));
        Part { file: Arc::clone(file), range, digest, region, credentials }
    }
}

/// A runtime for one thread's own requests.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build()
}
