//! `footplate env`: prints the variables that the script would get.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::job::Variables;
use crate::job::config;
use crate::prepare::environment::ExistingVariables;
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
    let built =
        run::prepare(config::base_paths(&variables), &variables, &options.settings, false).and_then(|prepared| {
            let hardware = run::hardware(&prepared, &variables);
            let environment = run::environment_of(&prepared, &hardware, &variables, ExistingVariables::Overwrite)?;
            Ok((run::redactor(&variables, &prepared.job.all_hyperparameters), environment))
        });
    let (redactor, environment) = match built {
        Ok(built) => built,
        Err(outcome) => return super::plan::refuse(&outcome),
    };
    // A value need not be UTF-8. A shell gets its bytes unchanged, unless there is a secret in it.
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
        super::common::print(format!("{:#}\n", serde_json::Value::Object(object)));
        return 0;
    }
    let mut script = Vec::new();
    for (name, value) in pairs {
        // A variable such as SM_HP_BATCH-SIZE can be in an environment, but a shell cannot set it.
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            script.extend(format!("export {name}='").into_bytes());
            for byte in value {
                match byte {
                    b'\'' => script.extend(br"'\''"),
                    other => script.push(other),
                }
            }
            script.extend(b"'\n");
        }
    }
    super::common::print(script);
    for omitted in &environment.omitted {
        eprintln!("footplate: {} is left out: {}", omitted.name, omitted.reason);
    }
    0
}
