//! The plan of a job in containers: the words of every command for the container engine. Nothing is read or started here.

use std::collections::BTreeMap;

use crate::local::job::GpuGrant;

/// The words after the name of the engine's program.
pub(super) type Words = Vec<String>;

/// The path of footplate in containers that only answer a question.
const ANSWERING: &str = "/.footplate";

/// The path of the job's folder in the container that returns files to their owner.
const GIVEN_BACK: &str = "/job";

/// The path of the checkpoints in that container.
const GIVEN_BACK_CHECKPOINTS: &str = "/checkpoints";

/// The command line of a container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineKind {
    Docker,
    Podman,
}

/// The containers of a job.
#[derive(Clone, Debug)]
pub(super) struct ContainerPlan {
    pub(super) kind: EngineKind,
    /// The name of the network, and the prefix of the containers' names. It is unique to this job.
    pub(super) id: String,
    pub(super) image: String,
    /// The path of this binary on this machine.
    pub(super) binary: String,
    /// The path at which the binary is mounted. `None` if the image contains the program that runs the job.
    pub(super) mounted_as: Option<String>,
    pub(super) limits: ContainerLimits,
    /// The file of the containers' variables.
    pub(super) variables: String,
    /// The names of the hosts and their mounts.
    pub(super) hosts: Vec<(String, Vec<Mount>)>,
}

/// The limits of each container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContainerLimits {
    /// The memory, in bytes. `None` for no limit.
    pub(super) memory: Option<u64>,
    /// The shared memory, in bytes. `None` for the engine's own default.
    pub(super) shared_memory: Option<u64>,
    pub(super) gpus: GpuGrant,
}

/// A file or folder of this machine that is mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) is_read_only: bool,
}

impl Mount {
    pub(super) fn new(source: impl Into<String>, target: impl Into<String>) -> Mount {
        Mount { source: source.into(), target: target.into(), is_read_only: false }
    }

    pub(super) fn read_only(source: impl Into<String>, target: impl Into<String>) -> Mount {
        Mount { is_read_only: true, ..Mount::new(source, target) }
    }

    /// Returns the command-line option. The engines read its value as a line of CSV, so a path can contain commas and
    /// colons.
    fn option(&self) -> String {
        let field = |key: &str, value: &str| {
            let is_plain = !value.contains([',', '"']);
            if is_plain { format!("{key}={value}") } else { format!("\"{key}={}\"", value.replace('"', "\"\"")) }
        };
        let (source, target) = (field("source", &self.source), field("target", &self.target));
        format!("--mount=type=bind,{source},{target}{}", if self.is_read_only { ",readonly" } else { "" })
    }
}

/// Returns the words that print the configuration of an image, as JSON.
pub(super) fn inspect_image(image: &str) -> Words {
    words(["image", "inspect", "--format", "{{json .Config}}", image])
}

/// Returns the words that download an image.
pub(super) fn pull(image: &str, is_quiet: bool) -> Words {
    let quiet = is_quiet.then_some("--quiet");
    words(["pull"].into_iter().chain(quiet).chain([image]))
}

impl ContainerPlan {
    /// Returns the name of a host's container.
    pub(super) fn container(&self, host: usize) -> String {
        format!("{}-{}", self.id, self.hosts[host].0)
    }

    /// Returns the names of all containers.
    pub(super) fn containers(&self) -> Vec<String> {
        (0..self.hosts.len()).map(|host| self.container(host)).collect()
    }

    /// Returns the words that run a part of this binary in a container of the image, as root and without a network.
    fn within_image(&self, mounts: &[Mount], part: &[&str]) -> Words {
        let mut found = words(["run", "--rm", "--name", &self.answering(), "--network=none", "--user=0:0"]);
        found.extend(words(["--security-opt=label=disable", "--entrypoint", ANSWERING]));
        found.push(Mount::read_only(&self.binary, ANSWERING).option());
        found.extend(mounts.iter().map(Mount::option));
        found.push(self.image.clone());
        found.extend(words(part.iter().copied()));
        found
    }

    /// Returns the name of the container that answers a question.
    fn answering(&self) -> String {
        format!("{}-footplate", self.id)
    }

    /// Returns the words that remove this container. It removes itself unless it is interrupted.
    pub(super) fn remove_answering(&self) -> Words {
        words(["rm", "--force", &self.answering()])
    }

    /// Returns the words that search the image for `train`.
    pub(super) fn find_train(&self, part: [&str; 2]) -> Words {
        self.within_image(&[], &part)
    }

