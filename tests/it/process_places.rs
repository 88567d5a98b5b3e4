//! Unusual surroundings: another user, a limit of processes, a read-only folder, no /proc.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::job::{FOOTPLATE, Job, eventually};
use super::running::{Running, notes, nothing_survives, with_notes};

/// Gives the job's variables to a command that starts footplate.
pub fn in_container(job: &Job, mut command: Command) -> Command {
    let footplate = job.command([""; 0]);
    let variables = footplate.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    command.env_clear().envs(variables).stdin(Stdio::null());
    command
}

/// The number of the user nobody.
const NOBODY: u32 = 65534;

/// Gives the job to the user nobody: its folders, and a copy of the binary that any user can execute.
fn of_nobody(job: Job) -> Job {
    of_user(job, NOBODY)
}

/// Gives the job to a user.
fn of_user(job: Job, user: u32) -> Job {
    let job = job.variable("PATH", "/usr/local/bin:/usr/bin:/bin");
    if !nix::unistd::geteuid().is_root() {
        return job;
    }
    fn give(path: &Path, user: u32) {
        std::os::unix::fs::chown(path, Some(user), Some(user)).expect("given");
        for entry in path.is_dir().then(|| fs::read_dir(path).expect("a folder")).into_iter().flatten() {
            give(&entry.expect("an entry").path(), user);
        }
    }
    fs::copy(FOOTPLATE, job.path("footplate")).expect("copied");
    give(job.base(), user);
    job
}

/// Runs `footplate train` as the user nobody, or as the present user if that is not root.
fn as_nobody(job: &Job) -> Running {
    if !nix::unistd::geteuid().is_root() {
        return Running::start(job, ["train"]);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(job.path("footplate")).arg("train");
    Running::of(job, in_container(job, command))
}

/// Runs `footplate train` without /proc, by `unshare` with these further options.
fn without_proc(job: &Job, options: &[&str]) -> Running {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let script = format!("mount -t tmpfs none /proc && exec {FOOTPLATE} train");
    command.arg("--mount").args(options).args(["sh", "-c", &script]);
    Running::of(job, in_container(job, command))
}

#[test]
fn a_job_runs_as_a_user_who_is_not_root() {
    let job = of_nobody(Job::shell("id -u\necho weights > $SM_MODEL_DIR/weights\nexit $CODE\n").variable("CODE", "0"));
    let ended = as_nobody(&job).end(&job).succeeded();
    assert_ne!(ended.stdout(), "0\n");
    assert_eq!(job.read("model/weights").as_deref(), Some("weights\n"));

    let job = of_nobody(Job::shell("exit 7\n"));
    as_nobody(&job).end(&job).failed(7, "exit code 7");

    let job = of_nobody(Job::shell("(trap 'echo stopped; exit' TERM; echo ready; while :; do sleep 0.05; done)\n"));
    let running = as_nobody(&job);
    eventually("the script", || (running.stdout() == b"ready\n").then_some(()));
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job).failed(143, "killed by SIGTERM (signal 15)");
    assert_eq!(ended.stdout(), "ready\nstopped\n");
    nothing_survives(&job);
}

#[test]
fn an_unwritable_output_folder_is_named_and_the_exit_code_is_kept() {
    for code in [0, 7] {
        let job = of_nobody(Job::shell(&format!("exit {code}\n")));
        fs::set_permissions(job.path("output"), Permissions::from_mode(0o555)).expect("made read-only");
        let ended = as_nobody(&job).end(&job);
        assert_eq!(ended.code(), code, "{ended:#?}");
        assert!(ended.failure.is_none() && !ended.success, "{ended:#?}");
        let file = if code == 0 { "output/success" } else { "output/failure" };
        let expected = format!("footplate ERROR failed to write {}: Permission denied", job.path(file).display());
        assert!(ended.stderr.contains(&expected), "{ended:#?}");
        fs::set_permissions(job.path("output"), Permissions::from_mode(0o755)).expect("made writable");
    }
}

#[test]
fn a_limit_of_processes_is_named_and_ends_in_no_defect() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // A user who has no other processes.
    const USER: u32 = 61_234;
    let mut named = 0;
    // On a busy machine, footplate's own threads may need more processes at once than it does with the script.
    let limits = (1..=8).chain((2..=8).cycle().take(35)).enumerate();
    for (place, limit) in limits {
        if place >= 8 && named > 0 {
            break;
        }
        let job = of_user(Job::shell("exit 7\n"), USER);
        let user = USER.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]);
        command.arg(format!("--nproc={limit}")).arg(job.path("footplate")).arg("train");
        let ended = Running::of(&job, in_container(&job, command)).end(&job);
        assert!(ended.code() != 0 && !ended.stderr.contains("itself failed"), "{limit}: {ended:#?}");
        let expected = "no process can be made (Resource temporarily unavailable (os error 11)): allow the container more \
                        processes";
        named += usize::from(ended.stderr.contains(expected));
        if ended.code() != 7 {
            assert!(ended.failure().contains(": allow the container more processes ("), "{limit}: {ended:#?}");
        }
    }
    assert!(named > 0, "no limit was met by the start of the script");
}

