//! Hints about shared libraries, compilers and build tools.

use super::{assert_hints, assert_no_hint, of};
use crate::event::Ending;

#[test]
fn a_missing_library_is_named_with_the_package_that_has_it() {
    let missing =
        |name: &str| format!("ImportError: {name}: cannot open shared object file: No such file or directory");
    let texts: Vec<(String, &str)> = [
        ("libGL.so.1", "opencv-python-headless"),
        ("libgthread-2.0.so.0", "opencv-python-headless"),
        ("libcudart.so.11.0", "a CUDA version that the image does not have"),
        ("libcudnn_ops_infer.so.8", "a CUDA version that the image does not have"),
        ("libcuda.so.1", "belongs to the NVIDIA driver"),
        ("libpython3.8.so.1.0", "another Python"),
        ("libgomp.so.1", "libgomp1"),
        ("libfabric.so.1", "EFA"),
        ("libacme.so.3", "LD_LIBRARY_PATH"),
    ]
    .map(|(name, words)| (missing(name), words))
    .to_vec();
    assert_hints(&texts.iter().map(|(text, words)| (text.as_str(), *words)).collect::<Vec<_>>());
    // The loader ends with the exit code that a shell uses for a program that was not found.
    let loader = "./m: error while loading shared libraries: libfoo.so: cannot open shared object file: No such file or directory\n";
    assert_eq!(
        of(Ending::Exited(127), loader),
        [
            "the library libfoo.so is not in the image or not on the loader's path; install the package that has this library in the image, or add its folder to LD_LIBRARY_PATH"
        ]
    );
    let tls = "ImportError: /opt/conda/lib/python3.8/site-packages/torch/lib/../../../../libgomp.so.1: cannot allocate memory in static TLS block";
    assert_hints(&[(tls, "loaded too late")]);
    assert_no_hint(&[
        "OSError: cannot open shared folder /mnt/x",
        "FileNotFoundError: [Errno 2] No such file or directory: '/opt/lib/weights.so.json'",
    ]);
}

#[test]
fn a_library_of_another_version_is_named_as_such() {
    assert_hints(&[
        (
            "ImportError: /opt/conda/lib/python3.10/site-packages/flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so: undefined symbol: _ZN3c104cuda9SetDeviceEi",
            "built for another version of torch",
        ),
        (
            "OSError: /opt/x/torchvision/_C.so: undefined symbol: _ZNK3c107SymBool10guard_boolEPKcl",
            "built for another version of torch",
        ),
        (
            "ImportError: /opt/x/torch/lib/../../nvidia/cusparse/lib/libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12",
            "a CUDA library of another version",
        ),
        (
            "ImportError: /opt/x/foo.cpython-311-x86_64-linux-gnu.so: undefined symbol: _PyGen_Send",
            "another version of Python",
        ),
        ("OSError: ./libx.so: undefined symbol: undefd", "install versions that belong together"),
        (
            "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.32' not found (required by /opt/x/libarrow.so.1200)",
            "is older than 2.32",
        ),
        (
            "ImportError: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /opt/x/y.so)",
            "libstdc++",
        ),
        ("ImportError: numpy.core.multiarray failed to import", "numpy<2"),
        (
            "RuntimeError: module compiled against ABI version 0x1000009 but this version of numpy is 0x2000000",
            "numpy<2",
        ),
    ]);
    assert_hints(&[
        (
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject",
            "built for a newer NumPy",
        ),
        (
            "ValueError: numpy.ndarray size changed, may indicate binary incompatibility. Expected 80 from C header, got 96 from PyObject",
            "built for an older NumPy",
        ),
        (
            "TypeError: Descriptors cannot be created directly.\nIf this call came from a _pb2.py file, your generated code is out of date",
            "protobuf<=3.20.3",
        ),
    ]);
    assert_no_hint(&[
        "ValueError: undefined symbols in the expression: x, y",
        "SyntaxError: symbol ( not found",
        "ValueError: the version 2.32 of the schema was not found",
    ]);
}

