//! Jobs of the local modes of the SageMaker Python SDKs, in images that contain the binary. The SDKs start the containers
//! with docker-compose. Code and data are local files, because AWS is not available.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{images, kept, servers};

/// The last version of the SDK for which the incumbent was made.
pub const V2: &str = "sagemaker[local]==2.257.7";

/// The version of the SDK from whose drivers the recorded cases come.
const V3: &str = "sagemaker-train==1.27.0";

/// The folder of the Python package footplate.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sdk");

#[test]
fn an_estimator_of_v2_trains_on_one_host() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v2("1", "generic", "train.py");
    ended.trained(1, "two words");
}

#[test]
fn a_framework_estimator_of_v2_trains_on_two_hosts_that_find_each_other() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v2("2", "framework", "train.py");
    ended.trained(2, "two words");
}

#[test]
fn a_script_that_fails_under_v2_leaves_its_error_among_the_artifacts() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v2("1", "generic", "fails.py");
    ended.failed();
}

#[test]
fn a_command_of_v3_trains_on_one_host() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v3("1", "command", "train.py");
    ended.trained(1, "");
}

#[test]
fn a_command_of_v3_trains_on_two_hosts_that_find_each_other() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v3("2", "command", "train.py");
    ended.trained(2, "");
}

#[test]
fn a_command_of_v3_that_fails_leaves_its_error_among_the_artifacts() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v3("1", "command", "fails.py");
    ended.failed();
}

#[test]
fn the_binary_comes_with_a_job_of_v3_and_runs_ranks_on_two_hosts() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.run(V3, "v3.py", [images::debian("bookworm"), "2", "per-gpu", "train.py"]);
    ended.trained(4, "two words");
    let output = [&ended.output.stdout[..], &ended.output.stderr].concat();
    assert!(String::from_utf8_lossy(&output).contains("[algo-2:3] algo-2 has trained"), "{ended}");
}

#[test]
fn the_binary_comes_with_a_job_of_v3_and_runs_ranks_on_one_host() {
    let Some(place) = Workplace::new() else { return };
    place.run(V3, "v3.py", [images::debian("bookworm"), "1", "per-gpu", "train.py"]).trained(2, "two words");
}

#[test]
fn a_script_fails_as_usual_under_a_binary_that_came_with_the_job() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.run(V3, "v3.py", [images::debian("bookworm"), "1", "process", "fails.py"]);
    ended.failed();
}

#[test]
fn a_job_of_v3_sends_the_binary_to_the_service() {
    let folder = tempfile::tempdir().expect("failed to make a folder for the job");
    fs::create_dir(folder.path().join("code")).expect("failed to make a folder of the job");
    fs::copy(format!("{FIXTURES}/code/train.py"), folder.path().join("code/train.py"))
        .expect("failed to copy a script");
    let binary = folder.path().join("footplate");
    fs::copy("/bin/true", &binary).expect("failed to copy a program");
    // moto is in the environment of the test servers.
    let moto = servers::tools().with_file_name("lib");
    let moto =
        fs::read_dir(moto).expect("the environment").flatten().next().expect("its Python").path().join("site-packages");
    let environment = kept::environment(&[V3]);
    let mut command = Command::new(environment.join("bin/python3"));
    let output = kept::compiles_once(&mut command)
        .env("PYTHONPYCACHEPREFIX", environment.join("compiled"))
        .arg(format!("{FIXTURES}/api.py"))
        .args([folder.path(), &binary])
        .env("PYTHONPATH", format!("{}:{}", moto.display(), PYTHON))
        .env("HOME", folder.path())
        .env("SAGEMAKER_USER_CONFIG_OVERRIDE", format!("{FIXTURES}/config.yaml"))
        .output()
        .expect("failed to start the SDK's program");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = stdout.lines().last().unwrap_or_default();
    let asked: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(asked["hosts"], 2, "{asked:#}");
    assert_eq!(asked["runs_driver"], true, "{asked:#}");
    assert_eq!(asked["channels"], json!(["code", "sm_drivers"]), "{asked:#}");
    let distributed =
        json!({"launcher": "per-gpu", "process_count_per_node": null, "settings": {"grace_period": "30"}});
    assert_eq!(asked["distributed"], distributed, "{asked:#}");
    let sent = format!("distributed_drivers/footplate-{}", std::env::consts::ARCH);
    let size = fs::metadata("/bin/true").expect("a program").len();
    assert_eq!(asked["uploaded"][sent], size, "{asked:#}");
    assert!(asked["uploaded"]["distributed_drivers/footplate_driver.py"].is_u64(), "{asked:#}");
}

