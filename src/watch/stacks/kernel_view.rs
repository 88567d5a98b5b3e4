//! The kernel's view of a process: the function in which each of its threads waits. It is available for every
//! process.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::call::StackCall;
use super::process::{ProcessStacks, ThreadStack};
use crate::event::StackMethod;
use crate::system::files;

/// The time limit for reading a file of /proc. Reading some of them waits for a lock of the process.
const PATIENCE: Duration = Duration::from_millis(200);

/// The maximum number of threads that are examined.
const MAX_THREADS: usize = 64;

/// The maximum size of a file of /proc, in bytes.
const MAX_SIZE: u64 = 64 << 10;

/// Examines a process. Each thread has at most one call.
pub(super) fn read(process: (i32, &str)) -> ProcessStacks {
    let folder = PathBuf::from(format!("/proc/{}/task", process.0));
    let listed = fs::read_dir(&folder).into_iter().flatten().flatten();
    let threads: Vec<i32> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let main = threads.iter().position(|thread| *thread == process.0).unwrap_or(0);
    let of_thread = |thread: &i32| {
        let read = |name: &str| {
            let path = folder.join(format!("{thread}/{name}"));
            let bytes = files::read_within(PATIENCE, &path, MAX_SIZE).unwrap_or_default();
            String::from_utf8_lossy(&bytes).trim().to_owned()
        };
        let place = match read("wchan") {
            place if !place.is_empty() && place != "0" => Some(place),
            _ => state(&read("stat")).map(str::to_owned),
        };
        let frame = |function| StackCall { function, file: String::new(), line: 0 };
        ThreadStack { name: read("comm"), frames: place.map(frame).into_iter().collect() }
    };
    let threads = threads.iter().take(MAX_THREADS.max(main + 1)).map(of_thread).collect();
    ProcessStacks::new(process, StackMethod::Kernel, threads, main)
}

/// Returns the state of a thread in words, from `/proc/PID/task/TID/stat` (proc(5)).
fn state(stat: &str) -> Option<&'static str> {
    Some(match stat.rsplit_once(") ")?.1.chars().next()? {
        'R' => "a computation",
        'S' => "a wait",
        'D' => "a wait for a device",
        'T' | 't' => "a stop by a signal",
        'Z' | 'X' => "its end",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{read, state};

    #[test]
    fn the_place_of_a_process_that_waits_is_known() {
        assert_eq!(state("7 (a) b) R 1 7"), Some("a computation"));
        let mut child = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().expect("started");
        let found = read((i32::try_from(child.id()).expect("a number"), "sleep"));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert_eq!(found.threads.len(), 1);
        assert_eq!(found.main().len(), 1, "{found:?}");
    }
}
