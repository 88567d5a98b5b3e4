//! `footplate local --image`: a job in containers of a real engine, and what it leaves behind: nothing. The engine is docker;
//! `tests/podman` runs the tests with podman.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::images;
use super::job::{FOOTPLATE, eventually, executable, search_path, wait_with_output};
use super::workplace::Workplace;

/// The end of a run.
#[derive(Debug)]
struct LocalEnd {
    pid: u32,
    code: Option<i32>,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The container engine of the tests.
fn engine() -> &'static str {
    if std::env::var_os("FOOTPLATE_TEST_PODMAN").is_some() { "podman" } else { "docker" }
}

/// Gives podman an image that docker has built. An image that docker does not have is none.
fn load(image: &str) {
    let _lock = images::locked("podman");
    let script = format!(
        "podman image exists {image} || ! docker image inspect {image} >/dev/null 2>&1 || docker save {image} | podman load"
    );
    images::run(Command::new("sh").args(["-c", &script]));
}

impl Workplace {
    /// Returns a command that runs the script in an image.
    fn command_in(&self, image: &str, words: &[&str]) -> Command {
        let mut command = Command::new(FOOTPLATE);
        command.args(["local", "--image", image, "--source-dir", "src", "--output-dir", "out"]).args(words);
        if engine() == "podman" {
            load(image);
            if !words.contains(&"--engine") {
                command.args(["--engine", "podman"]);
            }
        }
        command.current_dir(self.0.path()).env_clear().env("PATH", search_path()).env("HOME", "/root");
        command.envs(std::env::vars_os().filter(|(name, _)| name == "CONTAINERS_CONF"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    fn train_in(&self, image: &str, words: &[&str]) -> LocalEnd {
        end(self
            .command_in(image, &[&["--entry-point", "train.py"], words].concat())
            .spawn()
            .expect("footplate starts"))
    }

    /// Returns the names of the files in the output folder, sorted.
    fn left(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at("out")) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Waits for the end of a run.
fn end(child: Child) -> LocalEnd {
    let pid = child.id();
    let Output { status, stdout, stderr } = wait_with_output(child);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    LocalEnd { pid, code: status.code(), signal: status.signal(), stdout: text(&stdout), stderr: text(&stderr) }
}

/// Returns the names of the containers and networks of a run that are still there.
fn of_run(pid: u32) -> Vec<String> {
    let prefix = format!("footplate-{pid}-");
    let mut found = Vec::new();
    for words in [["ps", "--all", "--format", "{{.Names}}"], ["network", "ls", "--format", "{{.Name}}"]] {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let listed = images::output(Command::new(engine()).args(words));
        found.extend(listed.lines().filter(|name| name.starts_with(&prefix)).map(str::to_owned));
    }
    found
}

impl LocalEnd {
    /// Checks the exit code, and that no container and no network is left.
    #[track_caller]
    fn ended(self, code: i32) -> LocalEnd {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(of_run(self.pid), [""; 0], "{self:#?}");
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> LocalEnd {
        assert!(self.stderr.contains(text), "{text:?} is not said: {self:#?}");
        self
    }
}

/// Returns the image of the tests: Debian with Python, without footplate.
fn image() -> &'static str {
    images::debian("bookworm")
}

/// Prints its arguments and what it sees, and leaves results.
const SHOWS: &str = "
import os, pathlib, sys
get = os.environ.get
print(sys.argv[1:], get('SM_CURRENT_HOST'), get('TRAINING_JOB_NAME'), get('MINE'), get('MASTER_PORT'), get('SM_NUM_GPUS'))
print(sorted(os.listdir(get('SM_CHANNEL_TRAIN'))), open(get('SM_CHANNEL_ONE') + '/b,c.csv').read(), get('FROM_SHELL'))
pathlib.Path(get('SM_MODEL_DIR'), 'weights').write_text('w')
pathlib.Path(get('SM_CHECKPOINT_DIR'), 'step-1').write_text('c')
print(os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize >> 20, get('SECRET_TOKEN'))
";

#[test]
fn a_job_runs_in_an_image_without_footplate_as_on_this_machine() {
    if !images::usable() {
        return;
    }
    let workplace = Workplace::new(SHOWS);
    workplace.write("data/a.csv", "1");
    workplace.write("b,c.csv", "2");
    // An engine of the user's choice, which notes the command lines that others could read.
    let noting = format!("./{}-that-notes", engine());
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$*\" >> noted\nexec {} \"$@\"\n", engine());
    executable(&workplace.at(&noting), &script);
    let words = [
        "--entry-point",
        "train.py",
        "--engine",
        &noting,
        "--channel",
        "train=data",
        "--channel",
        "one=b,c.csv",
        "--hyperparameter",
        "epochs=3",
        "--env",
        "MINE= a b=\"c\" # d",
        "--env",
        "FROM_SHELL",
        "--env",
        "SECRET_TOKEN=hunter2",
        "--set",
        "master_port=1234",
        "--job-name",
        "my-job",
        "--gpus-per-host",
        "2",
        "--checkpoint-dir",
        "kept",
        "--memory",
        "512m",
    ];
    let mut command = workplace.command_in(image(), &words);
    let ended = end(command.env("FROM_SHELL", "shell").spawn().expect("footplate starts")).ended(0);
    let expected = "['--epochs', '3'] algo-1 my-job  a b=\"c\" # d 1234 2\n['a.csv'] 2 shell\n256 hunter2\n";
    assert_eq!(ended.stdout, expected, "{ended:#?}");
    let ended = ended.says("the image has no `train`: this footplate is mounted as /usr/local/bin/train\n");
    ended.says("starting a container of ");
    assert_eq!(workplace.left(), ["model.tar.gz", "output.tar.gz"]);
    assert_eq!(workplace.read("kept/step-1").as_deref(), Some("c"));
    let noted = workplace.read("noted").expect("the command lines");
    assert!(noted.contains("create --name footplate-") && noted.contains("--memory=536870912"), "{noted}");
    assert!(!noted.contains("hunter2") && !noted.contains("shell\n"), "{noted}");
}

#[test]
fn several_hosts_in_an_image_share_a_network_and_the_first_cause() {
    if !images::usable() {
        return;
    }
    let script = "
import os, pathlib, socket, time
host = os.environ['SM_CURRENT_HOST']
others = [socket.gethostbyname(name) != '127.0.0.1' for name in ('algo-1', 'algo-2')]
print(host, socket.gethostname(), others, os.environ['SM_NETWORK_INTERFACE_NAME'], flush=True)
seen = pathlib.Path(os.environ['SM_CHECKPOINT_DIR'])
(seen / os.environ['RANK']).touch()
while len(list(seen.iterdir())) < 4: time.sleep(0.01)
if os.environ['RANK'] == '3': raise ValueError('bad data')
time.sleep(600)
";
    let workplace = Workplace::new(script);
    let words = ["--hosts", "2", "--gpus-per-host", "2", "--set", "launcher=per-gpu", "--checkpoint-dir", "seen"];
    let ended = workplace.train_in(image(), &words).ended(1);
    for (host, rank) in [(1, 0), (1, 1), (2, 2), (2, 3)] {
        let line = format!("[algo-{host}:{rank}] algo-{host} algo-{host} [True, True] eth0\n");
        assert!(ended.stdout.contains(&line), "{ended:#?}");
    }
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.starts_with("ValueError: bad data\nat train.py:9\n"), "{failure}");
    assert!(failure.contains("\nhost algo-2, rank 3, exit code 1"), "{failure}");
    ended.says("\n[algo-2] 20").says("footplate: the job failed with exit code 1\n");
}

#[test]
fn the_users_output_is_the_users_although_the_container_runs_as_root() {
    if !images::usable() {
        return;
    }
    let script = "
import os, pathlib
for folder in (os.environ['SM_MODEL_DIR'], os.environ['SM_CHECKPOINT_DIR']):
    os.makedirs(folder + '/closed')
    pathlib.Path(folder, 'closed', 'file').write_text('w')
    os.chmod(folder + '/closed', 0o700)
print('user', os.getuid())
";
    let workplace = Workplace::new(script);
    // A user who can reach the engine and is not root.
    let (user, group) = (4711, fs::metadata("/var/run/docker.sock").expect("the engine's socket").gid());
    fs::create_dir(workplace.at("kept")).expect("a folder");
    fs::copy(FOOTPLATE, workplace.at("footplate")).expect("copied");
    for path in ["", "src", "src/train.py", "kept"] {
        chown(workplace.at(path), Some(user), Some(user)).expect("changed");
    }
    let run = |image: &str| {
        let mut command = Command::new("setpriv");
        let (user, group) = (user.to_string(), group.to_string());
        command.args(["--reuid", &user, "--regid", &user, "--groups", &group]).arg(workplace.at("footplate"));
        command.args(["local", "--image", image, "--source-dir", "src", "--entry-point", "train.py"]);
        command.args(["--output-dir", "out", "--checkpoint-dir", "kept"]).current_dir(workplace.0.path());
        command.env("HOME", workplace.0.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end(command.spawn().expect("setpriv starts")).ended(0)
    };
    assert_eq!(run(image()).stdout, "user 0\n");
    for path in ["out", "out/model.tar.gz", "out/output.tar.gz", "kept/closed", "kept/closed/file"] {
        let found = fs::symlink_metadata(workplace.at(path)).expect("there");
        assert_eq!((found.uid(), found.gid()), (user, user), "{path}");
    }
    assert_eq!(workplace.left(), ["model.tar.gz", "output.tar.gz"]);
    // An image whose user is neither root nor this one can write results, too.
    fs::remove_dir_all(workplace.at("kept/closed")).expect("removed");
    fs::set_permissions(workplace.at("kept"), fs::Permissions::from_mode(0o777)).expect("permitted");
    let other = images::derived(
        "other-user",
        &format!("FROM {}\nRUN mkdir -m 777 /opt /opt/ml\nUSER 1234:1234\n", images::small_python()),
    );
    assert_eq!(run(other).stdout, "user 1234\n");
    assert_eq!(fs::metadata(workplace.at("kept/closed")).expect("there").uid(), user);
}

#[test]
fn an_image_that_has_what_runs_the_job_is_left_as_it_is() {
    if !images::usable() {
        return;
    }
    let workplace = Workplace::new("print('trained by', __file__)");
    let ended = workplace.train_in(images::with_train(image()), &[]).ended(0);
    assert_eq!(
        ended.says("the image's own /usr/local/bin/train runs the job\n").stdout,
        "trained by /opt/ml/code/train.py\n"
    );
    let ended = workplace.train_in(images::with_entrypoint(image()), &[]).ended(0);
    assert!(!ended.stderr.contains("mounted") && ended.stdout == "trained by /opt/ml/code/train.py\n", "{ended:#?}");
    // Without --entry-point, the script that is baked in runs.
    let baked = "RUN mkdir -p /opt/ml/code && echo 'print(\"baked in\")' > /opt/ml/code/main.py\nENV SAGEMAKER_PROGRAM=main.py\n";
    let baked = images::derived("baked-in", &format!("FROM {}\n{baked}", images::small_python()));
    assert_eq!(end(workplace.command_in(baked, &[]).spawn().expect("footplate starts")).ended(0).stdout, "baked in\n");
    // An ENTRYPOINT of the image's own gets the platform's argument.
    let own =
        images::derived("own-program", &format!("FROM {}\nENTRYPOINT [\"echo\", \"own\"]\n", images::small_python()));
    let ended = end(workplace.command_in(own, &[]).spawn().expect("footplate starts")).ended(0);
    assert_eq!(ended.says("ENTRYPOINT, `echo own`, gets the argument `train`").stdout, "own train\n");
}

/// Prints that it runs, saves on a signal, and ends with exit code 5.
const SAVES: &str = "
import os, signal, sys, time
def stop(number, frame):
    open(os.environ['SM_MODEL_DIR'] + '/saved', 'w').close()
    os.write(1, b'saved\\n')
    sys.exit(5)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print('running', flush=True)
while True:
    time.sleep(0.01)
";

/// Starts a job and waits until its script runs.
fn running(workplace: &Workplace, words: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = workplace.command_in(image(), &[&["--entry-point", "train.py"], words].concat());
    let mut child = command.spawn().expect("footplate starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert!(line.ends_with("running\n"), "{line:?}");
    (child, lines)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a number"))
}

#[test]
fn ctrl_c_stops_a_job_in_an_image_with_its_grace() {
    if !images::usable() {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let workplace = Workplace::new(SAVES);
        let (child, mut lines) = running(&workplace, &[]);
        killpg(pid(&child), signal).expect("sent");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("the rest");
        end(child).ended(5);
        assert_eq!(rest, "saved\n");
        assert_eq!(workplace.left(), ["failure", "model.tar.gz", "output.tar.gz"]);
    }
}

#[test]
fn a_second_ctrl_c_ends_a_job_in_an_image_at_once() {
    if !images::usable() {
        return;
    }
    let script = "
import signal, time
signal.signal(signal.SIGINT, lambda *_: print('no', flush=True))
print('running', flush=True)
while True:
    time.sleep(0.01)
";
    let workplace = Workplace::new(script);
    let (child, mut lines) = running(&workplace, &[]);
    killpg(pid(&child), Signal::SIGINT).expect("sent");
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "no\n");
    killpg(pid(&child), Signal::SIGINT).expect("sent");
    end(child).ended(137);
    // A program that ignores every signal ends, too.
    let deaf = "FROM BASE\nENTRYPOINT [\"python3\", \"-uc\", \"import time; print('running'); time.sleep(600)\"]\n";
    let deaf = images::derived("deaf", &deaf.replace("BASE", images::small_python()));
    let mut child = workplace.command_in(deaf, &[]).spawn().expect("footplate starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    lines.read_line(&mut String::new()).expect("a line");
    let begun = Instant::now();
    // Two signals that follow each other closely are one.
    eventually("its end", || {
        kill(pid(&child), Signal::SIGTERM).expect("sent");
        std::thread::sleep(Duration::from_millis(100));
        child.try_wait().expect("waited")
    });
    end(child).ended(137);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn nothing_of_a_job_in_an_image_is_left_if_its_starting_command_is_killed() {
    if !images::usable() {
        return;
    }
    let workplace = Workplace::new(SAVES);
    let (child, _lines) = running(&workplace, &[]);
    kill(pid(&child), Signal::SIGKILL).expect("sent");
    let number = child.id();
    assert_eq!(end(child).signal, Some(9));
    eventually("the containers and the network to be removed", || of_run(number).is_empty().then_some(()));
    // It was stopped with grace.
    assert!(workplace.at("out/.footplate-job/algo-1/model/saved").exists());
    assert!(!workplace.at("out/.footplate-job/variables").exists());
}

#[test]
fn a_container_that_is_killed_fails_the_job() {
    if !images::usable() {
        return;
    }
    let workplace = Workplace::new("import time\nprint('running', flush=True)\ntime.sleep(600)\n");
    // Its scripts start when the hosts know each other.
    let words = ["--hosts", "2", "--set", "launcher=per-gpu", "--set", "processes_per_host=1"];
    let (child, _lines) = running(&workplace, &words);
    let names = of_run(child.id());
    let second = names.iter().find(|name| name.ends_with("-algo-2")).unwrap_or_else(|| panic!("{names:?}"));
    images::run(Command::new(engine()).args(["kill", second]));
    let ended = end(child);
    assert!(ended.code == Some(68) || ended.code == Some(137), "{ended:#?}");
    assert_eq!(of_run(ended.pid), [""; 0]);
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.contains("algo-2"), "{failure}");
}

#[test]
fn what_cannot_start_is_refused_with_a_remedy_and_leaves_nothing() {
    if !images::usable() {
        return;
    }
    let workplace = Workplace::new("print('ran')");
    workplace.write("out/model.tar.gz", "of an earlier job");
    let none = "localhost:1/footplate-test/none:1";
    let said = format!(
        "footplate: the image {none} is not on this machine, and `docker pull` fails (exit status: 1): check the name"
    );
    workplace.train_in(none, &[]).ended(69).says(&said);
    workplace.train_in(image(), &["--engine", "no-engine"]).ended(69).says("\"no-engine\" is not there: name another");
    let mut command = workplace.command_in(image(), &["--entry-point", "train.py"]);
    let ended = end(command.env("PATH", workplace.at("src")).spawn().expect("footplate starts"));
    ended.ended(69).says("neither docker nor podman is on PATH: install one of them");
    let mut command = workplace.command_in(image(), &["--entry-point", "train.py"]);
    let ended = end(command.env("DOCKER_HOST", "tcp://127.0.0.1:1").spawn().expect("footplate starts"));
    ended.ended(69).says("docker cannot be used: Cannot connect to the Docker daemon");
    for (words, said) in [
        (&["--set", "grace=1"][..], "there is no setting \"grace\""),
        (&["--env", "A=b\nc"], "the value of the variable A has several lines"),
        (&["--env", "A B=c"], "the variable \"A B\" is not possible"),
    ] {
        workplace.train_in(image(), words).ended(78).says(said);
    }
    for words in [&["--memory", "much"][..], &["--shm-size", "0"], &["--gpus", "-1"], &["--env", "NOT_SET_HERE"]] {
        assert_eq!(workplace.train_in(image(), words).code, Some(2), "{words:?}");
    }
    assert_eq!(workplace.read("out/model.tar.gz").as_deref(), Some("of an earlier job"));
    // The engine refuses a container, or cannot start it.
    workplace.train_in(image(), &["--memory", "1m"]).ended(69).says("give a larger --memory\n");
    let broken =
        images::derived("broken", &format!("FROM {}\nENTRYPOINT [\"/no/such/program\"]\n", images::small_python()));
    let ended = workplace.train_in(broken, &["--hosts", "2"]).ended(69);
    ended.says("cannot be started: ").says("/no/such/program");
    assert_eq!(workplace.left(), [""; 0]);
    // A host whose container does not start ends the others, which wait for it.
    let refusing = "#!/bin/sh\ncase \"$*\" in start*algo-2) exit 3 ;; esac\nexec docker \"$@\"\n";
    executable(&workplace.at("refusing"), refusing);
    let words = ["--engine", "./refusing", "--hosts", "2", "--set", "launcher=per-gpu"];
    let ended = workplace.train_in(image(), &words).ended(69);
    ended.says("the container of host algo-2 cannot be started: refusing ended with exit code 3\n");
}

#[test]
fn an_engine_that_does_not_answer_is_given_up() {
    let workplace = Workplace::new("print('ran')");
    // A stand-in for an engine whose service hangs.
    executable(&workplace.at("silent"), "#!/bin/sh\necho asked > asked\nexec sleep 600\n");
    let start = || {
        let words = ["--entry-point", "train.py", "--engine", "./silent"];
        let child = workplace.command_in("image", &words).spawn().expect("footplate starts");
        eventually("the engine to be asked", || workplace.read("asked").filter(|text| !text.is_empty()));
        child
    };
    let (child, begun) = (start(), Instant::now());
    kill(pid(&child), Signal::SIGINT).expect("sent");
    let ended = end(child);
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    ended.says("footplate: stopped by SIGINT before the job began\n");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // Nor is a download.
    let pulling = "#!/bin/sh\n[ $1 = image ] && echo No such image >&2 && exit 1\necho asked > asked\nexec sleep 600\n";
    executable(&workplace.at("silent"), pulling);
    fs::remove_file(workplace.at("asked")).expect("removed");
    let child = start();
    kill(pid(&child), Signal::SIGTERM).expect("sent");
    let ended = end(child);
    assert_eq!(ended.code, Some(143), "{ended:#?}");
    ended.says("footplate: silent pulls image, which is not on this machine\n");
    assert!(!Path::new(&workplace.at("out")).exists());
}

#[test]
fn the_memory_limit_of_a_container_is_named_when_it_is_exceeded() {
    if !images::usable() {
        return;
    }
    let workplace = Workplace::new("data = []\nwhile True:\n    data.append(b'x' * (4 << 20))\n");
    // The limit is that of the machine's container, which is smaller than the instance.
    workplace.train_in(image(), &["--memory", "64m", "--instance-type", "ml.t3.medium"]).ended(137);
    let failure = workplace.read("out/failure").expect("the failure");
    assert!(failure.to_lowercase().contains("out of memory") && failure.contains("64"), "{failure}");
}

#[test]
fn an_instance_type_gives_the_limits_of_its_containers() {
    if !images::usable() {
        return;
    }
    let script =
        "import os\nprint(os.environ['SM_CURRENT_INSTANCE_TYPE'], os.statvfs('/dev/shm').f_blocks * 4096 >> 20)\n";
    let workplace = Workplace::new(script);
    let ended = workplace.train_in(image(), &["--instance-type", "ml.c5.large"]).ended(0);
    assert_eq!(ended.stdout, "ml.c5.large 2048\n");
    let ended = workplace.train_in(image(), &["--instance-type", "ml.p4d.24xlarge", "--shm-size", "64m"]).ended(0);
    assert_eq!(ended.stdout, "ml.p4d.24xlarge 64\n");
    ended
        .says("ml.p4d.24xlarge has 1.1 TiB, and this machine only ")
        .says("ml.p4d.24xlarge has 8 GPUs, and this machine ");
}
