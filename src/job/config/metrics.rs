//! Reader of metric definitions: those of the job, as the platform stores them, and those in a file of the user.

use std::path::Path;

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::job::python::{Dict, Value};

/// A metric definition: a name, and a pattern in Python's syntax whose first group is the value (API MetricDefinition).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricDefinition {
    /// The name of the metric.
    pub name: String,
    /// The pattern.
    pub pattern: String,
}

/// The maximum number of definitions. The platform allows 40.
const MAX_DEFINITIONS: usize = 200;

const JOB: FileKind = FileKind {
    expected: r#"an object such as {"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss", "Regex": "loss: (\\S+)"}]}}"#,
    if_missing: "it may be missing",
};

const LIST: FileKind = FileKind {
    expected: r#"a list such as [{"Name": "loss", "Regex": "loss: (\\S+)"}]"#,
    if_missing: "write the definitions into it, or unset FOOTPLATE_METRICS",
};

/// Returns the metric definitions of the job without duplicates. They come from trainingjobconfig.json and
/// metric-definition-regex.json, which may be missing, and from `own`, the file of the setting `metrics`.
///
/// An invalid file or definition only causes a warning, because the job can run without it.
pub fn metric_definitions(paths: &Paths, own: Option<&Path>, warnings: &mut Vec<String>) -> Vec<MetricDefinition> {
    let of_job = |path: &Path| {
        let Some(value) = JOB.read_optional(path)? else { return Ok(Value::None) };
        let description = JOB.object(path, value)?;
        let algorithm = description.get("AlgorithmSpecification").and_then(Value::as_dict);
        Ok(algorithm.and_then(|algorithm| algorithm.get("MetricDefinitions")).cloned().unwrap_or(Value::None))
    };
    let optional = |path: &Path| Ok(LIST.read_optional(path)?.unwrap_or(Value::None));
    let needed = |path: &Path| LIST.read(path);
    type Read<'a> = &'a dyn Fn(&Path) -> Result<Value, ConfigError>;
    let job = paths.config().join("trainingjobconfig.json");
    let list = paths.config().join("metric-definition-regex.json");
    let sources = [(&*job, &of_job as Read<'_>), (&*list, &optional)];
    let mut definitions = Vec::new();
    for (path, read) in sources.into_iter().chain(own.map(|own| (own, &needed as Read<'_>))) {
        match read(path) {
            Ok(value) => collect(path, &value, &mut definitions, warnings),
            Err(error) => warnings.push(format!("a file of metric definitions is ignored: {error}")),
        }
    }
    if definitions.len() > MAX_DEFINITIONS {
        warnings.push(format!(
            "{} metric definitions are too many: only the first {MAX_DEFINITIONS} are looked for",
            definitions.len()
        ));
        definitions.truncate(MAX_DEFINITIONS);
    }
    definitions
}

/// Adds the definitions of a list. Keys are compared without regard to case.
fn collect(path: &Path, value: &Value, definitions: &mut Vec<MetricDefinition>, warnings: &mut Vec<String>) {
    let list = match value {
        Value::None => return,
        Value::List(list) => &list[..],
        other => {
            warnings.push(format!(
                "{}: the metric definitions are {}, not a list: they are not used",
                path.display(),
                other.kind()
            ));
            return;
        }
    };
    for (number, entry) in list.iter().enumerate() {
        let text = |key: &str| entry.as_dict().and_then(|entry| without_case(entry, key)).and_then(Value::as_str);
        let (Some(name), Some(pattern)) = (text("name"), text("regex")) else {
            warnings.push(format!(
                "{}: metric definition {} is not used: it needs a Name and a Regex, both strings",
                path.display(),
                number + 1
            ));
            continue;
        };
        let definition = MetricDefinition { name: name.to_owned(), pattern: pattern.to_owned() };
        if !definitions.contains(&definition) {
            definitions.push(definition);
        }
    }
}

fn without_case<'a>(dict: &'a Dict, key: &str) -> Option<&'a Value> {
    dict.iter().find(|(own, _)| own.to_str().eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::{MetricDefinition, metric_definitions};
    use crate::job::Paths;

    #[test]
    fn definitions_of_all_files_are_taken_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths::under(folder.path());
        std::fs::create_dir_all(paths.config()).expect("made");
        let write = |name: &str, text: &str| std::fs::write(paths.config().join(name), text).expect("written");
        write(
            "trainingjobconfig.json",
            r#"{"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]}}"#,
        );
        write(
            "metric-definition-regex.json",
            r#"[{"name": "loss", "REGEX": "loss=(.*)"}, {"name": "acc", "regex": "a=(.*)"}]"#,
        );
        let own = folder.path().join("own.json");
        std::fs::write(&own, r#"[{"Name": "f1", "Regex": "f1=(.*)"}, {"Name": "f2"}, 3]"#).expect("written");
        let mut warnings = Vec::new();
        let definitions = metric_definitions(&paths, Some(&own), &mut warnings);
        let expected = [("loss", "loss=(.*)"), ("acc", "a=(.*)"), ("f1", "f1=(.*)")]
            .map(|(name, pattern)| MetricDefinition { name: name.into(), pattern: pattern.into() });
        assert_eq!(definitions, expected);
        let expected = [2, 3].map(|number| {
            format!(
                "{}: metric definition {number} is not used: it needs a Name and a Regex, both strings",
                own.display()
            )
        });
        assert_eq!(warnings, expected);
    }

    #[test]
    fn files_that_are_no_definitions_are_only_warned_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths::under(folder.path());
        std::fs::create_dir_all(paths.config()).expect("made");
        for (name, text, problem) in [
            ("trainingjobconfig.json", "[1]", "holds a list"),
            ("trainingjobconfig.json", r#"{"AlgorithmSpecification": {"MetricDefinitions": 3}}"#, "not a list"),
            ("trainingjobconfig.json", r#"{"AlgorithmSpecification": null}"#, ""),
            ("metric-definition-regex.json", "{", "line 1"),
            ("metric-definition-regex.json", "[]", ""),
        ] {
            let path = paths.config().join(name);
            std::fs::write(&path, text).expect("written");
            let mut warnings = Vec::new();
            assert_eq!(metric_definitions(&paths, None, &mut warnings), [], "{text}");
            assert_eq!(warnings.is_empty(), problem.is_empty(), "{text}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.contains(problem) && warning.contains(name)), "{warnings:?}");
            std::fs::remove_file(path).expect("removed");
        }
        let mut warnings = Vec::new();
        metric_definitions(&paths, Some(&folder.path().join("none.json")), &mut warnings);
        assert!(warnings[0].ends_with("write the definitions into it, or unset FOOTPLATE_METRICS"), "{warnings:?}");
    }
}
