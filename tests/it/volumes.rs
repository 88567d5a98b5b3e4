//! Volumes of the container engine with Python environments, each made once for the machine.

use std::path::Path;
use std::process::Command;

use super::{images, kept};

/// A volume with a virtual environment, and its place in containers.
pub struct PythonVolume {
    pub name: &'static str,
    pub folder: &'static str,
}

/// Makes a volume with a virtual environment that holds packages, for containers of bookworm, and returns its name. It is
/// made once for the machine, which takes minutes. `folder` is its place in containers. `warm_up` runs the programs that
/// tests use, because importing compiles their modules. Afterwards the volume can be mounted read-only.
pub fn python_volume(name: &'static str, folder: &str, packages: &str, warm_up: &str) -> &'static str {
    made_volume(images::debian("bookworm"), None, name, folder, packages, warm_up)
}

/// Makes a volume like [`python_volume`], whose packages need libraries of an image that is built from bookworm.
pub fn python_volume_in(image: &str, name: &'static str, folder: &str, packages: &str, warm_up: &str) -> &'static str {
    made_volume(image, None, name, folder, packages, warm_up)
}

/// Makes a volume like [`python_volume`] whose packages need those of another volume.
pub fn python_volume_over(
    other: &PythonVolume,
    name: &'static str,
    folder: &str,
    packages: &str,
    warm_up: &str,
) -> &'static str {
    made_volume(images::debian("bookworm"), Some(other), name, folder, packages, warm_up)
}

/// Makes a volume, unless the machine has it, and returns its name.
fn made_volume(
    image: &str,
    other: Option<&PythonVolume>,
    name: &'static str,
    folder: &str,
    packages: &str,
    warm_up: &str,
) -> &'static str {
    let in_container = |options: &[&str], script: &str| {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", &format!("--volume={name}:{folder}")]).args(options);
        if let Some(other) = other {
            command.arg(format!("--volume={}:{}:ro", other.name, other.folder));
        }
        command.args([image, "sh", "-ec", script]);
        command
    };
    let _lock = images::locked(name);
    // A second volume, an empty one, says which recipe the first was made by: looking for it starts no container.
    let other_name = other.map_or("", |other| other.name);
    let recipe = format!("recipe={:016x}", images::digest(&[image, other_name, folder, packages, warm_up]));
    let complete = format!("{name}-complete");
    let volume =
        |arguments: &[&str]| Command::new("docker").arg("volume").args(arguments).output().expect("docker runs");
    let found = volume(&[
        "inspect",
        "--format",
        "{{range $name, $value := .Labels}}{{$name}}={{$value}}{{end}}",
        name,
        &complete,
    ]);
    if !found.status.success() || String::from_utf8_lossy(&found.stdout).trim() != recipe {
        volume(&["rm", "--force", &complete]);
        let mut options = vec![format!("--volume={}:/usr/local/bin/uv:ro", kept::uv().display())];
        for (name, value) in kept::settings_of_uv() {
            // A file of this machine has the same place in the container.
            if Path::new(&value).exists() {
                options.push(format!("--volume={value}:{value}:ro"));
            }
            options.push(format!("--env={name}={value}"));
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let packages_of_other = other.map_or(String::new(), |other| {
            let path = "lib/python3.11/site-packages";
            format!("echo {}/{path} > {folder}/{path}/other.pth;", other.folder)
        });
        let script = format!(
            "rm -rf {folder}/*; python3 -m venv --without-pip {folder}; {packages_of_other}
             uv pip install --quiet --python {folder} --cache-dir {folder}/cache {packages}
             rm -r {folder}/cache
             {warm_up}"
        );
        images::run(&mut in_container(&options, &script));
        let created = volume(&["create", "--label", &recipe, &complete]);
        assert!(created.status.success(), "{complete}: {}", String::from_utf8_lossy(&created.stderr));
    }
    name
}
