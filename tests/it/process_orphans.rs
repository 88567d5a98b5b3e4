//! Leftovers of a script: orphans, zombies, daemons, and streams that other processes hold open.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::job::{FOOTPLATE, Job, patience};
use super::running::{Running, notes, nothing_survives, noting};

/// The upper bound for an end that waits for nothing in vain.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Returns a command that runs footplate as PID 1 of its own namespace, as in a container.
pub fn as_pid_1(job: &Job, arguments: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child", FOOTPLATE]).args(arguments);
    job.within(unshare)
}

/// Creates 10,000 orphans that end, and waits until none of them is a zombie.
const ORPHANS: &str = r#"
import os, subprocess, time
from notes import note

# A shell's forks are cheaper than Python's.
LOOP = "(n=0; while [ $n -lt 100 ]; do (exit 3) & n=$((n+1)); done)"
subprocess.run(["sh", "-c", f"m=0; while [ $m -lt 100 ]; do {LOOP}; m=$((m+1)); done"], check=True)

def zombies():
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        found += state == "Z" and int(parent) == os.getppid()
    return found

note(f"footplate is {os.getppid()}")
deadline = time.monotonic() + 30
# One that still runs can become a zombie for a moment after a look that found none.
while (left := zombies()) and time.monotonic() < deadline:
    time.sleep(0.01)
note(f"zombies: {left}")
"#;

#[test]
fn ten_thousand_orphans_are_reaped_under_pid_1() {
    let job = noting(ORPHANS);
    let ended = Running::of(&job, as_pid_1(&job, &["train"])).end(&job).succeeded();
    assert_eq!(notes(job.base()), ["footplate is 1", "zombies: 0"], "{ended:#?}");
    nothing_survives(&job);
}

#[test]
fn ten_thousand_orphans_are_reaped_if_footplate_is_not_pid_1() {
    let job = noting(ORPHANS);
    let running = Running::start(&job, ["train"]);
    let footplate = running.pid();
    let ended = running.end(&job).succeeded();
    assert_eq!(notes(job.base()), [format!("footplate is {footplate}"), "zombies: 0".to_owned()], "{ended:#?}");
    nothing_survives(&job);
}

/// Leaves a daemon behind that holds the streams open. It ends on SIGTERM if the variable `DAEMON` is `ends`.
const DAEMON: &str = r#"
import os, signal, sys, time
from notes import note, wait_for

if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    def got(number, frame):
        note(f"the daemon got {number}")
        os._exit(0)
    signal.signal(signal.SIGTERM, got if os.environ["DAEMON"] == "ends" else signal.SIG_IGN)
    note("the daemon is ready")
    while True:
        time.sleep(1)
wait_for("end")
sys.exit(4)
"#;

/// Runs [`DAEMON`], checks that its daemon is gone at the end, and returns the notes.
fn leave_daemon(about_sigterm: &str, start: impl Fn(&Job) -> Running) -> Vec<String> {
    let job = noting(DAEMON).variable("DAEMON", about_sigterm).variable("FOOTPLATE_DRAIN_TIME", "0.5");
    let running = start(&job);
    running.noted("the daemon is ready", 1);
    running.tell("end");
    let ended = running.end(&job).failed(4, "exit code 4");
    assert!(ended.stderr.contains("SIGTERM to 1 process that the script left behind"), "{ended:#?}");
    assert!(ended.duration < AT_ONCE, "{ended:#?}");
    nothing_survives(&job);
    notes(job.base())
}

#[test]
fn a_daemon_that_holds_streams_open_gets_sigterm_after_the_drain_time() {
    for start in [|job: &Job| Running::start(job, ["train"]), |job: &Job| Running::of(job, as_pid_1(job, &["train"]))] {
        assert_eq!(leave_daemon("ends", start), ["the daemon is ready", "the daemon got 15"]);
    }
}

#[test]
fn a_daemon_that_ignores_sigterm_is_killed() {
    assert_eq!(leave_daemon("stays", |job| Running::start(job, ["train"])), ["the daemon is ready"]);
}

