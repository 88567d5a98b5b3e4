//! Hangs: the rank that keeps the others waiting is named, and nothing that makes progress is ended.
//!
//! A module in a folder `site-packages` stands in for a library of collective operations. PyTorch itself hangs in `engines`.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::hosts::{Hosts, with_program};
use super::job::{Ended, Job, eventually};
use super::record::record;
use super::running::{Running, with_notes};

/// A library whose collective operation ends when all ranks have begun it.
const COLLECTIVE: &str = "import os, time\n\
    def all_reduce():\n    wait()\n\
    def broadcast():\n    wait()\n\
    def wait():\n    time.sleep(600)\n";

/// Runs the script by an interpreter whose memory is not understood: it stands in for another Python than CPython.
fn by_another_python(job: Job) -> Job {
    let python = std::fs::canonicalize("/usr/bin/python3").expect("Python");
    let other = job.path("interpreter");
    std::fs::copy(python, &other).expect("a copy");
    job.variable("FOOTPLATE_PYTHON", &other.display().to_string())
}

/// Makes a job out of a script with a function `stuck()`, which is called by the last of its ranks while the others wait for it.
fn waiting(ranks: usize, stuck: &str) -> Job {
    let script = format!(
        "import collective, os, sys\n{stuck}\n\
         def step():\n    if int(os.environ['RANK']) == {}: stuck()\n    else: collective.all_reduce()\n\
         print('begun')\nstep()\n",
        ranks - 1
    );
    let job = with_notes(Job::python(&script)).file("lib/site-packages/collective.py", COLLECTIVE);
    let library = job.path("lib/site-packages").display().to_string();
    job.variable("PYTHONPATH", &library)
        .variable("FOOTPLATE_LAUNCHER", "per-gpu")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", &ranks.to_string())
        .variable("FOOTPLATE_HANG_TIMEOUT", "3")
        .variable("FOOTPLATE_GRACE_PERIOD", "5")
}

/// Checks that a job hung, and returns the first line of its failure file without the time.
#[track_caller]
fn hung(ended: &Ended) -> String {
    assert_eq!(ended.code(), 124, "{ended:#?}");
    let line = ended.failure().lines().next().expect("a line").to_owned();
    let rest = line.strip_prefix("Hang: no progress for ").unwrap_or_else(|| panic!("{ended:#?}"));
    let (time, rest) = rest.split_once(" s").expect("a time");
    assert!(time.parse::<f64>().expect("a number") >= 3.0, "{line}");
    rest.to_owned()
}

#[test]
fn the_rank_that_sleeps_is_named_with_its_place_in_all_files() {
    let stuck = "import time\ndef fetch_labels():\n    time.sleep(600)\ndef stuck():\n    fetch_labels()\n";
    let job = waiting(4, stuck);
    let ended = job.train();
    assert_eq!(hung(&ended), ". Rank 3 is in fetch_labels (train.py:4), the other 3 wait for it in all_reduce");
    let place = "\nat train.py:4 in fetch_labels\nstack of rank 3: fetch_labels (train.py:4) < stuck (train.py:6) < step (train.py:";
    assert!(ended.failure().contains(place), "{ended:#?}");
    assert!(ended.failure().contains("\nrank 3, exit code 124"), "{ended:#?}");
    assert!(ended.stderr.contains(" s: after 3 s the job counts as hung"), "{ended:#?}");
    let record = record(&job);
    let hang = &record["hang"];
    assert_eq!((&hang["method"], &hang["odd_ranks"]), (&"memory".into(), &serde_json::json!([3])), "{hang:#}");
    assert!(hang["after"].as_f64() >= Some(3.0), "{hang:#}");
    let groups = hang["groups"].as_array().expect("groups");
    let ranks: Vec<&Value> = groups.iter().map(|group| &group["ranks"]).collect();
    assert!(ranks.contains(&&serde_json::json!([0, 1, 2])) && ranks.contains(&&serde_json::json!([3])), "{hang:#}");
    assert_eq!((&record["status"], &record["stop"]["by"]), (&"failed".into(), &"hang".into()));
    let stacks = job.read("output/data/footplate/algo-1/stacks.txt").expect("the stacks");
    for text in [
        "Hang: no progress for ",
        "\nranks 0, 1 and 2:\n",
        "\nrank 3:\n    fetch_labels (train.py:4)\n",
        "all_reduce (collective.py:",
    ] {
        assert!(stacks.contains(text), "{text} in {stacks}");
    }
}

