//! For each rule, samples at which it must give advice and similar ones at which it must not.

use std::time::Duration;

use super::{Advice, Advisor, Processes, RULES};
use crate::machine::devices::{GpuState, Slowdown};
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

/// Returns the advice that follows from samples taken every five seconds.
fn advice(samples: usize, change: impl Fn(usize, &mut ResourceSample)) -> Vec<Advice> {
    advice_for(Processes::Several, samples, change)
}

fn advice_for(processes: Processes, samples: usize, change: impl Fn(usize, &mut ResourceSample)) -> Vec<Advice> {
    let mut advisor = Advisor::new(Duration::from_secs(5), processes);
    (0..samples)
        .flat_map(|number| {
            let mut sample = sample(5.0 * number as f64);
            change(number, &mut sample);
            advisor.examine(&sample, &[], None)
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
    assert_eq!(said[0].evidence, "15.0 GiB of the container's 16.0 GiB are in use");
    assert_eq!(at(14 * GIB), []);
    // The page cache does not count, and without a limit no limit is near.
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
    assert!(said[0].evidence.starts_with("for 9 minutes it has grown by 768.0 MiB a minute"), "{}", said[0].evidence);
    assert_eq!(kinds(&grown(64 << 20, GIB)), ["memory-growth"]);
    // The growth is so slow that the job ends before, or the memory goes up and down.
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
    // The memory grew and then stopped growing.
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
        said[0].evidence.contains("45 % of the last minute") && said[0].evidence.contains("4 processors"),
        "{}",
        said[0].evidence
    );
    assert_eq!(throttled(Some(60.0), 10), []);
    assert_eq!(throttled(None, 1), []);
}

#[test]
fn full_shared_memory_and_full_disks_are_said() {
    let said = advice(2, |_, sample| sample.shm = Some(SpaceSample { used: 62 << 20, size: 64 << 20, free: 2 << 20 }));
    assert_eq!(kinds(&said), ["shm"]);
    assert_eq!(said[0].evidence, "62.0 MiB of 64.0 MiB in /dev/shm are in use");
    assert_eq!(
        advice(2, |_, sample| sample.shm = Some(SpaceSample { used: 50 << 20, size: 64 << 20, free: 14 << 20 })),
        []
    );
    assert_eq!(advice(2, |_, sample| sample.shm = None), []);
    let said =
        advice(2, |_, sample| sample.disk = Some(SpaceSample { used: 98 * GIB, size: 100 * GIB, free: 2 * GIB }));
    assert_eq!(kinds(&said), ["disk"]);
    assert_eq!(said[0].evidence, "2.0 GiB of 100.0 GiB are free");
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
        Advisor::new(Duration::from_secs(5), Processes::Several).examine(
            &sample(0.0),
            &[(name.to_owned(), summary)],
            None,
        )
    };
    let said = of("loss", &[0.5, f64::NAN, f64::NAN]);
    assert_eq!(kinds(&said), ["metric-not-finite"]);
    assert_eq!(said[0].evidence, "loss is NaN or infinite in 2 of its 3 values");
    assert_eq!(of("loss", &[0.5, 0.4]), []);
    let said = of("train_loss", &[f64::NAN, f64::NAN]);
    assert_eq!(said[0].evidence, "train_loss is NaN or infinite in 2 of its 2 values");
    // A metric without a value may be NaN, and so may the first value of a loss.
    assert_eq!(of("gap", &[f64::NAN, f64::NAN]), []);
    assert_eq!(of("loss", &[f64::NAN]), []);
    let flat: Vec<f64> = (0..20).map(f64::from).chain([0.7; 30]).collect();
    let said = of("validation:loss", &flat);
    assert_eq!(kinds(&said), ["metric-flat"]);
    assert_eq!(said[0].evidence, "validation:loss was 0.7 in all of its last 30 values, of 50");
    // A learning rate may stay constant, a few values prove nothing, and a short constant end is harmless.
    assert_eq!(of("lr", &flat), []);
    assert_eq!(of("loss", &[0.7; 20]), []);
    assert_eq!(of("loss", &flat[..35]), []);
}

#[test]
fn a_pattern_that_cuts_numbers_is_said() {
    let of = |is_cut: bool| {
        let problem = Some("its pattern takes only 1.2 of the number in the line lr 1.2e-05".to_owned());
        let summary = MetricSummary { count: 1, is_cut, problem, ..MetricSummary::default() };
        Advisor::new(Duration::from_secs(5), Processes::One).examine(&sample(0.0), &[("lr".to_owned(), summary)], None)
    };
    let said = of(true);
    assert_eq!(kinds(&said), ["metric-cut"]);
    assert_eq!(said[0].evidence, "lr: its pattern takes only 1.2 of the number in the line lr 1.2e-05");
    assert_eq!(of(false), []);
}

