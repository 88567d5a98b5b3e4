//! The container images that tests run in. They need no registry: a base image is made of Debian's packages, and the others
//! are built from it. Each is built once for the machine, because its tag holds a digest of its recipe. A file lock lets one
//! test process build while others wait.
//!
//! The binary under test is copied into an image. docker/Dockerfile would compile another binary; docker.rs tests it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_footplate");

/// The packages of every Debian image beyond the minimum.
const PACKAGES: &str = "ca-certificates,python3,python3-pip,python3-venv";

/// The time that tests/keep-engine may take to start an engine or to replace one.
const ENGINE_PATIENCE: Duration = Duration::from_secs(300);

/// Returns true if containers can run on this machine. If not, it calls [`skip`] with the reason. It waits for an engine that
/// tests/keep-engine is starting.
pub fn usable() -> bool {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    let refusal = REFUSAL.get_or_init(|| {
        let restarts = std::env::var_os("FOOTPLATE_TEST_ENGINE").is_some_and(|value| value == "restart");
        let until = Instant::now() + if restarts { ENGINE_PATIENCE } else { Duration::ZERO };
        loop {
            let why = match Command::new("docker").arg("version").output() {
                Ok(output) if output.status.success() => return None,
                Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                Err(error) => return Some(format!("the program docker cannot be run: {error}")),
            };
            if Instant::now() >= until {
                return Some(why);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let Some(why) = refusal else { return true };
    skip(&format!("no containers: {why}"));
    false
}

/// Prints why a test cannot run on this machine, and adds it to the list that tests/run shows at its end. If CI is set, it
/// fails the test.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI must not skip it: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED {test}: {why}\n");
    // Not by eprintln, whose text the test harness hides.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os("FOOTPLATE_TEST_SKIPPED") {
        let list = fs::OpenOptions::new().append(true).create(true).open(list);
        let _ = list.and_then(|mut list| list.write_all(line.as_bytes()));
    }
}

/// Files of packages that no test reads. The classic builder looks at every file of an image after each step, and that takes
/// seconds of a processor for an image of Debian.
const LEFT_OUT: [&str; 7] = ["bash-completion", "doc", "lintian", "locale", "man", "zoneinfo/posix", "zoneinfo/right"];

/// Returns an image of a Debian suite (`bookworm`: Python 3.11, `trixie`: Python 3.13) with Python, pip and venv.
pub fn debian(suite: &str) -> &'static str {
    // `usr-is-merged` takes the place of a package that needs all of Perl.
    let packages = format!("{PACKAGES},usr-is-merged");
    once(&format!("{suite}-python"), &[&packages, &LEFT_OUT.join(" ")], |tag| {
        install_mmdebstrap();
        let mut bootstrap = Command::new("mmdebstrap");
        bootstrap.args(["--quiet", "--variant=minbase", &format!("--include={packages}")]);
        bootstrap.arg("--hook-directory=/usr/share/mmdebstrap/hooks/merged-usr");
        bootstrap.args(LEFT_OUT.map(|part| format!("--dpkgopt=path-exclude=/usr/share/{part}/*")));
        import(tag, bootstrap.args([suite, "-"]), &[]);
    })
}

/// Makes an image of the archive that a command writes, with changes in the form of a Dockerfile's instructions.
fn import(tag: &str, command: &mut Command, changes: &[&str]) {
    let shown = format!("{command:?}");
    let mut writer = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let archive = writer.stdout.take().expect("its output is piped");
    let mut docker = Command::new("docker");
    docker.arg("import").args(changes.iter().flat_map(|change| ["--change", change]));
    run(docker.args(["-", tag]).stdin(archive));
    let status = writer.wait().expect("failed to wait for the archive");
    if !status.success() {
        run(Command::new("docker").args(["image", "rm", tag]));
        panic!("{shown} ended with {status}");
    }
}

/// Returns an image like [`debian`] with more of Debian's packages.
pub fn debian_with(suite: &str, packages: &[&str]) -> &'static str {
    let base = debian(suite);
    let packages = packages.join(" ");
    derived(
        &format!("{suite}-more"),
        &format!(
            "FROM {base}\n\
             RUN apt-get update && apt-get install -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*\n"
        ),
    )
}

/// Returns an image of a shell, Python, their libraries and an empty /tmp. It has no coreutils, no /etc and no package.
pub fn shell_and_python() -> &'static str {
    bare("shell-and-python", &["dash", "python3.11"])
}

/// Returns a small image of Python with the programs that the steps of a Dockerfile run, without packages.
pub fn small_python() -> &'static str {
    const PROGRAMS: [&str; 13] =
        ["bash", "cat", "chmod", "cp", "dash", "echo", "env", "ls", "mkdir", "python3.11", "rm", "sleep", "touch"];
    bare("small-python", &PROGRAMS)
}

/// Returns an image of these programs of Debian's, their libraries and an empty /tmp. dash is its `sh`. Python has its standard
/// library.
fn bare(name: &str, programs: &[&str]) -> &'static str {
    const SCRIPT: &str = r#"