#[test]
fn a_deadlock_is_seen_by_the_signal_that_python_answers() {
    let stuck = "import threading\nlock = threading.Lock()\ndef save_metrics():\n    with lock:\n        lock.acquire()\ndef stuck():\n    save_metrics()\n";
    // Its own module of this name is still imported.
    let job =
        waiting(2, stuck).file("lib/site-packages/sitecustomize.py", "import os\nos.environ['CUSTOMIZED'] = 'yes'\n");
    let job = by_another_python(job).variable("FOOTPLATE_STACKS", "signal");
    let script = job.read("code/train.py").expect("the script");
    let job = job.file("code/train.py", script.replace("print('begun')", "print(os.environ['CUSTOMIZED'])"));
    let ended = job.train();
    assert_eq!(hung(&ended), ". Rank 1 is in save_metrics (train.py:6), the other one waits for it in all_reduce");
    assert_eq!(record(&job)["hang"]["method"], "faulthandler");
    assert_eq!(ended.stdout().matches("yes").count(), 2);
}

#[test]
fn a_worker_process_that_is_stuck_is_found_below_its_rank() {
    let stuck = "import multiprocessing, time\ndef read_shard(queue):\n    time.sleep(600)\n\
                 def stuck():\n    queue = multiprocessing.Queue()\n    worker = multiprocessing.Process(target=read_shard, args=(queue,))\n    \
                 worker.start()\n    queue.get()\n";
    let ended = waiting(3, stuck).train();
    assert_eq!(hung(&ended), ". Rank 2 is in read_shard (train.py:4), the other 2 wait for it in all_reduce");
}

