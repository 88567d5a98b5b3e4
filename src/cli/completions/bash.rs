//! Completions for Bash.

use std::fmt::Write;

use super::model::{CommandLine, Subcommand, Takes};

/// The beginning of the completion function. Bash splits the line into words at each `=`, so a setting's name, the
/// `=` and the value are separate words. If there is no value yet, the word at the cursor is the `=`.
const HEAD: &str = r#"# Completions of footplate for Bash, made by `footplate completions bash`.
_footplate() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at=$COMP_CWORD command= n
    for ((n = 1; n < COMP_CWORD; n++)); do
        case ${COMP_WORDS[n]} in
            --) return ;;
            -*) ;;
            *) [[ $command ]] || command=${COMP_WORDS[n]} ;;
        esac
    done
    [[ $cur == = ]] && cur= && ((at++))
    if ((at > 3)) && [[ ${COMP_WORDS[at-1]} == = && ${COMP_WORDS[at-3]} == --set ]]; then
        case ${COMP_WORDS[at-2]} in
"#;

/// Returns the script.
pub(super) fn script(line: &CommandLine) -> String {
    let mut text = String::from(HEAD);
    for (name, values) in line.settings.iter().filter(|(_, values)| !values.is_empty()) {
        let _ = writeln!(text, "            {name}) COMPREPLY=($(compgen -W '{}' -- \"$cur\")) ;;", values.join(" "));
    }
    text.push_str("        esac\n        return\n    fi\n    case $command in\n");
    let names: Vec<&str> = line.subcommands.iter().map(|subcommand| subcommand.name.as_str()).collect();
    let _ =
        writeln!(text, "        '') COMPREPLY=($(compgen -W '{} --help --version' -- \"$cur\")) ;;", names.join(" "));
    for subcommand in &line.subcommands {
        text.push_str(&case(subcommand, line));
    }
    text.push_str("    esac\n}\ncomplete -o bashdefault -o default -F _footplate footplate\n");
    text
}

fn case(subcommand: &Subcommand, line: &CommandLine) -> String {
    let mut text = format!("        {})\n            case $prev in\n", subcommand.name);
    for option in &subcommand.options {
        if let Some(takes) = &option.takes {
            let _ = writeln!(text, "                {}) {}; return ;;", option.name, values(takes, line));
        }
    }
    text.push_str("            esac\n");
    let options: Vec<&str> = subcommand.options.iter().map(|option| option.name.as_str()).collect();
    let of_argument = match &subcommand.takes {
        Some(takes) if !subcommand.runs_command => format!(" || {{ {}; }}", values(takes, line)),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "            [[ $cur == -* ]] && COMPREPLY=($(compgen -W '{}' -- \"$cur\")){of_argument} ;;",
        options.join(" ")
    );
    text
}

/// Returns the commands that complete a value.
fn values(takes: &Takes, line: &CommandLine) -> String {
    match takes {
        Takes::Files => "COMPREPLY=($(compgen -f -- \"$cur\"))".to_owned(),
        Takes::Folders => "COMPREPLY=($(compgen -d -- \"$cur\"))".to_owned(),
        Takes::Words(words) => format!("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", words.join(" ")),
        Takes::Settings => {
            let names: Vec<String> = line.settings.iter().map(|(name, _)| format!("{name}=")).collect();
            format!("compopt -o nospace; COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", names.join(" "))
        }
        Takes::Anything => ":".to_owned(),
    }
}