/// A GPU that trains well.
fn gpu(index: u32) -> GpuState {
    GpuState {
        index,
        busy: Some(95.0),
        memory_used: Some(60 * GIB),
        memory_total: Some(80 * GIB),
        power: Some(600.0),
        temperature: Some(60.0),
        clock: Some(1800.0),
        max_clock: Some(1980.0),
        ..GpuState::default()
    }
}

/// Returns the advice for a job on four GPUs, sampled for more than five minutes.
fn with_gpus(change: impl Fn(usize, &mut [GpuState])) -> Vec<Advice> {
    advice(64, |number, sample| {
        sample.gpus = (0..4).map(gpu).collect();
        change(number, &mut sample.gpus);
    })
}

#[test]
fn gpus_at_work_get_no_advice_and_a_few_minutes_say_nothing() {
    assert_eq!(with_gpus(|_, _| {}), []);
    let idle = |samples: usize| advice(samples, |_, sample| sample.gpus = vec![GpuState { busy: Some(0.0), ..gpu(0) }]);
    assert_eq!(idle(60), []);
    assert_eq!(kinds(&idle(61)), ["gpu-idle"]);
    // These GPUs report nothing, or were sampled too rarely.
    assert_eq!(with_gpus(|_, gpus| gpus.iter_mut().for_each(|gpu| *gpu = GpuState::default())), []);
    let seldom = advice(64, |number, sample| {
        if number.is_multiple_of(20) {
            sample.gpus = vec![GpuState { busy: Some(0.0), ..gpu(0) }];
        }
    });
    assert_eq!(seldom, []);
}

#[test]
fn idle_gpus_are_said() {
    let said = with_gpus(|_, gpus| gpus.iter_mut().for_each(|gpu| gpu.busy = Some(3.0)));
    assert_eq!(kinds(&said), ["gpu-idle"]);
    assert_eq!(said[0].evidence, "in five minutes GPUs 0, 1, 2, 3 did nothing for at least 97 % of the time");
    let said = with_gpus(|_, gpus| gpus[2].busy = Some(0.0));
    assert_eq!(said[0].evidence, "in five minutes GPU 2 of 4 did nothing for at least 100 % of the time");
    // A GPU that works in bursts is not idle.
    assert_eq!(with_gpus(|number, gpus| gpus[2].busy = Some(if number.is_multiple_of(4) { 60.0 } else { 0.0 })), []);
}

#[test]
fn gpus_that_wait_for_the_processors_are_said() {
    let of = |busy: f64, used: f64| {
        advice(64, |_, sample| {
            sample.gpus = (0..4).map(|index| GpuState { busy: Some(busy), ..gpu(index) }).collect();
            sample.cpu.used = Some(used);
        })
    };
    let said = of(31.0, 3.9);
    assert_eq!(kinds(&said), ["data-loader"]);
    assert_eq!(
        said[0].evidence,
        "in five minutes the GPUs were busy 31 % of the time, while 98 % of 4 processors were in use"
    );
    // The cause of the idle GPUs is known in that case.
    assert_eq!(kinds(&of(3.0, 3.9)), ["data-loader"]);
    assert_eq!(of(31.0, 2.0), []);
    assert_eq!(of(70.0, 3.9), []);
}

#[test]
fn gpus_that_wait_for_the_data_loader_are_said() {
    let of = |busy: f64, used: f64, share: fn(usize) -> Option<f64>| {
        let mut advisor = Advisor::new(Duration::from_secs(5), Processes::Several);
        let examine = |number: usize| {
            let mut sample = sample(5.0 * number as f64);
            sample.gpus = (0..4).map(|index| GpuState { busy: Some(busy), ..gpu(index) }).collect();
            sample.cpu.used = Some(used);
            advisor.examine(&sample, &[], share(number))
        };
        (0..64).flat_map(examine).collect::<Vec<Advice>>()
    };
    // Every fourth sample has a look, and in every fourth of these the ranks compute.
    let mostly = |number: usize| number.is_multiple_of(4).then_some(if number.is_multiple_of(16) { 0.0 } else { 1.0 });
    let said = of(31.0, 1.0, mostly);
    assert_eq!(kinds(&said), ["data-wait"]);
    assert_eq!(
        said[0].evidence,
        "in five minutes the GPUs were busy 31 % of the time, and most ranks were in their data loader at 12 of 16 looks"
    );
    // It explains idle GPUs too.
    assert_eq!(kinds(&of(3.0, 1.0, mostly)), ["data-wait"]);
    assert_eq!(kinds(&of(31.0, 3.9, mostly)), ["data-loader"], "more workers do not help if all processors are in use");
    assert_eq!(of(70.0, 1.0, mostly), []);
    assert_eq!(of(31.0, 1.0, |number| number.is_multiple_of(4).then_some(0.25)), []);
    assert_eq!(of(31.0, 1.0, |number| (number > 48 && number.is_multiple_of(4)).then_some(1.0)), [], "too few looks");
    assert_eq!(of(31.0, 1.0, |_| None), []);
}