#[test]
fn an_image_that_v3_starts_without_arguments_trains() {
    let Some(place) = Workplace::new() else { return };
    let ended = place.v3("1", "entrypoint", "train.py");
    ended.trained(1, "two words");
}

#[test]
fn a_script_processor_of_v2_runs_on_two_hosts() {
    let Some(place) = Workplace::new() else { return };
    place.processing(["2", "script", "footplate,process", "clean.py"]).cleaned(2);
}

#[test]
fn a_script_processor_of_v2_with_a_command_runs_on_one_host() {
    let Some(place) = Workplace::new() else { return };
    place.processing(["1", "script", "footplate,exec,--,python3", "clean.py"]).cleaned(1);
}

#[test]
fn a_framework_processor_of_v2_runs_its_command() {
    let Some(place) = Workplace::new() else { return };
    place.processing(["1", "framework", "footplate,exec,--,python3", "clean.py"]).cleaned(1);
}

#[test]
fn a_script_processor_of_v3_runs_on_two_hosts() {
    let Some(place) = Workplace::new() else { return };
    place.processing_by(V3, "processing_v3.py", ["2", "script", "footplate,process", "clean.py"]).cleaned(2);
}

#[test]
fn a_framework_processor_of_v3_runs_its_command() {
    let Some(place) = Workplace::new() else { return };
    let command = "footplate,exec,--,python3";
    place.processing_by(V3, "processing_v3.py", ["1", "framework", command, "clean.py"]).cleaned(1);
}

