//! Jobs of the local modes of the SageMaker Python SDKs, in images that contain the binary. The SDKs start the containers
//! with docker-compose. Code and data are local files, because AWS is not available.

use std::cell::OnceCell;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::rc::Rc;

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
fn estimators_of_v2_train_and_tell_why_a_script_failed() {
    let Some(mut sdk) = Sdk::start(V2, &["sagemaker.estimator", "sagemaker.local", "sagemaker.pytorch"]) else {
        return;
    };
    let image = images::with_train(images::debian("bookworm"));
    let mut run = |hosts, estimator, script| sdk.train("v2.py", [image, hosts, estimator, script]);
    run("1", "generic", "train.py").trained(1, "two words");
    // Two hosts find each other.
    run("2", "framework", "train.py").trained(2, "two words");
    run("1", "generic", "fails.py").failed();
}

#[test]
fn trainers_of_v3_train_and_tell_why_a_script_failed() {
    let Some(mut sdk) = Sdk::start(V3, &["sagemaker.train.model_trainer", "footplate.sagemaker"]) else { return };
    let (bare, image) = (images::debian("bookworm"), images::with_entrypoint(images::debian("bookworm")));
    let mut run = |image, hosts, how, script| sdk.train("v3.py", [image, hosts, how, script]);
    run(image, "1", "command", "train.py").trained(1, "");
    run(image, "2", "command", "train.py").trained(2, "");
    run(image, "1", "command", "fails.py").failed();
    // The image's own entry point runs without arguments.
    run(image, "1", "entrypoint", "train.py").trained(1, "two words");
    // The binary comes with the job, and runs ranks.
    run(bare, "1", "per-gpu", "train.py").trained(2, "two words");
    run(bare, "1", "process", "fails.py").failed();
    let ended = run(bare, "2", "per-gpu", "train.py");
    ended.trained(4, "two words");
    let output = [&ended.output.stdout[..], &ended.output.stderr].concat();
    assert!(String::from_utf8_lossy(&output).contains("[algo-2:3] algo-2 has trained"), "{ended}");
}

