//! Hints about compilers, headers and build tools that are missing in the image.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for a compiler or build tool that was not found.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    // CMake then knows no compiler either.
    let is_without_make = facts.claims(&[" not set, after EnableLanguage"]).is_some()
        && facts.mentions(&["unable to find a build program corresponding to"]).is_some();
    if is_without_make {
        return Some(NO_MAKE.to_owned());
    }
    facts.advice(ROWS).or_else(|| header(facts))
}

/// Returns the hint for a header that the compiler did not find.
fn header(facts: &HintFacts<'_>) -> Option<String> {
    let name = facts.between("fatal error: ", ": No such file or directory")?;
    let is_header = [".h", ".hpp", ".hh", ".cuh"].iter().any(|end| name.ends_with(end)) && !name.contains(' ');
    is_header.then(|| {
        format!(
            "the compiler did not find {name}; install the package that has it in the image (with apt-get mostly one that ends in -dev), or \
             use a prebuilt wheel"
        )
    })
}

const NO_MAKE: &str = "the image has no build program (make or ninja); install one (apt-get install build-essential, or ninja-build), or use prebuilt wheels";

const ROWS: &[HintRow] = &[
    HintRow { wordings: &["CMake was unable to find a build program corresponding to"], hint: NO_MAKE },
    HintRow {
        wordings: &["ptxas fatal*is not defined for option 'gpu-name'"],
        hint: "the assembler of the installed CUDA (ptxas) is older than this GPU; use a newer triton or torch, or an image with a newer CUDA \
               (TRITON_PTXAS_PATH)",
    },
    HintRow {
        wordings: &[
            "CUDA_HOME does not exist",
            "CUDA_HOME environment variable is not set",
            "CUDA was not found on the system, please set the CUDA_HOME",
            "nvcc was not found",
            "nvcc not found",
            " nvcc: not found",
            "nvcc: command not found",
            "No such file or directory: '*/bin/nvcc'",
            "No such file or directory: 'nvcc'",
            "cuda_runtime.h: No such file",
            "cuda.h: No such file",
            "cusparse.h: No such file",
            "cublas_v2.h: No such file",
            "No CUDA toolset found",
            "Failed to find CUDA toolkit",
            "Unable to find ptxas",
            "Couldn't invoke ptxas",
            "annot find ptxas",
        ],
        hint: "the image has no CUDA toolkit (nvcc), which this compiles with; use a devel image (such as nvidia/cuda:…-devel), set CUDA_HOME, or install a \
               prebuilt wheel",
    },
    HintRow {
        wordings: &["The detected CUDA version (* mismatches the version that was used to compile PyTorch"],
        hint: "the image's CUDA toolkit is of another version than torch's; use an image with torch's CUDA version, or set CUDA_HOME to that version",
    },
    HintRow {
        wordings: &[
            "Unsupported gpu architecture 'compute_30'",
            "Unsupported gpu architecture 'compute_35'",
            "Unsupported gpu architecture 'compute_37'",
            "Unsupported gpu architecture 'compute_50'",
            "Unsupported gpu architecture 'compute_52'",
            "Unsupported gpu architecture 'compute_53'",
            "Unsupported gpu architecture 'compute_60'",
            "Unsupported gpu architecture 'compute_61'",
            "Unsupported gpu architecture 'compute_62'",
            "Unsupported gpu architecture 'compute_70'",
            "Unsupported gpu architecture 'compute_72'",
        ],
        hint: "the image's CUDA toolkit (nvcc) no longer knows an architecture this old; name only the job's GPU in \
               TORCH_CUDA_ARCH_LIST (such as 9.0) or in the build's -gencode, or use an image with an older CUDA",
    },
    HintRow {
        wordings: &["nvcc fatal*Unsupported gpu architecture '"],
        hint: "the image's CUDA toolkit (nvcc) is older than this GPU's architecture; use an image with a newer CUDA, or name in TORCH_CUDA_ARCH_LIST one that \
               it knows (such as 9.0+PTX)",
    },
    HintRow {
        wordings: &[
            "No module named 'torch'*ninja",
            "No module named 'torch' (building",
            "ModuleNotFoundError: No module named 'torch' hint: This error likely indicates",
            "depends on `torch`, but doesn't declare it",
        ],
        hint: "the package imports torch while it is built; install torch first and build with --no-build-isolation, or use a prebuilt wheel",
    },
    HintRow {
        wordings: &[
            "Ninja is required to load C++ extensions",
            "No such file or directory: 'ninja'",
            "ninja: command not found",
            "ninja: not found",
        ],
        hint: "add ninja to requirements.txt beside the script, or install it in the image (ninja-build)",
    },
    HintRow {
        wordings: &["Python.h: No such file"],
        hint: "Python's headers are not in the image; install them (apt-get install python3-dev), or a prebuilt wheel",
    },
    HintRow {
        wordings: &["cannot find -lcuda", "cannot find -lcudart", "cannot find -lcublas"],
        hint: "the linker does not find CUDA's libraries; use a devel image, or add their folder (lib64, or lib64/stubs for libcuda) to LIBRARY_PATH",
    },
    HintRow {
        wordings: &[
            "CMake must be installed",
            "cmake: not found",
            "cmake: command not found",
            "No such file or directory: 'cmake'",
            "CMake is not available",
            "Problem with the CMake installation",
        ],
        hint: "cmake is not in the image; install it (apt-get install cmake, or cmake in requirements.txt), or a prebuilt wheel",
    },
    HintRow {
        wordings: &[
            "can't find Rust compiler",
            "Cargo, the Rust package manager, is not installed",
            "cargo: not found",
            "No such file or directory: 'cargo'",
        ],
        hint: "the package is built with Rust, which the image does not have; install a version with a prebuilt wheel (newer pip, supported Python), or Rust",
    },
    HintRow {
        wordings: &["pg_config executable not found"],
        hint: "psycopg2 is being built, and PostgreSQL's headers are not in the image; use psycopg2-binary, or install libpq-dev",
    },
    HintRow {
        wordings: &["mysql_config not found", "Can not find valid pkg-config name"],
        hint: "mysqlclient is being built, and MySQL's headers are not in the image; install default-libmysqlclient-dev and pkg-config, or use PyMySQL",
    },
    HintRow {
        wordings: &[
            "Cannot find command 'git'",
            "Git executable not found",
            "No such file or directory: 'git'",
            " git: not found",
            " git: command not found",
            "Bad git executable",
        ],
        hint: "git is not in the image; install it (apt-get install git), or give the requirement as a wheel or archive",
    },
    HintRow {
        wordings: &[
            "Failed to find C compiler",
            "No working C++ compiler found",
            "InvalidCxxCompiler",
            "Compiler: * is not found",
            "command 'gcc' failed: No such file",
            "command 'cc' failed: No such file",
            "command 'g++' failed: No such file",
            "command 'c++' failed: No such file",
            "-linux-gnu-gcc' failed: No such file",
            "-linux-gnu-g++' failed: No such file",
            "command 'clang' failed: No such file",
            "unable to execute 'gcc'",
            "unable to execute 'g++'",
            "unable to execute 'cc'",
            "-linux-gnu-gcc': No such file",
            "gcc: not found",
            "gcc: command not found",
            "g++: not found",
            "g++: command not found",
            " cc: not found",
            " cc: command not found",
            "c++: not found",
            "No such file or directory: 'gcc'",
            "No such file or directory: 'g++'",
            "No such file or directory: 'c++'",
            "No such file or directory: 'cc'",
            "No such file or directory: 'clang'",
            "No CMAKE_C_COMPILER could be found",
            "No CMAKE_CXX_COMPILER could be found",
            "no acceptable C compiler found",
            ": gcc: No such file or directory",
            ": g++: No such file or directory",
            ": cc: No such file or directory",
            ": c++: No such file or directory",
            "linker `cc` not found",
            "linker `gcc` not found",
            "linker `clang` not found",
            "cannot execute 'cc1",
            "cannot execute ‘cc1",
            "error trying to exec 'cc1",
            "exec: \"gcc\": executable file not found",
            "exec: \"g++\": executable file not found",
            "exec: \"cc\": executable file not found",
            "exec: \"clang\": executable file not found",
            "CMAKE_C_COMPILER not set, after EnableLanguage",
            "CMAKE_CXX_COMPILER not set, after EnableLanguage",
        ],
        hint: "the image has no C or C++ compiler; install one (apt-get install build-essential) or set CC and CXX; without one, use prebuilt wheels, and do \
               without torch.compile",
    },
];
