//! mpirun over several hosts, without ssh. Hosts are processes of this machine, each with its own temporary folder.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::hosts::{Hosts, address, with_program};
use super::job::Ended;
use super::running::Running;

/// Two hosts with two ranks each. The ranks use TCP, because Open MPI's shared memory takes hosts on one machine for one
/// host.
fn hosts(script: &str) -> Hosts {
    let mut hosts =
        Hosts::new(2, script).variable("FOOTPLATE_LAUNCHER", "mpi").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    // Debian's mpi4py works only with Debian's Python.
    hosts = hosts.variable("FOOTPLATE_PYTHON", "/usr/bin/python3");
    let with = |job: super::job::Job| {
        let folder = job.path("tmp");
        std::fs::create_dir(&folder).expect("a folder");
        job.variable("TMPDIR", &folder.display().to_string())
            .hyperparameters(r#"{"sagemaker_mpi_custom_mpi_options": "\"-mca btl tcp,self\""}"#)
    };
    hosts.jobs = hosts.jobs.into_iter().map(with).collect();
    hosts
}

/// Returns the lines of the ranks of all hosts, sorted. Checks that each host has only the lines of its own ranks.
#[track_caller]
fn sorted(ended: &[Ended]) -> Vec<String> {
    let mut lines = Vec::new();
    for (ended, host) in ended.iter().zip(1..) {
        let own: Vec<String> = ended.stdout().lines().map(str::to_owned).collect();
        assert!(own.iter().all(|line| line.starts_with(&format!("[algo-{host}:"))), "{own:#?}");
        lines.extend(own);
    }
    lines.sort();
    lines
}

#[test]
fn ranks_of_all_hosts_compute_together_with_the_variables_of_their_hosts() {
    let script = "import os, sys\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
                  total = world.allreduce(world.rank)\n\
                  print(total, world.size, os.environ['SM_CURRENT_HOST'])\n";
    let ended = hosts(script).train();
    for ended in &ended {
        assert!(ended.code() == 0 && ended.success, "{ended:#?}");
    }
    let line = |host: usize, rank: usize| format!("[algo-{host}:{rank}] 6 4 algo-{host}");
    assert_eq!(sorted(&ended), [line(1, 0), line(1, 1), line(2, 2), line(2, 3)]);
}

#[test]
fn mpirun_starts_smddprun_for_the_ranks_of_all_hosts() {
    let script = "import os\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\ntotal = world.allreduce(world.rank)\n\
                  names = ('RANK', 'SMDATAPARALLEL_SERVER_ADDR', 'SM_CURRENT_HOST')\n\
                  print(total, world.size, *(os.environ[name] for name in names))\n";
    // The real smddprun is closed. It, too, sets the variables of PyTorch's ranks before it executes its arguments.
    let smddprun = "#!/bin/sh\nRANK=$OMPI_COMM_WORLD_RANK exec \"$@\"\n";
    let gpus = "#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-0)'\necho 'GPU 1: NVIDIA A100 (UUID: GPU-1)'\n";
    let mut hosts = hosts(script).variable("FOOTPLATE_LAUNCHER", "smddp");
    let with = |job| with_program(with_program(job, "smddprun", smddprun), "nvidia-smi", gpus);
    hosts.jobs = hosts.jobs.into_iter().map(with).collect();
    let address = address(1);
    let ended = hosts.train();
    for ended in &ended {
        assert!(ended.code() == 0 && ended.success, "{ended:#?}");
    }
    let line = |host: usize, rank: usize| format!("[algo-{host}:{rank}] 6 4 {rank} {address} algo-{host}");
    assert_eq!(sorted(&ended), [line(1, 0), line(1, 1), line(2, 2), line(2, 3)]);
}

#[test]
fn lines_that_ranks_write_in_parts_are_relayed_whole() {
    let script = "import sys, time\nfrom mpi4py import MPI\nrank = MPI.COMM_WORLD.rank\n\
                  for line in range(20):\n    for part in ('one ', 'two ', 'three\\n'):\n        \
                  sys.stdout.write(part)\n        sys.stdout.flush()\n        time.sleep(0.001 * (rank + 1))\n";
    let ended: Vec<Ended> = hosts(script).train().into_iter().map(Ended::succeeded).collect();
    let expected: Vec<String> = (0..4)
        .flat_map(|rank| std::iter::repeat_n(format!("[algo-{}:{rank}] one two three", rank / 2 + 1), 20))
        .collect();
    assert_eq!(sorted(&ended), expected);
}

#[test]
fn a_rank_that_raises_is_named_on_every_host() {
    let script = "import time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.barrier()\n\
                  if world.rank == 3: raise ValueError('bad data')\ntime.sleep(600)\n";
    for ended in hosts(script).train() {
        let ended = ended.failed(1, "ValueError: bad data\nat train.py:5\n");
        assert!(ended.failure().contains("host algo-2, rank 3, exit code 1"), "{}", ended.failure());
    }
}

/// Has rank 2 kill `process`, a Python expression for a process ID, and checks that every host names rank 2 as killed.
#[track_caller]
fn rank_2_is_named_when_it_kills(process: &str) {
    let script = format!(
        "import os, signal, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.barrier()\n\
         if world.rank == 2: os.kill({process}, signal.SIGKILL)\ntime.sleep(600)\n"
    );
    for ended in hosts(&script).train() {
        let ended = ended.failed(137, "killed by SIGKILL (signal 9)\n");
        assert!(ended.failure().contains("host algo-2, rank 2, "), "{}", ended.failure());
    }
}

#[test]
fn a_rank_that_is_ended_while_it_fails_is_named() {
    // As with Horovod, whose exit handler tells the other ranks: one of them fails first, and mpirun ends all others.
    let script = "import atexit, os, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
                  flag = os.environ['NOTES']\n\
                  def tell_others():\n    open(flag, 'w').close()\n    time.sleep(600)\n\
                  world.Barrier()\n\
                  if world.rank == 3:\n    atexit.register(tell_others)\n    raise ValueError('row 17 is rotten')\n\
                  while not os.path.exists(flag): time.sleep(0.01)\n\
                  if world.rank == 0: raise RuntimeError('Horovod has been shut down. This was caused by an exception')\n\
                  time.sleep(600)\n";
    let folder = tempfile::tempdir().expect("a folder");
    let hosts = hosts(script).variable("NOTES", &folder.path().join("told").display().to_string());
    for ended in hosts.train() {
        let ended = ended.failed(1, "ValueError: row 17 is rotten\nat train.py:11\n");
        assert!(ended.failure().contains("\nhost algo-2, rank 3, exit code 1"), "{}", ended.failure());
    }
}

#[test]
fn a_rank_that_is_killed_is_named_on_every_host() {
    rank_2_is_named_when_it_kills("os.getpid()");
}

#[test]
fn a_daemon_that_dies_is_named_on_every_host() {
    // The daemon is the parent of the rank's keeper.
    let script = "import os, signal, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.barrier()\n\
                  parent = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1]\n\
                  if world.rank == 2: os.kill(int(parent), signal.SIGKILL)\ntime.sleep(600)\n";
    for ended in hosts(script).train() {
        ended.failed(137, "mpirun's daemon on host algo-2 has ended: killed by SIGKILL (signal 9)\n");
    }
}

#[test]
fn a_stop_signal_gives_the_ranks_of_all_hosts_their_grace_period() {
    let script = "import signal, sys, time\nfrom mpi4py import MPI\nfrom notes import note, wait_for\nrank = MPI.COMM_WORLD.rank\n\
                  def save(*_):\n    note('told')\n    wait_for('saved')\n    print('saved', rank, flush=True)\n    sys.exit(0)\n\
                  signal.signal(signal.SIGTERM, save)\nMPI.COMM_WORLD.barrier()\nnote('up')\nwait_for('end')\n";
    // If one host gets the signal, its ranks wait in MPI_Finalize for those of the other host, so that host must be told.
    for signalled in [&[0][..], &[1], &[0, 1]] {
        let hosts = hosts(script);
        let running = hosts.start();
        running.iter().for_each(|host| drop(host.noted("up", 2)));
        for host in signalled {
            running[*host].signal(Signal::SIGTERM);
        }
        running.iter().for_each(|host| drop(host.noted("told", 2)));
        running.iter().for_each(|host: &Running| host.tell("saved"));
        let ended = hosts.end(running);
        let expected: Vec<String> = (0..4).map(|rank| format!("[algo-{}:{rank}] saved {rank}", rank / 2 + 1)).collect();
        assert_eq!(sorted(&ended), expected);
        for ended in ended {
            assert_eq!(ended.code(), 0, "{ended:#?}");
        }
    }
}

#[test]
fn ranks_keep_their_pools_until_they_have_saved() {
    let script = "import os, signal, sys\nfrom concurrent.futures import ProcessPoolExecutor\n\
                  from notes import note, wait_for\npool = ProcessPoolExecutor(1)\npool.submit(pow, 2, 3).result()\n\
                  from mpi4py import MPI\nrank = MPI.COMM_WORLD.rank\n\
                  def save(*_):\n    note('told')\n    wait_for('go')\n    \
                  print('saved', pool.submit(pow, 2, rank).result(), flush=True)\n    pool.shutdown()\n    sys.exit(0)\n\
                  for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, save)\n\
                  MPI.COMM_WORLD.barrier()\nnote('up')\nwait_for('end')\n";
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let hosts = hosts(script);
        let running = hosts.start();
        running.iter().for_each(|host| drop(host.noted("up", 2)));
        running.iter().for_each(|host| host.signal(signal));
        running.iter().for_each(|host| drop(host.noted("told", 2)));
        running.iter().for_each(|host| host.tell("go"));
        let ended = hosts.end(running);
        let expected: Vec<String> =
            (0..4).map(|rank| format!("[algo-{}:{rank}] saved {}", rank / 2 + 1, 1 << rank)).collect();
        assert_eq!(sorted(&ended), expected, "{ended:#?}");
        assert!(ended.iter().all(|ended| ended.code() == 0), "{ended:#?}");
    }
}

