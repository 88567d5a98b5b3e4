//! The output of the machine's pip, and recorded outputs of other releases. The tests make the packages and download
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::pip_failure_line;
use crate::prepare::requirements::{InstallerKind, PipSettings, Scan, install_variables};

/// A Python program that makes the wheels `alpha` 1.0 and 2.0, `beta`, which requires alpha>=2, and `gamma`, which
/// requires alpha<2.
const WHEELS: &str = "
import zipfile
for name, version, needs in [('alpha', '1.0', ''), ('alpha', '2.0', ''), ('beta', '1.0', 'alpha>=2'), ('gamma', '1.0', 'alpha<2')]:
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(f'wheels/{name}-{version}-py3-none-any.whl', 'w') as wheel:
        wheel.writestr(f'{name}.py', '')
        wheel.writestr(info + '/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n' + (f'Requires-Dist: {needs}\\n' if needs else ''))
        wheel.writestr(info + '/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr(info + '/RECORD', '')
";

/// Returns a folder with a virtual environment `venv`, another one, `bare`, without pip, and `wheels`. All tests share
/// it, because making it takes seconds.
fn workshop() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // The build folder keeps it between runs.
        // `tests/newest` sets another version of pip than the one that Python brings.
        let version = std::env::var("FOOTPLATE_TEST_PIP").unwrap_or_default();
        let name = format!("pip-workshop{version}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(&name);
        let folder = std::env::var_os("CARGO_TARGET_DIR").map_or(folder, |target| Path::new(&target).join(&name));
        // Each test may have a process of its own: one of them makes the folder while the others wait.
        fs::create_dir_all(&folder).unwrap();
        let lock = fs::File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        if folder.join("ready").exists() && folder.join("venv/bin/python").exists() {
            return folder;
        }
        fs::create_dir_all(folder.join("wheels")).unwrap();
        let run = |arguments: &[&str]| {
            let output = Command::new("python3").args(arguments).current_dir(&folder).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["-m", "venv", "--clear", "venv"]);
        if !version.is_empty() {
            let pip =
                Command::new(folder.join("venv/bin/pip")).args(["install", "-q", &format!("pip=={version}")]).status();
            assert!(pip.unwrap().success(), "pip {version} cannot be installed");
        }
        run(&["-m", "venv", "--clear", "--without-pip", "bare"]);
        run(&["-c", WHEELS]);
        fs::write(folder.join("ready"), "").unwrap();
        folder
    })
}

/// Runs pip on a requirements file and returns its output.
fn pip(python: &str, folder: &Path, requirements: &str, options: &[&str]) -> Output {
    fs::write(folder.join("requirements.txt"), requirements).unwrap();
    let mut command = Command::new(workshop().join(python).join("bin/python"));
    command.args(["-m", "pip", "install", "-r", "requirements.txt"]).args(options).current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PIP_")) {
        command.env_remove(name);
    }
    let (settings, scan) = (PipSettings::default(), Scan::default());
    let variables = install_variables(InstallerKind::Pip, &settings, &scan, None, |_| None);
    command.env("PIP_CONFIG_FILE", "/dev/null").envs(variables);
    command.output().unwrap()
}

/// Runs pip on requirements that it cannot install, and returns the reason that was found in its output.
fn reason(python: &str, folder: &Path, requirements: &str, options: &[&str]) -> String {
    let output = pip(python, folder, requirements, options);
    let text = [output.stdout, output.stderr].concat();
    let shown = String::from_utf8_lossy(&text);
    assert!(!output.status.success(), "{requirements:?} was installed:\n{shown}");
    pip_failure_line(&text).unwrap_or_else(|| panic!("{requirements:?}: no reason found:\n{shown}"))
}

/// Returns the options that make the wheels the only source of packages.
fn local() -> [String; 3] {
    ["--no-index".to_owned(), "--find-links".to_owned(), workshop().join("wheels").display().to_string()]
}