#[test]
fn an_endless_loop_is_trusted_once_and_then_ended() {
    let ended = waiting(2, "def stuck():\n    while True: pass\n").train();
    assert!(
        hung(&ended).starts_with(". Rank 1 is in stuck (train.py:3), the other one waits for it in all_reduce"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains(" s, but rank 1 computes: the job has 3 s more"), "{ended:#?}");
}

#[test]
fn without_python_stacks_the_kernel_and_the_last_words_tell() {
    // It ignores SIGTERM, so that it still runs when it is asked for its last words.
    let stuck =
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ndef stuck():\n    time.sleep(600)\n";
    let job = by_another_python(waiting(1, stuck))
        .variable("PYTHONFAULTHANDLER", "1")
        .variable("FOOTPLATE_GRACE_PERIOD", "8");
    let ended = job.train();
    assert!(hung(&ended).starts_with(". The script is in "), "{ended:#?}");
    assert_eq!(record(&job)["hang"]["method"], "/proc");
    assert!(ended.stderr.contains("Fatal Python error: Aborted"), "{ended:#?}");
    assert!(ended.stderr.contains("line 5 in stuck"), "{ended:#?}");
}

#[test]
fn a_silent_job_that_makes_progress_is_not_ended() {
    let save = "import os, time\nfor step in range(10):\n    open(f\"{os.environ['SM_CHECKPOINT_DIR']}/step-{step}\", 'w').write('x')\n    time.sleep(1)\n";
    let copy = "import time\nend = time.time() + 9\nwhile time.time() < end:\n    open('data', 'wb').write(bytes(4 << 20))\n    time.sleep(0.1)\n";
    let compile = "import subprocess, time\nend = time.time() + 9\n\
                   open('x.c', 'w').write(''.join(f'int f{n}(int a) {{ return a * {n} + a % 7; }}\\n' for n in range(1500)))\n\
                   while time.time() < end: subprocess.run(['cc', '-O2', '-c', 'x.c', '-o', 'x.o'], check=True)\n";
    // It is trusted once only, and ends when the test has seen that.
    let evaluate = "import os\nwhile not os.path.exists('seen'): sum(range(1000))\n";
    let job = |script: &str, ranks: &str| {
        Job::python(script)
            .file("checkpoints/step-0", "")
            .variable("FOOTPLATE_HANG_TIMEOUT", "4")
            .variable("FOOTPLATE_LAUNCHER", "per-gpu")
            .variable("FOOTPLATE_PROCESSES_PER_HOST", ranks)
    };
    let jobs = [job(save, "1"), job(copy, "1"), job(compile, "1"), job(evaluate, "2")];
    let running: Vec<Running> = jobs.iter().map(|job| Running::start(job, ["train"])).collect();
    running[3].says(" computes: the job has 4 s more");
    std::fs::write(jobs[3].path("code/seen"), "").expect("a file for the script");
    let ended: Vec<Ended> = jobs.iter().zip(running).map(|(job, running)| running.end(job).succeeded()).collect();
    assert!(!ended[0].stderr.contains("but"), "{}", ended[0].stderr);
    assert!(ended[1].stderr.contains("but the ranks read or write "), "{}", ended[1].stderr);
    assert!(
        ended[2].stderr.contains("but a compiler runs (") || ended[2].stderr.contains("read or write"),
        "{}",
        ended[2].stderr
    );
}

#[test]
fn a_rule_about_lines_ends_a_job_that_prints_other_lines() {
    let stuck = "import time\ndef stuck():\n    print('speed: 9 TFLOPs, loss: 0.5', flush=True)\n    \
                 while True:\n        print('alive', flush=True)\n        time.sleep(0.1)\n";
    let rules = r#"{"logMonitoringConfiguration": [
        {"name": "loss", "logPattern": "loss: (\\d+)", "expectedRecurringFrequencyInSeconds": 3},
        {"name": "speed", "log_pattern": "speed: (.+) TFLOPs", "metric_threshold": 10, "operator": "lt"},
        {"name": "wrong", "logPattern": "("}]}"#;
    let job = waiting(1, stuck).file("code/rules.json", rules).variable("FOOTPLATE_LOG_RULES", "rules.json");
    let ended = job.variable("FOOTPLATE_HANG_TIMEOUT", "off").variable("FOOTPLATE_STACKS", "off").train();
    assert_eq!(ended.code(), 124, "{ended:#?}");
    let line = ended.failure().lines().next().expect("a line");
    assert!(line.starts_with("Hang: no line has matched rule loss for 3") && line.ends_with(" s"), "{line}");
    assert!(
        ended.stderr.contains("the job is slow by rule speed: the value 9 is beyond the threshold 10"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains("log rule wrong is not used: its pattern"), "{ended:#?}");
}

#[test]
fn the_stacks_are_told_at_any_time_and_nothing_is_ended() {
    let stuck =
        "from notes import note, wait_for\ndef stuck():\n    note('up')\n    wait_for('end')\n    os._exit(0)\n";
    let job = waiting(2, stuck).variable("FOOTPLATE_HANG_TIMEOUT", "off");
    let temporary = tempfile::tempdir().expect("a folder");
    let job = job.variable("TMPDIR", &temporary.path().display().to_string());
    let running = Running::start(&job, ["train"]);
    running.noted("up", 1);
    let asked = eventually("an answer with both ranks", || {
        let asked = job.run(["stacks"]);
        // Nobody answers in the first moments of a script.
        assert!([0, 69].contains(&asked.code()), "{asked:#?}");
        Some(asked.stdout()).filter(|text| text.contains("all_reduce (collective.py:"))
    });
    for text in [
        "2 ranks by the places where they are, read from memory\n",
        "\nrank 1:\n",
        "    stuck (train.py:",
        "\nrank 0, process ",
    ] {
        assert!(asked.contains(text), "{text} in {asked}");
    }
    running.signal(Signal::SIGQUIT);
    running.says("stacks: 2 ranks by the places where they are, read from memory");
    running.says("stacks:     all_reduce (collective.py:");
    // The job goes on to its own end.
    running.tell("end");
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job);
    assert!(!ended.stderr.contains("Hang"), "{ended:#?}");
    let asked = job.run(["stacks"]);
    assert_eq!(asked.code(), 69, "{asked:#?}");
    assert!(asked.stderr.contains("no running job answers in "), "{asked:#?}");
}

