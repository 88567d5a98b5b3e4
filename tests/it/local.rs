//! `footplate local`: a job on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use flate2::read::GzDecoder;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::job::{FOOTPLATE, search_path, wait_with_output};
use super::workplace::Workplace;
use super::{installers, kept};

impl Workplace {
    /// Returns a command that runs `footplate local` in the folder with these arguments.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(FOOTPLATE);
        command.arg("local").args(words).current_dir(self.0.path());
        command.env_clear().env("PATH", search_path()).env("LANG", "C.UTF-8").env("HOME", "/root");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        wait_with_output(self.command(words).spawn().expect("footplate starts"))
    }

    /// Runs `src/train.py` with further arguments.
    fn train(&self, words: &[&str]) -> Output {
        let all = ["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "out"];
        self.run(&[&all[..], words].concat())
    }

    /// Returns the names and texts of the members of an archive.
    fn unpacked(&self, path: &str) -> Vec<(String, String)> {
        let file = fs::File::open(self.at(path)).expect("the archive");
        let mut members = Vec::new();
        for entry in tar::Archive::new(GzDecoder::new(file)).entries().expect("a tar archive") {
            let mut entry = entry.expect("a member");
            let mut text = String::new();
            let name = entry.path().expect("a name").display().to_string();
            entry.read_to_string(&mut text).expect("a text");
            members.push((name, text));
        }
        members
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:#?}"))
}

#[test]
fn the_model_and_the_output_are_packed_as_the_platform_packs_them() {
    let workplace = Workplace::new(
        "
import os, pathlib
pathlib.Path(os.environ['SM_MODEL_DIR'], 'sub').mkdir()
pathlib.Path(os.environ['SM_MODEL_DIR'], 'sub', 'weights').write_text('w')
pathlib.Path(os.environ['SM_OUTPUT_DATA_DIR'], 'plot.txt').write_text('p')
print('trained')
",
    );
    // A job that takes long enough leaves samples of its resources, too.
    let output = workplace.train(&["--set", "resource_interval=0"]);
    assert_eq!(code(&output), 0, "{output:#?}");
    assert_eq!(stdout(&output), "trained\n");
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(workplace.unpacked("out/model.tar.gz"), [text("sub", ""), text("sub/weights", "w")]);
    // footplate's own record lies in a folder of the host's.
    let (own, of_script): (Vec<_>, Vec<_>) =
        workplace.unpacked("out/output.tar.gz").into_iter().partition(|(name, _)| name.starts_with("footplate"));
    assert_eq!(of_script, [text("plot.txt", "p")]);
    let own: Vec<_> = own.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(own, ["footplate", "footplate/algo-1", "footplate/algo-1/run.json"]);
    let mut left: Vec<_> =
        fs::read_dir(workplace.at("out")).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["model.tar.gz", "output.tar.gz"]);
    for line in ["footplate: model ", "footplate: output "] {
        assert!(stderr(&output).contains(line), "{}", stderr(&output));
    }
}

#[test]
fn a_failed_job_returns_its_exit_code_failure_text_and_results() {
    let workplace = Workplace::new(
        "import os, sys\nopen(os.environ['SM_MODEL_DIR'] + '/partial', 'w').close()\nraise ValueError('bad data')",
    );
    let output = workplace.train(&[]);
    assert_eq!(code(&output), 1);
    assert!(workplace.read("out/failure").expect("the failure").starts_with("ValueError: bad data\nat train.py:3\n"));
    assert_eq!(workplace.unpacked("out/model.tar.gz").len(), 1);
    assert!(stderr(&output).ends_with("footplate: the job failed with exit code 1\n"), "{}", stderr(&output));
    // The next job of the same folder begins anew.
    workplace.write("src/train.py", "import sys; sys.exit(0)");
    assert_eq!(code(&workplace.train(&[])), 0);
    assert_eq!(workplace.read("out/failure"), None);
    assert_eq!(workplace.unpacked("out/model.tar.gz"), []);
    workplace.write("src/train.py", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)");
    assert_eq!(code(&workplace.train(&[])), 137);
}