    /// Returns the words that give the files in the job's folder and among the checkpoints to the owners of these folders.
    pub(super) fn give_back(&self, folder: &str, checkpoints: Option<&str>, part: [&str; 2]) -> Words {
        let mut mounts = vec![Mount::new(folder, GIVEN_BACK)];
        let mut part = [&part[..], &[GIVEN_BACK]].concat();
        if let Some(checkpoints) = checkpoints {
            mounts.push(Mount::new(checkpoints, GIVEN_BACK_CHECKPOINTS));
            part.push(GIVEN_BACK_CHECKPOINTS);
        }
        self.within_image(&mounts, &part)
    }

    /// Returns the words that create the network of the hosts.
    pub(super) fn create_network(&self) -> Words {
        words(["network", "create", &self.id])
    }

    /// Returns the words that create the container of a host.
    ///
    /// The names of the containers must differ from those of other jobs, so hosts find each other by an alias.
    pub(super) fn create(&self, host: usize) -> Words {
        let (name, mounts) = &self.hosts[host];
        let mut found = words(["create", "--name", &self.container(host), "--hostname", name]);
        found.extend(words(["--network", &self.id, "--network-alias", name]));
        // SELinux labels would hide the folders of this machine.
        found.push("--security-opt=label=disable".to_owned());
        found.extend(words(["--env-file", &self.variables]));
        let ContainerLimits { memory, shared_memory, gpus } = self.limits;
        if let Some(bytes) = memory {
            // Equal limits for memory and for memory with swap mean no swap.
            found.extend([format!("--memory={bytes}"), format!("--memory-swap={bytes}")]);
        }
        found.extend(shared_memory.map(|bytes| format!("--shm-size={bytes}")));
        found.extend(self.gpu_options(gpus));
        found.extend(mounts.iter().map(Mount::option));
        if let Some(place) = &self.mounted_as {
            found.push(Mount::read_only(&self.binary, place).option());
        }
        // The platform's own command.
        found.extend([self.image.clone(), "train".to_owned()]);
        found
    }

    /// Returns the options for GPUs. Podman uses the names of the Container Device Interface.
    fn gpu_options(&self, gpus: GpuGrant) -> Vec<String> {
        match (self.kind, gpus) {
            (_, GpuGrant::Some(0)) => Vec::new(),
            (EngineKind::Docker, GpuGrant::All) => vec!["--gpus=all".to_owned()],
            (EngineKind::Docker, GpuGrant::Some(count)) => vec![format!("--gpus={count}")],
            (EngineKind::Podman, GpuGrant::All) => vec!["--device=nvidia.com/gpu=all".to_owned()],
            (EngineKind::Podman, GpuGrant::Some(count)) => {
                (0..count).map(|index| format!("--device=nvidia.com/gpu={index}")).collect()
            }
        }
    }

    /// Returns the words that start a container, pass its output on, and end with its exit code. Signals for this
    /// command would also reach the container.
    pub(super) fn start(&self, host: usize) -> Words {
        words(["start", "--attach", &self.container(host)])
    }

    /// Returns the words that send a signal to a container's first process.
    pub(super) fn signal(&self, host: usize, signal: &str) -> Words {
        words(["kill", "--signal", signal, &self.container(host)])
    }

    /// Returns the words that suspend containers, or let them continue.
    pub(super) fn suspend(&self, hosts: &[usize], word: &str) -> Words {
        let names = hosts.iter().map(|host| self.container(*host));
        [word.to_owned()].into_iter().chain(names).collect()
    }

    /// Returns the words that print how a container ended, as JSON.
    pub(super) fn state(&self, host: usize) -> Words {
        words(["container", "inspect", "--format", "{{json .State}}", &self.container(host)])
    }

    /// Returns the words that stop all containers, with a time limit in seconds.
    pub(super) fn stop(&self, seconds: u64) -> Words {
        let time = format!("--time={seconds}");
        ["stop".to_owned(), time].into_iter().chain(self.containers()).collect()
    }

    /// Returns the words that remove all containers and their own volumes.
    pub(super) fn remove(&self) -> Words {
        words(["rm", "--force", "--volumes"]).into_iter().chain(self.containers()).collect()
    }

    /// Returns the words that remove the network.
    pub(super) fn remove_network(&self) -> Words {
        words(["network", "rm", &self.id])
    }
}

fn words<'w>(found: impl IntoIterator<Item = &'w str>) -> Words {
    found.into_iter().map(str::to_owned).collect()
}

/// A variable that an engine's variables file cannot contain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VariableError {
    /// The name would be misread by the engines.
    #[error("the variable {0:?} is not possible in a container: use letters, digits and '_'")]
    Name(String),
    /// The value has several lines, but the file has one line per variable.
    #[error("the value of the variable {0} has several lines, which a container engine cannot pass on")]
    Lines(String),
    /// The line is too long, because docker reads lines of less than 64 KiB.
    #[error("the value of the variable {0} has more than 64,000 bytes, which a container engine cannot pass on")]
    Long(String),
}

