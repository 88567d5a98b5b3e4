//! `footplate env`: prints the variables that the script would get.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::here;
use crate::job::Variables;
use crate::prepare::environment::ExistingVariables;
use crate::redact::{visible, visible_json};
use crate::run;

pub(super) fn command() -> Command {
    Command::new("env")
        .about("Print the variables that the script would get")
        .after_help("Example:\n  eval \"$(footplate env --show-secrets)\"")
        .arg(super::common::settings_option())
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["shell", "json"])
                .default_value("shell")
                .help("Lines that a shell can read, or a JSON object"),
        )
        .arg(
            Arg::new("show-secrets")
                .long("show-secrets")
                .action(ArgAction::SetTrue)
                .help("Print the values of secrets too"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let variables = Variables::of_this_process();
    let options = super::common::options(matches);
    let built = here::prepared(&variables, &options.settings, false).and_then(|prepared| {
        let hardware = run::hardware(&prepared, &variables);
        let existing = ExistingVariables::in_job(&prepared.job);
        let environment = run::environment_of(&prepared, &hardware, &variables, existing)?;
        Ok((run::redactor(&variables, &prepared.job.all_hyperparameters), environment))
    });
    let (redactor, environment) = match built {
        Ok(built) => built,
        Err(outcome) => return super::plan::refuse(&outcome),
    };
    // A value may not be UTF-8. A shell gets its bytes unchanged, unless it contains a secret.
    let shown = |name: &str, value: &[u8]| -> Vec<u8> {
        let text = String::from_utf8_lossy(value);
        match redactor.clean_value(name, &text) {
            clean if clean != text && !matches.get_flag("show-secrets") => clean.into_owned().into_bytes(),
            _ => value.to_owned(),
        }
    };
    let pairs = environment.variables.iter().map(|(name, value)| {
        let name = String::from_utf8_lossy(name).into_owned();
        let value = shown(&name, value);
        (name, value)
    });
    if matches.get_one::<String>("format").is_some_and(|format| format == "json") {
        let object: serde_json::Map<_, _> =
            pairs.map(|(name, value)| (name, String::from_utf8_lossy(&value).into())).collect();
        super::common::print(&*visible_json(&format!("{:#}\n", serde_json::Value::Object(object))));
        return 0;
    }
    // A variable such as SM_HP_BATCH-SIZE can be part of an environment, but a shell cannot set it.
    let settable = pairs.filter(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    super::common::print(settable.map(|(name, value)| export(&name, &value)).collect::<String>());
    for omitted in &environment.omitted {
        super::common::report(&format!("{} is left out: {}", omitted.name, omitted.reason));
    }
    0
}

/// Returns the line with which a shell sets a variable to exactly this value. A value that contains control
/// characters, or that is not UTF-8, is written in octal.
fn export(name: &str, value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if visible(text) == text => format!("export {name}='{}'\n", text.replace('\'', r"'\''")),
        _ => {
            let in_format = |byte: &u8| match byte {
                b'\'' => r"'\''".to_owned(),
                b'%' => "%%".to_owned(),
                b'\\' => r"\\".to_owned(),
                b' '..=b'~' => char::from(*byte).to_string(),
                _ => format!("\\{byte:03o}"),
            };
            let format: String = value.iter().map(in_format).collect();
            // The shell removes line ends at the end of a command's output, so the output must end with another
            // character.
            format!("export {name}=\"$(printf '{format}_')\"; {name}=\"${{{name}%_}}\"\n")
        }
    }
}