#[test]
fn hyperparameters_of_the_command_line_override_those_of_a_file() {
    let workplace = Workplace::new("import sys; print(sys.argv[1:])");
    workplace.write(
        "hps.json",
        r#"{"lr": 1e-05, "big": 123456789012345678901234567890, "opt": {"b": [1]}, "text": "1", "none": null, "nan": NaN}"#,
    );
    let output =
        workplace.train(&["--hyperparameters", "hps.json", "--hyperparameter", "lr=0.5", "--hyperparameter", "x=a=b"]);
    assert_eq!(code(&output), 0, "{output:#?}");
    let expected = "['--big', '123456789012345678901234567890', '--lr', '0.5', '--nan', 'nan', '--none', '', '--opt', \
                    'b=[1]', '--text', '1', '-x', 'a=b']\n";
    assert_eq!(stdout(&output), expected);
    for (content, said) in [("[]", "must hold a JSON object"), ("{'a'", "is not JSON: line 1, column 2: ")] {
        workplace.write("hps.json", content);
        let output = workplace.train(&["--hyperparameters", "hps.json"]);
        assert!(code(&output) == 78 && stderr(&output).contains(said), "{output:#?}");
    }
    let output = workplace.train(&["--hyperparameters", "absent.json"]);
    assert!(code(&output) == 78 && stderr(&output).contains("cannot read absent.json: "), "{output:#?}");
}

#[test]
fn channels_are_folders_or_files_of_the_user() {
    let workplace = Workplace::new(
        "
import os
print(os.environ['SM_CHANNELS'])
for channel in ('TRAIN', 'TEST'):
    folder = os.environ['SM_CHANNEL_' + channel]
    print([(name, open(os.path.join(folder, name)).read()) for name in sorted(os.listdir(folder))])
",
    );
    workplace.write("data/a.csv", "1");
    workplace.write("data/b.csv", "2");
    workplace.write("one.csv", "3");
    let output = workplace.train(&["--channel", "train=data", "--channel", "test=one.csv"]);
    assert_eq!(code(&output), 0, "{output:#?}");
    let expected = "[\"test\",\"train\"]\n[('a.csv', '1'), ('b.csv', '2')]\n[('one.csv', '3')]\n";
    assert_eq!(stdout(&output), expected);
    assert_eq!(workplace.read("data/a.csv").as_deref(), Some("1"), "the user's data must stay");
    assert_eq!(workplace.read("one.csv").as_deref(), Some("3"));
    for (words, said) in [
        ("train=absent", "the channel train: absent is not there"),
        ("a/b=data", "the channel name \"a/b\" is not possible"),
    ] {
        let output = workplace.train(&["--channel", words]);
        assert!(code(&output) == 78 && stderr(&output).contains(said), "{output:#?}");
    }
}

#[test]
fn checkpoints_stay_where_the_user_wants_them() {
    let script = "
import os, pathlib
folder = pathlib.Path(os.environ['SM_CHECKPOINT_DIR'])
before = sorted(path.name for path in folder.iterdir())
(folder / f'step-{len(before)}').write_text('c')
print(before)
";
    let workplace = Workplace::new(script);
    assert_eq!(stdout(&workplace.train(&["--checkpoint-dir", "kept"])), "[]\n");
    assert_eq!(stdout(&workplace.train(&["--checkpoint-dir", "kept"])), "['step-0']\n");
    assert!(workplace.at("kept/step-1").exists());
}

#[test]
fn variables_settings_and_name_reach_the_job() {
    let workplace = Workplace::new(
        "import os; print(os.environ['MINE'], os.environ['MASTER_PORT'], os.environ['TRAINING_JOB_NAME'], os.environ['SM_CURRENT_HOST'])",
    );
    let words = ["--env", "MINE=a b=c", "--set", "master_port=1234", "--job-name", "my-job"];
    assert_eq!(stdout(&workplace.train(&words)), "a b=c 1234 my-job algo-1\n");
    let output = workplace.train(&["--set", "grace=1", "--env", "MINE=x"]);
    assert_eq!(code(&output), 78);
    assert!(workplace.read("out/failure").expect("the failure").contains("there is no setting \"grace\""));
}