#[test]
fn processors_of_v2_run_and_tell_the_first_cause_on_every_host() {
    let modules = ["boto3", "sagemaker.local", "sagemaker.processing", "sagemaker.sklearn.estimator"];
    let Some(mut sdk) = Sdk::start(V2, &modules) else { return };
    let mut run = |arguments| sdk.process("processing_v2.py", arguments);
    run(["2", "script", "footplate,process", "clean.py"]).cleaned(2);
    run(["1", "script", "footplate,exec,--,python3", "clean.py"]).cleaned(1);
    run(["1", "framework", "footplate,exec,--,python3", "clean.py"]).cleaned(1);

    // The SDK removes the containers' folders, and docker-compose reads one `$` itself.
    let start = "footplate process --set launcher=per-gpu --set processes_per_host=1";
    let command = format!(r#"sh,-c,{start} "$$@" || {{ cat /opt/ml/output/message; exit 1; }},sh"#);
    let Processed { ended, .. } = run(["2", "script", &command, "unclean.py"]);
    assert!(!ended.output.status.success(), "{ended}");
    let text = [&ended.output.stdout[..], &ended.output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let failed = "failed with exit code 1: ValueError: bad data in data.csv line 3";
    assert!(text.matches(failed).count() >= 2, "{ended}");
    // The end of the first container ends the others, so that one of them may not get to show its message.
    assert!(text.contains("at unclean.py:5"), "{ended}");
}

#[test]
fn processors_of_v3_run() {
    let modules = ["boto3", "sagemaker.core.local.local_session", "sagemaker.core.processing"];
    let Some(mut sdk) = Sdk::start(V3, &modules) else { return };
    let mut run = |arguments| sdk.process("processing_v3.py", arguments);
    run(["2", "script", "footplate,process", "clean.py"]).cleaned(2);
    run(["1", "framework", "footplate,exec,--,python3", "clean.py"]).cleaned(1);
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
    let output = python(V3)
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

/// A process of an SDK, which runs jobs in forks of itself: its imports take seconds. Only one exists on the machine at a
/// time, because the SDKs give the network of every job one name.
struct Sdk {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// moto's S3, which the processing jobs share.
    storage: OnceCell<Rc<servers::Server>>,
    _lock: File,
}

/// The end of a program that uses an SDK, and the folder of its job. `{}` shows all of it. The job's containers are removed
/// when the value is dropped.
struct Ended {
    arguments: Vec<String>,
    output: Output,
    folder: TempDir,
}

impl Sdk {
    /// Starts an SDK that has imported modules. Returns `None` if the test is skipped.
    fn start(package: &str, modules: &[&str]) -> Option<Sdk> {
        if !images::usable() {
            return None;
        }
        let path = std::env::var_os("PATH").expect("a PATH");
        if !std::env::split_paths(&path).any(|folder| folder.join("docker-compose").exists()) {
            images::skip("the SDKs' local modes need docker-compose");
            return None;
        }
        let lock = images::locked("sdk");
        let mut process = python(package)
            .arg(format!("{FIXTURES}/jobs.py"))
            .args(modules)
            .env("PYTHONPATH", PYTHON)
            .env("FOOTPLATE_TEST_BINARY", images::BINARY)
            .env("AWS_ACCESS_KEY_ID", "none")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("SAGEMAKER_USER_CONFIG_OVERRIDE", format!("{FIXTURES}/config.yaml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("failed to start the SDK's program");
        let requests = process.stdin.take().expect("its input is piped");
        let answers = BufReader::new(process.stdout.take().expect("its output is piped"));
        Some(Sdk { process, requests, answers, storage: OnceCell::new(), _lock: lock })
    }

    /// Runs a training job.
    fn train(&mut self, program: &str, arguments: [&str; 4]) -> Ended {
        self.run(program, &arguments, json!({}))
    }

    /// Runs a processing job, whose code the SDK uploads to moto's S3.
    fn process(&mut self, program: &str, arguments: [&str; 4]) -> Processed {
        let image = images::with_entrypoint(images::debian("bookworm"));
        let server = Rc::clone(self.storage.get_or_init(|| Rc::new(servers::Server::moto())));
        // Nothing of the last job's output is left.
        server.send("POST", "/moto-api/reset", b"");
        let arguments = [&[image], &arguments[..]].concat();
        Processed { ended: self.run(program, &arguments, json!({"AWS_ENDPOINT_URL": server.url()})), server }
    }

    /// Runs a program in a new folder, which is its first argument and its home.
    fn run(&mut self, program: &str, arguments: &[&str], mut variables: Value) -> Ended {
        let folder = tempfile::tempdir().expect("failed to make a folder for the job");
        for part in ["code", "data"] {
            fs::create_dir(folder.path().join(part)).expect("failed to make a folder of the job");
        }
        for script in ["train.py", "fails.py", "clean.py", "unclean.py"] {
            fs::copy(format!("{FIXTURES}/code/{script}"), folder.path().join("code").join(script))
                .expect("failed to copy a script");
        }
        fs::write(folder.path().join("data/data.csv"), "x,y\n1,2\n2,4\n3,6\n").expect("failed to write the data");
        let root = folder.path().display().to_string();
        let files = ["stdout", "stderr"].map(|name| folder.path().join(name));
        variables["HOME"] = json!(root);
        let arguments: Vec<String> =
            [root].into_iter().chain(arguments.iter().map(|word| (*word).to_owned())).collect();
        let request = json!({"program": program, "arguments": arguments, "variables": variables,
            "stdout": files[0], "stderr": files[1]});
        writeln!(self.requests, "{request}").expect("failed to ask the SDK's program");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("failed to read the answer of the SDK's program");
        let status: i32 = answer.trim().parse().unwrap_or_else(|_| panic!("{program} {arguments:?}: {answer:?}"));
        let [stdout, stderr] = files.map(|file| fs::read(file).expect("the output of the SDK's program"));
        Ended { arguments, output: Output { status: ExitStatus::from_raw(status), stdout, stderr }, folder }
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // The name of the compose project is that of its folder.
        for file in found(self.folder.path(), "docker-compose.yaml") {
            let Some(project) = file.parent().and_then(Path::file_name) else { continue };
            let label = format!("label=com.docker.compose.project={}", project.to_string_lossy().to_lowercase());
            let ids = |words: &[&str]| {
                let output = Command::new("docker").args(words).args(["--quiet", "--filter", &label]).output();
                let text =
                    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            };
            for (list, remove) in
                [(&["ps", "--all"][..], &["rm", "--force"][..]), (&["network", "ls"], &["network", "rm"])]
            {
                let ids = ids(list);
                if !ids.is_empty() {
                    let _ = Command::new("docker").args(remove).args(ids).output();
                }
            }
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
        let archives = found(self.folder.path(), archive);
        let [archive] = archives.as_slice() else { panic!("{archive} is not there once but {archives:?}\n{self}") };
        let output = Command::new("tar").arg("-xzOf").arg(archive).arg(name).output().expect("failed to run tar");
        assert!(output.status.success(), "{} has no {name}\n{self}", archive.display());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The end of a program that runs a processing job, and the server that has its output.
struct Processed {
    ended: Ended,
    server: Rc<servers::Server>,
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
        writeln!(f, "the SDK's program {:?} ended with {}", self.arguments, self.output.status)?;
        writeln!(f, "--- stdout ---\n{}", String::from_utf8_lossy(&self.output.stdout))?;
        write!(f, "--- stderr ---\n{}---", String::from_utf8_lossy(&self.output.stderr))
    }
}

/// Returns the Python of an SDK. What it compiles is kept, but not in the folders of the repository and of the job.
fn python(package: &str) -> Command {
    let environment = kept::environment(&[package]);
    let mut command = Command::new(environment.join("bin/python3"));
    kept::compiles_once(&mut command).env("PYTHONPYCACHEPREFIX", environment.join("compiled"));
    command
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
