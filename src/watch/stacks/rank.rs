//! The place of a rank: the process and thread that shows why the rank does not go on.

use std::path::Path;

use super::call::{StackCall, own_part};
use super::process::ProcessStacks;
use crate::event::{RankGroup, StackMethod};

/// The maximum number of calls that are reported for a rank.
const MAX_CALLS: usize = 40;

/// The maximum length of the text of a call, in characters.
const MAX_CALL: usize = 200;

/// The stacks of a rank.
#[derive(Clone, Debug)]
pub struct RankStacks {
    /// The rank.
    pub rank: usize,
    /// The processes of the rank, parents before their children.
    pub processes: Vec<ProcessStacks>,
    /// The time since the rank's last sign of life, in milliseconds.
    pub silent_ms: u64,
}

/// Functions of libraries in which a worker without work waits.
const IDLE: [&str; 8] = ["wait", "get", "poll", "select", "accept", "recv", "recv_bytes", "_recv"];

/// Files of libraries in which the main thread waits for one of its worker processes or threads.
const DELEGATING: [&str; 8] = [
    "torch/utils/data/",
    "multiprocessing/",
    "concurrent/futures/",
    "threading.py",
    "queue.py",
    "subprocess.py",
    "joblib/",
    "tensorflow/python/data/",
];

impl RankStacks {
    /// Returns the process whose main thread represents the rank. It is the first one with Python calls, because a
    /// shell may have started the script.
    pub(super) fn main(&self) -> Option<&ProcessStacks> {
        self.processes.iter().find(|process| process.is_python()).or(self.processes.first())
    }

    /// Returns the calls that show where the rank is: those of its main thread, or of the worker that the main thread
    /// waits for.
    fn key_calls(&self) -> KeyCalls<'_> {
        let Some(main) = self.main() else { return KeyCalls { frames: &[], worker: None } };
        let delegates = || {
            let library = main.main().iter().take_while(|frame| frame.is_of_library());
            library.into_iter().any(|frame| DELEGATING.iter().any(|part| frame.short_file().starts_with(part)))
        };
        let worker = if delegates() { self.busy_worker(main) } else { None };
        KeyCalls { frames: main.main(), worker }
    }

    /// Returns the calls of a worker process or thread that runs the user's code.
    fn busy_worker<'a>(&'a self, main: &'a ProcessStacks) -> Option<(String, &'a [StackCall])> {
        let processes = self.processes.iter().filter(|process| process.pid != main.pid && process.is_python());
        let of_processes = processes.map(|process| (format!("process {}", process.name), process.main()));
        let named = |name: &str| if name.is_empty() { "a thread".to_owned() } else { format!("thread {name}") };
        let threads = main.threads.iter().skip(1).map(|thread| (named(&thread.name), &thread.frames[..]));
        let mut workers = of_processes.chain(threads).map(|(name, frames)| (name, own_part(frames)));
        workers.find(|(_, frames)| {
            let is_idle = frames.first().is_none_or(|frame| frame.is_of_library() && IDLE.contains(&frame.name()));
            !is_idle && frames.iter().any(|frame| !frame.is_of_library())
        })
    }

    /// Returns a group that contains only this rank.
    pub fn summary(&self, code_dir: &Path) -> RankGroup {
        let KeyCalls { frames, worker } = self.key_calls();
        let shown = |frames: &[StackCall]| -> Vec<String> {
            // The user's calls, and the innermost call of a library that is informative.
            let last = frames.iter().find(|frame| !frame.passes_on());
            let told =
                |frame: &&StackCall| !frame.is_of_library() || last.is_some_and(|last| std::ptr::eq(*frame, last));
            let calls = frames.iter().filter(told).map(|frame| frame.place(code_dir).to_string());
            calls.map(|call| call.chars().take(MAX_CALL).collect()).collect()
        };
        let own = |frames: &[StackCall]| frames.iter().find(|frame| !frame.is_of_library()).cloned();
        let (place, wait, mut stack) = match &worker {
            Some((name, calls)) => {
                let mut stack = shown(calls);
                stack.push(format!("in {name}, for which the main thread waits in"));
                stack.extend(shown(frames));
                (own(calls), None, stack)
            }
            None => {
                let library = frames.iter().take_while(|frame| frame.is_of_library());
                let wait = library.filter(|frame| frame.is_collective()).last().map(|frame| frame.name().to_owned());
                (own(frames).or(frames.iter().find(|frame| !frame.passes_on()).cloned()), wait, shown(frames))
            }
        };
        stack.truncate(MAX_CALLS);
        let place = place.map(|frame| frame.place(code_dir));
        RankGroup { ranks: vec![self.rank], stack, place, wait, silent_ms: self.silent_ms }
    }

    /// Returns true if Python calls are known.
    pub fn is_python(&self) -> bool {
        self.main().is_some_and(ProcessStacks::is_python)
    }

    /// Returns the means by which the rank's place was read.
    pub fn method(&self) -> Option<StackMethod> {
        self.main().map(|main| main.method)
    }

    /// Returns all calls that show where the rank is.
    pub(in crate::watch) fn calls(&self) -> impl Iterator<Item = &StackCall> {
        let KeyCalls { frames, worker } = self.key_calls();
        frames.iter().chain(worker.map_or(&[][..], |(_, frames)| frames))
    }
}

