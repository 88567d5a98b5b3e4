//! Hints about Python modules that cannot be imported.

use std::sync::LazyLock;

use regex::Regex;

use super::HintFacts;
use super::facts::HintRow;
use super::removed;
use crate::failure::pattern::pattern;

/// Modules whose package has another name than the module.
const INSTALLED_AS: &[(&str, &str)] = &[
    ("cv2", "opencv-python-headless"),
    ("PIL", "Pillow"),
    ("sklearn", "scikit-learn"),
    ("skimage", "scikit-image"),
    ("yaml", "PyYAML"),
    ("bs4", "beautifulsoup4"),
    ("dotenv", "python-dotenv"),
    ("dateutil", "python-dateutil"),
    ("Crypto", "pycryptodome"),
    ("git", "GitPython"),
    ("jwt", "PyJWT"),
    ("OpenSSL", "pyOpenSSL"),
    ("magic", "python-magic"),
    ("fitz", "PyMuPDF"),
    ("docx", "python-docx"),
    ("pptx", "python-pptx"),
    ("MySQLdb", "mysqlclient"),
    ("psycopg2", "psycopg2-binary"),
    ("psycopg", "psycopg[binary]"),
    ("faiss", "faiss-cpu"),
    ("hydra", "hydra-core"),
    ("imblearn", "imbalanced-learn"),
    ("umap", "umap-learn"),
    ("igraph", "python-igraph"),
    ("absl", "absl-py"),
    ("attr", "attrs"),
    ("zmq", "pyzmq"),
    ("osgeo", "GDAL"),
    ("Bio", "biopython"),
    ("Levenshtein", "python-Levenshtein"),
    ("ruamel", "ruamel.yaml"),
    ("pkg_resources", "setuptools<82"),
    ("distutils", "setuptools"),
    ("tree", "dm-tree"),
    ("pythonjsonlogger", "python-json-logger"),
    ("sentence_transformers", "sentence-transformers"),
    ("pytorch_lightning", "pytorch-lightning"),
    ("flash_attn", "flash-attn"),
    ("transformer_engine", "transformer-engine[pytorch]"),
    ("torch_geometric", "torch-geometric"),
    ("mpl_toolkits", "matplotlib"),
    ("slugify", "python-slugify"),
    ("kafka", "kafka-python"),
    ("usb", "pyusb"),
    ("serial", "pyserial"),
    ("win32api", "pywin32"),
    ("segmentation_models_pytorch", "segmentation-models-pytorch"),
    ("efficientnet_pytorch", "efficientnet-pytorch"),
    ("smdebug_rulesconfig", "smdebug-rulesconfig"),
];

/// Modules whose name in the package index belongs to an unrelated package.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "apex",
        "NVIDIA's apex is built from its repository (github.com/NVIDIA/apex); the package apex of PyPI is another",
    ),
    ("amp_C", "apex must be built with its CUDA extensions (github.com/NVIDIA/apex)"),
    (
        "clip",
        "OpenAI's CLIP is installed from its repository (git+https://github.com/openai/CLIP); the package clip of PyPI is another",
    ),
    ("detectron2", "detectron2 is installed from its repository (git+https://github.com/facebookresearch/detectron2)"),
    ("smdistributed", "smdistributed is only in AWS's Deep Learning Containers; use one as the base image"),
];

/// Modules of Python's own library that an interpreter lacks if it was built without the C library for them.
const OF_PYTHON: &[(&str, &str)] = &[
    ("_ctypes", "libffi"),
    ("_sqlite3", "sqlite"),
    ("_lzma", "liblzma"),
    ("_bz2", "libbz2"),
    ("_ssl", "OpenSSL"),
    ("_tkinter", "Tk"),
    ("tkinter", "Tk"),
    ("_curses", "ncurses"),
    ("readline", "readline"),
];

/// Names that projects give to their own modules. Packages with these names in an index are mostly unrelated.
const OWN: &[&str] = &[
    "utils",
    "util",
    "src",
    "config",
    "configs",
    "cfg",
    "data",
    "models",
    "model",
    "helpers",
    "helper",
    "common",
    "core",
    "lib",
    "libs",
    "modules",
    "module",
    "dataset",
    "dataloader",
    "dataloaders",
    "data_loader",
    "data_utils",
    "network",
    "networks",
    "net",
    "nets",
    "layers",
    "losses",
    "loss",
    "trainer",
    "training",
    "train",
    "train_utils",
    "engine",
    "preprocess",
    "preprocessing",
    "preprocessor",
    "scripts",
    "script",
    "tools",
    "settings",
    "constants",
    "options",
    "args",
    "arguments",
    "evaluation",
    "evaluate_model",
    "inference",
    "predict",
    "predictor",
    "features",
    "pipeline",
    "pipelines",
    "project",
    "app",
    "main",
    "code",
    "my_utils",
    "myutils",
    "mylib",
    "my_module",
    "mymodule",
    "metrics",
    "transforms",
    "processing",
    "architecture",
    "solver",
    "runner",
    "callbacks",
    "logger",
    "logging_utils",
    "model_utils",
    "tasks",
    "components",
    "steps",
    "shared",
    "base",
    "entities",
];

