//! Reports of programs that only start other programs, about a program that failed. They contain no reason.

use std::sync::LazyLock;

use regex::Regex;

use super::words::has_words_of_error;
use crate::failure::pattern::pattern;

/// The reports of xargs, GNU parallel, time, conda, npm and similar package managers, go-task, tox, nox, DVC,
/// Snakemake, MLflow, kubectl, Compose, Neuron's compiler,
/// mamba and Luigi.
static REPORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^xargs: .*: exited with status 255; aborting$|^parallel: (?:This job failed:|Starting no more jobs)|",
        r"^Command exited with non-zero status \d+$|conda\.cli\.main_run:execute\(\d+\): .*\bfailed\.|",
        r"^npm (?:ERR!|error)(?:$| (?:$|code|errno|syscall|path|command|location|workspace|Lifecycle script|Exit status|Failed at the|",
        r"This is probably not a problem with npm|A complete log|    /|\S+@\S+ \S+: `))|",
        r"^error Command failed with exit code \d+\.$|^\s*ELIFECYCLE\s+Command failed|^task: Failed to run task |",
        r"^\S+: exit \d+ \([\d.]+ seconds\)|^\s+\S+: FAIL code \d+|^\s+evaluation failed :\(|",
        r"^nox > (?:Command .* failed with exit code|Session \S+ failed)|^ERROR: failed to reproduce '|",
        r"^Error in rule \S+:$|^Exiting because a job execution failed|^\s+\(one of the commands exited with non-zero|",
        r"=== Run \(ID '\S+'\) failed ===$|^command terminated with exit code \d+$|^\S+ exited with code \d+$|",
        r"\|NEURON_CC_WRAPPER\|.*\bafter \d+ retries\b|^critical libmamba Subprocess call failed|",
        r"^ERROR: \[pid \d+\] Worker Worker\(.*\) failed\b",
    ))
});

/// Lines in which such programs show the command that they start.
static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:[>$+] |\++ |task: \[|nox > |\S+: commands(?:\[\d+\])?> |\S+: commands_pre|Running stage )|^\s")
});

/// Returns true if a line only reports that another program failed.
pub(super) fn is_report(line: &str) -> bool {
    REPORT.is_match(line)
}

/// Returns true if a line is a command that a shell shows before it runs it (`set -x`).
pub(super) fn is_shown_command(line: &str) -> bool {
    let rest = line.trim_start_matches('+');
    rest.len() < line.len() && rest.starts_with(' ') && rest.len() > 1
}

/// Returns true if a line can be a program's own words: it is not a report, a command that is shown, or a property of a
/// report.
pub(super) fn may_be_own_words(line: &str) -> bool {
    !is_report(line) && !COMMAND.is_match(line)
}

/// Returns true if make or just reports that a command of a recipe failed. They print commands among the output of
/// programs, and only the form of [`is_message_after_name`] distinguishes that output from commands.
pub(super) fn is_report_of_recipe(line: &str) -> bool {
    static RECIPE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^g?make(?:\[\d+\])?: \*\*\* \[.*\] Error \d+|^error: Recipe `.*` failed "));
    RECIPE.is_match(line)
}

/// Returns true if a line consists of a name, a colon and words: `shard-3: checksum differs`. Commands and figures do
/// not have this form.
pub(super) fn is_message_after_name(line: &str) -> bool {
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    line.split_once(": ").is_some_and(|(name, words)| {
        !name.is_empty() && !name.contains(' ') && words.split_ascii_whitespace().filter(is_word).count() >= 2
    })
}

/// Returns true for a short line that only states what a program does before it ends: `Cleaning up temporary files`.
pub(super) fn is_housekeeping(line: &str) -> bool {
    const MAX_WORDS: usize = 7;
    static HOUSEKEEPING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:(?:cleaning|clearing|removing|deleting|saving|closing|exiting|flushing|stopping|shutting down|shutdown complete)\b|(?:done|finished|bye|goodbye)(?:\W*$|[.!,] ))",
        )
    });
    HOUSEKEEPING.is_match(line) && line.split_whitespace().count() <= MAX_WORDS && !has_words_of_error(line)
}
