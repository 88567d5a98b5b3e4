//! One process per GPU: the ranks' variables, their lines, and the effect of a rank that fails on the others.
//!
//! No GPU is needed: FOOTPLATE_PROCESSES_PER_HOST sets the number of ranks.

use super::job::Job;

fn ranks(count: usize, script: &str) -> Job {
    let job = Job::python(script).variable("FOOTPLATE_LAUNCHER", "per-gpu");
    job.variable("FOOTPLATE_PROCESSES_PER_HOST", &count.to_string())
}

#[test]
fn every_rank_has_its_variables_and_its_lines_stay_whole() {
    let script = "import os\n\
                  for n in range(500): print(n, *(os.environ[v] for v in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')))\n";
    let ended = ranks(12, script).train().succeeded();
    let stdout = ended.stdout();
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<String> =
        (0..12).flat_map(|r| (0..500).map(move |n| format!("[algo-1:{r}] {n} {r} {r} 12"))).collect();
    expected.sort_unstable();
    assert!(lines == expected, "{stdout}");
}

#[test]
fn the_rank_that_fails_ends_the_others_and_is_named() {
    let script = "import os, time\n\
                  if os.environ['RANK'] == '11':\n    raise ValueError('bad data')\n\
                  time.sleep(600)\n";
    let ended = ranks(12, script).train().failed(1, "ValueError: bad data\nat train.py:3");
    assert!(ended.failure().contains("rank 11, exit code 1, 11 other ranks were ended"), "{}", ended.failure());
}

#[test]
fn the_rank_that_caused_the_failure_is_named_not_the_first_to_notice() {
    // Rank 0 closes the connection and is the cause. Rank 1 notices and ends before rank 0 does.
    let script = "import os, socket, sys, time, atexit\n\
                  path = os.path.join(os.environ['SM_OUTPUT_DATA_DIR'], 'socket')\n\
                  if os.environ['RANK'] == '0':\n\
                  \x20   server = socket.socket(socket.AF_UNIX); server.bind(path + '.new'); server.listen()\n\
                  \x20   os.rename(path + '.new', path)\n\
                  \x20   peer, _ = server.accept(); peer.recv(1)\n\
                  \x20   import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
                  \x20   peer.close()\n\
                  \x20   while os.path.exists(path): time.sleep(0.01)\n\
                  \x20   raise RuntimeError('loss is NaN')\n\
                  while not os.path.exists(path): time.sleep(0.01)\n\
                  s = socket.socket(socket.AF_UNIX); s.connect(path); s.send(b'x')\n\
                  if not s.recv(1):\n\
                  \x20   os.unlink(path)\n\
                  \x20   raise ConnectionResetError('Connection reset by peer')\n";
    let ended = ranks(2, script).train().failed(1, "RuntimeError: loss is NaN");
    // On a busy machine, rank 0 ends first.
    assert!(ended.failure().contains("rank 0, exit code 1, 1 other rank "), "{}", ended.failure());
}

#[test]
fn one_rank_per_gpu_is_refused_without_gpus() {
    let job = Job::python("print('never')").variable("FOOTPLATE_LAUNCHER", "per-gpu");
    let ended = job.train().failed(69, "one process for each GPU was asked for, and this host has no GPU");
    assert_eq!(ended.stdout(), "");
}

#[test]
fn the_error_file_of_a_rank_becomes_the_cause_and_is_removed() {
    let script = "import json, os\n\
                  if os.environ['RANK'] == '1':\n\
                  \x20   error = {'message': {'message': 'RuntimeError: out of luck', 'extraInfo': {'py_callstack': 'Traceback'}}}\n\
                  \x20   json.dump(error, open(os.environ['TORCHELASTIC_ERROR_FILE'], 'w'))\n\
                  \x20   os._exit(3)\n\
                  import time; time.sleep(600)\n";
    let job = ranks(2, script);
    std::fs::create_dir(job.path("tmp")).expect("a folder");
    let tmp = job.path("tmp").display().to_string();
    let job = job.variable("TMPDIR", &tmp);
    let ended = job.train().failed(3, "RuntimeError: out of luck");
    assert!(ended.failure().contains("rank 1, exit code 3"), "{}", ended.failure());
    assert_eq!(std::fs::read_dir(job.path("tmp")).expect("a folder").count(), 0, "something is left");
}

/// The error of a rank whose peer is gone.
const LOST: &str = "raise RuntimeError('[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:29113')";

#[test]
fn a_rank_that_left_early_is_named_beside_the_lost_connections() {
    let script = format!(
        "import os, time\n\
         mark = os.path.join(os.environ['SM_OUTPUT_DATA_DIR'], 'ended')\n\
         if os.environ['RANK'] == '2':\n\
         \x20   open(mark, 'w').close()\n\
         \x20   raise SystemExit(0)\n\
         pid = os.getppid()\n\
         until = time.monotonic() + 60\n\
         children = lambda: open(f'/proc/{{pid}}/task/{{pid}}/children').read().split()\n\
         ended = lambda: os.path.exists(mark) and len(children()) < 3\n\
         while not ended() and time.monotonic() < until: time.sleep(0.01)\n\
         {LOST}\n"
    );
    let ended = ranks(3, &script).train().failed(1, "RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed");
    assert!(ended.failure().contains("hint: rank 2 had ended before that with exit code 0; "), "{}", ended.failure());
}

#[test]
fn a_rank_that_printed_a_fatal_error_before_others_lost_it_is_the_cause() {
    let script = format!(
        "import os, time\n\
         mark = os.path.join(os.environ['SM_OUTPUT_DATA_DIR'], 'told')\n\
         if os.environ['RANK'] == '2':\n\
         \x20   print('FATAL: 1001 labels for 1000 classes', flush=True)\n\
         \x20   open(mark, 'w').close()\n\
         \x20   time.sleep(600)\n\
         until = time.monotonic() + 60\n\
         while not os.path.exists(mark) and time.monotonic() < until: time.sleep(0.01)\n\
         {LOST}\n"
    );
    let ended = ranks(3, &script).train().failed(1, "FATAL: 1001 labels for 1000 classes");
    assert!(ended.failure().contains("rank 2, exit code 1"), "{}", ended.failure());
}
