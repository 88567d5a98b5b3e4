//! The sources of settings, the strongest first.

use super::setting::{GivenValue, Setting, SettingError};
use super::table::{REGISTRY, Settings};
use crate::job::Variables;
use crate::job::python::{Dict, Value};

impl Settings {
    /// Reads every setting: `command_line` pairs first, then variables, then hyperparameters, then `drivers`, which
    /// are those of `distributed.json`. `launchers` are the names of the launchers that exist. They are passed in
    /// because their table is in a folder above this one.
    ///
    /// # Errors
    /// A setting does not accept its value, the launcher does not exist, or a name on the command line is not a
    /// setting.
    pub fn read(
        command_line: &[(String, String)],
        variables: &Variables,
        hyperparameters: &Dict,
        drivers: Option<&Dict>,
        launchers: &[&str],
    ) -> Result<Settings, SettingError> {
        let in_drivers = drivers.into_iter().flat_map(Dict::keys).map(|name| name.to_str().into_owned());
        let mut names = command_line.iter().map(|(name, _)| name.clone()).chain(in_drivers);
        if let Some(name) = names.find(|name| !is_setting(name)) {
            let known = REGISTRY.map(|setting| setting.name).join(", ");
            return Err(SettingError::Unknown { name, known });
        }
        let given = |setting: &Setting| given(setting, command_line, variables, hyperparameters, drivers);
        let settings = Settings::from_given(given)?;
        let is_known = |name: &String| launchers.contains(&name.as_str());
        if settings.launcher.as_ref().is_some_and(|name| !is_known(name))
            && let Some(setting) = REGISTRY.iter().find(|setting| setting.name == "launcher")
            && let Some(GivenValue { text: value, place }) = given(setting)
        {
            return Err(SettingError::NoLauncher { place, value, setting, known: launchers.join(", ") });
        }
        Ok(settings)
    }
}

/// Returns the value that a setting was given, from the strongest source that has one.
pub fn given(
    setting: &Setting,
    command_line: &[(String, String)],
    variables: &Variables,
    hyperparameters: &Dict,
    drivers: Option<&Dict>,
) -> Option<GivenValue> {
    if let Some((_, text)) = command_line.iter().rev().find(|(name, _)| name == setting.name) {
        return Some(GivenValue { text: text.clone(), place: format!("--set {}", setting.name) });
    }
    if let Some(text) = variables.get_non_empty(&setting.variable()) {
        let place = format!("the variable {}", setting.variable());
        return Some(GivenValue { text: text.into_owned(), place });
    }
    if let Some(value) = hyperparameters.get(&setting.hyperparameter()) {
        let place = format!("the hyperparameter {}", setting.hyperparameter());
        return Some(GivenValue { text: value_text(value), place });
    }
    let value = drivers?.get(setting.name)?;
    Some(GivenValue { text: value_text(value), place: format!("{} in distributed.json", setting.name) })
}

fn is_setting(name: &str) -> bool {
    REGISTRY.iter().any(|setting| setting.name == name)
}

/// Returns a hyperparameter's value in the form that it would have as a variable.
fn value_text(value: &Value) -> String {
    match value {
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        other => other.to_py_str().to_str().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::job::Variables;
    use crate::job::python::Dict;
    use crate::job::settings::{ArgumentStyle, RequirementsChoice, Settings};

    fn hyperparameters(pairs: &[(&str, &str)]) -> Dict {
        let mut dict = Dict::new();
        for (name, value) in pairs {
            dict.set(*name, *value);
        }
        dict
    }

    #[test]
    fn a_setting_of_the_command_line_counts_before_all_others() {
        let command_line = [("grace_period".to_owned(), "1".to_owned())];
        let variables: Variables =
            [("FOOTPLATE_GRACE_PERIOD", "2"), ("FOOTPLATE_DRAIN_TIME", "2.5")].into_iter().collect();
        let given = hyperparameters(&[
            ("footplate_grace_period", "3"),
            ("footplate_drain_time", "3"),
            ("footplate_arguments", "flags"),
            ("footplate_requirements", "extra.txt"),
        ]);
        let settings = Settings::read(&command_line, &variables, &given, None, &[]).expect("read");
        assert_eq!(settings.grace_period, Duration::from_secs(1));
        assert_eq!(settings.drain_time, Duration::from_millis(2500));
        assert_eq!(settings.arguments, Some(ArgumentStyle::Flags));
        assert_eq!(settings.requirements, RequirementsChoice::File("extra.txt".to_owned()));
    }

    #[test]
    fn the_drivers_of_the_sdk_are_the_weakest_source() {
        let drivers = hyperparameters(&[("grace_period", "4"), ("drain_time", "4")]);
        let given = hyperparameters(&[("footplate_drain_time", "3")]);
        let settings = Settings::read(&[], &Variables::default(), &given, Some(&drivers), &[]).expect("read");
        assert_eq!((settings.grace_period, settings.drain_time), (Duration::from_secs(4), Duration::from_secs(3)));
        for (name, value, said) in [
            ("grace_period", "soon", "grace_period in distributed.json is \"soon\", but takes "),
            ("grace", "1", "there is no setting \"grace\""),
        ] {
            let drivers = hyperparameters(&[(name, value)]);
            let error = Settings::read(&[], &Variables::default(), &Dict::new(), Some(&drivers), &[]).expect_err(value);
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_launcher_must_be_one_of_those_that_exist() {
        let set = |name: &str| {
            let variables: Variables = [("FOOTPLATE_LAUNCHER", name)].into_iter().collect();
            Settings::read(&[], &variables, &Dict::new(), None, &["process", "mpi"])
        };
        assert_eq!(set("mpi").expect("a launcher").launcher.as_deref(), Some("mpi"));
        let error = set("slurm").expect_err("no launcher").to_string();
        assert_eq!(
            error,
            "the variable FOOTPLATE_LAUNCHER is \"slurm\", but takes the name of a launcher: process, mpi"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place_and_what_it_takes() {
        for (name, value) in
            [("grace_period", "soon"), ("grace_period", "-1"), ("grace_period", "inf"), ("arguments", "x")]
        {
            let variables: Variables = [(format!("FOOTPLATE_{}", name.to_uppercase()), value)].into_iter().collect();
            let error = Settings::read(&[], &variables, &Dict::new(), None, &[]).expect_err(value).to_string();
            assert!(
                error.starts_with(&format!("the variable FOOTPLATE_{} is {value:?}", name.to_uppercase())),
                "{error}"
            );
        }
        let error =
            Settings::read(&[("grace".to_owned(), String::new())], &Variables::default(), &Dict::new(), None, &[]);
        assert!(error.expect_err("no such setting").to_string().starts_with("there is no setting \"grace\""));
    }
}