#[test]
fn the_first_telling_error_is_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let local = local();
    let local: Vec<&str> = local.iter().map(String::as_str).collect();
    for (requirements, expected) in [
        ("nosuchthing\n", "Could not find a version that satisfies the requirement nosuchthing (from versions: none)"),
        ("alpha==9\n", "Could not find a version that satisfies the requirement alpha==9 (from versions: 1.0, 2.0)"),
        ("alpha\nfoo bar==1\n", "Invalid requirement: 'foo bar==1'"),
        ("-r other.txt\n", "Could not open requirements file: [Errno 2] No such file or directory: "),
        ("--nosuch x\n", "Invalid requirement: --nosuch x: no such option: --nosuch"),
        ("./nodir\n", "Invalid requirement: './nodir'"),
    ] {
        let reason = reason("venv", folder.path(), requirements, &local);
        assert!(reason.starts_with(expected), "{requirements:?}: {reason}");
    }
    let reason = reason("venv", folder.path(), "alpha\nalpha=1\n", &local);
    assert!(reason.contains("(from line 2 of requirements.txt); Hint: = is not a valid operator."), "{reason}");
}

#[test]
fn requirements_files_that_include_each_other_are_reported_as_that() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("more.txt"), "-r requirements.txt\n").unwrap();
    let reason = reason("venv", folder.path(), "-r more.txt\n", &[]);
    let expected = ["the requirements files include each other; remove the line", "recursively references itself"];
    assert!(expected.iter().any(|expected| reason.contains(expected)), "{reason}");
}

#[test]
fn a_conflict_names_the_packages_that_require_each_version() {
    let folder = tempfile::tempdir().unwrap();
    let local = local();
    let reason = reason("venv", folder.path(), "beta\ngamma\n", &local.each_ref().map(String::as_str));
    assert!(reason.starts_with("Cannot install "), "{reason}");
    assert!(
        reason.ends_with("conflicting dependencies: beta 1.0 depends on alpha>=2; gamma 1.0 depends on alpha<2"),
        "{reason}"
    );
}

#[test]
fn a_wrong_hash_is_reported_with_both_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let local = local();
    let zeros = "0".repeat(64);
    let requirements = format!("alpha==1.0 --hash=sha256:{zeros}\n");
    let reason = reason("venv", folder.path(), &requirements, &local.each_ref().map(String::as_str));
    assert!(reason.starts_with("the hash of alpha==1.0 from file://"), "{reason}");
    assert!(reason.contains(&format!("expected sha256 {zeros}, got ")), "{reason}");
}

#[test]
fn requirements_without_a_hash_or_a_version_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let local = local();
    let reason = |text: &str| reason("venv", folder.path(), text, &local.each_ref().map(String::as_str));
    let missing = reason("--require-hashes\nalpha==1.0\n");
    assert_eq!(
        missing,
        "Hashes are required in --require-hashes mode, but they are missing from some requirements: alpha==1.0"
    );
    let unpinned = reason("--require-hashes\nalpha>=1.0\n");
    assert!(unpinned.ends_with("must have their versions pinned with ==. These do not: alpha>=1.0"), "{unpinned}");
}

#[test]
fn a_failed_build_is_reported_with_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bad")).unwrap();
    let setup = "def check():\n    raise RuntimeError('CUDA_HOME is not set')\ncheck()\n";
    fs::write(folder.path().join("bad/setup.py"), setup).unwrap();
    let build = |options: &[&str]| reason("venv", folder.path(), "./bad\n", options);
    // Without isolation the build uses the packages of the environment, which has no setuptools from Python 3.12 on.
    let own = build(&["--no-index", "--no-build-isolation"]);
    let (error, package) = own.split_once(" (building ").unwrap();
    assert!(error == "RuntimeError: CUDA_HOME is not set" || error.contains("setuptools"), "{own}");
    assert_eq!(package, "./bad)");
    // pip runs another pip to install the requirements of the build, and the error is in the output of that one.
    let inner = build(&["--no-index"]);
    let expected = "Could not find a version that satisfies the requirement setuptools>=40.8.0 (from versions: none)";
    assert!(inner == format!("{expected} (building ./bad)") || inner == own, "{inner}");
}

