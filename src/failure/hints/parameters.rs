//! Hints about channels and hyperparameters that do not fit the script.

use super::HintFacts;
use super::launch::unset;

/// The prefix of the variables with the folders of channels.
const CHANNEL: &str = "SM_CHANNEL_";

/// The maximum number of channels that a hint lists.
const SHOWN: usize = 8;

/// Returns the hint for a channel that the job does not have: its variable is not set, or its folder does not exist.
pub(super) fn channel(facts: &HintFacts<'_>) -> Option<String> {
    let around = &facts.evidence.job;
    let is_known = |name: &str| around.channels.iter().any(|channel| variable(channel) == variable(name));
    let by_variable = || unset(facts)?.strip_prefix(CHANNEL).map(str::to_lowercase);
    let by_path = || {
        // If the folder of the inputs is not known, a path cannot be attributed to a channel.
        let inputs = around.inputs.as_deref().filter(|inputs| !inputs.is_empty())?;
        let is_missing =
            facts.claims(&["o such file or directory", "FileNotFoundError", "does not exist", "not found"]).is_some();
        let after = facts.claimed().split_once(inputs).filter(|_| is_missing)?.1.strip_prefix('/')?;
        let end = after.find(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.')).unwrap_or(after.len());
        Some(after[..end].to_owned()).filter(|name| !name.is_empty() && !name.contains('.'))
    };
    let name = by_variable().or_else(by_path).filter(|name| !is_known(name))?;
    let remedy = format!("name a channel {name} in the job's inputs, or read another");
    Some(match around.channels.as_slice() {
        [] => format!(
            "the job has no channel {name}, and no other; add a channel {name} to its inputs (fit({{'{name}': 's3://…'}}))"
        ),
        [only] => format!("the job has no channel {name}, only {only} ({}); {remedy}", variable(only)),
        channels => {
            let more = if channels.len() > SHOWN { ", …" } else { "" };
            let names = channels.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("the job has no channel {name}; its channels are {names}{more}; {remedy}")
        }
    })
}

/// Returns the name of the variable of a channel.
fn variable(channel: &str) -> String {
    format!("{CHANNEL}{}", channel.to_uppercase().replace(['-', '.'], "_"))
}

/// Returns the hint for a hyperparameter that the script does not accept, or for a missing one.
pub(super) fn arguments(facts: &HintFacts<'_>) -> Option<String> {
    let names = &facts.evidence.job.hyperparameters;
    let is_hyperparameter = |word: &str| {
        let word = word.trim_start_matches('-').split('=').next().unwrap_or_default();
        !word.is_empty() && names.iter().any(|name| name.trim_start_matches('-') == word)
    };
    if let Some(unknown) = unknown_argument(facts) {
        let name = unknown.trim_start_matches('-').split('=').next().unwrap_or_default();
        if is_hyperparameter(&unknown) {
            return Some(format!(
                "the hyperparameter {name} becomes the argument {unknown}, which the script does not accept; add it to the script's parser \
                 (or use parse_known_args), or remove the hyperparameter"
            ));
        }
        // A switch of the script, such as store_true, takes no value, but a hyperparameter always has a value.
        let is_value = !unknown.starts_with('-') && facts.evidence.command.contains(&format!(" {unknown}"));
        return (is_value && !names.is_empty()).then(|| {
            format!(
                "hyperparameters are passed as `--name value`, and no argument of the script takes the value {unknown}; give the argument a \
                 type (not action='store_true'), or remove the hyperparameter"
            )
        });
    }
    if let Some(argument) = refused_argument(facts)
        && is_hyperparameter(argument)
    {
        let name = argument.trim_start_matches('-');
        return Some(format!(
            "{argument} comes from the hyperparameter {name}; correct its value in the job, or what the script accepts"
        ));
    }
    let required = missing_argument(facts)?;
    let name = required.trim_start_matches('-');
    (required.starts_with("--") && !is_hyperparameter(required) && is_of_script(facts)).then(|| {
        format!("the script requires {required}, and the job has no hyperparameter {name}; add it, or give the argument a default")
    })
}

/// absl's messages about a flag whose value it refuses.
const REFUSED_FLAG: [&str; 2] = ["IllegalFlagValueError", "Flags parsing error: flag --"];

/// Returns the argument that a parser does not know. The parser is that of argparse, click, absl, fire, getopt,
/// transformers, or R's optparse.
fn unknown_argument(facts: &HintFacts<'_>) -> Option<String> {
    let argument = facts
        .between("unrecognized arguments: ", "")
        .or_else(|| facts.between("unrecognized arguments: ", " "))
        .or_else(|| facts.between("ambiguous option: ", " "))
        .or_else(|| facts.between("No such option: ", ""))
        .or_else(|| facts.between("No such option: ", " "))
        .or_else(|| facts.between("No such option '", "'"))
        .or_else(|| facts.between("no such option: ", ""))
        .or_else(|| facts.between("Unknown command line flag '", "'"))
        .or_else(|| facts.between("Could not consume arg: ", " "))
        .or_else(|| facts.between("Could not consume arg: ", ""))
        .or_else(|| facts.between("are not used by the HfArgumentParser: ['", "'"))
        .or_else(|| facts.between("unrecognized option '", "'"))
        .or_else(|| facts.between("GetoptError: option ", " not recognized"))
        .or_else(|| facts.between("unknown option -- '", "'"))
        .or_else(|| facts.between("long flag \"", "\" is invalid"))?;
    let first = argument.split_whitespace().next()?.trim_matches(['\'', '"', ',', '.']);
    let dashes = if first.starts_with('-') || !argument_is_flag(facts) { "" } else { "--" };
    Some(format!("{dashes}{first}"))
}

/// Returns true if the parser prints flags without dashes, as absl does.
fn argument_is_flag(facts: &HintFacts<'_>) -> bool {
    facts.claims(&["Unknown command line flag"]).is_some()
}

/// Returns the argument whose value a parser refused.
fn refused_argument<'f>(facts: &'f HintFacts<'_>) -> Option<&'f str> {
    let argument = facts
        .between("error: argument ", ": ")
        .or_else(|| facts.between("Invalid value for '", "'"))
        .or_else(|| facts.between("Error parsing ", ":").filter(|argument| argument.starts_with("--")))
        .or_else(|| facts.between("Parser key \"", "\": "))
        .or_else(|| facts.between("flag --", "=").filter(|_| facts.claims(&REFUSED_FLAG).is_some()))?;
    // `--lr/-l` and `-l/--lr` name one argument.
    argument.split(['/', ' ']).find(|word| word.starts_with("--")).or(Some(argument))
}

/// Returns the first argument that a parser reports as missing.
fn missing_argument<'f>(facts: &'f HintFacts<'_>) -> Option<&'f str> {
    let list = facts
        .between("the following arguments are required: ", "")
        .or_else(|| facts.between("the following arguments are required: ", " "))
        .or_else(|| facts.between("Missing option '", "'"))?;
    list.split([',', ' ', '/']).find(|word| word.starts_with("--"))
}

/// Returns true if the parser is the script's, and not that of a program that the script started.
fn is_of_script(facts: &HintFacts<'_>) -> bool {
    let program = facts.claimed().split_once(": error: ").map(|(program, _)| program);
    let usage = || facts.between_of_tail("Usage: ", " ");
    let name = program.or_else(usage).and_then(|words| words.split(' ').next());
    name.is_some_and(|name| facts.evidence.command.contains(name))
}
