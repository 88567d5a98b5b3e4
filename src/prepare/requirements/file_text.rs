//! The text of a requirements file, as pip reads it: its encoding, and its lines.

use std::fmt;

/// The text of a file, with the reason why uv cannot read it.
pub(super) struct FileText {
    /// The text, with U+FFFD for bytes that cannot be decoded. `None` if the encoding is not supported here.
    pub text: Option<String>,
    /// True if uv may not read this encoding.
    pub is_for_pip: bool,
}

impl FileText {
    /// Decodes a file. pip recognizes the byte-order marks of UTF-8, UTF-16 and UTF-32, and a line such as
    /// `# -*- coding: latin-1 -*-` (PEP 263).
    pub fn decode(bytes: &[u8]) -> FileText {
        let utf_16 = |pairs: &[u8], number: fn([u8; 2]) -> u16| {
            let units: Vec<u16> = pairs.chunks_exact(2).map(|pair| number([pair[0], pair[1]])).collect();
            FileText { text: Some(String::from_utf16_lossy(&units)), is_for_pip: true }
        };
        match bytes {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => FileText { text: None, is_for_pip: true },
            [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
            _ => {
                let text = String::from_utf8_lossy(bytes);
                let is_for_pip = matches!(text, std::borrow::Cow::Owned(_));
                FileText { text: Some(text.trim_start_matches('\u{feff}').to_owned()), is_for_pip }
            }
        }
    }
}

/// A line with all lines that continue it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LogicalLine {
    /// The text without comment and without the white space around it. Never empty.
    pub text: String,
    /// The number of its first line, counted from 1.
    pub number: usize,
    /// True if uv joins, strips or splits these lines in another way than pip.
    pub is_for_pip: bool,
}

/// Splits a text into lines as pip does: at every line end of Python's `splitlines`; a backslash at the end continues a
/// line; a comment starts at the beginning of a line or after white space. Empty lines are left out.
pub(super) fn logical_lines(text: &str) -> Vec<LogicalLine> {
    let (mut found, mut begun) = (Vec::new(), LogicalLine::default());
    for (number, (line, is_plain_end)) in physical_lines(text).into_iter().enumerate() {
        if begun.text.is_empty() {
            begun = LogicalLine { number: number + 1, ..LogicalLine::default() };
        }
        let is_comment = line.trim_start().starts_with('#');
        // uv continues a line only before a hash, and before a comment after hashes.
        let is_hash = line.trim_start().starts_with("--hash") || is_comment && begun.text.contains(" --hash");
        begun.is_for_pip |= !begun.text.is_empty() && !is_hash;
        // uv ends lines at fewer characters, and strips only ASCII white space before a requirement.
        begun.is_for_pip |= !is_plain_end && !is_comment && !line.trim().is_empty();
        begun.is_for_pip |= line.chars().take_while(|c| c.is_whitespace()).any(|c| !c.is_ascii());
        if let (Some(part), false) = (line.strip_suffix('\\'), is_comment) {
            begun.text.push_str(part);
            // An empty text would count as the beginning of a line.
            begun.text.push_str(if begun.text.is_empty() { " " } else { "" });
            continue;
        }
        begun.text.push_str(if is_comment { "" } else { line });
        found.push(std::mem::take(&mut begun));
    }
    found.push(begun);
    found.into_iter().filter_map(without_comment).collect()
}

fn without_comment(mut line: LogicalLine) -> Option<LogicalLine> {
    let is_after_space = |at: &usize| line.text[..*at].ends_with(char::is_whitespace);
    let start = line.text.match_indices('#').map(|(at, _)| at).find(is_after_space);
    let own = &line.text[..start.unwrap_or(line.text.len())];
    line.is_for_pip |= start.is_some() && own.chars().next_back().is_some_and(|c| !c.is_ascii());
    line.text = own.trim().to_owned();
    (!line.text.is_empty()).then_some(line)
}

/// Splits a text at the line ends of Python's `str.splitlines`. Each line is returned with true if it ends with a
/// line end that uv recognizes too.
fn physical_lines(text: &str) -> Vec<(&str, bool)> {
    let is_line_end = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut rest = text;
    let mut lines = Vec::new();
    while let Some(end) = rest.find(is_line_end) {
        let is_plain = rest[end..].starts_with(['\n', '\r']);
        lines.push((&rest[..end], is_plain));
        let length =
            if rest[end..].starts_with("\r\n") { 2 } else { rest[end..].chars().next().map_or(1, char::len_utf8) };
        rest = &rest[end + length..];
    }
    lines.push((rest, true));
    lines
}

/// A character that looks like another one or is invisible, so that a wrong line of a requirements file looks right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeceptiveCharacter(char);

