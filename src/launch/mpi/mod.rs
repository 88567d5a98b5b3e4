//! Launches with the image's own mpirun: plain MPI, and smdistributed data parallel.
//!
//! - [`start`] plans mpirun and the engine `mpi`.
//! - `options` builds the command line of mpirun and reads the user's own options.
//! - `smddp` and `model_parallel` add the parts that smdistributed needs.

mod model_parallel;
mod options;
mod smddp;
mod start;

pub use options::FORK_AGENTS;
pub(super) use smddp::SMDDP;
pub(super) use start::MPI;
