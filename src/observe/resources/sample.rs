//! A sample of the resources, computed as the difference of two states.

use std::time::Duration;

use serde::Serialize;

use crate::machine::devices::{GpuState, NeuronState};
use crate::machine::{Space, Traffic, Usage};
use crate::observe::export::EventFile;

/// A sample, as `resources.jsonl` stores it. Sizes are bytes, shares are per cent.
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
    /// The bytes read from and written to disks since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<IoSample>,
    /// The bytes received and sent over network interfaces since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<TrafficSample>,
    /// The bytes received and sent over EFA devices since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efa: Option<TrafficSample>,
    /// The shares of the time in which some task had to wait.
    pub pressure: PressureSample,
    /// The number of processes killed for lack of memory since the first sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kills: Option<u64>,
    /// The GPUs, if they were queried for this sample.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuState>,
    /// The Neuron cores, if they have reported since the last sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neuron: Option<NeuronState>,
}

/// The processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CpuSample {
    /// The processors that the container may use.
    pub cores: f64,
    /// The processors in use, on average, since the previous sample.
    pub used: Option<f64>,
    /// The share of scheduling periods in which the container was throttled. `None` without a quota.
    pub throttled: Option<f64>,
}

/// The memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemorySample {
    /// The memory in use, without the cache that can be dropped.
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
    /// The space that ordinary users may still use.
    pub free: u64,
}

/// The bytes read from and written to disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IoSample {
    /// The bytes read.
    pub read: u64,
    /// The bytes written.
    pub written: u64,
}

/// The bytes received and sent over a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrafficSample {
    /// The bytes received.
    pub received: u64,
    /// The bytes sent.
    pub sent: u64,
}

/// The shares of the time in which some task had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PressureSample {
    /// The share of the time spent waiting for a processor.
    pub cpu: Option<f64>,
    /// The share of the time spent waiting for memory.
    pub memory: Option<f64>,
    /// The share of the time spent waiting for a disk.
    pub io: Option<f64>,
}

impl ResourceSample {
    /// Returns the sample for the state `now`, with the changes since the previous state and since the first one.
    /// `time` is in Unix seconds.
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
            io: first.disks.zip(now.disks).map(|(first, now)| IoSample {
                read: now.read.saturating_sub(first.read),
                written: now.written.saturating_sub(first.written),
            }),
            network: traffic(first.network, now.network),
            efa: traffic(first.efa, now.efa),
            pressure: PressureSample {
                cpu: share(before.pressure.cpu, now.pressure.cpu),
                memory: share(before.pressure.memory, now.pressure.memory),
                io: share(before.pressure.io, now.pressure.io),
            },
            kills: now.kills.zip(first.kills).map(|(now, first)| now.saturating_sub(first)),
            gpus: Vec::new(),
            neuron: None,
        }
    }
}

/// The minimum memory that a process holds on a GPU that it uses, in bytes.
const LEAST_CONTEXT: u64 = 256 << 20;

impl ResourceSample {
    /// Returns the lowest share of its power limit that any GPU in use draws. `None` if no GPU is in use, or none
    /// reports its power.
    pub fn power_share(&self) -> Option<f64> {
        let is_used = |gpu: &&GpuState| gpu.memory_used.is_none_or(|used| used >= LEAST_CONTEXT);
        let share = |gpu: &GpuState| Some(gpu.power? / gpu.power_limit.filter(|limit| *limit > 0.0)?);
        self.gpus.iter().filter(is_used).filter_map(share).min_by(f64::total_cmp)
    }

    /// Returns the mean utilization of the GPUs, in per cent. `None` if none reports it.
    pub(super) fn gpu_busy(&self) -> Option<f64> {
        let busy: Vec<f64> = self.gpus.iter().filter_map(|gpu| gpu.busy).collect();
        (!busy.is_empty()).then(|| busy.iter().sum::<f64>() / busy.len() as f64)
    }

    /// Adds the sample to an event file. The steps are the seconds since the first sample.
    pub(super) fn add_to(&self, event_file: &EventFile) {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let add = |name: String, value: Option<f64>| {
            if let Some(value) = value {
                event_file.add(&name, value, Some(self.elapsed as u64), self.time, 0);
            }
        };
        add("system/processors".into(), self.cpu.used);
        add("system/memory_gib".into(), self.memory.map(|memory| gib(memory.working_set)));
        add("system/disk_free_gib".into(), self.disk.map(|disk| gib(disk.free)));
        for gpu in &self.gpus {
            add(format!("gpu{}/busy", gpu.index), gpu.busy);
            add(format!("gpu{}/memory_gib", gpu.index), gpu.memory_used.map(gib));
            add(format!("gpu{}/power", gpu.index), gpu.power);
            add(format!("gpu{}/temperature", gpu.index), gpu.temperature);
        }
        event_file.flush();
    }
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
