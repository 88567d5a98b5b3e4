//! Calls of a Python thread: which of them are in the user's code, and which wait for other ranks.

use std::path::Path;

use crate::event::StackPlace;

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackCall {
    /// The function, with its class if that is known.
    pub function: String,
    /// The path of the file; empty for a function of the kernel.
    pub file: String,
    /// The line, counted from 1; 0 if it is not known.
    pub line: u64,
}

/// Parts of paths under which Python and its packages are installed.
const LIBRARIES: [&str; 4] = ["/site-packages/", "/dist-packages/", "/lib/python3", "/lib/pypy3"];

/// Files whose functions only pass a wait on. The calling function is more informative.
const PASSING: [&str; 8] = [
    "threading.py",
    "selectors.py",
    "queue.py",
    "contextlib.py",
    "multiprocessing/",
    "concurrent/futures/",
    "asyncio/",
    "torch/utils/_contextlib.py",
];

/// Functions of libraries that wait for other ranks, in lower case. They belong to torch.distributed, JAX, Horovod
/// and MPI.
const COLLECTIVES: [&str; 37] = [
    "all_reduce",
    "allreduce",
    "all_reduce_coalesced",
    "all_gather",
    "allgather",
    "all_gather_object",
    "all_gather_into_tensor",
    "all_gather_coalesced",
    "_all_gather_base",
    "all_to_all",
    "alltoall",
    "all_to_all_single",
    "barrier",
    "monitored_barrier",
    "broadcast",
    "bcast",
    "broadcast_object_list",
    "broadcast_one_to_all",
    "gather",
    "gather_object",
    "recv",
    "recv_object_list",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "_reduce_scatter_base",
    "scatter",
    "scatter_object_list",
    "send",
    "send_object_list",
    "batch_isend_irecv",
    "sync_global_devices",
    "wait_tensor",
    "synchronize",
    "block_until_ready",
    "backward",
    "init_process_group",
];

impl StackCall {
    /// Returns true for a function of Python itself or of an installed package.
    pub fn is_of_library(&self) -> bool {
        self.file.starts_with('<') || LIBRARIES.iter().any(|part| self.file.contains(part))
    }

    /// Returns true if the function only passes a wait on.
    pub fn passes_on(&self) -> bool {
        self.is_of_library() && PASSING.iter().any(|part| self.short_file().starts_with(part))
    }

    /// Returns the function without its class.
    pub fn name(&self) -> &str {
        self.function.rsplit('.').next().unwrap_or(&self.function)
    }

    /// Returns true for a function of a library that waits for other ranks.
    pub fn is_collective(&self) -> bool {
        self.is_of_library() && COLLECTIVES.contains(&self.name().to_lowercase().as_str())
    }

    /// Returns the path of the file below the folder in which its package or Python's standard library is installed.
    pub fn short_file(&self) -> &str {
        for part in &LIBRARIES[..2] {
            if let Some((_, rest)) = self.file.rsplit_once(part) {
                return rest;
            }
        }
        match LIBRARIES[2..].iter().find_map(|part| self.file.rsplit_once(part)) {
            // `/usr/lib/python3.11/queue.py`
            Some((_, rest)) => rest.split_once('/').map_or(rest, |(_, rest)| rest),
            None => &self.file,
        }
    }

    /// Returns the call as a place. Its file is relative to the folder of the user's code or to that of the
    /// libraries.
    pub fn place(&self, code_dir: &Path) -> StackPlace {
        let relative = Path::new(&self.file).strip_prefix(code_dir).ok().and_then(Path::to_str);
        let file = relative.unwrap_or(self.short_file()).to_owned();
        StackPlace { function: self.function.clone(), file, line: self.line }
    }
}

/// Returns the part of a stack that belongs to the worker process or thread itself. The stack of a process that was
/// made by fork also contains the calls of its parent.
pub fn own_part(frames: &[StackCall]) -> &[StackCall] {
    let is_start = |frame: &StackCall| {
        frame.name() == "_bootstrap" && ["multiprocessing/process.py", "threading.py"].contains(&frame.short_file())
    };
    frames.iter().position(is_start).map_or(frames, |at| &frames[..at])
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::{StackCall, own_part};

    pub(in crate::watch::stacks) fn frame(text: &str) -> StackCall {
        let (function, rest) = text.split_once(" (").expect("a file");
        let (file, line) = rest.trim_end_matches(')').rsplit_once(':').expect("a line");
        StackCall { function: function.into(), file: file.into(), line: line.parse().expect("a number") }
    }

    #[test]
    fn frames_of_libraries_are_told_from_the_users() {
        for (text, short, is_of_library, passes_on, is_collective) in [
            ("step (/opt/ml/code/train.py:25)", "/opt/ml/code/train.py", false, false, false),
            ("all_reduce (/opt/ml/code/train.py:25)", "/opt/ml/code/train.py", false, false, false),
            ("Queue.get (/usr/lib/python3.11/queue.py:171)", "queue.py", true, true, false),
            (
                "wait (/usr/lib/python3.11/multiprocessing/connection.py:9)",
                "multiprocessing/connection.py",
                true,
                true,
                false,
            ),
            (
                "all_reduce (/usr/lib/python3/dist-packages/torch/distributed/distributed_c10d.py:2810)",
                "torch/distributed/distributed_c10d.py",
                true,
                false,
                true,
            ),
            (
                "Tensor.backward (/v/lib/python3.11/site-packages/torch/_tensor.py:1)",
                "torch/_tensor.py",
                true,
                false,
                true,
            ),
            ("<module> (<string>:1)", "<string>", true, false, false),
        ] {
            let frame = frame(text);
            assert_eq!(frame.short_file(), short);
            let found = (frame.is_of_library(), frame.passes_on(), frame.is_collective());
            assert_eq!(found, (is_of_library, passes_on, is_collective), "{text}");
        }
        let place = frame("step (/opt/ml/code/sub/train.py:25)").place(Path::new("/opt/ml/code"));
        assert_eq!(place.to_string(), "step (sub/train.py:25)");
    }

    #[test]
    fn a_forked_worker_has_only_the_calls_after_its_start() {
        let frames: Vec<StackCall> = [
            "read (/c/data.py:8)",
            "_worker_loop (/l/lib/python3.11/site-packages/torch/utils/data/_utils/worker.py:3)",
            "BaseProcess._bootstrap (/l/lib/python3.11/multiprocessing/process.py:314)",
            "main (/c/train.py:9)",
        ]
        .map(frame)
        .to_vec();
        assert_eq!(own_part(&frames).len(), 2);
        assert_eq!(own_part(&frames[3..]).len(), 1);
    }
}
