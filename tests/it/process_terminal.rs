//! Jobs on a terminal: programs that read from it, Ctrl-C, Ctrl-Z, and children that are stopped.

use std::io::{PipeWriter, Write};
use std::process::Command;

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::job::{FOOTPLATE, Job, eventually};
use super::process_places::in_container;
use super::running::{Running, notes, nothing_survives, noting};

/// Runs a command on a terminal of its own. Bytes written to its standard input are typed there.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// A shell with job control that has one job. It notes when the job is suspended, gives itself the terminal, and continues the
/// job in the foreground when it is told so.
const SHELL: &str = r#"
import os, signal, sys, time
def note(text):
    with open(os.environ["NOTES"], "a") as file:
        file.write(text + "\n")
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
tty = os.open("/dev/tty", os.O_RDWR)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(tty, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    status = os.waitpid(job, os.WUNTRACED)[1]
    os.tcsetpgrp(tty, os.getpgrp())
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    note(f"suspended {job}")
    while not os.path.exists(os.environ["NOTES"] + ".fg"):
        time.sleep(0.01)
    os.tcsetpgrp(tty, job)
    os.kill(-job, signal.SIGCONT)
"#;

/// Runs a job on a terminal, as its first process or below a shell. Returns the keyboard.
fn on_a_terminal(job: &Job, shell: bool, words: &[&str]) -> (Running, PipeWriter) {
    let mut command = Command::new("python3");
    command.args(["-Sc", TERMINAL]);
    if shell {
        command.args(["python3", "-Sc", SHELL]);
    }
    command.arg(FOOTPLATE).args(words);
    let (read, write) = std::io::pipe().expect("a pipe");
    let mut command = in_container(job, command);
    command.stdin(read);
    (Running::of(job, command), write)
}

fn shows(running: &Running, text: &str) {
    eventually(&format!("{text:?} on the terminal: {}", String::from_utf8_lossy(&running.stdout())), || {
        String::from_utf8_lossy(&running.stdout()).contains(text).then_some(())
    });
}

/// Returns the state letter of a process.
fn state_of(pid: &str) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned));
    state.unwrap_or_default()
}

/// Asks for a password twice, the second time by a child, as git does.
const ASKING: &str = "import getpass, subprocess, sys\nfrom notes import note\n\
                      note('got ' + getpass.getpass('First: '))\n\
                      child = 'import getpass, notes; notes.note(\"got \" + getpass.getpass(\"Second: \"))'\n\
                      subprocess.run([sys.executable, '-c', child], check=True)\n";

#[test]
fn a_script_and_its_child_can_ask_for_a_password() {
    for shell in [false, true] {
        let job = noting(ASKING);
        let (running, mut keyboard) = on_a_terminal(&job, shell, &["train"]);
        shows(&running, "First: ");
        keyboard.write_all(b"one\n").expect("typed");
        shows(&running, "Second: ");
        keyboard.write_all(b"two\n").expect("typed");
        let ended = running.end(&job).succeeded();
        assert_eq!(notes(job.base()), ["got one", "got two"]);
        assert!(!ended.stdout().contains("stopped") && !ended.stdout().contains("waits for"), "{ended:#?}");
    }
}

#[test]
fn a_job_of_this_machine_can_ask_for_a_password() {
    let job = noting(ASKING);
    let code = job.path("code").display().to_string();
    let output = job.path("results").display().to_string();
    let words = ["local", "--entry-point", "train.py", "--source-dir", &code, "--output-dir", &output, "--env"];
    let notes_variable = format!("NOTES={}", job.path("notes").display());
    let words = [&words[..], &[notes_variable.as_str()]].concat();
    let (running, mut keyboard) = on_a_terminal(&job, true, &words);
    shows(&running, "First: ");
    keyboard.write_all(b"one\n").expect("typed");
    shows(&running, "Second: ");
    keyboard.write_all(b"two\n").expect("typed");
    assert_eq!(running.end(&job).code(), 0);
    assert_eq!(notes(job.base()), ["got one", "got two"]);
}

#[test]
fn ctrl_c_at_a_prompt_stops_the_job() {
    let job = noting("import getpass\ngetpass.getpass('Password: ')\n");
    let (running, mut keyboard) = on_a_terminal(&job, true, &["train"]);
    shows(&running, "Password: ");
    keyboard.write_all(b"\x03").expect("typed");
    let ended = running.end(&job).failed(130, "");
    assert!(ended.failure().contains("KeyboardInterrupt") || ended.failure().contains("SIGINT"), "{ended:#?}");
    nothing_survives(&job);
}

