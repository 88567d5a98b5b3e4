//! Names that look like settings but are not. A misspelt setting would otherwise be ignored silently.

use crate::event::ATTEMPT;
use crate::job::Variables;
use crate::job::python::Dict;
use crate::job::settings::{HYPERPARAMETER_PREFIX, REGISTRY, Setting, VARIABLE_PREFIX};
use crate::launch::CAUSE_FILE;
use crate::prepare::environment::ENVIRONMENT_FILE;
use crate::prepare::nearest::{distance, nearest};
use crate::run::context::IN_COMMAND;
use crate::supervise::keeper;

/// The variables with the prefix of settings that footplate itself sets for processes within a job.
const OWN_VARIABLES: [&str; 5] = [ENVIRONMENT_FILE, IN_COMMAND, ATTEMPT, CAUSE_FILE, keeper::FOLDER];

/// The prefix of the variables of footplate's own tests.
const TEST_PREFIX: &str = "FOOTPLATE_TEST_";

/// The maximum number of changed characters between a variable without the prefix of settings and the variable of a
/// setting.
const MAX_CHANGES: usize = 2;

/// Returns a warning for each variable and each hyperparameter that looks like a setting but is not one. `own` are
/// the hyperparameters with the prefix of settings, `others` are all others. Values are not shown, because they can
/// be secret.
pub(super) fn warnings(variables: &Variables, own: &Dict, others: &Dict) -> Vec<String> {
    let of_own = own.keys().filter_map(|key| {
        let key = key.to_str();
        let name = key.strip_prefix(HYPERPARAMETER_PREFIX)?;
        if REGISTRY.iter().any(|setting| setting.name == name) {
            return None;
        }
        let meant = nearest(name, REGISTRY.iter().map(|setting| setting.name));
        let meant = meant.map(|setting| format!("; did you mean {HYPERPARAMETER_PREFIX}{setting}?"));
        let meant = meant.unwrap_or_default();
        Some(format!("there is no setting {name:?}: the hyperparameter {key} is not used{meant}"))
    });
    let of_others = others.keys().filter_map(|key| {
        let key = key.to_str();
        if !resembles_setting(&key) {
            return None;
        }
        let meant = REGISTRY.iter().find(|setting| is_spelling_of(&key, &setting.hyperparameter()))?;
        let name = meant.hyperparameter();
        Some(format!("the hyperparameter {key:?} is passed to the script: the setting has the name {name}"))
    });
    let of_variables = variables.iter().filter_map(|(name, _)| of_variable(name.to_str()?));
    of_own.chain(of_others).chain(of_variables).collect()
}

/// Returns the warning for a variable; `None` if it is a setting, or does not look like one.
fn of_variable(name: &str) -> Option<String> {
    if !resembles_setting(name) || name.starts_with(TEST_PREFIX) {
        return None;
    }
    let capitals = name.to_ascii_uppercase();
    let settings: Vec<String> = REGISTRY.iter().map(Setting::variable).collect();
    let mut known = settings.iter().map(String::as_str).chain(OWN_VARIABLES);
    if known.any(|known| known == name) {
        return None;
    }
    let has_prefix = name.strip_prefix(VARIABLE_PREFIX).filter(|rest| !rest.is_empty());
    let meant = match has_prefix {
        Some(rest) => nearest(&rest.to_lowercase(), REGISTRY.iter().map(|setting| setting.name))
            .map(|meant| format!("{VARIABLE_PREFIX}{}", meant.to_uppercase())),
        None => {
            let is_near =
                |setting: &&String| is_spelling_of(name, setting) || distance(&capitals, setting) <= MAX_CHANGES;
            settings.iter().find(is_near).cloned()
        }
    };
    match (meant, has_prefix) {
        (Some(meant), _) => {
            Some(format!("there is no setting {name}: the variable is not used; did you mean {meant}?"))
        }
        (None, Some(_)) => Some(format!("there is no setting {name}: the variable is not used")),
        (None, None) => None,
    }
}

