//! Advice in the log, the run record and the report, and hints in a failure file.

use super::line;
use crate::observe::advice::RULES;

/// Explains an item of advice, by the name of its kind or by a line of the log that contains it.
pub(super) fn advice(name: &str) -> Option<String> {
    let rule = RULES.iter().find(|rule| rule.kind == name || name.contains(rule.text))?;
    let mut text = format!("{}, a kind of advice\n", rule.kind);
    text += &line("says", rule.text);
    text += &line("given if", rule.when);
    text += &line("remedy", rule.remedy);
    Some(text)
}

/// Explains a hint, by its line in a failure file.
pub(super) fn hint(name: &str) -> Option<String> {
    let hint = name.strip_prefix("hint: ").filter(|hint| !hint.contains('\n'))?;
    let (problem, remedy) = hint.split_once("; ")?;
    let mut text = String::from("a hint of a failure file\n");
    text += &line("problem", problem);
    text +=
        &line("given if", "a figure of the machine shows it, or the exact words of a library or program in the error");
    text += &line("remedy", remedy);
    Some(text)
}
