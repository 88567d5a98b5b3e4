//! The Python package sagemaker_training on top of footplate, under real frameworks and under frameworks that a test makes.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::installers;
use super::job::{Ended, FOOTPLATE, Job, eventually, executable, search_path};
use super::kept::{self, wheel};
use super::record::record;
use super::servers::{CodeArtifact, Server};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shim");

/// Writes the package into a folder.
pub fn shim(folder: &Path) -> Output {
    let mut command = Command::new(FOOTPLATE);
    command.args(["shim", "--dir"]).arg(folder).env_clear().output().expect("footplate starts")
}

/// A job whose code folder does not exist, with the package in the folder `site` and footplate on PATH.
fn job() -> Job {
    let job = Job::new().file("site/.keep", "").file("bin/.keep", "").without("SAGEMAKER_PROGRAM");
    let output = shim(&job.path("site"));
    assert!(output.status.success(), "{output:?}");
    symlink(FOOTPLATE, job.path("bin/footplate")).expect("a link");
    std::fs::remove_dir(job.path("code")).expect("removed");
    let path = format!("{}:{}", job.path("bin").display(), search_path());
    let site = job.path("site").display().to_string();
    job.variable("PATH", &path).variable("PYTHONPATH", &site)
}

/// A job that a framework of the image runs, whose function `main` has this body. The code that the job supplies is the script
/// `train.py`.
fn framework(body: &str, script: &str) -> Job {
    let body = body.replace('\n', "\n    ");
    let head =
        "from sagemaker_training import entry_point, environment, errors, files, modules, runner\nimport os, sys";
    let job = job();
    let source = job.path("source").display().to_string();
    job.file("site/fw/__init__.py", format!("{head}\n\ndef main():\n    env = environment.Environment()\n    {body}\n"))
        .file("source/train.py", script)
        .variable("SAGEMAKER_TRAINING_MODULE", "fw:main")
        .hyperparameters(&format!(
            r#"{{"lr": 0.1, "sagemaker_program": "train.py", "sagemaker_submit_directory": "{source}"}}"#
        ))
}

/// The call by which a framework container runs the script.
const RUN: &str = "entry_point.run(env.module_dir, env.user_entry_point, env.to_cmd_args(), env.to_env_vars())";

/// Runs a Python program with the package.
fn python(job: &Job, arguments: &[&str]) -> Ended {
    let mut command = Command::new("python3");
    command.args(arguments);
    let output = job.within(command).output().expect("python3 starts");
    job.ended(output, std::time::Duration::ZERO)
}

#[test]
fn the_package_keeps_the_promises_of_the_original() {
    let job = job();
    let ended = python(&job, &[&format!("{FIXTURES}/cases.py")]);
    assert_eq!(ended.code(), 0, "{ended:#?}");
    assert!(ended.stderr.contains("Ran 32 tests"), "{}", ended.stderr);
}

#[test]
fn a_framework_runs_the_script_with_its_arguments_and_variables() {
    let script =
        "import os, sys\nprint(sys.argv[1:], os.environ['SM_HP_LR'], os.environ['SM_FRAMEWORK_MODULE'], os.getcwd())";
    let job = framework(&format!("{RUN}\nprint('function in', os.getcwd())"), script);
    let ended = job.train().succeeded();
    let code = job.path("code").display().to_string();
    let stdout = ended.stdout();
    assert!(stdout.contains(&format!("['--lr', '0.1'] 0.1 fw:main {code}\n")), "{ended:#?}");
    assert!(!ended.stderr.contains("there is no setting"), "{ended:#?}");
    assert!(
        stdout.contains("function in ") && !stdout.contains(&format!("function in {code}")),
        "the framework stays where it is"
    );

    // As the toolkit of TensorFlow does, which changes `model_dir`.
    let body = "variables = dict(env.to_env_vars(), SM_HP_LR='changed')\n\
                entry_point.run(env.module_dir, 'train.py', ['--a b', \"it's\", ''], variables, capture_error=True)";
    let ended = framework(body, script).train().succeeded();
    assert!(ended.stdout().contains("['--a b', \"it's\", ''] changed fw:main "), "{ended:#?}");
}

