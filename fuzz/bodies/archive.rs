//! The archive reader: no archive makes it write outside the folder into which it unpacks, and none makes it panic.
//!
//! The fuzz target and the tests (tests/it/mutated.rs) run this body.

use std::fs;
use std::path::Path;

use footplate::prepare::code::{ArchiveLimits, unpack};

const BLOCK: usize = 512;

/// Unpacks the input as an archive. The first byte is not part of it: if it is odd, the checksums of all headers are
/// corrected first.
pub fn run(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else { return };
    let mut content = content.to_vec();
    if choice % 2 == 1 {
        mend(&mut content);
    }
    // In memory, because a disk would take most of the time.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("outside")).expect("a folder");
    fs::write(at("outside/kept"), "kept").expect("written");
    fs::write(at("archive"), &content).expect("written");
    let limits = ArchiveLimits { bytes: 1 << 20, entries: 1000, ..ArchiveLimits::default() };
    // An error is as good an answer as success.
    let _ = unpack(&at("archive"), &at("code"), &limits);
    assert_eq!(fs::read(at("outside/kept")).expect("the file outside"), b"kept");
    assert_eq!(names(&at("outside")), ["kept"]);
    assert!(names(folder.path()).iter().all(|name| ["archive", "code", "outside"].contains(&name.as_str())));
    assert_eq!(fs::read(at("archive")).expect("the archive"), content);
}

/// Corrects the checksum of every block that looks like a header, so that the reader does not refuse it at once.
fn mend(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(BLOCK) {
        if &block[257..262] != b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
