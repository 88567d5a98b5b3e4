//! Hints about main memory, worker processes and the memory of GPUs.

use super::{assert_hints, assert_no_hint, evidence, hints, of, raised, raising};
use crate::event::Ending;
use crate::failure::{JobEvidence, OutOfMemory};

const NOT_COUNTED: &str = "perhaps out of memory, which the container's cgroup cannot show: compare the job's MemoryUtilization; use a smaller batch, \
                           fewer data-loading workers, or an instance with more memory";
const NONE_COUNTED: &str = "the container's cgroup counted no kill for want of memory: look for kill() in your code or a library, a watchdog, or a kill \
                            by the platform";

#[test]
fn a_kill_is_blamed_on_memory_only_as_far_as_the_kernel_knows() {
    assert_eq!(of(Ending::Signaled(9), ""), [format!("killed by SIGKILL; {NOT_COUNTED}")]);
    assert_eq!(of(Ending::Exited(137), ""), [format!("killed by SIGKILL; {NOT_COUNTED}")]);
    assert!(of(Ending::Signaled(15), "").iter().all(|hint| !hint.contains("memory")));
    let counted = JobEvidence { kills_are_counted: true, ..JobEvidence::default() };
    let mut evidence = evidence(Ending::Signaled(9), "");
    evidence.job = counted;
    assert_eq!(hints(&evidence), [format!("killed by SIGKILL; {NONE_COUNTED}")]);
    evidence.memory = Some(OutOfMemory { peak_bytes: Some(1 << 30), limit_bytes: Some(1 << 30), whole_machine: false });
    assert_eq!(hints(&evidence).len(), 1);
    assert!(hints(&evidence)[0].starts_with("out of memory: peak 1.0 GiB"));
}

#[test]
fn the_kernel_of_this_host_says_nothing_about_a_rank_of_another() {
    let notice = "--------------------------------------------------------------------------\nmpirun noticed that process rank 3 with PID 0 on node algo-2 exited on \
                  signal 9 (Killed).\n--------------------------------------------------------------------------\n";
    let mut evidence = evidence(Ending::Signaled(9), notice);
    evidence.command = "mpirun -n 4 python3 train.py".into();
    evidence.job.kills_are_counted = true;
    for (host, expected) in [("algo-1", NOT_COUNTED), ("algo-2", NONE_COUNTED)] {
        evidence.host = Some(host.into());
        assert_eq!(hints(&evidence), [format!("killed by SIGKILL; {expected}")], "{host}");
    }
}

#[test]
fn the_end_of_a_worker_is_told_by_its_own_words() {
    assert_hints(&[
        (
            "RuntimeError: DataLoader worker (pid 71) is killed by signal: Killed. ",
            "a data loader's worker was killed by SIGKILL; perhaps out of memory",
        ),
        (
            "RuntimeError: DataLoader worker (pid 71) is killed by signal: Segmentation fault. ",
            "native code crashed in a data loader's worker",
        ),
        (
            "RuntimeError: DataLoader worker (pid(s) 71, 72) exited unexpectedly with exit code 3. Details are lost.",
            "ended by itself with exit code 3",
        ),
        (
            "concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly while the future was running or pending.",
            "(mostly out of memory)",
        ),
        (
            "concurrent.futures.process.BrokenProcessPool: A child process terminated abruptly, the process pool is not usable anymore",
            "(mostly out of memory)",
        ),
        (
            "joblib.externals.loky.process_executor.TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated. This \
             could be caused by a segmentation fault while calling the function or by an excessive memory usage causing the Operating System to kill the \
             worker.\n\nThe exit codes of the workers are {SIGKILL(-9)}",
            "a worker of the pool was killed by SIGKILL; perhaps out of memory",
        ),
        (
            "joblib.externals.loky.process_executor.TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated. The exit \
             codes of the workers are {SIGSEGV(-11)}",
            "native code crashed in a worker of the pool (SIGSEGV(-11))",
        ),
        (
            "joblib.externals.loky.process_executor.TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated. The exit \
             codes of the workers are {EXIT(3), EXIT(3)}",
            "ended by itself (EXIT(3), EXIT(3))",
        ),
        (
            "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\nMemory on the node (IP: 10.0.0.4) was 30.4GB",
            "Ray killed a task",
        ),
    ]);
    // The worker ended with its own exit code, so it was not killed.
    for ended in [
        "RuntimeError: DataLoader worker (pid 71) exited unexpectedly with exit code 1. Details are lost.",
        "RuntimeError: worker 3 Killed (signal 9)",
    ] {
        assert!(raised(ended).iter().all(|hint| !hint.contains("memory")), "{ended}");
    }
    assert_no_hint(&[
        "RuntimeError: A worker process was restarted",
        "RuntimeError: simulation: worker 3 Killed (signal 9, core dumped), out of memory in the model",
    ]);
    let killed = raising(
        "concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly while x.",
    );
    let mut evidence = evidence(Ending::Exited(1), &killed);
    evidence.job.kills_are_counted = true;
    assert!(hints(&evidence)[0].contains("counted no kill for want of memory"));
}

