//! Recorded output of programs that are not on every machine: Python 3.13 and 3.14, torch, torchrun, mpirun, NCCL, Ray.

use super::{evidence, recorded, text};
use crate::event::Ending;
use crate::failure::{ErrorFile, Evidence, cause, error_file};

const EXIT_1: Ending = Ending::Exited(1);

#[test]
fn a_coloured_traceback_of_python_3_13_is_read() {
    let stderr = "Traceback (most recent call last):\n  File \x1b[35m\"/opt/ml/code/train.py\"\x1b[0m, line \x1b[35m9\x1b[0m, in \x1b[35m<module>\x1b[0m\n    \x1b[31mmain\x1b[0m\x1b[1;31m()\x1b[0m\n    \x1b[31m~~~~\x1b[0m\x1b[1;31m^^\x1b[0m\n  File \x1b[35m\"/opt/ml/code/train.py\"\x1b[0m, line \x1b[35m4\x1b[0m, in \x1b[35mload\x1b[0m\n    return load(\n        path,\n\n        depth=1)\n  [Previous line repeated 995 more times]\n\x1b[1;35mRecursionError\x1b[0m: \x1b[35mmaximum recursion depth exceeded\x1b[0m\n";
    assert_eq!(
        recorded(EXIT_1, stderr),
        "RecursionError: maximum recursion depth exceeded\nat train.py:4 in load\nexit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn an_exception_that_python_3_14_ignored_is_not_the_cause() {
    let stderr = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 5, in <module>\n    raise RuntimeError('in main')\nRuntimeError: in main\nException ignored while calling deallocator <function A.__del__ at 0x7f>:\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in __del__\n    raise ValueError('in del')\nValueError: in del\n";
    assert_eq!(
        recorded(EXIT_1, stderr),
        "RuntimeError: in main\nat train.py:5\nexit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn the_beginning_of_the_traceback_may_be_cut_off() {
    let stderr = "py\", line 9, in <module>\n    main()\n  File \"/opt/ml/code/train.py\", line 4, in load\n    raise ValueError('bad')\nValueError: bad\n";
    let expected = "ValueError: bad\nat train.py:4 in load\nexit code 1\ncommand: python3 train.py";
    assert_eq!(recorded(EXIT_1, stderr), expected);
}

#[test]
fn a_traceback_without_its_end_is_not_an_exception() {
    let stderr = "bad config\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    main()\n";
    assert!(!recorded(EXIT_1, stderr).contains("Error"), "{}", recorded(EXIT_1, stderr));
}

/// The output of torch's exception hook in two ranks, interleaved as it was written. Rank 1 failed, and rank 0 lost its
/// peer.
const RANKS: &str = "\
[rank1]: Traceback (most recent call last):
[rank0]: Traceback (most recent call last):
[rank1]:   File \"/opt/ml/code/train.py\", line 40, in <module>
[rank1]:     main()
[rank0]:   File \"/opt/ml/code/train.py\", line 40, in <module>
[rank1]:   File \"/opt/ml/code/train.py\", line 31, in main
[rank0]:     main()
[rank1]:     raise ValueError(\"bad batch\")
[rank0]:   File \"/usr/local/lib/python3.11/site-packages/torch/distributed/distributed_c10d.py\", line 2501, in all_reduce
[rank0]:     work = group.allreduce([tensor], opts)
[rank0]: RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:51234
[rank1]: ValueError: bad batch
";

const ELASTIC: &str = "\
E0314 12:00:00.000000 71 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1) local_rank: 1 (pid: 124) of binary: /usr/bin/python3
Traceback (most recent call last):
  File \"/usr/local/bin/torchrun\", line 8, in <module>
    sys.exit(main())
             ^^^^^^
  File \"/usr/local/lib/python3.11/site-packages/torch/distributed/launcher/api.py\", line 269, in launch_agent
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError: 
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2024-03-14_12:00:00
  host      : algo-1
  rank      : 0 (local_rank: 0)
  exitcode  : 1 (pid: 123)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2024-03-14_12:00:00
  host      : algo-1
  rank      : 1 (local_rank: 1)
  exitcode  : EXITCODE (pid: 124)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================
";

fn elastic(exit_code: &str) -> String {
    ELASTIC.replace("EXITCODE", exit_code)
}

#[test]
fn torchruns_report_does_not_hide_the_ranks_own_traceback() {
    assert_eq!(
        recorded(EXIT_1, &format!("{RANKS}{}", elastic("1"))),
        "ValueError: bad batch\nat train.py:31 in main\nhost algo-1, rank 1, exit code 1\ncommand: python3 train.py"
    );
    // Without prefixes of ranks, the last traceback before torchrun's own counts.
    let plain = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nKeyError: 'x'\n";
    assert_eq!(
        recorded(EXIT_1, &format!("{plain}{}", elastic("1"))),
        "KeyError: 'x'\nat train.py:3 in f\nhost algo-1, rank 1, exit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn the_rank_that_failed_first_is_found_without_a_report() {
    assert_eq!(
        recorded(EXIT_1, RANKS),
        "ValueError: bad batch\nat train.py:31 in main\nrank 1, exit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn the_error_of_the_rank_that_the_launcher_reports_counts() {
    let of = |rank: usize, error: &str| {
        format!(
            "[rank{rank}]: Traceback (most recent call last):\n[rank{rank}]:   File \"train.py\", line 3, in f\n[rank{rank}]: {error}\n"
        )
    };
    let stderr = of(0, "KeyError: 'zero'") + &of(1, "KeyError: 'one'") + &of(2, "KeyError: 'two'");
    assert_eq!(recorded(EXIT_1, &stderr).lines().next(), Some("KeyError: 'zero'"));
    assert_eq!(recorded(EXIT_1, &(stderr + &elastic("1"))).lines().next(), Some("KeyError: 'one'"));
}

#[test]
fn another_process_may_write_into_a_traceback() {
    let stderr = "Traceback (most recent call last):\nepoch 3, loss 0.1\n  File \"train.py\", line 3, in f\nstep 7 of 9\n    x\nKeyError: 'x'\n";
    assert_eq!(recorded(EXIT_1, stderr), "KeyError: 'x'\nat train.py:3 in f\nexit code 1\ncommand: python3 train.py");
}

/// A script may run torchrun itself, survive its failure, and succeed.
#[test]
fn a_report_about_a_failure_that_the_script_survived_does_not_count() {
    assert_eq!(recorded(Ending::Exited(0), &elastic("1")), "exit code 0\ncommand: python3 train.py");
}

#[test]
fn prefixes_of_torchrun_of_open_mpi_and_of_footplate_are_removed() {
    let plain = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nKeyError: 'x'\n";
    let prefixed = |prefix: &str| plain.lines().map(|line| format!("{prefix}{line}\n")).collect::<String>();
    let expected =
        |whose: &str| format!("KeyError: 'x'\nat train.py:3 in f\n{whose}exit code 1\ncommand: python3 train.py");
    for (prefix, whose) in [
        ("[rank12]: ", "rank 12, "),
        ("[default3]:", ""),
        ("[default3]:[rank11]: ", "rank 11, "),
        ("[1,10]<stderr>:", "rank 10, "),
        ("[1,10]<stderr>: ", "rank 10, "),
        ("[algo-2:13] ", "host algo-2, rank 13, "),
        ("[algo-1-x7k2p:13] ", "host algo-1-x7k2p, rank 13, "),
    ] {
        assert_eq!(recorded(EXIT_1, &prefixed(prefix)), expected(whose), "{prefix}");
    }
}

#[test]
fn torchruns_report_counts_if_the_rank_left_no_traceback() {
    assert_eq!(
        recorded(EXIT_1, &elastic("-9")),
        "killed by SIGKILL (signal 9)\nhost algo-1, rank 1, exit code 1 of torchrun\nhint: killed by SIGKILL; perhaps out of memory, which the container's cgroup cannot show: compare the job's MemoryUtilization; use a smaller batch, fewer data-loading workers, or an instance with more memory\ncommand: python3 train.py"
    );
    assert_eq!(
        recorded(EXIT_1, &elastic("3")),
        "exit code 3, with no error printed\nhost algo-1, rank 1, exit code 1 of torchrun\ncommand: python3 train.py"
    );
    let argparse = "usage: train.py [-h]\ntrain.py: error: unrecognized arguments: --foo\n";
    assert_eq!(
        recorded(EXIT_1, &format!("{argparse}{}", elastic("2"))),
        "train.py: error: unrecognized arguments: --foo\nhost algo-1, rank 1, exit code 2, exit code 1 of torchrun\ncommand: python3 train.py"
    );
}

/// With `@record`, torchrun prints the rank's traceback indented in its report.
#[test]
fn the_traceback_in_torchruns_report_is_read() {
    let report = elastic("1").replace(
        "  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n============",
        "  traceback : Traceback (most recent call last):\n    File \"/usr/local/lib/python3.11/site-packages/torch/distributed/elastic/multiprocessing/errors/__init__.py\", line 346, in wrapper\n      return f(*args, **kwargs)\n    File \"/opt/ml/code/train.py\", line 5, in main\n      raise ValueError(\"bad\")\n  ValueError: bad\n  \n============",
    );
    assert_eq!(
        recorded(EXIT_1, &report),
        "ValueError: bad\nat train.py:5 in main\nhost algo-1, rank 1, exit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn the_error_file_of_torch_elastic_counts_before_the_output() {
    let bytes = br#"{"message": {"message": "ValueError: bad", "extraInfo": {"py_callstack": "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 5, in main\n    raise ValueError(\"bad\")\nValueError: bad\n", "timestamp": "1700000000"}}}"#;
    let mut evidence = evidence(EXIT_1, "KeyError: 'x'\n");
    evidence.error_file = error_file(bytes);
    evidence.host = Some("algo-2".into());
    evidence.rank = Some(12);
    assert_eq!(
        text(&cause(&evidence)),
        "ValueError: bad\nat train.py:5 in main\nlast line: KeyError: 'x'\nhost algo-2, rank 12, exit code 1\ncommand: python3 train.py"
    );
    let bare = ErrorFile { message: "ValueError: bad".into(), traceback: None, timestamp: None, error_code: None };
    evidence.stderr = b"";
    evidence.error_file = Some(bare);
    assert_eq!(
        text(&cause(&evidence)),
        "ValueError: bad\nhost algo-2, rank 12, exit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn an_exception_passed_on_from_a_data_loader_is_shown_where_it_was_raised() {
    let stderr = "\
Traceback (most recent call last):
  File \"/opt/ml/code/train.py\", line 20, in <module>
    for batch in loader:
  File \"/usr/local/lib/python3.11/site-packages/torch/_utils.py\", line 694, in reraise
    raise exception
ValueError: Caught ValueError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File \"/usr/local/lib/python3.11/site-packages/torch/utils/data/_utils/worker.py\", line 308, in _worker_loop
    data = fetcher.fetch(index)
  File \"/opt/ml/code/data.py\", line 8, in __getitem__
    raise ValueError(\"bad image 7\")
ValueError: bad image 7

";
    assert_eq!(
        recorded(EXIT_1, stderr),
        "ValueError: bad image 7\nat data.py:8 in __getitem__\npassed on as: ValueError: Caught ValueError in DataLoader worker process 0.\nexit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn an_exception_passed_on_by_torch_spawn_is_shown_where_it_was_raised() {
    let stderr = "\
Traceback (most recent call last):
  File \"/opt/ml/code/train.py\", line 20, in <module>
    mp.spawn(work, nprocs=2)
  File \"/usr/local/lib/python3.11/site-packages/torch/multiprocessing/spawn.py\", line 158, in join
    raise ProcessRaisedException(msg, error_index, failed_process.pid)
torch.multiprocessing.spawn.ProcessRaisedException: 

-- Process 1 terminated with the following error:
Traceback (most recent call last):
  File \"/usr/local/lib/python3.11/site-packages/torch/multiprocessing/spawn.py\", line 68, in _wrap
    fn(i, *args)
  File \"/opt/ml/code/train.py\", line 8, in work
    raise ValueError(\"bad\")
ValueError: bad

";
    assert_eq!(
        recorded(EXIT_1, stderr),
        "ValueError: bad\nat train.py:8 in work\npassed on as: torch.multiprocessing.spawn.ProcessRaisedException: -- Process 1 terminated with the following error:\nexit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn a_launcher_that_only_says_that_its_child_failed_is_not_the_cause() {
    let stderr = "\
Traceback (most recent call last):
  File \"/opt/ml/code/train.py\", line 8, in work
    raise ValueError(\"bad\")
ValueError: bad
Traceback (most recent call last):
  File \"/usr/local/bin/accelerate\", line 8, in <module>
    sys.exit(main())
  File \"/usr/local/lib/python3.11/site-packages/accelerate/commands/launch.py\", line 763, in simple_launcher
    raise subprocess.CalledProcessError(returncode=process.returncode, cmd=cmd)
subprocess.CalledProcessError: Command '['/usr/bin/python3', 'train.py']' returned non-zero exit status 1.
";
    assert_eq!(
        recorded(EXIT_1, stderr),
        "ValueError: bad\nat train.py:8 in work\nexit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn mpiruns_notices_do_not_hide_the_ranks_own_traceback() {
    let notice = "\
--------------------------------------------------------------------------
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
--------------------------------------------------------------------------
--------------------------------------------------------------------------
mpirun detected that one or more processes exited with non-zero status, thus causing
the job to be terminated. The first process to do so was:

  Process name: [[24871,1],11]
  Exit code:    1
--------------------------------------------------------------------------
";
    let traceback = "[1,11]<stderr>:Traceback (most recent call last):\n[1,11]<stderr>:  File \"train.py\", line 3, in f\n[1,11]<stderr>:    x\n[1,11]<stderr>:KeyError: 'x'\n";
    assert_eq!(
        recorded(EXIT_1, &format!("{traceback}{notice}")),
        "KeyError: 'x'\nat train.py:3 in f\nrank 11, exit code 1\ncommand: python3 train.py"
    );
    let killed = "--------------------------------------------------------------------------\nmpirun noticed that process rank 3 with PID 77 on node algo-2 exited on signal 11 (Segmentation fault).\n--------------------------------------------------------------------------\n";
    assert_eq!(recorded(Ending::Exited(139), killed).lines().next(), Some("killed by SIGSEGV (signal 11)"));
    let mut on_the_first_host = evidence(EXIT_1, killed);
    on_the_first_host.host = Some("algo-1".into());
    let status = text(&cause(&on_the_first_host)).lines().nth(1).unwrap().to_owned();
    assert_eq!(status, "host algo-2, rank 3, exit code 1 of mpirun");
    assert_eq!(
        recorded(EXIT_1, killed),
        "killed by SIGSEGV (signal 11)\nhost algo-2, rank 3, exit code 1 of mpirun\nhint: native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python\ncommand: python3 train.py"
    );
}

#[test]
fn an_nccl_timeout_names_the_operation_and_the_suspects() {
    let stderr = "\
[rank0]:[E314 12:00:00.1 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, NumelIn=25, NumelOut=25, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.
[rank2]:[E314 12:00:00.2 ProcessGroupNCCL.cpp:616] [Rank 2] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, NumelIn=25, NumelOut=25, Timeout(ms)=600000) ran for 600051 milliseconds before timing out.
[rank1]:[E314 12:00:00.3 ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank 1] Exception (either an error or timeout) detected by watchdog at work: 1579, last enqueued NCCL work: 1579, last completed NCCL work: 1579.
terminate called after throwing an instance of 'c10::DistBackendError'
  what():  [PG ID 0 PG GUID 0(default_pg) Rank 0] Process group watchdog thread terminated with exception: [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, NumelIn=25, NumelOut=25, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.
Exception raised from checkTimeout at ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:618 (most recent call first):
frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x96 (0x7f1 in /usr/local/lib/libc10.so)
";
    assert_eq!(
        recorded(Ending::Signaled(6), stderr),
        "c10::DistBackendError: [PG ID 0 PG GUID 0(default_pg) Rank 0] Process group watchdog thread terminated with exception: [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, NumelIn=25, NumelOut=25, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.\nkilled by SIGABRT (signal 6), exit code 134\nhint: ALLREDUCE number 1580 ran out of time after 600 s on ranks 0, 2; suspect: rank 1, which got no further than number 1579; look for what differs there: a branch, a data loader, a slow or broken machine\ncommand: python3 train.py"
    );
}

#[test]
fn an_operation_that_ran_out_of_time_has_its_own_number() {
    let stderr = "\
[rank0]:[E314 12:00:00.1 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71, OpType=ALLGATHER, NumelIn=2, NumelOut=2, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.
[rank0]:[E314 12:00:00.3 ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank 0] Exception (either an error or timeout) detected by watchdog at work: 71, last enqueued NCCL work: 74, last completed NCCL work: 70.
terminate called after throwing an instance of 'c10::DistBackendError'
  what():  [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71, OpType=ALLGATHER)
";
    let text = recorded(Ending::Signaled(6), stderr);
    assert!(text.contains("\nhint: ALLGATHER number 71 ran out of time after 600 s on rank 0; "), "{text}");
}

#[test]
fn a_lost_connection_names_the_peer() {
    let stderr = "\
Traceback (most recent call last):
  File \"/opt/ml/code/train.py\", line 8, in work
    dist.all_reduce(x)
torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1970, remote process exited or there was a network error, NCCL version 2.20.5
ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.
Last error:
socketProgress: Connection closed by remote peer algo-2<10.0.0.3:40120>
";
    assert_eq!(
        recorded(EXIT_1, stderr),
        "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1970, remote process exited or there was a network error, NCCL version 2.20.5\nat train.py:8 in work\nncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely. Last error: socketProgress: Connection closed by remote peer algo-2<10.0.0.3:40120>\nexit code 1\nhint: the connection to algo-2<10.0.0.3:40120> was lost; that rank ended (its own log says why) or the network failed (allow all traffic within the security group)\ncommand: python3 train.py"
    );
}

#[test]
fn a_long_message_does_not_cut_the_remedy() {
    let message = "the file has objects that are not allowed ".repeat(40);
    let stderr = format!(
        "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\n_pickle.UnpicklingError: Weights only load failed. {message}\n{message}\n"
    );
    let text = recorded(EXIT_1, &stderr);
    let hint = text.lines().find(|line| line.starts_with("hint: ")).unwrap();
    assert!(hint.contains("pass weights_only=False") && !hint.contains('…'), "{hint}");
}

/// If the text is too long, the place has priority over the details.
#[test]
fn many_details_do_not_crowd_out_the_place() {
    let member =
        |n: usize| format!("    +---------------- {n} ----------------\n    | ValueError: {}{n}\n", "m".repeat(400));
    let stderr = format!(
        "KeyError: 'x'\nTraceback (most recent call last):\n  File \"train.py\", line 1, in a\n    x\nKeyError: '{0}'\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"train.py\", line 2, in b\n    x\nIndexError: {0}\n\nDuring handling of the above exception, another exception occurred:\n\n  + Exception Group Traceback (most recent call last):\n  |   File \"train.py\", line 3, in {0}\n  |     x\n  | ExceptionGroup: {1} (3 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: 1\n{2}{3}    +------------------------------------\nthe last line {0}\n",
        "f".repeat(190),
        "e".repeat(900),
        member(2),
        member(3),
    );
    let text = recorded(EXIT_1, &stderr);
    assert_eq!(text.chars().count(), 1024);
    assert!(text.contains("\nat train.py:3 in fff"), "{text}");
    assert!(!text.contains("last line"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("caused by: ") || line.starts_with("while")).count(), 5);
    assert!(text.ends_with("\nexit code 1\ncommand: python3 train.py"), "{text}");
}

#[test]
fn a_ray_task_error_is_shown_where_it_was_raised() {
    let stderr = "\
Traceback (most recent call last):
  File \"/opt/ml/code/train.py\", line 9, in <module>
    ray.get(f.remote())
ray.exceptions.RayTaskError(ValueError): \x1b[36mray::f()\x1b[39m (pid=71, ip=10.0.0.2)
  File \"/opt/ml/code/train.py\", line 6, in f
    raise ValueError(\"bad\")
ValueError: bad
";
    let told = |headline: &str, line: u32| {
        format!(
            "{headline}\nat train.py:{line} in f (Ray task on host 10.0.0.2)\nexit code 1\ncommand: python3 train.py"
        )
    };
    assert_eq!(recorded(EXIT_1, stderr), told("ValueError: bad", 6));
    // The type is the user's own, and its name does not show that it is an exception.
    let own = stderr.replace("ValueError", "train.Rotten");
    assert_eq!(recorded(EXIT_1, &own), told("train.Rotten: bad", 6));
    // The recording has a task that waited for another task, and a method of an actor.
    let (before, _) = stderr.split_once("ray.exceptions").expect("two parts");
    let nested = format!(
        "{before}ray.exceptions.RayTaskError(ValueError): \x1b[36mray::outer()\x1b[39m (pid=70, ip=10.0.0.3)\n  \
         File \"/opt/ml/code/train.py\", line 7, in outer\n    return ray.get(f.remote())\n           ^^^^^^^^\n\
         ray.exceptions.RayTaskError(ValueError): \x1b[36mray::Data.f()\x1b[39m (pid=71, ip=10.0.0.2, actor_id=0a1b, \
         repr=<train.Data object at 0x7f01>)\n  File \"/opt/ml/code/train.py\", line 6, in f\n    raise ValueError(\"bad\")\n\
         ValueError: bad\n"
    );
    assert_eq!(recorded(EXIT_1, &nested), told("ValueError: bad", 6));
}

#[test]
fn a_process_of_ray_that_has_ended_is_the_headline_of_its_node() {
    for (code, how) in [("-9", "killed by SIGKILL (signal 9)"), ("1", "exit code 1")] {
        let stdout = format!(
            "2026-11-29 20:00:06,109\tERR scripts.py:1307 -- Some Ray subprocesses exited unexpectedly:\n\
             2026-11-29 20:00:06,109\tERR scripts.py:87 -- gcs_server [exit code={code}]\n\
             2026-11-29 20:00:06,109\tERR scripts.py:87 -- log_monitor [exit code=1]\n\
             2026-11-29 20:00:06,135\tERR scripts.py:115 -- ----- BEGIN gcs_server.out tail (exit code(s)={code}) -----\n\
             2026-11-29 20:00:06,199\tERR scripts.py:122 -- - cumulative published bytes: 0\n\
             Traceback (most recent call last):\n  File \"monitor.py\", line 9, in run\nValueError: an old one\n\
             2026-11-29 20:00:06,199\tERR scripts.py:128 -- ----- END gcs_server.out tail (exit code(s)={code}) -----\n\
             2026-11-29 20:00:06,199\tERR scripts.py:1315 -- Remaining processes will be killed.\n"
        );
        let told = text(&cause(&Evidence { stdout: stdout.as_bytes(), ..evidence(EXIT_1, "") }));
        assert!(told.starts_with(&format!("Ray's gcs_server has ended: {how}\nexit code 1\n")), "{told}");
        assert!(!told.contains("an old one") && !told.contains("Remaining"), "{told}");
    }
}

#[test]
fn a_fatal_error_of_the_interpreter_is_the_headline_of_an_abort() {
    let stderr = "Fatal Python error: _enter_buffered_busy: could not acquire lock for <_io.BufferedWriter name='<stderr>'> at interpreter shutdown\nPython runtime state: finalizing (tstate=0x1)\n\nCurrent thread 0x00007f12 (most recent call first):\n  <no Python frame>\n";
    assert_eq!(
        recorded(Ending::Signaled(6), stderr).lines().next(),
        Some(
            "Fatal Python error: _enter_buffered_busy: could not acquire lock for <_io.BufferedWriter name='<stderr>'> at interpreter shutdown"
        )
    );
}

#[test]
fn an_interpreter_that_cannot_start_is_named_by_its_fatal_error() {
    let stderr = "Python path configuration:\n  PYTHONHOME = '/nowhere'\nFatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding\nPython runtime state: core initialized\nModuleNotFoundError: No module named 'encodings'\n\nCurrent thread 0x00007f12 (most recent call first):\n  <no Python frame>\n";
    assert_eq!(
        recorded(EXIT_1, stderr).lines().next(),
        Some("Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding")
    );
}

#[test]
fn an_uncaught_exception_before_an_abort_at_exit_is_the_cause() {
    let stderr = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nKeyError: 'x'\nterminate called without an active exception\n";
    assert_eq!(
        recorded(Ending::Signaled(6), stderr),
        "KeyError: 'x'\nat train.py:3 in f\nlast line: terminate called without an active exception\nkilled by SIGABRT (signal 6), exit code 134\ncommand: python3 train.py"
    );
}

#[test]
fn an_uncaught_exception_before_an_error_of_the_shutdown_is_the_cause() {
    let stderr = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nKeyError: 'x'\n\
                  Fatal Python error: _enter_buffered_busy: could not acquire lock for <_io.BufferedWriter name='<stderr>'> at interpreter shutdown, possibly due to daemon threads\n\
                  Python runtime state: finalizing (tstate=0x0000000000a7)\n\nCurrent thread 0x00007f12 (most recent call first):\n  <no Python frame>\n";
    assert_eq!(
        recorded(Ending::Signaled(6), stderr),
        "KeyError: 'x'\nat train.py:3 in f\nkilled by SIGABRT (signal 6), exit code 134\ncommand: python3 train.py"
    );
}

/// The end of an actor whose `__init__` raised an exception, as Ray 2.60 prints it, with the driver's lines about the
/// actor.
const ACTOR: &str = "Traceback (most recent call last):
  File \"/opt/ml/code/train.py\", line 9, in <module>
    print(ray.get(loader.size.remote()))
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File \"/usr/lib/python3/dist-packages/ray/_private/worker.py\", line 1055, in get_objects
    raise value
ray.exceptions.ActorDiedError: The actor died because of an error raised in its creation task, \x1b[36mray::Loader.__init__()\x1b[39m (pid=71, ip=10.0.0.2, actor_id=359c1a25, repr=<train.Loader object at 0x7f93031ddbd0>)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File \"/opt/ml/code/train.py\", line 6, in __init__
    raise FileNotFoundError(\"index.json is not in the channel\")
FileNotFoundError: index.json is not in the channel
(Loader pid=71) Exception raised in creation task: The actor died because of an error raised in its creation task, ray::Loader.__init__() (pid=71, ip=10.0.0.2, actor_id=359c1a25)
(Loader pid=71)   File \"/opt/ml/code/train.py\", line 6, in __init__
(Loader pid=71) FileNotFoundError: index.json is not in the channel
";

#[test]
fn an_exception_in_the_init_of_a_ray_actor_is_told_without_the_actor() {
    assert_eq!(
        recorded(EXIT_1, ACTOR),
        "FileNotFoundError: index.json is not in the channel\nat train.py:6 in __init__ (Ray task on host 10.0.0.2)\n\
         exit code 1\ncommand: python3 train.py"
    );
    // An actor that died for another reason raised no exception.
    let died = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    x\n\
                ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\n";
    let text = recorded(EXIT_1, died);
    assert!(text.starts_with("ray.exceptions.ActorDiedError: The actor died unexpectedly"), "{text}");
}

#[test]
fn the_exception_of_a_ray_train_worker_comes_before_the_report() {
    let own = "  File \"/opt/ml/code/train.py\", line 5, in work\n    raise ValueError(\"no rows in shard 7\")\n\
               ValueError: no rows in shard 7\n";
    let task = format!(
        "ray.exceptions.RayTaskError(ValueError): ray::_RayTrainWorker__execute.get_next() (pid=71, ip=10.0.0.2, actor_id=d2fa, \
         repr=<ray.train.RayTrainWorker object at 0x7f>)\n{own}"
    );
    let fit = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 7, in <module>\n    trainer.fit()\n  \
               File \"/usr/lib/python3/dist-packages/ray/train/base_trainer.py\", line 749, in fit\n    raise\n";
    let failed = format!(
        "{fit}ray.train.TrainingFailedError: The Ray Train run failed. Please inspect the previous error messages for a cause.\n\
         To continue this run, you can use: `restore()`.\n"
    );
    let linked = "\nThe above exception was the direct cause of the following exception:\n\n";
    let logged = "2026-11-29 06:09:22,021\tERROR tune_controller.py:1336 -- Trial task failed for trial fit_1\n\
                  Traceback (most recent call last):\n  File \"/usr/lib/python3/dist-packages/ray/air/event_manager.py\", line 110, \
                  in resolve_future\n    result = ray.get(future)\n";
    let group = format!(
        "{fit}ray.train.WorkerGroupError: Training failed due to worker errors:\n[Rank 0 Error Snippet]:\n\
         Traceback (most recent call last):\n{own}"
    );
    for stderr in [format!("{task}{linked}{failed}"), format!("{logged}{task}{failed}"), group] {
        let text = recorded(EXIT_1, &stderr);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ValueError: no rows in shard 7", "{text}");
        assert!(lines[1].starts_with("at train.py:5 in work"), "{text}");
        assert!(lines[2].starts_with("passed on as: ray.train."), "{text}");
    }
}
