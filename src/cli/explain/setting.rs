//! Settings: the meaning of each one, and the source of its value.

use super::{Here, line};
use crate::job::python::Dict;
use crate::job::settings::{REGISTRY, Setting, given};
use crate::launch;
use crate::redact::{HIDDEN, is_secret_name};

/// Explains a setting. `name` is any of its three names.
pub(super) fn explained(name: &str, here: &Here) -> Option<String> {
    let is_meant = |setting: &&Setting| {
        [setting.name.to_owned(), setting.variable(), setting.hyperparameter()].iter().any(|known| known == name)
    };
    let setting = REGISTRY.iter().find(is_meant)?;
    let mut text = format!("{}, a setting\n", setting.name);
    text += &line("does", &setting.meaning.replace('`', ""));
    text += &line("takes", &setting.values.replace('`', ""));
    text += &line("default", setting.default);
    text += &line("set by", &format!("--set {}=…", setting.name));
    text += &line("or", &format!("the variable {}", setting.variable()));
    text += &line("or", &format!("the hyperparameter {}", setting.hyperparameter()));
    text += &line("here", &value_here(setting, here));
    Some(text)
}

/// Returns the value of the setting in this container, and its source.
fn value_here(setting: &Setting, here: &Here) -> String {
    let none = Dict::new();
    let own = here.prepared.as_ref().map_or(&none, |prepared| &prepared.own_hyperparameters);
    let drivers = here.prepared.as_ref().ok().and_then(|prepared| prepared.job.own_settings());
    let Some(given) = given(setting, &here.command_line, &here.variables, own, drivers) else {
        return match (&here.prepared, setting.name) {
            (Ok(prepared), "launcher") => match launch::choose(&prepared.job, &prepared.settings) {
                Ok(engine) if prepared.job.distributed().is_some() || !engine.flags.is_empty() => {
                    format!("{}, which the job asks for", engine.name)
                }
                Ok(engine) => format!("{}, because nobody asks for another", engine.name),
                Err(error) => here.redactor.clean(&error.to_string()).into_owned(),
            },
            _ => format!("{} (the default)", setting.default),
        };
    };
    let value =
        if is_secret_name(setting.name) { HIDDEN.to_owned() } else { here.redactor.clean(&given.text).into_owned() };
    match &here.prepared {
        Ok(_) => format!("{value}, from {}", given.place),
        Err(outcome) => {
            let refused = outcome.failure_text(&here.redactor).unwrap_or_default();
            format!("{value}, from {}; {}", given.place, refused.lines().next().unwrap_or_default())
        }
    }
}
