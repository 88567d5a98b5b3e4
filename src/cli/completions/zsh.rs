//! Completions for Z shell.

use std::fmt::Write;

use super::model::{CommandLine, Opt, Takes};

/// Returns the script, which is installed as the file `_footplate` in a folder of `fpath`.
pub(super) fn script(line: &CommandLine) -> String {
    let mut text = String::from(
        "#compdef footplate\n\
         # Completions of footplate for Z shell, made by `footplate completions zsh`.\n\
         _footplate_settings() {\n    if compset -P '*='; then\n        case $IPREFIX in\n",
    );
    for (name, values) in line.settings.iter().filter(|(_, values)| !values.is_empty()) {
        let _ = writeln!(text, "            {name}=) compadd -- {} ;;", values.join(" "));
    }
    let names: Vec<&str> = line.settings.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(text, "        esac\n    else\n        compadd -S = -- {}\n    fi\n}}", names.join(" "));
    text.push_str(
        "_footplate() {\n    local context state state_descr line\n    typeset -A opt_args\n    \
         _arguments -C '(- *)--help[Print help]' '(- *)--version[Print version]' '1:command:->command' '*::argument:->argument'\n    \
         case $state in\n        command)\n            local -a commands=(\n",
    );
    for subcommand in &line.subcommands {
        let described = format!("{}:{}", subcommand.name, subcommand.about.replace(':', r"\:"));
        let _ = writeln!(text, "                {}", quoted(&described));
    }
    text.push_str(
        "            )\n            _describe command commands ;;\n        argument)\n            case $words[1] in\n",
    );
    for subcommand in &line.subcommands {
        let mut words: Vec<String> = subcommand.options.iter().map(option).collect();
        match &subcommand.takes {
            Some(_) if subcommand.runs_command => words.push("'*::command:_normal'".to_owned()),
            Some(takes) => words.push(quoted(&format!("*:value:{}", action(takes)))),
            None => {}
        }
        let _ = writeln!(text, "                {}) _arguments {} ;;", subcommand.name, words.join(" "));
    }
    text.push_str("            esac ;;\n    esac\n}\n_footplate \"$@\"\n");
    text
}

/// Returns an option in the language of `_arguments`.
fn option(option: &Opt) -> String {
    let plain = |text: &str| text.replace('[', r"\[").replace(']', r"\]").replace(':', r"\:");
    let star = if option.is_repeated { "*" } else { "" };
    let value = option.takes.as_ref().map(|takes| format!(":value:{}", action(takes))).unwrap_or_default();
    quoted(&format!("{star}{}[{}]{value}", option.name, plain(&option.help)))
}

/// Returns the action that completes a value.
fn action(takes: &Takes) -> String {
    match takes {
        Takes::Files => "_files".to_owned(),
        Takes::Folders => "_files -/".to_owned(),
        Takes::Words(words) => format!("({})", words.join(" ")),
        Takes::Settings => "_footplate_settings".to_owned(),
        Takes::Anything => " ".to_owned(),
    }
}

/// Returns a text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
