//! Python environments and wheels that are built once and kept for later runs of the tests on this machine.
//!
//! They are below `~/.cache/footplate-test`, or the folder that FOOTPLATE_TEST_CACHE names. The name of each holds a digest
//! of its recipe, so a changed recipe builds anew.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::images;

/// Writes a wheel `name-version` with a module of that name into a folder. Further arguments are its requirements.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
folder, name, version, *requires = sys.argv[1:]
info = f"{name}-{version}.dist-info"
with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
    lines = "".join(f"Requires-Dist: {line}\n" for line in requires)
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
"#;

/// Returns a folder with this name and recipe. `build` fills it if no earlier run has; meanwhile other tests that need it
/// wait.
fn kept(name: &str, recipe: &[&str], build: impl FnOnce(&Path)) -> PathBuf {
    let cache = std::env::var_os("FOOTPLATE_TEST_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| OsString::from("/root"))).join(".cache/footplate-test")
    });
    let name = format!("{name}-{:016x}", images::digest(recipe));
    let _lock = images::locked(&name);
    let folder = cache.join(name);
    let ready = folder.join("ready");
    if !ready.exists() {
        let _ = fs::remove_dir_all(&folder); // what an interrupted build left
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("failed to make {}: {error}", folder.display()));
        build(&folder);
        fs::write(&ready, "").expect("failed to mark the folder as complete");
    }
    folder
}

/// Returns PATH with the tests' own Python first.
pub fn search_path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| format!("{}:{}", python().display(), std::env::var("PATH").expect("a PATH")))
}

/// Returns the folder of the tests' own Python, which is a virtual environment of the machine's. It has no packages but pip,
/// and it starts sooner than a version manager's script, or than a Python that imports packages at every start.
fn python() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    let mut files = std::env::split_paths(&path).map(|folder| folder.join("python3"));
    let (file, found) = files.find_map(|file| Some((file.clone(), file.metadata().ok()?))).expect("python3 is on PATH");
    let recipe = format!("{} {} {:?}", file.display(), found.len(), found.modified());
    let make = || kept("python", &[&recipe], |folder| make_environment(Command::new(&file), &[], folder)).join("bin");
    let folder = make();
    if folder.join("python3").exists() {
        return folder;
    }
    // The machine's Python is no longer where it was.
    fs::remove_file(folder.with_file_name("ready")).expect("failed to remove a mark");
    make()
}

/// Returns the folder of a virtual environment that holds these packages, or only pip if there are none. pip is beside them
/// if its version is among them.
pub fn environment(packages: &[&str]) -> PathBuf {
    let version =
        fs::read_to_string(python().with_file_name("pyvenv.cfg")).expect("the description of the environment");
    let recipe = [&[search_path(), version.as_str(), UV], packages].concat();
    kept("environment", &recipe, |folder| {
        if packages.is_empty() || packages.iter().any(|package| package.starts_with("pip==")) {
            make_environment(own_python(), &[], folder);
        } else {
            make_environment(own_python(), &["--without-pip"], folder);
        }
        if !packages.is_empty() {
            let mut install = Command::new(uv());
            install.args(["pip", "install", "--quiet", "--python"]).arg(folder).args(packages);
            images::run(install.envs(settings_of_uv()));
        }
    })
}

/// Lets a Python of a kept environment keep what it compiles, whatever the machine's setting is.
pub fn compiles_once(command: &mut Command) -> &mut Command {
    command.env_remove("PYTHONDONTWRITEBYTECODE")
}

/// The program that installs the packages of the tests' environments, in a quarter of pip's time.
const UV: &str = "uv==0.13.9";

/// Returns the path of uv.
pub fn uv() -> PathBuf {
    let folder = kept("uv", &[UV], |folder| {
        images::run(own_python().args(["-m", "pip", "install", "--quiet", "--target"]).arg(folder).arg(UV));
    });
    folder.join("bin/uv")
}

/// Returns the variables of uv that stand for pip's settings on this machine.
pub fn settings_of_uv() -> BTreeMap<&'static str, String> {
    const NAMES: [(&str, &str); 6] = [
        ("index-url", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "UV_INDEX"),
        ("find-links", "UV_FIND_LINKS"),
        ("trusted-host", "UV_INSECURE_HOST"),
        ("default-timeout", "UV_HTTP_TIMEOUT"),
        ("cert", "SSL_CERT_FILE"),
    ];
    let mut settings: BTreeMap<_, _> =
        std::env::var("SSL_CERT_FILE").map(|file| ("SSL_CERT_FILE", file)).into_iter().collect();
    let output = own_python().args(["-m", "pip", "config", "list"]).output().expect("pip runs");
    // `global.index-url='https://…'`, or `:env:.index-url='…'`. Several values are on lines.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let known = NAMES.iter().find(|(known, _)| name.rsplit('.').next() == Some(known));
        let value = value.trim_matches('\'').replace("\\n", " ");
        // uv refuses a folder that is not there, which pip skips.
        if let Some((_, variable)) = known
            && (!value.starts_with('/') || Path::new(&value).exists())
        {
            settings.insert(variable, value);
        }
    }
    settings
}

/// Makes a copy of a kept environment at a path. Its files are links to the same content: an installer replaces files, and
/// does not write into them. They have the times of the original, since Python compiles a module again if its time differs.
pub fn copy_environment(kept: &Path, copy: &Path) {
    let mut linked = Command::new("cp");
    linked.arg("-al").arg(kept).arg(copy);
    if linked.output().is_ok_and(|output| output.status.success()) {
        return;
    }
    // The copy is on another file system.
    let _ = fs::remove_dir_all(copy);
    images::run(Command::new("cp").arg("-a").arg(kept).arg(copy));
}

/// Puts a wheel into a folder, which is created if necessary. The arguments are a name, a version, and the requirements of
/// the package.
pub fn wheel(folder: &Path, arguments: &[&str]) {
    let recipe = [&[MAKE_WHEEL], arguments].concat();
    let kept = kept("wheel", &recipe, |kept| {
        images::run(own_python().args(["-c", MAKE_WHEEL]).arg(kept).args(arguments));
    });
    let file = format!("{}-{}-py3-none-any.whl", arguments[0], arguments[1]);
    fs::create_dir_all(folder).expect("failed to make a folder for wheels");
    fs::copy(kept.join(&file), folder.join(&file)).expect("failed to copy a wheel");
}

fn own_python() -> Command {
    let mut command = Command::new("python3");
    command.env("PATH", search_path());
    command
}

/// Makes a virtual environment of this Python in a folder, which is emptied.
fn make_environment(mut python: Command, options: &[&str], folder: &Path) {
    images::run(python.args(["-m", "venv", "--clear"]).args(options).arg(folder));
}
