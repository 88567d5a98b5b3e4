//! The files that `release/package` makes of a binary: the same bytes each time, wheels that pip and uv install, and a tarball.
//!
//! The binary is the debug one, without its symbols. `.ci/full` checks a release build.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::images;
use super::job::{FOOTPLATE, search_path};
use super::kept;

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/release/package");

/// Makes a release of the binary in the folder `name`, and returns its files by name.
fn package(folder: &Path, name: &str) -> BTreeMap<String, PathBuf> {
    let out = folder.join(name);
    let mut command = Command::new("python3");
    // A debug binary is large.
    command.args([PACKAGE, "--level", "1", "--limit", "100000000", "--out"]).arg(&out).arg(folder.join("footplate"));
    images::run(command.env("PATH", search_path()).env("SOURCE_DATE_EPOCH", "1700000000"));
    let files = fs::read_dir(out).expect("the release").flatten().map(|entry| entry.path());
    files.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path)).collect()
}

/// Returns a folder with the binary without symbols.
fn binary() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    images::run(Command::new("strip").arg("-o").arg(folder.path().join("footplate")).arg(FOOTPLATE));
    folder
}

/// Returns the paths in a wheel.
fn content(wheel: &Path) -> String {
    images::output(Command::new("python3").args(["-m", "zipfile", "-l"]).arg(wheel).env("PATH", search_path()))
}

/// Runs a program of an environment, and returns its output.
fn run(environment: &Path, program: &str, words: &[&str]) -> Output {
    let path = format!("{}:/usr/bin:/bin", environment.join("bin").display());
    let mut command = Command::new(environment.join("bin").join(program));
    command.args(words).env_clear().env("PATH", path).env("HOME", environment).output().expect("the program starts")
}

#[test]
fn a_release_is_made_of_a_binary_and_installs_with_pip_and_uv() {
    let folder = binary();
    let made = package(folder.path(), "one");
    let again = package(folder.path(), "two");
    let version = env!("CARGO_PKG_VERSION");
    let machine = std::env::consts::ARCH;
    let wheel = format!("footplate-{version}-py3-none-manylinux2014_{machine}.musllinux_1_1_{machine}.whl");
    let names = [
        "SHA256SUMS".to_owned(),
        format!("footplate-{version}-image.tar.gz"),
        wheel.clone(),
        format!("footplate-{version}-{machine}-linux.tar.gz"),
        format!("footplate_train-{version}-py3-none-any.whl"),
        "sagemaker_training-5.1.4+footplate-py3-none-any.whl".to_owned(),
    ];
    assert_eq!(made.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    for (name, path) in &made {
        assert!(fs::read(path).expect("read") == fs::read(&again[name]).expect("read"), "{name} differs");
    }
    images::run(
        Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(folder.path().join("one")),
    );

    let files = content(&made[&wheel]);
    for part in [
        "footplate/sagemaker.py",
        "footplate/driver/footplate_driver.py",
        ".data/scripts/footplate",
        ".data/data/share/man/man1/footplate.1",
        ".data/data/share/bash-completion/completions/footplate",
        ".data/data/share/zsh/site-functions/_footplate",
        ".data/data/share/fish/vendor_completions.d/footplate.fish",
        ".dist-info/sboms/footplate.cdx.json",
        ".dist-info/licenses/LICENSE",
    ] {
        assert!(files.contains(part), "{part} is not in\n{files}");
    }
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    let tarball = &made[&format!("footplate-{version}-{machine}-linux.tar.gz")];
    images::run(Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(&unpacked).arg("--strip-components=1"));
    let said = images::output(Command::new(unpacked.join("bin/footplate")).arg("--version"));
    assert_eq!(said.trim(), format!("footplate {version}"));
    let bom: serde_json::Value =
        serde_json::from_slice(&fs::read(unpacked.join("footplate.cdx.json")).expect("a bill")).expect("JSON");
    let names: Vec<_> =
        bom["components"].as_array().expect("a list").iter().map(|each| each["name"].as_str()).collect();
    assert!(names.contains(&Some("rustls")) && !names.contains(&Some("proptest")), "{names:?}");
    installs(&folder.path().join("one"), version);
}

#[test]
fn a_wheel_that_is_too_large_is_no_release() {
    let folder = binary();
    let out = folder.path().join("out");
    let mut command = Command::new("python3");
    command.args([PACKAGE, "--level", "1", "--out"]).arg(&out).arg(folder.path().join("footplate"));
    let output = command.env("PATH", search_path()).output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(".whl has ") && said.contains("more than 5000000"), "{said}");
    assert!(!out.join("SHA256SUMS").exists());
}

