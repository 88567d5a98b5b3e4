//! The text of a float in Python.

/// Returns `repr(number)`: the shortest digits that parse to the same number. Numbers below 1e-4 and from 1e16 on have
/// an exponent.
pub(super) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = shortest(number);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return plain(mantissa, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Returns the shortest digits that parse to the same number, in exponent form: `-1.5e-7`.
///
/// If two texts are equally short and equally near, Rust's `{:e}` chooses the upper one, but Python chooses the even
/// one: 1e14 + 0.125 is `100000000000000.12`. Rust rounds to even if the number of digits is given, so the number is
/// formatted twice.
fn shortest(number: f64) -> String {
    let short = format!("{number:e}");
    let digits = short.split('e').next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    let even = format!("{number:.*e}", digits.saturating_sub(1));
    if even.parse() == Ok(number) { even } else { short }
}

/// Returns a number without an exponent: `-1.5` and -3 become `-0.0015`, `1` and 3 become `1000.0`.
fn plain(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    let Ok(whole) = usize::try_from(exponent + 1) else {
        return format!("{sign}0.{:0>width$}", digits, width = digits.len() + exponent.unsigned_abs() as usize - 1);
    };
    match digits.split_at_checked(whole) {
        Some((whole, fraction)) if !whole.is_empty() && !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
        Some(("", fraction)) => format!("{sign}0.{fraction}"),
        _ => format!("{sign}{digits:0<whole$}.0"),
    }
}

#[cfg(test)]
mod tests {
    use super::float_repr;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, repr) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e14 + 0.125, "100000000000000.12"),
            (-0.00123, "-0.00123"),
            (0.5, "0.5"),
            (-120.0, "-120.0"),
            (2f64.powi(53), "9007199254740992.0"),
            (2251799813685248.5, "2251799813685248.5"),
            (9.5367431640625e-07, "9.5367431640625e-07"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_repr(number), repr);
        }
    }
}