#[test]
fn a_missing_compiler_or_toolkit_is_named() {
    assert_hints(&[
        (
            "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')",
            "no C or C++ compiler",
        ),
        (
            "RuntimeError: Failed to find C compiler. Please specify via CC environment variable or set triton.knobs.build.impl.",
            "no C or C++ compiler",
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'g++'", "no C or C++ compiler"),
        ("RuntimeError: Ninja is required to load C++ extensions (pip install ninja to get it)", "add ninja"),
        (
            "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.",
            "no CUDA toolkit (nvcc)",
        ),
        (
            "deepspeed.ops.op_builder.builder.MissingCUDAException: CUDA_HOME does not exist, unable to compile CUDA op(s)",
            "no CUDA toolkit (nvcc)",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'",
            "no CUDA toolkit (nvcc)",
        ),
        (
            "RuntimeError: The detected CUDA version (12.1) mismatches the version that was used to compile PyTorch (11.8).",
            "another version than torch's",
        ),
    ]);
    assert!(
        of(Ending::Exited(127), "./build.sh: line 3: gcc: command not found\n")[0].contains("no C or C++ compiler")
    );
    assert_no_hint(&[
        "RuntimeError: the compiler pass found no node",
        "ValueError: failed to find C in the alphabet",
        "FileNotFoundError: [Errno 2] No such file or directory: 'train.csv'",
    ]);
}

#[test]
fn a_compiler_that_another_program_misses_is_named() {
    let compiler = "no C or C++ compiler";
    assert_hints(&[
        ("RuntimeError: make: cc: No such file or directory", compiler),
        ("RuntimeError: make[2]: g++: No such file or directory", compiler),
        ("RuntimeError: error: linker `cc` not found", compiler),
        ("RuntimeError: g++: fatal error: cannot execute ‘cc1plus’: execvp: No such file or directory", compiler),
        (
            "RuntimeError: cgo: C compiler \"gcc\" not found: exec: \"gcc\": executable file not found in $PATH",
            compiler,
        ),
        ("RuntimeError: CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage", compiler),
    ]);
    let make = "CMake Error: CMake was unable to find a build program corresponding to \"Unix Makefiles\".  CMAKE_MAKE_PROGRAM is not set.\nCMake Error: CMAKE_C_COMPILER not set, after EnableLanguage\n";
    let hints = of(Ending::Exited(1), make);
    assert!(hints[0].contains("no build program (make or ninja)"), "{hints:#?}");
    assert_no_hint(&[
        "RuntimeError: gcc: error: fit.c: No such file or directory",
        "RuntimeError: the linker of rows `cc` was not found in the plan",
        "RuntimeError: exec: \"fit\": executable file not found in $PATH",
    ]);
}

#[test]
fn versions_of_torch_and_of_c_that_do_not_fit_are_named() {
    assert_hints(&[
        ("RuntimeError: operator torchvision::roi_align does not exist", "built for another version or CUDA"),
        (
            "RuntimeError: Couldn't load custom C++ ops. This can happen if your PyTorch and torchvision versions are incompatible",
            "built for another version or CUDA",
        ),
        (
            "RuntimeError: Detected that PyTorch and torchvision were compiled with different CUDA major versions. PyTorch has CUDA Version=12.1",
            "built for another version or CUDA",
        ),
        (
            "OSError: Error loading shared library ld-linux-aarch64.so.1: No such file or directory (needed by /opt/x/tool)",
            "(musl, as in Alpine)",
        ),
        (
            "ImportError: Error loading shared library libgomp.so.1: No such file or directory (needed by /opt/x/y.so)",
            "the library libgomp.so.1 is not in the image",
        ),
    ]);
    assert_no_hint(&[
        "RuntimeError: operator rows::nms does not exist",
        "RuntimeError: Error loading shared folder ld-linux: No such file or directory",
    ]);
}