#[test]
fn a_script_that_fails_under_a_framework_leaves_its_own_error() {
    let script = "def load():\n    raise ValueError('boom')\nload()";
    let job = framework(RUN, script);
    let ended = job.train().failed(1, "ValueError: boom\nat train.py:2 in load\n");
    assert!(!ended.failure().contains("sagemaker_training"), "{ended:#?}");
    // The footplate that runs the framework tells it to the record and to the other hosts.
    let told = record(&job)["failure"]["cause"].clone();
    assert_eq!(
        (&told["headline"], &told["place"]["path"], &told["place"]["line"]),
        (&"ValueError: boom".into(), &"train.py".into(), &2.into()),
        "{told:#}"
    );
    let command = told["command"].as_str().unwrap_or_default();
    assert!(command.ends_with("python3 train.py --lr 0.1"), "the script's, and not the framework's: {command}");
    // An error of the framework itself, after one of the script that it has caught, is the framework's.
    let body = format!("try:\n    {RUN}\nexcept errors.ExecuteUserScriptError:\n    pass\nraise KeyError('late')");
    framework(&body, script).train().failed(1, "KeyError: 'late'\nat ");
    let body = format!(
        "try:\n    {RUN}\nexcept errors.ExecuteUserScriptError as error:\n    print('caught', error.return_code, str(error))"
    );
    let ended = framework(&body, "import sys; sys.exit(7)").train().succeeded();
    assert!(
        ended.stdout().contains("caught 7 ExecuteUserScriptError:\nExitCode 7\nErrorMessage \"exit code 7"),
        "{ended:#?}"
    );
    // An error that the framework does not catch ends the job with the exit code of the script.
    let ended = framework(RUN, "import sys; sys.exit(7)").train().failed(7, "exit code 7, with no error printed\n");
    let told = ended.stderr.matches(" ERROR failed with exit code 7: exit code 7, with no error printed\n").count();
    assert_eq!(told, 2, "by both footplates: {ended:#?}");
    let ended = framework(RUN, "import os; os.kill(os.getpid(), 9)").train();
    assert_eq!(ended.code(), 137, "{ended:#?}");
}

#[test]
fn the_kind_of_a_failure_is_the_class_of_the_exception() {
    let body = |expected: &str| {
        format!(
            "try:\n    {RUN}\nexcept errors.ClientError as error:\n    print(type(error).__name__ == '{expected}', error)"
        )
    };
    let job = framework(&body("InstallRequirementsError"), "").file("source/requirements.txt", "no such syntax !!");
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("True InstallRequirementsError:\nExitCode 1\n"), "{ended:#?}");
    let job = framework(&body("InstallModuleError"), "").file("source/setup.py", "raise SystemExit('no package')");
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("True InstallModuleError:\nExitCode "), "{ended:#?}");
    let job = framework(&body("ClientError").replace("env.module_dir", "'/no/such/folder'"), "");
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("True the source /no/such/folder does not exist"), "{ended:#?}");
    let job = framework(&body("ClientError").replace("env.user_entry_point", "'other.py'"), "");
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("True the entry point \"other.py\" is not in "), "{ended:#?}");
}

/// Returns a job whose framework calls a function of `modules` on the code, and then imports `imported`. Its Python is a
/// virtual environment with pip.
fn installing(function: &str, imported: &str) -> Job {
    let body = format!(
        "files.download_and_extract(env.module_dir, environment.code_dir)\n\
         os.environ.update(SM_OWN='kept')\nbefore = dict(os.environ)\n\
         modules.{function}(environment.code_dir, capture_error=True)\nassert dict(os.environ) == before\n\
         import importlib\nimportlib.invalidate_caches()\nprint('imported', *map(importlib.import_module, {imported}))"
    );
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    let job =
        framework(&body, "").file("source/pyproject.toml", project).file("source/backend.py", installers::BACKEND);
    let venv = job.path("venv");
    kept::copy_environment(installers::environment(), &venv);
    let path = format!("{}/bin:{}:{}", venv.display(), job.path("bin").display(), search_path());
    let home = job.base().display().to_string();
    job.variable("PATH", &path)
        .variable("HOME", &home)
        .variable("PIP_CONFIG_FILE", "/dev/null")
        .variable("PIP_NO_CACHE_DIR", "1")
}