#[test]
fn output_of_a_process_left_behind_is_shown_during_the_drain_time() {
    let job = Job::shell("(sleep 0.3; echo late) &\necho early\n").variable("FOOTPLATE_DRAIN_TIME", "30");
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "early\nlate\n");
    assert!(ended.duration < AT_ONCE, "nothing is waited for once nothing is left: {ended:#?}");
}

#[test]
fn a_stop_signal_in_the_drain_time_reaches_processes_left_behind() {
    let job = noting(DAEMON).variable("DAEMON", "ends").variable("FOOTPLATE_DRAIN_TIME", "1000");
    let running = Running::start(&job, ["train"]);
    running.noted("the daemon is ready", 1);
    running.tell("end");
    let script = || super::running::survivors(job.base()).len() == 2;
    super::job::eventually("the script's end", || script().then_some(()));
    running.signal(Signal::SIGTERM);
    running.end(&job).failed(4, "exit code 4");
    assert_eq!(notes(job.base()), ["the daemon is ready", "the daemon got 15"]);
}

/// Opens the script's standard output, so that a process that does not descend from footplate (this one) holds its pipe.
fn hold(running: &Running) -> std::fs::File {
    let notes = running.noted("pid ", 1);
    let path = format!("/proc/{}/fd/1", notes[0].trim_start_matches("pid "));
    OpenOptions::new().write(true).open(path).expect("opened")
}

const WAITER: &str =
    "import os\nfrom notes import note, wait_for\nnote(f'pid {os.getpid()}')\nwait_for('end')\nprint('bye')";

#[test]
fn a_foreign_process_that_holds_the_pipe_delays_the_end_only_briefly() {
    let job = noting(WAITER);
    let running = Running::start(&job, ["train"]);
    let held = hold(&running);
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert_eq!(ended.stdout(), "bye\n");
    assert!(ended.duration < AT_ONCE, "{ended:#?}");
    drop(held);
}

#[test]
fn a_foreign_process_that_writes_forever_does_not_block_the_end() {
    let job = noting(WAITER);
    let running = Running::start(&job, ["train"]);
    let held = hold(&running);
    let over = AtomicBool::new(false);
    // Several writers, so that footplate never finds the pipe empty.
    let write = |mut held: std::fs::File| {
        let begun = std::time::Instant::now();
        let lines = b"more\n".repeat(1 << 18);
        // Writing fails when footplate has ended and the pipe is closed.
        while !over.load(Ordering::Relaxed) && begun.elapsed() < patience() && held.write_all(&lines).is_ok() {
            std::hint::spin_loop();
        }
    };
    let duration = std::thread::scope(|scope| {
        for _ in 0..8 {
            let held = held.try_clone().expect("cloned");
            scope.spawn(|| write(held));
        }
        drop(held);
        running.tell("end");
        let ended = running.end(&job).succeeded();
        over.store(true, Ordering::Relaxed);
        ended.duration
    });
    assert!(duration < AT_ONCE, "{duration:?}");
}

#[test]
fn processes_that_fork_without_pause_are_all_killed() {
    // Processes that replace each other, so that one always exists that no scan of /proc has seen. They end by themselves if
    // nobody ends them.
    let script = "import os, signal, time\nfrom notes import note\n\
                  last = time.monotonic() + 10\n\
                  for n in range(2):\n    \
                  if os.fork() == 0:\n        \
                  os.setsid()\n        \
                  signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        \
                  note('forking')\n        \
                  while time.monotonic() < last:\n            \
                  if os.fork(): os._exit(0)\n        \
                  note('survived')\n        \
                  os._exit(0)\n\
                  from notes import wait_for\nwait_for('end')";
    let job = noting(script).variable("FOOTPLATE_DRAIN_TIME", "0.3");
    let running = Running::start(&job, ["train"]);
    running.noted("forking", 2);
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert!(ended.duration < patience(), "{ended:#?}");
    nothing_survives(&job);
    assert_eq!(super::running::notes(job.base()), ["forking", "forking"]);
}