/// A script of which one rank per host saves for this many seconds at a stop, and the others end at once.
fn saving(seconds: f64, then: &str) -> String {
    format!(
        "import os, signal, sys, time\nfrom mpi4py import MPI\nfrom notes import note, wait_for\nrank = MPI.COMM_WORLD.rank\n\
         def save(*_):\n    time.sleep({seconds})\n    print('saved', rank, flush=True)\n    os._exit(0)\n\
         if rank in (0, 2): signal.signal(signal.SIGTERM, save)\nMPI.COMM_WORLD.barrier()\nnote('up')\n{then}\nwait_for('end')\n"
    )
}

#[test]
fn ranks_that_end_at_once_do_not_shorten_the_grace_of_those_that_save() {
    // mpirun would kill the ranks that save after two seconds.
    let hosts = hosts(&saving(4.0, ""));
    let running = hosts.start();
    running.iter().for_each(|host| drop(host.noted("up", 2)));
    running.iter().for_each(|host| host.signal(Signal::SIGTERM));
    let ended = hosts.end(running);
    assert_eq!(sorted(&ended), ["[algo-1:0] saved 0", "[algo-2:2] saved 2"]);
    for ended in ended {
        let ended = ended.failed(143, "");
        assert!(ended.failure().contains("SIGTERM"), "{}", ended.failure());
    }
}