mkdir -p /bare/usr/bin /bare/usr/lib /bare/usr/local/bin
mkdir -m 1777 /bare/tmp
ln -s usr/bin /bare/bin
for program; do
    files=/usr/bin/$program
    cp -L $files /bare/usr/bin/
    case $program in
    dash) ln -s dash /bare/usr/bin/sh ;;
    python3.*)
        ln -s $program /bare/usr/bin/python3
        cp -a /usr/lib/$program /bare/usr/lib/
        rm -rf /bare/usr/lib/$program/lib2to3
        files="$files $(echo /usr/lib/$program/lib-dynload/*.so)" ;;
    esac
    for library in $(ldd $files | grep -o '/[^ ]*' | sort -u); do
        # A line that ends with a colon names one of the files.
        [ "${library%:}" != $library ] || [ -e /bare$library ] || cp -L --parents $library /bare/
    done
done
tar -C /bare -c .
"#;
    let base = debian("bookworm");
    once(name, &[&[base, SCRIPT], programs].concat(), |tag| {
        let mut archive = Command::new("docker");
        archive.args(["run", "--rm", "--network=none", base, "sh", "-ec", SCRIPT, "sh"]).args(programs);
        import(tag, &mut archive, &["ENV PATH=/usr/local/bin:/usr/bin:/bin"]);
    })
}

/// Returns the option that mounts the binary under test as `train` on the PATH of a container. It costs less than an image.
pub fn mounted_as_train() -> String {
    format!("--volume={BINARY}:/usr/local/bin/train:ro")
}

/// Returns an image that holds only the binary under test, as its entry point.
pub fn footplate() -> &'static str {
    let (name, version) = of_binary("scratch");
    let tag = once(&name, &[&version], |tag| {
        let context = tempfile::tempdir().expect("failed to make a folder for the build");
        fs::copy(BINARY, context.path().join("footplate")).expect("failed to copy the binary");
        let dockerfile = "FROM scratch\nCOPY footplate /footplate\nENTRYPOINT [\"/footplate\"]\n";
        fs::write(context.path().join("Dockerfile"), dockerfile).expect("failed to write the Dockerfile");
        run(Command::new("docker").args(["build", "-q", "-t", tag]).arg(context.path()));
    });
    forget_older(tag);
    tag
}

/// Returns an image with the binary under test as `train` on PATH and without an entry point.
pub fn with_train(base: &str) -> &'static str {
    with_footplate("train", base, "COPY --from=footplate /footplate /usr/local/bin/train\n")
}

/// Returns an image with the binary under test as its entry point.
pub fn with_entrypoint(base: &str) -> &'static str {
    with_footplate(
        "entrypoint",
        base,
        "COPY --from=footplate /footplate /usr/local/bin/footplate\nENTRYPOINT [\"footplate\"]\n",
    )
}

/// Returns an image that is built from `base`. The steps can copy from the stage `footplate`.
pub fn with_footplate(name: &str, base: &str, steps: &str) -> &'static str {
    let binary = footplate();
    let (name, _) = of_binary(&format!("{name}-{:08x}", digest(&[base]) as u32));
    let tag = derived(&name, &format!("FROM {binary} AS footplate\nFROM {base}\n{steps}"));
    forget_older(tag);
    tag
}

/// Returns an image whose `cargo` takes the binary under test instead of compiling it, for the build stage of
/// docker/Dockerfile. Like the real one it needs the files of the package.
pub fn builder_of_prebuilt() -> &'static str {
    let cargo = r#"#!/bin/sh\n\
set -eu\n\
[ "$1 $2" = "install --locked" ]\n\
ls Cargo.toml Cargo.lock .cargo/config.toml src/main.rs src/lib.rs >/dev/null\n\
while [ "$1" != --root ]; do shift; done\n\
mkdir -p "$2/bin"\n\
cp /prebuilt "$2/bin/footplate"\n"#;
    let steps = format!(
        "COPY --from=footplate /footplate /prebuilt\n\
         RUN printf '{cargo}' > /usr/local/bin/cargo && chmod +x /usr/local/bin/cargo\n"
    );
    let base = bare("shell-and-files", &["chmod", "cp", "dash", "ls", "mkdir", "rm", "touch"]);
    with_footplate("builder", base, &steps)
}

