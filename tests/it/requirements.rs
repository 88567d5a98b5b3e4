//! Installing requirements with real pip.

use std::path::Path;
use std::process::Command;

use super::job::{Ended, Job, search_path};
use super::kept::wheel;

fn python(arguments: &[&str]) {
    let output = Command::new("python3").env("PATH", search_path()).args(arguments).output().expect("python3 runs");
    assert!(output.status.success(), "{output:#?}");
}

/// Returns a job with a virtual environment of its own, which uses this machine's pip. Its only source of packages is a
/// folder with the wheel `footplate_fixture` 1.2.
fn job(script: &str) -> Job {
    let job = Job::python(script);
    let (venv, wheels) = (job.path("venv"), job.path("wheels"));
    std::fs::create_dir(&wheels).expect("a folder");
    python(&["-m", "venv", "--without-pip", "--system-site-packages", venv.to_str().expect("a path")]);
    wheel(&wheels, &["footplate_fixture", "1.2"]);
    let (venv, wheels) = (venv.display().to_string(), wheels.display().to_string());
    let path = format!("{venv}/bin:{}", search_path());
    job.variable("PATH", &path)
        .variable("PIP_NO_INDEX", "1")
        .variable("PIP_FIND_LINKS", &wheels)
        .variable("PIP_CONFIG_FILE", "/dev/null")
        .variable("PIP_NO_CACHE_DIR", "1")
}

const IMPORTS: &str = "import footplate_fixture, sys; print('imported', footplate_fixture.VERSION, sys.prefix)";

/// Returns what the log says about requirements.
fn said(ended: &Ended) -> Vec<&str> {
    ended
        .stderr
        .lines()
        .filter_map(|line| line.split_once(" footplate INFO  requirements: "))
        .map(|(_, said)| said)
        .collect()
}

#[test]
fn requirements_are_installed_with_the_images_python() {
    let job = job(IMPORTS).file("code/requirements.txt", "# ours\nfootplate_fixture==1.2\n");
    let ended = job.train().succeeded();
    let code = job.path("code").display().to_string();
    let said = said(&ended);
    assert_eq!(said[0], format!("installing requirements.txt, found in {code}"));
    assert!(said[1].starts_with("installed by pip in "), "{said:?}");
    let stdout = ended.stdout();
    assert!(stdout.contains(&format!("imported 1.2 {}\n", job.path("venv").display())), "{stdout}");
    // pip's own output stands in the log, before the script's.
    let installed = stdout.find("Successfully installed footplate").unwrap_or_else(|| panic!("{stdout}"));
    assert!(installed < stdout.find("imported").expect("the script's line"));
}

#[test]
fn a_job_without_requirements_reports_that_and_starts_no_pip() {
    let ended = Job::python("print('ran')").train().succeeded();
    assert!(said(&ended)[0].starts_with("no requirements are installed: no requirements.txt in "), "{}", ended.stderr);
    let ended = Job::python("").file("code/requirement.txt", "x").train().succeeded();
    assert!(said(&ended)[0].contains("(there is requirement.txt; rename it if it is meant)"), "{}", ended.stderr);
    let ended = Job::python("").file("code/requirements.txt", "# nothing\n").train().succeeded();
    assert_eq!(said(&ended), ["no requirements are installed: requirements.txt holds none"]);
}

#[test]
fn requirements_can_be_turned_off() {
    for value in ["off", "false", "0"] {
        let job = Job::python("print('ran')").file("code/requirements.txt", "no-such-package-anywhere");
        let ended = job.variable("FOOTPLATE_REQUIREMENTS", value).train().succeeded();
        assert_eq!(said(&ended), ["requirements.txt is not installed: switched off"], "{value}");
        assert_eq!(ended.stdout(), "ran\n");
    }
}

#[test]
fn another_requirements_file_can_be_named_and_must_be_there() {
    let job = job(IMPORTS)
        .file("code/requirements.txt", "no-such-package-anywhere")
        .file("code/env/train.txt", "footplate_fixture")
        .variable("FOOTPLATE_REQUIREMENTS", "env/train.txt");
    let ended = job.train().succeeded();
    assert!(said(&ended)[0].starts_with("installing env/train.txt, found in "), "{}", ended.stderr);
    assert!(ended.stdout().contains("imported 1.2"));
    let job = Job::python("print('ran')")
        .file("code/requirements-gpu.txt", "")
        .variable("FOOTPLATE_REQUIREMENTS", "requirements_gpu.txt");
    let ended = job.train().failed(127, "the requirements file \"requirements_gpu.txt\" is not in ");
    assert!(ended.failure().contains("did you mean \"requirements-gpu.txt\"?"), "{ended:#?}");
}

