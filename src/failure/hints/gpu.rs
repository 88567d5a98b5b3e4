//! Hints about errors of CUDA and of its libraries, other than those of memory, drivers and hardware.

use super::HintFacts;
use super::facts::HintRow;
use super::hardware;
use super::wording::between;

/// Returns the hint for a failed assertion in a kernel, with the text of the assertion if the log contains it.
pub(super) fn assertion(facts: &HintFacts<'_>) -> Option<String> {
    if hardware::is_faulty(facts) {
        return None;
    }
    // `enable device-side assertions` does not count, because torch writes it below every error.
    facts.claims(&["device-side assert triggered", "CUDA_ERROR_ASSERT", "cudaErrorAssert"])?;
    let failed = facts.logged("Assertion `").and_then(|line| between(line, "Assertion `", "` failed"));
    let why = match failed {
        Some(text) if text.contains("n_classes") || text.contains("cur_target") => {
            "a label is out of range: check the labels against the number of classes"
        }
        Some(text) if text.contains("ndex") || text.contains("ind ") || text.contains("idx") => {
            "an index is out of range: check token ids against the embedding (vocab size), positions against max length"
        }
        Some(text) if text.contains("input_val") || text.contains("x >= 0") => {
            "an input of a loss is outside of its range, often NaN: check the values that it gets"
        }
        Some(text) if text.contains("probability") || text.contains("sum") => {
            "probabilities are NaN, infinite or negative"
        }
        _ => "mostly an index out of range: a label beyond the classes, or a token id beyond the embedding (vocab)",
    };
    let failed = failed.map(|text| format!(" (`{text}`)")).unwrap_or_default();
    Some(format!("a kernel's assertion failed{failed}; {why}; CUDA_LAUNCH_BLOCKING=1 shows the line"))
}

/// Returns the hint for an error whose wording states the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    if hardware::is_faulty(facts) {
        return None;
    }
    let is_of_neuron = facts.claims(&["Neuron Runtime could not be initialized"]).is_some();
    if is_of_neuron && facts.logged("NeuronCore(s) not available").is_some() {
        return Some(NO_NEURON_CORE.to_owned());
    }
    // TensorFlow writes the reason only to its log.
    let is_of_xla = facts.claims(&["JIT compilation failed"]).is_some();
    if is_of_xla && facts.logged("Can't find libdevice directory").is_some() {
        return Some(NO_LIBDEVICE.to_owned());
    }
    // JAX logs that there is a GPU, which its build cannot use.
    let is_of_jax = facts.claims(&["Unknown backend: "]).is_some();
    if is_of_jax && facts.mentions(&["CUDA-enabled jaxlib is not installed"]).is_some() {
        return Some(NO_CUDA.to_owned());
    }
    // Ultralytics adds what torch sees in a paragraph of its own.
    let is_of_ultralytics = facts.claims(&["Invalid CUDA 'device="]).is_some();
    if is_of_ultralytics && facts.mentions(&["torch.cuda.is_available(): False"]).is_some() {
        return Some(NO_GPU.to_owned());
    }
    if is_of_ultralytics && facts.mentions(&["torch.cuda.is_available(): True"]).is_some() {
        return Some(OTHER_GPU.to_owned());
    }
    facts.advice(ROWS)
}

const NO_CUDA: &str = "the installed build of the package has no CUDA; install its CUDA build (image or requirements.txt), or set the \
                       script to run on the CPU";

const NO_LIBDEVICE: &str = "XLA does not find CUDA's libdevice; set XLA_FLAGS=--xla_gpu_cuda_data_dir= to the CUDA folder, or \
                            use an image with the CUDA toolkit (devel)";

const NO_NEURON_CORE: &str = "more Neuron cores were asked for than are free; start fewer processes on each host, or set NEURON_RT_NUM_CORES \
               so that they share the cores";

