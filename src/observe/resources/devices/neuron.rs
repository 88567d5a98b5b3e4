//! The Neuron cores of this host, sampled by a single neuron-monitor that keeps running.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::lines::Lines;
use super::{DevicesInput, whole_seconds};
use crate::machine::devices::NeuronState;
use crate::machine::devices::neuron::{self, PROGRAM};
use crate::supervise::Companion;

/// The Neuron cores.
#[derive(Debug)]
pub(super) struct Neuron {
    lines: Lines,
}

impl Neuron {
    /// Starts neuron-monitor, if the image has it.
    pub(super) fn start(input: &DevicesInput, interval: Duration) -> Option<Neuron> {
        let started = start(input, interval);
        started.inspect_err(|problem| warn(problem)).ok().map(|companion| Neuron { lines: Lines::of(companion) })
    }

    /// Returns the state of the cores, if there is a new one.
    pub(super) fn sample(&mut self) -> Option<NeuronState> {
        let lines = self.lines.take();
        if self.lines.has_ended {
            let said = self.lines.complaint().or_else(|| lines.last().cloned()).unwrap_or_default();
            warn(&format!("{PROGRAM} has ended: {said}"));
        }
        lines.iter().rev().find_map(|line| neuron::state(line))
    }

    /// Returns true once neuron-monitor has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lines.has_ended
    }
}

fn warn(problem: &str) {
    tracing::warn!("the use of Neuron cores is not recorded: {problem}");
}

fn start(input: &DevicesInput, interval: Duration) -> Result<Companion, String> {
    let program = input.neuron_monitor.as_ref().ok_or_else(|| format!("there is no {PROGRAM} in the image"))?;
    let write = || {
        let folder = input.scratch.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let path = folder.join("neuron-monitor.json");
        std::fs::write(&path, neuron::configuration(whole_seconds(interval))).map(|()| path)
    };
    let file = write().map_err(|error| format!("its configuration cannot be written: {error}"))?;
    let words = [PROGRAM.into(), OsString::from("-c"), file.into_os_string()];
    Companion::start(program, &words, input.variables.iter())
        .map_err(|error| format!("cannot start {}: {error}", program.display()))
}
