//! Stacks as text, for the log, the file and the command line.

use std::fmt::Write;
use std::path::Path;

use super::groups::named;
use super::rank::RankStacks;
use crate::event::RankGroup;
use crate::logs;
use crate::redact::visible_lines;

/// The maximum size of a text, in bytes.
const MAX_SIZE: usize = 8 << 20;

/// Returns the ranks, grouped by the places where they are.
pub fn of_groups(groups: &[RankGroup]) -> String {
    let mut text = String::new();
    for group in groups {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}:", named(&group.ranks));
        for call in &group.stack {
            let _ = writeln!(text, "    {call}");
        }
    }
    clean(&text)
}

/// Returns all threads of all processes of these ranks.
pub fn of_ranks(ranks: &[RankStacks], code_dir: &Path) -> String {
    let mut text = String::new();
    for rank in ranks {
        for process in &rank.processes {
            let _ = writeln!(
                text,
                "rank {}, process {} {} (from {})",
                rank.rank, process.pid, process.name, process.method
            );
            for (at, thread) in process.threads.iter().enumerate() {
                let name = match (at, thread.name.as_str()) {
                    (0, _) => "main thread",
                    (_, "") => "a thread",
                    (_, name) => name,
                };
                let _ = writeln!(text, "  {name}");
                for frame in &thread.frames {
                    let _ = writeln!(text, "    {}", frame.place(code_dir));
                }
            }
            if text.len() > MAX_SIZE {
                text.push_str("the rest is left out\n");
                return clean(&text);
            }
        }
    }
    clean(&text)
}

/// Returns a text without secrets and control characters.
fn clean(text: &str) -> String {
    visible_lines(&logs::clean(text)).into_owned()
}