#[test]
fn a_framework_installs_requirements_from_codeartifact() {
    const TOKEN: &str = "eyJ2ZXIiOjEtoken-of-a-framework";
    let folder = tempfile::tempdir().expect("a folder");
    wheel(folder.path(), &["fix", "1.2"]);
    let seen = installers::sources(folder.path());
    let repository = CodeArtifact::start(folder.path(), TOKEN);
    for (function, imported) in [("install_requirements", "['fix', 'outer']"), ("install", "['fix', 'outer', 'mine']")]
    {
        let job = installing(function, imported).file("source/requirements.txt", "fix\nouter\n");
        let temporary = folder.path().display().to_string();
        let job = repository.offered_to(job).variable("TMPDIR", &temporary);
        let ended = job.train().succeeded();
        assert!(ended.stdout().contains("imported <module 'fix' from "), "{ended:#?}");
        assert!(!format!("{ended:?}").contains(TOKEN), "{ended:#?}");
        let arguments = std::fs::read(&seen).expect("the inner package was built");
        let arguments = String::from_utf8_lossy(&arguments);
        assert!(arguments.contains("-r\0requirements.txt") && !arguments.contains(TOKEN), "{function}: {arguments}");
        std::fs::remove_file(&seen).expect("removed");
        // No file with the token is left.
        let left =
            Command::new("grep").args(["-rl", TOKEN]).arg(folder.path()).arg(job.base()).output().expect("grep runs");
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{function}");
    }
}

#[test]
fn a_framework_logs_in_to_codeartifact_only_for_a_requirements_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = CodeArtifact::start(folder.path(), "eyJ2ZXIiOjEtoken-of-a-framework");
    let another_role = |job: Job| repository.offered_to(job).variable("AWS_SECRET_ACCESS_KEY", "another-secret");
    another_role(installing("install", "['mine']")).train().succeeded();
    let arn = CodeArtifact::ARN;
    for function in ["install", "install_requirements"] {
        let job = installing(function, "[]").file("source/requirements.txt", "fix\n");
        let expected = format!("the CodeArtifact repository {arn} (CA_REPOSITORY_ARN) cannot be used: ");
        let ended = another_role(job).train();
        assert_ne!(ended.code(), 0, "{ended:#?}");
        assert!(ended.failure().contains(&expected), "{ended:#?}");
        assert!(ended.failure().contains("403 Forbidden The request signature"), "{ended:#?}");
        let job = installing(function, "[]").file("source/requirements.txt", "fix\n");
        let ended = another_role(job).variable("CA_REPOSITORY_ARN", "my-repo").train();
        assert!(ended.failure().contains("CA_REPOSITORY_ARN is \"my-repo\", but must be as arn:"), "{ended:#?}");
    }
}

#[test]
fn a_framework_chooses_the_launcher_and_its_parameters() {
    let body = RUN.replace(
        "())",
        "(), runner_type=runner.TorchDistributedRunnerType, \
                            extra_opts={'sagemaker_mpi_num_of_processes_per_host': 3})",
    );
    let job = framework(&body, "").file("bin/torchrun", "");
    executable(&job.path("bin/torchrun"), "#!/bin/sh\necho \"torchrun $*\"\n");
    // The platform's flag is for the framework. The function itself runs once.
    let source = job.path("source").display().to_string();
    let job = job.hyperparameters(&format!(
        r#"{{"sagemaker_torch_distributed_enabled": true, "sagemaker_program": "train.py", "sagemaker_submit_directory": "{source}"}}"#
    ));
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "torchrun --nnodes=1 --nproc_per_node=3 train.py\n", "{ended:#?}");
}

#[test]
fn an_entry_point_that_is_not_waited_for_runs_beside_the_framework() {
    let body = RUN.replace("())", "(), wait=False)");
    let body = format!(
        "started = {body}\nassert started.poll() is None\nopen(os.path.join(environment.model_dir, 'go'), 'w').close()\n\
         print('ended', started.wait())"
    );
    let script = "import os, time\nwhile not os.path.exists(os.environ['SM_MODEL_DIR'] + '/go'):\n    time.sleep(0.01)\nprint('went')";
    let ended = framework(&body, script).train().succeeded();
    assert!(ended.stdout().contains("went\n") && ended.stdout().contains("ended 0\n"), "{ended:#?}");
}

