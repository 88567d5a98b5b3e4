//! Hints about shared libraries that are missing, have another version, or were built against another library.

use super::HintFacts;

/// The beginnings of the file names of libraries, and the remedies.
const REMEDIES: &[(&[&str], &str)] = &[
    (
        &["libGL.so", "libgthread-", "libSM.so", "libXext", "libXrender", "libxcb", "libglib-2.0", "libEGL.so"],
        "use opencv-python-headless in place of opencv-python, or install the library in the image (apt-get install libgl1 libglib2.0-0 libsm6 libxext6)",
    ),
    (
        &["libcuda.so", "libnvidia-ml.so"],
        "it belongs to the NVIDIA driver, which only an instance with a GPU has (docker run --gpus all); do not import the package without one",
    ),
    (
        &[
            "libcudart",
            "libcublas",
            "libcudnn",
            "libcufft",
            "libcurand",
            "libcusolver",
            "libcusparse",
            "libnvrtc",
            "libnvinfer",
            "libnccl",
            "libnvToolsExt",
            "libcupti",
            "libnvJitLink",
            "libnvjpeg",
            "libcufile",
        ],
        "the package was built for a CUDA version that the image does not have; install its build for the image's CUDA, or use an image with that CUDA",
    ),
    (
        &["libtorch", "libc10"],
        "the package was built for another torch, or torch was not imported before it; install its build for the installed torch",
    ),
    (
        &["libpython"],
        "the program was built for another Python; use that Python, or install its shared library (libpython3.x) in the image",
    ),
    (&["libgomp.so"], "install it in the image (apt-get install libgomp1)"),
    (&["libsndfile"], "install it in the image (apt-get install libsndfile1)"),
    (&["libmpi", "libopen-rte", "libopen-pal"], "use an image with Open MPI, with its lib folder on LD_LIBRARY_PATH"),
    (
        &["libfabric", "libefa", "libibverbs", "libnccl-net", "librdmacm"],
        "install EFA's software in the image (the EFA installer, or apt-get install libibverbs1)",
    ),
    (&["libopenblas", "liblapack", "libblas"], "install it in the image (apt-get install libopenblas0)"),
    (
        &["libavcodec", "libavformat", "libavutil", "libavdevice", "libswscale"],
        "install ffmpeg in the image, in the version that the package was built for",
    ),
];

/// Returns the hint for a shared library that the loader did not find.
pub(super) fn missing(facts: &HintFacts<'_>) -> Option<String> {
    const SAID: &str = ": cannot open shared object file";
    if facts.claims(&["cannot allocate memory in static TLS block"]).is_some() {
        return Some(
            "a library was loaded too late for its thread-local data; import its package first in the script, or set LD_PRELOAD to that library"
                .to_owned(),
        );
    }
    if facts.claims(&[": invalid ELF header", ".so*: file too short"]).is_some() {
        return Some(
            "the file is not a library of Linux: it is incomplete, a Git LFS pointer, or was built on another system; build it in the image, or \
             bring it again"
                .to_owned(),
        );
    }
    // musl's loader.
    const SAID_BY_MUSL: &str = "Error loading shared library ";
    if facts.claims(&["Error loading shared library ld-linux"]).is_some() {
        return Some(
            "the program or package was built for glibc, and the image has another C library (musl, as in Alpine); use an image based on Debian \
             or Ubuntu, or builds for musl"
                .to_owned(),
        );
    }
    if let Some(library) = facts.between(SAID_BY_MUSL, ": No such file or directory") {
        return Some(absent(library));
    }
    // xgboost, lightgbm and torchaudio quote the loader's message within their own.
    facts.claims(&[SAID])?;
    let library =
        facts.claimed().split_once(SAID)?.0.rsplit([' ', '\'', '"', '(']).next().filter(|name| name.contains(".so"))?;
    Some(absent(library))
}

/// Returns the hint for a library that the loader did not find.
fn absent(library: &str) -> String {
    let name = library.rsplit('/').next().unwrap_or(library);
    let known = REMEDIES.iter().find(|(beginnings, _)| beginnings.iter().any(|beginning| name.starts_with(beginning)));
    let remedy = known.map_or(
        "install the package that has this library in the image, or add its folder to LD_LIBRARY_PATH",
        |(_, remedy)| *remedy,
    );
    format!("the library {name} is not in the image or not on the loader's path; {remedy}")
}