#[test]
fn a_rank_that_fails_leaves_the_others_time_to_save() {
    // The daemons of Open MPI 4 end after two seconds, and their remaining ranks after three.
    let hosts = hosts(&saving(1.0, "if rank == 3: raise ValueError('bad data')"));
    let ended = hosts.train();
    assert_eq!(sorted(&ended), ["[algo-1:0] saved 0", "[algo-2:2] saved 2"]);
    for ended in ended {
        ended.failed(1, "ValueError: bad data\nat train.py:12\n");
    }
}

#[test]
fn mpirun_is_not_waited_for_after_all_ranks_have_ended() {
    let script = "import time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.barrier()\n\
                  if world.rank == 3: raise ValueError('bad data')\ntime.sleep(600)\n";
    let begun = Instant::now();
    let hosts = hosts(script).variable("FOOTPLATE_GRACE_PERIOD", "600");
    hosts.train().into_iter().for_each(|ended| drop(ended.failed(1, "ValueError: bad data\n")));
    assert!(begun.elapsed().as_secs() < 60, "mpirun was waited for");
}

#[test]
fn ranks_that_fail_together_end_although_they_ignore_sigterm() {
    // The ranks wait in MPI_Abort, which the daemons answer for only one of them.
    let script = "import signal\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
                  signal.signal(signal.SIGTERM, lambda *_: None)\nworld.barrier()\nraise ValueError('bad data')\n";
    let begun = Instant::now();
    let hosts = hosts(script).variable("FOOTPLATE_GRACE_PERIOD", "600");
    hosts.train().into_iter().for_each(|ended| drop(ended.failed(1, "ValueError: bad data\n")));
    assert!(begun.elapsed().as_secs() < 60, "they were waited for");
}