#[test]
fn the_entry_point_of_the_command_line_overrides_exported_variables() {
    let workplace = Workplace::new("print('mine')");
    let words = ["--source-dir", "src", "--entry-point", "train.py"];
    let mut command = workplace.command(&words);
    command.env("SAGEMAKER_PROGRAM", "other.py").env("SAGEMAKER_TRAINING_MODULE", "a:b");
    command.env("SAGEMAKER_SUBMIT_DIRECTORY", "/nowhere");
    assert_eq!(stdout(&wait_with_output(command.spawn().expect("footplate starts"))), "mine\n");
    assert!(workplace.at("footplate-output/model.tar.gz").exists());
}

#[test]
fn results_in_the_code_folder_never_become_part_of_the_code() {
    let workplace = Workplace::new("import os; print(sorted(os.listdir('.')))");
    workplace.write("src/ml/__init__.py", "");
    workplace.write("src/.git/config", "");
    workplace.write("src/__pycache__/x.pyc", "");
    for words in [
        &["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "src/out"][..],
        &["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "src"],
    ] {
        for _ in 0..2 {
            let output = workplace.run(words);
            assert_eq!(code(&output), 0, "{output:#?}");
            let shown = stdout(&output);
            assert!(!shown.contains("footplate") && !shown.contains(".git") && !shown.contains("pycache"), "{shown}");
            assert!(shown.contains("'ml', 'train.py'"), "{shown}");
        }
        fs::remove_dir_all(workplace.at("src/out")).unwrap_or_default();
    }
    assert!(workplace.at("src/ml/__init__.py").exists(), "a folder of the user's was removed");
}

#[test]
fn a_source_or_a_script_that_is_missing_is_named() {
    let workplace = Workplace::new("");
    let output = workplace.run(&["--source-dir", "absent", "--entry-point", "train.py"]);
    let said = "footplate: the source folder absent is not there: name one with --source-dir";
    assert!(code(&output) == 78 && stderr(&output).contains(said), "{output:#?}");
    let output = workplace.run(&["--source-dir", "src", "--entry-point", "trian.py", "--output-dir", "out"]);
    assert_eq!(code(&output), 127);
    assert!(workplace.read("out/failure").expect("the failure").contains("did you mean \"train.py\"?"));
    let output = workplace.run(&["--source-dir", "src"]);
    assert!(code(&output) == 2 && stderr(&output).contains("--entry-point <FILE>"), "{output:#?}");
    workplace.write("blocked", "");
    let output = workplace.run(&["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "blocked"]);
    assert!(code(&output) == 78 && stderr(&output).contains("blocked"), "{output:#?}");
}

/// Returns a script that prints that it runs and waits for the signal with this name. Then it saves and prints that.
fn waiting(name: &str) -> String {
    format!(
        "
import os, signal, sys, time
def stop(number, frame):
    open(os.environ['SM_MODEL_DIR'] + '/saved', 'w').close()
    os.write(1, b'saved\\n') # not by print, which may be interrupted just now
    sys.exit(5)
signal.signal(signal.{name}, stop)
print('running', flush=True)
while True:
    time.sleep(0.01)
"
    )
}

/// Starts the job and waits until its script runs.
fn running(workplace: &Workplace) -> (Child, BufReader<ChildStdout>) {
    let mut command = workplace.command(&["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "out"]);
    let mut child = command.process_group(0).spawn().expect("footplate starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "running\n");
    (child, lines)
}

/// Starts the job, waits until its script runs, sends a signal, and returns the end of the run.
fn stopped(workplace: &Workplace, send: impl FnOnce(Pid)) -> (Output, String) {
    let (child, mut lines) = running(workplace);
    send(Pid::from_raw(i32::try_from(child.id()).expect("a number")));
    // Its streams end when no process of the job holds them any more.
    let output = wait_with_output(child);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("the rest");
    (output, rest)
}

#[test]
fn ctrl_c_stops_the_job_with_its_grace_and_keeps_what_it_saved() {
    let workplace = Workplace::new(&waiting("SIGINT"));
    // A terminal sends it to the whole group in the foreground.
    let (output, rest) = stopped(&workplace, |pid| killpg(pid, Signal::SIGINT).expect("sent"));
    assert_eq!((code(&output), rest.as_str()), (5, "saved\n"));
    assert_eq!(workplace.unpacked("out/model.tar.gz"), [("saved".to_owned(), String::new())]);
    assert!(workplace.read("out/failure").is_some());
}

#[test]
fn a_stop_or_a_hangup_reaches_the_job() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let workplace = Workplace::new(&waiting("SIGTERM"));
        let (output, rest) = stopped(&workplace, |pid| kill(pid, signal).expect("sent"));
        assert_eq!((code(&output), rest.as_str()), (5, "saved\n"), "{signal}");
    }
}

#[test]
fn a_job_is_stopped_with_grace_if_its_starting_command_is_killed() {
    let workplace = Workplace::new(&waiting("SIGTERM"));
    let (output, rest) = stopped(&workplace, |pid| kill(pid, Signal::SIGKILL).expect("sent"));
    assert_eq!((output.status.signal(), rest.as_str()), (Some(9), "saved\n"));
    assert!(workplace.at("out/.footplate-job/algo-1/model/saved").exists());
    assert!(workplace.read("out/.footplate-job/algo-1/output/failure").expect("the failure").contains("SIGTERM"));
}

#[test]
fn a_second_ctrl_c_kills_a_job_that_does_not_stop() {
    let script = "
import signal, time
signal.signal(signal.SIGINT, lambda *_: print('no', flush=True))
print('running', flush=True)
while True:
    time.sleep(0.01)
";
    let workplace = Workplace::new(script);
    let mut command = workplace.command(&["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "out"]);
    let mut child = command.process_group(0).spawn().expect("footplate starts");
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a number"));
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    for expected in ["running\n", "no\n"] {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        assert_eq!(line, expected);
        killpg(group, Signal::SIGINT).expect("sent");
    }
    assert_eq!(code(&wait_with_output(child)), 137);
    assert!(Path::new(&workplace.at("out/model.tar.gz")).exists());
}

#[test]
fn a_job_on_several_hosts_runs_as_on_the_platform() {
    let workplace = Workplace::new(
        "
import os, pathlib
get = os.environ.get
print(get('RANK'), get('WORLD_SIZE'), get('SM_CURRENT_HOST'), get('SM_NUM_GPUS'), get('SM_HP_EPOCHS'))
pathlib.Path(get('SM_MODEL_DIR'), 'rank-' + get('RANK')).write_text('')
pathlib.Path(get('SM_MODEL_DIR'), 'of-all').mkdir(exist_ok=True)
pathlib.Path(get('SM_MODEL_DIR'), 'of-all', get('SM_CURRENT_HOST')).write_text('')
",
    );
    let words = ["--hosts", "3", "--gpus-per-host", "2", "--set", "launcher=per-gpu", "--hyperparameter", "epochs=4"];
    let output = workplace.train(&words);
    assert_eq!(code(&output), 0, "{output:#?}");
    let mut lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    lines.sort();
    let line = |rank: usize| format!("[algo-{host}:{rank}] {rank} 6 algo-{host} 2 4", host = rank / 2 + 1);
    assert_eq!(lines, (0..6).map(line).collect::<Vec<_>>());
    let names: Vec<String> = workplace.unpacked("out/model.tar.gz").into_iter().map(|(name, _)| name).collect();
    let of_all = ["of-all", "of-all/algo-1", "of-all/algo-2", "of-all/algo-3"].map(str::to_owned);
    assert_eq!(names, of_all.into_iter().chain((0..6).map(|rank| format!("rank-{rank}"))).collect::<Vec<_>>());
    for host in 1..=3 {
        assert!(stderr(&output).contains(&format!("\n[algo-{host}] 20")), "{}", stderr(&output));
    }
}

#[test]
fn a_rank_that_fails_on_one_of_several_hosts_fails_the_job() {
    let workplace = Workplace::new(
        "import os, time\nif os.environ['RANK'] == '3': raise ValueError('bad data')\ntime.sleep(600)\n",
    );
    let output = workplace.train(&["--hosts", "2", "--gpus-per-host", "2", "--set", "launcher=per-gpu"]);
    assert_eq!(code(&output), 1, "{output:#?}");
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.starts_with("ValueError: bad data\nat train.py:2\nhost algo-2, rank 3, exit code 1"), "{failure}");
}

#[test]
fn a_host_that_is_killed_ends_hosts_that_do_not_wait_for_it() {
    let script = "import os, signal, time\n\
                  if os.environ['SM_CURRENT_HOST'] == 'algo-2': os.kill(os.getppid(), signal.SIGKILL)\n\
                  time.sleep(600)\n";
    let workplace = Workplace::new(script);
    let output = workplace.train(&["--hosts", "2", "--set", "launcher=process"]);
    // The other host notices it only if they have met.
    assert!([68, 137].contains(&code(&output)), "{}", stderr(&output));
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.starts_with("host algo-2 "), "{failure}");
}

#[test]
fn mpirun_starts_ranks_on_several_hosts_of_this_machine() {
    let workplace = Workplace::new(
        "import os\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
         print(world.allreduce(1), os.environ['SM_CURRENT_HOST'])\n",
    );
    let words =
        ["--hosts", "2", "--set", "launcher=mpi", "--set", "processes_per_host=2", "--set", "python=/usr/bin/python3"];
    let output = workplace.train(&words);
    assert_eq!(code(&output), 0, "{output:#?}");
    let mut lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    lines.sort();
    let line = |rank: usize| format!("[algo-{host}:{rank}] 4 algo-{host}", host = rank / 2 + 1);
    assert_eq!(lines, (0..4).map(line).collect::<Vec<_>>());
}

#[test]
fn mpirun_starts_the_ranks_of_one_host_of_this_machine() {
    let workplace = Workplace::new(
        "import os, sys, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nprint(world.allreduce(1), os.environ.get('FOOTPLATE_RANKS'))\n\
         if world.rank == 2 and len(sys.argv) > 1: raise ValueError('bad data')\nif len(sys.argv) > 1: time.sleep(600)\n",
    );
    let words = ["--set", "launcher=mpi", "--set", "processes_per_host=3", "--set", "python=/usr/bin/python3"];
    let output = workplace.train(&words);
    assert_eq!(code(&output), 0, "{output:#?}");
    let mut lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, (0..3).map(|rank| format!("[algo-1:{rank}] 3 None")).collect::<Vec<_>>());
    // And one that fails.
    let output = workplace.train(&[&words[..], &["--hyperparameter", "fails=1"]].concat());
    assert_eq!(code(&output), 1, "{output:#?}");
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.starts_with("ValueError: bad data\nat train.py:5\nrank 2, exit code 1"), "{failure}");
}

#[test]
fn mpirun_starts_a_shell_script_without_a_first_line_that_names_a_shell() {
    let workplace = Workplace::new("");
    workplace.write("src/train.sh", "echo rank \"$OMPI_COMM_WORLD_RANK\"\n");
    let job = ["--source-dir", "src", "--entry-point", "train.sh", "--output-dir", "out"];
    let output = workplace.run(&[&job[..], &["--set", "launcher=mpi", "--set", "processes_per_host=2"]].concat());
    assert_eq!(code(&output), 0, "{output:#?}");
    let mut lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["[algo-1:0] rank 0", "[algo-1:1] rank 1"]);
}

#[test]
fn a_rank_without_mpi_finalize_fails_the_job_as_with_mpirun() {
    let workplace = Workplace::new(
        "import os, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.barrier()\n\
         if world.rank == 1: os._exit(0)\ntime.sleep(600)\n",
    );
    let settings = ["launcher=mpi", "processes_per_host=3", "python=/usr/bin/python3", "grace_period=600"];
    let words: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let output = workplace.train(&words);
    assert_eq!(code(&output), 1, "{output:#?}");
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.starts_with("mpirun has exited due to process rank 1 with PID"), "{failure}");
    assert!(failure.contains(" exiting improperly\n"), "{failure}");
}

#[test]
fn hosts_that_share_a_python_install_one_after_another() {
    let workplace = Workplace::new("import fix; print(fix.VERSION)");
    workplace.write("src/requirements.txt", "fix\n");
    kept::copy_environment(installers::environment(), &workplace.at("venv"));
    kept::wheel(&workplace.at("wheels"), &["fix", "1.2"]);
    let mut command = workplace.command(&["--source-dir", "src", "--entry-point", "train.py", "--hosts", "3"]);
    command.env("PATH", format!("{}:{}", workplace.at("venv/bin").display(), search_path()));
    command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", workplace.at("wheels"));
    let output = wait_with_output(command.spawn().expect("footplate starts"));
    assert_eq!(code(&output), 0, "{output:#?}");
    assert_eq!(stdout(&output).matches(" 1.2\n").count(), 3, "{output:#?}");
    let said = |text: &str| stderr(&output).matches(text).count();
    assert_eq!((said("installed by pip in "), said("all is installed already")), (1, 2), "{output:#?}");
}

#[test]
fn an_invalid_number_of_hosts_is_refused() {
    for hosts in ["none", "0", "251"] {
        let output = Workplace::new("").train(&["--hosts", hosts]);
        assert_eq!(code(&output), 2, "{output:#?}");
    }
}

/// Prints the key that the hosts share, the permissions of the job's folder, and the number of processes whose command line
/// holds the key.
const SHOW_KEY: &str = "
import glob, os, pathlib
def words(path):
    try: return pathlib.Path(path).read_bytes()
    except OSError: return b''
key = os.environ.get('FOOTPLATE_CLUSTER_KEY', '')
folder = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR']).parent
shown = sum(bool(key) and key.encode() in words(path) for path in glob.glob('/proc/[0-9]*/cmdline'))
print(key, oct(folder.stat().st_mode & 0o777), shown)
";

#[test]
fn hosts_share_a_random_key_and_folders_that_nobody_else_can_enter() {
    let workplace = Workplace::new(SHOW_KEY);
    // A folder that an interrupted job or somebody else left.
    fs::create_dir_all(workplace.at("out/.footplate-job/algo-1")).expect("made");
    let run = |words: &[&str], key: Option<&str>| {
        let all =
            ["--source-dir", "src", "--entry-point", "train.py", "--output-dir", "out", "--set", "log_prefix=off"];
        let mut command = workplace.command(&[&all[..], words].concat());
        command.envs(key.map(|key| ("FOOTPLATE_CLUSTER_KEY", key)));
        let output = wait_with_output(command.spawn().expect("footplate starts"));
        assert_eq!(code(&output), 0, "{output:#?}");
        let shown = stdout(&output);
        let lines: Vec<&str> = shown.lines().map(|line| line.split_once("] ").map_or(line, |(_, line)| line)).collect();
        assert!(lines.iter().all(|line| *line == lines[0]), "{lines:?}");
        let (key, rest) = lines[0].split_once(' ').expect("a line of the script");
        assert_eq!(rest, "0o700 0", "the mode of the folder, and command lines with the key");
        key.to_owned()
    };
    let keys = [run(&["--hosts", "2"], None), run(&["--hosts", "2"], None)];
    assert_ne!(keys[0], keys[1]);
    assert!(keys.iter().all(|key| key.len() == 64), "{keys:?}");
    // A key that the user has chosen is used, and no command line shows it either.
    let chosen = "chosen-by-the-user-of-this-test";
    assert_eq!(run(&["--hosts", "2"], Some(chosen)), chosen);
    assert_eq!(run(&["--hosts", "1"], None), "");
}

#[test]
fn a_key_that_is_too_short_is_refused_with_a_command_that_makes_one() {
    let workplace = Workplace::new("");
    let output = workplace.train(&["--hosts", "2", "--set", "cluster_key=hunter2"]);
    assert_eq!(code(&output), 78, "{output:#?}");
    let failure = workplace.read("out/failure").expect("the failure");
    let said = "settings: the variable FOOTPLATE_CLUSTER_KEY is ******, but takes a secret of at least 16 bytes, such as one from \
                `head -c 32 /dev/urandom | base64`";
    assert!(failure.starts_with(said), "{failure}");
    assert!(!failure.contains("hunter2") && !stderr(&output).contains("hunter2"), "{output:#?}");
}
