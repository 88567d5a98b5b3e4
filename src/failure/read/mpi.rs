//! Errors of an MPI library, which ends the process, as Open MPI prints them:
//!
//! ```text
//! [algo-1:47110] *** An error occurred in MPI_Recv
//! [algo-1:47110] *** reported by process [9,1]
//! [algo-1:47110] *** on communicator MPI_COMM_WORLD
//! [algo-1:47110] *** MPI_ERR_TRUNCATE: message truncated
//! [algo-1:47110] *** MPI_ERRORS_ARE_FATAL (processes in this communicator will now abort,
//! [algo-1:47110] ***    and potentially your MPI job)
//! ```
//!
//! MPICH and Intel MPI print the error with the calls that led to it:
//!
//! ```text
//! Abort(1091471) on node 0 (rank 0 in comm 0): Fatal error in PMPI_Init: Other MPI error, error stack:
//! MPIR_Init_thread(703)........:
//! create_endpoint(2016)........: OFI endpoint open failed
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;

/// The error of MPICH.
static ABORTS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:Abort\(\d+\) on node \d+(?: \(rank \d+ in comm \w+\))?: )?(?P<error>Fatal error in P?MPI_\w+: .*)$")
});

/// A call below it.
static CALL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\w+\(\d+\)\.*: ?(?P<message>.*)$"));

/// The maximum number of calls.
const MAX_CALLS: usize = 40;

const MARK: &str = "*** ";

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.contains("*** An error occurred in MPI_") || line.contains("Fatal error in ") && ABORTS.is_match(line)
}

/// Reads an error of MPICH: its first line, and the message of the innermost call.
fn of_mpich(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let found = ABORTS.captures(cursor.line()?)?;
    let mut message = found["error"].trim_end_matches([':', ' ']).trim_end_matches(", error stack").to_owned();
    cursor.at += 1;
    let mut innermost = "";
    for _ in 0..MAX_CALLS {
        let Some(call) = cursor.line().and_then(|line| CALL.captures(line)) else { break };
        let text = call.name("message").map_or("", |text| text.as_str()).trim();
        innermost = if text.is_empty() { innermost } else { text };
        cursor.at += 1;
    }
    if !innermost.is_empty() {
        message = format!("{message}\n{innermost}");
    }
    Some(vec![Raised { message, ..Raised::default() }])
}

/// Reads an error: its class, which is the most informative part, and the call.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    if !cursor.line()?.contains(MARK) {
        return of_mpich(cursor);
    }
    let after_mark = |line: &str| line.split_once(MARK).map(|(_, text)| text.trim().to_owned());
    let call = after_mark(cursor.take()?)?;
    let mut class = None;
    while let Some(text) = cursor.line().and_then(after_mark) {
        cursor.at += 1;
        class = class.or(text.starts_with("MPI_ERR_").then(|| text.clone()));
        if text.starts_with("and potentially your") {
            break;
        }
    }
    let message = class.map_or_else(|| call.clone(), |class| format!("{class} ({call})"));
    Some(vec![Raised { message, ..Raised::default() }])
}
