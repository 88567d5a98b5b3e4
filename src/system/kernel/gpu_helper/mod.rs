//! The helper that samples NVIDIA GPUs: a separate program, which is embedded in this one.
//!
//! NVIDIA's library must be loaded at run time, by the loader of the image. A static binary cannot do that: a library
//! that it loads crashes unless the image has exactly the C library that footplate was built with. So the helper is a
//! dynamically linked program whose only dependency is NVIDIA's library. `build.rs` builds it from `program.rs`.
//!
//! The helper answers each byte on its standard input with one answer in the form of [`layout`] on its standard
//! output. It ends when its standard input ends.

pub mod layout;

/// The file of the helper. Empty if it could not be built for this machine's architecture.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gpu-helper"));
