//! Hints about GPUs: errors of CUDA, drivers and hardware.

use super::{assert_hints, assert_no_hint, of, raised, raising};
use crate::event::Ending;

#[test]
fn a_kernels_assertion_is_named_with_its_meaning() {
    let stderr = |assertion: &str| {
        let failed = format!(
            "../aten/src/ATen/native/cuda/X.cu:1255: f: block: [7,0,0], thread: [0,0,0] Assertion `{assertion}` failed.\n"
        );
        failed.repeat(3)
            + &raising(
                "RuntimeError: CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported at some other API call.",
            )
    };
    for (assertion, words) in [
        (
            "srcIndex < srcSelectDimSize",
            "(`srcIndex < srcSelectDimSize`); an index is out of range: check token ids against the embedding",
        ),
        ("index out of bounds: 0 <= tmp4 < 32000", "an index is out of range"),
        (
            "ind >= 0 && ind < ind_dim_size && \"vectorized gather kernel index out of bounds\"",
            "an index is out of range",
        ),
        ("t >= 0 && t < n_classes", "a label is out of range"),
        ("cur_target >= 0 && cur_target < n_classes", "a label is out of range"),
        ("input_val >= zero && input_val <= one", "an input of a loss is outside of its range"),
    ] {
        let hints = of(Ending::Exited(1), &stderr(assertion));
        assert!(hints[0].contains(words) && hints[0].contains("CUDA_LAUNCH_BLOCKING=1"), "{assertion}: {hints:#?}");
    }
    assert!(
        raised("RuntimeError: CUDA error: device-side assert triggered")[0].contains("mostly an index out of range")
    );
    assert_no_hint(&[
        "AssertionError: index out of bounds: 7",
        "IndexError: index 7 is out of bounds for axis 0 with size 3",
    ]);
}

