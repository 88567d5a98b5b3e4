//! Tests with real interpreters, and with recorded memory of interpreters that are not on every machine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::memory::Memory;
use super::walk::PythonThread;
use super::{images, read, release_in, threads};

/// A script that waits in functions of each kind, in a thread and in its main thread.
const SCRIPT: &str = "import sys, threading, time


def work():
    for _ in range(2):
        pass
    up.set()
    time.sleep(600)


class Loader:
    def read_shard(self, depth):
        if depth:
            return self.read_shard(depth - 1)
        try:
            with open(__file__):
                while True:
                    sys.stdout.write('.')
                    sys.stdout.flush()
                    time.sleep(600)
        finally:
            pass


def größe():
    def inner():
        yield Loader().read_shard(1)

    return [shard for shard in inner()]


up = threading.Event()
threading.Thread(target=work, daemon=True).start()
up.wait()
größe()
";

/// The calls of the main thread and of the other one, the innermost first, without those that Python's library adds.
const MAIN: [&str; 5] = ["read_shard 20", "read_shard 14", "inner 27", "größe 29", "<module> 35"];
const OTHER: &str = "work 8";

/// The variable with further interpreters to test, separated by colons, and the variable with the folder for records
/// of their memory.
const INTERPRETERS: &str = "FOOTPLATE_TEST_INTERPRETERS";
const RECORDS: &str = "FOOTPLATE_TEST_RECORDS";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Memory that records which bytes are read.
struct Noting<'a>(&'a File, RefCell<BTreeMap<u64, Vec<u8>>>);

impl Memory for Noting<'_> {
    fn fill(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        self.0.fill(address, buffer)?;
        self.1.borrow_mut().insert(address, buffer.to_vec());
        Some(())
    }
}

/// Memory of which some pieces are known.
#[derive(Clone, Default)]
struct Recorded(BTreeMap<u64, u8>);

impl Memory for Recorded {
    fn fill(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        for (at, byte) in (address..).zip(buffer) {
            *byte = *self.0.get(&at)?;
        }
        Some(())
    }
}

/// Checks that the calls are those of the script.
#[track_caller]
fn check(found: &[PythonThread], interpreter: &str) {
    let calls = |thread: &PythonThread| -> Vec<String> {
        let own = thread.frames.iter().filter(|call| call.file.ends_with("stacks.py"));
        // Until Python 3.11, a comprehension is a call of its own.
        let named = own.map(|call| format!("{} {}", call.function.rsplit('.').next().unwrap_or_default(), call.line));
        named.filter(|call| !call.starts_with("<listcomp>")).collect()
    };
    assert_eq!(found.len(), 2, "{interpreter}: {found:?}");
    assert_eq!(calls(&found[1]), MAIN, "{interpreter}: {found:?}");
    assert_eq!(calls(&found[0]), [OTHER], "{interpreter}: {found:?}");
}

#[test]
fn the_calls_of_a_process_are_read_from_its_memory() {
    let given = std::env::var(INTERPRETERS).unwrap_or_default();
    for interpreter in ["python3"].into_iter().chain(given.split(':').filter(|path| !path.is_empty())) {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("stacks.py");
        fs::write(&script, SCRIPT).expect("a script");
        let mut command = Command::new(interpreter);
        command.arg(&script).env("PYTHONIOENCODING", "utf-8").stdout(Stdio::piped());
        let mut child = Running(command.spawn().expect("an interpreter"));
        let mut stdout = child.0.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0]).expect("a sign of life");
        let pid = child.0.id();

        let pid = i32::try_from(pid).expect("a number");
        let is_asleep = |found: &Vec<PythonThread>| found[1].frames.iter().any(|call| call.line == 20);
        let until = Instant::now() + Duration::from_secs(30);
        let found = loop {
            let found = read(pid).filter(is_asleep);
            if found.is_some() || Instant::now() > until {
                break found.or_else(|| read(pid)).unwrap_or_default();
            }
            std::thread::yield_now();
        };
        check(&found, interpreter);
        if let Some(records) = std::env::var_os(RECORDS) {
            record(pid, Path::new(&records));
        }
    }
}

