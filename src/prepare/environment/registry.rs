//! The variables of a job that a script can rely on. The tables of the documentation are generated from these lists, and
//! tests check that every variable that is set is listed. Those of a launch are listed in `launch`.

pub use super::variable::Variable;

use super::variable::Definition;
use super::{additions, drivers, processing, toolkit};

/// The tables behind [`added_variables`].
const ADDED: &[&[Definition]] = &[additions::OFFERED, drivers::DISTRIBUTED, additions::REPLACING];

/// The variable that names the file of the variables that were too large to be set.
pub const ENVIRONMENT_FILE: &str = "FOOTPLATE_ENVIRONMENT_FILE";

/// The variables that no table computes.
const OTHERS: [Variable; 1] =
    [Variable::new(ENVIRONMENT_FILE, "A JSON file of the variables that were too large to be set, if there are any.")];

/// Returns the variables of sagemaker-training.
pub fn toolkit_variables() -> Vec<Variable> {
    toolkit::TABLE.iter().map(Definition::variable).collect()
}

/// Returns the variables that footplate sets in addition.
pub fn added_variables() -> Vec<Variable> {
    ADDED.iter().copied().flatten().map(Definition::variable).chain(OTHERS).collect()
}

/// Returns the variables that only processing jobs have.
pub fn processing_variables() -> Vec<Variable> {
    processing::TABLE.iter().map(Definition::variable).collect()
}

#[cfg(test)]
mod tests {
    use super::{added_variables, processing_variables, toolkit_variables};
    use crate::job::config;
    use crate::job::python::{Value, parse};
    use crate::job::settings::Settings;
    use crate::job::{DriverConfig, Paths, ProcessingJob, Variables};
    use crate::machine::Hardware;
    use crate::prepare::environment::{ExistingVariables, build};

    #[test]
    fn every_table_is_listed_in_its_order() {
        let names = |list: &[super::Variable]| list.iter().map(|variable| variable.name).collect::<Vec<_>>();
        let toolkit = names(&toolkit_variables());
        assert_eq!((toolkit.len(), toolkit[0], toolkit[36]), (37, "SM_MODEL_DIR", "SAGEMAKER_REGION"));
        let additions = names(&added_variables());
        let (first, last) = (&additions[..2], &additions[additions.len() - 3..]);
        assert_eq!(first, ["MASTER_ADDR", "MASTER_PORT"]);
        assert_eq!(last, ["SM_DISTRIBUTED_DRIVER_DIR", "PYTHONPATH", "FOOTPLATE_ENVIRONMENT_FILE"]);
    }

    fn is_documented(name: &str) -> bool {
        toolkit_variables().iter().chain(&added_variables()).chain(&processing_variables()).any(|variable| {
            match variable.name.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == variable.name,
            }
        })
    }

    #[test]
    fn every_variable_that_is_built_is_documented() {
        let mut job = config::without_files(Paths::under("/opt/ml"), &Variables::default()).job;
        job.checkpoint_dir = Some("/opt/ml/checkpoints".into());
        job.hyperparameters.set("batch-size", "3");
        let Ok(Value::Dict(resources)) = parse(r#"{"topology": [{"hostName": "algo-1"}]}"#) else { panic!() };
        job.cluster.resource_config = Value::Dict(resources.clone());
        let toolkit = job.clone();
        job.drivers = Some(DriverConfig {
            entry_script: Some("train.py".to_owned()),
            distributed: Some(resources.clone()),
            ..DriverConfig::default()
        });
        let mut processing = toolkit.clone();
        processing.processing = Some(ProcessingJob { inputs: resources, ..ProcessingJob::default() });
        for job in [toolkit, processing, job] {
            let settings = Settings::default();
            let existing = ExistingVariables::Overwrite;
            let built = build(&job, &Hardware::default(), &settings, &Variables::default(), existing).expect("built");
            for name in built.variables.keys() {
                let name = String::from_utf8_lossy(name);
                assert!(is_documented(&name), "{name}");
            }
        }
    }
}
