//! Reader of the files with which the platform configures Debugger, its profiler, and TensorBoard. Libraries in the
//! script write their output, and the platform uploads it. footplate only describes these outputs and leaves the rest
//! to the libraries.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::job::python::{Dict, Value};

const KIND: FileKind = FileKind {
    expected: r#"an object such as {"LocalPath": "/opt/ml/output/tensors", "S3OutputPath": "s3://bucket/prefix"}"#,
    if_missing: "it may be missing",
};

/// An output of the job that the platform configures and a library writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformOutput {
    /// The purpose: `debugger`, `profiler` or `tensorboard`.
    pub name: &'static str,
    /// The configuration file.
    pub file: PathBuf,
    /// The folder that the library writes into, if the file names it.
    pub folder: Option<PathBuf>,
    /// The place in S3 that the platform uploads it to, if the file names it.
    pub s3: Option<String>,
}

/// The purposes and their files. The profiler's file has its parameters in a nested object.
const OUTPUTS: [(&str, &str); 3] = [
    ("debugger", "debughookconfig.json"),
    ("profiler", "profilerconfig.json"),
    ("tensorboard", "tensorboardoutputconfig.json"),
];

/// The key of the profiler's object.
const PROFILING: &str = "ProfilingParameters";

/// Returns the outputs that the platform's files configure. An invalid file only causes a warning.
pub fn platform_outputs(paths: &Paths, warnings: &mut Vec<String>) -> Vec<PlatformOutput> {
    let outputs = OUTPUTS.iter().filter_map(|(name, file)| {
        let path = paths.config().join(file);
        read(name, &path).unwrap_or_else(|error| {
            warnings.push(format!("not described: {error}"));
            None
        })
    });
    outputs.collect()
}

/// Returns the folder of event files for TensorBoard: the one that the job names, else the platform's.
pub fn tensorboard_folder(paths: &Paths, warnings: &mut Vec<String>) -> PathBuf {
    let outputs = platform_outputs(paths, warnings);
    let named = outputs.into_iter().find(|output| output.name == "tensorboard").and_then(|output| output.folder);
    named.unwrap_or_else(|| paths.tensorboard())
}

fn read(name: &'static str, path: &Path) -> Result<Option<PlatformOutput>, ConfigError> {
    let Some(value) = KIND.read_optional(path)? else { return Ok(None) };
    let outer = KIND.object(path, value)?;
    let inner = outer.get(PROFILING).and_then(Value::as_dict).cloned().unwrap_or_else(Dict::new);
    let is_set = |key: &str, value: bool| {
        [&outer, &inner].iter().any(|dict| dict.get(key).is_some_and(|found| found.is_true() == value))
    };
    if is_set("ProfilerEnabled", false) || is_set("DisableProfiler", true) || outer.is_empty() {
        return Ok(None);
    }
    let text = |key: &str| -> Result<Option<String>, ConfigError> {
        Ok(match KIND.string(path, &outer, key)? {
            Some(text) => Some(text),
            None => KIND.string(path, &inner, key)?,
        })
    };
    let folder = text("LocalPath")?.map(PathBuf::from);
    Ok(Some(PlatformOutput { name, file: path.to_owned(), folder, s3: text("S3OutputPath")? }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{PlatformOutput, platform_outputs, tensorboard_folder};
    use crate::job::Paths;

    #[test]
    fn the_platforms_files_are_described() {
        let base = tempfile::tempdir().expect("a folder");
        let paths = Paths::under(base.path());
        fs::create_dir_all(paths.config()).expect("made");
        let write = |name: &str, text: &str| fs::write(paths.config().join(name), text).expect("written");
        let mut warnings = Vec::new();
        assert_eq!(platform_outputs(&paths, &mut warnings), []);
        assert_eq!(tensorboard_folder(&paths, &mut warnings), base.path().join("output/tensorboard"));
        write("debughookconfig.json", r#"{"S3OutputPath":"s3://b/d","LocalPath":"/tensors","HookParameters":null}"#);
        write("profilerconfig.json", r#"{"ProfilingParameters":{"ProfilerEnabled":true,"LocalPath":"/p"}}"#);
        write("tensorboardoutputconfig.json", r#"{"S3OutputPath":"s3://b/t","LocalPath":"/boards/"}"#);
        let output = |name: &'static str, file: &str, folder: &str, s3: Option<&str>| PlatformOutput {
            name,
            file: paths.config().join(file),
            folder: Some(folder.into()),
            s3: s3.map(str::to_owned),
        };
        assert_eq!(
            platform_outputs(&paths, &mut warnings),
            [
                output("debugger", "debughookconfig.json", "/tensors", Some("s3://b/d")),
                output("profiler", "profilerconfig.json", "/p", None),
                output("tensorboard", "tensorboardoutputconfig.json", "/boards/", Some("s3://b/t")),
            ]
        );
        assert_eq!(tensorboard_folder(&paths, &mut warnings), std::path::Path::new("/boards/"));
        for off in [r#"{"ProfilingParameters":{"ProfilerEnabled":false}}"#, r#"{"DisableProfiler":true}"#, "{}"] {
            write("profilerconfig.json", off);
            assert!(platform_outputs(&paths, &mut warnings).iter().all(|output| output.name != "profiler"), "{off}");
        }
        assert_eq!(warnings, [] as [&str; 0]);
        write("profilerconfig.json", "[1]");
        assert_eq!(platform_outputs(&paths, &mut warnings).len(), 2);
        assert!(warnings.len() == 1 && warnings[0].contains("profilerconfig.json"), "{warnings:?}");
    }
}
