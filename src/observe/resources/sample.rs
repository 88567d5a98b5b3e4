//! A sample of the resources, as the difference of two states, and the summary of all samples.

use std::time::Duration;

use serde::Serialize;

use crate::machine::{Space, Traffic, Usage};

/// A sample, as resources.jsonl has it. Sizes are bytes, shares are per cent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResourceSample {
    /// The time in Unix seconds.
    pub time: f64,
    /// The seconds since the first sample.
    #[serde(skip)]
    pub elapsed: f64,
    /// The processors.
    pub cpu: CpuSample,
    /// The memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemorySample>,
    /// The shared memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm: Option<SpaceSample>,
    /// The file system of the base folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<SpaceSample>,
    /// The bytes over network interfaces since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<TrafficSample>,
    /// The bytes over EFA devices since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efa: Option<TrafficSample>,
    /// The shares of the time in which some task waited.
    pub pressure: PressureSample,
    /// The number of processes killed for want of memory since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kills: Option<u64>,
}

/// The processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CpuSample {
    /// The processors that the container may use.
    pub cores: f64,
    /// The processors in use on average since the sample before.
    pub used: Option<f64>,
    /// The share of scheduling periods in which the container was throttled. `None` without a quota.
    pub throttled: Option<f64>,
}

/// The memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemorySample {
    /// The memory in use without the cache that can be dropped.
    pub working_set: u64,
    /// The memory in use.
    pub usage: u64,
    /// The limit.
    pub limit: Option<u64>,
}

/// The space of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpaceSample {
    /// The space in use.
    pub used: u64,
    /// The size.
    pub size: u64,
    /// The space left to ordinary users.
    pub free: u64,
}

/// The bytes over a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrafficSample {
    /// The bytes received.
    pub received: u64,
    /// The bytes sent.
    pub sent: u64,
}

/// The shares of the time in which some task waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PressureSample {
    /// For a processor.
    pub cpu: Option<f64>,
    /// For memory.
    pub memory: Option<f64>,
    /// For a disk.
    pub io: Option<f64>,
}

impl ResourceSample {
    /// Returns the sample of a state, with what happened since the one before and since the first. `time` is in Unix seconds.
    pub fn between(first: &Usage, before: &Usage, now: &Usage, time: f64) -> ResourceSample {
        let passed = now.at.duration_since(before.at).as_secs_f64();
        let grown = |before: Option<Duration>, now: Option<Duration>| {
            let difference = now?.saturating_sub(before?).as_secs_f64();
            (passed > 0.0).then(|| difference / passed)
        };
        let share = |before, now| grown(before, now).map(|share| tenth((100.0 * share).min(100.0)));
        let throttled = before.periods.zip(now.periods).and_then(|(before, now)| {
            let all = now.all.saturating_sub(before.all);
            let throttled = now.throttled.saturating_sub(before.throttled);
            (all > 0).then(|| tenth(100.0 * throttled as f64 / all as f64))
        });
        let space = |space: Space| SpaceSample { used: space.used(), size: space.size, free: space.free };
        let traffic = |first: Option<Traffic>, now: Option<Traffic>| {
            let (first, now) = (first?, now?);
            let received = now.received.saturating_sub(first.received);
            Some(TrafficSample { received, sent: now.sent.saturating_sub(first.sent) })
        };
        ResourceSample {
            time: (time * 1000.0).round() / 1000.0,
            elapsed: now.at.duration_since(first.at).as_secs_f64(),
            cpu: CpuSample {
                cores: tenth(now.processors),
                used: grown(before.processor_time, now.processor_time).map(|used| (used * 1000.0).round() / 1000.0),
                throttled,
            },
            memory: now.memory.map(|memory| MemorySample {
                working_set: memory.working_set,
                usage: memory.usage,
                limit: memory.limit,
            }),
            shm: now.shared_memory.map(space),
            disk: now.disk.map(space),
            network: traffic(first.network, now.network),
            efa: traffic(first.efa, now.efa),
            pressure: PressureSample {
                cpu: share(before.pressure.cpu, now.pressure.cpu),
                memory: share(before.pressure.memory, now.pressure.memory),
                io: share(before.pressure.io, now.pressure.io),
            },
            kills: now.kills.zip(first.kills).map(|(now, first)| now.saturating_sub(first)),
        }
    }
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// The summary of all samples, as the run record has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResourceSummary {
    /// The number of samples.
    pub samples: u64,
    /// The processors that the container may use.
    pub cores: f64,
    /// The processors in use on average.
    pub cpu_mean: Option<f64>,
    /// The most processors in use between two samples.
    pub cpu_max: Option<f64>,
    /// The greatest share of throttled periods between two samples, in per cent.
    pub throttled_max: Option<f64>,
    /// The greatest working set, in bytes.
    pub memory_peak: Option<u64>,
    /// The limit of the memory, in bytes.
    pub memory_limit: Option<u64>,
    /// The most shared memory in use, in bytes.
    pub shm_peak: Option<u64>,
    /// The least free space on the file system of the base folder, in bytes.
    pub disk_free_min: Option<u64>,
    /// The bytes received over network interfaces.
    pub network_received: Option<u64>,
    /// The bytes sent over network interfaces.
    pub network_sent: Option<u64>,
    /// The number of processes killed for want of memory.
    pub kills: Option<u64>,
    #[serde(skip)]
    used: f64,
    #[serde(skip)]
    last: f64,
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
