//! Signals: the processes that get them, the time that these have, and the failure text.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::job::{FOOTPLATE, Job};
use super::running::{Running, notes, nothing_survives, noting, with_notes};

/// A tree of processes in several groups and sessions, each of which notes every stop signal that it gets: the script, a
/// child in its group, a child in its own group, a child in its own session, and an orphan in its own session. The script
/// and the orphan wait for `go`, the others for `rest`.
const TREE: &str = r#"
import os, signal, sys, time
from notes import note, wait_for

def live(name, until):
    def got(number, frame):
        note(f"got {number} {name}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, got)
    note(f"ready {name}")
    wait_for(until)

def child(name, become, until="rest"):
    if os.fork() == 0:
        become()
        live(name, until)
        os._exit(0)

def orphan():
    os.setsid()
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    # Until its parent has ended, there is a process more than the tree has.
    while os.getppid() == parent:
        time.sleep(0.001)

child("child", lambda: None)
child("group", os.setpgrp)
child("session", os.setsid)
child("orphan", orphan, "go")
live("script", "go")
"#;

/// The numbers of processes of [`TREE`]: all of them, and those with no other one above them.
const ALL: usize = 5;
const FIRST: usize = 2;

#[test]
fn stop_signals_reach_every_process_of_the_tree_once_in_its_turn() {
    for signal in [SIGTERM, SIGINT] {
        let job = noting(TREE);
        let running = Running::start(&job, ["train"]);
        running.noted("ready", ALL);
        running.signal(signal);
        running.noted("got", FIRST);
        running.says("passed on to 2 processes (grace period 110 s); 3 more follow when these have ended");
        running.tell("go");
        running.noted("got", ALL);
        running.tell("rest");
        running.end(&job).succeeded();
        let got: Vec<String> = notes(job.base()).into_iter().filter(|note| note.starts_with("got")).collect();
        let in_turn = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| format!("got {} {name}", signal as i32)).collect()
        };
        let sorted = |got: &[String]| {
            let mut got = got.to_vec();
            got.sort();
            got
        };
        assert_eq!(sorted(&got[..FIRST]), in_turn(&["orphan", "script"]));
        assert_eq!(sorted(&got[FIRST..]), in_turn(&["child", "group", "session"]));
        nothing_survives(&job);
    }
}

#[test]
fn if_nothing_handles_the_signal_every_process_of_the_tree_gets_it() {
    let tree = TREE.replace("signal.signal(number, got)", "signal.signal(number, signal.SIG_DFL)");
    for signal in [SIGTERM, SIGINT] {
        let job = noting(&tree).variable("FOOTPLATE_GRACE_PERIOD", "600");
        let running = Running::start(&job, ["train"]);
        running.noted("ready", ALL);
        running.signal(signal);
        running.says("passed on to 5 processes (grace period 600 s)\n");
        running.end(&job).failed(128 + signal as i32, &format!("killed by {signal} "));
        nothing_survives(&job);
    }
}

#[test]
fn after_the_grace_period_all_descendants_are_killed() {
    let job = noting(TREE).variable("FOOTPLATE_GRACE_PERIOD", "0.5");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", ALL);
    running.signal(SIGTERM);
    let ended = running.end(&job).failed(137, "killed by SIGKILL (signal 9)");
    assert!(ended.failure().contains("the job was stopped: SIGTERM was passed on, and what still ran"), "{ended:#?}");
    assert!(ended.duration >= Duration::from_millis(500), "{ended:#?}");
    assert_eq!(notes(job.base()).iter().filter(|note| note.starts_with("got")).count(), FIRST, "the grace was theirs");
    nothing_survives(&job);
}

#[test]
fn a_second_stop_signal_kills_at_once() {
    let job = noting(TREE);
    let running = Running::start(&job, ["train"]);
    running.noted("ready", ALL);
    running.signal(SIGTERM);
    running.noted("got", FIRST);
    running.signal(SIGINT);
    // The grace period is longer than a test has patience.
    running.says("SIGINT is the second stop signal: killing what still runs");
    let ended = running.end(&job).failed(137, "killed by SIGKILL (signal 9)");
    assert!(ended.failure().contains("the job was stopped: SIGTERM was passed on to the script"), "{ended:#?}");
    nothing_survives(&job);
}

/// Saves on SIGTERM, for as long as the test wants, and exits with the code in the variable `CODE`.
const SAVER: &str = r#"
import os, signal, sys, time
from notes import note, wait_for
def save(number, frame):
    note("saving")
    wait_for("saved")
    with open(os.environ["SM_MODEL_DIR"] + "/checkpoint", "w") as file:
        file.write("weights")
    print("checkpoint written")
    sys.exit(int(os.environ["CODE"]))
