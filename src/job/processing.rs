//! A processing job (platform contract, section 8).

use std::path::PathBuf;

use crate::job::python::{Dict, Text, Value};

/// The part of a processing job that a training job does not have.
#[derive(Clone, Debug, Default)]
pub struct ProcessingJob {
    /// The content of `processingjobconfig.json`; empty if the file does not exist.
    pub config: Dict,
    /// The folder of each input, by name, in the order of the file.
    pub inputs: Dict,
    /// The folder of each output, by name, in the order of the file.
    pub outputs: Dict,
    /// The working directory of the container, in which the script runs.
    pub working_dir: PathBuf,
    /// The folder of the script, else that of the input `code`.
    pub code_dir: PathBuf,
    /// The command, if it does not run a script; otherwise empty.
    pub command: Vec<Text>,
    /// The Python that the command names.
    pub python: Option<PathBuf>,
}

impl ProcessingJob {
    /// Returns the command line with which the platform starts the container (ContainerEntrypoint and
    /// ContainerArguments), if the request states one.
    pub fn container_command(&self) -> Vec<String> {
        let application = self.config.get("AppSpecification").and_then(Value::as_dict);
        let words = |key: &str| application.and_then(|dict| dict.get(key)).and_then(Value::as_list).unwrap_or_default();
        let all = words("ContainerEntrypoint").iter().chain(words("ContainerArguments"));
        all.map(|word| word.to_py_str().to_str().into_owned()).collect()
    }
}
