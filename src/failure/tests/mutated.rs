//! Bad input: random bytes, and real texts that are cut and changed at random positions. The judgement must not fail.
//! The text must not be longer than the platform shows, and must always contain the exit code and the beginning of the
//! command.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Evidence, cause, evidence, text};
use crate::event::Ending;
use crate::failure::error_file;
use crate::redact::Redactor;

const SEEDS: [&str; 5] = [
    "[rank1]: Traceback (most recent call last):\n[rank1]:   File \"/opt/ml/code/a.py\", line 4, in load\n[rank1]:     x\n[rank1]: ValueError: bad\n[rank1]: data\nDuring handling of the above exception, another exception occurred:\n[rank1]: Traceback (most recent call last):\n[rank1]:   File \"a.py\", line 99999999999999999999999, in f\n[rank1]: KeyError: 'x'\n",
    "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 3, in <module>\n  | ExceptionGroup: eg (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"a.py\", line 6, in f\n    | ValueError: x\n    +---------------- 2 ----------------\n    | TypeError: 2\n    +------------------------------------\n",
    "\r 50%|##  | 5/10 [00:01<00:01, 4it/s]\x1b[31mTraceback (most recent call last):\r\n  File \"é.py\", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax\n",
    "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f (most recent call first):\n  File \"a.py\", line 4 in crash\nthread 'main' panicked at src/main.rs:3:5:\nterminate called after throwing an instance of 'é'\n  what():  x\n",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \nRoot Cause (first observed failure):\n[0]:\n  host      : algo-1\n  rank      : 0 (local_rank: 0)\n  exitcode  : -2147483648 (pid: 124)\n[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=99999999999999999999, OpType=X, Timeout(ms)=1)\n  Process name: [[1,1],0]\n  Exit code:    1\n",
];

fn any_ending() -> impl Strategy<Value = Ending> {
    prop_oneof![(0..256).prop_map(Ending::Exited), (1..70).prop_map(Ending::Signaled)]
}

/// Generates sequences of seeds that are cut at both ends and have some bytes changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let pieces =
        prop::collection::vec((0..SEEDS.len(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    (pieces, changes).prop_map(|(pieces, changes)| {
        let mut bytes = Vec::new();
        for (seed, from, to) in pieces {
            let seed = SEEDS[seed].as_bytes();
            let (from, to) = (from.index(seed.len()), to.index(seed.len()) + 1);
            bytes.extend_from_slice(if from < to { &seed[from..to] } else { seed });
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn judge(ending: Ending, stderr: &[u8], stdout: &[u8]) -> Result<(), TestCaseError> {
    let command = "python3 train.py --x ".to_owned() + &"1".repeat(3000);
    let evidence = Evidence::new(ending, stderr, stdout, Path::new("/opt/ml/code"), command);
    let redactor = Redactor::default().and("Traceback");
    let text = crate::failure::text(&cause(&evidence), &redactor);
    prop_assert!(text.chars().count() <= 1024, "{} characters", text.chars().count());
    prop_assert!(!text.contains("Traceback"), "a secret in {}", text);
    prop_assert!(text.contains(&format!("exit code {}", ending.exit_code())), "no exit code in {}", text);
    prop_assert!(text.contains("\ncommand: python3 train.py --x 1"), "no command in {}", text);
    prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters in {:?}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_yield_a_complete_text(ending in any_ending(), stderr in prop::collection::vec(any::<u8>(), 0..800)) {
        judge(ending, &stderr, &stderr)?;
        let _ = error_file(&stderr);
    }

    #[test]
    fn mutated_texts_yield_a_complete_text(ending in any_ending(), stderr in mutated(), stdout in mutated()) {
        judge(ending, &stderr, &stdout)?;
    }
}

/// Judges every prefix and every suffix of each seed.
#[test]
fn a_text_that_is_cut_anywhere_yields_a_complete_text() {
    for seed in SEEDS {
        for at in 0..seed.len() {
            let bytes = seed.as_bytes();
            for part in [&bytes[at..], &bytes[..at]] {
                judge(Ending::Exited(1), part, b"").unwrap();
            }
        }
    }
}

/// Judges texts of 256 KiB that are designed to be slow to read. The time limit is for a debug build on a busy machine.
#[test]
fn long_texts_are_read_in_time() {
    let long = |piece: &str| piece.repeat((256 << 10) / piece.len());
    for piece in [
        "x",
        "\n",
        "\r",
        "\x1b]",
        "\x1b[",
        "a ",
        "  File \"a.py\", line 3, in f\n",
        "Traceback (most recent call last):\n",
        SEEDS[0],
        SEEDS[1],
        "[1,0]<stderr>:",
        "  | ",
        "Error: ",
        "1%| ",
        "\"\"\"\n",
        "w: Traceback (most recent call last):\n",
        "Traceback (most recent call last):\n  File \"a\", line 1\nE: x\n",
        "Traceback (most recent call last):\n  File \"a\", line 1\nE: Graph execution error:\n\nx\n",
        "E: x:\n\nfrom user code:\n  File \"a\", line 1, in f\n",
        "╭─ Traceback (most recent call last) ─╮\n│ /a:1 in f │\n",
        "╭─ Error ─╮\n│ a │\n",
        "KeyError   Traceback (most recent call last)\nCell In[1], line 1\n",
        "a.b.CError: x\n    at f (a.js:1:1)\n",
        "    at f (a.js:1:1)\n",
        "Caused by: a.B: x\n\tat a.b(C.java:1)\n",
        "panic: x\ngoroutine 1\n\ta.go:1\n",
        "ERROR: x\nStacktrace:\n",
        "Error in f :\n",
        "Error: x\nCaused by:\n    0: y\n",
        "==1==ERROR: ASanitizer: x\n    #0 f a:1\n",
        "E   a\n",
        "a.rb:1:in `f': x (E)\n",
        "ExecuteUserScriptError:\n",
        "{\"level\": \"error\", \"message\": \"x\"}\n",
        "{\"a\":",
        "level=error msg=\"",
        "Error executing process > 'X'\n\nCaused by:\n  x\n\nCommand error:\n  y\n\n",
        "===== Luigi Execution Summary =====\nINFO: a\n",
        "======\nERROR: t (a.T)\n-----\nTraceback (most recent call last):\n  File \"a\", line 1\nE: x\n",
        "======\nERROR: t (a.T)\n-----\nTraceback (most recent call last):\n",
        "t (a.T) ... ERROR\n",
        "==7== Process terminating with default action of signal 11 (SIGSEGV)\n==7==    at 0x1: f (a.c:1)\n",
        "signal (11): S\nf at /a.jl:1\n",
        "seed must be set\n",
        "FATAL\n",
        "INFO: closing\n",
    ] {
        let stderr = long(piece);
        let start = Instant::now();
        let _ = text(&cause(&evidence(Ending::Exited(1), &stderr)));
        assert!(start.elapsed() < Duration::from_secs(60), "{piece:?}: {:?}", start.elapsed());
    }
    let ranks: String = (0..20_000).map(|rank| format!("[rank{rank}]: E\n")).collect();
    let start = Instant::now();
    let _ = text(&cause(&evidence(Ending::Exited(1), &ranks)));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
