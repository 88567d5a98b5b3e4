//! A script that writes down what it was given.

use serde_json::Value;

use super::job::Job;

/// The script: writes its argv, working directory and variables to the file that RECORD names.
pub const RECORDER: &str = r#"
import json, os, sys
def text(value):
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
with open(os.environ["RECORD"], "w") as f:
    env = {text(name): text(value) for name, value in os.environ.items()}
    json.dump({"argv": [text(word) for word in sys.argv], "cwd": os.getcwd(), "env": env}, f)
"#;

/// The variables and arguments that a script was given.
#[derive(Debug)]
pub struct Record {
    /// Its arguments, its own name first.
    pub argv: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    env: Value,
}

impl Record {
    /// Returns what the last run of this job's script was given.
    #[track_caller]
    pub fn of(job: &Job) -> Record {
        let text = job.read("record.json").expect("the script ran");
        let value: Value = serde_json::from_str(&text).expect("a record");
        let argv = value["argv"].as_array().expect("words").iter();
        Record {
            argv: argv.map(|word| word.as_str().expect("a word").to_owned()).collect(),
            cwd: value["cwd"].as_str().expect("a folder").to_owned(),
            env: value["env"].clone(),
        }
    }

    /// Its arguments without its own name.
    pub fn arguments(&self) -> Vec<&str> {
        self.argv[1..].iter().map(String::as_str).collect()
    }

    /// The value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env[name].as_str()
    }

    /// The value of a variable that must be set.
    #[track_caller]
    pub fn var(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("{name} is not set: {:#}", self.env))
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.env.as_object().expect("variables").keys().map(String::as_str)
    }
}

/// A job whose script is the recorder.
pub fn recording() -> Job {
    recorded(Job::python(RECORDER))
}

/// Tells a job's recorder where to write.
pub fn recorded(job: Job) -> Job {
    let record = job.path("record.json").display().to_string();
    job.variable("RECORD", &record)
}
