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

use super::cursor::Cursor;
use super::traceback::Raised;

const MARK: &str = "*** ";

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.contains("*** An error occurred in MPI_")
}

/// Reads an error: its class, which is the most informative part, and the call.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
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