#[test]
fn errors_of_cuda_have_a_remedy() {
    assert_hints(&[
        (
            "RuntimeError: CUDA error: invalid device ordinal\nCUDA kernel errors might be asynchronously reported",
            "LOCAL_RANK",
        ),
        ("RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable", "another process holds the GPU"),
        (
            "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
            "another process holds the GPU",
        ),
        ("RuntimeError: No CUDA GPUs are available", "this process sees no GPU"),
        (
            "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from http://www.nvidia.com/x",
            "this process sees no GPU",
        ),
        ("RuntimeError: CUDA error: no CUDA-capable device is detected", "this process sees no GPU"),
        (
            "xgboost.core.XGBoostError: [10:11:12] /workspace/src/context.cc:44: Check failed: common::AllVisibleGPUs() >= 1 (0 vs. 1) : No visible GPU is found for XGBoost.",
            "this process sees no GPU",
        ),
        ("lightgbm.basic.LightGBMError: No OpenCL device found", "this process sees no GPU"),
        ("ValueError: ProcessGroupNCCL is only supported with GPUs, no GPUs found!", "this process sees no GPU"),
        ("RuntimeError: nccl2 requires at least one CUDA device", "this process sees no GPU"),
        (
            "numba.cuda.cudadrv.error.CudaSupportError: Error at driver init: \n\nCUDA driver library cannot be found.\nIf you are sure that a CUDA driver is installed,",
            "this process sees no GPU",
        ),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_MAPPING_ERROR", "cuDNN could not start"),
        (
            "RuntimeError: \n        CUDA Setup failed despite GPU being available. Please run the following command to get more information:\n\n        python -m bitsandbytes",
            "bitsandbytes found no library",
        ),
        ("AssertionError: Torch not compiled with CUDA enabled", "the installed build of the package has no CUDA"),
        (
            "lightgbm.basic.LightGBMError: CUDA Tree Learner was not enabled in this build.\nPlease recompile with CMake option -DUSE_CUDA=1",
            "the installed build of the package has no CUDA",
        ),
        (
            "lightning.fabric.utilities.exceptions.MisconfigurationException: No supported gpu backend found!",
            "this process sees no GPU",
        ),
        (
            "lightning_fabric.utilities.exceptions.MisconfigurationException: `CUDAAccelerator` can not run on your system since the accelerator is not available.",
            "this process sees no GPU",
        ),
        ("ValueError: fp16 mixed precision requires a GPU (not 'cpu').", "this process sees no GPU"),
        (
            "ValueError: Your setup doesn't support bf16/gpu. You need torch>=1.10, using Ampere GPU with cuda>=11.0",
            "bf16 needs a visible GPU of the Ampere generation",
        ),
        (
            "RuntimeError: Unknown backend: 'gpu' requested, but no platforms that are instances of gpu are present. Platforms present are: cpu",
            "this process sees no GPU",
        ),
        (
            "RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a CPU-only machine, please use torch.load with map_location",
            "map_location='cpu'",
        ),
        (
            "RuntimeError: Attempting to deserialize object on CUDA device 3 but torch.cuda.device_count() is 1.",
            "map_location",
        ),
        (
            "RuntimeError: Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' start method",
            "spawn",
        ),
        (
            "RuntimeError: CUDA error: no kernel image is available for execution on the device",
            "no kernels for this GPU's architecture",
        ),
        (
            "RuntimeError: FlashAttention only supports Ampere GPUs or newer.",
            "this GPU is older than the package supports",
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            "cuBLAS could not start",
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k)`",
            "cuBLAS failed",
        ),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_NOT_INITIALIZED", "cuDNN could not start"),
        ("RuntimeError: Unable to find a valid cuDNN algorithm to run convolution", "cuDNN could not start"),
        (
            "jaxlib.xla_extension.XlaRuntimeError: FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above for more details.",
            "cuDNN could not start",
        ),
        (
            "tensorflow.python.framework.errors_impl.UnknownError: Failed to get convolution algorithm. This is probably because cuDNN failed to initialize, so try looking",
            "cuDNN could not start",
        ),
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "CUDA_LAUNCH_BLOCKING=1"),
        ("RuntimeError: CUDA error: unspecified launch failure", "CUDA_LAUNCH_BLOCKING=1"),
        (
            "RuntimeError: NeuronDevice::process_nrtd_response: NRTD response code 'NERR_RESOURCE_NC' (9) There were insufficent NCs for the requested operation",
            "more Neuron cores were asked for",
        ),
    ]);
    assert_no_hint(&[
        "ValueError: device must be 'cpu' or 'cuda', not 'tpu'",
        "RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
        "ValueError: ordinal encoding: invalid ordinal 7",
        "AssertionError: the GPU sampler is busy",
        "RuntimeError: convolution kernel image is too small",
        "ValueError: the OpenCL device list of the config is empty",
        "RuntimeError: setup failed despite 3 attempts",
    ]);
}

#[test]
fn a_toolkit_that_xla_misses_is_named_from_its_log() {
    let failed = raising(
        "tensorflow.python.framework.errors_impl.UnknownError: {{function_node __wrapped__Pow}} JIT compilation failed. [Op:Pow]",
    );
    let logged = "2024-01-02 03:04:05.6: W external/xla/gpu_backend_lib.cc:542] Can't find libdevice directory ${CUDA_DIR}/nvvm/libdevice.\n";
    assert!(of(Ending::Exited(1), &(logged.to_owned() + &failed))[0].contains("--xla_gpu_cuda_data_dir"));
    assert_eq!(of(Ending::Exited(1), &failed), [""; 0]);
    assert_eq!(of(Ending::Exited(1), &(logged.to_owned() + &raising("KeyError: 'label'"))), [""; 0]);
}

#[test]
fn a_driver_that_does_not_fit_is_no_task_for_the_user() {
    assert_hints(&[
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading and installing a new version",
            "older than the CUDA of this torch (it supports CUDA 11.4)",
        ),
        ("RuntimeError: CUDA error: CUDA driver version is insufficient for CUDA runtime version", "or there is none"),
        (
            "_catboost.CatBoostError: catboost/cuda/cuda_lib/cuda_base.h:265: CUDA error 35: CUDA driver version is insufficient for CUDA runtime version",
            "or there is none",
        ),
        (
            "RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
            "newer than the instance's driver",
        ),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 804: forward compatibility was attempted on non supported HW",
            "compatibility library",
        ),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver / cuda driver combination",
            "compatibility library",
        ),
    ]);
    assert_no_hint(&[
        "RuntimeError: the driver program is too old (found version 3)",
        "webdriver.WebDriverException: driver version 12 is insufficient",
    ]);
}

#[test]
fn a_fault_of_the_hardware_calls_for_another_instance() {
    assert_hints(&[
        (
            "RuntimeError: CUDA error: uncorrectable ECC error encountered",
            "uncorrectable ECC error, a hardware fault; run the job again on another instance",
        ),
        ("RuntimeError: CUDA error: uncorrectable NVLink error detected during the execution", "NVLink"),
        (
            "torch.distributed.DistBackendError: NCCL error in: x.cpp:1, unhandled cuda error, NCCL version 2.20.5\nncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 'uncorrectable ECC error encountered'",
            "ECC",
        ),
        ("RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized", "NVSwitch"),
        ("pynvml.NVMLError_GpuIsLost: GPU is lost", "lost to the driver"),
    ]);
    let record = |xid: u32| format!("[ 1.2] NVRM: Xid (PCI:0000:10:1c): {xid}, pid='<unknown>', name=<unknown>\n");
    let fails = raising("RuntimeError: CUDA error: unknown error");
    for xid in [48, 79, 94] {
        let hints = of(Ending::Exited(1), &(record(xid) + &fails));
        assert!(hints[0].contains(&format!("Xid {xid}, a hardware fault")), "{hints:#?}");
    }
    // Programs cause some of these records, and an unrelated error has another reason.
    for stderr in [record(13) + &fails, record(31) + &fails, record(48) + &raising("ValueError: fold 3 is empty")] {
        assert_eq!(of(Ending::Exited(1), &stderr), [""; 0], "{stderr}");
    }
    assert_no_hint(&["ValueError: the ECC code has an uncorrectable error pattern"]);
}

#[test]
fn one_cause_of_an_error_of_cuda_has_one_hint() {
    // torch adds this advice to every error of CUDA.
    let advice = "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.";
    for (error, words) in [
        ("CUDA error: uncorrectable ECC error encountered", "a hardware fault"),
        (
            "CUDA error: no kernel image is available for execution on the device",
            "no kernels for this GPU's architecture",
        ),
        ("CUDA error: device-side assert triggered", "a kernel's assertion failed"),
    ] {
        let hints = raised(&format!("torch.AcceleratorError: {error}\n{advice}"));
        assert!(hints.len() == 1 && hints[0].contains(words), "{error}: {hints:#?}");
    }
    let xid = "NVRM: Xid (PCI:0000:10:1c): 79, pid=42, GPU has fallen off the bus.\n";
    let failed = raising("RuntimeError: CUDA error: unspecified launch failure");
    assert_eq!(of(Ending::Exited(1), &(xid.to_owned() + &failed)).len(), 1);
    let rmm = "MemoryError: std::bad_alloc: out_of_memory: CUDA error at: /opt/include/rmm/cuda_memory_resource.hpp:70: cudaErrorMemoryAllocation out of memory";
    assert!(raised(rmm).len() == 1 && raised(rmm)[0].starts_with("the GPU's memory is full"));
}

#[test]
fn a_gpu_that_jaxs_build_cannot_use_is_not_said_to_be_absent() {
    let raised =
        "RuntimeError: Unknown backend: 'gpu' requested, but no platforms that are instances of gpu are present.";
    let log = "WARNING:jax._src.xla_bridge:An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed. Falling back to cpu.\n";
    let hints = of(Ending::Exited(1), &format!("{log}{}", raising(raised)));
    assert!(hints[0].starts_with("the installed build of the package has no CUDA"), "{hints:#?}");
    assert_hints(&[(raised, "this process sees no GPU")]);
}

#[test]
fn libraries_of_cuda_that_do_not_fit_have_a_remedy() {
    assert_hints(&[
        ("RuntimeError: CUDA error: invalid device function", "no kernels for this GPU's architecture"),
        (
            "RuntimeError: Unable to load CUDA. Found CUDA runtime version 12010, but JAX was built against version 12030, which is newer.",
            "older than the one JAX was built with",
        ),
        (
            "RuntimeError: Found cuDNN version 8907, but JAX was built against version 90100, which is newer.",
            "older than the one JAX was built with",
        ),
        ("RuntimeError: Unable to load cuDNN. Is it installed?", "does not find one of CUDA's libraries"),
        ("RuntimeError: CUDA initialization failure with error: 35", "the NVIDIA driver is older"),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that might have already set an error? Error 101: invalid device ordinal",
            "CUDA_VISIBLE_DEVICES names a GPU",
        ),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 304: OS call failed or operation not supported on this OS",
            "/dev/nvidia*",
        ),
        (
            "RuntimeError: Internal Triton PTX codegen error: ptxas fatal   : Value 'sm_103a' is not defined for option 'gpu-name'",
            "(ptxas) is older than this GPU",
        ),
        (
            "torch._dynamo.exc.BackendCompilerFailed: backend='inductor' raised:\nRuntimeError: Found Tesla M60 which is too old to be supported by the triton GPU compiler, which is used as the backend.",
            "this GPU is older",
        ),
        (
            "tensorflow.python.framework.errors_impl.InternalError: {{function_node x}} Attempting to perform BLAS operation using StreamExecutor without BLAS support [Op:MatMul]",
            "cuBLAS could not start",
        ),
        (
            "tensorflow.python.framework.errors_impl.InternalError: Blas xGEMM launch failed : a.shape=[1,8,8], b.shape=[1,8,8]",
            "cuBLAS could not start",
        ),
        ("Exception: cublasLt ran into an error!", "bitsandbytes' product in 8 bits failed"),
        (
            "torch._C._LinAlgError: cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDnCreate(handle)`",
            "cuSOLVER could not start",
        ),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", "of different versions"),
        (
            "RuntimeError: Unable to load any of {libcudnn_graph.so.9.5.1, libcudnn_graph.so.9.5, libcudnn_graph.so.9, libcudnn_graph.so}",
            "parts of cuDNN are not on the loader's path",
        ),
    ]);
    assert_no_hint(&[
        "RuntimeError: invalid device function of pump 3",
        "RuntimeError: Found rows version 3, but the table was built against version 4",
        "ValueError: the launch of the Blas rocket failed",
        "RuntimeError: Tesla is a car which is too old",
        "RuntimeError: initialization failure with error: 35",
    ]);
}

