//! Completions for fish.

use std::fmt::Write;

use super::model::{CommandLine, Takes};

/// Returns the script.
pub(super) fn script(line: &CommandLine) -> String {
    let mut text = String::from(
        "# Completions of footplate for fish, made by `footplate completions fish`.\n\
         complete -c footplate -n __fish_use_subcommand -f -l help -s h -d 'Print help'\n\
         complete -c footplate -n __fish_use_subcommand -f -l version -s V -d 'Print version'\n",
    );
    for subcommand in &line.subcommands {
        let (name, about) = (&subcommand.name, quoted(&subcommand.about));
        let _ = writeln!(text, "complete -c footplate -n __fish_use_subcommand -f -a {name} -d {about}");
        let within = format!("complete -c footplate -n '__fish_seen_subcommand_from {name}'");
        for option in &subcommand.options {
            let values = option.takes.as_ref().map(|takes| format!(" {}", values(takes, line))).unwrap_or_default();
            let long = option.name.trim_start_matches('-');
            let _ = writeln!(text, "{within} -l {long}{values} -d {}", quoted(&option.help));
        }
        match &subcommand.takes {
            Some(_) if subcommand.runs_command => {
                let _ = writeln!(text, "{within} -x -a '(__fish_complete_subcommand --fcs-skip=2)'");
            }
            Some(takes @ Takes::Words(_)) => {
                let _ = writeln!(text, "{within} {}", values(takes, line));
            }
            Some(_) => {}
            None => {
                let _ = writeln!(text, "{within} -f");
            }
        }
    }
    text
}

/// Returns the options of `complete` for values.
fn values(takes: &Takes, line: &CommandLine) -> String {
    match takes {
        Takes::Files => "-r -F".to_owned(),
        Takes::Folders => "-x -a '(__fish_complete_directories)'".to_owned(),
        Takes::Words(words) => format!("-x -a {}", quoted(&words.join(" "))),
        Takes::Settings => {
            let of = |(name, values): &(&str, Vec<String>)| match values.as_slice() {
                [] => format!("{name}="),
                values => values.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>().join(" "),
            };
            format!("-x -a {}", quoted(&line.settings.iter().map(of).collect::<Vec<_>>().join(" ")))
        }
        Takes::Anything => "-x".to_owned(),
    }
}

/// Returns a text as one word of fish.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