#[test]
fn ctrl_z_suspends_the_whole_job_until_it_is_continued() {
    let script = "import os, subprocess, sys, time\nfrom notes import note, wait_for\n\
                  child = 'import notes; notes.wait_for(\"end\")'\n\
                  child = subprocess.Popen([sys.executable, '-c', child], start_new_session=True)\n\
                  note(f'pid {os.getpid()}')\nnote(f'pid {child.pid}')\nwait_for('end')\nchild.wait()\nprint('continued')\n";
    let job = noting(script);
    let (running, mut keyboard) = on_a_terminal(&job, true, &["train"]);
    let found = running.noted("pid", 2);
    let mut pids: Vec<String> = found.iter().map(|note| note["pid ".len()..].to_owned()).collect();
    keyboard.write_all(b"\x1a").expect("typed");
    let suspended = running.noted("suspended", 1);
    pids.push(suspended.last().and_then(|note| note.strip_prefix("suspended ")).expect("a job").to_owned());
    for pid in &pids {
        eventually("the process is stopped", || (state_of(pid) == "T").then_some(()));
    }
    running.tell("end");
    running.tell("fg");
    let ended = running.end(&job).succeeded();
    assert!(ended.stdout().contains("continued"), "{ended:#?}");
    assert!(!ended.stdout().contains("was stopped by"), "{ended:#?}");
}

#[test]
fn ctrl_z_is_ignored_if_no_shell_could_continue_the_job() {
    let job = noting("from notes import note, wait_for\nnote('ready')\nwait_for('end')\n");
    let (running, mut keyboard) = on_a_terminal(&job, false, &["train"]);
    running.noted("ready", 1);
    keyboard.write_all(b"\x1a").expect("typed");
    shows(&running, "Ctrl-Z is ignored: there is no shell that could continue the job");
    running.tell("end");
    running.end(&job).succeeded();
}

#[test]
fn a_child_that_is_stopped_is_reported_with_the_way_to_continue_it() {
    let job = noting("import os\nfrom notes import note, wait_for\nnote(f'pid {os.getpid()}')\nwait_for('end')\n");
    let running = Running::start(&job, ["train"]);
    let notes = running.noted("pid", 1);
    let pid = &notes[0]["pid ".len()..];
    let script = Pid::from_raw(pid.parse().expect("a number"));
    for _ in 0..2 {
        kill(script, SIGSTOP).expect("it runs");
        let report = format!(
            "rank 0 (process {pid}) was stopped by SIGSTOP, and does nothing until it is continued: kill -CONT {pid}"
        );
        running.says(&report);
        kill(script, SIGCONT).expect("it is there");
    }
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert_eq!(ended.stderr.matches("was stopped by").count(), 1, "{ended:#?}");
}

#[test]
fn on_a_terminal_a_script_can_write_and_is_not_stopped_when_it_reads() {
    let script = "import os, sys\nfrom notes import note\n\
                  note([os.isatty(fd) for fd in range(3)])\nnote(sys.stdin.read())\n\
                  print('out')\nprint('err', file=sys.stderr)\nsys.exit(6)";
    let job = noting(script);
    let (running, keyboard) = on_a_terminal(&job, false, &["train"]);
    let ended = running.end(&job).failed(6, "err\nexit code 6");
    drop(keyboard);
    assert_eq!(notes(job.base()), ["[False, False, False]", ""]);
    assert!(ended.stdout().contains("out\r\n") && ended.stdout().contains("err\r\n"), "{ended:#?}");
}

#[test]
fn ctrl_c_on_a_terminal_reaches_the_script_once_and_a_second_one_kills() {
    let script = "import signal\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGINT, lambda *args: note('interrupted'))\nnote('ready')\n\
                  wait_for('end')";
    let job = noting(script);
    let (running, mut keyboard) = on_a_terminal(&job, false, &["train"]);
    running.noted("ready", 1);
    keyboard.write_all(b"\x03").expect("typed");
    running.noted("interrupted", 1);
    keyboard.write_all(b"\x03").expect("typed");
    running.end(&job).failed(137, "killed by SIGKILL (signal 9)");
    assert_eq!(notes(job.base()), ["ready", "interrupted"]);
    nothing_survives(&job);
}
