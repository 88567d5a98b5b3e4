//! Hints about files that cannot be written, or that the storage does not return.

use super::HintFacts;
use super::facts::HintRow;

const WRITABLE: &str = "/opt/ml/model, /opt/ml/output/data, /opt/ml/checkpoints or /tmp";

/// Returns the hint for a file or folder that this user is not permitted to use.
pub(super) fn permission(facts: &HintFacts<'_>) -> Option<String> {
    // Without a path, the error can be about a port or a device.
    let denied = [
        "[Errno 13] Permission denied: ",
        "EACCES: permission denied, ",
        "/*: Permission denied (os error 13)",
        "AccessDeniedException: /",
        "FileNotFoundException: /* (Permission denied)",
        "errno = 13, error message = 'Permission denied'",
    ];
    // A shell prints only `FILE: Permission denied`. A program that is not executable has exit code 126 and another
    // hint.
    let by_shell = [
        "cannot create directory*Permission denied",
        "cannot touch*Permission denied",
        "cannot create regular file*Permission denied",
        "cannot create *: Permission denied",
        "cannot open*Permission denied",
        ": Permission denied",
    ];
    // An exception can state this about a server too.
    let names_path = || {
        let before = facts.claimed().split_once(": Permission denied").map_or("", |(before, _)| before);
        before.rsplit(' ').next().is_some_and(|word| word.contains('/'))
    };
    let is_shell = facts.claims(&["(publickey", "bind(", "bind: ", "socket", "listen "]).is_none()
        && (facts.exception().is_none() || names_path())
        && facts.code != crate::job::exit_code::NOT_EXECUTABLE
        && facts.claims(&by_shell).is_some();
    if facts.claims(&denied).is_none() && !is_shell {
        return None;
    }
    let path = facts.between("Permission denied: '", "'").or_else(|| facts.between("permission denied, open '", "'"));
    let path = path.or_else(|| facts.between("permission denied, mkdir '", "'"));
    let path = path.or_else(|| facts.between("FileNotFoundException: ", " (Permission denied)"));
    // HDF5 names the file before the reason.
    let path = path.or_else(|| facts.between("file (unable to open file: name = '", "', errno = 13"));
    let shown = path.map(|path| format!(" {path}")).unwrap_or_else(|| " the file".to_owned());
    if path.is_some_and(|path| path.contains("/input/data/") || path.contains("/input/config/")) {
        return Some(format!("the input{shown} may only be read; write to {WRITABLE}"));
    }
    Some(match facts.evidence.job.user {
        Some(0) => format!(
            "root, as which this job runs, may not use{shown}: a mount or the platform forbids it, or the script gave up root; write to {WRITABLE}"
        ),
        Some(user) => format!(
            "user {user}, as which this process runs, may not use{shown}; give it to that user in the image (chown), set USER root, or \
             write to {WRITABLE}"
        ),
        None => format!("the user of this process may not use{shown}; chown it in the image, or write to {WRITABLE}"),
    })
}

/// Returns the hint for an error of a file system.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    facts.advice(ROWS)
}

/// Returns the hint for a user without an entry in the container's list of users.
pub(super) fn nameless_user(facts: &HintFacts<'_>) -> Option<String> {
    let rest = facts.claimed().strip_prefix("KeyError: 'getpwuid(): uid not found: ")?;
    let user = rest.split('\'').next().filter(|user| !user.is_empty() && user.chars().all(|c| c.is_ascii_digit()))?;
    Some(format!(
        "user {user}, as which this process runs, has no name in the image (/etc/passwd); add the user there (useradd -u {user}), or set USER and HOME \
         in the job's environment"
    ))
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &["attempt to write a readonly database"],
        hint: "SQLite may not write to this database: this user may not write the file or its folder, the file system is read-only (inputs are), or the \
               file was opened so; copy the database to a writable folder, such as /tmp",
    },
    HintRow {
        wordings: &["[Errno 30]", "ead-only file system", "EROFS: "],
        hint: "that file system is read-only (inputs and FastFile channels are); write to /opt/ml/model, /opt/ml/output/data, \
               /opt/ml/checkpoints or /tmp, or copy the files first",
    },
    HintRow {
        wordings: &["[Errno 27] File too large", "EFBIG: ", "File too large (os error 27)"],
        hint: "a limit on the size of files was reached (ulimit -f, or the file system's own); write several files, or raise the limit",
    },
    HintRow {
        wordings: &[
            "[Errno 5] Input/output error",
            "Input/output error (os error 5)",
            "[Errno 116] Stale file handle",
            "[Errno 107] Transport endpoint is not connected",
            "Transport endpoint is not connected",
        ],
        hint: "the storage itself failed (a disk, FastFile, FSx or EFS mount), not the script; run the job again on another instance, or \
               copy the data at the start (File mode)",
    },
    HintRow {
        wordings: &[
            "PytorchStreamReader failed",
            "invalid load key",
            "Error while deserializing header: ",
            "version https://git-lfs.github.com",
        ],
        hint: "the file is incomplete or of another format: an interrupted write or download, or a Git LFS pointer; compare its size with \
               the source's and bring it again",
    },
];
