//! Reader of the lines of `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`.
//!
//! A figure that a GPU does not have is a text in brackets, such as `[N/A]`, `[Not Supported]` or `[Unknown Error]`.

use super::{GpuState, Slowdown};

/// The fields that are queried, in the order of the columns. The field of the reasons has another name before driver
/// 535.
const FIELDS: [&str; 13] = [
    "index",
    "utilization.gpu",
    "utilization.memory",
    "memory.used",
    "memory.total",
    "power.draw",
    "enforced.power.limit",
    "temperature.gpu",
    "clocks.sm",
    "clocks.max.sm",
    "clocks_event_reasons.active",
    "ecc.errors.uncorrected.volatile.total",
    "name",
];

/// The name of the field of the reasons, and its name before driver 535.
const REASONS: [&str; 2] = ["clocks_event_reasons.active", "clocks_throttle_reasons.active"];

/// The field names that a generation of drivers knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Driver 535 and later.
    New,
    /// Before driver 535.
    Old,
}

/// Returns the arguments with which nvidia-smi writes a line for each GPU every few seconds.
pub fn arguments(dialect: Dialect, seconds: u64) -> Vec<String> {
    let fields = FIELDS.join(",");
    let fields = if dialect == Dialect::Old { fields.replace(REASONS[0], REASONS[1]) } else { fields };
    vec![format!("--query-gpu={fields}"), "--format=csv,noheader,nounits".into(), "-l".into(), seconds.to_string()]
}

/// Returns true if nvidia-smi refuses a field that has another name in the other dialect.
pub fn is_foreign(line: &str) -> bool {
    line.contains(REASONS[0]) && line.contains("not a valid field")
}

/// Parses a line. Returns `None` if the line does not describe a GPU.
pub fn gpu(line: &str) -> Option<GpuState> {
    let mut columns = line.splitn(FIELDS.len(), ',').map(str::trim);
    let index = columns.next()?.parse().ok()?;
    let mut rest = [""; FIELDS.len() - 1];
    for column in &mut rest {
        *column = columns.next()?;
    }
    let [busy, memory_busy, used, total, power, limit, temperature, clock, max_clock, reasons, errors, name] = rest;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let mebibytes = |text: &str| text.parse::<u64>().ok().and_then(|size| size.checked_mul(1 << 20));
    let reasons = reasons.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Some(GpuState {
        index,
        name: Some(name).filter(|name| !name.starts_with('[')).map(str::to_owned),
        busy: number(busy),
        memory_busy: number(memory_busy),
        memory_used: mebibytes(used),
        memory_total: mebibytes(total),
        power: number(power),
        power_limit: number(limit),
        temperature: number(temperature),
        clock: number(clock),
        max_clock: number(max_clock),
        slowed: reasons.map(Slowdown::among).unwrap_or_default(),
        memory_errors: errors.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Dialect, GpuState, Slowdown, arguments, gpu, is_foreign};

    #[test]
    fn a_line_is_read_with_whatever_the_gpu_does_not_report() {
        let line =
            "0, 97, 40, 5120, 81559, 412.34, 700.00, 61, 1410, 1980, 0x0000000000000004, 0, NVIDIA H100 80GB HBM3";
        assert_eq!(
            gpu(line),
            Some(GpuState {
                index: 0,
                name: Some("NVIDIA H100 80GB HBM3".into()),
                busy: Some(97.0),
                memory_busy: Some(40.0),
                memory_used: Some(5120 << 20),
                memory_total: Some(81_559 << 20),
                power: Some(412.34),
                power_limit: Some(700.0),
                temperature: Some(61.0),
                clock: Some(1410.0),
                max_clock: Some(1980.0),
                slowed: vec![Slowdown::PowerCap],
                memory_errors: Some(0),
            })
        );
        // A MIG device, an old card, and one that has fallen off the bus.
        for line in [
            "3, [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A]",
            "3, [Not Supported], [Not Supported], [Not Supported], [Not Supported], [Not Supported], [Not Supported], \
             [Not Supported], [Not Supported], [Not Supported], [Not Supported], [Not Supported], [Not Supported]",
            "3, [Unknown Error], [GPU requires reset], [Unknown Error], [Unknown Error], [Unknown Error], nan, \
             [Insufficient Permissions], inf, -, 0xzz, -1, [Unknown Error]",
        ] {
            assert_eq!(gpu(line), Some(GpuState { index: 3, ..GpuState::default() }), "{line}");
        }
        for line in ["", "No devices were found", "1, 2", "NVIDIA-SMI has failed because it couldn't communicate, a, b"]
        {
            assert_eq!(gpu(line), None, "{line}");
        }
    }

    #[test]
    fn an_old_driver_is_asked_for_the_old_name() {
        let refusal = "Field \"clocks_event_reasons.active\" is not a valid field to query.";
        assert!(is_foreign(refusal) && !is_foreign("No devices were found"));
        let [new, old] = [Dialect::New, Dialect::Old].map(|dialect| arguments(dialect, 5).join(" "));
        assert!(new.contains(",clocks_event_reasons.active,") && old.contains(",clocks_throttle_reasons.active,"));
        assert!(new.ends_with(" --format=csv,noheader,nounits -l 5"), "{new}");
    }
}