/// Answers the system call clone3 with EPERM, as container engines did that did not know it, and executes its arguments.
const FORBID_CLONE3: &str = "import ctypes, os, struct, sys\n\
    rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 435), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]\n\
    code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *rule) for rule in rules))\n\
    program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(rules), ctypes.addressof(code)))\n\
    prctl = ctypes.CDLL(None).prctl\n\
    assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.byref(program), 0, 0) == 0\n\
    os.execv(sys.argv[1], sys.argv[1:])\n";

#[test]
fn a_start_that_the_container_refuses_leaves_a_reason_and_a_remedy() {
    let refused = |job: &Job, words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        Running::of(job, in_container(job, command)).end(job)
    };
    let job = Job::shell("exit 7\n");
    let ended = refused(&job, &["python3", "-c", FORBID_CLONE3, FOOTPLATE, "train"]);
    let text =
        "footplate cannot start: Operation not permitted (os error 1): the container engine forbids a system call";
    assert!(ended.failed(70, text).failure().contains("use a newer engine (Docker since 20.10.10)"));

    let job = Job::shell("exit 7\n");
    let ended = refused(&job, &["sh", "-c", "ulimit -n 5; exec \"$0\" train", FOOTPLATE]);
    let text = "footplate cannot start: Too many open files (os error 24): allow the container more open files";
    assert!(ended.failed(70, text).stderr.starts_with(text));
}

#[test]
fn without_proc_the_script_ends_with_a_footplate_that_is_killed() {
    let job = with_notes(Job::shell("echo ready >> $NOTES\nexec sleep 1000\n"));
    let running = without_proc(&job, &[]);
    running.noted("ready", 1);
    running.signal(Signal::SIGKILL);
    eventually("the script's end", || super::running::survivors(job.base()).is_empty().then_some(()));
}

#[test]
fn a_job_runs_without_proc() {
    let job = Job::shell("[ ! -e /proc/self ] || exit 99\necho out; echo err >&2; exit $CODE\n");
    let job = job.variable("CODE", "0");
    let ended = without_proc(&job, &[]).end(&job).succeeded();
    assert!(ended.stdout() == "out\n" && ended.stderr.contains("err\n"), "{ended:#?}");
    let job = Job::shell("exit 7\n");
    without_proc(&job, &[]).end(&job).failed(7, "exit code 7");
}

/// A shell script and a child that outlives it in the same process group; both note that they got SIGTERM.
const PAIR: &str = "trap 'echo got script >> $NOTES; exit 5' TERM\n\
                    (trap 'echo got child >> $NOTES; exit' TERM; echo ready >> $NOTES; while :; do sleep 0.05; done) &\n\
                    echo ready >> $NOTES\n";

#[test]
fn stop_signals_reach_the_scripts_group_without_proc() {
    let job = with_notes(Job::shell(&format!("{PAIR}while :; do sleep 0.05; done\n")));
    let running = without_proc(&job, &[]);
    running.noted("ready", 2);
    running.signal(Signal::SIGTERM);
    running.noted("got", 2);
    running.end(&job).failed(5, "");
    nothing_survives(&job);
}

#[test]
fn processes_left_behind_are_ended_without_proc() {
    let job = with_notes(Job::shell(&format!("{PAIR}while [ ! -e $NOTES.end ]; do sleep 0.05; done\n")));
    let running = without_proc(&job, &[]);
    running.noted("ready", 2);
    running.tell("end");
    running.end(&job).succeeded();
    assert_eq!(notes(job.base()), ["ready", "ready", "got child"]);
    nothing_survives(&job);

    // As PID 1, footplate also ends processes that left the group.
    let script = "setsid sh -c 'trap \"echo got daemon >> $NOTES; exit\" TERM; echo ready >> $NOTES; \
                  while :; do sleep 0.05; done' &\nwhile [ ! -e $NOTES.end ]; do sleep 0.05; done\n";
    let job = with_notes(Job::shell(script));
    let running = without_proc(&job, &["--pid", "--fork", "--kill-child"]);
    running.noted("ready", 1);
    running.tell("end");
    running.end(&job).succeeded();
    assert_eq!(notes(job.base()), ["ready", "got daemon"]);
    nothing_survives(&job);
}