/// Messages of installers about a package whose build failed.
const BUILD_FAILED: &[&str] = &[
    "metadata-generation-failed",
    "subprocess-exited-with-error",
    "Getting requirements to build wheel",
    "The build backend returned an error",
    "Failed to build `",
    "Failed to build '",
    "ERROR: Failed to build ",
    "Failed building wheel for ",
];

/// Returns the hint for a Python module that was not found.
pub(super) fn missing_module(facts: &HintFacts<'_>) -> Option<String> {
    // An exception that does not concern an import only contains the words.
    let is_of_import = facts.exception().is_none() || facts.claims(&["ModuleNotFoundError", "mport"]).is_some();
    let module = missing(facts).filter(|_| is_of_import)?;
    let module = module.trim_end_matches(['.', ',', ';', ')']);
    let is_name = !module.is_empty() && module.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let top = module.split('.').next().filter(|_| is_name)?;
    if let Some(folder) = facts.between("; '", "' is not a package") {
        return Some(format!(
            "{folder} was found as a file, not as a package: a file {folder}.py of yours hides it; rename that file"
        ));
    }
    // A package is built in a separate environment, in which the module is missing even if the image has it.
    if facts.mentions(BUILD_FAILED).is_some() {
        return Some(format!(
            "a package imports {top} while it is built; install {top} first and build with --no-build-isolation, or use a prebuilt wheel"
        ));
    }
    if let Some((_, library)) = OF_PYTHON.iter().find(|(name, _)| *name == module) {
        return Some(format!(
            "this Python was built without {library}; use the Python of the distribution or of the base image, or build it with {library}'s \
             development files"
        ));
    }
    if let Some(hint) = removed::advice(module) {
        return Some(hint);
    }
    if let Some((_, advice)) = ELSEWHERE.iter().find(|(name, _)| *name == top) {
        return Some(format!("{module} is not installed; {advice}"));
    }
    if module != top {
        let (parent, name) = module.rsplit_once('.')?;
        // Python found the parent package. Otherwise the error would name the parent package.
        if module == "google.cloud" {
            return Some(
                "google.cloud is not installed; add the client library of the service that the script uses (google-cloud-storage, \
                 google-cloud-bigquery, …) to requirements.txt"
                    .to_owned(),
            );
        }
        let cloud = (parent == "google.cloud").then(|| module.replace(['.', '_'], "-"));
        return Some(match cloud {
            Some(package) => format!("{module} is not installed; add {package} to requirements.txt beside the script"),
            None if OWN.contains(&top) => format!(
                "{parent} was found, but has no module {name}; if it is yours, put {} into the source folder; else another package named {top} \
                 is installed and hides yours",
                module.replace('.', "/") + ".py"
            ),
            None => format!(
                "{parent} was found, but has no module {name}; if it is your own, add that file to the source folder; else set the version of {top} \
                 that has it in requirements.txt"
            ),
        });
    }
    if OWN.contains(&top) {
        return Some(format!(
            "{top} looks like a module of your own: put {top}.py or {top}/ beside the script (source_dir), or its folder on PYTHONPATH; only if it \
             is a package, add it to requirements.txt"
        ));
    }
    let package = INSTALLED_AS.iter().find(|(name, _)| *name == top).map_or(top, |(_, package)| package);
    Some(format!("add {package} to requirements.txt beside the script, or, if it is your own module, put it there too"))
}

/// Returns the module that was not found. This is the last module that the error names, because the first may be a
/// wrapper's.
fn missing<'f>(facts: &'f HintFacts<'_>) -> Option<&'f str> {
    let claimed = facts.claimed();
    let quoted =
        claimed.rsplit_once("No module named '").and_then(|(_, rest)| rest.split_once('\'')).map(|(name, _)| name);
    let bare = || claimed.rsplit_once(": No module named ").and_then(|(_, rest)| rest.split_whitespace().next());
    quoted.or_else(bare)
}

/// Returns the hint for a name that a module does not have.
pub(super) fn missing_name(facts: &HintFacts<'_>) -> Option<String> {
    facts.claims(&["cannot import name '", "has no attribute '"])?;
    let own = facts.evidence.code_dir.to_str().filter(|folder| !folder.is_empty());
    if facts.claims(&["most likely due to a circular import", "partially initialized module"]).is_some() {
        let module = facts.between("partially initialized module '", "'").unwrap_or("the module");
        return Some(format!(
            "{module} was imported while it was still being imported: two files import each other, or a file of yours has the name of a \
             package ({module}.py); rename it, or move the import into the function"
        ));
    }
    let name = facts.between("cannot import name '", "'")?;
    let module = facts.between("' from '", "'")?;
    let top = module.split('.').next()?;
    let after = facts.claimed().split_once("' from '")?.1;
    let path = after.split_once(" (").map_or("", |(_, path)| path);
    if path.contains("/site-packages/") || path.contains("/dist-packages/") {
        return Some(format!(
            "the installed version of {top} has no {name}; set the version that your code was written for in requirements.txt ({top}==…), or \
             change the import"
        ));
    }
    let is_own = own.is_some_and(|own| path.starts_with(own));
    is_own.then(|| {
        format!("{module} is a file of yours without {name}; define it there, or rename the file if a package named {top} was meant")
    })
}