const OTHER_GPU: &str = "the script chose a GPU number that this host does not have; use the GPU of LOCAL_RANK, and no more processes \
                         than GPUs on each host (FOOTPLATE_PROCESSES_PER_HOST)";

const NO_GPU: &str = "this process sees no GPU; use an instance type with GPUs (ml.g5, ml.p4d, …), leave CUDA_VISIBLE_DEVICES \
                      alone, or set the script to run on the CPU";

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &["Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False"],
        hint: "the file was saved on a GPU and this process sees none; pass map_location='cpu' to torch.load, or use an \
               instance with a GPU",
    },
    HintRow {
        wordings: &["Attempting to deserialize object on CUDA device"],
        hint: "the file was saved on a GPU with a number that this host does not have; pass map_location to torch.load \
               ('cpu', or the GPU of LOCAL_RANK)",
    },
    HintRow {
        wordings: &[
            "Torch not compiled with CUDA enabled",
            "CUDA Tree Learner was not enabled in this build",
            "XGBoost version not compiled with GPU support",
            "jaxlib is not built with CUDA",
            "Distributed package doesn't have NCCL built in",
        ],
        hint: NO_CUDA,
    },
    HintRow {
        wordings: &[
            "Found no NVIDIA driver on your system",
            "No CUDA GPUs are available",
            "no CUDA-capable device is detected",
            "CUDA_ERROR_NO_DEVICE",
            "cudaErrorNoDevice",
            "No supported gpu backend found",
            "CUDAAccelerator` can not run on your system since the accelerator is not available",
            "CUDAAccelerator can not run on your system since the accelerator is not available",
            "No GPU device found",
            "No GPU found",
            "No visible GPU is found",
            "No OpenCL device found",
            "is only supported with GPUs, no GPUs found",
            "requires at least one CUDA device",
            "CudaSupportError: Error at driver init: CUDA driver library cannot be found",
            "instances of cuda are present",
            "instances of gpu are present",
            "Unknown backend: 'gpu' requested",
            "Unable to initialize backend 'cuda'",
            "fp16 mixed precision requires a GPU",
            "FP16 Mixed precision training with AMP or APEX (`--fp16`) * can only be used on CUDA",
            "Couldn't find any available GPU",
            "Failed to infer device type",
            "CUDA initialization failure with error: 100",
            "You requested gpu: * But your machine only has: []",
            "Invalid CUDA 'device=0' requested",
            "cannot find any torch accelerator",
            "None of the available devices `available_devices = None` are supported by the bitsandbytes",
        ],
        hint: NO_GPU,
    },
    HintRow {
        wordings: &[
            "setup doesn't support bf16/gpu",
            "Bfloat16 is only supported on GPUs with compute capability of at least 8.0",
        ],
        hint: "bf16 needs a visible GPU of the Ampere generation or newer; take an instance type with one (ml.g5, ml.p4d, …), or use fp16",
    },
    HintRow {
        wordings: &["cudaGetDeviceCount*Error 101: invalid device ordinal"],
        hint: "CUDA_VISIBLE_DEVICES names a GPU that this host does not have, or was changed after CUDA had started; leave it alone, or set it \
               before the first import",
    },
    HintRow {
        wordings: &["cudaGetDeviceCount*Error 304: OS call failed"],
        hint: "the driver could not open the GPUs: mostly their files (/dev/nvidia*) are missing in the container, or this user may not use them; \
               start the container with GPUs (docker run --gpus all), as a user who may use them",
    },
    HintRow {
        wordings: &[
            "You requested gpu: * But your machine only has: [",
            "CUDA*invalid device ordinal",
            "HIP*invalid device ordinal",
            "CUDA_ERROR_INVALID_DEVICE",
            "cudaErrorInvalidDevice",
        ],
        hint: OTHER_GPU,
    },
    HintRow {
        wordings: &["Duplicate GPU detected"],
        hint: "two ranks chose the same GPU; call torch.cuda.set_device(int(os.environ['LOCAL_RANK'])) before NCCL is used, and \
               start one process for each GPU",
    },
    HintRow {
        wordings: &[
            "CUDA-capable device* busy or unavailable",
            "CUDA_ERROR_DEVICE_UNAVAILABLE",
            "cudaErrorDevicesUnavailable",
        ],
        hint: "another process holds the GPU, which takes one process at a time, or the GPU is faulty; give each process the GPU \
               of its LOCAL_RANK, or run the job again on another instance",
    },
    HintRow {
        wordings: &[
            "Cannot re-initialize CUDA in forked subprocess",
            "CUDA error: initialization error",
            "cudaErrorInitializationError",
        ],
        hint: "CUDA was used before a fork, and cannot be used after it; start workers with the spawn method \
               (multiprocessing_context='spawn'), or use CUDA only in them",
    },
    HintRow {
        wordings: &[
            "no kernel image is available for execution on the device",
            "CUDA_ERROR_NO_BINARY_FOR_GPU",
            "cudaErrorNoKernelImageForDevice",
            "is not compatible with the current PyTorch installation",
            "device kernel image is invalid",
            "CUDA error: invalid device function",
            "cudaErrorInvalidDeviceFunction",
        ],
        hint: "the installed build has no kernels for this GPU's architecture; install a build for it (newer torch or CUDA; own \
               extensions: TORCH_CUDA_ARCH_LIST), or use an instance type with a GPU that it supports",
    },
    HintRow {
        wordings: &[
            "only supports Ampere GPUs or newer",
            "requires GPU with compute capability",
            "which is too old to be supported by the triton GPU compiler",
            "Bfloat16 is only supported on GPUs with compute capability",
        ],
        hint: "this GPU is older than the package supports; use an instance type with a newer GPU (Ampere: ml.g5, ml.p4d), or \
               switch that feature off",
    },
    HintRow {
        wordings: &[
            "CUBLAS_STATUS_NOT_INITIALIZED",
            "CUBLAS_STATUS_INTERNAL_ERROR",
            "using StreamExecutor without BLAS support",
            "Blas GEMM launch failed",
            "Blas GEMV launch failed",
            "Blas SGEMM launch failed",
            "Blas xGEMM launch failed",
            "Blas xGEMV launch failed",
            "Blas xGEMMBatched launch failed",
        ],
        hint: "cuBLAS could not start on the GPU: mostly its memory was full, or an earlier kernel failed (an index out of \
               range); use a smaller batch, and CUDA_LAUNCH_BLOCKING=1 to see the line",
    },
    HintRow {
        wordings: &[
            "CUBLAS_STATUS_EXECUTION_FAILED",
            "CUBLAS_STATUS_INVALID_VALUE",
            "CUBLAS_STATUS_NOT_SUPPORTED",
            "CUBLAS_STATUS_ARCH_MISMATCH",
        ],
        hint: "cuBLAS failed: mostly a CUDA library of another version on LD_LIBRARY_PATH, or wrong shapes or indices; unset \
               LD_LIBRARY_PATH, and set CUDA_LAUNCH_BLOCKING=1 to see the line",
    },
    HintRow {
        wordings: &["CUSOLVER_STATUS_INTERNAL_ERROR*cusolverDnCreate", "CUSOLVER_STATUS_NOT_INITIALIZED"],
        hint: "cuSOLVER could not start on the GPU: mostly its memory was full, or a CUDA library of another version is on LD_LIBRARY_PATH; use \
               a smaller batch, or unset LD_LIBRARY_PATH",
    },
    HintRow {
        wordings: &["cublasLt ran into an error!"],
        hint: "bitsandbytes' product in 8 bits failed: mostly the GPU's memory was full, or the GPU or the shapes do not suit it; use a smaller \
               batch, a newer bitsandbytes, or 4 bits",
    },
    HintRow {
        wordings: &[
            "Unable to load CUDA. Is it installed?",
            "Unable to load cuDNN. Is it installed?",
            "Unable to load cuBLAS. Is it installed?",
            "Unable to load cuFFT. Is it installed?",
            "Unable to load cuSOLVER. Is it installed?",
            "Unable to load cuSPARSE. Is it installed?",
            "Unable to load cuPTI. Is it installed?",
        ],
        hint: "JAX does not find one of CUDA's libraries; install JAX with its own CUDA libraries (jax[cuda12]), and remove the image's from \
               LD_LIBRARY_PATH",
    },
    HintRow {
        wordings: &["Found * version *, but JAX was built against version"],
        hint: "a CUDA library that is loaded is older than the one JAX was built with; install JAX with its own CUDA libraries \
               (jax[cuda12]), and remove the image's from LD_LIBRARY_PATH",
    },
    HintRow {
        wordings: &[
            "CUDNN_STATUS_VERSION_MISMATCH",
            "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH",
            "Unable to load any of {libcudnn",
            "Could not load library libcudnn",
        ],
        hint: "parts of cuDNN are not on the loader's path, or are of different versions; remove the image's cuDNN from LD_LIBRARY_PATH, and \
               install the version that the package needs (nvidia-cudnn-cu12)",
    },
    HintRow {
        wordings: &["Loaded runtime CuDNN library: * but source was compiled with", "cuDNN version incompatibility"],
        hint: "the cuDNN that is loaded is older than the one the package was built with; remove the image's cuDNN from \
               LD_LIBRARY_PATH, or use an image with the version that the message names",
    },
    HintRow {
        wordings: &[
            "CUDNN_STATUS_NOT_INITIALIZED",
            "CUDNN_STATUS_INTERNAL_ERROR",
            "CUDNN_STATUS_EXECUTION_FAILED",
            "CUDNN_STATUS_MAPPING_ERROR",
            "CUDNN_STATUS_SUBLIBRARY",
            "DNN library initialization failed",
            "DNN library is not found",
            "probably because cuDNN failed to initialize",
            "Unable to find a valid cuDNN algorithm",
            "Unable to find an engine to execute this computation",
            "GET was unable to find an engine to execute this computation",
            "No DNN in stream executor",
        ],
        hint: "cuDNN could not start: mostly too little GPU memory was left (smaller batch; XLA_PYTHON_CLIENT_MEM_FRACTION), or \
               the image's cuDNN is not the version that the package was built with (LD_LIBRARY_PATH)",
    },
    HintRow {
        wordings: &[
            "illegal memory access was encountered",
            "CUDA_ERROR_ILLEGAL_ADDRESS",
            "cudaErrorIllegalAddress",
            "CUDA*misaligned address",
            "cudaErrorMisalignedAddress",
            "unspecified launch failure",
            "CUDA_ERROR_LAUNCH_FAILED",
        ],
        hint: "a kernel read or wrote memory that is not its own, in an earlier call than the traceback shows; \
               CUDA_LAUNCH_BLOCKING=1 shows the line; check indices and custom kernels",
    },
    HintRow {
        wordings: &["CUDA Setup failed despite GPU being available", "CUDA SETUP: Setup Failed"],
        hint: "bitsandbytes found no library of its own for the image's CUDA; install a newer bitsandbytes, or put CUDA's libraries \
               (libcudart) on LD_LIBRARY_PATH; `python -m bitsandbytes` shows what it looks for",
    },
    HintRow { wordings: &["Can't find libdevice directory", "libdevice not found at ./libdevice"], hint: NO_LIBDEVICE },
    HintRow {
        wordings: &[
            "NERR_RESOURCE_NC",
            "insufficent NCs",
            "Logical Neuron Core(s) not available",
            "NeuronCore(s) not available",
            "NRT_RESOURCE",
        ],
        hint: NO_NEURON_CORE,
    },
];
