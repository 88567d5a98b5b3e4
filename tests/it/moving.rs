//! The images of `docker/moving`, which used sagemaker-training before: each is built and runs a job.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::container::{Container, job_with};
use crate::images;
use crate::job::is_full;

/// The name of an example, and the function that returns the stand-in for its base image.
type Example = (&'static str, fn() -> &'static str);

const EXAMPLES: [Example; 14] = [
    ("pip-install", plain),
    ("conda-run", environments),
    ("train-shim", plain),
    ("framework-toolkit", plain),
    ("activated-environment", environments),
    ("serve-or-train", plain),
    ("own-entrypoint", plain),
    ("train-in-code-folder", plain),
    ("framework-image", framework),
    ("code-elsewhere", plain),
    ("shell-script", plain),
    ("python-entrypoint", plain),
    ("program-entrypoint", plain),
    ("uv", environments),
];

/// The examples that need more than the exchange of one file.
const IN_GATE: [&str; 4] = ["conda-run", "serve-or-train", "train-in-code-folder", "framework-image"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/moving")
}

/// Returns an image that stands for any other: no registry is needed.
fn plain() -> &'static str {
    images::small_python()
}

/// Returns a stand-in for images of conda and uv: virtual environments in the places of theirs, and no Python on PATH.
fn environments() -> &'static str {
    let base = plain();
    images::derived(
        "moving-environments",
        &format!(
            "FROM {base}\n\
             RUN for folder in /opt/conda/envs/rl /opt/conda/envs/rapids /app/.venv; do \
             /usr/bin/python3 -m venv --without-pip --copies $folder; done\n\
             RUN rm /usr/bin/python3\n"
        ),
    )
}

/// Returns a stand-in for a prebuilt image of a framework: its `train`, its function, and its ENTRYPOINT.
fn framework() -> &'static str {
    let base = plain();
    images::derived(
        "moving-framework",
        &format!(
            "FROM {base}\n\
             RUN mkdir -p /opt/conda/bin && echo 'exit 3' > /opt/conda/bin/train && chmod +x /opt/conda/bin/train\n\
             ENV PATH=/opt/conda/bin:/usr/local/bin:/usr/bin:/bin\n\
             ENV SAGEMAKER_TRAINING_MODULE=sagemaker_pytorch_container.training:main\n\
             ENTRYPOINT [\"bash\", \"-m\", \"start_with_right_hostname.sh\"]\n"
        ),
    )
}

fn tag(name: &str) -> String {
    format!("footplate-test/moving-{name}:{}", std::process::id())
}

/// Removes the images of all examples when it is dropped. While one is built, the removal of another would remove the steps that
/// both have.
struct AllRemoved;

impl Drop for AllRemoved {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm"]).args(EXAMPLES.map(|(name, _)| tag(name))).output();
    }
}

/// Builds an example and runs a job in it as the platform does.
fn trains(name: &str, base: &str) {
    let tag = tag(name);
    let file = folder().join(name).join("Dockerfile");
    let (base, binary) = (format!("BASE_IMAGE={base}"), format!("FOOTPLATE_IMAGE={}", images::footplate()));
    let mut build = Command::new("docker");
    build.args(["build", "--quiet", "--tag", &tag, "--build-arg", &base, "--build-arg", &binary, "--file"]);
    images::run(build.arg(file).arg(folder()));
    let job = job_with(r#"{"ridge": "0"}"#);
    let volumes =
        ["input", "model", "output"].map(|part| format!("--volume={}:/opt/ml/{part}", job.path(part).display()));
    let container = Container::start_without_volume(&job, &tag, &volumes.each_ref().map(String::as_str), &["train"]);
    let ended = container.end();
    drop(container);
    ended.succeeded();
    assert!(ended.logs.contains("rows=3 slope=2.0000"), "{name}\n{ended}");
    assert_eq!(job.read("model/model.json").as_deref(), Some(r#"{"slope": 2.0}"#), "{name}\n{ended}");
}

#[test]
fn the_images_that_moved_train() {
    if !images::usable() {
        return;
    }
    let _removed = AllRemoved;
    // Only .ci/full builds all of them, which takes minutes.
    let examples: Vec<_> = EXAMPLES.into_iter().filter(|(name, _)| is_full() || IN_GATE.contains(name)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, base)) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    trains(name, base());
                }
            });
        }
    });
}

#[test]
fn every_folder_of_moved_images_is_tested() {
    let entries = fs::read_dir(folder()).expect("the folder").flatten().filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(folders, EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect());
}
