//! footplate's own helper for sampling GPUs, which runs as a companion.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::job::Variables;
use crate::machine::devices::GpuState;
use crate::machine::devices::nvml::{self, NvmlAnswer, NvmlError};
use crate::supervise::{Companion, OutputState};
use crate::system::kernel::gpu_helper::{PROGRAM, layout};

/// The flag for an executable file in memory. Linux before 6.3 does not know the flag and allows execution without
/// it.
const MFD_EXEC: u32 = 0x10;

/// The time to wait for an answer before the sample is written without it.
const PATIENCE: Duration = Duration::from_millis(50);

/// The share of a processor that the helper may use. If its answers take more, it is asked less often.
const MAX_SHARE: f64 = 0.0002;

/// The maximum time between two questions, even if answers take long.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// The interval of questions about values that seldom change.
const FULL_INTERVAL: Duration = Duration::from_secs(60);

/// The helper while it runs.
#[derive(Debug)]
pub(super) struct Helper {
    companion: Companion,
    bytes: Vec<u8>,
    /// True if an answer is still to come.
    is_asked: bool,
    /// The time from which on the next question may be asked.
    next: Instant,
    /// The time at which the next question is about everything.
    next_full: Instant,
    /// The processor time that the helper had used at its last answer, in nanoseconds.
    used: Option<u64>,
    /// The last complete state of each GPU, because some answers lack values that seldom change.
    full: BTreeMap<u32, GpuState>,
}

/// The reason why the helper cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    /// The helper could not be started, or did not find the library.
    #[error("{0}")]
    NotLoaded(String),
    /// The library does not work.
    #[error("{0}")]
    Library(#[from] NvmlError),
}

impl Helper {
    /// Starts the helper and asks it for everything.
    ///
    /// # Errors
    /// The kernel or the image cannot execute it.
    pub(super) fn start(variables: &Variables) -> io::Result<Helper> {
        if PROGRAM.is_empty() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let flags = MFdFlags::MFD_CLOEXEC;
        let file = match memfd_create(c"gpu-helper", flags | MFdFlags::from_bits_retain(MFD_EXEC)) {
            Err(Errno::EINVAL) => memfd_create(c"gpu-helper", flags)?,
            made => made?,
        };
        let mut file = std::fs::File::from(file);
        file.write_all(PROGRAM)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let companion = Companion::start(Path::new(&path), &["gpu-helper".into()], variables.iter())?;
        let now = Instant::now();
        let mut helper = Helper {
            companion,
            bytes: Vec::new(),
            is_asked: false,
            next: now,
            next_full: now,
            used: None,
            full: BTreeMap::new(),
        };
        helper.request(now);
        Ok(helper)
    }

    fn request(&mut self, now: Instant) {
        let is_full = now >= self.next_full;
        if is_full {
            self.next_full = now + FULL_INTERVAL;
        }
        self.is_asked = self.companion.send(&[if is_full { layout::FULL } else { layout::SHORT }]);
    }

    /// Returns the newest state of the GPUs. Unless this is the last sample, asks the helper for it and waits a
    /// moment.
    ///
    /// # Errors
    /// The helper has ended, or the library does not work.
    pub(super) fn sample(&mut self, is_last: bool) -> Result<Option<Vec<GpuState>>, HelperError> {
        let now = Instant::now();
        let before = self.take(now)?;
        if is_last || self.is_asked || now < self.next {
            return Ok(before);
        }
        self.request(now);
        self.companion.wait(PATIENCE);
        Ok(match (before, self.take(now)?) {
            (Some(before), Some(mut now)) => {
                // Only the first answer contains the name.
                for (gpu, before) in now.iter_mut().zip(before) {
                    gpu.name = gpu.name.take().or(before.name);
                }
                Some(now)
            }
            (before, now) => now.or(before),
        })
    }

    /// Reads the answer that is still to come, if it has arrived.
    fn take(&mut self, now: Instant) -> Result<Option<Vec<GpuState>>, HelperError> {
        let reading = self.companion.read(&mut self.bytes);
        let Some(NvmlAnswer { processor_time, gpus }) = nvml::take(&mut self.bytes) else {
            if reading == OutputState::Ended {
                let said = self.companion.complaint().unwrap_or_else(|| "the helper has ended".into());
                return Err(HelperError::NotLoaded(said));
            }
            return Ok(None);
        };
        self.is_asked = false;
        if let Some(used) = self.used {
            self.next = now + pause(Duration::from_nanos(processor_time.saturating_sub(used)));
        }
        self.used = Some(processor_time);
        let mut gpus = gpus?;
        gpus.iter_mut().for_each(|gpu| self.complete(gpu));
        Ok(Some(gpus))
    }

    /// Adds the values that only complete answers contain.
    fn complete(&mut self, gpu: &mut GpuState) {
        if gpu.name.is_some() || gpu.power_limit.is_some() || gpu.max_clock.is_some() {
            self.full.insert(gpu.index, gpu.clone());
        } else if let Some(full) = self.full.get(&gpu.index) {
            (gpu.power_limit, gpu.max_clock, gpu.memory_errors) =
                (full.power_limit, full.max_clock, full.memory_errors);
        }
    }
}

/// Returns the time to wait before the next question, if an answer took this much processor time.
fn pause(cost: Duration) -> Duration {
    cost.div_f64(MAX_SHARE).min(MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;

    #[test]
    fn an_expensive_question_is_asked_less_often() {
        assert_eq!(pause(Duration::from_micros(400)), Duration::from_secs(2));
        assert_eq!(pause(Duration::from_secs(3)), Duration::from_secs(60));
    }
}