/// Returns true if a name contains a part of the prefix of settings. A start checks hundreds of names, and this rules out most of
/// them quickly.
fn resembles_setting(name: &str) -> bool {
    let contains = |part: &[u8]| name.as_bytes().windows(part.len()).any(|found| found.eq_ignore_ascii_case(part));
    contains(b"foot") || contains(b"plate")
}

/// Returns true if two names differ only in case and in the characters that separate words.
fn is_spelling_of(name: &str, other: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    letters(name) == letters(other)
}

#[cfg(test)]
mod tests {
    use super::warnings;
    use crate::job::Variables;
    use crate::job::python::Dict;

    fn of_variables(names: &[&str]) -> Vec<String> {
        let variables: Variables = names.iter().map(|name| (*name, "s3cret")).collect();
        warnings(&variables, &Dict::new(), &Dict::new())
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_setting_that_is_meant() {
        for (name, meant) in [
            ("FOOTPLATE_LAUNCHERS", "FOOTPLATE_LAUNCHER"),
            ("FOOTPLATE_LANCHER", "FOOTPLATE_LAUNCHER"),
            ("FOOTPLATE_GRACEPERIOD", "FOOTPLATE_GRACE_PERIOD"),
            ("FOOTPLATE_GPU", "FOOTPLATE_GPUS"),
            ("FOOTPLATE_PROCESS_PER_HOST", "FOOTPLATE_PROCESSES_PER_HOST"),
            ("FOOTPLATE_requirements", "FOOTPLATE_REQUIREMENTS"),
            ("footplate_launcher", "FOOTPLATE_LAUNCHER"),
            ("FOOTPLATE-UV", "FOOTPLATE_UV"),
            ("FOOTPLATELAUNCHER", "FOOTPLATE_LAUNCHER"),
            ("FOOTPLATE__LAUNCHER", "FOOTPLATE_LAUNCHER"),
            ("FOOT_PLATE_LAUNCHER", "FOOTPLATE_LAUNCHER"),
            ("FOOPLATE_CLUSTER_KEY", "FOOTPLATE_CLUSTER_KEY"),
        ] {
            let found = of_variables(&[name]);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].contains(name) && found[0].ends_with(&format!("did you mean {meant}?")), "{}", found[0]);
            assert!(!found[0].contains("s3cret"), "{}", found[0]);
        }
        let unknown = of_variables(&["FOOTPLATE_VERSION"]);
        assert_eq!(unknown, ["there is no setting FOOTPLATE_VERSION: the variable is not used"]);
    }

    #[test]
    fn known_and_foreign_variables_lead_to_no_warning() {
        let known = ["FOOTPLATE_LAUNCHER", "FOOTPLATE_ENVIRONMENT_FILE", "FOOTPLATE_IN_COMMAND", "FOOTPLATE_RANKS"];
        let others = ["FOOTPLATE", "FOOTER", "PLATE", "TEMPLATE_UV", "FOOTPLATE_TEST_FULL", "MY_FOOTPLATE_IMAGE"];
        assert_eq!(of_variables(&[&known[..], &others].concat()), Vec::<String>::new());
    }

    #[test]
    fn a_misspelt_hyperparameter_is_named_with_the_setting_that_is_meant() {
        let (mut own, mut others) = (Dict::new(), Dict::new());
        for name in ["footplate_grace_perid", "footplate_launcher", "footplate_nonsense"] {
            own.set(name, "1");
        }
        for name in ["lr", "footplate-launcher", "plate"] {
            others.set(name, "1");
        }
        assert_eq!(
            warnings(&Variables::default(), &own, &others),
            [
                "there is no setting \"grace_perid\": the hyperparameter footplate_grace_perid is not used; did you mean \
                 footplate_grace_period?",
                "there is no setting \"nonsense\": the hyperparameter footplate_nonsense is not used",
                "the hyperparameter \"footplate-launcher\" is passed to the script: the setting has the name \
                 footplate_launcher",
            ]
        );
    }
}
