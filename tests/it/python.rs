//! Values are read and written as real Python does it: `json.loads`, `json.dumps`, `str` and `repr` of generated texts.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use footplate::job::python::{Separators, Text, Value, parse};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::job::search_path;

/// A program that reads texts in hexadecimal, one per line. It answers with Python's texts for the value, or `-` if the text
/// is not JSON.
const PROGRAM: &str = r#"
import json, sys
def points(text):
    return ".".join(format(ord(c), "x") for c in text)
for line in sys.stdin:
    try:
        value = json.loads(bytes.fromhex(line).decode())
    except ValueError:
        print("-", flush=True)
        continue
    compact = json.dumps(value, sort_keys=True, separators=(",", ":"))
    print(points(compact), points(json.dumps(value)), points(str(value)), points(repr(value)), sep=" ", flush=True)
"#;

/// A Python process that answers many questions.
struct Python {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Python {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).env("PATH", search_path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let questions = child.stdin.take().expect("its input");
        let answers = BufReader::new(child.stdout.take().expect("its output"));
        Python { child, questions, answers }
    }

    /// Returns Python's four texts for the value, as code points, or `None` if Python refuses the text.
    fn ask(&mut self, text: &str) -> Option<Vec<String>> {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.questions, "{hex}").expect("asked");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("answered");
        let answer = answer.strip_suffix('\n').expect("a whole answer");
        (answer != "-").then(|| answer.split(' ').map(str::to_owned).collect())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns footplate's four texts for the value.
fn ours(text: &str) -> Option<Vec<String>> {
    let points = |text: &Text| text.code_points().map(|c| format!("{c:x}")).collect::<Vec<_>>().join(".");
    let value = parse(text).ok()?;
    let texts = [
        Text::from(value.dumps(Separators::CompactSorted)),
        Text::from(value.dumps(Separators::Default)),
        value.to_py_str(),
    ];
    let mut texts: Vec<String> = texts.iter().map(points).collect();
    // In a list, Python writes a value by its `repr`.
    let listed = points(&Value::List(vec![value]).to_py_str());
    texts.push(
        listed
            .strip_prefix("5b")
            .and_then(|rest| rest.strip_suffix("5d"))
            .expect("a list")
            .trim_matches('.')
            .to_owned(),
    );
    Some(texts)
}

/// Compares the answers of both for `count` texts of a strategy.
fn agree(cases: u32, strategy: impl Strategy<Value = String>) -> usize {
    let python = RefCell::new(Python::start());
    let read = RefCell::new(0);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&strategy, |text| {
        let expected = python.borrow_mut().ask(&text);
        *read.borrow_mut() += usize::from(expected.is_some());
        prop_assert_eq!(ours(&text), expected, "{:?}", text);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    read.into_inner()
}

/// Code points from ranges where Python's rules change. They come from blocks that have long been full, because older
/// versions of Python do not know new characters of Unicode.
fn blocks() -> impl Strategy<Value = u32> {
    prop_oneof![
        0x20u32..0x7F,
        0x7Fu32..0x180,
        0x300u32..0x370,
        0x600u32..0x606,
        0x4E00u32..0x4F00,
        0x180Bu32..0x180F,
        0x2000u32..0x2065,
        0x3000u32..0x3004,
        0xE000u32..0xE010,
        0xFEFFu32..0xFF00,
        0xFFF9u32..0x1_0000,
        0x1_F600u32..0x1_F650,
        0xE_0020u32..0xE_0080,
        0x10_FFF0u32..0x11_0000,
    ]
}

/// A character in a JSON string, either literal or escaped.
fn character() -> impl Strategy<Value = String> {
    let escaped = prop_oneof![
        Just(r"\n".to_owned()),
        Just(r"\/".to_owned()),
        Just(r#"\""#.to_owned()),
        Just(r"\\".to_owned()),
        Just(r"\b\f\t\r".to_owned()),
        (0u32..0x100).prop_map(|c| format!("\\u{c:04x}")),
        (0xD800u32..0xE000).prop_map(|c| format!("\\u{c:04X}x")),
        Just("\\uDC00\\uD800".to_owned()),
        // As two surrogates if it needs them.
        blocks().prop_map(|c| {
            let mut units = [0; 2];
            let units = char::from_u32(c).map_or(&[][..], |c| c.encode_utf16(&mut units));
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }),
    ];
    let plain = blocks().prop_filter_map("must be escaped", |c| {
        char::from_u32(c).filter(|c| !matches!(c, '"' | '\\')).map(String::from)
    });
    prop_oneof![2 => escaped, 5 => plain, 3 => "[ -!#-\\[\\]-~]"]
}

fn string() -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..8).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,30})",
        "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,20}",
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,18})?[eE][+-]?[0-9]{1,3}",
        any::<f64>().prop_map(|number| format!("{number:e}").replace("inf", "1e999")),
        (-20i32..25).prop_map(|exponent| format!("1.5e{exponent}")),
        (4298usize..4303).prop_map(|digits| "8".repeat(digits)),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "[ \t\n\r]{0,3}"]
}

fn json() -> impl Strategy<Value = String> {
    const WORDS: [&str; 8] = ["null", "true", "false", "NaN", "Infinity", "-Infinity", "{}", "[ ]"];
    let leaf = prop_oneof![prop::sample::select(&WORDS[..]).prop_map(str::to_owned), number(), string(), string()];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let key = prop_oneof![string(), "\"[ab]\""];
        prop_oneof![
            prop::collection::vec((space(), inner.clone(), space()), 0..5).prop_map(|items| {
                let items: Vec<String> = items.into_iter().map(|(a, item, b)| a + &item + &b).collect();
                format!("[{}]", items.join(","))
            }),
            prop::collection::vec((space(), key, space(), inner), 0..5).prop_map(|pairs| {
                let pairs: Vec<String> =
                    pairs.into_iter().map(|(a, key, b, value)| format!("{a}{key}{b}:{b}{value}{a}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

#[test]
fn values_are_read_and_written_as_python_does() {
    let read = agree(2000, (space(), json(), space()).prop_map(|(a, text, b)| a + &text + &b));
    assert!(read > 1500, "Python read only {read} of the texts");
}

#[test]
fn footplate_refuses_exactly_what_python_refuses() {
    let mutated = (json(), prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4));
    let read = agree(
        2000,
        mutated.prop_map(|(text, changes)| {
            let mut characters: Vec<char> = text.chars().collect();
            for (at, what) in changes {
                let with: Vec<char> = "\"\\{}[]:,0-+.eE \t\u{b}\u{feff}\u{0}'/uN1é".chars().collect();
                let place = at.index(characters.len());
                match what.index(3) {
                    0 => characters.insert(place, with[what.index(with.len())]),
                    1 => characters[place] = with[what.index(with.len())],
                    _ if characters.len() > 1 => {
                        characters.remove(place);
                    }
                    _ => {}
                }
            }
            characters.into_iter().collect()
        }),
    );
    assert!((50..1950).contains(&read), "Python read {read} of the texts: too few or too many to tell");
}
