//! The three lines of the live view, as text that fits into the window.

use std::time::Duration;

use super::screen::LINES;
use super::state_reader::{JobState, MachineUse, Metric};
use crate::machine::Bytes;

/// The style of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// Plain text.
    Plain,
    /// With colours.
    Coloured,
}

/// Returns the lines: the phase and the time, the latest metrics, the hardware.
pub(super) fn of(seen: &JobState, elapsed: Duration, width: usize, style: Paint) -> [String; LINES] {
    let phase = seen.phase.as_deref().unwrap_or("start");
    let mut first = format!("{} · {phase} · {}", clock(elapsed), seen.name);
    if seen.hosts > 1 {
        first.push_str(&format!(" · {} hosts", seen.hosts));
    }
    if seen.ranks > 1 {
        first.push_str(&format!(" · {} of {} ranks run", seen.running, seen.ranks));
    }
    let metrics = match &seen.metrics[..] {
        [] => "no metrics yet".to_owned(),
        metrics => joined(metrics.iter().map(metric), width),
    };
    let hardware = seen.hardware.as_ref().map_or_else(|| "no samples yet".to_owned(), hardware);
    let [first, metrics, hardware] = [first, metrics, hardware].map(|line| fitted(&line, width));
    match style {
        Paint::Plain => [first, metrics, hardware],
        // The first two lines are bold, and the first one is coloured. The third one is dim, because it seldom
        // matters.
        Paint::Coloured => [
            format!("\x1b[1;36m{first}\x1b[0m"),
            format!("\x1b[1m{metrics}\x1b[0m"),
            format!("\x1b[2m{hardware}\x1b[0m"),
        ],
    }
}

/// Returns a time as `h:mm:ss`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Returns a metric with an arrow for its last change.
fn metric(Metric { name, last, before, step }: &Metric) -> String {
    let arrow = match before {
        Some(before) if last > before => " ↑",
        Some(before) if last < before => " ↓",
        Some(_) => " →",
        None => "",
    };
    let step = step.map(|step| format!(" (step {step})")).unwrap_or_default();
    format!("{name} {}{arrow}{step}", short(*last))
}

/// Returns a number with four significant digits.
fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e6).contains(&size) {
        let digits = if size < 1.0 { 4 } else { 3_usize.saturating_sub(size.log10().floor() as usize) };
        format!("{number:.digits$}")
    } else {
        format!("{number:.3e}")
    }
}

fn hardware(hardware: &MachineUse) -> String {
    let MachineUse { used, cores, working_set, limit, gpus } = hardware;
    let used = used.map_or_else(|| "?".to_owned(), |used| format!("{used:.1}"));
    let mut line = format!("CPU {used} of {cores}");
    if let Some(working_set) = working_set {
        line.push_str(&format!(" · memory {}", Bytes(*working_set)));
        if let Some(limit) = limit {
            line.push_str(&format!(" of {}", Bytes(*limit)));
        }
    }
    if let Some(gpus) = gpus {
        line.push_str(&format!(" · {} GPU{}", gpus.count, if gpus.count == 1 { "" } else { "s" }));
        if let Some(busy) = gpus.busy {
            line.push_str(&format!(" {busy:.0} % busy"));
        }
        if gpus.memory_total > 0 {
            line.push_str(&format!(", {} of {}", Bytes(gpus.memory_used), Bytes(gpus.memory_total)));
        }
    }
    line
}

/// Joins as many parts as fit completely.
fn joined(parts: impl Iterator<Item = String>, width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let separator = if line.is_empty() { "" } else { " · " };
        if !line.is_empty() && line.chars().count() + separator.len() + part.chars().count() > width {
            break;
        }
        line.push_str(separator);
        line.push_str(&part);
    }
    line
}

/// Cuts a text so that it fits, and removes characters that a terminal would interpret. Characters outside of ASCII
/// can take two columns.
fn fitted(text: &str, width: usize) -> String {
    let mut line = String::new();
    let mut columns = 0;
    for sign in text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }) {
        let taken = if sign.is_ascii() || "·↑↓→…".contains(sign) { 1 } else { 2 };
        if columns + taken > width {
            // The last characters make room for the ellipsis.
            while columns + 1 > width {
                columns -= line.pop().map_or(1, |last| if last.is_ascii() { 1 } else { 2 }).min(columns);
            }
            line.push('…');
            break;
        }
        columns += taken;
        line.push(sign);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::state_reader::{GpuUse, JobState, MachineUse, Metric};
    use super::{Paint, fitted, of, short};

    fn seen() -> JobState {
        let metric = |name: &str, last, before, step| Metric { name: name.into(), last, before, step };
        JobState {
            name: "train-1".into(),
            phase: Some("script".into()),
            hosts: 2,
            ranks: 8,
            running: 7,
            metrics: vec![metric("loss", 0.25, Some(0.5), Some(1200)), metric("accuracy", 0.875, None, None)],
            hardware: Some(MachineUse {
                used: Some(3.25),
                cores: 4.0,
                working_set: Some(5 << 30),
                limit: Some(16 << 30),
                gpus: Some(GpuUse { count: 8, busy: Some(93.4), memory_used: 400 << 30, memory_total: 640 << 30 }),
            }),
        }
    }

    #[test]
    fn the_lines_show_phase_metrics_and_hardware() {
        let lines = of(&seen(), Duration::from_secs(3661), 100, Paint::Plain);
        assert_eq!(lines[0], "1:01:01 · script · train-1 · 2 hosts · 7 of 8 ranks run");
        assert_eq!(lines[1], "loss 0.2500 ↓ (step 1200) · accuracy 0.8750");
        assert_eq!(lines[2], "CPU 3.2 of 4 · memory 5.0 GiB of 16.0 GiB · 8 GPUs 93 % busy, 400.0 GiB of 640.0 GiB");
        let nothing = of(&JobState::default(), Duration::ZERO, 100, Paint::Plain);
        assert_eq!(
            nothing.map(|line| line.trim().to_owned()),
            ["0:00:00 · start ·", "no metrics yet", "no samples yet"]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_window_or_moves_the_cursor() {
        let mut seen = seen();
        seen.name = "x\x1b[2J\ny\u{4e2d}\u{6587}".into();
        for width in 20..120 {
            for line in of(&seen, Duration::from_secs(1), width, Paint::Plain) {
                assert!(line.chars().count() <= width && !line.contains(char::is_control), "{width}: {line:?}");
            }
        }
        // A metric that does not fit is left out completely. Only the first one is cut.
        assert_eq!(of(&seen, Duration::ZERO, 30, Paint::Plain)[1], "loss 0.2500 ↓ (step 1200)");
        assert_eq!(fitted("abcdef", 4), "abc…");
        assert_eq!(fitted("中文中文", 5), "中文…");
        assert_eq!(fitted("abcd", 4), "abcd");
    }

    #[test]
    fn colours_are_reset_at_the_end_of_each_line() {
        for line in of(&seen(), Duration::ZERO, 40, Paint::Coloured) {
            assert!(line.starts_with("\x1b[") && line.ends_with("\x1b[0m"), "{line:?}");
        }
    }

    #[test]
    fn numbers_have_four_digits() {
        for (number, text) in [
            (0.0, "0.0000"),
            (0.1234567, "0.1235"),
            (-2.5, "-2.500"),
            (1234.5, "1234"),
            (123_456.0, "123456"),
            (1.2e-5, "1.200e-5"),
            (1e9, "1.000e9"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