signal.signal(signal.SIGTERM, save)
note("ready")
while True:
    time.sleep(0.01)
"#;

#[test]
fn a_script_that_saves_in_its_grace_period_keeps_its_exit_code() {
    for code in [0, 5] {
        let job = noting(SAVER).variable("CODE", &code.to_string());
        let running = Running::start(&job, ["train"]);
        running.noted("ready", 1);
        running.signal(SIGTERM);
        running.noted("saving", 1);
        running.tell("saved");
        let ended = running.end(&job);
        assert_eq!(job.read("model/checkpoint").as_deref(), Some("weights"));
        assert!(ended.stdout().ends_with("checkpoint written\n"), "what is said on the way out is shown: {ended:#?}");
        match code {
            0 => drop(ended.succeeded()),
            _ => {
                let ended = ended.failed(5, "exit code 5");
                assert!(ended.failure().contains("the job was stopped: SIGTERM was passed on"), "{ended:#?}");
            }
        }
    }
}

#[test]
fn a_python_child_can_save_although_its_shell_died_at_once() {
    let job = with_notes(Job::shell("python3 saver.py\n")).file("code/saver.py", SAVER).variable("CODE", "0");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    running.signal(SIGTERM);
    running.noted("saving", 1);
    running.tell("saved");
    let ended = running.end(&job).failed(143, "killed by SIGTERM (signal 15)");
    assert!(ended.failure().contains("the job was stopped: SIGTERM was passed on to the script"), "{ended:#?}");
    assert_eq!(job.read("model/checkpoint").as_deref(), Some("weights"));
    assert!(ended.stdout().contains("checkpoint written\n"), "{ended:#?}");
    nothing_survives(&job);
}

#[test]
fn a_process_that_the_script_starts_in_order_to_save_is_not_stopped() {
    let script = "from notes import note, wait_for\nimport os, signal, subprocess, sys\n\
                  def save(number, frame):\n    \
                  code = 'import notes; notes.note(\"uploading\"); notes.wait_for(\"saved\"); notes.note(\"uploaded\")'\n    \
                  sys.exit(subprocess.run([sys.executable, '-c', code]).returncode)\n\
                  signal.signal(signal.SIGTERM, save)\nnote('ready')\n\
                  wait_for('end')";
    let job = noting(script);
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    running.signal(SIGTERM);
    running.noted("uploading", 1);
    running.says("passed on to 1 process ");
    running.tell("saved");
    running.end(&job).succeeded();
    assert_eq!(notes(job.base()).last().map(String::as_str), Some("uploaded"));
}

#[test]
fn every_other_signal_is_forwarded_to_the_script() {
    let faults = [Signal::SIGFPE, Signal::SIGILL, Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGABRT, Signal::SIGTRAP];
    let others = [SIGKILL, Signal::SIGSTOP, Signal::SIGCHLD, Signal::SIGSYS, SIGTERM, SIGINT];
    let spared: Vec<i32> = faults.into_iter().chain(others).map(|signal| signal as i32).collect();
    let forwarded: Vec<i32> =
        (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).filter(|number| !spared.contains(number)).collect();
    assert_eq!(forwarded.len(), 50);
    let script = format!(
        "import signal\nfrom notes import note, wait_for\n\
         for number in {forwarded:?}:\n    signal.signal(number, lambda number, frame: note(f'got {{number}}.'))\n\
         note('ready')\n\
         wait_for('end')"
    );
    // SIGQUIT prints the stacks otherwise.
    let job = noting(&script).variable("FOOTPLATE_STACKS", "off");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    for number in &forwarded {
        // nix has no names for real-time signals.
        let sender =
            std::process::Command::new("sh").args(["-c", &format!("kill -{number} {}", running.pid())]).status();
        assert!(sender.expect("a shell").success());
        running.noted(&format!("got {number}."), 1);
    }
    assert_eq!(notes(job.base()).len(), forwarded.len() + 1, "each came once");
    running.signal(SIGTERM);
    let ended = running.end(&job).failed(143, "killed by SIGTERM (signal 15)");
    assert!(!ended.success);
}

#[test]
fn a_signal_sent_only_to_the_script_is_not_reported_as_a_stop() {
    let job = noting("import os, time\nfrom notes import note\nnote(f'pid {os.getpid()}')\ntime.sleep(600)");
    let running = Running::start(&job, ["train"]);
    let notes = running.noted("pid", 1);
    let script = notes[0].trim_start_matches("pid ").parse().expect("a number");
    kill(Pid::from_raw(script), SIGTERM).expect("it runs");
    let ended = running.end(&job).failed(143, "killed by SIGTERM (signal 15)");
    assert!(!ended.failure().contains("the job was stopped"), "{ended:#?}");
}

