//! The processor time that judging a failure takes, for 1 MiB of many shapes of output.
//!
//! `cargo bench --bench judging` prints a row for each shape and ending that takes more than a third of the limit, and
//! fails if one exceeds the limit. Words after `--` select shapes.

use std::path::Path;
use std::time::Duration;

use footplate::event::Ending;
use footplate::failure::{Evidence, judge, text};
use footplate::redact::Redactor;
use nix::sys::resource::{UsageWho, getrusage};

/// The size of each text, in bytes. The judge reads no more.
const SIZE: usize = 1 << 20;

/// The processor time that judging one text may take.
const LIMIT: Duration = Duration::from_millis(50);

/// The number of runs, of which the fastest counts.
const RUNS: usize = 3;

/// Lines that are repeated until the text has its size.
const SHAPES: &[(&str, &str)] = &[
    ("metrics", "epoch 3 step 120 loss 0.4312 acc 0.91\n"),
    ("records", "2026-01-02 03:04:05,106 INFO trainer: read shard 17 of 200\n"),
    ("errors", "2026-01-02 03:04:05,106 ERROR trainer: failed to read shard 17: timed out\n"),
    ("json", "{\"level\": \"error\", \"ts\": 1.5, \"message\": \"cannot read x\", \"stack\": \"a\\nb\"}\n"),
    (
        "json of a traceback",
        "{\"level\": \"ERROR\", \"message\": \"x\", \"exc_info\": \"Traceback (most recent call last):\\n  File \\\"a.py\\\", line 3, in f\\n    g()\\nValueError: bad\"}\n",
    ),
    ("bar", "\r 50%|█████     | 5/10 [00:01<00:01, 4.00it/s]"),
    ("bar lines", " 50%|█████     | 5/10 [00:01<00:01, 4.00it/s]\n"),
    (
        "traceback",
        "Traceback (most recent call last):\n  File \"/opt/ml/code/a.py\", line 3, in f\n    g()\nValueError: bad row 7\n",
    ),
    (
        "chain",
        "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad\n\nDuring handling of the above exception, another exception occurred:\n\n",
    ),
    ("frames", "  File \"/opt/ml/code/a.py\", line 3, in f\n    g()\n"),
    ("message", "bad row 7 in shard 3\n"),
    ("short message", "x: y\n"),
    ("words of error", "error: cannot read x, no such file, failed\n"),
    ("exception names", "ValueError: x\n"),
    ("aborts", "terminate called after throwing an instance of 'std::runtime_error'\n  what():  x\n"),
    ("frames of C++", "frame #3: c10d::ProcessGroupNCCL::run() + 0x96 (0x7f in libtorch.so)\n"),
    (
        "records of glog",
        "[rank3]:[E314 12:00:00.1 ProcessGroupNCCL.cpp:616] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, NumelIn=25, NumelOut=25, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.\n",
    ),
    ("NCCL", "algo-1:71:120 [0] NCCL WARN NET/OFI Unable to register memory (type = 2) for device 0. RC: -22\n"),
    ("ranks", "[rank5]: ValueError: bad row\n"),
    ("ranks of mpirun", "[1,3]<stderr>:  File \"a.py\", line 3, in f\n"),
    ("ranks of footplate", "[algo-1:3] bad row 7\n"),
    ("boxes", "│ /opt/ml/code/train.py:5 in main                                              │\n"),
    ("edges", "╭───────────────────── Traceback (most recent call last) ──────────────────────╮\n│ a │\n"),
    (
        "Java",
        "Exception in thread \"main\" java.lang.IllegalStateException: x\n\tat com.acme.Train.run(Train.java:3)\nCaused by: java.io.IOException: y\n",
    ),
    ("Node", "Error: x\n    at run (/opt/ml/code/fit.js:3:7)\n"),
    ("Go", "panic: runtime error: x\n\ngoroutine 1 [running]:\nmain.f(...)\n\t/opt/ml/code/fit.go:3\n"),
    ("Rust", "thread 'main' panicked at src/main.rs:3:5:\nx\n"),
    ("Julia", "ERROR: LoadError: BoundsError: x\nStacktrace:\n [1] f at a.jl:3\n"),
    ("R", "Error in f(x) : bad\nCalls: f -> g\nExecution halted\n"),
    ("sanitizer", "==71==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x1\n    #0 0x1 in f /a/fit.cpp:3\n"),
    ("pytest", "E       assert 3 == 4\ntest_fit.py:2: AssertionError\nFAILED test_fit.py::test_a - assert 3 == 4\n"),
    ("compiler", "fit.c:4:11: error: 'x' undeclared (first use in this function)\n"),
    ("make", "make[1]: *** [Makefile:3: fit] Error 1\n"),
    ("shell", "train.sh: line 3: foo: command not found\n"),
    ("list", "  - a\n  - b: c\n"),
    ("columns", "           ERROR    no shards match                                  train.py:4\n"),
    ("warnings", "/opt/ml/code/a.py:3: UserWarning: an error may follow\n  warnings.warn(\"x\")\n"),
    (
        "group",
        "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 3, in f\n  | ExceptionGroup: x (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: x\n",
    ),
    (
        "threads",
        "Exception in thread Thread-3:\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\nValueError: x\n",
    ),
    (
        "torchrun",
        "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : 1 (pid: 124)\n",
    ),
    ("empty", "\n"),
    ("spaces", "                                                                                \n"),
    ("one letter", "a\n"),
    ("indented", "    a\n"),
    ("Chinese", "错误：训练数据为空，请检查输入\n"),
    ("emoji", "🚀 epoch 3 ✅ loss 0.3\n"),
    ("colours", "\x1b[31merror\x1b[0m: \x1b[1mx\x1b[0m\n"),
    ("hex", "0x7f3a 0x7f3b 0x7f3c 0x7f3d\n"),
    ("one line of letters", "a"),
    ("one line of words", "error: x "),
    ("one line of brackets", "[("),
    ("one line of quotes", "'\\\""),
    ("one line of spaces", " "),
    ("one line of digits", "1.5 "),
    ("one line of JSON", "{\"a\":"),
    ("zero bytes", "\0"),
    ("not UTF-8", "\u{1}\u{2}\u{7f}\u{80}"),
];