/// Returns the variables file in the form that docker and podman read: a line for each variable, with the value
/// unchanged.
pub(super) fn variables_file(variables: &BTreeMap<String, String>) -> Result<String, VariableError> {
    /// The maximum length of a line, in bytes.
    const LONGEST: usize = 64_000;
    let mut text = String::new();
    for (name, value) in variables {
        if name.starts_with('#') || name.contains(char::is_whitespace) {
            return Err(VariableError::Name(name.clone()));
        }
        if value.contains('\n') || value.ends_with('\r') {
            return Err(VariableError::Lines(name.clone()));
        }
        if name.len() + value.len() > LONGEST {
            return Err(VariableError::Long(name.clone()));
        }
        text += &format!("{name}={value}\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ContainerLimits, ContainerPlan, EngineKind, Mount, VariableError, variables_file};
    use crate::local::job::GpuGrant;

    fn plan(kind: EngineKind, gpus: GpuGrant) -> ContainerPlan {
        ContainerPlan {
            kind,
            id: "footplate-7".into(),
            image: "image:1".into(),
            binary: "/bin/footplate".into(),
            mounted_as: Some("/usr/local/bin/train".into()),
            limits: ContainerLimits { memory: Some(1 << 30), shared_memory: Some(1 << 29), gpus },
            variables: "/out/variables".into(),
            hosts: ["algo-1", "algo-2"]
                .map(|host| (host.to_owned(), vec![Mount::new(format!("/out/{host}"), "/opt/ml/input")]))
                .to_vec(),
        }
    }

    #[test]
    fn a_container_is_created_like_a_host_of_the_platform() {
        let words = plan(EngineKind::Docker, GpuGrant::Some(2)).create(1).join(" ");
        let expected = "create --name footplate-7-algo-2 --hostname algo-2 --network footplate-7 --network-alias algo-2 \
                        --security-opt=label=disable --env-file /out/variables --memory=1073741824 --memory-swap=1073741824 \
                        --shm-size=536870912 --gpus=2 --mount=type=bind,source=/out/algo-2,target=/opt/ml/input \
                        --mount=type=bind,source=/bin/footplate,target=/usr/local/bin/train,readonly image:1 train";
        assert_eq!(words, expected);
        let mut bare = plan(EngineKind::Docker, GpuGrant::Some(0));
        (bare.mounted_as, bare.limits.memory, bare.limits.shared_memory) = (None, None, None);
        let words = bare.create(0).join(" ");
        assert!(words.ends_with("--mount=type=bind,source=/out/algo-1,target=/opt/ml/input image:1 train"), "{words}");
    }

    #[test]
    fn each_engine_is_asked_for_gpus_in_its_own_words() {
        let gpus = |kind, gpus| plan(kind, gpus).gpu_options(gpus).join(" ");
        assert_eq!(gpus(EngineKind::Docker, GpuGrant::All), "--gpus=all");
        assert_eq!(gpus(EngineKind::Podman, GpuGrant::All), "--device=nvidia.com/gpu=all");
        assert_eq!(gpus(EngineKind::Podman, GpuGrant::Some(2)), "--device=nvidia.com/gpu=0 --device=nvidia.com/gpu=1");
        assert_eq!(gpus(EngineKind::Podman, GpuGrant::Some(0)), "");
    }

    #[test]
    fn paths_with_commas_and_quotes_are_mounted() {
        let mount = Mount::read_only("/a,b\"c", "/d:e");
        assert_eq!(mount.option(), r#"--mount=type=bind,"source=/a,b""c",target=/d:e,readonly"#);
    }

    #[test]
    fn everything_that_was_created_is_removed() {
        let plan = plan(EngineKind::Docker, GpuGrant::All);
        assert_eq!(plan.remove().join(" "), "rm --force --volumes footplate-7-algo-1 footplate-7-algo-2");
        assert_eq!(
            (plan.create_network()[2].as_str(), plan.remove_network()[2].as_str()),
            ("footplate-7", "footplate-7")
        );
        let back = plan.give_back("/out", Some("/kept"), ["part", "give-back"]).join(" ");
        assert!(back.ends_with("source=/kept,target=/checkpoints image:1 part give-back /job /checkpoints"), "{back}");
    }

    #[test]
    fn variables_that_an_engine_would_change_are_refused() {
        let file = |name: &str, value: &str| variables_file(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(file("A", " \"b\" #c=d ").as_deref(), Ok("A= \"b\" #c=d \n"));
        assert_eq!(file("A", "b\nc"), Err(VariableError::Lines("A".into())));
        assert_eq!(file("A", "b\r"), Err(VariableError::Lines("A".into())));
        assert_eq!(file("#A", "b"), Err(VariableError::Name("#A".into())));
        assert_eq!(file("A B", "b"), Err(VariableError::Name("A B".into())));
        assert_eq!(file("A", &"x".repeat(64_000)), Err(VariableError::Long("A".into())));
    }
}
