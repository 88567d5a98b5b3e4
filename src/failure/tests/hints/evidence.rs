//! Hints that follow from measurements of the machine and from the ending of the process.

use super::{evidence, hints, of, text};
use crate::event::Ending;
use crate::failure::{Evidence, Full, FullDisk, OutOfMemory, StopEvidence, cause};

const GIB: u64 = 1 << 30;

#[test]
fn out_of_memory_is_stated_with_peak_and_limit_if_the_cgroup_proves_it() {
    let mut evidence = evidence(Ending::Signaled(9), "");
    let memory = OutOfMemory { peak_bytes: Some(17_072_495_001), limit_bytes: Some(16 * GIB), whole_machine: false };
    evidence.memory = Some(memory);
    assert_eq!(
        text(&cause(&evidence)),
        "killed by SIGKILL (signal 9): out of memory\nexit code 137\nhint: out of memory: peak 15.9 GiB of the container's 16.0 GiB; use a smaller batch, fewer data-loading workers, or an instance with more memory\ncommand: python3 train.py"
    );
    let start = |evidence: &Evidence<'_>| hints(evidence)[0].split(';').next().unwrap().to_owned();
    evidence.memory = Some(OutOfMemory { peak_bytes: None, whole_machine: true, ..memory });
    assert_eq!(start(&evidence), "out of memory within the machine's 16.0 GiB");
    evidence.memory = Some(OutOfMemory { peak_bytes: Some(GIB), limit_bytes: None, whole_machine: true });
    assert_eq!(start(&evidence), "out of memory: peak 1.0 GiB");
    evidence.ending = Ending::Exited(1);
    assert_eq!(start(&evidence), "out of memory: peak 1.0 GiB", "a child was killed");
}

#[test]
fn a_stop_is_named_with_its_grace_period() {
    let mut evidence = evidence(Ending::Signaled(15), "");
    evidence.stopped = Some(StopEvidence { signal: "SIGTERM".into(), grace_seconds: 110, killed_after_grace: false });
    assert_eq!(
        text(&cause(&evidence)),
        "killed by SIGTERM (signal 15)\nexit code 143\nhint: the job was stopped: SIGTERM was passed on to the script; save a checkpoint when it comes\ncommand: python3 train.py"
    );
    evidence.ending = Ending::Signaled(9);
    evidence.stopped.as_mut().unwrap().killed_after_grace = true;
    assert_eq!(
        hints(&evidence),
        [
            "the job was stopped: SIGTERM was passed on, and what still ran after 110 s was killed; save and end sooner after SIGTERM"
        ]
    );
}

#[test]
fn shared_memory_is_named_for_bus_errors_and_data_loaders() {
    let remedy = "set the data loader's num_workers to 0 or lower, or use an instance with more memory, whose /dev/shm is larger";
    assert_eq!(of(Ending::Signaled(7), ""), [format!("a bus error mostly means that /dev/shm was full; {remedy}")]);
    let loader = "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).\nTraceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nRuntimeError: DataLoader worker (pid(s) 71) exited unexpectedly\n";
    assert!(of(Ending::Exited(1), loader).contains(&format!("/dev/shm is too small or was full; {remedy}")));
    for said in [
        "OSError: [Errno 28] No space left on device: '/dev/shm/batch'",
        "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-AbCdEf (size 9637888)",
        "RuntimeError: unable to open shared memory object </torch_71_1> in read-write mode",
    ] {
        assert!(
            of(Ending::Exited(1), said)[0].starts_with(&format!("/dev/shm is too small or was full; {remedy}")),
            "{said}"
        );
    }
    // The reason is another one.
    for (said, words) in [
        (
            "RuntimeError: unable to mmap 4294967296 bytes from file </opt/ml/input/data/m/rows.bin>: Cannot allocate memory (12)",
            None,
        ),
        ("RuntimeError: unable to mmap 240 bytes from file </torch_12_71_3>: Cannot allocate memory (12)", None),
        (
            "RuntimeError: unable to open shared memory object </torch_12_71> in read-write mode: Too many open files (24)",
            Some("the limit of open files"),
        ),
        (
            "RuntimeError: unable to open shared memory object </torch_12_71> in read-write mode: No such file or directory (2)",
            None,
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'creating shared memory segment.md'", None),
        (
            "RuntimeError: torch_shm_manager at \"/x/torch/bin/torch_shm_manager\": could not generate a random directory for manager socket",
            None,
        ),
    ] {
        let hints = of(Ending::Exited(1), &super::raising(said));
        assert_eq!(hints.len(), words.iter().count(), "{said}: {hints:#?}");
        assert!(hints.first().is_none_or(|hint| hint.contains(words.unwrap_or_default())), "{said}: {hints:#?}");
    }
    let stated = super::raising(
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_12_71>: No space left on device (28)",
    );
    assert!(of(Ending::Exited(1), &stated)[0].starts_with("/dev/shm is too small or was full"));
    // A path in shared memory does not show that shared memory is full.
    let kept = "loading /dev/shm/train.bin\nTraceback (most recent call last):\n  File \"/dev/shm/code/train.py\", line 3, in <module>\n    read('/dev/shm/train.bin')\nValueError: bad header in /dev/shm/train.bin\n";
    assert_eq!(of(Ending::Exited(1), kept), [""; 0]);
    let mut evidence = evidence(Ending::Signaled(7), "");
    let what = Full::Space { free_bytes: 0, total_bytes: 64 << 20 };
    evidence.full = vec![FullDisk { path: "/dev/shm".into(), what }];
    assert_eq!(hints(&evidence), [format!("/dev/shm is full (0 bytes free of 64.0 MiB); {remedy}")]);
}

#[test]
fn full_disks_are_named() {
    let stderr = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nOSError: [Errno 28] No space left on device: '/opt/ml/model/a'\n";
    let mut evidence = evidence(Ending::Exited(1), stderr);
    assert_eq!(hints(&evidence), ["a file system was full; write less, or give the job a larger volume (volume_size)"]);
    let what = Full::Space { free_bytes: 4096, total_bytes: 30 * GIB };
    evidence.full = vec![FullDisk { path: "/opt/ml/model".into(), what }];
    assert_eq!(
        hints(&evidence),
        ["/opt/ml/model is full (4.0 KiB free of 30.0 GiB); write less, or give the job a larger volume"]
    );
}

#[test]
fn a_crash_of_native_code_has_a_hint_if_python_ran_it() {
    let cpu =
        "a package was built for a newer CPU than this one; install a build for it, or take another instance type";
    assert_eq!(of(Ending::Signaled(4), ""), [cpu]);
    assert_eq!(of(Ending::Exited(132), ""), [cpu]);
    let mut evidence = evidence(Ending::Signaled(11), "");
    assert_eq!(hints(&evidence), ["native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python"]);
    evidence.command = "./prog".into();
    assert_eq!(hints(&evidence), [""; 0]);
}
