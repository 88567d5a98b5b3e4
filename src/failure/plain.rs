//! Plain words: the last line on stdout of a program that reported no error.
//!
//! Such a line often states the reason, but nothing proves it. It is quoted as the last words, and not called the cause.

use crate::event::Ending;

use super::account::Account;
use super::figures;
use super::launcher::RankReport;
use super::lines::Log;
use super::noise;
use super::other;

/// Returns the account of a program that ended with this exit code and printed words at the end of stdout. If a launcher
/// names the rank that failed, only the words of that rank count.
pub(super) fn account(stdout: &Log, report: Option<&RankReport>, code: i32) -> Option<Account> {
    let is_others = |writer: &usize| match report {
        Some(report) => report.names(&stdout.writers[*writer]) != Some(true),
        None => stdout.writers.len() > 1,
    };
    let others: Vec<bool> = (0..stdout.writers.len()).map(|writer| is_others(&writer)).collect();
    let skipped: Vec<bool> = stdout.lines.iter().map(|line| others[line.writer]).collect();
    let line = other::last_but_farewell(stdout, &skipped)?;
    let words = noise::without_progress(stdout.text(line)).trim();
    if noise::is_harmless_record(words) || !is_words(words) {
        return None;
    }
    let headline = format!("{}; last words of its output: {}", Ending::Exited(code), noise::message(words));
    Some(Account { headline, writer: stdout.writer(line).clone(), ..Account::default() })
}

/// Returns true if a line consists of words of a language: it is neither a table, a structure nor a list of figures.
fn is_words(line: &str) -> bool {
    /// The minimum number of letters of a sentence in a language without spaces, in bytes.
    const SENTENCE: usize = 12;
    let (numbers, words) = figures::counted(line);
    let is_sentence = || line.split_whitespace().any(|word| !word.is_ascii() && word.len() >= SENTENCE);
    !line.starts_with(['{', '[', '(', '|', '<', '+'])
        && words > if numbers > 1 { figures::WORDS_OF_FIGURE * numbers } else { numbers }
        && (words > 2 || is_sentence())
}