#[test]
fn an_unreachable_index_is_reported_with_the_error_of_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let index = ["--index-url", "http://127.0.0.1:9/simple"];
    let once = reason("venv", folder.path(), "alpha\n", &[&index[..], &["--retries", "0"]].concat());
    assert!(
        once.starts_with("Could not find a version that satisfies the requirement alpha (from versions: none)"),
        "{once}"
    );
    let twice = reason("venv", folder.path(), "alpha\n", &[&index[..], &["--retries", "1"]].concat());
    let expected = ": the index could not be reached: [Errno 111] Connection refused";
    assert!(twice.ends_with(expected), "{twice}");
}

#[test]
fn a_python_without_pip_is_reported_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let reason = reason("bare", folder.path(), "alpha\n", &[]);
    assert!(reason.contains("No module named pip; install pip in the image"), "{reason}");
}

#[test]
fn a_folder_that_cannot_be_written_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let local = local();
    // Not even root can write to /proc.
    let options = [&local.each_ref().map(String::as_str)[..], &["--prefix", "/proc/nowhere"]].concat();
    let reason = reason("venv", folder.path(), "alpha\n", &options);
    assert!(reason.starts_with("Could not install packages due to an OSError: [Errno 2]"), "{reason}");
}

#[test]
fn a_success_and_an_empty_output_have_no_reason() {
    let folder = tempfile::tempdir().unwrap();
    let local = local();
    let target = folder.path().join("to").display().to_string();
    let options = [&local.each_ref().map(String::as_str)[..], &["--target", &target]].concat();
    let output = pip("venv", folder.path(), "alpha\n", &options);
    assert!(output.status.success());
    assert_eq!(pip_failure_line(&[output.stdout, output.stderr].concat()), None);
    assert_eq!(pip_failure_line(b""), None);
    assert_eq!(pip_failure_line(b"Killed\n\xff\xfe"), None);
}

/// Checks outputs that the pip of the machine does not print, recorded from pip 20, 22.0.4 (Python 3.7), 23.2.1 and
/// 26.3 (Python 3.11).
#[test]
fn recorded_outputs_of_other_releases_have_their_reason() {
    for (name, output, expected) in [
        ("compiler", COMPILER, "badc.c:1:10: fatal error: nosuch.h: No such file or directory (building ./badc)"),
        (
            "arrow",
            ARROW,
            "Invalid requirement: 'alpha=1': Expected semicolon (after name with no version specifier) or end \
          (from line 1 of requirements.txt); Hint: = is not a valid operator. Did you mean == ?",
        ),
        (
            "retry 26",
            RETRY_26,
            "Could not find a version that satisfies the requirement alpha (from versions: none): the index \
          could not be reached: [Errno 111] Connection refused",
        ),
        (
            "nested",
            NESTED_26,
            "Could not find a version that satisfies the requirement setuptools>=40.8.0 (from versions: \
          none) (building ./bad)",
        ),
        (
            "git",
            GIT,
            "fatal: unable to access 'https://127.0.0.1:9/x.git/': Failed to connect to 127.0.0.1 port 9 after 0 ms: \
          Couldn't connect to server",
        ),
        ("full", FULL, "Could not install packages due to an OSError: [Errno 28] No space left on device"),
        (
            "read-only",
            READ_ONLY,
            "Could not install packages due to an OSError: [Errno 30] Read-only file system: \
          '/v/lib/python3.11/site-packages/alpha.py'",
        ),
        ("exception", EXCEPTION, "OSError: [Errno 28] No space left on device"),
        ("egg_info of pip 20", OLD, "RuntimeError: CUDA_HOME is not set (building ./bad)"),
        (
            "wheel",
            "ERROR: pip's dependency resolver does not currently\nERROR: Failed building wheel for x\nFailed to build x\n",
            "Failed building wheel for x",
        ),
        (
            "managed",
            "error: externally-managed-environment\n\n× This environment is externally managed\n",
            "error: externally-managed-environment",
        ),
    ] {
        assert_eq!(pip_failure_line(output.as_bytes()).as_deref(), Some(expected), "{name}");
    }
    let long = format!("ERROR: {}", "ä".repeat(5000));
    assert_eq!(pip_failure_line(long.as_bytes()).unwrap().chars().count(), 701);
}

