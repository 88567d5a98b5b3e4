//! footplate: one static binary that turns any container image into a training container.
//!
//! # The life of a job
//!
//! ```text
//! input/config/*.json ─► config ─► Job ─► environment (SM_*, argv)
//!                                   │
//!    code (S3, tar, folder) ► entry ┤
//!    requirements (uv, pip) ────────┤
//!                                   ▼
//!                     launch: LaunchPlan (pure)
//!                                   │ ◄── cluster: all hosts are ready
//!                                   ▼
//!       process: spawn, signals, reap ◄─► logs: relay to stdout, stderr; beside it: intermediate → S3
//!                                   │
//!                                   ▼
//!       run::outcome ◄── failure: evidence → cause ◄─► cluster: the first failure of all hosts
//!             │
//!             ▼
//!       failure or success file, exit code
//! ```
//!
//! `ARCHITECTURE.md` in the repository follows four paths through the code: a hyperparameter, a log line, the death of a rank,
//! and a stop signal.
//!
//! # The vocabulary
//!
//! - **host**: one container of the job, `algo-1` … `algo-N` on the platform.
//! - **rank**: one training process among all of the job, counted from 0; **local rank**: among those of its host;
//!   **world size**: how many there are.
//! - **launcher**: the program or the scheme that starts the ranks: `process`, `per-gpu`, `torchrun`, `mpi`, `smddp`, `xla`.
//! - **keeper**: the footplate under which a rank of mpirun runs, and which says how it ended.
//! - **grace period**: the time between passing SIGTERM on and killing what still runs.
//! - **drain time**: how long processes that outlive the script may still write.
//! - **reap**: to collect the status of a process that ended.
//! - **evidence**: what was seen of a failure; **cause**: the judgement, made once, of why it failed.
//! - **script**: the user's entry point, whatever language it is in.
//!
//! # Who may import whom
//!
//! A folder may import those that stand after it in this list, and no other (a test holds the source to it):
//!
//! `cli` → `local` → `run` → `cluster` → `launch` → `prepare` → `storage` → `failure` → `supervise` → `logs` → `event` → `machine` →
//! `job` → `python` → `redact` → `resolve` → `kernel`
//!
//! `kernel` is the only folder with `unsafe`.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod cli;
pub mod cluster;
pub mod event;
pub mod failure;
pub mod job;
pub mod kernel;
pub mod launch;
pub mod local;
pub mod logs;
pub mod machine;
pub mod prepare;
pub mod python;
pub mod redact;
pub mod resolve;
pub mod run;
pub mod storage;
pub mod supervise;
