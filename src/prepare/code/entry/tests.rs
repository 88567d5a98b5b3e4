//! Entry points in code folders that each test creates.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{EntryError, EntryKind, EntryPoint};

/// Creates a code folder with these files. A name that ends with a slash is a folder.
fn code(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        if file.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }
    folder
}

fn kind(folder: &Path, name: &str) -> EntryKind {
    EntryPoint::find(folder, name).unwrap_or_else(|error| panic!("{name}: {error}")).kind()
}

#[test]
fn each_kind_is_recognized() {
    let folder = code(&["train.py", "train.sh", "train", "sub/a b/ä.py", "app/__main__.py", "a.py.txt"]);
    for (name, expected) in [
        ("train.py", EntryKind::PythonScript),
        ("./train.py", EntryKind::PythonScript),
        ("sub//a b/ä.py", EntryKind::PythonScript),
        ("train.sh", EntryKind::ShellScript),
        ("train", EntryKind::Executable),
        ("a.py.txt", EntryKind::Executable),
        ("app", EntryKind::PythonFolder),
        ("app/", EntryKind::PythonFolder),
    ] {
        assert_eq!(kind(folder.path(), name), expected, "{name}");
    }
    let entry = EntryPoint::find(folder.path(), "./sub//a b/ä.py").unwrap();
    assert_eq!((entry.name(), &*entry.module()), ("sub/a b/ä.py", "sub.a b.ä"));
    assert_eq!(entry.path(), folder.path().join("sub/a b/ä.py"));
}

#[test]
fn a_package_comes_before_a_script_and_after_a_shell_script() {
    let folder = code(&["setup.py", "train.py", "train.sh", "train"]);
    for name in ["train.py", "train", "pkg.train", "elsewhere.py"] {
        assert_eq!(kind(folder.path(), name), EntryKind::PythonPackage, "{name}");
    }
    assert_eq!(kind(folder.path(), "train.sh"), EntryKind::ShellScript);
    assert_eq!(EntryPoint::find(folder.path(), "train.py").unwrap().module(), "train");
    assert!(EntryPoint::find(folder.path(), "none.sh").is_err());
}

#[test]
fn pyproject_makes_a_package_only_if_no_such_file_exists() {
    let folder = code(&["train.py"]);
    let project = |text: &str| fs::write(folder.path().join("pyproject.toml"), text).unwrap();
    for text in ["[project]\nname='x'\n", "[tool.x]\n [ build-system ] # y\n"] {
        project(text);
        assert_eq!(kind(folder.path(), "train.py"), EntryKind::PythonScript, "{text}");
        assert_eq!(kind(folder.path(), "pkg.train"), EntryKind::PythonPackage, "{text}");
    }
    for text in ["[tool.black]\n[project.urls]\n", "# [project]\n", "x = '[project]'\n", "[[project]]\n"] {
        project(text);
        assert!(EntryPoint::find(folder.path(), "pkg.train").is_err(), "{text}");
    }
}

#[test]
fn names_that_cannot_be_an_entry_point_are_refused() {
    let folder = code(&["train.py", "-x/y.py"]);
    for (name, problem) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("-c", "a dash"),
        ("./-x/y.py", "a dash"),
        ("../train.py", "it holds `..`"),
        ("sub/../train.py", "it holds `..`"),
        ("a\0b", "a NUL byte"),
        (".", "the code folder itself"),
    ] {
        let error = EntryPoint::find(folder.path(), name).unwrap_err();
        assert!(matches!(error, EntryError::Name { .. }), "{name:?}: {error:?}");
        assert!(error.to_string().contains(problem), "{error}");
        assert!(error.to_string().contains("set SAGEMAKER_PROGRAM"), "{error}");
    }
}

#[test]
fn nothing_outside_the_code_folder_is_run() {
    let folder = code(&["code/train.py", "outside.py"]);
    let code_dir = folder.path().join("code");
    symlink("../outside.py", code_dir.join("escape.py")).unwrap();
    symlink("train.py", code_dir.join("fine.py")).unwrap();
    symlink(&code_dir, folder.path().join("link")).unwrap();
    for name in ["escape.py", "/bin/sh", folder.path().join("outside.py").to_str().unwrap()] {
        let error = EntryPoint::find(&code_dir, name).unwrap_err();
        assert!(matches!(error, EntryError::Outside { .. }), "{name}: {error:?}");
    }
    assert_eq!(kind(&code_dir, "fine.py"), EntryKind::PythonScript);
    let whole = |folder: &Path| folder.join("train.py").to_str().unwrap().to_owned();
    let link = folder.path().join("link");
    for (code_dir, name) in [(&code_dir, whole(&code_dir)), (&link, whole(&link)), (&link, whole(&code_dir))] {
        assert_eq!(EntryPoint::find(code_dir, &name).unwrap().name(), "train.py", "{name}");
    }
}

