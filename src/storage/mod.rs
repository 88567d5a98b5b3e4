//! Objects in S3: reading and writing them, with the credentials, endpoints and connections that the container's variables
//! describe. Signed requests to other AWS services use the same means.
//!
//! - [`Access`] holds the location of S3 and the means to reach it. Creating one only reads variables, so that a job
//!   without an object in S3 pays nothing.
//! - [`Bucket`] reads. [`Bucket::read`] returns an object as a stream that arrives while it is read, in several ranges
//!   at once. [`Bucket::list`] returns the objects below a prefix. These functions block the calling thread. Separate
//!   threads handle the network.
//! - [`Uploader`] writes below a prefix, in the caller's runtime, and reads files while it sends them. [`uploads`] uploads
//!   a folder with it while the script runs.
//! - [`AwsService`] sends requests to a service such as CodeArtifact, and [`Poster`] posts data to any server.
//!
//! # Layers
//!
//! Each file imports only those below it:
//!
//! ```text
//! bucket ► download ► into_file ► object     uploads ► upload     aws_service, post
//!                         │                              │             │
//!                     bucket_access: a client in the right region      │
//!                         │                                            │
//!                     client: S3's operations; signs, sends, repeats   │
//!                         │                                            │
//!                     access ► credentials ────────────────────────────┘
//!                         │
//!                     machine: endpoints of the platform with credentials
//!                         │
//!                     http ► payload, connect ► network ► tls
//!
//! used by all of them: retry, answers, listing, checksum, region, error ► problem
//! ```
//!
//! The `object_store` crate supplies the signatures (AWS Signature Version 4) and the credentials of web identities.
//! The operations of S3 are footplate's own, for four reasons. A file is read while it is sent, whereas the crate needs
//! the content in memory. Keys stay as they are, whereas the crate does not support keys with two slashes in a row.
//! Names are resolved by [`crate::system::resolve`], because the C library must not resolve them. Errors keep S3's code, status
//! and region as data, whereas the crate only has text. [`StorageError`] adds a remedy and holds no credentials.
//!
//! This folder knows nothing of archives, packages or the code folder. [`crate::prepare`] handles them.

mod access;
mod answers;
mod aws_service;
mod bucket;
mod bucket_access;
mod checksum;
mod client;
mod connect;
mod credentials;
mod download;
mod error;
mod http;
mod into_file;
mod listing;
mod machine;
mod network;
mod object;
mod payload;
mod post;
mod problem;
mod region;
mod retry;
mod tls;
mod upload;
pub mod uploads;

pub use access::Access;
pub use aws_service::{AwsService, AwsServiceError};
pub use bucket::{Bucket, ListedObject};
pub use client::in_query;
pub use download::{Download, PendingDownload, SmallObjects};
pub use error::{StorageError, TransferError};
pub use post::{PostError, Poster};
pub use problem::Problem;
pub use upload::{MultipartUpload, SentPart, Uploader};