/// Returns the hint for an error of an import whose wording states the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    if let Some(package) = facts.between("Missing optional dependency '", "'") {
        return Some(format!("add {package} to requirements.txt beside the script"));
    }
    if let Some(package) =
        facts.between("No package metadata was found for ", "").and_then(|rest| rest.split_whitespace().next())
    {
        return Some(format!("the package {package} is not installed; add it to requirements.txt beside the script"));
    }
    if let Some(requirement) = facts.between("Requirement '", "' not met. HINT: Try running `pip install") {
        return Some(format!("add {requirement} to requirements.txt beside the script"));
    }
    let name = facts.between("requires the ", " library but it was not found in your environment");
    if let Some(name) = name {
        return Some(format!("add the package of {name} to requirements.txt beside the script"));
    }
    facts.advice(ROWS).or_else(|| named_by_library(facts))
}

/// Returns the package that the error of an import asks the user to install: `run 'pip install torch'`.
fn named_by_library(facts: &HintFacts<'_>) -> Option<String> {
    static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"\bpip3? install (?:(?:-U|-q|--upgrade|--user) )*['"`]?(?P<package>[A-Za-z][\w.-]*\w(?:\[[\w,-]+\])?(?:[=<>~!]=?[\w.]*\w)?)"#,
        )
    });
    let name = facts.exception()?;
    if name != "ImportError" && name != "ModuleNotFoundError" {
        return None;
    }
    let package = COMMAND.captures(facts.claimed())?["package"].to_owned();
    // A sentence about pip is not a command.
    let is_word = ["failed", "error", "the", "this", "it", "with", "from", "and", "or"].contains(&package.as_str());
    (!is_word).then(|| format!("add {package} to requirements.txt beside the script"))
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "attempted relative import with no known parent package",
            "attempted relative import beyond top-level package",
        ],
        hint: "a script that is started by its path belongs to no package; import its neighbours by name (from model import …), not relatively \
               (from .model import …)",
    },
    HintRow {
        wordings: &[
            "Using the `Trainer` with `PyTorch` requires `accelerate",
            "requires `accelerate`",
            "requires Accelerate: `pip install",
        ],
        hint: "add accelerate to requirements.txt beside the script, in the version that the message names",
    },
    HintRow {
        wordings: &[
            "flash_attn seems to be not installed",
            "FlashAttention2 has been toggled on, but it cannot be used",
            "FlashAttention 2 is not available",
        ],
        hint: "flash-attn is not installed: install a wheel for the image's torch, CUDA and Python, or use attn_implementation='sdpa'",
    },
    HintRow {
        wordings: &[
            "requires bitsandbytes",
            "requires the latest version of bitsandbytes",
            "`bitsandbytes` 8-bit quantization requires",
        ],
        hint: "add bitsandbytes to requirements.txt beside the script, in a version for the image's CUDA",
    },
    HintRow {
        wordings: &["Cannot find a working triton installation"],
        hint: "add triton to requirements.txt beside the script, in the version that the installed torch names, or do without torch.compile",
    },
    HintRow {
        wordings: &["tried using: 'pyarrow', 'fastparquet'"],
        hint: "add pyarrow to requirements.txt beside the script",
    },
    HintRow {
        wordings: &[
            "Can't instantiate a fast tokenizer*sentencepiece",
            "You need to have sentencepiece",
            "need to have sentencepiece or tiktoken installed",
            "requires the SentencePiece library",
        ],
        hint: "add sentencepiece (or tiktoken) to requirements.txt beside the script",
    },
    HintRow {
        wordings: &[
            "is required for a normal functioning of this module, but found",
            "VersionConflict: (",
            "ContextualVersionConflict",
        ],
        hint: "the installed versions do not fit each other; set the versions that the message names in requirements.txt",
    },
    HintRow {
        wordings: &[
            "module 'numpy' has no attribute '",
            "`np.float` was a deprecated alias",
            "was removed in the NumPy 2.0 release",
            "was removed in the NumPy 1.24",
        ],
        hint: "the installed NumPy no longer has this name; change the code (or the package that uses it), or set an older version in \
               requirements.txt (numpy<1.24, or numpy<2)",
    },
    HintRow {
        wordings: &["Descriptors cannot be created directly", "Descriptors cannot not be created directly"],
        hint: "a package was generated for an older protobuf; set protobuf<=3.20.3 in requirements.txt, or upgrade that package",
    },
];
