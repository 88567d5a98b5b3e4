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
//!     supervise: spawn, signals, reap ◄─► logs: relay to stdout, stderr; beside it: storage::uploads → S3
//!                                   │
//!                                   ▼
//!       run::outcome ◄── failure: evidence → cause ◄─► cluster: the first failure of all hosts
//!             │
//!             ▼
//!       failure or success file, exit code
//! ```
//!
//! All of them emit events (`event`), which the run record (`observe`) and others receive.
//!
//! `ARCHITECTURE.md` in the repository explains the phases and follows five paths through the code: a hyperparameter, a
//! log line, the death of a rank, a stop signal, and a hang.
//!
//! # The vocabulary
//!
//! - **host**: one container of the job, `algo-1` … `algo-N` on the platform.
//! - **script**: the user's entry point, in any language.
//! - **rank**: one training process of the job, counted from 0 over all hosts. **Local rank**: its number on its host.
//!   **World size**: the number of ranks of the job.
//! - **service**: a process that a launcher needs in addition to the ranks, such as a scheduler.
//! - **launcher**: the program or the method that starts the ranks, such as `process`, `per-gpu`, `torchrun`, `mpi` or
//!   `xla`.
//! - **keeper**: the footplate that starts one rank of mpirun, and that reports the rank's ending to the supervisor.
//! - **leader**: the footplate of the master host, which the footplates of the other hosts connect to.
//! - **barrier**: the point at which hosts wait until all of them are ready to start their ranks.
//! - **grace period**: the time between a stop signal and the kill of the processes that still run.
//! - **drain time**: the time for which processes that outlive the script may keep running.
//! - **reap**: to collect the status of a process that ended.
//! - **evidence**: the observations about a failure. **Cause**: the judgement, made once, of why it failed.
//!   **Verdict**: the cause that all hosts agree on.
//!
//! # Who may import whom
//!
//! A folder may import only the folders that follow it in this list. A test checks this.
//!
//! `cli` → `local` → `shim` → `run` → `observe` → `watch` → `cluster` → `launch` → `prepare` → `storage` → `failure` → `supervise` →
//! `logs` → `event` → `machine` → `job` → `redact` → `system`
//!
//! `system::kernel` is the only folder with `unsafe`.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod cli;
pub mod cluster;
pub mod event;
pub mod failure;
pub mod job;
pub mod launch;
pub mod local;
pub mod logs;
pub mod machine;
pub mod observe;
pub mod prepare;
pub mod redact;
pub mod run;
pub mod shim;
pub mod storage;
pub mod supervise;
pub mod system;
pub mod watch;
