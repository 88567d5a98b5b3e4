//! Requests that post data to another server, with the job's certificates and proxies.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use object_store::client::HttpRequestBody;
use thiserror::Error;
use tokio::runtime::Runtime;

use super::access::Access;
use super::bucket_access::runtime;
use super::error::{SettingsError, TransportError, reason};
use super::http::Client;
use super::payload::Payload;
use crate::job::Variables;

/// The maximum size of an answer, in bytes. Its content is ignored.
const LONGEST_ANSWER: usize = 1 << 20;

/// Sends requests. Its functions block the calling thread.
#[derive(Debug)]
pub struct Poster {
    runtime: Runtime,
    http: Client,
}

/// A request that could not be sent or was refused. The text holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PostError(String);

impl Poster {
    /// Creates a client with the network settings of the variables. No request is sent yet.
    ///
    /// # Errors
    /// [`PostError`] if the variables do not describe a usable connection.
    pub fn new(variables: &Variables) -> Result<Poster, PostError> {
        let failed = |error: SettingsError| PostError(error.to_string());
        let http = Client::new(&Access::of(variables, None).network).map_err(failed)?;
        Ok(Poster { runtime: runtime().map_err(failed)?, http })
    }

    /// Sends a body, once, and waits for the answer, but for no longer than `patience`.
    ///
    /// # Errors
    /// [`PostError`] if there is no answer, or if its status is not a success.
    pub fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        content_type: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<(), PostError> {
        let unusable = |error: http::Error| PostError(format!("the URL or a header cannot be used ({error})"));
        let mut request = http::Request::post(url).header(CONTENT_TYPE, content_type);
        for (name, value) in headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let request = request.body(Payload::from(HttpRequestBody::from(Bytes::from(body)))).map_err(unusable)?;
        let failed = |error: TransportError| PostError(reason(&error));
        let answered = async {
            let answer = self.http.send(request).await.map_err(failed)?;
            let status = answer.status();
            // The answer is read to its end, so that the connection can be reused.
            answer.into_body().read_to(LONGEST_ANSWER).await.map_err(failed)?;
            if status.is_success() { Ok(()) } else { Err(PostError(format!("the server answers {status}"))) }
        };
        let late = || PostError(format!("no answer within {} s", patience.as_secs_f64()));
        self.runtime.block_on(async { tokio::time::timeout(patience, answered).await }).map_err(|_| late())?
    }
}
