//! Hints about channels and hyperparameters that do not fit the script.

use super::HintFacts;
use super::launch::unset;
use super::versions;
use super::wording::between;

/// The prefix of the variables with the folders of channels.
const CHANNEL: &str = "SM_CHANNEL_";

/// The maximum number of channels that a hint lists.
const SHOWN: usize = 8;

/// Wordings about a file or folder that does not exist, or in which no files were found.
const MISSING: &[&str] = &[
    "o such file or directory",
    "FileNotFoundError",
    "does not exist",
    "doesn't exist",
    "oes not contain any",
    "not found",
    "not a directory",
    "o such directory",
    "ould not find",
    "ouldn't find",
    "annot find",
    "an't find",
    "nable to find",
    "no files",
    "No files",
    "no images",
    "No images",
    "no data in",
    "No data in",
    "ound no ",
    "ound 0 ",
];

/// Returns the hint for a channel that the job does not have: its variable is not set, or its folder does not exist.
pub(super) fn channel(facts: &HintFacts<'_>) -> Option<String> {
    let around = &facts.evidence.job;
    let is_known = |name: &str| around.channels.iter().any(|channel| variable(channel) == variable(name));
    let by_variable = || unset(facts)?.strip_prefix(CHANNEL).map(str::to_lowercase);
    let by_path = || {
        // If the folder of the inputs is not known, a path cannot be attributed to a channel.
        let inputs = around.inputs.as_deref().filter(|inputs| !inputs.is_empty())?;
        let is_missing = facts.claims(MISSING).is_some();
        let after = facts.claimed().split_once(inputs).filter(|_| is_missing)?.1.strip_prefix('/')?;
        let end = after.find(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.')).unwrap_or(after.len());
        // The full stop of a sentence may follow the path.
        let name = after[..end].trim_end_matches('.');
        Some(name.to_owned()).filter(|name| !name.is_empty() && !name.contains('.'))
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
    let others = || unknown_argument(facts, UNKNOWN_TO_OTHERS).filter(|unknown| is_hyperparameter(facts, unknown));
    if let Some(unknown) = unknown_argument(facts, UNKNOWN).or_else(others) {
        let name = name_of(&unknown);
        if is_hyperparameter(facts, &unknown) {
            // Some parsers name an argument with other dashes than it was passed with.
            let dashes = if name.chars().count() > 1 { "--" } else { "-" };
            return Some(format!(
                "the hyperparameter {name} becomes the argument {dashes}{name}, which the script does not accept; add it to the script's parser \
                 (or use parse_known_args), or remove the hyperparameter"
            ));
        }
        // A switch of the script, such as store_true, takes no value, but a hyperparameter always has a value.
        let is_value = !unknown.starts_with('-') && facts.evidence.command.contains(&format!(" {unknown}"));
        let is_switch = ["true", "false"].iter().any(|value| unknown.eq_ignore_ascii_case(value));
        let other = if is_switch { "set FOOTPLATE_ARGUMENTS=flags" } else { "remove the hyperparameter" };
        return (is_value && !facts.evidence.job.hyperparameters.is_empty()).then(|| {
            format!(
                "hyperparameters are passed as `--name value`, and no argument of the script takes the value {unknown}; give the argument a \
                 type (not action='store_true'), or {other}"
            )
        });
    }
    if let Some(hint) = unexpected_keyword(facts).or_else(|| unknown_key(facts)) {
        return Some(hint);
    }
    if let Some(argument) = refused_argument(facts)
        && is_hyperparameter(facts, argument)
    {
        let name = argument.trim_start_matches('-');
        return Some(format!(
            "{argument} comes from the hyperparameter {name}; correct its value in the job, or what the script accepts"
        ));
    }
    missing_argument(facts).filter(|_| is_of_script(facts))
}

/// absl's messages about a flag whose value it refuses.
const REFUSED_FLAG: [&str; 2] = ["IllegalFlagValueError", "Flags parsing error: flag --"];

/// The texts before and after an argument that argparse, click, fire, getopt, transformers, or R's optparse does not know.
/// Without a text after it, the argument ends at a blank.
const UNKNOWN: &[(&str, &str)] = &[
    ("unrecognized arguments: ", ""),
    ("ambiguous option: ", ""),
    ("No such option: ", ""),
    ("No such option '", "'"),
    ("no such option: ", ""),
    ("Could not consume arg: ", ""),
    ("are not used by the HfArgumentParser: ['", "'"),
    ("unrecognized option '", "'"),
    ("GetoptError: option ", " not recognized"),
    ("unknown option -- '", "'"),
    ("long flag \"", "\" is invalid"),
];

/// The texts before and after an argument that another parser does not know, like [`UNKNOWN`]: tyro, jsonargparse,
/// commander, yargs, clap, absl and gflags, those of Go, Java, Perl, Ruby, Swift and .NET, and Boost's. Other programs use
/// similar words, so that the argument must be a hyperparameter.
const UNKNOWN_TO_OTHERS: &[(&str, &str)] = &[
    ("Unknown command line flag '", "'"),
    ("unknown command line flag '", "'"),
    ("Unrecognized options: ", ""),
    ("Unrecognized option: ", ""),
    ("Unrecognized arguments: ", ""),
    ("Unrecognized command or argument '", "'"),
    ("unrecognised option '", "'"),
    ("unrecognized option: ", ""),
    ("unrecognized option ", ""),
    ("Unknown option: ", ""),
    ("Unknown option '", "'"),
    ("Unknown options: ", ""),
    ("unknown option: ", ""),
    ("unknown option '", "'"),
    ("unknown option ", ""),
    ("Unknown argument: ", ""),
    ("Unknown arguments: ", ""),
    ("unknown argument: ", ""),
    ("unexpected argument '", "'"),
    ("Found argument '", "' which wasn't expected"),
    ("flag provided but not defined: ", ""),
    ("unknown flag: ", ""),
    ("invalid option: ", ""),
];

/// The texts before and after a key that a configuration does not have: Hydra's, OmegaConf's and jsonargparse's.
const UNKNOWN_KEYS: &[(&str, &str)] = &[
    ("Key '", "' is not in struct"),
    ("Key '", "' not in '"),
    ("Key \"", "\" is not expected"),
    ("Key '", "' is not expected"),
];

/// Returns the argument that a parser does not know, as the parser calls it.
fn unknown_argument(facts: &HintFacts<'_>, around: &[(&str, &str)]) -> Option<String> {
    let found = |(start, end): &(&str, &str)| {
        let text = if end.is_empty() {
            facts.between(start, "").or_else(|| facts.between(start, " "))?.split_whitespace().next()?
        } else {
            facts.between(start, end)?
        };
        let word = text.trim_matches(['\'', '"', '`', ',', '.']);
        (!word.is_empty()).then(|| word.to_owned())
    };
    around.iter().find_map(found)
}

/// Returns the hint for a hyperparameter that the script passes on to a function without a parameter of that name.
fn unexpected_keyword(facts: &HintFacts<'_>) -> Option<String> {
    const SAID: &str = "() got an unexpected keyword argument '";
    let function = facts.claimed().strip_prefix("TypeError: ")?.split_once(SAID)?.0;
    let name = facts.between(SAID, "'").filter(|name| is_hyperparameter(facts, name))?;
    // A release of a library that does not have the argument is another reason.
    if function.contains(' ') || versions::renamed(facts).is_some() {
        return None;
    }
    Some(format!(
        "{function}() has no parameter {name}, which is a hyperparameter of the job; if the script passes all hyperparameters on to it, \
         add the parameter there, or remove the hyperparameter"
    ))
}

/// Returns the hint for a hyperparameter that is not a key of the script's configuration.
fn unknown_key(facts: &HintFacts<'_>) -> Option<String> {
    // The exceptions are derived from KeyError, which puts its message in quotes.
    let mut keys = UNKNOWN_KEYS.iter().filter_map(|(start, end)| between(facts.claimed(), start, end));
    let key = keys.find(|key| is_hyperparameter(facts, key))?;
    Some(format!(
        "the script's configuration has no key {key}, which is a hyperparameter of the job; add the key to the configuration, or remove the \
         hyperparameter"
    ))
}

/// Returns true if this argument has the name of a hyperparameter of the job.
fn is_hyperparameter(facts: &HintFacts<'_>, argument: &str) -> bool {
    let name = name_of(argument);
    let mut names = facts.evidence.job.hyperparameters.iter();
    !name.is_empty() && names.any(|known| known.trim_start_matches('-') == name)
}

/// Returns the name of an argument such as `--lr=0.1`.
fn name_of(argument: &str) -> &str {
    argument.trim_start_matches('-').split('=').next().unwrap_or_default()
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

/// Returns the hint for arguments that a parser reports as missing.
fn missing_argument(facts: &HintFacts<'_>) -> Option<String> {
    let required = facts.claims(&["the following arguments are required: "]);
    let list: Vec<&str> = match required.and_then(|said| facts.claimed().split_once(said)) {
        Some((_, list)) => list.trim_end().split(", ").collect(),
        None => vec![facts.between("Missing option '", "'").or_else(|| facts.between("Missing argument '", "'"))?],
    };
    // `--lr/-l` and `-l/--lr` name one argument.
    let options = list.iter().filter_map(|argument| argument.split(['/', ' ']).find(|word| word.starts_with("--")));
    let options = options.filter(|option| !is_hyperparameter(facts, option));
    match options.collect::<Vec<_>>().as_slice() {
        [] => by_place(list.first()?),
        [only] => {
            let name = only.trim_start_matches('-');
            Some(format!(
                "the script requires {only}, and the job has no hyperparameter {name}; add it, or give the argument a default"
            ))
        }
        several => Some(format!(
            "the script requires {}, and the job has no hyperparameters of these names; add them, or give the arguments defaults",
            listed(several)
        )),
    }
}

/// Returns the hint for a missing argument that a parser takes by its place, without a name before it.
fn by_place(argument: &str) -> Option<String> {
    let is_name = argument.starts_with(|c: char| c.is_ascii_alphabetic())
        && argument.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    is_name.then(|| {
        format!(
            "the script takes {argument} by its place, but hyperparameters are passed as `--name value`; make it an option (--{}), or give it a \
             default",
            argument.to_lowercase()
        )
    })
}

/// Returns a list of names in words. At most four are shown.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    match names {
        [first @ .., last] if names.len() <= SHOWN => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN),
    }
}

/// Returns true if the parser is the script's, and not that of a program that the script started.
fn is_of_script(facts: &HintFacts<'_>) -> bool {
    let program = facts.claimed().split_once(": error: ").map(|(program, _)| program);
    let usage = || facts.between_of_tail("Usage: ", " ");
    let name = program.or_else(usage).and_then(|words| words.split(' ').next());
    name.is_some_and(|name| facts.evidence.command.contains(name))
}
