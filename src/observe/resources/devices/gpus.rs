//! The GPUs of this host, sampled from the first source that works.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use super::helper::{Helper, HelperError};
use super::lines::Lines;
use super::{DevicesInput, GpuPresence, whole_seconds};
use crate::machine::devices::GpuState;
use crate::machine::devices::smi::{self, Dialect};
use crate::supervise::Companion;

/// The GPUs.
#[derive(Debug)]
pub(super) struct Gpus {
    source: Source,
    input: DevicesInput,
    interval: Duration,
}

/// The program that reports on the GPUs.
#[derive(Debug)]
enum Source {
    Helper(Helper),
    Smi(Lines, Dialect),
    Nothing,
}

impl Gpus {
    /// Starts the helper or, if that fails, nvidia-smi.
    pub(super) fn start(input: &DevicesInput, interval: Duration) -> Gpus {
        let mut gpus = Gpus { source: Source::Nothing, input: input.clone(), interval };
        match Helper::start(&input.variables) {
            Ok(helper) => gpus.source = Source::Helper(helper),
            Err(error) => gpus.fall_back(&format!("the helper cannot be started: {error}")),
        }
        gpus
    }

    /// Replaces the helper by nvidia-smi.
    fn fall_back(&mut self, problem: &str) {
        if self.input.nvidia_smi.is_none() {
            self.give_up(&format!("{problem}; there is no nvidia-smi on PATH either"));
            return;
        }
        tracing::debug!("nvidia-smi samples the GPUs: {problem}");
        self.start_smi(Dialect::New);
    }

    fn start_smi(&mut self, dialect: Dialect) {
        let Some(program) = self.input.nvidia_smi.clone() else { return };
        let arguments = smi::arguments(dialect, whole_seconds(self.interval)).into_iter().map(OsString::from);
        let words: Vec<OsString> = std::iter::once("nvidia-smi".into()).chain(arguments).collect();
        match Companion::start(&program, &words, self.input.variables.iter()) {
            Ok(companion) => self.source = Source::Smi(Lines::of(companion), dialect),
            Err(error) => self.give_up(&format!("cannot start {}: {error}", program.display())),
        }
    }

    /// Stops sampling GPUs, and logs the reason.
    fn give_up(&mut self, problem: &str) {
        if self.input.gpus == GpuPresence::Found {
            tracing::warn!("the use of GPUs is not recorded: {problem}");
        } else {
            tracing::debug!("the use of GPUs is not recorded: {problem}");
        }
        self.source = Source::Nothing;
    }

    /// Returns the state of the GPUs, if there is a new one.
    pub(super) fn sample(&mut self, is_last: bool) -> Option<Vec<GpuState>> {
        match &mut self.source {
            Source::Helper(helper) => match helper.sample(is_last) {
                Ok(sampled) => sampled,
                Err(HelperError::NotLoaded(problem)) => {
                    self.fall_back(&problem);
                    None
                }
                Err(HelperError::Library(error)) => {
                    self.give_up(&error.to_string());
                    None
                }
            },
            Source::Smi(lines, dialect) => {
                let (mut found, mut other) = (BTreeMap::new(), None);
                for line in lines.take() {
                    match smi::gpu(&line) {
                        Some(gpu) => {
                            found.insert(gpu.index, gpu);
                        }
                        None => other = Some(line),
                    }
                }
                if lines.has_ended {
                    let other = other.or_else(|| lines.complaint()).unwrap_or_default();
                    if *dialect == Dialect::New && smi::is_foreign(&other) {
                        self.start_smi(Dialect::Old);
                    } else {
                        self.give_up(&format!("nvidia-smi has ended: {other}"));
                    }
                }
                (!found.is_empty()).then(|| found.into_values().collect())
            }
            Source::Nothing => None,
        }
    }
}