#[test]
fn the_leader_names_a_rank_of_another_host_on_every_host() {
    let stuck = "import time\ndef fetch_labels():\n    time.sleep(600)\n";
    let script = format!(
        "import collective, os\n{stuck}print('begun')\nif os.environ['RANK'] == '3': fetch_labels()\nelse: collective.all_reduce()\n"
    );
    let hosts = Hosts::new(2, &script).ranks(2).variable("FOOTPLATE_HANG_TIMEOUT", "3");
    let hosts = with_library(hosts);
    let expected = ". Rank 3 is in fetch_labels (train.py:4), the other 3 wait for it in all_reduce";
    for (job, ended) in hosts.jobs.iter().zip(hosts.train()) {
        assert_eq!(hung(&ended), expected);
        assert!(ended.failure().contains("\nhost algo-2, rank 3, exit code 124"), "{ended:#?}");
        let host = if ended.stderr.contains("host algo-1 (1 of 2)") { "algo-1" } else { "algo-2" };
        let record: Value =
            serde_json::from_str(&job.read(&format!("output/data/footplate/{host}/run.json")).expect("a record"))
                .expect("JSON");
        assert_eq!(record["hang"]["odd_ranks"], serde_json::json!([3]), "{record:#}");
        assert!(job.read(&format!("output/data/footplate/{host}/stacks.txt")).is_some());
    }
}

#[test]
fn a_host_that_does_not_answer_is_named_and_costs_five_seconds() {
    let script = "import collective\nfrom notes import note\nnote('up')\ncollective.all_reduce()\n";
    let hosts = with_library(Hosts::new(2, script).ranks(1).variable("FOOTPLATE_HANG_TIMEOUT", "3"));
    let running = hosts.start();
    running.iter().for_each(|host| _ = host.noted("up", 1));
    // From here on, this host answers nothing, and its connection stays.
    running[1].signal(Signal::SIGSTOP);
    let stopped = std::time::Instant::now();
    running[0].says("Hang: no progress for ");
    let asked = stopped.elapsed();
    running[1].signal(Signal::SIGCONT);
    // The timeout, an examination without an answer, and a second examination two seconds later.
    assert!(asked < Duration::from_secs(3 + 5 + 2 + 5 + 3), "{asked:?}: {}", running[0].stderr());
    let ended = hosts.end(running);
    assert!(hung(&ended[0]).starts_with(". Host algo-2 does not tell the stacks of its ranks"), "{ended:#?}");
    assert!(ended[0].failure().contains("algo-1"), "{ended:#?}");
    assert_eq!(ended[1].code(), 124, "{ended:#?}");
}

