//! The bodies of the fuzz targets, run on their seeds and on mutations of these. The mutations are the same in every run;
//! `fuzz/run` searches for others.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/bodies/archive.rs"]
mod archive;
#[path = "../../fuzz/bodies/config.rs"]
mod config;

/// The number of mutations of each target.
const MUTATIONS: usize = 4000;

/// The longest input, in bytes.
const LONGEST: usize = 16384;

/// Bytes that mean something to one of the readers, or lie at an end of a range.
const NOTABLE: &[u8] = b"\0\x01\x7f\x80\xff\n\r\t \"\\{}[]:,.-+0179aeEu/";

/// Prints the input if the test panics while it is in use.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {}", self.0.escape_ascii());
        }
    }
}

/// A source of numbers that are the same in every run (xorshift64).
struct Random(u64);

impl Random {
    /// Returns a number below a limit, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Changes an input in one place. `other` is an input from which a piece may be taken.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let length = [1, 2, 8, 512][random.below(4)].min(input.len() - at);
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = NOTABLE[random.below(NOTABLE.len())],
        2 => input.insert(at, NOTABLE[random.below(NOTABLE.len())]),
        3 => drop(input.drain(at..at + length)),
        4 => {
            let piece = input[at..at + length].to_vec();
            input.splice(at..at, piece);
        }
        5 if !other.is_empty() => {
            let from = random.below(other.len());
            let piece = &other[from..(from + length.max(1)).min(other.len())];
            input.splice(at..at + length.min(piece.len()), piece.iter().copied());
        }
        _ => input.truncate(at),
    }
    input.truncate(LONGEST);
}

/// Runs a body on the seeds of its target, and on mutations of them.
fn run(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("the seeds").map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("a seed")).collect();
    assert!(seeds.len() > 3, "the seeds were not found");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mutations = (0..MUTATIONS).map(|_| {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let other = &seeds[random.below(seeds.len())];
            mutate(&mut input, other, &mut random);
        }
        input
    });
    for input in seeds.iter().cloned().chain(mutations) {
        let _shown = Shown(&input);
        body(&input);
    }
}

#[test]
fn no_mutated_archive_is_unpacked_outside_its_folder() {
    run("archive", archive::run);
}

#[test]
fn every_mutated_configuration_file_is_read_or_refused_by_its_name() {
    run("config", config::run);
}
