//! Lines outside a traceback that explain an error: lines of kernels on a GPU, of drivers, and of communication
//! libraries.

use std::sync::LazyLock;

use regex::Regex;

use super::lines::{Log, Writer};
use super::read;
use super::text::one_line;
use crate::failure::pattern::pattern;

/// The maximum number of lines that are shown.
const MAX_SIGNS: usize = 2;

/// The line that is used if several match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    First,
    Last,
    /// The first one and the last one.
    Both,
}

/// A rule: if the error matches, a matching line explains it.
struct Rule {
    error: LazyLock<Regex>,
    /// The pattern of the line. If there is a group `text`, only its part of the line is shown.
    line: LazyLock<Regex>,
    /// The pattern of similar lines that contain no explanation.
    except: LazyLock<Regex>,
    take: Take,
}

/// Creates a rule whose patterns are compiled when they are needed.
macro_rules! rule {
    ($error:expr, $line:expr, $except:expr, $take:expr $(,)?) => {
        Rule {
            error: LazyLock::new(|| pattern($error)),
            line: LazyLock::new(|| pattern($line)),
            except: LazyLock::new(|| pattern($except)),
            take: $take,
        }
    };
}

/// A pattern that nothing matches.
const NOTHING: &str = r"[^\s\S]";

/// Errors of GPUs, and possible consequences of such errors.
const GPU: &str = r"(?i)CUDA|HIP error|cu(?:blas|dnn|solver|sparse|fft)|device-side|illegal memory access|launch failure|NVLink|NCCL|killed by SIG(?:ABRT|BUS|SEGV|KILL)";

static RULES: [Rule; 18] = [
    // An assertion in a kernel: `…/Indexing.cu:1255: indexSelect: block: [7,0,0], thread: [0,0,0] Assertion `x < y` failed.`
    rule!(GPU, r"(?:block: \[.*thread: \[|\.cuh?:\d+).*Assertion .*failed", NOTHING, Take::First),
    // OpenCV returns nothing for a file that it cannot read:
    // `[ WARN:0@0.1] global loadsave.cpp:275 findDecoder imread_('x.png'): …`
    rule!(
        r"'NoneType' object (?:has no attribute|is not subscriptable)|\.empty\(\) in function",
        r"(?P<text>imread_\('.*)",
        NOTHING,
        Take::Last,
    ),
    // A report of the driver: `NVRM: Xid (PCI:0000:00:1e): 79, pid=…, GPU has fallen off the bus.`
    rule!(GPU, r"(?P<text>(?:NVRM: )?Xid \(PCI:.*)", NOTHING, Take::First),
    // A message of the kernel about a process that it killed.
    rule!(
        r"killed by SIGKILL|(?i)out of memory|BrokenProcessPool|TerminatedWorker|killed by signal|-9\b",
        r"(?P<text>(?:Memory cgroup )?[Oo]ut of memory: Kill(?:ed)? process .*)",
        NOTHING,
        Take::Last,
    ),
    rule!(
        r"(?i)NCCL|DistBackendError|watchdog|Horovod|ncclSystemError",
        r"(?P<text>NCCL (?:WARN|ERROR) .*)",
        r"(?i)NCCL WARN (?:NET/OFI )?(?:Only EFA|Failed to initialize any|MIN|MAX|NCCL_\w+ set)|NCCL_DEBUG",
        Take::Both,
    ),
    rule!(
        r"(?i)NCCL|DistBackendError|watchdog|EFA|libfabric|MPI",
        r"(?P<text>(?:NET/OFI|libfabric:\d|OFI call).*(?i:error|fail|warn).*)",
        NOTHING,
        Take::Last,
    ),
    // `2024-May-21 16:08:34.100978 58093:58093 ERROR   TDRV:exec_request_process_errors   Execution timeout …`
    rule!(
        r"(?i)nrt_|NRT|neuron|StatusOr|\bXLA|NEFF|INTERNAL:|killed by SIG",
        r"\b(?:ERROR|FATAL|CRITICAL)\s+(?P<text>(?:TDRV|NRT|NMGR|NEFF|KMGR|HAL|ENC|NCCOM|CCOM)\w*:.*)",
        r"infodump|stack trace|#\d+ |\[ cut here \]",
        Take::First,
    ),
    // pip explains a conflict below its error: `    acme 3 depends on rows==2`.
    rule!(r"have conflicting dependencies", r"^\s+(?P<text>\S+ \S+ depends on \S.*)", NOTHING, Take::Both),
    // A part of ffmpeg: `[mov,mp4 @ 0x55d0c0] moov atom not found`.
    rule!(
        r"Invalid data found when processing input|Error (?:initializing output|opening (?:input|output)|while opening (?:en|de)coder)|Conversion failed",
        r"^\[[\w,#/: ]+ @ 0x[0-9a-f]+\] (?P<text>[A-Za-z].*)",
        r"deprecated|\] (?:using |profile |frame |mb |ref |kb/s|final |Error (?:opening|initializing))",
        Take::Last,
    ),
    rule!(r"Error opening input files", r"^(?P<text>Error opening input file \S.*?)\.?$", NOTHING, Take::Last),
    // Hydra names the key that it could not change, and wget the address, in lines of their own.
    rule!(r"Could not override '", r"^(?P<text>(?:Key|Value|Cannot|No) '?.*)", NOTHING, Take::First),
    rule!(r"^ERROR \d{3}: ", r"^--\d{4}-\d\d-\d\d [\d:]+--  (?P<text>\S+)$", NOTHING, Take::Last),
    // Cython prints the place of an error itself: `ops.pyx:2:11: undeclared name not builtin: rate`.
    rule!(r"Cython\S*\bCompileError", r"(?P<text>[^\s:/]+\.p(?:yx|xd|xi):\d+:\d+: .*)", NOTHING, Take::First),
    rule!(r"neuronx?-cc", r"\[neuronx?-cc\]: +Error message: +(?P<text>\S.*)", NOTHING, Take::First),
    rule!(r"(?i)neuronx?-cc|neuron_?cc", r"(?P<text>\[[A-Z]{3}\d{3}\] .*)", NOTHING, Take::First),
    // The reason for which llama.cpp did not load a model is in the first of several lines.
    rule!(
        r"unable to load model|model loading error|failed to load model",
        r"^(?P<text>(?:gguf_init_from_\w+: failed|\w+: error loading model: ).*)",
        NOTHING,
        Take::First,
    ),
    // The step of Open MPI's start that failed: `  PML add procs failed`.
    rule!(r"occurred in MPI_|MPI_INIT", r"^  (?P<text>\S.* failed)$", NOTHING, Take::First),
    // `E external/xla/…/cuda_dnn.cc:407] There was an error before creating cudnn handle (302): …`
    rule!(
        r"(?i)\bDNN\b|cudnn|XlaRuntimeError|FAILED_PRECONDITION|cublas|CUDNN|CUDA|JaxRuntimeError|InternalError",
        r"(?:^|\s)E(?:\d{4}|\s).*?(?P<text>\w*(?:cuda|cudnn|cublas|gpu|dnn|blas)\w*\.cc:\d+\].*)",
        r"Unable to register|failed call to cuInit|already been registered",
        Take::Last,
    ),
];

