//! The wording of errors that a rank or a process reports after another one is gone.

/// Parts of an error that follow each other, in lower case, with any text between them.
type Wording = &'static [&'static str];

/// The only list of such wordings.
///
/// Sources: sockets of any library, gloo, NCCL, Open MPI, Horovod, Dask, Ray, JAX, TensorFlow, LightGBM, torch (`Dist…Error`,
/// the watchdog, barriers, data loaders), torchrun (`SignalException`, rendezvous), and Python's own pools.
const CONSEQUENCES: &[Wording] = &[
    &["connection closed"],
    &["connection was closed"],
    &["connection was likely closed"],
    &["closed the connection"],
    &["connection reset"],
    &["connection was reset"],
    &["connection refused"],
    &["connection was refused"],
    &["connection aborted"],
    &["connection lost"],
    &["lost connection"],
    &["connectionreseterror"],
    &["connectionrefusederror"],
    &["connectionabortederror"],
    &["software caused connection abort"],
    &["reset by peer"],
    &["closed by peer"],
    &["closed by remote peer"],
    &["peer gone"],
    &["peer is gone"],
    &["peer has gone"],
    &["broken pipe"],
    &["brokenpipeerror"],
    &["socket closed"],
    &["socket timeout"],
    &["socket recv error"],
    &["socket send error"],
    &["transport endpoint is not connected"],
    &["remote process exited"],
    &["gloo", "timeout"],
    &["timed out waiting"],
    &["timed out after", "waiting"],
    &["application timeout caused pair closure"],
    // NCCL and torch.distributed
    &["nccl error"],
    &["ncclremoteerror"],
    &["communicator was aborted"],
    &["watchdog caught"],
    &["watchdog thread"],
    &["detected by watchdog"],
    &["heartbeat monitor timed out"],
    &["collective operation timeout"],
    &["diststoreerror"],
    &["distnetworkerror"],
    &["distbackenderror"],
    &["failed to recv, got 0 bytes"],
    &["failed to pass monitoredbarrier"],
    &["store based barrier", "timeout"],
    &["barrier", "timed out"],
    &["barrier", "timeout"],
    &["brokenbarriererror"],
    // Launchers and runtimes
    &["mpirun has lost its daemon"],
    &["mpi_err_proc_failed"],
    &["mpi_abort was invoked"],
    &["horovod has been shut down"],
    &["horovodinternalerror"],
    &["signalexception"],
    &["childfailederror"],
    &["rendezvousconnectionerror"],
    &["rendezvousclosederror"],
    &["rendezvoustimeouterror"],
    &["coordination service"],
    &["collective ops is aborted"],
    &["the tasks have crashed"],
    &["tasks are unhealthy"],
    &["jax distributed service detected fatal errors"],
    &["another task died"],
    &["commclosederror"],
    &["killedworker"],
    &["actordiederror"],
    &["actorunavailableerror"],
    &["workercrashederror"],
    &["nodediederror"],
    &["localrayletdiederror"],
    &["ownerdiederror"],
    &["objectlosterror"],
    &["raysystemerror", "gcs"],
    &["failed to connect to ray cluster"],
    &["scheduler-connection-lost"],
    // Pools and data loaders
    &["brokenprocesspool"],
    &["terminatedworkererror"],
    &["is killed by signal: terminated"],
];

/// Parts of errors that are causes in their own right, although they may have the wording of a consequence.
const CAUSES: &[&str] = &[
    "cuda error",
    "out of memory",
    "ncclinvalidusage",
    "ncclinvalidargument",
    "ncclunhandledcudaerror",
    "unhandled cuda error",
    "duplicate gpu",
    "shared memory segment",
    "no space left",
    "uncorrectable",
    "address already in use",
    "eaddrinuse",
    "permission denied",
    "httpconnectionpool",
    "httpsconnectionpool",
    "http://",
    "https://",
];

/// Returns true if an error reads like something that happens to a rank after another rank failed, such as a connection that
/// was closed or reset. Such an error is the cause only if no other failure is known.
pub fn reads_like_consequence(headline: &str) -> bool {
    let headline = headline.to_lowercase();
    // The connection to a manager ends without a message. An `EOFError` with a message comes from a file or standard
    // input.
    if headline == "eoferror" {
        return true;
    }
    let has = |wording: &Wording| {
        let mut rest = headline.as_str();
        wording.iter().all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    CONSEQUENCES.iter().any(has) && !CAUSES.iter().any(|cause| headline.contains(cause))
}

#[cfg(test)]
mod tests {
    use super::reads_like_consequence;

    #[test]
    fn errors_about_a_rank_that_is_gone_read_like_consequences() {
        for headline in [
            "RuntimeError: [../gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:51234",
            "RuntimeError: [../gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 1800000ms for recv operation",
            "RuntimeError: Application timeout caused pair closure",
            "ConnectionResetError: [Errno 104] Connection reset by peer",
            "requests: the connection was refused",
            "BrokenPipeError: [Errno 32] Broken pipe",
            "EOFError",
            "mpirun has lost its daemon on algo-2",
            "torch.distributed.DistBackendError: NCCL error in: x",
            "torch.distributed.DistBackendError: NCCL communicator was aborted on rank 3.",
            "c10::DistBackendError: [PG 1 Rank 3] Process group watchdog thread terminated with exception: [Rank 3] \
             Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3, OpType=ALLREDUCE)",
            "torch.distributed.DistNetworkError: failed to recv, got 0 bytes. Connection was likely closed.",
            "RuntimeError: Gloo connectFullMesh failed with timeout",
            "RuntimeError: Rank 0 failed to pass monitoredBarrier in 30000 ms",
            "threading.BrokenBarrierError",
            "horovod.common.exceptions.HorovodInternalError: Horovod has been shut down. This was caused by an exception on one \
             of the ranks",
            "distributed.comm.core.CommClosedError: in <TCP (closed) Worker->Scheduler>",
            "jaxlib.xla_extension.XlaRuntimeError: UNAVAILABLE: Failed to send RPC to coordination service.",
            "tensorflow.python.framework.errors_impl.UnavailableError: Graph execution error: The following tasks are unhealthy \
             (stopped sending heartbeats): /job:worker/replica:0/task:1",
            "F0101 client.h:80] Terminating process because the JAX distributed service detected fatal errors. This most likely \
             indicates that another task died",
            "RuntimeError: DataLoader worker (pid 71) is killed by signal: Terminated.",
            "Socket Timeout",
            "RuntimeError: Timed out after 1801 seconds waiting for clients",
        ] {
            assert!(reads_like_consequence(headline), "{headline}");
        }
    }

    #[test]
    fn errors_with_a_reason_of_their_own_do_not_read_like_consequences() {
        for headline in [
            "",
            "ValueError: bad",
            "timeout of Gloo 3",
            "TimeoutError: timed out",
            "connection string is bad",
            "EOFError: Ran out of input",
            "subprocess.TimeoutExpired: Command 'make' timed out after 30 seconds",
            "ValueError: the watchdog found a loss of NaN",
            "c10::Error: Process group watchdog thread terminated with exception: CUDA error: device-side assert triggered",
            "torch.distributed.DistBackendError: NCCL error in: x.cpp:1, invalid usage, ncclInvalidUsage: This usually reflects",
            "torch.distributed.DistNetworkError: The server socket has failed to bind to port 7777: EADDRINUSE",
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x', port=443): Connection refused",
        ] {
            assert!(!reads_like_consequence(headline), "{headline}");
        }
    }
}