#[test]
fn a_refused_allocation_is_named_with_its_size() {
    assert_hints(&[
        (
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000) and data type float64",
            "one array asked for 7.28 TiB",
        ),
        (
            "numpy.core._exceptions.MemoryError: Unable to allocate 29.8 GiB for an array with shape (4000000000,) and data type float64",
            "one array asked for 29.8 GiB",
        ),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 35184372088832 \
             bytes. Error code 12 (Cannot allocate memory)",
            "one allocation asked for 32.0 TiB",
        ),
        ("pyarrow.lib.ArrowMemoryError: malloc of size 1125899906842624 failed", "one allocation asked for 1.0 PiB"),
        ("MemoryError", "Python was refused memory"),
        ("OSError: [Errno 12] Cannot allocate memory", "the kernel refused memory (ENOMEM)"),
        ("RuntimeError: std::bad_alloc", "std::bad_alloc"),
        (
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError: {{function_node __wrapped__Mul_device_/job:localhost/replica:0/task:0/device:CPU:0}} \
             OOM when allocating tensor with shape[1048576,1048576] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu [Op:Mul]",
            "on the CPU, not on a GPU",
        ),
    ]);
    // These errors are about limits of the script, and about space for thread-local data.
    assert_no_hint(&[
        "MemoryError: the cache holds at most 100 entries",
        "ValueError: unable to allocate 3 workers to 2 hosts",
        "MyMemoryError: 12 GiB are more than the budget",
    ]);
    let said = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n";
    assert!(of(Ending::Signaled(6), said)[0].contains("std::bad_alloc"));
}

#[test]
fn a_full_gpu_is_named_with_its_figures() {
    assert_hints(&[
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.32 GiB. GPU 5 has a total capacity of 79.10 GiB of which 1.21 GiB is free. \
             Including non-PyTorch memory, this process has 77.88 GiB memory in use.",
            "the GPU's memory is full (2.32 GiB asked for, 1.21 GiB of 79.10 GiB free); use a smaller batch",
        ),
        (
            "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.80 GiB total capacity; 6.10 GiB already allocated; 9.31 MiB free; \
             6.30 GiB reserved in total by PyTorch)",
            "the GPU's memory is full (20.00 MiB asked for, 9.31 MiB of 7.80 GiB free); use a smaller batch",
        ),
        (
            "RuntimeError: CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
            "the GPU's memory is full; use a smaller batch",
        ),
        (
            "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,589,934,592 bytes (allocated so far: 0 bytes).",
            "the GPU's memory is full",
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "the GPU's memory is full",
        ),
        ("RuntimeError: NCCL Error 1: unhandled cuda error 'Cuda failure 'out of memory''", "the GPU's memory is full"),
        (
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError: Graph execution error: OOM when allocating tensor with shape[64,512] and type \
             float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc",
            "the GPU's memory is full",
        ),
        (
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 6291456 bytes.",
            "XLA found no memory on its device for one allocation (6291456 bytes)",
        ),
        (
            "jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 17592186044416 bytes.",
            "XLA found no memory on its device",
        ),
    ]);
    assert_no_hint(&[
        "AssertionError: batch 512 is too big: reduce it or you run out of CUDA memory",
        "ValueError: policy 'CUDA out of memory' must be retry or fail",
        "RuntimeError: RESOURCE_EXHAUSTED: the queue has 0 of 8 slots",
        "grpc.RpcError: StatusCode.RESOURCE_EXHAUSTED: Received message larger than max (5242880 vs. 4194304)",
    ]);
}

#[test]
fn memory_that_r_and_java_were_refused_is_named() {
    let of_r = of(Ending::Exited(1), "Error: cannot allocate vector of size 7.5 Gb\nExecution halted\n");
    assert!(of_r[0].starts_with("one vector asked for 7.5 Gb, which was refused"), "{of_r:#?}");
    let of_java = of(
        Ending::Exited(1),
        "#\n# There is insufficient memory for the Java Runtime Environment to continue.\n# Native memory allocation (mmap) failed to map 1073741824 bytes for committing reserved memory.\n",
    );
    assert!(of_java[0].starts_with("the Java virtual machine was refused memory"), "{of_java:#?}");
    assert_eq!(of(Ending::Exited(1), "Error: the vector of size 7.5 Gb is not sorted\nExecution halted\n"), [""; 0]);
}
