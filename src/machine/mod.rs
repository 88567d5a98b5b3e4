//! What the machine has: processors, GPUs, Neuron cores, EFA devices.
//!
//! Counting must not slow the start down: a device node is looked at before a program is asked.

mod bytes;
mod cgroup;
mod disk;
mod instances;
mod probe;
mod which;

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{SysconfVar, sysconf};

pub use bytes::Bytes;
pub use cgroup::{MemoryCounters, MemoryGroup, Roots, machine_memory};
pub use disk::{FileSystem, SHARED_MEMORY};
pub use instances::{Accelerators, accelerators, has_efa_rdma};
pub use which::{DEFAULT_PATH, Lookup, is_program, which};

use crate::job::Variables;

/// What this host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Processors that are online (`os.cpu_count()`).
    pub cpus: usize,
    /// NVIDIA GPUs.
    pub gpus: usize,
    /// Neuron cores.
    pub neuron_cores: usize,
    /// Whether there are EFA devices.
    pub efa: bool,
    /// Whether the network interface that the job names is there; the local mode of SDK version 3 names one that is not.
    pub has_interface: bool,
    /// Where `smddprun` is, if the image has it.
    pub smddprun: Option<PathBuf>,
    /// Where `smddpmprun` is, if the image has it.
    pub smddpmprun: Option<PathBuf>,
}

/// What the machine shows at once, and which of the image's programs could tell more.
#[derive(Clone, Debug)]
pub struct Probe {
    hardware: Hardware,
    nvidia_smi: Option<PathBuf>,
    neuron_ls: Option<PathBuf>,
}

impl Probe {
    /// Looks at this machine without asking a program. `instance_type` tells what the machine's own tools do not.
    pub fn look(variables: &Variables, instance_type: &str, interface: &str) -> Probe {
        let find = |name: &str| which(name, variables.get_os("PATH")).found();
        let gpus = numbered(Path::new("/dev"), "nvidia");
        // `neuron-ls` does not tell the logical cores of this one (toolkit: hard-coded as well).
        let neuron_cores = if instance_type.contains("trn2.48xlarge") { 64 } else { 0 };
        let hardware = Hardware {
            cpus: cpus(),
            gpus,
            neuron_cores,
            efa: has_efa(Path::new("/dev/infiniband")),
            has_interface: !interface.contains('/') && Path::new("/sys/class/net").join(interface).exists(),
            smddprun: find("smddprun"),
            smddpmprun: find("smddpmprun"),
        };
        Probe {
            hardware,
            nvidia_smi: (gpus == 0).then(|| find("nvidia-smi")).flatten(),
            neuron_ls: (neuron_cores == 0).then(|| find("neuron-ls")).flatten(),
        }
    }

    /// The same machine with so many GPUs, where somebody says how many it is to have: nobody is asked, then.
    pub fn with_gpus(mut self, gpus: Option<usize>) -> Probe {
        if let Some(gpus) = gpus {
            (self.hardware.gpus, self.nvidia_smi) = (gpus, None);
        }
        self
    }

    /// Whether there is a program to be asked, which can take its time.
    pub fn has_programs(&self) -> bool {
        self.nvidia_smi.is_some() || self.neuron_ls.is_some()
    }

    /// Asks the programs, and gives what the host has.
    pub fn ask(self) -> Hardware {
        let Probe { mut hardware, nvidia_smi, neuron_ls } = self;
        if let Some(text) = nvidia_smi.and_then(|program| probe::output(&program, &["--list-gpus"])) {
            hardware.gpus = text.lines().filter(|line| line.starts_with("GPU ")).count();
        }
        if let Some(text) = neuron_ls.and_then(|program| probe::output(&program, &["-j"])) {
            let devices: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
            let cores = devices.iter().filter_map(|device| device.get("nc_count")?.as_u64());
            hardware.neuron_cores = usize::try_from(cores.sum::<u64>()).unwrap_or(0);
        }
        hardware
    }
}

impl Hardware {
    /// How many training processes a host has room for: one for each GPU, else each Neuron core, else one.
    pub fn default_processes(&self) -> usize {
        self.accelerators().processes()
    }

    /// The accelerators of this host.
    pub fn accelerators(&self) -> Accelerators {
        Accelerators { gpus: self.gpus, neuron_cores: self.neuron_cores }
    }

    /// What a host of another instance type has that runs the same image; none where the type is not known. Whether it has
    /// EFA devices cannot be told from here.
    pub fn of_instance(&self, instance_type: &str) -> Option<Hardware> {
        let Accelerators { gpus, neuron_cores } = accelerators(instance_type)?;
        Some(Hardware { gpus, neuron_cores, efa: false, ..self.clone() })
    }
}

/// `multiprocessing.cpu_count()`.
fn cpus() -> usize {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
}

/// EFA devices show as uverbs nodes; lists of instance types are incomplete (platform contract, section 11).
fn has_efa(folder: &Path) -> bool {
    numbered(folder, "uverbs") > 0
}

/// How many entries of a folder are `prefix` and a number.
fn numbered(folder: &Path, prefix: &str) -> usize {
    let is_numbered = |name: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_numbered)).count()
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn only_numbered_nodes_count_as_devices() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["nvidia0", "nvidia7", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia", "xnvidia1"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        assert_eq!(numbered(folder.path(), "nvidia"), 3);
        assert_eq!(numbered(&folder.path().join("none"), "nvidia"), 0);
    }
}