/// The errors of compilers that torch, setuptools and Neuron start:
/// `nvcc fatal   : Unsupported gpu architecture 'compute_100'`.
static COMPILERS: Rule = rule!(
    r"Error building extension|Error compiling objects|CppCompileError|'ninja', '-v'|command '\S*(?:gcc|g\+\+|cc|nvcc)'",
    read::COMPILER_ERROR,
    NOTHING,
    Take::First,
);

/// Returns the first error that a compiler printed, if a headline states that a build failed but not why.
pub(super) fn of_compiler(headline: &str, stderr: &Log, stdout: &Log, writer: &Writer) -> Option<String> {
    let found = || signs_of(&COMPILERS, stderr, stdout, writer)[0].clone();
    let found = COMPILERS.error.is_match(headline).then(found)??;
    let says_why = headline.contains("error: ") || headline.contains("nvcc fatal");
    (!says_why && !one_line(headline).contains(&found)).then_some(found)
}

/// Returns the lines that explain an error, which is given as the headline with its details. Lines of the error's
/// writer are preferred.
pub(super) fn signs(claimed: &str, stderr: &Log, stdout: &Log, writer: &Writer) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // Most processes that end in this way were only told to end.
    if claimed.starts_with("killed by SIGTERM") {
        return found;
    }
    for rule in RULES.iter().chain([&COMPILERS]).filter(|rule| rule.error.is_match(claimed)) {
        for text in signs_of(rule, stderr, stdout, writer).into_iter().flatten() {
            let is_known = one_line(claimed).contains(text.as_str()) || found.iter().any(|other| other.contains(&text));
            if !is_known && found.len() < MAX_SIGNS {
                found.push(text);
            }
        }
    }
    found
}

/// Returns the lines that one rule selects. Lines of `writer` are preferred.
fn signs_of(rule: &Rule, stderr: &Log, stdout: &Log, writer: &Writer) -> [Option<String>; 2] {
    let all = || lines(rule, stderr).chain(lines(rule, stdout));
    let own = || all().filter(|(by, _)| by.rank == writer.rank && by.host == writer.host).map(|(_, text)| text);
    let first = || own().next().or_else(|| all().map(|(_, text)| text).next());
    let last = || own().last().or_else(|| all().map(|(_, text)| text).last());
    match rule.take {
        Take::First => [first(), None],
        Take::Last => [last(), None],
        Take::Both => [first(), last()],
    }
}

fn lines<'l>(rule: &'l Rule, log: &'l Log) -> impl Iterator<Item = (&'l Writer, String)> + 'l {
    log.lines.iter().enumerate().filter_map(|(at, line)| {
        if !rule.line.is_match(&line.text) || rule.except.is_match(&line.text) {
            return None;
        }
        let words = rule.line.captures(&line.text)?;
        let text = words.name("text").map_or(line.text.as_str(), |text| text.as_str());
        Some((log.writer(at), one_line(text)))
    })
}
