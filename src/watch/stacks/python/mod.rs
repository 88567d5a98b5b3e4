//! The stacks of a Python process, read from its memory. Nothing has to be installed, and the process is not
//! disturbed.
//!
//! The kernel lets a process read the memory of its descendants through `/proc/<pid>/mem`, even without root and
//! under the default rules of container engines. CPython 3.7 to 3.15 is supported if it runs with its global lock, and
//! 3.13 also without the lock.

mod layout;
mod lines;
mod loaded_image;
mod memory;
mod walk;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use layout::Layout;
use loaded_image::LoadedImage;
use walk::PythonThread;

use super::process::{ProcessStacks, ThreadStack};
use crate::event::StackMethod;
use crate::system::files;
use memory::Memory;

/// The time limit for reading. Access to the memory of a process can wait for a file system.
const PATIENCE: Duration = Duration::from_secs(1);

/// The maximum size of the list of a process's mappings, in bytes.
const MAX_MAPS: u64 = 16 << 20;

/// The number of attempts. A running process can change its stack during an attempt.
const ATTEMPTS: usize = 3;

/// Reads the stacks of a process. `None` if it runs no supported Python, or if its memory may not be read.
pub(super) fn stacks_of(process: (i32, &str)) -> Option<ProcessStacks> {
    let (pid, name) = (process.0, process.1.to_owned());
    let threads = files::within(PATIENCE, move || {
        let threads = read(pid)?;
        let named = |thread: PythonThread| {
            // Python 3.14 and later names its threads in the kernel. Before that, they have the name of the process.
            let path = thread.number.map(|number| format!("/proc/{pid}/task/{number}/comm"));
            let comm = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
            let own = Some(comm.trim_end()).filter(|own| *own != name);
            (thread.number, ThreadStack { name: own.unwrap_or_default().to_owned(), frames: thread.frames })
        };
        Some(threads.into_iter().map(named).collect::<Vec<_>>())
    })??;
    let is_main = |thread: &(Option<u64>, ThreadStack)| thread.0 == u64::try_from(pid).ok();
    let main = threads.iter().position(is_main).unwrap_or(threads.len() - 1);
    let threads = threads.into_iter().map(|(_, thread)| thread).collect();
    Some(ProcessStacks::new(process, StackMethod::Memory, threads, main))
}

/// Reads the threads of a process.
fn read(pid: i32) -> Option<Vec<PythonThread>> {
    let maps = files::of_kernel(Path::new(&format!("/proc/{pid}/maps")), MAX_MAPS).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    images(&maps).into_iter().find_map(|(name, base)| (0..ATTEMPTS).find_map(|_| threads(&memory, name, base)))
}

/// Reads the threads of the Python whose program or library has this name and begins at this address.
fn threads(memory: &impl Memory, name: &str, base: u64) -> Option<Vec<PythonThread>> {
    let image = LoadedImage::at(memory, base)?;
    let runtime = image.address("_PyRuntime")?;
    let release = || {
        let stated = image.address("Py_Version").and_then(|at| memory.word(at, 0));
        stated.map_or_else(|| release_in(name), |version| u32::try_from(version >> 16 & 0xff).ok())
    };
    let layout = Layout::of_table(memory, runtime).or_else(|| Layout::of_release(release()?))?;
    walk::threads(memory, runtime, &layout)
}

/// Lists Python's programs and libraries in a text in the form of `/proc/PID/maps` (proc(5)), with the addresses at
/// which they begin.
fn images(maps: &str) -> BTreeMap<&str, u64> {
    let mut found = BTreeMap::new();
    for line in maps.lines() {
        // `7f1c8a400000-7f1c8a4f0000 r--p 00000000 fe:00 1234    /usr/lib/libpython3.11.so.1.0`
        let mut words = line.splitn(6, ' ');
        let (Some(range), Some(offset), Some(path)) = (words.next(), words.nth(1), words.nth(2)) else { continue };
        let name = path.rsplit('/').next().unwrap_or(path);
        let start = range.split_once('-').and_then(|(start, _)| u64::from_str_radix(start, 16).ok());
        if let (Some(start), true) = (start, name.contains("python") && offset.bytes().all(|digit| digit == b'0')) {
            found.entry(name).or_insert(start);
        }
    }
    found
}

/// Returns the minor release in the name of Python's program or library.
fn release_in(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once("python3.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests;