#[test]
fn a_stop_while_requirements_are_installed_ends_the_job() {
    let setup = "import os\nfrom setuptools import setup\n\
                 open(os.environ['NOTES'], 'w').write('installing\\n')\nopen(os.environ['FIFO']).read()\nsetup(name='local')";
    let job = noting("from notes import note\nnote('the script runs')")
        .file("code/requirements.txt", "./local\n")
        .file("code/local/setup.py", setup)
        // pip inverts this variable: "false" makes it build with the setuptools that are installed.
        .variable("PIP_NO_BUILD_ISOLATION", "false")
        .variable("PIP_NO_INDEX", "1");
    let fifo = job.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let job = job.variable("FIFO", &fifo.display().to_string());
    let running = Running::start(&job, ["train"]);
    running.noted("installing", 1);
    running.signal(SIGTERM);
    let ended = running.end(&job).failed(143, "stopped by SIGTERM before the script started, exit code 143");
    assert_eq!(notes(job.base()), ["installing"], "{ended:#?}");
    nothing_survives(&job);
}

/// Starts a job whose code comes from a server that never answers, by this program if there is one, and returns it when it
/// waits for the server.
fn waiting_for_code(starter: Option<&str>) -> (Job, Running, (TcpListener, TcpStream)) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let job = noting("")
        .variable("AWS_ENDPOINT_URL", &format!("http://{}", silent.local_addr().expect("an address")))
        .variable("AWS_ACCESS_KEY_ID", "AKIA")
        .variable("AWS_SECRET_ACCESS_KEY", "s")
        .variable("AWS_REGION", "us-east-1")
        .variable("SAGEMAKER_SUBMIT_DIRECTORY", "s3://code/x.tar.gz");
    let running = match starter {
        Some(starter) => {
            let mut command = Command::new(starter);
            command.arg(FOOTPLATE).arg("train");
            Running::of(&job, job.within(command))
        }
        None => Running::start(&job, ["train"]),
    };
    let (connection, _) = silent.accept().expect("it connects");
    (job, running, (silent, connection))
}

#[test]
fn a_hangup_before_the_script_starts_ends_the_job_unless_it_was_ignored() {
    for (signal, code) in [(SIGHUP, 129), (SIGQUIT, 131)] {
        let (job, running, _server) = waiting_for_code(None);
        running.signal(signal);
        let text = format!("stopped by {signal} before the script started, exit code {code}");
        running.end(&job).failed(code, &text);
    }
    let (job, running, server) = waiting_for_code(Some("nohup"));
    running.signal(SIGHUP);
    running.signal(SIGTERM);
    running.end(&job).failed(143, "stopped by SIGTERM before the script started, exit code 143");
    drop(server);
}

#[test]
fn a_stop_while_code_is_unpacked_ends_the_job() {
    let job = noting("");
    // So many files that unpacking takes a while.
    let mut archive = tar::Builder::new(std::fs::File::create(job.path("code.tar")).expect("created"));
    for number in 0..60_000 {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(0);
        archive.append_data(&mut header, format!("data/{number}"), std::io::empty()).expect("appended");
    }
    archive.into_inner().expect("written");
    let job = job.variable("SAGEMAKER_SUBMIT_DIRECTORY", "code.tar");
    let running = Running::start(&job, ["train"]);
    running.says("entry point: train.py");
    running.signal(SIGTERM);
    let ended = running.end(&job).failed(143, "stopped by SIGTERM before the script started, exit code 143");
    assert!(!ended.stderr.contains("footplate INFO  code: "), "it was unpacked before the signal came: {ended:#?}");
    nothing_survives(&job);
}

#[test]
fn a_panic_is_reported_as_a_defect_and_leaves_nothing_running() {
    let job = Job::new().variable("FOOTPLATE_TEST_PANIC", "");
    let ended = job.train().failed(70, &format!("footplate {} itself failed at ", env!("CARGO_PKG_VERSION")));
    assert!(ended.failure().contains("this is a defect of footplate, not of the script: please report it"));
    assert!(ended.stderr.contains(ended.failure()), "{ended:#?}");

    let job = noting(TREE);
    let trigger = job.path("notes.panic").display().to_string();
    let job = job.variable("FOOTPLATE_TEST_PANIC", &trigger);
    let running = Running::start(&job, ["train"]);
    running.noted("ready", ALL);
    running.tell("panic");
    running.end(&job).failed(70, &format!("footplate {} itself failed at ", env!("CARGO_PKG_VERSION")));
    super::job::eventually("the end of what was killed", || {
        super::running::survivors(job.base()).is_empty().then_some(())
    });
}