/// Returns an image with what docker/Dockerfile's build stage needs: this machine's own cargo, rustc and downloaded crates,
/// and a linker.
pub fn builder() -> &'static str {
    let base = debian_with("bookworm", &["gcc", "libc6-dev"]);
    let version = output(Command::new("rustc").arg("-vV"));
    once("builder", &[base, &version], |tag| {
        let toolchain = output(Command::new("rustc").args(["--print", "sysroot"]));
        let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").expect("neither CARGO_HOME nor HOME is set")).join(".cargo")
        });
        let certificates = std::env::var("SSL_CERT_FILE").unwrap_or("/etc/ssl/certs/ca-certificates.crt".to_owned());
        let container = format!("footplate-test-builder-{}", std::process::id());
        run(Command::new("docker").args(["run", "--name", &container]).args([
            &format!("--volume={toolchain}:/toolchain:ro"),
            &format!("--volume={}:/registry:ro", cargo.join("registry").display()),
            &format!("--volume={certificates}:/certificates:ro"),
            base,
            "sh",
            "-ec",
            "cp /toolchain/bin/cargo /toolchain/bin/rustc /usr/local/bin/
             cp -a /toolchain/lib/. /usr/local/lib/
             mkdir -p /cargo/registry
             for part in cache index; do
                 [ ! -e /registry/$part ] || cp -a /registry/$part /cargo/registry/
             done
             cp /certificates /etc/ssl/certs/ca-certificates.crt",
        ]));
        let variables = "ENV CARGO_HOME=/cargo CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt";
        run(Command::new("docker").args(["commit", "--change", variables, &container, tag]));
        run(Command::new("docker").args(["rm", &container]));
    })
}

/// Returns an image that is built from a Dockerfile without a context.
pub fn derived(name: &str, dockerfile: &str) -> &'static str {
    once(name, &[dockerfile], |tag| {
        let mut context = tempfile::tempfile().expect("failed to make a file for the Dockerfile");
        context.write_all(dockerfile.as_bytes()).expect("failed to write the Dockerfile");
        std::io::Seek::rewind(&mut context).expect("failed to rewind the Dockerfile");
        run(Command::new("docker").args(["build", "-q", "-t", tag, "-"]).stdin(context));
    })
}

/// Returns the tag of an image with this name and recipe. `build` builds the image if the machine does not have it.
fn once(name: &str, recipe: &[&str], build: impl FnOnce(&str)) -> &'static str {
    let tag = format!("footplate-test/{name}:{:016x}", digest(recipe));
    let lock = locked(&tag.replace(['/', ':'], "-"));
    if !exists(&tag) {
        build(&tag);
        assert!(exists(&tag), "{tag} was built and is not there");
    }
    drop(lock);
    remembered(tag)
}

/// Returns the tag with the lifetime of the process.
fn remembered(tag: String) -> &'static str {
    static TAGS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut tags = TAGS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(known) = tags.get(tag.as_str()) {
        return known;
    }
    let tag: &'static str = tag.leak();
    tags.insert(tag);
    tag
}

/// Returns the name of an image that holds the binary under test, and the version of this build. Binaries of other checkouts
/// have other paths and so other names.
fn of_binary(name: &str) -> (String, String) {
    let metadata = fs::metadata(BINARY).expect("failed to look at the binary under test");
    let version = format!("{} {}.{}", metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    (format!("binary-{:08x}-{name}", digest(&[BINARY]) as u32), version)
}

/// Returns a name for an image that no other checkout uses.
pub fn of_checkout(name: &str) -> String {
    format!("footplate-test/{name}-{:08x}", digest(&[env!("CARGO_MANIFEST_DIR")]) as u32)
}

/// Removes the images of the same name that hold an earlier build of the binary, unless a container uses them.
fn forget_older(tag: &str) {
    let (name, version) = tag.rsplit_once(':').expect("a tag has a version");
    for other in output(Command::new("docker").args(["image", "ls", "--format", "{{.Tag}}", name])).lines() {
        if other != version {
            let _ = Command::new("docker").args(["image", "rm", &format!("{name}:{other}")]).output();
        }
    }
}

fn exists(tag: &str) -> bool {
    let inspect = Command::new("docker").args(["image", "inspect", tag]).output();
    inspect.expect("failed to run docker").status.success()
}

/// Takes a lock among all test processes of this machine. It is released when the file is dropped.
pub fn locked(name: &str) -> File {
    let folder = std::env::temp_dir().join("footplate-test-locks");
    fs::create_dir_all(&folder).expect("failed to make the folder for locks");
    let file = File::create(folder.join(name)).expect("failed to make a lock file");
    file.lock().expect("failed to lock a file");
    file
}

fn install_mmdebstrap() {
    let _lock = locked("apt");
    if Command::new("mmdebstrap").arg("--version").output().is_ok() {
        return;
    }
    run(Command::new("apt-get").args(["update", "-q"]));
    run(Command::new("apt-get").args(["install", "-y", "-q", "--no-install-recommends", "mmdebstrap"]));
}

/// Returns a digest of a recipe, which names what is built by it.
pub fn digest(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Runs a command to its end. Unless it succeeds, the test fails and shows what the command wrote.
pub fn run(command: &mut Command) -> Output {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("failed to start {shown}: {error}"));
    assert!(
        output.status.success(),
        "{shown} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a command like [`run`] and returns its standard output without the line end.
pub fn output(command: &mut Command) -> String {
    String::from_utf8_lossy(&run(command).stdout).trim_end().to_owned()
}
