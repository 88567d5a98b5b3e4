//! Hints about faults of the hardware: the instance is at fault, and not the job.

use super::HintFacts;
use super::wording::between;

const ANOTHER: &str = "run the job again on another instance (a new job, or a RetryStrategy with MaximumRetryAttempts), and \
                       report this one to AWS if it recurs";

/// Errors that only faulty hardware causes, with a description of the fault.
const FAULTS: &[(&[&str], &str)] = &[
    (
        &["ncorrectable ECC error", "CUDA_ERROR_ECC_UNCORRECTABLE", "cudaErrorECCUncorrectable", "contained ECC error"],
        "the GPU's memory has an uncorrectable ECC error, a hardware fault",
    ),
    (
        &["ncorrectable NVLink error", "CUDA_ERROR_NVLINK_UNCORRECTABLE", "cudaErrorNvlinkUncorrectable"],
        "an NVLink between GPUs has an uncorrectable error, a hardware fault",
    ),
    (
        &["GPU has fallen off the bus", "GPU is lost", "NVML_ERROR_GPU_IS_LOST"],
        "the GPU is lost to the driver, a hardware fault",
    ),
    (
        &[
            "CUDA error: system not yet initialized",
            "Error 802: system not yet initialized",
            "CUDA_ERROR_SYSTEM_NOT_READY",
            "cudaErrorSystemNotReady",
        ],
        "the GPUs' NVSwitch fabric is not ready (error 802), a fault of the instance or its setup",
    ),
    (
        &[
            "NRT_EXEC_HW_ERR",
            "nrt_execute status=1200",
            "nrt_execute status=1201",
            "HBM uncorrectable",
            "hw_error_event",
        ],
        "a Neuron core reported a hardware error",
    ),
];

/// Xid numbers that NVIDIA's documentation attributes to hardware: 48, 63, 64, 92, 94 and 95 for the memory, 74 for
/// NVLink, 79 for the bus, 119 and 120 for the GPU's system processor, 140 for unrecovered ECC errors. Programs cause
/// 13, 31, 43 and 45.
const HARDWARE: [u32; 11] = [48, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140];

/// Returns true if the hardware is at fault. No other explanation of the error counts then.
pub(super) fn is_faulty(facts: &HintFacts<'_>) -> bool {
    fault(facts).is_some()
}

/// Returns the hint for a fault of the hardware.
pub(super) fn fault(facts: &HintFacts<'_>) -> Option<String> {
    if let Some((_, fault)) = FAULTS.iter().find(|(wordings, _)| facts.wording(wordings).is_some()) {
        return Some(format!("{fault}; {ANOTHER}"));
    }
    // A script that reads the kernel's messages can have a driver's record in its log.
    let concerns_gpu = facts.signal.is_some() || facts.claims(&["CUDA", "NCCL", "cuda", "Xid"]).is_some();
    let line = concerns_gpu.then(|| facts.logged("NVRM: Xid")).flatten()?;
    let number = between(line, "): ", ",").or_else(|| between(line, ": Xid ", ","))?;
    let number: u32 = number.trim().parse().ok()?;
    HARDWARE
        .contains(&number)
        .then(|| format!("the driver reported Xid {number}, a hardware fault of the GPU; {ANOTHER}"))
}