#[test]
fn code_is_imported_as_a_module() {
    let body = "module = modules.import_module(env.module_dir, 'train')\nprint('said', module.say())";
    // pip is not needed for a module that is there already.
    let job = framework(&body.replace("modules.import_module", "imported"), "def say():\n    return 42");
    let site = job.read("site/fw/__init__.py").expect("the framework");
    let imported = "\n\ndef imported(uri, name):\n    files.download_and_extract(uri, environment.code_dir)\n    \
                    sys.path.insert(0, environment.code_dir)\n    return __import__(name)\n";
    let job = job.file("site/fw/__init__.py", site + imported);
    assert!(job.train().succeeded().stdout().contains("said 42\n"));
}

#[test]
fn the_command_of_the_original_runs_the_job() {
    let job = job().file("code/train.py", "print('trained')").variable("SAGEMAKER_PROGRAM", "train.py");
    for words in [
        &["-m", "sagemaker_training.cli.train"][..],
        &["-m", "sagemaker_training.cli.train", "train"],
        &["-c", "from sagemaker_training import trainer; trainer.train()"],
        &["-m", "sagemaker_containers.cli.train"],
    ] {
        let ended = python(&job, words).succeeded();
        assert_eq!(ended.stdout(), "trained\n", "{words:?} {ended:#?}");
    }
    // The script imports from where the caller imports, as with the original.
    let job =
        job.file("elsewhere/only_here.py", "").file("code/train.py", "import only_here, sys; print(sys.executable)");
    let program = "import sys; sys.path.append(sys.argv[1]); from sagemaker_training import trainer; \
                   print(sys.executable, flush=True); trainer.train()";
    let ended = python(&job, &["-c", program, &job.path("elsewhere").display().to_string()]).succeeded();
    let stdout = ended.stdout();
    let lines: Vec<_> = stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{ended:#?}");
    let job = job.file("code/train.py", "raise KeyError('x')");
    let ended = python(&job, &["-c", "from sagemaker_training import trainer; trainer.train()"]);
    assert_eq!(ended.code(), 1, "{ended:#?}");
    assert!(ended.failure().starts_with("KeyError: 'x'\nat train.py:1\n"), "{ended:#?}");
}

#[test]
fn a_function_that_trains_by_itself_again_is_refused() {
    let job = job().variable("SAGEMAKER_TRAINING_MODULE", "sagemaker_training.trainer:train");
    let ended = job.train();
    assert_eq!(ended.code(), 69, "{ended:#?}");
    assert!(ended.failure().contains("runs `footplate train`, which calls the function again"), "{ended:#?}");
}

#[test]
fn the_training_names_of_sagemaker_containers_are_there() {
    let program = "\
import sagemaker_containers, sagemaker_containers._env
from sagemaker_containers.beta.framework import (encoders, entry_point, env, errors, mapping, modules, params, runner, server,
    transformer, worker)
from sagemaker_containers.beta.framework.modules import run_module
import sagemaker_containers.beta.framework as framework
assert sagemaker_containers.training_env().current_host == framework.training_env().current_host == 'algo-1'
assert env.TrainingEnv().hosts == ['algo-1'] and params.MPI_ENABLED and runner.MPIRunnerType
try:
    worker.Response('x')
except NotImplementedError as error:
    assert 'serves models' in str(error), error
else:
    raise SystemExit('a server')
run_module(sys_argv[1], ['--x', '1'], {'SM_MINE': 'y'}, name='package.train')
entry_point.run(sys_argv[1], 'package/train.py', ['z'], {}, runner=runner.ProcessRunnerType)
";
    let job = job().file("source/package/__init__.py", "").file(
        "source/package/train.py",
        "import os, sys; print(__name__, __package__, sys.argv[1:], os.environ['SM_MINE'])",
    );
    let source = job.path("source").display().to_string();
    let program = program.replace("sys_argv[1]", &format!("{source:?}"));
    let ended = python(&job, &["-c", &program]);
    assert_eq!(ended.code(), 0, "{ended:#?}");
    assert_eq!(ended.stdout(), "__main__ package ['--x', '1'] y\n__main__ None ['z'] y\n", "{ended:#?}");
}

#[test]
fn the_originals_are_neither_overwritten_nor_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path();
    std::fs::create_dir_all(site.join("sagemaker_containers")).expect("a folder");
    let output = shim(site);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("sagemaker_containers is there already"), "{output:?}");
    assert!(!site.join("sagemaker_containers/__init__.py").exists());
    // Its own package is written anew.
    assert!(shim(site).status.success());
    std::fs::remove_file(site.join("sagemaker_training/_footplate.py")).expect("removed");
    let output = shim(site);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(said.contains("remove it first (pip uninstall --yes sagemaker-training)"), "{said}");
    assert_eq!(shim(&site.join("absent")).status.code(), Some(78));
}

