//! The reason why uv failed, from its output: its error with the causes below it, on one line.
//!
//! uv has no machine-readable errors, so this module follows its wording. The wording was read from uv 0.13.9; where
//! older releases differ, a comment says so. The integration tests `installers` run the real uv and fail if its wording
//! changes.

/// The maximum length of a complaint, in characters.
const MAX_LENGTH: usize = 700;
/// The beginnings of the lines with a cause. uv 0.13.9 prints the first; older releases print the others.
const CAUSES: [&str; 4] = ["cause: ", "Caused by: ", "╰─▶ ", "├─▶ "];
/// Parts of uv's errors about lines of a requirements file that pip may be able to read.
const UNREADABLE: [&str; 6] = [
    "Unexpected '",
    "Expected `--hash`, found",
    "Couldn't parse requirement",
    "Couldn't parse metadata",
    "Unsupported requirement",
    "Invalid URL in `",
];

/// Returns uv's own error as one line, from its standard output and standard error; `None` if there is none. The line
/// can hold URLs with passwords, which the caller must redact.
pub fn uv_failure_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let error_of = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("error: ").or_else(|| line.strip_prefix("× ")).map(str::to_owned)
    };
    let mut parts: Vec<String> = Vec::new();
    let mut has_cause = false;
    for line in text.lines() {
        if let Some(error) = error_of(line) {
            (parts, has_cause) = (vec![error.trim_end_matches(':').to_owned()], false);
        } else if !parts.is_empty() {
            let line = line.trim().trim_start_matches("│").trim();
            match CAUSES.iter().find_map(|word| line.strip_prefix(word)) {
                Some(cause) => {
                    parts.push(cause.to_owned());
                    has_cause = true;
                }
                // A cause can continue on the next lines.
                None if has_cause && !line.is_empty() => {
                    let last = parts.last_mut()?;
                    last.push(' ');
                    last.push_str(line);
                }
                None => {}
            }
        }
    }
    // The cause names the requirement, and the general error before it would only take space.
    if parts.len() > 1 && parts[0].starts_with("No solution found") {
        parts.remove(0);
    }
    parts.dedup();
    let line = parts.join(": ");
    match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => Some(format!("{}…", &line[..end])),
        None => Some(line).filter(|line| !line.is_empty()),
    }
}

/// Returns true if uv failed because of a line in a requirements file that pip may be able to read.
pub fn uv_cannot_read(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .filter(|line| line.starts_with("error: "))
        .any(|line| UNREADABLE.iter().any(|word| line.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::{uv_cannot_read, uv_failure_line};

    #[test]
    fn an_error_and_its_causes_become_one_line() {
        for (output, expected) in [
            (
                "Using Python 3.11.7\nerror: No solution found when resolving dependencies\n  cause: Because there is no \
                 version of a==9 and you require a==9, we can conclude it.\n",
                "Because there is no version of a==9 and you require a==9, we can conclude it.",
            ),
            (
                "  × No solution found when resolving dependencies:\n  ╰─▶ Because a was not found and\n      you require a, \
                 we can conclude it.\n\n      hint: try\n",
                "Because a was not found and you require a, we can conclude it. hint: try",
            ),
            (
                "error: Failed to download `a==1`\n  cause: Hash mismatch for `a==1`\n\n   Expected:\n     sha256:00\n",
                "Failed to download `a==1`: Hash mismatch for `a==1` Expected: sha256:00",
            ),
        ] {
            assert_eq!(uv_failure_line(output.as_bytes()).as_deref(), Some(expected));
        }
        assert_eq!(uv_failure_line(b"Resolved 3 packages in 2ms\n"), None);
    }

    #[test]
    fn an_unreadable_line_is_distinguished_from_a_failed_resolution() {
        assert!(uv_cannot_read(
            b"error: Unexpected '-', expected '-c', '-e', '-r' or the start of a requirement: r.txt:2:1\n"
        ));
        assert!(!uv_cannot_read(b"error: No solution found when resolving dependencies\n"));
    }
}
