//! Ranks that are run again after a failure: on one host and on several, and failures that are final.

use nix::sys::signal::Signal;

use super::hosts::Hosts;
use super::job::Job;
use super::record::record;
use super::running::{Running, with_notes};

/// The begin of a script that knows its attempt.
const BEGIN: &str = "import os, signal, sys, time\nfrom notes import note, wait_for\n\
                     attempt = int(os.environ['FOOTPLATE_ATTEMPT'])\nrank = int(os.environ.get('RANK', os.environ['NODE_RANK']))\n\
                     note(f'began {attempt} {rank} {time.time()}')\n";

fn job(script: &str, restarts: u32) -> Job {
    let job = with_notes(Job::python(&format!("{BEGIN}{script}")));
    job.variable("FOOTPLATE_MAX_RESTARTS", &restarts.to_string())
}

/// Returns the attempts and ranks that have begun, sorted.
fn began(job: &Job) -> Vec<(u32, u32)> {
    let mut found: Vec<(u32, u32)> = super::running::notes(job.base())
        .iter()
        .filter_map(|note| {
            let mut words = note.strip_prefix("began ")?.split(' ');
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn ranks_run_again_until_an_attempt_succeeds() {
    let script = "assert os.environ['TORCHELASTIC_RESTART_COUNT'] == str(attempt)\n\
                  while f'began {attempt} 0 ' not in open(os.environ['NOTES']).read(): time.sleep(0.01)\n\
                  if rank == 1 and attempt < 2: raise ValueError(f'bad at {attempt}')\n\
                  if attempt < 2: time.sleep(600)\n";
    let job = job(script, 2).variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    let ended = job.train().succeeded();
    assert_eq!(began(&job), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    for line in ["the ranks of all hosts are run again now: attempt 2", "are run again in 1 s: attempt 3"] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    let found = record(&job);
    assert_eq!((&found["attempt"], &found["status"]), (&2.into(), &"completed".into()));
    let first = &found["attempts"][0];
    assert_eq!((&first["first_line"], &first["rank"]), (&"ValueError: bad at 0".into(), &1.into()));
    assert_eq!((found["attempts"].as_array().map(Vec::len), &found["ranks"][0]["attempt"]), (Some(2), &2.into()));
}

#[test]
fn the_last_failure_says_how_many_attempts_there_were() {
    let alike = job("raise ValueError(f'row {attempt} is rotten')", 1);
    let ended = alike.train().failed(1, "ValueError: row 1 is rotten\n");
    assert!(ended.failure().contains("\nattempts: 2, which all failed alike\n"), "{}", ended.failure());
    let different = job("raise [KeyError('x'), ValueError('bad')][attempt]", 1);
    let ended = different.train().failed(1, "ValueError: bad\n");
    let text = "\nattempts: 2, which failed in different ways; the first: KeyError: 'x'\n";
    assert!(ended.failure().contains(text), "{}", ended.failure());
}

#[test]
fn what_would_fail_alike_is_not_run_again() {
    for (script, code, what) in [
        ("import no_such_module", 1, "what can be imported"),
        ("open('config.yaml')", 1, "the files of the code"),
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', required=True)\np.parse_args()",
            2,
            "the arguments",
        ),
    ] {
        let job = job(script, 3);
        let ended = job.train().failed(code, "");
        let text = format!("\nattempts: 1: another one would not change {what}\n");
        assert!(ended.failure().contains(&text), "{}", ended.failure());
        assert_eq!(began(&job), [(0, 0)]);
    }
}

#[test]
fn a_rank_that_was_killed_from_outside_has_a_budget_of_its_own() {
    let killed = "if attempt == 0: os.kill(os.getpid(), signal.SIGKILL)\n";
    let job = job(killed, 0).variable("FOOTPLATE_MAX_PREEMPTIONS", "1");
    job.train().succeeded();
    assert_eq!(began(&job), [(0, 0), (1, 0)]);
}

#[test]
fn nothing_is_run_again_after_a_stop() {
    let script = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nnote('up')\ntime.sleep(600)\n";
    let job = job(script, 3);
    let running = Running::start(&job, ["train"]);
    running.noted("up", 1);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end(&job).code(), 3);
    assert_eq!(began(&job), [(0, 0)]);
}

#[test]
fn a_stop_ends_the_wait_for_the_next_attempt() {
    let job = job("raise ValueError(f'row {attempt}')", 9);
    let running = Running::start(&job, ["train"]);
    running.says("are run again in 4 s");
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job).failed(1, "ValueError: row ");
    assert!(ended.duration.as_secs() < 60, "{:?}", ended.duration);
}

#[test]
fn ranks_of_all_hosts_run_again_together() {
    let script = "if attempt == 0 and rank == 3:\n    wait_for('go')\n    print(f'failed at {time.time()}', flush=True)\n    raise ValueError('bad')\n\
                  if attempt == 0: time.sleep(600)\nprint(f'done at {time.time()}', flush=True)\n";
    let hosts = Hosts::new(3, &format!("{BEGIN}{script}")).ranks(2).variable("FOOTPLATE_MAX_RESTARTS", "1");
    let running = hosts.start();
    for host in &running {
        host.noted("began 0 ", 2);
    }
    running[1].tell("go");
    let ended: Vec<_> = hosts.end(running).into_iter().map(super::job::Ended::succeeded).collect();
    for (n, job) in hosts.jobs.iter().enumerate() {
        let n = u32::try_from(n).expect("few hosts");
        assert_eq!(began(job), [(0, 2 * n), (0, 2 * n + 1), (1, 2 * n), (1, 2 * n + 1)]);
        let found = &record_of(job, n)["attempts"][0];
        assert_eq!(
            (&found["first_line"], &found["host"], &found["rank"]),
            (&"ValueError: bad".into(), &"algo-2".into(), &3.into())
        );
    }
    let times = |text: &str| -> Vec<f64> {
        let stdout: String = ended.iter().map(super::job::Ended::stdout).collect();
        stdout.lines().filter_map(|line| line.split_once(text)?.1.parse().ok()).collect()
    };
    let failed = times("failed at ")[0];
    // Half a second on a machine that does nothing else.
    let started = times("done at ").into_iter().fold(f64::INFINITY, f64::min);
    assert!(started - failed < 10.0, "{failed} {started}");
}

fn record_of(job: &Job, n: u32) -> serde_json::Value {
    let path = format!("output/data/footplate/algo-{}/run.json", n + 1);
    serde_json::from_str(&job.read(&path).expect("a record")).expect("JSON")
}

#[test]
fn hosts_that_run_one_process_each_run_again_together() {
    // The first host has finished when the second one fails.
    let script = "if rank == 0: wait_for('connected')\n\
                  if attempt == 0 and rank == 1:\n    wait_for('go')\n    raise ValueError('bad')\n";
    let hosts = Hosts::new(2, &format!("{BEGIN}{script}")).variable("FOOTPLATE_MAX_RESTARTS", "1");
    let running = hosts.start();
    running[0].says("all 2 hosts are connected");
    running[0].tell("connected");
    running[0].says("this host has finished, and waits for the others");
    running[1].tell("go");
    for ended in hosts.end(running) {
        ended.succeeded();
    }
    let attempts: Vec<_> = hosts.jobs.iter().map(began).collect();
    assert_eq!(attempts, [[(0, 0), (1, 0)], [(0, 1), (1, 1)]]);
}

#[test]
fn all_hosts_give_up_with_the_same_text() {
    let script = "if rank == 1: raise ValueError(f'row {attempt} is rotten')\ntime.sleep(600)\n";
    let hosts = Hosts::new(2, &format!("{BEGIN}{script}")).ranks(1).variable("FOOTPLATE_MAX_RESTARTS", "2");
    for ended in hosts.train() {
        let ended = ended.failed(1, "ValueError: row 2 is rotten\n");
        assert!(ended.failure().contains("\nattempts: 3, which all failed alike\n"), "{}", ended.failure());
        assert!(ended.failure().contains("host algo-2, rank 1, exit code 1"), "{}", ended.failure());
    }
}

#[test]
fn a_hang_of_a_later_attempt_ends_all_hosts() {
    let script = "if attempt == 0: sys.exit('unlucky')\nprint('begun', flush=True)\nwait_for('end')\n";
    let hosts = Hosts::new(2, &format!("{BEGIN}{script}")).ranks(2);
    let hosts = hosts.variable("FOOTPLATE_MAX_RESTARTS", "1").variable("FOOTPLATE_HANG_TIMEOUT", "2");
    for (n, ended) in hosts.train().into_iter().enumerate() {
        let ended = ended.failed(124, "Hang: no progress for ");
        assert!(ended.failure().contains("\nattempts: 2, which failed in different ways"), "{}", ended.failure());
        assert!(ended.stderr.contains("SIGTERM to 2 processes"), "{}", ended.stderr);
        let read = hosts.jobs[n].read(&format!("output/data/footplate/algo-{}/run.json", n + 1)).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&read).expect("JSON");
        let by = ["hang", "peer failed"][n];
        assert_eq!((&record["attempt"], &record["stop"]["by"]), (&1.into(), &by.into()), "{record:#}");
    }
}

