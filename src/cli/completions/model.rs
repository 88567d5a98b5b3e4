//! The command line as lists of words.

use clap::{Arg, Command};

use crate::cli::explain::names;
use crate::job::settings::REGISTRY;
use crate::launch;

/// The command line of footplate.
pub(super) struct CommandLine {
    pub(super) subcommands: Vec<Subcommand>,
    /// The settings. Each has the list of its values, if these are words.
    pub(super) settings: Vec<(&'static str, Vec<String>)>,
}

/// A subcommand that the help lists.
pub(super) struct Subcommand {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) options: Vec<Opt>,
    /// The words or files that the subcommand accepts after the options.
    pub(super) takes: Option<Takes>,
    /// True if it runs a command, which the shell completes as it would without footplate.
    pub(super) runs_command: bool,
}

/// A long option.
pub(super) struct Opt {
    /// The option with its dashes.
    pub(super) name: String,
    pub(super) help: String,
    pub(super) takes: Option<Takes>,
    pub(super) is_repeated: bool,
}

/// The values of an option or an argument.
pub(super) enum Takes {
    Files,
    Folders,
    Words(Vec<String>),
    Settings,
    /// Values of which no list exists.
    Anything,
}

impl CommandLine {
    pub(super) fn of(mut command: Command) -> CommandLine {
        command.build();
        let settings = REGISTRY.iter().map(|setting| {
            let values = match setting.name {
                "launcher" => launch::names().into_iter().map(str::to_owned).collect(),
                _ => words_of(setting.values),
            };
            (setting.name, values)
        });
        CommandLine {
            settings: settings.collect(),
            subcommands: command
                .get_subcommands()
                .filter(|subcommand| !subcommand.is_hide_set())
                .map(Subcommand::of)
                .collect(),
        }
    }
}

impl Subcommand {
    fn of(command: &Command) -> Subcommand {
        let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
        let opt = |arg: &Arg| {
            Some(Opt {
                name: format!("--{}", arg.get_long()?),
                help: text(arg.get_help()),
                takes: takes(arg),
                is_repeated: matches!(arg.get_action(), clap::ArgAction::Append),
            })
        };
        let positional = command.get_positionals().next();
        Subcommand {
            name: command.get_name().to_owned(),
            about: text(command.get_about()),
            options: command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(opt).collect(),
            runs_command: positional.is_some_and(Arg::is_trailing_var_arg_set),
            takes: positional.and_then(takes),
        }
    }
}

/// Returns the values of an option or an argument; `None` if it takes none.
fn takes(arg: &Arg) -> Option<Takes> {
    if !arg.get_action().takes_values() {
        return None;
    }
    let words: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let named = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    Some(match (named, arg.get_id().as_str()) {
        _ if !words.is_empty() => Takes::Words(words),
        (_, "set") => Takes::Settings,
        (_, "explained") => Takes::Words(names()),
        (Some("FILE"), _) => Takes::Files,
        (Some("DIR"), _) => Takes::Folders,
        _ => Takes::Anything,
    })
}

/// Returns the words between backticks in the description of a setting's values.
fn words_of(values: &str) -> Vec<String> {
    let quoted = values.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.chars().all(|c| c.is_alphanumeric() || c == '-')).map(str::to_owned).collect()
}
