//! Hints about a GPU whose memory is full.

use super::HintFacts;
use super::wording::between;

const LESS: &str = "use a smaller batch, gradient checkpointing or mixed precision, or a larger GPU";

/// Wordings that only a GPU's allocator uses.
const FULL: &[&str] = &[
    "CUDA out of memory. ",
    "HIP out of memory. ",
    "CUDA error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "cuda.OutOfMemoryError: ",
    "cuda.memory.OutOfMemoryError: Out of memory allocating",
    "OOM when allocating tensor*device:GPU",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Cuda failure 'out of memory'",
    "Cuda failure 2 'out of memory'",
    "cudaMalloc failed: out of memory",
    "cudaMalloc retry failed: out of memory",
    "Out of memory error on GPU ",
    "out_of_memory: CUDA error",
    "[CUDA] out of memory",
    "Failed to allocate memory on GPU",
];

/// Wordings of XLA, which do not show if the device is a GPU.
const XLA: &[&str] = &[
    "RESOURCE_EXHAUSTED: Out of memory ",
    "RESOURCE_EXHAUSTED: Failed to allocate request for ",
    "RESOURCE_EXHAUSTED: Error loading program*Attempting to reserve ",
];

/// Returns the hint for full memory of a GPU or of a device of XLA.
pub(super) fn full(facts: &HintFacts<'_>) -> Option<String> {
    let claimed = facts.claimed();
    if facts.claims(FULL).is_some() {
        return Some(format!("the GPU's memory is full{}; {LESS}", figures(claimed)));
    }
    facts.claims(XLA)?;
    let size = between(claimed, "RESOURCE_EXHAUSTED: Out of memory while trying to allocate ", " bytes")
        .or_else(|| between(claimed, "RESOURCE_EXHAUSTED: Out of memory allocating ", " bytes"));
    let size = size.map(|size| format!(" ({size} bytes)")).unwrap_or_default();
    Some(format!(
        "XLA found no memory on its device for one allocation{size}; use a smaller batch or mixed precision, shard the \
         arrays, or set XLA_PYTHON_CLIENT_PREALLOCATE=false if other processes share the GPU"
    ))
}

/// Returns the figures of torch's message in the form ` (2.32 GiB asked for, 1.21 GiB of 79.10 GiB free)`.
fn figures(claimed: &str) -> String {
    let found = || {
        let requested = between(claimed, "Tried to allocate ", "iB")?;
        let total = between(claimed, "total capacity of ", "iB")
            .or_else(|| between(claimed, "(GPU ", "iB total capacity")?.split_once("; ").map(|(_, total)| total))?;
        let free = between(claimed, "iB of which ", "iB is free")
            .or_else(|| between(claimed, "already allocated; ", "iB free"))?;
        Some(format!(" ({requested}iB asked for, {free}iB of {total}iB free)"))
    };
    found().unwrap_or_default()
}