#[test]
fn a_rank_that_ends_without_mpi_finalize_fails_the_job() {
    let script = "import os, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.barrier()\n\
                  if world.rank == 2: os._exit(0)\ntime.sleep(600)\n";
    let begun = Instant::now();
    for ended in hosts(script).variable("FOOTPLATE_GRACE_PERIOD", "600").train() {
        let ended = ended.failed(1, "mpirun has exited due to process rank 2 with PID");
        assert!(ended.failure().contains(" exiting improperly\n"), "{}", ended.failure());
    }
    assert!(begun.elapsed().as_secs() < 60, "mpirun was waited for");
}

#[test]
fn a_rank_whose_keeper_is_killed_ends_the_job() {
    rank_2_is_named_when_it_kills("os.getppid()");
}

#[test]
fn if_the_user_maps_the_ranks_mpirun_relays_and_tags_their_lines() {
    let script = "from mpi4py import MPI\nworld = MPI.COMM_WORLD\nprint(world.allreduce(1))\n";
    let mut hosts = hosts(script);
    let options = r#"{"sagemaker_mpi_custom_mpi_options": "\"-mca btl tcp,self --map-by node\""}"#;
    hosts.jobs = hosts.jobs.into_iter().map(|job| job.hyperparameters(options)).collect();
    let ended = hosts.train();
    let written = ended[0].stdout();
    let mut lines: Vec<&str> = written.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..4).map(|rank| format!("[rank{rank}]: 4")).collect::<Vec<_>>());
    assert_eq!(ended[1].stdout(), "", "mpirun passes everything on");
}

#[test]
fn an_agent_without_a_footplate_to_answer_it_reports_that() {
    let hosts = hosts("");
    let folder = hosts.jobs[0].path("tmp");
    let agent = folder.join("footplate-agent");
    std::os::unix::fs::symlink(super::images::BINARY, &agent).expect("linked");
    let output = std::process::Command::new(&agent).args(["algo-2", "true"]).output().expect("run");
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("footplate-agent: No such file"), "{said}");
}

#[test]
fn a_keeper_passes_signals_on_to_its_rank() {
    // The parent of a rank is its keeper. SIGTERM is the supervisor's to send, and is not passed on.
    let script = "import os, signal\nseen = []\nfor number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):\n    \
                  signal.signal(number, lambda number, _: seen.append(signal.Signals(number).name))\n\
                  for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2): os.kill(os.getppid(), number)\n\
                  import time\nend = time.monotonic() + 60\n\
                  while len(seen) < 2 and time.monotonic() < end: time.sleep(0.01)\nprint(sorted(seen))\n";
    for ended in hosts(script).train() {
        assert_eq!(ended.code(), 0, "{ended:#?}");
        let stdout = ended.stdout();
        let lines: Vec<&str> = stdout.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.ends_with("['SIGUSR1', 'SIGUSR2']")), "{lines:?}");
    }
}