const COMPILER: &str = "\
Processing ./badc
  Preparing metadata (setup.py): started
  Preparing metadata (setup.py): finished with status 'done'
Installing collected packages: badc
  Running setup.py install for badc: started
  Running setup.py install for badc: finished with status 'error'
  error: subprocess-exited-with-error
  
  × Running setup.py install for badc did not run successfully.
  │ exit code: 1
  ╰─> [12 lines of output]
      running install
      building 'badc' extension
      gcc -Wall -fPIC -c badc.c -o build/temp.linux-x86_64-3.7/badc.o
      badc.c:1:10: fatal error: nosuch.h: No such file or directory
          1 | #include <nosuch.h>
            |          ^~~~~~~~~~
      compilation terminated.
      error: command 'gcc' failed with exit status 1
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
error: legacy-install-failure

× Encountered error while trying to install package.
╰─> badc
";

const ARROW: &str = "\
ERROR: Invalid requirement: 'alpha=1': Expected semicolon (after name with no version specifier) or end
    alpha=1
         ^ (from line 1 of requirements.txt)
Hint: = is not a valid operator. Did you mean == ?
";

const RETRY_26: &str = "\
Looking in indexes: http://127.0.0.1:9/simple
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new connection: [Errno 111] \
Connection refused\")': /simple/alpha/
ERROR: Could not find a version that satisfies the requirement alpha (from versions: none)
ERROR: No matching distribution found for alpha
";

const NESTED_26: &str = "\
Processing ./bad
  Installing build dependencies: started
  Installing build dependencies: finished with status 'error'
  error: subprocess-exited-with-error
  
  × installing build dependencies did not run successfully.
  │ exit code: 1
  ╰─> [3 lines of output]
      Looking in links: /opt/wheels, /opt/wheels
      ERROR: Could not find a version that satisfies the requirement setuptools>=40.8.0 (from versions: none)
      ERROR: No matching distribution found for setuptools>=40.8.0
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
ERROR: Failed to build 'file:///tmp/piptry/bad' when installing build dependencies
";

const GIT: &str = "\
Collecting git+https://127.0.0.1:9/x.git (from -r requirements.txt (line 1))
  Cloning https://127.0.0.1:9/x.git to /tmp/pip-req-build-30mb3gf4
  Running command git clone --filter=blob:none --quiet https://127.0.0.1:9/x.git /tmp/pip-req-build-30mb3gf4
  fatal: unable to access 'https://127.0.0.1:9/x.git/': Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server
  error: subprocess-exited-with-error
  
  × git clone --filter=blob:none --quiet https://127.0.0.1:9/x.git /tmp/pip-req-build-30mb3gf4 did not run successfully.
  │ exit code: 128
  ╰─> See above for output.
";

const FULL: &str = "\
Processing ./wheels/big-1.0-py3-none-any.whl
Installing collected packages: big
ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device

";

const READ_ONLY: &str = "\
Installing collected packages: alpha
ERROR: Could not install packages due to an OSError: [Errno 30] Read-only file system: '/v/lib/python3.11/site-packages/alpha.py'
";

const EXCEPTION: &str = "\
Installing collected packages: alpha
ERROR: Exception:
Traceback (most recent call last):
  File \"/usr/lib/python3.11/shutil.py\", line 825, in move
    os.rename(src, real_dst)
ValueError: not this one

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"/v/lib/python3.11/site-packages/pip/_internal/cli/base_command.py\", line 180, in exc_logging_wrapper
    status = run_func(*args)
             ^^^^^^^^^^^^^^^
OSError: [Errno 28] No space left on device
";

const OLD: &str = "\
Processing ./bad
    ERROR: Command errored out with exit status 1:
     command: /v/bin/python -c 'import sys'
         cwd: /tmp/pip-req-build-x/
    Complete output (5 lines):
    Traceback (most recent call last):
      File \"<string>\", line 1, in <module>
      File \"/tmp/pip-req-build-x/setup.py\", line 2, in <module>
        raise RuntimeError(\"CUDA_HOME is not set\")
    RuntimeError: CUDA_HOME is not set
    ----------------------------------------
ERROR: Command errored out with exit status 1: python setup.py egg_info Check the logs for full command output.
";