#[test]
fn the_flight_recorders_files_are_kept_after_a_failure_only() {
    let script = "import os, sys\nfor rank in range(2): open(f\"{os.environ['TORCH_NCCL_DEBUG_INFO_TEMP_FILE']}{rank}\", 'w').write(f'trace {rank}')\nif '--fail' in sys.argv: raise ValueError('bad')\n";
    let job = |hyperparameters: &str| {
        let job = Job::python(script).file("traces/trace_9", "not this run's").hyperparameters(hyperparameters);
        let old = std::fs::File::options().write(true).open(job.path("traces/trace_9")).expect("opened");
        old.set_modified(std::time::SystemTime::now() - Duration::from_secs(600)).expect("a time");
        let prefix = job.path("traces/trace_").display().to_string();
        job.variable("TORCH_NCCL_DEBUG_INFO_TEMP_FILE", &prefix)
    };
    let kept = "output/data/footplate/algo-1/nccl";
    let failing = job(r#"{"fail": "yes"}"#).variable("TORCH_NCCL_TRACE_BUFFER_SIZE", "2000");
    let ended = failing.train().failed(1, "ValueError: bad\n");
    assert!(ended.stderr.contains("2 files of NCCL's flight recorder are kept"), "{}", ended.stderr);
    let mut names: Vec<_> =
        std::fs::read_dir(failing.path(kept)).expect("kept").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["trace_0", "trace_1"]);
    assert_eq!(failing.read(&format!("{kept}/trace_1")).as_deref(), Some("trace 1"));
    // Nothing is kept without a failure, or if the recorder is off.
    let succeeding = job("{}").variable("TORCH_NCCL_TRACE_BUFFER_SIZE", "2000");
    succeeding.train().succeeded();
    let off = job(r#"{"fail": "yes"}"#);
    off.train().failed(1, "ValueError: bad\n");
    assert!(!succeeding.path(kept).exists() && !off.path(kept).exists());
}

#[test]
fn a_silent_host_whose_peers_go_on_does_not_hang() {
    let script = "import os, time\nfrom notes import note, wait_for\n\
                  if os.environ['RANK'] == '1': time.sleep(8)\n\
                  else:\n    for _ in range(80): print('step', flush=True); time.sleep(0.1)\n";
    let hosts = with_library(Hosts::new(2, script).ranks(1).variable("FOOTPLATE_HANG_TIMEOUT", "3"));
    for ended in hosts.train() {
        let ended = ended.succeeded();
        assert!(ended.duration > Duration::from_secs(7), "{ended:#?}");
    }
}

fn with_library(hosts: Hosts) -> Hosts {
    let jobs = hosts.jobs.into_iter().map(|job| {
        let job = job.file("lib/site-packages/collective.py", COLLECTIVE);
        let library = job.path("lib/site-packages").display().to_string();
        job.variable("PYTHONPATH", &library)
    });
    Hosts { jobs: jobs.collect() }
}

#[test]
fn gpus_that_draw_much_power_are_trusted_once() {
    // No GPU is on the machines that run the tests: nvidia-smi is a stand-in.
    let smi = |power: u32| {
        format!(
            "#!/bin/sh\n[ \"$1\" = --list-gpus ] && {{ echo 'GPU 0: NVIDIA A10G'; exit 0; }}\n\
             while :; do\n    \
             echo '0, 100, 12, 1024, 23028, {power}.00, 300.00, 44, 1200, 1710, 0x0000000000000001, 0, NVIDIA A10G'\n    \
             sleep 0.1\ndone\n"
        )
    };
    // Its silence begins when the power is known.
    let stuck = "import time\ndef stuck():\n    path = os.environ['SM_OUTPUT_DATA_DIR'] + '/footplate/algo-1/resources.jsonl'\n    \
                 while not os.path.exists(path) or '\"power\"' not in open(path).read():\n        \
                 print('waits', flush=True)\n        time.sleep(0.1)\n    time.sleep(600)\n";
    let job = |power| {
        let job = with_program(waiting(1, stuck), "nvidia-smi", &smi(power));
        job.variable("FOOTPLATE_GPUS", "1").variable("FOOTPLATE_RESOURCE_INTERVAL", "0.5")
    };
    let jobs = [job(290), job(90)];
    let running: Vec<Running> = jobs.iter().map(|job| Running::start(job, ["train"])).collect();
    let ended: Vec<Ended> = jobs.iter().zip(running).map(|(job, running)| running.end(job)).collect();
    let trusted = "but every GPU draws 96 % of its power limit or more: the job has 3 s more";
    assert!(ended[0].stderr.contains(trusted), "{}", ended[0].stderr);
    assert!(!ended[1].stderr.contains(" more"), "{}", ended[1].stderr);
    ended.iter().for_each(|ended| assert_eq!(ended.code(), 124, "{ended:#?}"));
}
