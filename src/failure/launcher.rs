//! Reports of launchers about their processes: torch elastic's error file and final report, and mpirun's notices.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::event::Ending;

use super::lines::{Log, Writer};
use super::signal;
use crate::failure::pattern::pattern;

/// The content of a rank's error file (`TORCHELASTIC_ERROR_FILE`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFile {
    /// The exception, as `Type: message`.
    pub message: String,
    /// The traceback, if there is one.
    pub traceback: Option<String>,
    /// The time at which the exception was raised, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// The error code, if the writer supplied one.
    pub error_code: Option<i64>,
}

/// Reads torch elastic's error file (`torch/distributed/elastic/multiprocessing/errors/error_handler.py`). The file has
/// one of two forms: `message` is an object that contains `extraInfo`, or `message` is a string with `timestamp` beside
/// it. Returns `None` if the file has neither form, or if it only reports the signal that ended torchrun.
pub fn error_file(bytes: &[u8]) -> Option<ErrorFile> {
    let file: Value = serde_json::from_slice(bytes).ok()?;
    let (message, extra) = match file.get("message")? {
        Value::String(message) => (message.as_str(), &file),
        inner => (inner.get("message")?.as_str()?, inner.get("extraInfo").unwrap_or(&Value::Null)),
    };
    // The signal that ended torchrun itself (`torch/distributed/elastic/multiprocessing/api.py`) contains no
    // information about a rank.
    if message.starts_with("SignalException: ") {
        return None;
    }
    let timestamp = extra.get("timestamp").and_then(|time| time.as_u64().or_else(|| time.as_str()?.parse().ok()));
    let code = file.get("errorCode").or_else(|| file.get("message")?.get("errorCode"));
    Some(ErrorFile {
        message: message.to_owned(),
        traceback: extra.get("py_callstack").and_then(Value::as_str).map(str::to_owned),
        timestamp,
        error_code: code.and_then(Value::as_i64),
    })
}

/// The name of Open MPI's launcher.
pub(super) const MPIRUN: &str = "mpirun";

/// A launcher's report about the rank that failed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RankReport {
    pub(super) launcher: &'static str,
    pub(super) host: Option<String>,
    pub(super) rank: Option<usize>,
    pub(super) local_rank: Option<usize>,
    pub(super) ending: Ending,
}

impl RankReport {
    /// Returns true if the report is about this writer. `None` if that is not known.
    pub(super) fn names(&self, writer: &Writer) -> Option<bool> {
        let ranks = self.rank.zip(writer.rank).map(|(reported, rank)| reported == rank);
        ranks.or_else(|| Some(self.local_rank? == writer.local_rank?))
    }
}

static FIELD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s+(host|rank|exitcode) *: (\S+)(?: \(local_rank: (\d+)\))?"));
static SIGNALED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:mpirun|prterun) noticed that process rank (\d+) with PID \d+ on node (\S+)\s+exited\s+on\s+signal\s+(\d{1,2})\b",
    )
});
static PROCESS_NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*Process name: \[.*[\],](\d+)\]"));
static EXIT_CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*Exit code: +(\d{1,3})$"));

static ABORTED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^MPI_ABORT was invoked on rank (\d+) in communicator MPI_COMM_WORLD\b"));
static ERROR_CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:with errorcode|\s+Errorcode:) (\d{1,3})\b"));

/// The maximum number of lines between the line that names the rank that called `MPI_Abort` and the one with its code.
const ERROR_CODE_WITHIN: usize = 2;

