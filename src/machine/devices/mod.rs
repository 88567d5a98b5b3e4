//! The state of GPUs and of Neuron cores, read from the output of the programs that report it.
//!
//! - [`nvml`] reads the answers of footplate's own helper.
//! - [`smi`] reads the lines of nvidia-smi.
//! - [`neuron`] reads the documents of neuron-monitor.
//!
//! This folder starts no program. A figure that a device does not report is `None`.

pub mod neuron;
pub mod nvml;
pub mod smi;

use serde::Serialize;

/// The state of a GPU at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GpuState {
    /// The number of the GPU, as in nvidia-smi.
    pub index: u32,
    /// The name.
    #[serde(skip)]
    pub name: Option<String>,
    /// The share of the time in which any kernel ran, in per cent. It does not show how many multiprocessors worked,
    /// and a kernel that waits for other GPUs counts as running.
    pub busy: Option<f64>,
    /// The share of the time in which memory was read or written, in per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_busy: Option<f64>,
    /// The memory in use, in bytes.
    pub memory_used: Option<u64>,
    /// The size of the memory, in bytes.
    pub memory_total: Option<u64>,
    /// The power, in watts.
    pub power: Option<f64>,
    /// The limit of the power, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit: Option<f64>,
    /// The temperature, in degrees Celsius.
    pub temperature: Option<f64>,
    /// The clock of the multiprocessors, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<f64>,
    /// The maximum clock of the multiprocessors, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clock: Option<f64>,
    /// The reasons why the clock is lower than it could be, without harmless ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slowed: Vec<Slowdown>,
    /// The number of uncorrectable memory errors since the driver was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_errors: Option<u64>,
}

/// A reason why a GPU runs at a lower clock than it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slowdown {
    /// The power limit.
    PowerCap,
    /// The temperature or a fault of the power supply, as detected by the GPU itself.
    Hardware,
    /// The temperature.
    Heat,
    /// An emergency signal of the machine's power supply.
    PowerBrake,
}

/// The bits of `nvmlClocksEventReasons` that mean a slowdown. The bits for idle GPUs and for clocks that the user has
/// set are not among them.
const SLOWDOWNS: [(u64, Slowdown); 5] = [
    (0x04, Slowdown::PowerCap),
    (0x08, Slowdown::Hardware),
    (0x20, Slowdown::Heat),
    (0x40, Slowdown::Heat),
    (0x80, Slowdown::PowerBrake),
];

impl Slowdown {
    /// Returns the slowdowns among the bits of NVML's reasons.
    fn among(reasons: u64) -> Vec<Slowdown> {
        let mut found: Vec<Slowdown> =
            SLOWDOWNS.iter().filter(|(bit, _)| reasons & bit != 0).map(|(_, slowdown)| *slowdown).collect();
        found.dedup();
        found
    }
}

/// The state of the Neuron cores at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NeuronState {
    /// The cores in use, in the order of their numbers.
    pub cores: Vec<NeuronCore>,
    /// The memory in use on devices, in bytes.
    pub memory_used: u64,
    /// The memory of the host that the Neuron runtime uses, in bytes.
    pub host_memory_used: u64,
}

/// The state of a Neuron core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NeuronCore {
    /// The number of the core.
    pub index: u32,
    /// The share of the time in which it worked, in per cent.
    pub busy: f64,
}

#[cfg(test)]
mod tests {
    use super::Slowdown;

    #[test]
    fn only_reasons_that_do_harm_are_slowdowns() {
        assert_eq!(Slowdown::among(0x01 | 0x02 | 0x10 | 0x100), []);
        assert_eq!(Slowdown::among(0x04 | 0x20 | 0x40), [Slowdown::PowerCap, Slowdown::Heat]);
        assert_eq!(Slowdown::among(0x88), [Slowdown::Hardware, Slowdown::PowerBrake]);
    }
}
