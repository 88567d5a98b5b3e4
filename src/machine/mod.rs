//! Facts about the machine under the job: processors, GPUs, Neuron cores and EFA devices, memory and disks, programs
//! on PATH.
//!
//! This folder only reads facts, and must not judge them. Counting devices must not slow the start down, so device
//! nodes are counted first. A program such as nvidia-smi is asked only if there are no such nodes.

mod bytes;
mod cgroup;
mod connections;
pub mod devices;
mod disk;
mod instances;
mod tool;
mod usage;
mod which;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

pub use bytes::Bytes;
pub use cgroup::{MemoryCounters, MemoryGroup, Roots, machine_memory};
pub use connections::connections;
pub use disk::{FileSystem, SHARED_MEMORY};
pub use instances::{Accelerators, accelerators, has_efa_rdma, memory};
pub use tool::{ToolError, ToolOutput, run_tool};
pub use usage::{DiskTraffic, MemoryUse, Periods, Pressure, Space, Traffic, Usage, UsageReader};
#[cfg(test)]
pub(crate) use which::tests::program;
pub use which::{DEFAULT_PATH, Lookup, is_program, which};

use crate::job::Variables;

/// The hardware of a host, and the launchers of its image that depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// The number of processors that are online (`os.cpu_count()` in Python).
    pub cpus: usize,
    /// The number of NVIDIA GPUs.
    pub gpus: usize,
    /// The number of Neuron cores.
    pub neuron_cores: usize,
    /// True if there are EFA devices.
    pub efa: bool,
    /// True if the network interface in the job's configuration exists. The local mode of SDK version 3 names one
    /// that does not.
    pub has_interface: bool,
    /// The size of the shared memory, in bytes, if there is any.
    pub shared_memory: Option<u64>,
    /// The path of `smddprun`, if the image has it.
    pub smddprun: Option<PathBuf>,
    /// The path of `smddpmprun`, if the image has it.
    pub smddpmprun: Option<PathBuf>,
}

/// The time limit for a program that reports on the hardware. A driver in trouble can block `nvidia-smi` for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The facts that were found without starting a program, and the programs of the image that can add to them.
#[derive(Clone, Debug)]
pub struct Probe {
    hardware: Hardware,
    nvidia_smi: Option<PathBuf>,
    neuron_ls: Option<PathBuf>,
}

impl Probe {
    /// Examines this machine without starting a program. `instance_type` provides facts that the machine's own tools
    /// do not report.
    pub fn examine(variables: &Variables, instance_type: &str, interface: &str) -> Probe {
        let find = |name: &str| which(name, variables.get_os("PATH")).found();
        let gpus = numbered(Path::new("/dev"), "nvidia");
        // `neuron-ls` does not report the logical cores of this type; sagemaker-training hard-codes their number as well.
        let neuron_cores = if instance_type.contains("trn2.48xlarge") { 64 } else { 0 };
        let hardware = Hardware {
            cpus: cpus(),
            gpus,
            neuron_cores,
            efa: has_efa(Path::new("/dev/infiniband")),
            has_interface: !interface.contains('/') && Path::new("/sys/class/net").join(interface).exists(),
            shared_memory: FileSystem::of(Path::new(SHARED_MEMORY)).ok().map(|found| found.total_bytes),
            smddprun: find("smddprun"),
            smddpmprun: find("smddpmprun"),
        };
        Probe {
            hardware,
            nvidia_smi: (gpus == 0).then(|| find("nvidia-smi")).flatten(),
            neuron_ls: (neuron_cores == 0).then(|| find("neuron-ls")).flatten(),
        }
    }

    /// Sets the number of GPUs to `gpus`, if it is given, so that no program is asked for it.
    pub fn with_gpus(mut self, gpus: Option<usize>) -> Probe {
        if let Some(gpus) = gpus {
            (self.hardware.gpus, self.nvidia_smi) = (gpus, None);
        }
        self
    }

    /// Returns true if there is a program to ask, which can take up to 10 s.
    pub fn has_programs(&self) -> bool {
        self.nvidia_smi.is_some() || self.neuron_ls.is_some()
    }

    /// Asks the programs and returns the hardware. If a program fails or does not answer, the facts so far stay.
    pub fn query_programs(self) -> Hardware {
        let Probe { mut hardware, nvidia_smi, neuron_ls } = self;
        if let Some(text) = nvidia_smi.and_then(|program| answer(&program, &["--list-gpus"])) {
            hardware.gpus = text.lines().filter(|line| line.starts_with("GPU ")).count();
        }
        if let Some(text) = neuron_ls.and_then(|program| answer(&program, &["-j"])) {
            let devices: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
            let cores = devices.iter().filter_map(|device| device.get("nc_count")?.as_u64());
            hardware.neuron_cores = usize::try_from(cores.sum::<u64>()).unwrap_or(0);
        }
        hardware
    }
}

/// Asks a program and returns its standard output, or `None` if it fails or does not answer.
fn answer(program: &Path, arguments: &[&str]) -> Option<String> {
    match tool::run_tool(Command::new(program).args(arguments), PATIENCE) {
        Ok(output) => output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(ToolError::NotStarted(error)) => {
            tracing::debug!("cannot run {}: {error}", program.display());
            None
        }
        Err(error) => {
            tracing::warn!("{} is not used: {error}", program.display());
            None
        }
    }
}

impl Hardware {
    /// Returns the number of training processes that fit on a host: one for each GPU, else one for each Neuron core,
    /// else one.
    pub fn default_processes(&self) -> usize {
        self.accelerators().processes()
    }

    /// Returns the accelerators of this host.
    pub fn accelerators(&self) -> Accelerators {
        Accelerators { gpus: self.gpus, neuron_cores: self.neuron_cores }
    }

    /// Returns the hardware of a host of another instance type that runs the same image, or `None` if the type is
    /// unknown.
    ///
    /// Its EFA devices cannot be detected from this host, so it has none.
    pub fn of_instance(&self, instance_type: &str) -> Option<Hardware> {
        let Accelerators { gpus, neuron_cores } = accelerators(instance_type)?;
        Some(Hardware { gpus, neuron_cores, efa: false, ..self.clone() })
    }
}

/// Returns the number that `multiprocessing.cpu_count()` in Python returns.
fn cpus() -> usize {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
}

/// Returns true if there are EFA devices, which appear as uverbs nodes. They are counted because lists of instance
/// types are incomplete (platform contract, section 11).
fn has_efa(folder: &Path) -> bool {
    numbered(folder, "uverbs") > 0
}

/// Counts the entries of a folder whose names consist of `prefix` and a number.
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