impl DeceptiveCharacter {
    /// Returns the first deceptive character of a line.
    pub fn first_in(line: &str) -> Option<DeceptiveCharacter> {
        line.chars().find(|c| !c.is_ascii() && describe(*c).is_some()).map(DeceptiveCharacter)
    }
}

impl fmt::Display for DeceptiveCharacter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (U+{:04X})", describe(self.0).unwrap_or("a character"), self.0 as u32)
    }
}

/// Returns a description of a deceptive character, with an article; `None` for any other one.
fn describe(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{a0}' | '\u{202f}' => "a no-break space",
        '\u{200b}' => "a zero-width space",
        '\u{feff}' => "a byte-order mark",
        '\u{ad}' => "a soft hyphen",
        '\u{85}' | '\u{2028}' | '\u{2029}' => "an unusual line end",
        '\u{3000}' => "an ideographic space",
        c if c.is_whitespace() => "an unusual space",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "a dash that is not a hyphen",
        '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => "a typographic quotation mark",
        '\u{ff01}'..='\u{ff5e}' => "a full-width character",
        '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' => {
            "an invisible character"
        }
        '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' => {
            "an invisible character"
        }
        '\u{e0000}'..='\u{e0fff}' => "an invisible character",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{DeceptiveCharacter, FileText, LogicalLine, logical_lines};

    fn lines(text: &str) -> Vec<(String, bool)> {
        logical_lines(text).into_iter().map(|LogicalLine { text, is_for_pip, .. }| (text, is_for_pip)).collect()
    }

    #[test]
    fn lines_are_joined_and_stripped_as_pip_does() {
        for (text, expected) in [
            ("a\r\nb\rc\n", &[("a", false), ("b", false), ("c", false)][..]),
            ("a # b\n#c\n  d#e\n", &[("a", false), ("d#e", false)]),
            ("a \\\n --hash=x \\\n --hash=y\nb", &[("a  --hash=x  --hash=y", false), ("b", false)]),
            ("a \\\n ==1\n", &[("a  ==1", true)]),
            ("a \\\n --hash=x \\\n # why\nb\n", &[("a  --hash=x", false), ("b", false)]),
            ("# a \\\nb\n", &[("b", false)]),
            ("a \\\n\nb\n", &[("a", true), ("b", false)]),
            ("\\\na\n", &[("a", true)]),
            ("a\u{2028}==1\nb\u{c}\n", &[("a", true), ("==1", false), ("b", true)]),
            ("\u{a0}a\nb\u{a0}# c\nd\u{a0}==1\n", &[("a", true), ("b", true), ("d\u{a0}==1", false)]),
        ] {
            let expected: Vec<(String, bool)> = expected.iter().map(|(text, pip)| ((*text).to_owned(), *pip)).collect();
            assert_eq!(lines(text), expected, "{text:?}");
        }
        assert_eq!(logical_lines("# x\na \\\n  b\n\nc\n").iter().map(|line| line.number).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn every_encoding_that_pip_recognizes_is_decoded_or_left_to_it() {
        let utf_16 = |big: bool| -> Vec<u8> {
            let units = "\u{feff}fix # é\n".encode_utf16();
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for (bytes, text, is_for_pip) in [
            (b"\xef\xbb\xbffix".to_vec(), Some("fix"), false),
            ("fix # é\n".into(), Some("fix # é\n"), false),
            (b"fix # \xe9\n".to_vec(), Some("fix # \u{fffd}\n"), true),
            (utf_16(true), Some("fix # é\n"), true),
            (utf_16(false), Some("fix # é\n"), true),
            (b"\xff\xfe\0\0f\0\0\0".to_vec(), None, true),
            (b"\0\0\xfe\xff\0\0\0f".to_vec(), None, true),
        ] {
            let found = FileText::decode(&bytes);
            assert_eq!((found.text.as_deref(), found.is_for_pip), (text, is_for_pip), "{bytes:?}");
        }
    }

    #[test]
    fn a_deceptive_character_is_described() {
        let found = |line: &str| DeceptiveCharacter::first_in(line).map(|found| found.to_string());
        for (line, expected) in [
            ("fix\u{a0}==1", Some("a no-break space (U+00A0)")),
            ("fix\u{2003}==1", Some("an unusual space (U+2003)")),
            ("fix\u{200b}==1", Some("a zero-width space (U+200B)")),
            ("fix\u{202e}==1", Some("an invisible character (U+202E)")),
            ("fix\u{2013}1", Some("a dash that is not a hyphen (U+2013)")),
            ("fix\u{ff1d}=1", Some("a full-width character (U+FF1D)")),
            ("fix==1; os_name=='größe'", None),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line:?}");
        }
    }
}
