//! Reports of workflow programs, which quote the output of the task that failed (Nextflow) or hide it behind a summary of
//! all tasks (Luigi). Only the task's own output is kept, as the task wrote it:
//!
//! ```text
//! Command error:
//!   gzip: rows.gz: unexpected end of file
//!
//! Work dir:
//!   /opt/ml/work/3a/1f2e4d
//! ```

use std::borrow::Cow;

/// The words that begin a report of Nextflow.
const NEXTFLOW: &str = "Error executing process > ";

/// The titles of the sections of such a report, below which the lines are indented.
const SECTIONS: [&str; 9] = [
    "Caused by:",
    "Command executed:",
    "Command exit status:",
    "Command output:",
    "Command error:",
    "Command wrapper:",
    "Work dir:",
    "Container:",
    "Source block:",
];

/// The titles of the sections with the output of the task.
const OUTPUT: [&str; 2] = ["Command output:", "Command error:"];

/// The line before and after a summary of Luigi.
const LUIGI: &str = "===== Luigi Execution Summary =====";

/// Returns a text in which reports are replaced by the output that they quote.
pub(super) fn without_reports(text: &str) -> Cow<'_, str> {
    let text = if text.contains(LUIGI) { Cow::Owned(without_summaries(text)) } else { Cow::Borrowed(text) };
    if text.contains(NEXTFLOW) && text.contains("\nCaused by:") { Cow::Owned(quoted(&text)) } else { text }
}

/// Returns a text without the summaries of Luigi and the harmless records directly above the first one. A summary without an end
/// extends to the end of the text.
fn without_summaries(text: &str) -> String {
    let mut kept = String::new();
    for (at, part) in text.split(LUIGI).enumerate().step_by(2) {
        let mut part = part;
        while let Some((before, record)) = part.trim_end().rsplit_once('\n').filter(|_| at == 0)
            && ["INFO:", "DEBUG:"].iter().any(|level| record.starts_with(level))
        {
            part = before;
        }
        kept.push_str(part);
        kept.push('\n');
    }
    kept
}

/// Returns a text in which each report of Nextflow has only the reason and the output of the task, without indentation.
fn quoted(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut section: Option<&str> = None;
    let mut in_report = false;
    for line in text.split('\n') {
        let bare = line.trim_end();
        let is_title = in_report && SECTIONS.contains(&bare);
        if bare.contains(NEXTFLOW) {
            in_report = true;
            section = None;
        } else if is_title {
            section = Some(bare);
        } else if let Some(title) = section {
            match line.strip_prefix("  ") {
                Some("(empty)") => {}
                Some(inner) if OUTPUT.contains(&title) => kept.push(inner),
                Some(inner) if title == "Caused by:" && !inner.contains("terminated with an error exit status") => {
                    kept.push(inner);
                }
                Some(_) => {}
                None if bare.is_empty() => kept.push(""),
                None => {
                    // The report ends with advice.
                    (section, in_report) = (None, false);
                    kept.extend((!bare.starts_with("Tip: ")).then_some(line));
                }
            }
        } else if !bare.ends_with("Check '.nextflow.log' file for details") {
            kept.push(line);
        }
    }
    kept.join("\n")
}