#[test]
fn one_process_on_several_gpus_is_said() {
    let of = |processes: Processes, busy: [f64; 4]| {
        advice_for(processes, 64, |_, sample| {
            sample.gpus = (0..4).zip(busy).map(|(index, busy)| GpuState { busy: Some(busy), ..gpu(index) }).collect();
        })
    };
    let said = of(Processes::One, [95.0, 0.0, 0.0, 0.0]);
    assert_eq!(kinds(&said), ["one-process"]);
    assert_eq!(said[0].evidence, "this host runs one process, which uses GPU 0 of 4");
    assert_eq!(kinds(&of(Processes::Several, [95.0, 0.0, 0.0, 0.0])), ["gpu-idle"]);
    // One process can use all GPUs.
    assert_eq!(of(Processes::One, [95.0; 4]), []);
}

#[test]
fn memory_that_is_left_over_on_busy_gpus_is_said() {
    let of = |busy: f64, used: u64| {
        with_gpus(|_, gpus| {
            gpus.iter_mut().for_each(|gpu| (gpu.busy, gpu.memory_used) = (Some(busy), Some(used * GIB)));
        })
    };
    let said = of(93.0, 24);
    assert_eq!(kinds(&said), ["gpu-memory"]);
    assert_eq!(said[0].evidence, "the GPUs are busy 93 % of the time and use at most 30 % of their memory");
    assert_eq!(of(93.0, 44), []);
    assert_eq!(of(60.0, 24), []);
    // A peak counts.
    assert_eq!(
        with_gpus(|number, gpus| {
            gpus.iter_mut().for_each(|gpu| gpu.memory_used = Some(if number == 40 { 70 * GIB } else { 20 * GIB }));
        }),
        []
    );
}

#[test]
fn one_slow_gpu_is_said() {
    let of = |clock: f64, busy: f64| {
        with_gpus(|_, gpus| {
            gpus.iter_mut().for_each(|gpu| gpu.busy = Some(busy));
            gpus[2].clock = Some(clock);
        })
    };
    let said = of(1400.0, 97.0);
    assert_eq!(kinds(&said), ["gpu-slow"]);
    assert_eq!(said[0].evidence, "GPU 2 runs at 1400 MHz, the others at 1800 MHz or more");
    assert_eq!(of(1700.0, 97.0), []);
    // A GPU with little to do lowers its clock.
    assert_eq!(of(1400.0, 40.0), []);
}

#[test]
fn gpus_that_protect_themselves_are_said() {
    let of = |slowdown: Slowdown, every: usize| {
        with_gpus(|number, gpus| {
            if number.is_multiple_of(every) {
                gpus[1].slowed = vec![slowdown];
            }
        })
    };
    for slowdown in [Slowdown::Heat, Slowdown::Hardware, Slowdown::PowerBrake] {
        let said = of(slowdown, 2);
        assert_eq!(kinds(&said), ["gpu-heat"]);
        assert!(said[0].evidence.starts_with("GPU 1 in up to 5"), "{}", said[0].evidence);
        assert_eq!(of(slowdown, 10), []);
    }
    assert_eq!(of(Slowdown::PowerCap, 1), []);
}

#[test]
fn a_power_limit_that_costs_much_is_said() {
    let of = |clock: f64, every: usize| {
        with_gpus(|number, gpus| {
            gpus.iter_mut().for_each(|gpu| gpu.clock = Some(clock));
            if number.is_multiple_of(every) {
                gpus[3].slowed = vec![Slowdown::PowerCap];
            }
        })
    };
    let said = of(990.0, 1);
    assert_eq!(kinds(&said), ["gpu-power"]);
    assert_eq!(said[0].evidence, "GPU 3 at 50 % of the greatest clock in five minutes");
    // Large GPUs at full load always reach their limit.
    assert_eq!(of(1800.0, 1), []);
    assert_eq!(of(990.0, 3), []);
}

#[test]
fn every_rule_has_a_name_of_its_own_and_is_in_these_tests() {
    let text = include_str!("tests.rs");
    for (at, rule) in RULES.iter().enumerate() {
        assert!(RULES[..at].iter().all(|other| other.kind != rule.kind), "{}", rule.kind);
        assert!(text.contains(&format!("[\"{}\"]", rule.kind)), "{}", rule.kind);
    }
}