/// Returns the hint for a missing symbol that another version of a library would have.
pub(super) fn undefined_symbol(facts: &HintFacts<'_>) -> Option<String> {
    let wordings = [".so*undefined symbol: ", "symbol lookup error: ", "Error relocating *: symbol not found"];
    facts.claims(&wordings)?;
    let symbol = facts
        .between("undefined symbol: ", " ")
        .or_else(|| facts.between("undefined symbol: ", ""))
        .unwrap_or_default();
    let claimed = facts.claimed();
    let is_of_torch = ["_ZN2at", "_ZNK2at", "_ZN3c10", "_ZNK3c10", "_ZN5torch", "_ZNK5torch"]
        .iter()
        .any(|part| symbol.contains(part))
        || claimed.contains("flash_attn")
        || claimed.contains("torchvision")
        || claimed.contains("torchaudio");
    let is_of_cuda =
        ["nvJitLink", "cublas", "cusparse", "cudnn", "nccl", "cuda"].iter().any(|part| symbol.contains(part));
    Some(if is_of_torch {
        "the extension was built for another version of torch (undefined symbol); install its build for the installed torch, CUDA and Python, or \
         rebuild it (--no-build-isolation --no-cache-dir)"
            .to_owned()
    } else if is_of_cuda {
        "a CUDA library of another version is loaded (undefined symbol); remove the image's CUDA folders from LD_LIBRARY_PATH, or install \
         builds for one CUDA version"
            .to_owned()
    } else if symbol.starts_with("Py") || symbol.starts_with("_Py") {
        "the extension was built for another version of Python (undefined symbol); install its build for this Python, or rebuild it".to_owned()
    } else {
        "a library was built against another version of a library that it uses (undefined symbol); install versions that belong together, or \
         rebuild the package in this image"
            .to_owned()
    })
}

/// Returns the hint for a C or C++ library of the image that is older than a package needs.
pub(super) fn glibc(facts: &HintFacts<'_>) -> Option<String> {
    if facts.claims(&["version `GLIBC_* not found", "version 'GLIBC_* not found"]).is_some() {
        let version = facts.between("version `GLIBC_", "'").or_else(|| facts.between("version 'GLIBC_", "'"));
        let version = version.unwrap_or("…");
        return Some(format!(
            "the image's C library (glibc) is older than {version}, which the package or program was built for; use a newer base image, or an \
             older build of it"
        ));
    }
    facts.claims(&["version `GLIBCXX_* not found", "version `CXXABI_* not found", "version `GOMP_* not found"])?;
    Some(
        "the C++ library (libstdc++) that is loaded is older than the package needs; install a newer one (conda install libstdcxx-ng) and put its \
         folder first on LD_LIBRARY_PATH, or use a newer base image"
            .to_owned(),
    )
}

/// Returns the hint for a package that was built against another version of NumPy.
pub(super) fn numpy(facts: &HintFacts<'_>) -> Option<String> {
    if facts.claims(&["size changed, may indicate binary incompatibility"]).is_some() {
        let number = |start, end| facts.between(start, end).and_then(|digits| digits.parse::<u64>().ok());
        let expected = number("Expected ", " from C header");
        let found = number("got ", " from PyObject");
        let is_older = matches!((expected, found), (Some(expected), Some(found)) if expected > found);
        return Some(if is_older {
            "a package was built for a newer NumPy than the installed one (binary incompatibility); upgrade numpy in requirements.txt, or install an \
             older build of the package"
                .to_owned()
        } else {
            "a package was built for an older NumPy than the installed one (binary incompatibility); set numpy<2 in requirements.txt, or upgrade the \
             package"
                .to_owned()
        });
    }
    let wordings = [
        "numpy.core.multiarray failed to import",
        "numpy._core.multiarray failed to import",
        "numpy.core.umath failed to import",
        "compiled using NumPy 1.x cannot be run in NumPy 2",
        "_ARRAY_API not found",
        "but this version of numpy is 0x",
        "RuntimeError: Numpy is not available",
        "binary incompatible with this version of numpy",
    ];
    facts.claims(&wordings)?;
    Some(
        "a package was built for another NumPy than the installed one (often 1.x against 2.x); set numpy<2 in requirements.txt, or upgrade the package"
            .to_owned(),
    )
}
