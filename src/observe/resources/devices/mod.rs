//! The GPUs and Neuron cores of this host, sampled through companions: programs that run beside the job.
//!
//! For GPUs, footplate's own helper is asked first. If it cannot be started, or does not find the library of NVIDIA's
//! driver, a single nvidia-smi that keeps running takes its place. A source that is missing or fails is reported
//! once.

mod gpus;
mod helper;
mod lines;
mod neuron;

use std::path::PathBuf;
use std::time::Duration;

use crate::job::Variables;
use crate::machine::devices::{GpuState, NeuronState};

use gpus::Gpus;
use neuron::Neuron;

/// The input for sampling the devices of a host.
#[derive(Clone, Debug, Default)]
pub struct DevicesInput {
    /// The GPUs.
    pub gpus: GpuPresence,
    /// The path of nvidia-smi, if the image has it.
    pub nvidia_smi: Option<PathBuf>,
    /// True if the host has Neuron cores.
    pub has_neuron: bool,
    /// The path of neuron-monitor, if the image has it.
    pub neuron_monitor: Option<PathBuf>,
    /// A folder for files that are not needed after the run.
    pub scratch: Option<PathBuf>,
    /// The variables of the container, which the programs get.
    pub variables: Variables,
}

/// The presence of GPUs on this host, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuPresence {
    /// The host has no GPUs.
    #[default]
    None,
    /// A setting states that there are GPUs, which may be wrong.
    Assumed,
    /// The host has GPUs.
    Found,
}

/// The devices of this host.
#[derive(Debug)]
pub(super) struct Devices {
    gpus: Option<Gpus>,
    neuron: Option<Neuron>,
}

impl Devices {
    /// Starts the companions.
    pub(super) fn start(input: &DevicesInput, interval: Duration) -> Devices {
        Devices {
            gpus: (input.gpus != GpuPresence::None).then(|| Gpus::start(input, interval)),
            neuron: input.has_neuron.then(|| Neuron::start(input, interval)).flatten(),
        }
    }

    /// Returns the state of the GPUs, if there is a new one. Unless this is the last sample, asks for a new one and
    /// waits a moment.
    pub(super) fn gpus(&mut self, is_last: bool) -> Option<Vec<GpuState>> {
        self.gpus.as_mut()?.sample(is_last)
    }

    /// Returns the state of the Neuron cores, if there is a new one.
    pub(super) fn neuron(&mut self) -> Option<NeuronState> {
        let neuron = self.neuron.as_mut()?;
        let sampled = neuron.sample();
        if neuron.has_ended() {
            self.neuron = None;
        }
        sampled
    }
}

/// Returns an interval in seconds, for programs that accept only whole seconds.
fn whole_seconds(interval: Duration) -> u64 {
    (interval.as_secs_f64().ceil() as u64).max(1)
}