#[test]
fn everything_of_the_job_ends_with_a_footplate_that_is_killed() {
    // Each child handles and ignores what it can, in its own group or session; the last one has lost its parent, but is in the
    // session of one that has not.
    let script = "import os, signal, time\nfrom notes import note, wait_for\n\
                  def child(become, then=lambda: None):\n    \
                  if os.fork() == 0:\n        become(); then()\n        note('ready')\n        time.sleep(1000)\n\
                  for number in (signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n\
                  child(lambda: None)\nchild(os.setpgrp)\nchild(os.setsid)\n\
                  child(os.setsid, lambda: child(lambda: None, lambda: child(os.setpgrp)))\n\
                  note('ready')\nwait_for('end')\n";
    let job = noting(script);
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 7);
    running.signal(Signal::SIGKILL);
    super::job::eventually("the end of the job's processes", || {
        super::running::survivors(job.base()).is_empty().then_some(())
    });
}

#[test]
fn the_guard_of_a_job_ends_with_it_and_is_none_of_its_processes() {
    let job = noting("from notes import note, wait_for\nnote('ready')\nwait_for('end')\n");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    let guard = guard_of(&running);
    assert_eq!(std::fs::read(format!("/proc/{guard}/environ")).expect("read"), b"", "it has no secret of the job");
    let open = std::fs::read_dir(format!("/proc/{guard}/fd")).expect("its descriptors").count();
    assert_eq!(open, 3, "it holds nothing open that the job waits for");
    running.signal(Signal::SIGTERM);
    running.says("passed on to 1 process ");
    let ended = running.end(&job).failed(143, "");
    assert!(ended.duration < AT_ONCE, "{ended:#?}");
    super::job::eventually("the guard's end", || name_of(&guard).is_empty().then_some(()));
}

/// Returns the number of a job's guard.
fn guard_of(running: &Running) -> String {
    // The guard reads from a pipe to which footplate writes.
    let pipe = |path: std::path::PathBuf| std::fs::read_link(path).ok();
    let own = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).expect("its descriptors").flatten();
    let own: Vec<_> = own.filter_map(|entry| pipe(entry.path())).collect();
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let guard = entries.filter_map(|entry| entry.file_name().into_string().ok()).find(|pid| {
        name_of(pid) == "end-with-job\n"
            && pipe(format!("/proc/{pid}/fd/0").into()).is_some_and(|pipe| own.contains(&pipe))
    });
    guard.expect("a guard")
}

fn name_of(pid: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// footplate tells the guard of each program. The write to one that is gone makes the kernel send footplate SIGPIPE, which is for
/// nobody else.
#[test]
fn programs_that_start_after_the_end_of_the_guard_get_no_signal() {
    let script = "import os, time\nfrom notes import note, wait_for\nattempt = os.environ['FOOTPLATE_ATTEMPT']\n\
                  note(f'ready {attempt}')\nwait_for(f'end {attempt}')\nassert attempt == '1'\n";
    let job = noting(script).variable("FOOTPLATE_MAX_RESTARTS", "1");
    let running = Running::start(&job, ["train"]);
    running.noted("ready 0", 1);
    let guard = guard_of(&running);
    kill(Pid::from_raw(guard.parse().expect("a number")), Signal::SIGKILL).expect("it runs");
    super::job::eventually("the guard's end", || name_of(&guard).is_empty().then_some(()));
    running.tell("end 0");
    running.noted("ready 1", 1);
    running.tell("end 1");
    running.end(&job).succeeded();
}

#[test]
fn as_pid_1_footplate_gives_the_grace_period_too() {
    let script = "import signal, sys\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))\nnote('ready')\nwait_for('end')";
    let job = noting(script);
    let running = Running::of(&job, as_pid_1(&job, &["train"]));
    running.noted("ready", 1);
    // The only child of unshare is PID 1 of the namespace.
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid())).expect("the children");
    kill(Pid::from_raw(children.trim().parse().expect("one child")), Signal::SIGTERM).expect("it runs");
    running.end(&job).succeeded();
    nothing_survives(&job);
}