/// A framework, or a test of one, can begin the uploads itself.
#[test]
fn intermediate_output_is_uploaded_on_request_until_the_job_has_ended() {
    let server = Server::moto();
    server.send("PUT", "/out", b"");
    let program = "\
import os, time
from sagemaker_training import environment, files, intermediate_output
sync = intermediate_output.start_sync('s3://out/prefix', 'us-east-1', server)
folder = environment.output_intermediate_dir
os.makedirs(os.path.join(folder, 'deep'))
for name in ('a.txt', 'deep/b.txt'):
    files.write_file(os.path.join(folder, name), name)
assert sync.is_alive()
files.write_success_file()
sync.join()
assert sync.exitcode == 0, sync.exitcode
assert intermediate_output.start_sync('s3://out/prefix', 'us-east-1') is None, 'the folder is there'
";
    let job = job()
        .variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        .variable("TRAINING_JOB_NAME", "job-1");
    let program = program.replace("server)", &format!("{:?})", server.url()));
    let ended = python(&job, &["-c", &program]);
    assert_eq!(ended.code(), 0, "{ended:#?}");
    for name in ["a.txt", "deep/b.txt"] {
        let found = server.get("out", &format!("prefix/job-1/output/intermediate/{name}"));
        assert_eq!(found.as_deref(), Some(name.as_bytes()), "{ended:#?}");
    }
}

