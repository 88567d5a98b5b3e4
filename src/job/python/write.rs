//! Writing values: `json.dumps`, `str` and `repr`.

use std::fmt::Write;

use super::number::float_repr;
use super::text::Text;
use super::value::{Dict, Value};

/// The separators of a JSON text, and the order of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separators {
    /// `,` and `:`, with sorted keys, as in the toolkit (`separators=(",", ":"), sort_keys=True`).
    CompactSorted,
    /// `, ` and `: `, with keys in insertion order, the default of `json.dumps`.
    Default,
}

impl Value {
    /// Returns `json.dumps(value)`, which is ASCII only.
    pub fn dumps(&self, separators: Separators) -> String {
        let mut out = String::new();
        write_json(self, separators, &mut out);
        out
    }

    /// Returns `str(value)`.
    pub fn to_py_str(&self) -> Text {
        match self {
            Value::Str(text) => text.clone(),
            other => other.repr(),
        }
    }

    /// Returns `repr(value)`.
    pub fn repr(&self) -> Text {
        let mut out = Text::default();
        write_repr(self, &mut out);
        out
    }
}

fn write_json(value: &Value, separators: Separators, out: &mut String) {
    let (comma, colon) = match separators {
        Separators::CompactSorted => (",", ":"),
        Separators::Default => (", ", ": "),
    };
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(digits) => out.push_str(digits),
        Value::Float(number) if number.is_nan() => out.push_str("NaN"),
        Value::Float(number) if number.is_infinite() => {
            out.push_str(if *number > 0.0 { "Infinity" } else { "-Infinity" });
        }
        Value::Float(number) => out.push_str(&float_repr(*number)),
        Value::Str(text) => write_json_string(text, out),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push_str(comma);
                }
                write_json(item, separators, out);
            }
            out.push(']');
        }
        Value::Dict(dict) => {
            let pairs = match separators {
                Separators::CompactSorted => dict.sorted(),
                Separators::Default => dict.iter().collect(),
            };
            out.push('{');
            for (index, (key, value)) in pairs.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(comma);
                }
                write_json_string(key, out);
                out.push_str(colon);
                write_json(value, separators, out);
            }
            out.push('}');
        }
    }
}

fn write_json_string(text: &Text, out: &mut String) {
    out.push('"');
    for code_point in text.code_points() {
        match code_point {
            0x22 => out.push_str("\\\""),
            0x5C => out.push_str("\\\\"),
            0x0A => out.push_str("\\n"),
            0x0D => out.push_str("\\r"),
            0x09 => out.push_str("\\t"),
            0x0C => out.push_str("\\f"),
            0x08 => out.push_str("\\b"),
            0x20..=0x7E => out.push(code_point as u8 as char),
            0x1_0000.. => {
                let (high, low) =
                    (0xD800 + ((code_point - 0x1_0000) >> 10), 0xDC00 + ((code_point - 0x1_0000) & 0x3FF));
                escape(out, format_args!("\\u{high:04x}\\u{low:04x}"));
            }
            _ => escape(out, format_args!("\\u{code_point:04x}")),
        }
    }
    out.push('"');
}

/// Appends an escape. Writing to a `String` cannot fail.
fn escape(out: &mut String, escaped: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(escaped);
}

fn write_repr(value: &Value, out: &mut Text) {
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(digits) => out.push_str(digits),
        Value::Float(number) => out.push_str(&float_repr(*number)),
        Value::Str(text) => write_string_repr(text, out),
        Value::List(list) => {
            out.push_str("[");
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(item, out);
            }
            out.push_str("]");
        }
        Value::Dict(dict) => write_dict_repr(dict, out),
    }
}

fn write_dict_repr(dict: &Dict, out: &mut Text) {
    out.push_str("{");
    for (index, (key, value)) in dict.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_string_repr(key, out);
        out.push_str(": ");
        write_repr(value, out);
    }
    out.push_str("}");
}

