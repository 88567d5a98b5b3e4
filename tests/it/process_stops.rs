//! Stops of jobs that save: what a trainer needs in order to save is left alone until it has saved.

use nix::sys::signal::Signal::{self, SIGINT, SIGTERM};

use super::job::{Job, eventually};
use super::running::{Running, notes, nothing_survives, noting, with_notes};

/// The beginning of a trainer: a stop signal is noted, and `stopping()` returns true from then on.
const CATCHING: &str = r#"
import multiprocessing, os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from notes import note, wait_for
told = []
def catch():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: told.append(number))
def until_told():
    while not told:
        time.sleep(0.01)
    note(f"told {told}")
"#;

/// A trainer that needs a pool of processes and a manager's process in order to save.
const WITH_POOL: &str = r#"
if __name__ == "__main__":
    context = multiprocessing.get_context(os.environ.get("START", "fork"))
    with ProcessPoolExecutor(2, mp_context=context) as pool, context.Manager() as manager:
        weights = manager.dict()
        pool.submit(pow, 2, 3).result()
        catch()
        note("ready")
        until_told()
        wait_for("go")
        weights["last"] = pool.submit(pow, 2, 10).result()
        note(f"saved {weights['last']}")
"#;

/// Returns the notes that begin with a word, sorted.
fn noted(job: &Job, word: &str) -> Vec<String> {
    let mut found: Vec<String> = notes(job.base()).into_iter().filter(|note| note.starts_with(word)).collect();
    found.sort();
    found
}

/// Stops a job as soon as it has noted `ready` so many times, and lets it save once all have noted that they were told.
fn stop(job: &Job, signal: Signal, count: usize) -> Running {
    let running = Running::start(job, ["train"]);
    running.noted("ready", count);
    running.signal(signal);
    running.noted("told", count);
    running.tell("go");
    running
}

#[test]
fn a_trainer_keeps_its_pool_and_its_manager_until_it_has_saved() {
    for (start, signal) in [("fork", SIGTERM), ("fork", SIGINT), ("spawn", SIGTERM), ("spawn", SIGINT)] {
        let job = noting(&format!("{CATCHING}{WITH_POOL}")).variable("START", start);
        let ended = stop(&job, signal, 1).end(&job).succeeded();
        assert!(ended.stderr.contains("passed on to 1 process (grace period 110 s); "), "{ended:#?}");
        assert_eq!(noted(&job, "saved"), ["saved 1024"], "{start}, {signal}");
        assert_eq!(noted(&job, "told"), [format!("told [{}]", signal as i32)], "{start}, {signal}");
        nothing_survives(&job);
    }
}

#[test]
fn ranks_keep_their_pools_when_another_rank_fails() {
    let fails = "if os.environ['RANK'] == '1':\n    wait_for('fail')\n    sys.exit('out of data')\n";
    let job = noting(&format!("{CATCHING}{fails}{WITH_POOL}"))
        .variable("FOOTPLATE_LAUNCHER", "per-gpu")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", "3");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 2);
    running.tell("fail");
    running.noted("told", 2);
    running.tell("go");
    running.end(&job).failed(1, "out of data\n");
    assert_eq!(noted(&job, "saved"), ["saved 1024", "saved 1024"]);
    nothing_survives(&job);
}

/// A trainer that prints that it has saved.
const PRINTING: &str =
    "catch()\nnote('ready')\nuntil_told()\nwait_for('go')\nprint('saved', flush=True)\nnote('saved')\n";

/// Returns a job of a shell script that runs `trainer.py`.
fn around_trainer(script: &str, trainer: &str) -> Job {
    let script = format!("#!/bin/bash\n{script}\n");
    with_notes(Job::shell(&script)).file("code/trainer.py", format!("{CATCHING}{trainer}"))
}

#[test]
fn a_trainer_in_a_pipeline_keeps_what_takes_its_output() {
    for script in [
        "python3 trainer.py | tee log",
        "trap 'echo trapped' TERM INT\npython3 trainer.py | tee log",
        "exec python3 trainer.py > >(tee log)",
        "exec > >(tee log)\npython3 trainer.py",
        "(cd . && bash -c 'python3 trainer.py; true') 2>&1 | cat | tee log",
    ] {
        for signal in [SIGTERM, SIGINT] {
            let job = around_trainer(script, PRINTING);
            let ended = stop(&job, signal, 1).end(&job);
            assert!(ended.stdout().contains("saved\n"), "{script}, {signal}: {ended:#?}");
            assert!(job.read("code/log").unwrap_or_default().contains("saved\n"), "{script}, {signal}: {ended:#?}");
            assert_eq!(noted(&job, "told"), [format!("told [{}]", signal as i32)], "{script}, {signal}");
            let traps = usize::from(script.starts_with("trap"));
            assert_eq!(ended.stdout().matches("trapped").count(), traps, "{script}, {signal}: {ended:#?}");
            nothing_survives(&job);
        }
    }
}

