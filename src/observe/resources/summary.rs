//! The summary of all samples, as the run record has it.

use serde::Serialize;

use super::sample::ResourceSample;
use crate::machine::devices::GpuState;

/// The summary of all samples, as the run record stores it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResourceSummary {
    /// The number of samples.
    pub samples: u64,
    /// The processors that the container may use.
    pub cores: f64,
    /// The processors in use on average.
    pub cpu_mean: Option<f64>,
    /// The maximum number of processors in use between two samples.
    pub cpu_max: Option<f64>,
    /// The maximum share of throttled periods between two samples, in per cent.
    pub throttled_max: Option<f64>,
    /// The maximum working set, in bytes.
    pub memory_peak: Option<u64>,
    /// The memory limit, in bytes.
    pub memory_limit: Option<u64>,
    /// The maximum shared memory in use, in bytes.
    pub shm_peak: Option<u64>,
    /// The minimum free space on the file system of the base folder, in bytes.
    pub disk_free_min: Option<u64>,
    /// The bytes received over network interfaces.
    pub network_received: Option<u64>,
    /// The bytes sent over network interfaces.
    pub network_sent: Option<u64>,
    /// The number of processes killed for lack of memory.
    pub kills: Option<u64>,
    /// The GPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuSummary>,
    #[serde(skip)]
    used: f64,
    #[serde(skip)]
    last: f64,
}

/// The summary of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GpuSummary {
    /// The number of the GPU.
    pub index: u32,
    /// The name.
    pub name: Option<String>,
    /// The share of the time in which any kernel ran, on average, in per cent.
    pub busy_mean: Option<f64>,
    /// The mean power, in watts.
    pub power_mean: Option<f64>,
    /// The maximum temperature, in degrees Celsius.
    pub temperature_max: Option<f64>,
    /// The maximum memory in use, in bytes.
    pub memory_peak: Option<u64>,
    /// The size of the memory, in bytes.
    pub memory_total: Option<u64>,
    /// The number of uncorrectable memory errors since the driver was loaded.
    pub memory_errors: Option<u64>,
    #[serde(skip)]
    busy: Mean,
    #[serde(skip)]
    power: Mean,
}

/// The mean of values that are added one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    count: u32,
    sum: f64,
}

impl Mean {
    /// Adds a value, and returns the mean so far, to one decimal.
    fn add(&mut self, value: Option<f64>) -> Option<f64> {
        if let Some(value) = value {
            self.count += 1;
            self.sum += value;
        }
        (self.count > 0).then(|| (10.0 * self.sum / f64::from(self.count)).round() / 10.0)
    }
}

impl GpuSummary {
    fn add(&mut self, gpu: &GpuState) {
        self.index = gpu.index;
        if self.name.is_none() {
            self.name.clone_from(&gpu.name);
        }
        self.busy_mean = self.busy.add(gpu.busy);
        self.power_mean = self.power.add(gpu.power);
        self.temperature_max = self.temperature_max.into_iter().chain(gpu.temperature).reduce(f64::max);
        self.memory_peak = self.memory_peak.into_iter().chain(gpu.memory_used).max();
        self.memory_total = gpu.memory_total.or(self.memory_total);
        self.memory_errors = gpu.memory_errors.or(self.memory_errors);
    }
}

impl ResourceSummary {
    /// Adds a sample.
    pub fn add(&mut self, sample: &ResourceSample) {
        let most = |old: Option<u64>, new: Option<u64>| old.into_iter().chain(new).max();
        let greatest = |old: Option<f64>, new: Option<f64>| old.into_iter().chain(new).reduce(f64::max);
        self.samples += 1;
        self.cores = sample.cpu.cores;
        if let Some(used) = sample.cpu.used {
            self.used += used * (sample.elapsed - self.last);
            self.cpu_mean = (sample.elapsed > 0.0).then(|| (1000.0 * self.used / sample.elapsed).round() / 1000.0);
        }
        self.last = sample.elapsed;
        self.cpu_max = greatest(self.cpu_max, sample.cpu.used);
        self.throttled_max = greatest(self.throttled_max, sample.cpu.throttled);
        self.memory_peak = most(self.memory_peak, sample.memory.map(|memory| memory.working_set));
        self.memory_limit = sample.memory.and_then(|memory| memory.limit);
        self.shm_peak = most(self.shm_peak, sample.shm.map(|shm| shm.used));
        self.disk_free_min = self.disk_free_min.into_iter().chain(sample.disk.map(|disk| disk.free)).min();
        self.network_received = sample.network.map(|network| network.received);
        self.network_sent = sample.network.map(|network| network.sent);
        self.kills = sample.kills;
        for gpu in &sample.gpus {
            let at = self.gpus.iter().position(|known| known.index == gpu.index).unwrap_or_else(|| {
                self.gpus.push(GpuSummary::default());
                self.gpus.len() - 1
            });
            self.gpus[at].add(gpu);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{ResourceSample, ResourceSummary};
    use crate::machine::{MemoryUse, Periods, Pressure, Space, Traffic, Usage};

    fn usage(at: Instant, seconds: u64) -> Usage {
        Usage {
            at: at + Duration::from_secs(seconds),
            processors: 4.0,
            processor_time: Some(Duration::from_secs(10 + 2 * seconds)),
            periods: Some(Periods { all: 100 + 10 * seconds, throttled: 5 + 4 * seconds }),
            memory: Some(MemoryUse { usage: 9, working_set: 5 + seconds, limit: Some(100) }),
            kills: Some(1 + seconds / 10),
            pressure: Pressure { cpu: Some(Duration::from_millis(300 * seconds)), memory: None, io: None },
            disks: None,
            network: Some(Traffic { received: 50 * seconds, sent: seconds }),
            efa: None,
            shared_memory: Some(Space { size: 64, free: 60 }),
            disk: Some(Space { size: 1000, free: 500 - seconds }),
        }
    }

    #[test]
    fn a_sample_has_the_differences_and_a_summary_the_extremes() {
        let at = Instant::now();
        let (first, second, third) = (usage(at, 0), usage(at, 5), usage(at, 10));
        let samples = [
            ResourceSample::between(&first, &first, &second, 5.0),
            ResourceSample::between(&first, &second, &third, 10.0),
        ];
        let cpu = samples[1].cpu;
        assert_eq!((cpu.cores, cpu.used, cpu.throttled), (4.0, Some(2.0), Some(40.0)));
        assert_eq!((samples[1].pressure.cpu, samples[1].pressure.io), (Some(30.0), None));
        assert_eq!((samples[1].network.map(|network| network.received), samples[1].kills), (Some(500), Some(1)));
        let mut summary = ResourceSummary::default();
        samples.iter().for_each(|sample| summary.add(sample));
        assert_eq!((summary.samples, summary.cpu_mean, summary.cpu_max), (2, Some(2.0), Some(2.0)));
        assert_eq!((summary.memory_peak, summary.memory_limit), (Some(15), Some(100)));
        assert_eq!((summary.shm_peak, summary.disk_free_min, summary.kills), (Some(4), Some(490), Some(1)));
    }
}