#[test]
fn the_original_of_sagemaker_containers_is_used_wherever_it_is() {
    let (ours, site) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    assert!(shim(ours.path()).status.success());
    let program = "import sagemaker_containers\nfrom sagemaker_containers import _worker\nprint(_worker.__name__, _worker.__file__)";
    let run = || {
        let path = std::env::join_paths([ours.path(), site.path()]).expect("a path");
        let output = Command::new("python3").args(["-c", program]).env("PYTHONPATH", path).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (succeeded, said) = run();
    assert!(!succeeded && said.is_empty(), "the names for serving have no file: {said}");
    let original = site.path().join("sagemaker_containers");
    std::fs::create_dir(&original).expect("a folder");
    std::fs::write(original.join("__init__.py"), "").expect("written");
    std::fs::write(original.join("_worker.py"), "").expect("written");
    let (succeeded, said) = run();
    let file = original.join("_worker.py");
    assert!(succeeded && said == format!("sagemaker_containers._worker {}\n", file.display()), "{said}");
}

#[test]
fn hosts_whose_frameworks_run_the_script_fail_for_one_reason() {
    let job = framework(
        RUN,
        "import os, time\nif os.environ['SM_CURRENT_HOST'] == 'algo-2':\n    raise ValueError('boom')\ntime.sleep(600)",
    );
    let out = job.path("out").display().to_string();
    let module = "SAGEMAKER_TRAINING_MODULE=fw:main";
    let source = job.path("source").display().to_string();
    let words = [
        "local",
        "--source-dir",
        &source,
        "--entry-point",
        "train.py",
        "--hosts",
        "2",
        "--output-dir",
        &out,
        "--env",
        module,
    ];
    let ended = job.run(words);
    assert_eq!(ended.code(), 1, "{ended:#?}");
    let failure = job.read("out/failure").expect("a failure file");
    assert!(failure.starts_with("ValueError: boom\nat train.py:3\nhost algo-2"), "{failure}\n{ended:#?}");
}

/// Returns an environment with frameworks as they are published, without what they require: the package takes its place.
fn frameworks() -> PathBuf {
    kept::environment(&[
        "--no-deps",
        "sagemaker-pytorch-training==3.0.0",
        "sagemaker-tensorflow-training==20.5.0",
        "sagemaker-mxnet-training==4.3.0",
        "protobuf",
        "six",
        "retrying",
    ])
}

/// Returns the folder of the packages of [`frameworks`].
pub fn packages() -> PathBuf {
    let versions = std::fs::read_dir(frameworks().join("lib")).expect("the environment").flatten();
    versions.map(|entry| entry.path().join("site-packages")).next().expect("packages")
}

/// Returns a job that a published toolkit runs, and the hyperparameters that name its script.
fn toolkit(package: &str, script: &str) -> (Job, String) {
    let job = framework("", script).variable("SAGEMAKER_TRAINING_MODULE", &format!("{package}.training:main"));
    let path = format!("{}:{}", job.path("site").display(), packages().display());
    let source = job.path("source").display().to_string();
    let named = format!(r#""sagemaker_program": "train.py", "sagemaker_submit_directory": "{source}""#);
    (job.variable("PYTHONPATH", &path), named)
}

#[test]
fn pip_takes_the_package_for_the_original() {
    let python = frameworks().join("bin/python3");
    let job = job();
    let pip = |words: &[&str]| {
        // The environment has no pip of its own.
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "--python"]).arg(&python).args(words);
        let output = job.within(command).output().expect("pip starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(pip(&["list", "--disable-pip-version-check"]).contains("sagemaker-training            5.1.4+footplate"));
    let missing = pip(&["check"]);
    assert!(!missing.contains("sagemaker-pytorch-training 3.0.0 requires sagemaker-training"), "{missing}");
    assert!(!missing.contains("which is not installed: sagemaker-training"), "{missing}");
    let satisfied = pip(&["install", "--dry-run", "--no-index", "--no-deps", "sagemaker-training>=5.0.0,<6"]);
    assert!(satisfied.contains("already satisfied"), "{satisfied}");
    let shown = pip(&["show", "--files", "sagemaker-training"]);
    assert!(shown.contains("sagemaker_training/entry_point.py"), "{shown}");
}

#[test]
fn the_real_toolkit_of_pytorch_runs_over_the_package() {
    let script = "import os, sys\nif '--fail' in sys.argv:\n    raise ValueError('boom')\n\
                  print('trained', sys.argv[1:], os.environ['MASTER_ADDR'], os.environ['MASTER_PORT'])";
    let (job, named) = toolkit("sagemaker_pytorch_container", script);
    let job = job.variable("SM_STUDIO_LOCAL_MODE", "true").hyperparameters(&format!(r#"{{"lr": 0.1, {named}}}"#));
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("trained ['--lr', '0.1'] algo-1 7777\n"), "{ended:#?}");

    let job = job.hyperparameters(&format!(r#"{{"fail": true, {named}}}"#));
    let ended = job.train().failed(1, "ValueError: boom\nat train.py:3\n");
    assert!(!ended.failure().contains("ExecuteUserScriptError"), "{ended:#?}");

    // Its choice of launchers.
    let job = job
        .file("bin/torchrun", "")
        .hyperparameters(&format!(r#"{{"sagemaker_torch_distributed_enabled": true, {named}}}"#));
    executable(&job.path("bin/torchrun"), "#!/bin/sh\necho \"torchrun $*\"\n");
    let _ = std::fs::remove_file(job.path("output/failure"));
    assert!(job.train().succeeded().stdout().contains("torchrun --nnodes=1 --nproc_per_node=1 train.py\n"));
}

#[test]
fn the_real_toolkit_of_mxnet_runs_over_the_package() {
    let script = "import os, sys\nif '--fail' in sys.argv:\n    raise ValueError('boom')\n\
                  print('trained', sys.argv[1:], os.environ.get('DMLC_ROLE'), os.environ.get('DMLC_PS_ROOT_PORT'))";
    let (job, named) = toolkit("sagemaker_mxnet_container", script);
    let job = job.hyperparameters(&format!(r#"{{"lr": 1e-05, {named}}}"#));
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("trained ['--lr', '1e-05'] None None\n"), "{ended:#?}");
    let job = job.hyperparameters(&format!(r#"{{"fail": true, {named}}}"#));
    job.train().failed(1, "ValueError: boom\nat train.py:3\n");

    // It starts the scheduler and the server by importing MXNet, which a stand-in replaces.
    let mxnet = "import os\nfolder = os.environ['SAGEMAKER_BASE_DIR'] + '/output/data/'\n\
                 open(folder + os.environ['DMLC_ROLE'], 'w').close()";
    let _ = std::fs::remove_file(job.path("output/failure"));
    let job = job
        .file("site/mxnet/__init__.py", mxnet)
        .file("output/data/.keep", "")
        .file(
            "input/config/resourceconfig.json",
            r#"{"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}"#,
        )
        .hyperparameters(&format!(
            r#"{{"sagemaker_parameter_server_enabled": true, "_ps_port": "\"8123\"", {named}}}"#
        ));
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("trained ['--_ps_port', '8123'] worker 8123\n"), "{ended:#?}");
    for role in ["scheduler", "server"] {
        eventually(role, || job.path("output/data").join(role).exists().then_some(()));
    }
}

#[test]
fn the_real_toolkit_of_tensorflow_runs_over_the_package() {
    let script = "import os, sys\nif '--fail' in sys.argv:\n    raise ValueError('boom')\n\
                  print('trained', sys.argv[1:], os.environ['SM_HPS'], os.environ.get('TF_CONFIG'))";
    let (job, named) = toolkit("sagemaker_tensorflow_container", script);
    // It imports both, and uses neither where `model_dir` is a folder and no parameter server is asked for.
    let job = job.file("site/tensorflow/__init__.py", "").file("site/boto3/__init__.py", "");
    // The name of the job becomes a part of `model_dir`, so the arguments are other ones than the hyperparameters.
    let job = job.hyperparameters(&format!(r#"{{"model_dir": "models", "_tuning_objective_metric": "auc", {named}}}"#));
    let job = job.variable("TRAINING_JOB_NAME", "job-7");
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains("trained ['--model_dir', 'models/job-7/model'] "), "{ended:#?}");
    assert_eq!(ended.stderr.matches("the tuning job's objective auc has no value").count(), 1, "{ended:#?}");
    let job = job.hyperparameters(&format!(r#"{{"sagemaker_multi_worker_mirrored_strategy_enabled": true, {named}}}"#));
    let ended = job.train().succeeded();
    assert!(ended.stdout().contains(r#"trained [] {} {"cluster": {"worker": ["algo-1:8890"]}"#), "{ended:#?}");
    let job = job.hyperparameters(&format!(r#"{{"fail": true, {named}}}"#));
    job.train().failed(1, "ValueError: boom\nat train.py:3\n");
}

/// The container of XGBoost reads records with this module, and imports it for every job.
#[test]
fn the_training_part_of_sagemaker_containers_reads_the_platforms_files() {
    let program = r#"
from sagemaker_containers import _recordio
from sagemaker_containers.record_pb2 import Record
record = Record()
record.ParseFromString(bytes.fromhex("0a1a 0a0676616c756573 1210 120e 0a08 0000803f 00000040 1202 0307"))
record.label["values"].float32_tensor.values.append(5)
tensor = record.features["values"].float32_tensor
assert list(tensor.values) == [1.0, 2.0] and list(tensor.keys) == [3, 7], record
again = Record()
again.ParseFromString(record.SerializeToString())
assert again == record and again.label["values"].WhichOneof("value") == "float32_tensor", again
again.features["text"].bytes.value.append(b"x")
again.uid, again.metadata, again.configuration = "u", "m", "c"
assert again.features["more"].float64_tensor.values == [] and again.features["more"].int32_tensor.shape == []
"#;
    let job = job();
    let path = format!("{}:{}", job.path("site").display(), packages().display());
    let ended = python(&job.variable("PYTHONPATH", &path), &["-c", program]);
    assert_eq!(ended.code(), 0, "{ended:#?}");
}