/// Returns the last report in a log.
pub(super) fn report(log: &Log) -> Option<RankReport> {
    let may_be = |text: &str| {
        let text = text.trim_start();
        ["Root Cause ", "mpirun ", "prterun ", "MPI_ABORT ", "Process name: "]
            .iter()
            .any(|start| text.starts_with(start))
    };
    log.lines.iter().enumerate().rev().filter(|(_, line)| may_be(&line.text)).find_map(|(at, line)| {
        if line.text.trim() == "Root Cause (first observed failure):" {
            return torchrun(log, at + 1);
        }
        // Open MPI 5 wraps the line after 74 characters.
        let next = log.lines.get(at + 1).map_or("", |line| line.text.as_str());
        if let Some(found) = SIGNALED.captures(&format!("{}\n{next}", line.text)) {
            let ending = failed(-found[3].parse::<i32>().ok()?)?;
            let (host, rank) = (Some(found[2].to_owned()), found[1].parse().ok());
            return Some(RankReport { launcher: MPIRUN, host, rank, local_rank: None, ending });
        }
        if let Some(found) = ABORTED.captures(&line.text) {
            let below = log.lines[at + 1..].iter().take(ERROR_CODE_WITHIN);
            let code = below.filter_map(|line| ERROR_CODE.captures(&line.text)).next()?[1].parse().ok()?;
            let rank = found[1].parse().ok();
            return Some(RankReport { launcher: MPIRUN, host: None, rank, local_rank: None, ending: failed(code)? });
        }
        let rank = PROCESS_NAME.captures(&line.text)?[1].parse().ok();
        let code = EXIT_CODE.captures(&log.lines.get(at + 1)?.text)?[1].parse().ok()?;
        Some(RankReport { launcher: MPIRUN, host: None, rank, local_rank: None, ending: failed(code)? })
    })
}

/// Returns the rank that MPICH ended because of an error, if the process ended with the exit code of that error. The code
/// may look like that of a signal.
pub(super) fn aborted_by_mpich(log: &Log, ending: Ending) -> Option<usize> {
    static ABORT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^Abort\((?P<error>\d+)\) on node \d+ \(rank (?P<rank>\d+) in comm \w+\): Fatal error ")
    });
    let Ending::Exited(code) = ending else { return None };
    let first =
        log.lines.iter().filter(|line| line.text.starts_with("Abort(")).find_map(|line| ABORT.captures(&line.text))?;
    let error: u64 = first["error"].parse().ok()?;
    let is_of_signal = signal::deadly(ending).is_some();
    (!is_of_signal || error & 0xff == u64::try_from(code).ok()?).then(|| first["rank"].parse().ok())?
}

/// Returns a headline about a part that the launcher has lost, which is the reason for its end.
pub(super) fn lost_part(stderr: &Log, stdout: &Log) -> Option<String> {
    lost_daemon(stderr).or_else(|| lost_process_of_ray(stdout))
}

static LOST_DAEMON: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:ORTE|PRTE|PRRTE) has lost communication with a remote daemon"));
static DAEMON: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*Remote daemon: *\[.*\] on node (\S+)"));

/// Returns a headline if mpirun ended because it lost its daemon on another host. The other lines that mpirun writes
/// about that are guesses.
fn lost_daemon(log: &Log) -> Option<String> {
    let at = log.lines.iter().rposition(|line| LOST_DAEMON.is_match(&line.text))?;
    let host = log.lines[at..].iter().find_map(|line| Some(DAEMON.captures(&line.text)?[1].to_owned()));
    Some(format!("mpirun has lost its daemon on {}", host.as_deref().unwrap_or("another host")))
}

/// A line of `ray start --block` about a process of Ray that has ended: `… ERR scripts.py:87 -- gcs_server [exit code=-9]`.
static PROCESS_OF_RAY: LazyLock<Regex> = LazyLock::new(|| pattern(r"-- (\w+) \[exit code=(-?\d+)\]$"));

/// Returns a headline if a node of Ray ended because one of its processes had. The node then prints the end of that process's
/// log, and ends the others.
fn lost_process_of_ray(log: &Log) -> Option<String> {
    let is_report = |text: &str| text.ends_with("-- Some Ray subprocesses exited unexpectedly:");
    let at = log.lines.iter().rposition(|line| is_report(&line.text))?;
    let found = PROCESS_OF_RAY.captures(&log.lines.get(at + 1)?.text)?;
    let code: i32 = found[2].parse().ok()?;
    let ending = if code < 0 { Ending::Signaled(-code) } else { Ending::Exited(code) };
    Some(format!("Ray's {} has ended: {ending}", &found[1]))
}

/// The length of the lines of `-` above and below each notice of Open MPI.
const RULE: usize = 74;