#[test]
fn the_error_for_a_missing_file_lists_the_code_folder_and_suggests_a_file() {
    let folder = code(&["train.py", "src/Main.py", "data/", "src/models/fit_model.py", ".git/train_it.py", "run.sh"]);
    let error = |name: &str| match EntryPoint::find(folder.path(), name).unwrap_err() {
        EntryError::NotFound { suggestion, .. } => suggestion,
        other => panic!("{name}: {other:?}"),
    };
    for (name, suggestion) in [
        ("trian.py", Some("train.py")),
        ("Train.py", Some("train.py")),
        ("train", Some("train.py")),
        ("run", Some("run.sh")),
        ("main.py", Some("src/Main.py")),
        ("code/main.py", Some("src/Main.py")),
        ("fit_model", Some("src/models/fit_model.py")),
        ("fit_modle.py", Some("src/models/fit_model.py")),
        ("src\\Main.py", Some("src/Main.py")),
        ("train.py/x", Some("train.py")),
        ("train_it.py", Some("train.py")),
        ("something_else_entirely.py", None),
    ] {
        assert_eq!(error(name).as_deref(), suggestion, "{name}");
    }
    let text = EntryPoint::find(folder.path(), "trian.py").unwrap_err().to_string();
    let expected = format!(
        "the entry point \"trian.py\" is not in {}, which holds .git/, data/, run.sh, src/, train.py; did you mean \
         \"train.py\"? if so, set SAGEMAKER_PROGRAM (the estimator's entry_point, the hyperparameter sagemaker_program) \
         to it",
        folder.path().display()
    );
    assert_eq!(text, expected);
    let error = EntryPoint::find(folder.path(), "data").unwrap_err();
    assert!(error.to_string().contains("it is a folder without a __main__.py"), "{error}");
}

#[test]
fn a_file_in_the_named_folder_is_suggested_before_one_in_another_folder() {
    let folder = code(&["main.py", "src/main.py", "src/sub/run.sh", "sub/run.py"]);
    for (name, expected) in [("SRC/main.py", "src/main.py"), ("Src/Main", "src/main.py"), ("run.sh", "src/sub/run.sh")]
    {
        let error = EntryPoint::find(folder.path(), name).unwrap_err().to_string();
        assert!(error.contains(&format!("did you mean {expected:?}?")), "{error}");
    }
}

#[test]
fn a_long_listing_is_shortened() {
    let names: Vec<String> = (0..40).map(|n| format!("f{n:02}")).collect();
    let folder = code(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let text = EntryPoint::find(folder.path(), "zzzzzz").unwrap_err().to_string();
    assert!(text.contains("which holds f00, f01, "), "{text}");
    assert!(text.contains(", f14 and 25 more; "), "{text}");
}

#[test]
fn the_error_for_an_empty_code_folder_says_how_to_supply_code() {
    let folder = tempfile::tempdir().unwrap();
    for (code_dir, what) in [(folder.path().to_owned(), "is empty"), (folder.path().join("none"), "does not exist")] {
        let error = EntryPoint::find(&code_dir, "train.py").unwrap_err();
        assert!(matches!(error, EntryError::NoCode { .. }), "{error:?}");
        let expected = format!("the code folder {} {what}; COPY the code into it", code_dir.display());
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn programs_are_made_executable_for_everyone_who_may_read_them() {
    let folder = code(&["train.sh", "train", "train.py"]);
    let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
    let set = |name: &str, mode: u32| {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, before, after, executable) in [
        ("train.sh", 0o644, 0o755, true),
        ("train.sh", 0o640, 0o750, true),
        ("train", 0o600, 0o700, true),
        ("train.py", 0o644, 0o644, false),
    ] {
        set(name, before);
        assert_eq!(EntryPoint::find(folder.path(), name).unwrap().make_executable(), executable, "{name}");
        assert_eq!(mode(name), after, "{name}");
    }
}
