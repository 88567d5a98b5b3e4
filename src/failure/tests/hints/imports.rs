//! Hints about Python modules that cannot be imported.

use super::{assert_hints, assert_no_hint, of, raised, raising};
use crate::event::Ending;

#[test]
fn a_missing_module_is_named_by_the_package_to_install() {
    for (module, package) in [
        ("cv2", "opencv-python-headless"),
        ("sklearn", "scikit-learn"),
        ("yaml", "PyYAML"),
        ("einops", "einops"),
        ("bs4", "beautifulsoup4"),
    ] {
        let expected = format!(
            "add {package} to requirements.txt beside the script, or, if it is your own module, put it there too"
        );
        assert_eq!(raised(&format!("ModuleNotFoundError: No module named '{module}'")), [expected]);
    }
    let runs_module = "/usr/bin/python3: No module named deepspeed\n";
    assert!(of(Ending::Exited(1), runs_module)[0].starts_with("add deepspeed to requirements.txt"));
    assert!(
        raised("ModuleNotFoundError: No module named 'google.cloud'")[0]
            .contains("add the client library of the service that the script uses (google-cloud-storage")
    );
    assert!(raised("ModuleNotFoundError: No module named 'apex'")[0].contains("github.com/NVIDIA/apex"));
    assert!(raised("ModuleNotFoundError: No module named '_lzma'")[0].contains("built without liblzma"));
    assert_no_hint(&["ValueError: no module named in the plan", "KeyError: 'module'"]);
}

#[test]
fn a_module_that_looks_like_the_users_own_is_not_to_be_installed() {
    for module in ["utils", "src", "config", "models", "helpers", "data_utils"] {
        let hints = raised(&format!("ModuleNotFoundError: No module named '{module}'"));
        assert!(
            hints[0].starts_with(&format!(
                "{module} looks like a module of your own: put {module}.py or {module}/ beside the script"
            )),
            "{hints:#?}"
        );
    }
    // Python found the package, but not a module in it.
    assert!(
        raised("ModuleNotFoundError: No module named 'helpers.augment'")[0]
            .starts_with("helpers was found, but has no module augment; if it is yours, put helpers/augment.py")
    );
    assert!(
        raised("ModuleNotFoundError: No module named 'torchvision.transforms.functional_tensor'")[0]
            .contains("set the version of torchvision that has it")
    );
    let hides = "ModuleNotFoundError: No module named 'random.core'; 'random' is not a package";
    assert!(raised(hides)[0].starts_with("random was found as a file"));
}

#[test]
fn a_module_that_a_build_lacks_is_not_to_be_added_to_the_requirements() {
    let build = "error: subprocess-exited-with-error\n\n\
        × Getting requirements to build wheel did not run successfully.\n\
        ╰─> [4 lines of output]\n      \
        Traceback (most recent call last):\n        \
        File \"<string>\", line 11, in <module>\n      \
        ModuleNotFoundError: No module named 'numpy'\n      [end of output]\n";
    let hints = of(Ending::Exited(1), build);
    assert!(hints[0].starts_with("a package imports numpy while it is built; install numpy first"), "{hints:#?}");
}

#[test]
fn a_missing_name_is_blamed_on_the_version_or_on_the_users_file() {
    let circular = "ImportError: cannot import name 'build' from partially initialized module 'model' (most likely due to a circular import) (/opt/ml/code/model.py)";
    assert_hints(&[
        (
            "ImportError: cannot import name 'AdamW' from 'transformers' (/opt/conda/lib/python3.10/site-packages/transformers/__init__.py)",
            "the installed version of transformers has no AdamW; set the version that your code was written for in requirements.txt",
        ),
        (
            "ImportError: cannot import name 'build' from 'model' (/opt/ml/code/model.py)",
            "model is a file of yours without build",
        ),
        (circular, "model was imported while it was still being imported"),
        (
            "AttributeError: partially initialized module 'torch' has no attribute 'nn' (most likely due to a circular import)",
            "a file of yours has the name of a package (torch.py)",
        ),
        ("ImportError: attempted relative import with no known parent package", "import its neighbours by name"),
        (
            "AttributeError: module 'numpy' has no attribute 'float'.\n`np.float` was a deprecated alias for the builtin `float`.",
            "the installed NumPy no longer has this name",
        ),
        (
            "ImportError: Missing optional dependency 'openpyxl'.  Use pip or conda to install openpyxl.",
            "add openpyxl to requirements.txt",
        ),
        (
            "ImportError: Unable to find a usable engine; tried using: 'pyarrow', 'fastparquet'.",
            "add pyarrow to requirements.txt",
        ),
        (
            "ImportError: Using the `Trainer` with `PyTorch` requires `accelerate>=0.26.0`: Please run `pip install transformers[torch]`",
            "add accelerate",
        ),
        (
            "importlib.metadata.PackageNotFoundError: No package metadata was found for bitsandbytes",
            "the package bitsandbytes is not installed",
        ),
        (
            "ImportError: LlamaConverter requires the protobuf library but it was not found in your environment. Check out the instructions",
            "add the package of protobuf",
        ),
    ]);
    assert_hints(&[
        (
            "torch._inductor.exc.InductorError: RuntimeError: Cannot find a working triton installation. Either the package is not installed or it is too old.",
            "add triton to requirements.txt",
        ),
        (
            "ModuleNotFoundError: Requirement 'jsonargparse[signatures]>=4.27.7' not met. HINT: Try running `pip install -U 'jsonargparse[signatures]>=4.27.7'`",
            "add jsonargparse[signatures]>=4.27.7 to requirements.txt",
        ),
    ]);
    assert_no_hint(&[
        "ValueError: Requirement 'depth > 3' not met",
        "AttributeError: 'NoneType' object has no attribute 'train'",
        "AttributeError: module 'model' has no attribute 'Net'",
        "RuntimeError: the import of shard 3 found no rows",
        "TypeError: cannot import 3 rows",
    ]);
    let wrapped = raising("ModuleNotFoundError: No module named 'flash_attn'")
        + "\nThe above exception was the direct cause of the following exception:\n\n"
        + &raising(
            "RuntimeError: Failed to import transformers.models.x because of the following error (look up to see its traceback):\nNo module named 'flash_attn'",
        );
    assert!(of(Ending::Exited(1), &wrapped)[0].starts_with("add flash-attn to requirements.txt"));
}

#[test]
fn a_module_that_python_no_longer_has_is_not_to_be_installed() {
    assert_hints(&[
        (
            "ModuleNotFoundError: No module named 'imp'",
            "Python 3.12 removed the module imp; use an image with an older Python",
        ),
        ("ModuleNotFoundError: No module named 'audioop'", "Python 3.13 removed the module audioop"),
        ("ModuleNotFoundError: No module named 'urllib2'", "which Python 3 calls urllib.request; change the import"),
        ("ModuleNotFoundError: No module named 'impyla'", "add impyla to requirements.txt"),
    ]);
}
