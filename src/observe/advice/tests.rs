//! For each rule, samples at which it must speak and similar ones at which it must be silent.

use std::time::Duration;

use super::{Advice, Advisor};
use crate::observe::metrics::MetricSummary;
use crate::observe::resources::{CpuSample, MemorySample, ResourceSample, SpaceSample};

const GIB: u64 = 1 << 30;

fn sample(elapsed: f64) -> ResourceSample {
    ResourceSample {
        elapsed,
        cpu: CpuSample { cores: 4.0, used: Some(1.0), throttled: Some(0.0) },
        memory: Some(MemorySample { working_set: GIB, usage: GIB, limit: Some(16 * GIB) }),
        shm: Some(SpaceSample { used: 0, size: GIB, free: GIB }),
        disk: Some(SpaceSample { used: GIB, size: 100 * GIB, free: 99 * GIB }),
        ..ResourceSample::default()
    }
}

/// Returns the advice that follows from samples, one each five seconds.
fn advice(samples: usize, change: impl Fn(usize, &mut ResourceSample)) -> Vec<Advice> {
    let mut advisor = Advisor::new(Duration::from_secs(5));
    (0..samples)
        .flat_map(|number| {
            let mut sample = sample(5.0 * number as f64);
            change(number, &mut sample);
            advisor.look(&sample, &[])
        })
        .collect()
}

fn kinds(advice: &[Advice]) -> Vec<&'static str> {
    advice.iter().map(|advice| advice.kind).collect()
}

#[test]
fn an_ordinary_job_gets_no_advice() {
    assert_eq!(advice(200, |_, _| {}), []);
}

#[test]
fn memory_near_its_limit_is_said_once() {
    let at = |size: u64| {
        advice(10, |_, sample| sample.memory = sample.memory.map(|memory| MemorySample { working_set: size, ..memory }))
    };
    let said = at(15 * GIB);
    assert_eq!(kinds(&said), ["memory"]);
    assert_eq!(said[0].text, "15.0 GiB of the container's 16.0 GiB of memory are in use");
    assert_eq!(at(14 * GIB), []);
    // The cache of files does not count, and without a limit nothing is near.
    assert_eq!(
        advice(10, |_, sample| sample.memory =
            Some(MemorySample { working_set: GIB, usage: 16 * GIB, limit: Some(16 * GIB) })),
        []
    );
    assert_eq!(
        advice(10, |_, sample| sample.memory =
            Some(MemorySample { working_set: 99 * GIB, usage: 99 * GIB, limit: None })),
        []
    );
}

#[test]
fn memory_that_grows_towards_its_limit_is_said() {
    let grown = |per_sample: u64, saw: u64| {
        advice(130, |number, sample| {
            let size = 2 * GIB + per_sample * number as u64 + if number.is_multiple_of(2) { saw } else { 0 };
            sample.memory = sample.memory.map(|memory| MemorySample { working_set: size, ..memory });
        })
    };
    // 64 MiB in five seconds.
    let said = grown(64 << 20, 0);
    assert_eq!(kinds(&said), ["memory-growth"]);
    assert!(
        said[0].text.starts_with("the memory in use has grown for 9 minutes by 768.0 MiB a minute"),
        "{}",
        said[0].text
    );
    assert_eq!(kinds(&grown(64 << 20, GIB)), ["memory-growth"]);
    // So slow that the job ends before, or up and down.
    assert_eq!(grown(1 << 20, 0), []);
    assert_eq!(grown(0, GIB), []);
    // The first ten minutes fill caches.
    assert_eq!(
        advice(60, |number, sample| {
            sample.memory =
                sample.memory.map(|memory| MemorySample { working_set: (64 << 20) * number as u64, ..memory });
        }),
        []
    );
    // It grew and stopped.
    assert_eq!(
        advice(200, |number, sample| {
            let size = (64 << 20) * number.min(60) as u64;
            sample.memory = sample.memory.map(|memory| MemorySample { working_set: size, ..memory });
        }),
        []
    );
}

#[test]
fn throttling_is_said_if_it_lasts() {
    let throttled = |share: Option<f64>, every: usize| {
        advice(40, |number, sample| sample.cpu.throttled = if number.is_multiple_of(every) { share } else { Some(0.0) })
    };
    let said = throttled(Some(45.0), 1);
    assert_eq!(kinds(&said), ["throttled"]);
    assert!(
        said[0].text.contains("45 % of the last minute") && said[0].text.contains("4 processors"),
        "{}",
        said[0].text
    );
    assert_eq!(throttled(Some(60.0), 10), []);
    assert_eq!(throttled(None, 1), []);
}

#[test]
fn full_shared_memory_and_full_disks_are_said() {
    let said = advice(2, |_, sample| sample.shm = Some(SpaceSample { used: 62 << 20, size: 64 << 20, free: 2 << 20 }));
    assert_eq!(kinds(&said), ["shm"]);
    assert_eq!(said[0].text, "62.0 MiB of 64.0 MiB of shared memory (/dev/shm) are in use");
    assert_eq!(
        advice(2, |_, sample| sample.shm = Some(SpaceSample { used: 50 << 20, size: 64 << 20, free: 14 << 20 })),
        []
    );
    assert_eq!(advice(2, |_, sample| sample.shm = None), []);
    let said =
        advice(2, |_, sample| sample.disk = Some(SpaceSample { used: 98 * GIB, size: 100 * GIB, free: 2 * GIB }));
    assert_eq!(kinds(&said), ["disk"]);
    assert_eq!(said[0].text, "2.0 GiB of the disk's 100.0 GiB are free");
    assert_eq!(
        advice(2, |_, sample| sample.disk = Some(SpaceSample { used: 94 * GIB, size: 100 * GIB, free: 6 * GIB })),
        []
    );
}

#[test]
fn metrics_that_are_not_finite_or_do_not_change_are_said() {
    let of = |name: &str, values: &[f64]| {
        let mut summary = MetricSummary::default();
        values.iter().for_each(|value| summary.count(*value));
        Advisor::new(Duration::from_secs(5)).look(&sample(0.0), &[(name.to_owned(), summary)])
    };
    let said = of("loss", &[0.5, f64::NAN, f64::NAN]);
    assert_eq!(kinds(&said), ["metric-not-finite"]);
    assert_eq!(said[0].text, "metric loss is NaN or infinite in 2 of its 3 values");
    assert_eq!(of("loss", &[0.5, 0.4]), []);
    let flat: Vec<f64> = (0..20).map(f64::from).chain([0.7; 30]).collect();
    let said = of("validation:loss", &flat);
    assert_eq!(kinds(&said), ["metric-flat"]);
    assert_eq!(said[0].text, "metric validation:loss was 0.7 in all of its last 30 values, of 50");
    // A learning rate may stay, a few values say nothing, and an end that is short is none.
    assert_eq!(of("lr", &flat), []);
    assert_eq!(of("loss", &[0.7; 20]), []);
    assert_eq!(of("loss", &flat[..35]), []);
}
