//! Numbers as Python's `float` reads them.

/// Returns the number that Python's `float` returns for a text. White space around the number and `_` between digits
/// are accepted. `None` if Python refuses the text.
pub(super) fn python_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter));
    if !text.contains('_') {
        return text.parse().ok();
    }
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let are_between_digits = (0..bytes.len())
        .filter(|at| bytes[*at] == b'_')
        .all(|at| at > 0 && is_digit(bytes.get(at - 1)) && is_digit(bytes.get(at + 1)));
    if are_between_digits { text.replace('_', "").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::python_float;

    #[test]
    fn texts_are_read_as_python_reads_them() {
        for (text, number) in [
            ("0.5", 0.5),
            (" .5\t", 0.5),
            ("1.", 1.0),
            ("+2", 2.0),
            ("-1e-3", -0.001),
            ("1_000.5", 1000.5),
            ("1E5", 1e5),
            ("Infinity", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(python_float(text), Some(number), "{text}");
        }
        assert!(python_float("NaN").is_some_and(f64::is_nan));
        for text in ["", "0.5,", "1e", "0x10", "_1", "1_", "1__0", "1 2", "None", "1._5", "--1"] {
            assert_eq!(python_float(text), None, "{text}");
        }
    }
}