#[test]
fn a_failed_installation_ends_the_job_with_pips_words_and_exit_code() {
    let job = job("print('ran')").file("code/requirements.txt", "footplate_fixture==9.9\n");
    let ended = job.train();
    let message = "Could not find a version that satisfies the requirement footplate_fixture==9.9";
    let ended = ended.failed(1, message);
    let remedy =
        "\nwhile the requirements were installed, exit code 1\nhint: no index has that package or version; check ";
    assert!(ended.failure().contains(remedy), "{ended:#?}");
    assert!(ended.failure().contains("python3 -m pip install -r requirements.txt"), "{ended:#?}");
    assert!(ended.stderr.contains(&format!("ERROR: {message}")), "pip's output is missing: {}", ended.stderr);
    assert!(!ended.stdout().contains("ran"));
}

#[test]
fn an_invalid_line_of_a_requirements_file_is_named() {
    let job = job("print('ran')").file("code/requirements.txt", "footplate_fixture\n=>=1\n");
    let ended = job.train();
    assert_ne!(ended.code(), 0);
    assert!(ended.failure().starts_with("Invalid requirement: '=>=1'"), "{ended:#?}");
    assert!(ended.failure().contains("line 2"), "{ended:#?}");
}

#[test]
fn an_index_password_reaches_neither_log_nor_failure_file() {
    let job = job("")
        .file("code/requirements.txt", "--index-url http://user:hunter2-hunter2@127.0.0.1:9/simple\nno_such_package");
    let job = job.without("PIP_NO_INDEX").variable("PIP_RETRIES", "0");
    let ended = job.train();
    assert_ne!(ended.code(), 0);
    assert!(ended.failure().contains("no_such_package"), "{ended:#?}");
    assert!(!ended.failure().contains("hunter2-hunter2"), "{ended:#?}");
    let own = ended.stderr.lines().filter(|line| line.contains(" footplate "));
    assert!(own.clone().count() > 0 && own.into_iter().all(|line| !line.contains("hunter2-hunter2")));
}

/// A build backend in the code folder itself, with which pip builds without downloads.
const BACKEND: &str = r#"
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "trainer-3.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.write("trainer.py")
        wheel.writestr("trainer-3.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 3.0\n")
        wheel.writestr("trainer-3.0.dist-info/WHEEL",
                       "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("trainer-3.0.dist-info/RECORD", "")
    return name
"#;

#[test]
fn a_package_is_installed_and_its_module_runs() {
    let script = "import importlib.metadata, sys; print(__name__, importlib.metadata.version('trainer'), sys.argv[1:])";
    let pyproject = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    let job = job("")
        .file("code/trainer.py", script)
        .file(
            "code/setup.py",
            "from setuptools import setup\nsetup(name='trainer', version='3.0', py_modules=['trainer'])\n",
        )
        .file("code/pyproject.toml", pyproject)
        .file("code/backend.py", BACKEND)
        .file("code/requirements.txt", "footplate_fixture")
        .hyperparameters(r#"{"lr": "0.1"}"#)
        .variable("SAGEMAKER_PROGRAM", "trainer.py");
    let ended = job.train().succeeded();
    let code = job.path("code").display().to_string();
    assert_eq!(said(&ended)[0], format!("installing the package in {code} and its requirements.txt"));
    assert!(ended.stdout().contains("__main__ 3.0 ['--lr', '0.1']\n"), "{}", ended.stdout());
    assert!(ended.stderr.contains("python3 -m trainer --lr 0.1"), "{}", ended.stderr);
    assert!(Path::new(&job.path("venv/lib")).exists());
}

#[test]
fn a_failed_build_is_reported_by_its_own_error() {
    let pyproject = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    let job = job("")
        .file("code/setup.py", "")
        .file("code/pyproject.toml", pyproject)
        .file("code/backend.py", "def build_wheel(*args):\n    raise RuntimeError('no compiler here')\n");
    let ended = job.train();
    assert_eq!(ended.code(), 1, "{ended:#?}");
    assert!(ended.failure().starts_with("RuntimeError: no compiler here"), "{ended:#?}");
}

#[test]
fn requirements_of_a_shell_script_are_not_installed() {
    let job = Job::shell("echo ran\n").file("code/requirements.txt", "no-such-package-anywhere");
    let ended = job.train().succeeded();
    assert!(
        said(&ended)[0].starts_with(
            "requirements.txt is not installed: train.sh is not a Python script, and installs what it needs itself"
        ),
        "{}",
        ended.stderr
    );
}