/// Endings of a process.
const ENDINGS: [Ending; 5] =
    [Ending::Exited(1), Ending::Exited(2), Ending::Exited(127), Ending::Signaled(6), Ending::Signaled(9)];

/// The text around the lines of a shape.
const AROUND: [(&str, &str, &str); 4] = [
    ("alone", "", ""),
    (
        "before a traceback",
        "",
        "\nTraceback (most recent call last):\n  File \"/opt/ml/code/a.py\", line 3, in f\n    g()\nKeyError: 'x'\n",
    ),
    (
        "after a traceback",
        "Traceback (most recent call last):\n  File \"/opt/ml/code/a.py\", line 3, in f\n    g()\nKeyError: 'x'\n",
        "",
    ),
    ("after an abort", "terminate called after throwing an instance of 'x'\n  what():  y\n", ""),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    // Patterns are compiled once.
    let (first, _) = cpu(|| judged(Ending::Exited(1), b"error: x\n", b""));
    println!(
        "| shape | text | ending | ms |\n|---|---|---|---:|\n| a line | | {} | {:.1} |",
        Ending::Exited(1),
        ms(first)
    );
    let mut slowest = Duration::ZERO;
    for (shape, line) in SHAPES.iter().filter(|(shape, _)| is_wanted(shape)) {
        for (around, before, after) in AROUND {
            let room = SIZE - before.len() - after.len();
            let mut lines = line.repeat(room.div_ceil(line.len())).into_bytes();
            lines.truncate(room);
            let text = [before.as_bytes(), &lines, after.as_bytes()].concat();
            for ending in ENDINGS {
                for (stream, stderr, stdout) in
                    [("stderr", &text[..], &b""[..]), ("stdout", b"", &text), ("both", &text, &text)]
                {
                    if stream != "stderr" && around != "alone" {
                        continue;
                    }
                    let once = || cpu(|| judged(ending, stderr, stdout)).0;
                    let first = once();
                    let best = if first < LIMIT / 3 {
                        first
                    } else {
                        (1..RUNS).map(|_| once()).min().map_or(first, |other| other.min(first))
                    };
                    slowest = slowest.max(best);
                    if best > LIMIT / 3 {
                        println!("| {shape} | {stream}, {around} | {ending} | {:.1} |", ms(best));
                    }
                }
            }
        }
    }
    println!("\nslowest: {:.1} ms", ms(slowest));
    std::process::exit(i32::from(slowest > LIMIT));
}

fn judged(ending: Ending, stderr: &[u8], stdout: &[u8]) -> usize {
    let command = "python3 train.py".to_owned();
    let cause = judge(&Evidence::new(ending, stderr, stdout, Path::new("/opt/ml/code"), command)).cause;
    text(&cause, &Redactor::default()).len()
}

/// Returns the processor time that a call takes, with its result.
fn cpu<T>(call: impl FnOnce() -> T) -> (Duration, T) {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the usage of this process");
        let times = [usage.user_time(), usage.system_time()];
        times.iter().map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)).sum::<Duration>()
    };
    let before = used();
    let result = call();
    (used() - before, result)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
