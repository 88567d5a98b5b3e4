//! Times, numbers and lists in words.

use std::time::Duration;

use crate::logs::Timestamp;

/// The latest time that is accepted: the end of the year 9999, in Unix seconds.
pub(super) const LATEST: f64 = 253_402_300_799.0;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns a duration in its two largest units: `1 h 12 min`, `41 min 3 s`, `0.8 s`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.clamp(0.0, LATEST) } else { 0.0 };
    if seconds == 0.0 {
        return "0 s".to_owned();
    }
    if seconds < 0.0095 {
        return format!("{:.1} ms", seconds * 1e3);
    }
    if seconds < 0.95 {
        return format!("{:.0} ms", seconds * 1e3);
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s").replace(".0 s", " s");
    }
    let whole = seconds.round() as u64;
    let two = |large: u64, unit: &str, small: u64, smaller: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
    };
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => two(whole / 60, "min", whole % 60, "s"),
        3600..86_400 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

/// Returns a duration for a headline: without seconds if it is long.
pub(super) fn rough(seconds: f64) -> String {
    let is_long = (600.0..=LATEST).contains(&seconds);
    duration(if is_long { (seconds / 60.0).round() * 60.0 } else { seconds })
}

/// Returns a measured number with about three digits.
pub(super) fn brief(value: f64) -> String {
    match value.abs() {
        100.0..1e6 => grouped(value.round()),
        10.0..100.0 => without_zeros(&format!("{value:.1}")).to_owned(),
        0.01..10.0 => without_zeros(&format!("{value:.2}")).to_owned(),
        _ => number(value),
    }
}

/// Returns a time since the start as a clock shows it: `0:07`, `31:07`, `1:10:00`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.clamp(0.0, LATEST).floor() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Returns a time in words: `27 Nov 2026, 12:00 UTC`.
pub(super) fn date(unix_seconds: f64) -> String {
    let stamp = Timestamp(Duration::from_secs_f64(unix_seconds.clamp(0.0, LATEST))).to_string();
    let month = stamp[5..7].parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let day = stamp[8..10].trim_start_matches('0');
    format!("{day} {} {}, {} UTC", month.unwrap_or(&""), &stamp[..4], &stamp[11..16])
}

/// Returns a number with at most four significant digits, or all digits of an integer below a million.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if value == value.trunc() && size < 1e6 {
        return grouped(value);
    }
    if !(1e-4..1e6).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", without_zeros(digits));
    }
    let before = size.log10().floor() as i32 + 1;
    if before >= 4 {
        return grouped(value.round());
    }
    without_zeros(&format!("{value:.*}", (4 - before).clamp(0, 8) as usize)).to_owned()
}

/// Returns a number with all of its digits, as in JSON, for tables.
pub(super) fn exact(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e15).contains(&size) { format!("{value:e}") } else { format!("{value}") }
}

/// Returns an integer with commas between thousands.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if value < 0.0 {
        text.push('-');
    }
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Returns a share in per cent: `98.4 %`, `7 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let rounded = (10.0 * percent).round() / 10.0;
    // A share that is not exactly 0 or 100 % must not be rounded to that.
    let is_near_end = rounded > 90.0 && rounded < 100.0 || rounded > 0.0 && rounded < 10.0;
    if is_near_end && rounded.fract() != 0.0 { format!("{rounded:.1} %") } else { format!("{percent:.0} %") }
}

/// Returns a count with its noun: `1 rank`, `8 ranks`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number as f64))
}

/// Returns numbers as ranges: `0–4, 6, 7`. Only the first ranges are listed.
pub(super) fn ranges(numbers: &[u64]) -> String {
    const MOST: usize = 12;
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for number in sorted {
        match parts.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(number) => *end = number,
            _ => parts.push((number, number)),
        }
    }
    let more = parts.len().saturating_sub(MOST);
    let shown = parts.iter().take(MOST).map(|(start, end)| match end - start {
        0 => start.to_string(),
        1 => format!("{start}, {end}"),
        _ => format!("{start}–{end}"),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(" and more");
    }
    text
}

/// Returns a list of names in words: `a`, `a and b`, `a, b and 3 more`.
pub(super) fn names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, two, third] => format!("{one}, {two} and {third}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// Returns the first characters of a text, with an ellipsis if it is longer.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        brief, clock, count, date, duration, exact, grouped, names, number, percent, ranges, rough, shortened,
    };

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.0031, "3.1 ms"),
            (0.25, "250 ms"),
            (3.0, "3 s"),
            (3.26, "3.3 s"),
            (59.7, "1 min"),
            (2463.0, "41 min 3 s"),
            (3600.0, "1 h"),
            (4320.0, "1 h 12 min"),
            (200_000.0, "2 d 7 h"),
            (-1.0, "0 s"),
            (f64::NAN, "0 s"),
            (f64::INFINITY, "0 s"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!([12.3, 2463.0, 4349.0].map(rough), ["12 s", "41 min", "1 h 12 min"]);
        assert_eq!([7.0, 1867.9, 4200.0].map(clock), ["0:07", "31:07", "1:10:00"]);
    }

    #[test]
    fn dates_are_those_of_utc() {
        assert_eq!(date(951_782_400.0), "29 Feb 2000, 00:00 UTC");
        assert_eq!(date(1e308), "31 Dec 9999, 23:59 UTC");
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.917_63, "0.9176"),
            (5.501, "5.501"),
            (0.5, "0.5"),
            (17.726, "17.73"),
            (1234.5, "1,235"),
            (8000.0, "8,000"),
            (-123_456.0, "-123,456"),
            (0.000_012, "1.2e-5"),
            (0.0004, "0.0004"),
            (1.5e9, "1.5e9"),
            (1e150, "1e150"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
        assert_eq!([1e150, 0.1, 1e-9, 3.0].map(exact), ["1e150", "0.1", "1e-9", "3"]);
        assert_eq!([410.3, 61.31, 0.5, 3.996, 0.0, 1e7].map(brief), ["410", "61.3", "0.5", "4", "0", "1e7"]);
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }

    #[test]
    fn shares_near_the_ends_have_a_decimal() {
        for (share, text) in [(0.984, "98.4 %"), (1.0, "100 %"), (0.9996, "100 %"), (0.5, "50 %"), (0.072, "7.2 %")] {
            assert_eq!(percent(share), text, "{share}");
        }
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(ranges(&[7, 0, 1, 2, 3, 4, 6]), "0–4, 6, 7");
        assert_eq!(
            ranges(&(0..200).step_by(2).collect::<Vec<_>>()),
            "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and more"
        );
        assert_eq!(ranges(&[u64::MAX]), u64::MAX.to_string());
        let list = |count: usize| names(&["a", "b", "c", "d"].map(str::to_owned)[..count]);
        assert_eq!([0, 1, 2, 3, 4].map(list), ["", "a", "a and b", "a, b and c", "a, b and 2 more"]);
        assert_eq!((count(1, "rank").as_str(), count(8, "rank").as_str()), ("1 rank", "8 ranks"));
        assert_eq!((shortened("abc", 3).as_str(), shortened("añb d", 2).as_str()), ("abc", "añ…"));
    }
}
