//! Hints about NVIDIA drivers that do not fit the CUDA version of the image or of an installed package.

use super::HintFacts;
use super::facts::HintRow;
use super::wording::between;

const FIT: &str = "use an image or a build of the package for an older CUDA, or a newer instance type; the driver of a \
                   SageMaker instance cannot be updated";

/// Returns the hint for a driver that is older than the CUDA version that the code was built for.
pub(super) fn too_old(facts: &HintFacts<'_>) -> Option<String> {
    let old = "NVIDIA driver on your system is too old (found version ";
    if facts.claims(&["NVIDIA driver on your system is too old (found version "]).is_some() {
        let version = between(facts.claimed(), old, ")").and_then(|digits| digits.parse::<u32>().ok());
        let version =
            version.map(|n| format!(" (it supports CUDA {}.{})", n / 1000, n % 1000 / 10)).unwrap_or_default();
        return Some(format!("the instance's NVIDIA driver is older than the CUDA of this torch{version}; {FIT}"));
    }
    let insufficient = [
        "CUDA driver version is insufficient for CUDA runtime version",
        "cudaErrorInsufficientDriver",
        "CUDA_ERROR_INSUFFICIENT_DRIVER",
        "CUDA initialization failure with error: 35",
    ];
    if facts.claims(&insufficient).is_some() {
        return Some(format!(
            "the NVIDIA driver is older than the CUDA of the image or package, or there is none (an instance without GPU); \
             {FIT}"
        ));
    }
    let requires = "unsatisfied condition: ";
    if facts.claims(&["nvidia-container-cli: requirement error: unsatisfied condition"]).is_some() {
        let condition = between(facts.claimed(), requires, ",").unwrap_or("cuda");
        return Some(format!("the image requires {condition}, which the instance's driver does not support; {FIT}"));
    }
    facts.advice(ROWS)
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "PTX was compiled with an unsupported toolchain",
            "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
            "cudaErrorUnsupportedPtxVersion",
        ],
        hint: "a kernel was compiled by a CUDA that is newer than the instance's driver; use an image or a build of the \
               package for an older CUDA, or a newer instance type",
    },
    HintRow {
        wordings: &[
            "forward compatibility was attempted on non supported HW",
            "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
            "cudaErrorCompatNotSupportedOnDevice",
            "unsupported display driver / cuda driver combination",
            "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        ],
        hint: "the image's CUDA compatibility library (/usr/local/cuda/compat) does not fit the instance's driver; remove that \
               folder from LD_LIBRARY_PATH, or use an image for the CUDA of the driver",
    },
    HintRow {
        wordings: &["Driver/library version mismatch"],
        hint: "the NVIDIA libraries in the image are of another version than the instance's driver; do not install driver \
               libraries (libnvidia-*, nvidia-utils) in the image",
    },
];