/// Installs the wheels of a release with pip and with uv, and removes them.
fn installs(release: &Path, version: &str) {
    let release = release.to_str().expect("a path");
    let from = ["--quiet", "--no-index", "--find-links", release];
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("environment");
    kept::copy_environment(&kept::environment(&[]), &place);
    let pip = |words: &[&str]| {
        let output = run(&place, "python3", &[&["-m", "pip", "--disable-pip-version-check"], words].concat());
        assert!(output.status.success(), "{words:?} {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    pip(&[&["install"], &from[..], &["sagemaker-training"]].concat());
    let said =
        |program: &str, words: &[&str]| String::from_utf8_lossy(&run(&place, program, words).stdout).into_owned();
    let of_version = format!("footplate {version}\n");
    assert_eq!(said("footplate", &["--version"]), of_version);
    assert_eq!(said("train", &["--version"]), format!("footplate-train {version}\n"));
    assert_eq!(said("python3", &["-m", "footplate", "--version"]), of_version);
    for installed in [
        "man/man1/footplate.1",
        "bash-completion/completions/footplate",
        "zsh/site-functions/_footplate",
        "fish/vendor_completions.d/footplate.fish",
    ] {
        assert!(place.join("share").join(installed).exists(), "{installed}");
    }
    let shim = "from sagemaker_training import _footplate; print(_footplate.binary())";
    assert_eq!(said("python3", &["-c", shim]).trim(), place.join("bin/footplate").to_str().expect("a path"));
    assert!(pip(&["check"]).contains("No broken requirements"));
    // Each distribution owns its own program.
    pip(&["uninstall", "--yes", "--quiet", "sagemaker-training", "footplate-train"]);
    assert!(!place.join("bin/train").exists());
    assert_eq!(said("footplate", &["--version"]), of_version);
    pip(&["uninstall", "--yes", "--quiet", "footplate"]);
    assert!(!place.join("bin/footplate").exists() && !place.join("share/man/man1/footplate.1").exists());

    let uv = kept::uv();
    let python = place.join("bin/python3");
    let mut command = Command::new(uv);
    command.args(["pip", "install"]).args(&from[1..]).arg("--python").arg(&python).arg("footplate-train");
    images::run(command.env("HOME", folder.path()));
    assert_eq!(said("footplate", &["--version"]), of_version);
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    for machine in ["x86_64", "aarch64"] {
        let mut command = Command::new(env!("CARGO"));
        command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform"]);
        command.arg(format!("{machine}-unknown-linux-gnu")).current_dir(env!("CARGO_MANIFEST_DIR"));
        let found: serde_json::Value = serde_json::from_str(&images::output(&mut command)).expect("JSON");
        let packages = found["packages"].as_array().expect("packages");
        let number =
            |version: &str| -> Vec<u64> { version.split('.').map(|part| part.parse().expect("a number")).collect() };
        let needs = |package: &serde_json::Value| package["rust_version"].as_str().map(number);
        let own = packages.iter().find(|package| package["name"] == env!("CARGO_PKG_NAME")).and_then(needs);
        let own = own.expect("Cargo.toml has rust-version");
        assert!(packages.len() > 50, "{}", packages.len());
        let newer: Vec<String> = packages
            .iter()
            // Of 1.91 and 1.91.0, neither is newer.
            .filter(|package| needs(package).is_some_and(|needed| needed[..needed.len().min(2)] > own[..]))
            .map(|package| format!("{} {} needs Rust {}", package["name"], package["version"], package["rust_version"]))
            .collect();
        assert!(newer.is_empty(), "newer than {own:?}: {newer:?}");
    }
}