/// The beginnings of notices that are only a consequence of the end of a rank.
static FOLLOWING: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = r"^(?:MPI_ABORT was invoked|Primary job  terminated|\S+ noticed that process rank|\S+ has exited due to process .* calling .abort)";
    pattern(patterns)
});

/// Returns the reason why mpirun itself failed, and the index of the line after it. The reason is the first sentence of
/// the first notice that is not only a consequence of the end of a rank.
pub(super) fn notice(log: &Log) -> Option<(String, usize)> {
    let is_rule = |text: &str| text.len() == RULE && text.bytes().all(|byte| byte == b'-');
    let rules: Vec<usize> = (0..log.lines.len()).filter(|at| is_rule(&log.lines[*at].text)).collect();
    rules.chunks_exact(2).find_map(|rules| {
        let lines = log.lines[rules[0] + 1..rules[1]].iter().map(|line| line.text.trim());
        let first: Vec<&str> = lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect();
        let text = first.join(" ");
        let sentence =
            text.split_once(". ").map_or(text.as_str(), |(sentence, _)| sentence).trim_end_matches(['.', ':', ',']);
        let program = log.lines[rules[0] + 1..rules[1]].iter().find_map(|line| line.text.strip_prefix("Executable: "));
        let named = program.map(|name| format!("{sentence}: {}", name.trim()));
        let is_own = !sentence.is_empty() && !FOLLOWING.is_match(&text);
        is_own.then(|| (named.unwrap_or_else(|| sentence.to_owned()), rules[1] + 1))
    })
}

/// Returns true if mpirun states in a notice what it could not do itself.
pub(super) fn is_own_error(notice: &str) -> bool {
    ["mpirun", "prterun", "mpiexec", "prun", "orterun"].iter().any(|name| {
        notice
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(" was unable to ") || rest.starts_with(" could not "))
    })
}

/// Converts a return code of Python's subprocess module, in which signals are negative. Returns `None` if the code does
/// not indicate a failure.
fn failed(code: i32) -> Option<Ending> {
    match code {
        -64..=-1 => Some(Ending::Signaled(-code)),
        1..=255 => Some(Ending::Exited(code)),
        _ => None,
    }
}

/// Reads torchrun's root cause, which consists of a few lines `name : value`, beginning with the line `from`.
fn torchrun(log: &Log, from: usize) -> Option<RankReport> {
    let (mut host, mut rank, mut local_rank, mut ending) = (None, None, None, None);
    for line in log.lines.iter().skip(from).take(8) {
        let Some(found) = FIELD.captures(&line.text) else { continue };
        match &found[1] {
            "host" => host = Some(found[2].to_owned()),
            "rank" => {
                rank = found[2].parse().ok();
                local_rank = found.get(3).and_then(|digits| digits.as_str().parse().ok());
            }
            _ => {
                ending = found[2].parse::<i32>().ok().and_then(failed);
            }
        }
    }
    Some(RankReport { launcher: "torchrun", host, rank, local_rank, ending: ending? })
}

/// Returns the host of the rank that failed. It is read from the rank's own lines, else from the report of mpirun,
/// which also runs ranks on other hosts. Otherwise it is this host (`own`). torchrun reports only about its own host,
/// and its name for that host is not always the job's.
pub(super) fn host(own: Option<&str>, writer: &Writer, report: Option<&RankReport>) -> Option<String> {
    let reported = report.filter(|report| writer.rank.is_none() || writer.rank == report.rank);
    // `localhost` is a name that only a launcher on a single host uses.
    let host = |report: &RankReport| report.host.clone().filter(|host| host != "localhost");
    let by_mpirun = reported.filter(|report| report.launcher == MPIRUN).and_then(host);
    writer.host.clone().or(by_mpirun).or(own.map(str::to_owned)).or(reported.and_then(host))
}

#[cfg(test)]
mod tests {
    use super::{ErrorFile, error_file, notice, report};
    use crate::event::Ending;
    use crate::failure::lines::Log;