#[test]
fn a_shells_trap_runs_although_its_child_does_not_handle_the_signal() {
    let script = "trap 'echo saved; exit 4' TERM\necho ready >> $NOTES\nsleep 1000\n";
    let job = with_notes(Job::shell(script)).variable("FOOTPLATE_GRACE_PERIOD", "600");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    // The shell has started its child. Before that, a fork of the shell handles the signal.
    let is_child = |pid: &i32| std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"sleep\n");
    eventually("the child", || super::running::survivors(job.base()).iter().any(is_child).then_some(()));
    running.signal(SIGTERM);
    let ended = running.end(&job).failed(4, "");
    assert_eq!(ended.stdout(), "saved\n");
}

/// A script whose child handles the signal as long as it has not executed its program, like each child of a shell with a
/// trap. The script itself does not handle it.
const BETWEEN_FORK_AND_EXEC: &str = r#"
if os.fork() == 0:
    catch()
    note("ready")
    until_told()
    os.execvp("sleep", ["sleep", "1000"])
os.wait()
"#;

#[test]
fn a_signal_that_comes_between_fork_and_exec_is_sent_again() {
    let job = noting(&format!("{CATCHING}{BETWEEN_FORK_AND_EXEC}")).variable("FOOTPLATE_GRACE_PERIOD", "600");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    running.signal(SIGTERM);
    running.end(&job).failed(143, "killed by SIGTERM (signal 15)");
    nothing_survives(&job);
}

#[test]
fn hundreds_of_processes_follow_as_soon_as_the_trainer_has_saved() {
    let job = around_trainer("for n in {1..300}; do sleep 1000 & done\npython3 trainer.py &\nwait", PRINTING)
        .variable("FOOTPLATE_GRACE_PERIOD", "600");
    let ended = stop(&job, SIGTERM, 1).end(&job).failed(143, "killed by SIGTERM (signal 15)");
    assert_eq!(noted(&job, "saved"), ["saved"]);
    assert!(ended.stderr.contains("passed on to 2 processes (grace period 600 s); 300 more follow"), "{ended:#?}");
    assert!(
        ended.stderr.contains("the processes that handle SIGTERM have ended: SIGTERM to 300 other processes"),
        "{ended:#?}"
    );
    nothing_survives(&job);
}

#[test]
fn what_handles_the_signal_below_a_process_that_has_ended_follows() {
    let child = "if os.fork() == 0:\n    catch()\n    note('ready')\n    until_told()\n    os._exit(0)\n";
    let job = noting(&format!("{CATCHING}{child}{PRINTING}")).variable("FOOTPLATE_GRACE_PERIOD", "600");
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 2);
    running.signal(SIGTERM);
    running.noted("told", 1);
    running.tell("go");
    running.end(&job).succeeded();
    assert_eq!(notes(job.base())[2..], ["told [15]", "saved", "told [15]"]);
}

#[test]
fn a_process_that_waits_for_the_signal_passes_it_on_itself() {
    // As tini and other inits: the signal is blocked, not caught.
    let init = "signals = [signal.SIGTERM, signal.SIGINT]\nsignal.pthread_sigmask(signal.SIG_BLOCK, signals)\n\
                child = os.fork()\nif child == 0:\n    catch()\n    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)\n    \
                note('ready')\n    until_told()\n    wait_for('go')\n    os._exit(3)\n\
                number = signal.sigwait(signals)\nos.kill(child, number)\nos._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n";
    let job = noting(&format!("{CATCHING}{init}"));
    stop(&job, SIGTERM, 1).end(&job).failed(3, "");
    assert_eq!(noted(&job, "told"), ["told [15]"]);
}

#[test]
fn stopped_processes_wake_up_for_a_stop_signal() {
    // The worker and its trainer, and a script that handles nothing.
    let worker = "import threading\nworker = os.fork()\nif worker == 0:\n    \
                  note(f'stopped {os.getpid()}')\n    os.kill(os.getpid(), signal.SIGSTOP)\n    wait_for('go')\n    \
                  note('worked')\n    os._exit(0)\n\
                  catch()\nnote('ready')\nnote(f'stopped {os.getpid()}')\nos.kill(os.getpid(), signal.SIGSTOP)\n\
                  until_told()\nos.waitpid(worker, 0)\nnote('saved')\n";
    for (script, code) in [(format!("{CATCHING}{worker}"), 0), ("sleeping".to_owned(), 143)] {
        let is_shell = script == "sleeping";
        let job = if is_shell {
            with_notes(Job::shell("echo stopped $$ >> $NOTES\nkill -STOP $$\nsleep 1000\n"))
        } else {
            noting(&script)
        };
        let job = job.variable("FOOTPLATE_GRACE_PERIOD", "600");
        let running = Running::start(&job, ["train"]);
        let stopped = running.noted("stopped", if is_shell { 1 } else { 2 });
        for pid in stopped.iter().filter_map(|note| note.strip_prefix("stopped ")) {
            eventually("it is stopped", || state_of(pid).filter(|state| state == "T"));
        }
        running.signal(SIGTERM);
        running.tell("go");
        let ended = running.end(&job);
        assert_eq!(ended.code(), code, "{ended:#?}");
        if !is_shell {
            assert_eq!(notes(job.base()).last().map(String::as_str), Some("saved"));
        }
        nothing_survives(&job);
    }
}

/// Returns the state letter of a process.
fn state_of(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().next()?.to_owned())
}
