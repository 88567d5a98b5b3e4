//! A script that records its arguments, working directory and variables.

use serde_json::Value;

use super::job::Job;

/// The script. It writes its record to the file that RECORD names.
pub const RECORDER: &str = r#"
import json, os, sys
def text(value):
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
with open(os.environ["RECORD"], "w") as f:
    env = {text(name): text(value) for name, value in os.environ.items()}
    json.dump({"argv": [text(word) for word in sys.argv], "cwd": os.getcwd(), "env": env}, f)
"#;

/// The record of a script.
#[derive(Debug)]
pub struct Record {
    /// The arguments, of which the first is the script's name.
    pub argv: Vec<String>,
    /// The working directory.
    pub cwd: String,
    env: Value,
}

impl Record {
    /// Returns the record of the job's last run.
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

    /// Returns the arguments without the script's name.
    pub fn arguments(&self) -> Vec<&str> {
        self.argv[1..].iter().map(String::as_str).collect()
    }

    /// Returns the value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env[name].as_str()
    }

    /// Returns the value of a variable, which must be set.
    #[track_caller]
    pub fn var(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("{name} is not set: {:#}", self.env))
    }

    /// Returns the names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.env.as_object().expect("variables").keys().map(String::as_str)
    }
}

/// Returns a job whose script is the recorder.
pub fn recording() -> Job {
    recorded(Job::python(RECORDER))
}

/// Sets the file into which a job's recorder writes.
pub fn recorded(job: Job) -> Job {
    let record = job.path("record.json").display().to_string();
    job.variable("RECORD", &record)
}