/// Writes the `repr` of a string. Python quotes with `'`, unless the text holds `'` but no `"`.
fn write_string_repr(text: &Text, out: &mut Text) {
    let (mut single, mut double) = (false, false);
    for code_point in text.code_points() {
        single |= code_point == 0x27;
        double |= code_point == 0x22;
    }
    let quote = if single && !double { 0x22 } else { 0x27 };
    let mut escaped = String::new();
    out.push(quote);
    for code_point in text.code_points() {
        escaped.clear();
        match code_point {
            0x5C => escaped.push_str("\\\\"),
            0x0A => escaped.push_str("\\n"),
            0x0D => escaped.push_str("\\r"),
            0x09 => escaped.push_str("\\t"),
            _ if code_point == quote => {
                escaped.push('\\');
                escaped.push(code_point as u8 as char);
            }
            _ if is_printable(code_point) => {
                out.push(code_point);
                continue;
            }
            0..=0xFF => escape(&mut escaped, format_args!("\\x{code_point:02x}")),
            0x100..=0xFFFF => escape(&mut escaped, format_args!("\\u{code_point:04x}")),
            _ => escape(&mut escaped, format_args!("\\U{code_point:08x}")),
        }
        out.push_str(&escaped);
    }
    out.push(quote);
}

/// Returns `str.isprintable()` of one code point: false for the categories Cc, Cf, Cs, Co, Cn, Zl, Zp and Zs, except
/// for the space.
///
/// Rust's `escape_debug` escapes the same categories. It also escapes a combining mark, but only at the start of a
/// string, so a letter is put before the code point.
fn is_printable(code_point: u32) -> bool {
    match char::from_u32(code_point) {
        None => false,
        Some(' '..='~') => true,
        Some(c) => {
            let mut pair = String::from("a");
            pair.push(c);
            pair.escape_debug().eq(pair.chars())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Separators::{CompactSorted, Default};
    use crate::job::python::parse;

    #[test]
    fn values_are_written_as_python_writes_them() {
        // CPython 3.11 made each line: json.dumps(v, sort_keys=True, separators=(",", ":")), json.dumps(v), str(v).
        for (json, compact, default, str) in [
            ("null", "null", "null", "None"),
            ("[true, null, 1.0]", "[true,null,1.0]", "[true, null, 1.0]", "[True, None, 1.0]"),
            ("-0", "0", "0", "0"),
            ("1E400", "Infinity", "Infinity", "inf"),
            (
                r#"{"b": 1, "a": {"c": "x"}}"#,
                r#"{"a":{"c":"x"},"b":1}"#,
                r#"{"b": 1, "a": {"c": "x"}}"#,
                "{'b': 1, 'a': {'c': 'x'}}",
            ),
            (r#"["it's"]"#, r#"["it's"]"#, r#"["it's"]"#, r#"["it's"]"#),
            (r#"["it's \"q\""]"#, r#"["it's \"q\""]"#, r#"["it's \"q\""]"#, r#"['it\'s "q"']"#),
            (
                r#"["\u00a0é\u2028\u007f\n"]"#,
                r#"["\u00a0\u00e9\u2028\u007f\n"]"#,
                r#"["\u00a0\u00e9\u2028\u007f\n"]"#,
                r"['\xa0é\u2028\x7f\n']",
            ),
            (r#"["\ud83d\ude00\u0301"]"#, r#"["\ud83d\ude00\u0301"]"#, r#"["\ud83d\ude00\u0301"]"#, "['😀\u{301}']"),
            (r#"["\ud800\udc80x"]"#, r#"["\ud800\udc80x"]"#, r#"["\ud800\udc80x"]"#, "['\u{10080}x']"),
            (r#"["\udc80\ud800"]"#, r#"["\udc80\ud800"]"#, r#"["\udc80\ud800"]"#, r"['\udc80\ud800']"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            let value = parse(json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(value.dumps(CompactSorted), compact, "{json}");
            assert_eq!(value.dumps(Default), default, "{json}");
            assert_eq!(value.to_py_str().to_str(), str, "{json}");
        }
    }
}
