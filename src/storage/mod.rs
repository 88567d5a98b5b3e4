//! Objects in S3: reading and writing them, and the credentials, endpoints and connections that this takes.
//!
//! [`Access`] is what the container's variables say of all that; making one does nothing else, so that a job without an
//! object in S3 pays nothing. [`Bucket`] opens a bucket with it: [`Bucket::read`] gives an object as a stream that
//! arrives while it is read, in several ranges at once, and [`Bucket::list`] what is below a prefix. All of it blocks the
//! thread that it is called on; the network is served by a thread of its own. [`Uploads`] writes below a prefix, in the
//! runtime of whoever calls it, and reads files while it sends them.
//!
//! ```text
//! bucket, download, placed, upload ─► object_store ─► wire ─► http ─► connect
//! ```
//!
//! Requests, their signatures, their repetition, the list and the resumption of a broken body are the `object_store`
//! crate's. What is added here: names are resolved by [`crate::resolve`], because the C library must not do it; keys are
//! taken as they are, where the crate knows none with two slashes; a region that S3 corrects; the checksums that S3 has
//! of an object; and one error with a remedy, [`StorageError`], that holds no credentials.
//!
//! [`Repository`] is a store of packages in place of objects, CodeArtifact's: with the same credentials and connections it
//! gives the address of an index, which an installer then reads.

mod access;
mod bucket;
mod checksum;
mod codeartifact;
mod connect;
mod credentials;
mod download;
mod error;
mod http;
mod placed;
mod upload;
pub mod uploads;
mod wire;

pub use access::Access;
pub use bucket::{Bucket, Listed};
pub use codeartifact::{CodeArtifactError, PackageIndex, Repository};
pub use download::{Asked, Download, Fetched};
pub use error::{Problem, StorageError, TransferError};
pub use upload::{Parts, Sent, Uploads};