#[test]
fn a_hang_is_the_cause_of_an_attempt() {
    // Nothing outside the job has killed the rank, so that it is no preemption.
    let job = job("print('begun', flush=True)\nwait_for('end')\n", 1);
    let job = job.variable("FOOTPLATE_HANG_TIMEOUT", "2").variable("FOOTPLATE_MAX_PREEMPTIONS", "3");
    let ended = job.train().failed(124, "Hang: no progress for ");
    assert!(ended.failure().contains("\nattempts: 2, which all failed alike\n"), "{}", ended.failure());
    assert_eq!(began(&job), [(0, 0), (1, 0)]);
    let first = &record(&job)["attempts"][0];
    assert!(first["first_line"].as_str().is_some_and(|line| line.starts_with("Hang: no progress for ")), "{first}");
}

#[test]
fn ranks_of_all_hosts_run_again_after_a_hang() {
    let script = "print('begun', flush=True)\nif attempt == 0: wait_for('end')\n";
    let hosts = Hosts::new(2, &format!("{BEGIN}{script}")).ranks(1);
    let hosts = hosts.variable("FOOTPLATE_MAX_RESTARTS", "1").variable("FOOTPLATE_HANG_TIMEOUT", "2");
    for (n, ended) in (0..).zip(hosts.train()) {
        let ended = ended.succeeded();
        assert!(ended.stderr.contains("the ranks of all hosts are run again now: attempt 2"), "{}", ended.stderr);
        assert_eq!(began(&hosts.jobs[n as usize]), [(0, n), (1, n)]);
    }
}