/// Records the memory that is read from a process: the name and the address of its Python, then each piece with its
/// address.
fn record(pid: i32, records: &Path) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("a list");
    let file = File::open(format!("/proc/{pid}/mem")).expect("the memory");
    for (name, base) in images(&maps) {
        let memory = Noting(&file, RefCell::default());
        if threads(&memory, name, base).is_none() {
            continue;
        }
        let mut text = format!("{name} {base:x}\n");
        for (address, bytes) in memory.1.into_inner() {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(text, "{address:x} {digits}");
        }
        fs::write(records.join(format!("{name}.txt")), text).expect("a record");
    }
}

/// Reads a record.
fn recorded(text: &str) -> (&str, u64, Recorded) {
    let number = |digits: &str| u64::from_str_radix(digits, 16).expect("a number");
    let mut lines = text.lines().map(|line| line.split_once(' ').expect("two words"));
    let (name, base) = lines.next().expect("a line");
    let mut memory = Recorded::default();
    for (address, digits) in lines {
        let bytes = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
        memory.0.extend((number(address)..).zip(bytes.map(|pair| u8::from_str_radix(pair, 16).expect("a byte"))));
    }
    (name, number(base), memory)
}

/// Returns the records.
fn records() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/watch/stacks/python/recorded");
    let files = fs::read_dir(folder).expect("the records").flatten();
    files.map(|file| fs::read_to_string(file.path()).expect("a record")).collect()
}

#[test]
fn each_release_of_python_is_understood() {
    let records = records();
    assert_eq!(records.len(), 10, "Python 3.7 to 3.15, and 3.13 without its lock");
    for text in &records {
        let (name, base, memory) = recorded(text);
        check(&threads(&memory, name, base).unwrap_or_else(|| panic!("{name}: nothing is understood")), name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A running process changes its memory while it is read.
    #[test]
    fn memory_that_changes_is_read_to_an_end(
        release in 0usize..10,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        thread_local! {
            static READ: Vec<(String, u64, Recorded)> = records()
                .iter()
                .map(|text| recorded(text))
                .map(|(name, base, memory)| (name.to_owned(), base, memory))
                .collect();
        }
        READ.with(|records| {
            let (name, base, mut memory) = records[release].clone();
            let addresses: Vec<u64> = memory.0.keys().copied().collect();
            for (at, byte) in changes {
                memory.0.insert(*at.get(&addresses), byte);
            }
            let _ = threads(&memory, &name, base);
        });
    }
}

#[test]
fn python_is_found_in_the_list_of_mapped_files() {
    let maps = "55d0c0000000-55d0c0001000 r--p 00000000 fe:00 7   /usr/bin/python3.11\n\
                55d0c0001000-55d0c0002000 r-xp 00001000 fe:00 7   /usr/bin/python3.11\n\
                7f1c8a400000-7f1c8a4f0000 r--p 00000000 fe:00 9   /opt/a b/libpython3.11.so.1.0 (deleted)\n\
                7f1c8b400000-7f1c8b4f0000 r--p 00000000 fe:00 9   /usr/lib/libpython3.9.so.1.0\n\
                7f1c8c400000-7f1c8c4f0000 r--p 00000000 fe:00 9   /usr/lib/libc.so.6\n\
                7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0   [stack]\n7ffe0000-7ffe1000 rw-p 00000000 00:00 0\nx\n";
    let found: Vec<(&str, u64)> = images(maps).into_iter().collect();
    let expected = [
        ("libpython3.11.so.1.0 (deleted)", 0x7f1c_8a40_0000),
        ("libpython3.9.so.1.0", 0x7f1c_8b40_0000),
        ("python3.11", 0x55d0_c000_0000),
    ];
    assert_eq!(found, expected);
    let releases = ["libpython3.9.so.1.0", "python3.11", "libpython3.so", "python"].map(release_in);
    assert_eq!(releases, [Some(9), Some(11), None, None]);
}
