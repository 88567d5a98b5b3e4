//! Exceptions that quote the words of a library as data. They get none of its hints.

use super::{assert_hints, assert_no_hint};

/// Errors of libraries, drivers and services that a table of log lines can contain.
const LINES: [&str; 34] = [
    "No GPU found",
    "No CUDA GPUs are available",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDA error: device-side assert triggered",
    "CUDA out of memory. Tried to allocate 2 GiB",
    "an illegal memory access was encountered",
    "uncorrectable ECC error encountered",
    "JavaScript heap out of memory",
    "java.lang.OutOfMemoryError: Java heap space",
    "JAVA_HOME is not set",
    "CUDA_HOME environment variable is not set",
    "ninja: command not found",
    "Weights only load failed",
    "Repository Not Found for url",
    "You are trying to access a gated repo.",
    "No API key configured. Use `wandb login`",
    "libtorch.so: undefined symbol: foo",
    "libGL.so.1: cannot open shared object file",
    "numpy.core.multiarray failed to import",
    "No module named 'acme'",
    "cannot import name 'x' from 'y' (/usr/lib/python3/dist-packages/y.py)",
    "Missing optional dependency 'openpyxl'.",
    "Too many open files",
    "[Errno 28] No space left on device",
    "Read-only file system",
    "Address already in use",
    "Connection closed by peer [10.0.0.3]:29113",
    "Unable to locate credentials",
    "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
    "[Errno 110] Connection timed out",
    "Name or service not known",
    "Default process group has not been initialized",
    "Error(s) in loading state_dict for Net: size mismatch for fc",
    "creating shared memory segment /dev/shm/nccl-a",
];

#[test]
fn data_in_quotes_has_no_hint() {
    for line in LINES {
        let shown = if line.contains('\'') { format!("\"{line}\"") } else { format!("'{line}'") };
        assert_no_hint(&[
            &format!("ValueError: could not convert string to float: {shown}"),
            &format!("ValueError: y contains previously unseen labels: ['ok', {shown}]"),
            &format!("KeyError: {shown}"),
            &format!("AssertionError: expected {shown} in the log"),
            &format!("LookupError: no class for {shown}"),
            &format!("TypeError: unhashable row ({shown}, 7)"),
            &format!("RuntimeError: row 7 has the unknown message {shown}"),
            &format!("LabelError: no label for {shown}"),
            &format!("acme.errors.LabelError: {shown} is not one of ['a', 'b']"),
            &format!("jsonschema.exceptions.ValidationError: {shown} is not one of ['a', 'b']"),
            &format!(
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for Row\nkind\n  Input should be 'a' or 'b' [type=literal_error, input_value={shown}, input_type=str]"
            ),
        ]);
    }
}

#[test]
fn an_error_that_a_library_passes_on_in_quotes_counts() {
    assert_hints(&[
        (
            "grpc._channel._InactiveRpcError: <_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n\tdetails = \"failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.2:50051: Failed to connect to remote host: Connection refused\"",
            "nothing accepts connections",
        ),
        (
            "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)\")",
            "nothing accepts connections",
        ),
        (
            "aiohttp.client_exceptions.ClientConnectorCertificateError: Cannot connect to host h:443 ssl:True [SSLCertVerificationError: (1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)')]",
            "TLS certificate",
        ),
        (
            "RuntimeError: On WorkerInfo(id=1, name=worker1):\nRuntimeError('CUDA error: device-side assert triggered')",
            "a kernel's assertion failed",
        ),
        ("ValueError: it can't be: fp16 mixed precision requires a GPU (not 'cpu')", "this process sees no GPU"),
    ]);
}