/// The calls that show where a rank is.
struct KeyCalls<'a> {
    /// The calls of the main thread.
    frames: &'a [StackCall],
    /// The calls of the worker that the main thread waits for, with the worker's name.
    worker: Option<(String, &'a [StackCall])>,
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::{ProcessStacks, RankStacks};
    use crate::event::StackMethod;
    use crate::watch::stacks::call::tests::frame;
    use crate::watch::stacks::process::ThreadStack;

    const PACKAGES: &str = "/v/lib/python3.11/site-packages";
    const LIBRARY: &str = "/v/lib/python3.11";

    pub(in crate::watch::stacks) fn process(pid: i32, name: &str, threads: &[&[&str]]) -> ProcessStacks {
        let of_thread = |frames: &&[&str]| ThreadStack {
            name: "a thread".into(),
            frames: frames.iter().map(|text| frame(&text.replace("P:", PACKAGES).replace("L:", LIBRARY))).collect(),
        };
        ProcessStacks::new((pid, name), StackMethod::Memory, threads.iter().map(of_thread).collect(), 0)
    }

    fn summary(processes: Vec<ProcessStacks>) -> (String, Option<String>, Vec<String>) {
        let group = RankStacks { rank: 3, processes, silent_ms: 5 }.summary(Path::new("/c"));
        (group.place.map(|place| place.to_string()).unwrap_or_default(), group.wait, group.stack)
    }

    #[test]
    fn a_rank_is_in_the_users_innermost_call_or_waits_in_a_collective() {
        let (place, wait, stack) =
            summary(vec![process(1, "python3", &[&["read (/c/data.py:88)", "<module> (/c/t.py:3)"]])]);
        assert_eq!((place.as_str(), wait), ("read (data.py:88)", None));
        assert_eq!(stack, ["read (data.py:88)", "<module> (t.py:3)"]);
        let calls: &[&str] = &[
            "all_reduce (P:/torch/distributed/distributed_c10d.py:2810)",
            "wrapper (P:/torch/distributed/c10d_logger.py:81)",
            "step (/c/t.py:25)",
            "main (P:/lightning/trainer.py:7)",
            "<module> (/c/t.py:3)",
        ];
        // A shell has started the script.
        let mut shell = process(1, "bash", &[]);
        shell.method = StackMethod::Kernel;
        let (place, wait, stack) = summary(vec![shell, process(2, "python3", &[calls])]);
        assert_eq!((place.as_str(), wait.as_deref()), ("step (t.py:25)", Some("all_reduce")));
        let expected =
            ["all_reduce (torch/distributed/distributed_c10d.py:2810)", "step (t.py:25)", "<module> (t.py:3)"];
        assert_eq!(stack, expected);
    }

    #[test]
    fn a_rank_that_waits_for_a_worker_is_where_the_worker_is() {
        let main: &[&str] = &[
            "poll (L:/multiprocessing/connection.py:1)",
            "Queue.get (L:/multiprocessing/queues.py:113)",
            "_try_get_data (P:/torch/utils/data/dataloader.py:1133)",
            "main (/c/t.py:20)",
        ];
        let idle: &[&str] = &[
            "Queue.get (L:/multiprocessing/queues.py:113)",
            "_worker_loop (P:/torch/utils/data/_utils/worker.py:275)",
            "_bootstrap (L:/multiprocessing/process.py:314)",
            "main (/c/t.py:20)",
        ];
        let busy: &[&str] = &[
            "read_shard (/c/data.py:88)",
            "fetch (P:/torch/utils/data/_utils/fetch.py:52)",
            "_bootstrap (L:/multiprocessing/process.py:314)",
            "main (/c/t.py:20)",
        ];
        let workers = vec![
            process(1, "python3", &[main]),
            process(2, "pt_data_worker", &[idle]),
            process(3, "pt_data_worker", &[busy]),
        ];
        let (place, wait, stack) = summary(workers.clone());
        assert_eq!((place.as_str(), wait), ("read_shard (data.py:88)", None));
        let expected = [
            "read_shard (data.py:88)",
            "fetch (torch/utils/data/_utils/fetch.py:52)",
            "in process pt_data_worker, for which the main thread waits in",
            "_try_get_data (torch/utils/data/dataloader.py:1133)",
            "main (t.py:20)",
        ];
        assert_eq!(stack[0], expected[0]);
        assert_eq!(stack[stack.len() - 3..], expected[2..]);
        // If no worker has work, the place of the rank is where its main thread waits.
        let (place, _, _) = summary(workers[..2].to_vec());
        assert_eq!(place, "main (t.py:20)");
        // The worker can also be a thread.
        let main: &[&str] = &["Thread.join (L:/threading.py:1)", "main (/c/t.py:9)"];
        let thread: &[&str] = &["load (/c/data.py:7)", "Thread._bootstrap (L:/threading.py:1002)"];
        let (place, _, _) = summary(vec![process(1, "python3", &[main, thread])]);
        assert_eq!(place, "load (data.py:7)");
    }
}