#[test]
fn the_first_cause_of_a_script_processor_of_v2_is_on_both_hosts() {
    let Some(place) = Workplace::new() else { return };
    // The SDK removes the containers' folders, and docker-compose reads one `$` itself.
    let start = "footplate process --set launcher=per-gpu --set processes_per_host=1";
    let command = format!(r#"sh,-c,{start} "$$@" || {{ cat /opt/ml/output/message; exit 1; }},sh"#);
    let Processed { ended, .. } = place.processing(["2", "script", &command, "unclean.py"]);
    assert!(!ended.output.status.success(), "{ended}");
    let text = [&ended.output.stdout[..], &ended.output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let failed = "failed with exit code 1: ValueError: bad data in data.csv line 3";
    assert!(text.matches(failed).count() >= 2, "{ended}");
    // The end of the first container ends the others, so that one of them may not get to show its message.
    assert!(text.contains("at unclean.py:5"), "{ended}");
}

/// A folder with code and data for one job of an SDK. The job's containers are removed when the value is dropped. Only one
/// exists on the machine at a time, because the SDKs give the network of every job one name.
struct Workplace {
    folder: TempDir,
    _lock: File,
}

/// The end of a program that uses an SDK. `{}` shows all of it.
struct Ended {
    output: Output,
    folder: PathBuf,
}

impl Workplace {
    /// Returns `None` if the test is skipped.
    fn new() -> Option<Workplace> {
        if !images::usable() {
            return None;
        }
        if Command::new("docker-compose").arg("version").output().is_err() {
            images::skip("the SDKs' local modes need docker-compose");
            return None;
        }
        let lock = images::locked("sdk");
        let folder = tempfile::tempdir().expect("failed to make a folder for the job");
        for part in ["code", "data"] {
            fs::create_dir(folder.path().join(part)).expect("failed to make a folder of the job");
        }
        for script in ["train.py", "fails.py", "clean.py", "unclean.py"] {
            fs::copy(format!("{FIXTURES}/code/{script}"), folder.path().join("code").join(script))
                .expect("failed to copy a script");
        }
        fs::write(folder.path().join("data/data.csv"), "x,y\n1,2\n2,4\n3,6\n").expect("failed to write the data");
        Some(Workplace { folder, _lock: lock })
    }

    /// Runs a job of SDK version 2, which starts the container with the command `train`.
    fn v2(&self, hosts: &str, estimator: &str, script: &str) -> Ended {
        let image = images::with_train(images::debian("bookworm"));
        self.run(V2, "v2.py", [image, hosts, estimator, script])
    }

    /// Runs a job of SDK version 3, which starts the container with an entry point of its own, or without arguments.
    fn v3(&self, hosts: &str, how: &str, script: &str) -> Ended {
        let image = images::with_entrypoint(images::debian("bookworm"));
        self.run(V3, "v3.py", [image, hosts, how, script])
    }

    /// Runs a processing job of SDK version 2.
    fn processing(&self, arguments: [&str; 4]) -> Processed {
        self.processing_by(V2, "processing_v2.py", arguments)
    }

    /// Runs a processing job of an SDK, which uploads the code to moto's S3.
    fn processing_by(&self, package: &str, program: &str, arguments: [&str; 4]) -> Processed {
        let image = images::with_entrypoint(images::debian("bookworm"));
        let server = servers::Server::moto();
        let mut command = self.command(package, program);
        command.arg(image).args(arguments).env("AWS_ENDPOINT_URL", server.url());
        Processed { ended: self.end(command), server }
    }

    fn run(&self, package: &str, program: &str, arguments: [&str; 4]) -> Ended {
        let mut command = self.command(package, program);
        command.args(arguments);
        self.end(command)
    }

    fn end(&self, mut command: Command) -> Ended {
        let output = command.output().expect("failed to start the SDK's program");
        Ended { output, folder: self.folder.path().to_owned() }
    }

    /// Returns the command of a program that uses an SDK, without its arguments after the folder.
    fn command(&self, package: &str, program: &str) -> Command {
        let environment = kept::environment(&[package]);
        let mut command = Command::new(environment.join("bin/python3"));
        kept::compiles_once(&mut command)
            .arg(format!("{FIXTURES}/{program}"))
            .arg(self.folder.path())
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("PYTHONPATH", PYTHON)
            // What it compiles is not for the folders of the repository and of the job.
            .env("PYTHONPYCACHEPREFIX", environment.join("compiled"))
            .env("FOOTPLATE_TEST_BINARY", images::BINARY)
            .env("AWS_ACCESS_KEY_ID", "none")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("SAGEMAKER_USER_CONFIG_OVERRIDE", format!("{FIXTURES}/config.yaml"));
        command
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        for file in found(self.folder.path(), "docker-compose.yaml") {
            let _ = Command::new("docker-compose").arg("-f").arg(file).args(["down", "--timeout", "1"]).output();
        }
    }
}

impl Ended {
    /// Checks the model of every host: it comes from the channel's data, and the script knew all hosts, the
    /// hyperparameters and, from its arguments, `name`.
    #[track_caller]
    fn trained(&self, hosts: usize, name: &str) {
        assert!(self.output.status.success(), "{self}");
        let models: Vec<Value> = (0..hosts)
            .map(|rank| self.artifact("model.tar.gz", &format!("{rank}.json")))
            .map(|text| {
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text:?} is not a model: {error}\n{self}"))
            })
            .collect();
        for model in models {
            assert_eq!(model["hosts"], json!(hosts), "{self}");
            assert_eq!(model["slope"], json!(2.0), "{self}");
            assert_eq!(model["name"], json!(name), "{self}");
            assert_eq!(model["hps"], json!({"ridge": 0.0, "name": "two words"}), "{self}");
        }
    }

    /// Checks that the SDK reported the failure, and that the artifacts contain the script's error.
    #[track_caller]
    fn failed(&self) {
        assert!(!self.output.status.success(), "{self}");
        let failure = self.artifact("output.tar.gz", "failure");
        assert!(failure.starts_with("ValueError: bad data in data.csv line 3"), "{failure}\n{self}");
        assert!(failure.contains("fails.py:5"), "{failure}\n{self}");
    }

    /// Returns a file from one of the archives that the SDK made of the containers' output.
    #[track_caller]
    fn artifact(&self, archive: &str, name: &str) -> String {
        let archives = found(&self.folder, archive);
        let [archive] = archives.as_slice() else { panic!("{archive} is not there once but {archives:?}\n{self}") };
        let output = Command::new("tar").arg("-xzOf").arg(archive).arg(name).output().expect("failed to run tar");
        assert!(output.status.success(), "{} has no {name}\n{self}", archive.display());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The end of a program that runs a processing job, and the server that has its output.
struct Processed {
    ended: Ended,
    server: servers::Server,
}

impl Processed {
    /// Checks the output of every host.
    #[track_caller]
    fn cleaned(&self, hosts: usize) {
        let ended = &self.ended;
        assert!(ended.output.status.success(), "{ended}");
        for rank in 0..hosts {
            let output = self.server.get("footplate-processing", &format!("result/{rank}.json"));
            let output = output.unwrap_or_else(|| panic!("no output of host {rank}: {ended}"));
            let result: Value = serde_json::from_slice(&output).expect("JSON");
            assert_eq!((&result["rows"], &result["hosts"]), (&json!(3), &json!(hosts)), "{ended}");
            assert!(result["job"].as_str().is_some_and(|name| name.starts_with("footplate-")), "{ended}");
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "the SDK's program ended with {}", self.output.status)?;
        writeln!(f, "--- stdout ---\n{}", String::from_utf8_lossy(&self.output.stdout))?;
        write!(f, "--- stderr ---\n{}---", String::from_utf8_lossy(&self.output.stderr))
    }
}

/// Returns the files with this name below a folder.
fn found(folder: &Path, name: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .flat_map(|path| match path {
            path if path.is_dir() => found(&path, name),
            path if path.ends_with(name) => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