    #[test]
    fn an_error_file_is_read_in_both_forms() {
        let new = br#"{"message": {"message": "ValueError: bad", "extraInfo": {"py_callstack": "Traceback\n", "timestamp": "1700000000"}, "errorCode": 3}}"#;
        let expected = ErrorFile {
            message: "ValueError: bad".into(),
            traceback: Some("Traceback\n".into()),
            timestamp: Some(1_700_000_000),
            error_code: Some(3),
        };
        assert_eq!(error_file(new), Some(expected.clone()));
        let old = br#"{"message": "ValueError: bad", "timestamp": 1700000000, "errorCode": 3}"#;
        assert_eq!(error_file(old), Some(ErrorFile { traceback: None, ..expected }));
        for nonsense in [&b""[..], b"{}", b"[1]", b"{\"message\": 3}", b"{\"message\": {\"message\": []}}", b"\xff"] {
            assert_eq!(error_file(nonsense), None);
        }
        let signal = br#"{"message": {"message": "SignalException: Process 71 got signal: 15", "extraInfo": {}}}"#;
        assert_eq!(error_file(signal), None);
    }

    #[test]
    fn a_notice_of_mpirun_is_its_error_unless_it_follows_from_a_rank() {
        let rule = "-".repeat(74);
        let block = |text: &str| format!("{rule}\n{text}\n{rule}\n");
        let slots = block(
            "There are not enough slots available in the system to satisfy the 4\nslots that were requested by the application:\n\n  \
             python3",
        );
        let daemons =
            block("ORTE was unable to reliably start one or more daemons.\nThis usually is caused by:\n\n* a");
        let abort = block("MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD\nwith errorcode 1.");
        let of = |text: &str| notice(&Log::read(text.as_bytes()));
        let expected = "There are not enough slots available in the system to satisfy the 4 slots that were requested by the \
                        application";
        assert_eq!(of(&format!("{abort}{slots}")), Some((expected.to_owned(), 10)));
        let expected = "ORTE was unable to reliably start one or more daemons";
        assert_eq!(of(&format!("ssh: x\n{daemons}{slots}")), Some((expected.to_owned(), 7)));
        for none in ["", &abort, &rule, &format!("{rule}\n{rule}\n"), "----\nORTE was unable\n----\n"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_launchers_report_names_the_rank_that_failed_first() {
        let of = |text: &str| report(&Log::read(text.as_bytes()));
        let torchrun = of("Root Cause (first observed failure):\n[0]:\n  time      : 2024-03-14_12:00:00\n  host      : algo-2\n  rank      : 12 (local_rank: 4)\n  exitcode  : -9 (pid: 71)\n  error_file: <N/A>\n").unwrap();
        assert_eq!((torchrun.host.as_deref(), torchrun.rank, torchrun.local_rank), (Some("algo-2"), Some(12), Some(4)));
        assert_eq!(torchrun.ending, Ending::Signaled(9));
        let mpirun = of(
            "mpirun noticed that process rank 1 with PID 0 on node algo-1 exited on signal 11 (Segmentation fault).",
        )
        .unwrap();
        assert_eq!((mpirun.rank, mpirun.ending), (Some(1), Ending::Signaled(11)));
        let newer =
            of("prterun noticed that process rank 2 with PID 30 on node algo-2 exited on\nsignal 9 (Killed).\n");
        assert_eq!(newer.map(|report| (report.rank, report.ending)), Some((Some(2), Ending::Signaled(9))));
        let mpirun = of("  Process name: [[24871,1],13]\n  Exit code:    3\n").unwrap();
        assert_eq!((mpirun.rank, mpirun.ending), (Some(13), Ending::Exited(3)));
        let newer = of("   Process name: [prterun-algo-1-71@1,3]\n   Exit code:    3\n").unwrap();
        assert_eq!(newer.rank, Some(3));
        let aborted = "MPI_ABORT was invoked on rank 5 in communicator MPI_COMM_WORLD";
        for code in ["\nwith errorcode 7.", " SPLIT FROM MPI_COMM\n  Proc: [[1,1],5]\n  Errorcode: 7"] {
            let report = of(&format!("{aborted}{code}\n")).unwrap();
            assert_eq!((report.rank, report.ending), (Some(5), Ending::Exited(7)));
        }
        for code in ["", "0", "-2147483648", "256", "x"] {
            assert_eq!(of(&format!("Root Cause (first observed failure):\n  exitcode  : {code}\n")), None);
        }
    }
}
