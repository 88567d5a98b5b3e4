//! What uv complains about: its error with the reasons below it, on one line.

/// How many characters a complaint may have.
const LONGEST: usize = 700;
/// What begins a reason, in this and in older versions of uv.
const REASONS: [&str; 4] = ["cause: ", "Caused by: ", "╰─▶ ", "├─▶ "];
/// What uv says where a requirements file has something that pip may be able to read.
const UNREAD: [&str; 6] = [
    "Unexpected '",
    "Expected `--hash`, found",
    "Couldn't parse requirement",
    "Couldn't parse metadata",
    "Unsupported requirement",
    "Invalid URL in `",
];

/// uv's own words for why it failed, from its standard output and standard error; `None` if there are none. It may hold
/// URLs with passwords: the caller has to take them out.
pub fn uv_failure_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let begins = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("error: ").or_else(|| line.strip_prefix("× ")).map(str::to_owned)
    };
    let mut parts: Vec<String> = Vec::new();
    let mut has_reason = false;
    for line in text.lines() {
        if let Some(error) = begins(line) {
            (parts, has_reason) = (vec![error.trim_end_matches(':').to_owned()], false);
        } else if !parts.is_empty() {
            let line = line.trim().trim_start_matches("│").trim();
            match REASONS.iter().find_map(|word| line.strip_prefix(word)) {
                Some(reason) => {
                    parts.push(reason.to_owned());
                    has_reason = true;
                }
                // A reason goes on in lines of its own.
                None if has_reason && !line.is_empty() => {
                    let last = parts.last_mut()?;
                    last.push(' ');
                    last.push_str(line);
                }
                None => {}
            }
        }
    }
    // What the requirement was comes last, and says most: uv puts "no solution found" before it.
    if parts.len() > 1 && parts[0].starts_with("No solution found") {
        parts.remove(0);
    }
    parts.dedup();
    let line = parts.join(": ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => Some(format!("{}…", &line[..end])),
        None => Some(line).filter(|line| !line.is_empty()),
    }
}

/// Whether uv failed because it cannot read a requirements file.
pub fn cannot_read(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    text.lines().filter(|line| line.starts_with("error: ")).any(|line| UNREAD.iter().any(|word| line.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::{cannot_read, uv_failure_line};

    #[test]
    fn the_error_and_its_reasons_are_one_line() {
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
    fn what_pip_may_be_able_to_read_is_told_from_what_it_cannot_install_either() {
        assert!(cannot_read(
            b"error: Unexpected '-', expected '-c', '-e', '-r' or the start of a requirement: r.txt:2:1\n"
        ));
        assert!(!cannot_read(b"error: No solution found when resolving dependencies\n"));
    }
}