#[test]
fn a_gpu_that_a_library_does_not_see_is_said_to_be_absent() {
    assert_hints(&[
        (
            "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`",
            "this process sees no GPU",
        ),
        (
            "lightning.fabric.utilities.exceptions.MisconfigurationException: You requested gpu: [0, 1]\n But your machine only has: []",
            "this process sees no GPU",
        ),
        (
            "lightning.fabric.utilities.exceptions.MisconfigurationException: You requested gpu: [0, 1]\n But your machine only has: [0]",
            "a GPU number that this host does not have",
        ),
        (
            "ValueError: Invalid CUDA 'device=1' requested. Use 'device=cpu' or pass valid CUDA device(s) if available\n\ntorch.cuda.is_available(): False\ntorch.cuda.device_count(): 0",
            "this process sees no GPU",
        ),
        (
            "ValueError: Invalid CUDA 'device=1' requested. Use 'device=cpu' or pass valid CUDA device(s) if available\n\ntorch.cuda.is_available(): True\ntorch.cuda.device_count(): 1",
            "a GPU number that this host does not have",
        ),
        ("NotImplementedError: Unsloth cannot find any torch accelerator? You need a GPU.", "this process sees no GPU"),
    ]);
    assert_no_hint(&[
        "RuntimeError: Failed to infer the type of column 3",
        "ValueError: You requested gpu: but the shop only has: [tpu]",
        "ValueError: Invalid 'device=kiosk' requested",
    ]);
}
