//! Values that do not stand right after the name and a sign: in XML, in lists of names and values, in blocks of YAML, and
//! behind signs that are escaped.

use std::ops::Range;

use super::tokens::is_word_byte;

/// The maximum number of bytes that are looked at on each side of a name.
const REACH: usize = 64;

/// The words between a name and its value in a list of variables.
const VALUE: [&str; 4] = ["value", "Value", "VALUE", "default"];

/// The words before a name in a list of variables.
const NAME: [&str; 8] = ["name", "Name", "NAME", "key", "Key", "KEY", "variable", "var"];

/// Escapes of quotes, in percent-encoding, in JSON and in HTML.
const QUOTES: [&str; 9] = ["%22", "%27", "%60", "&quot;", "&#34;", "&#39;", "&apos;", r"\u0022", r"\u0027"];

/// Escapes of `=` and `:`.
const SIGNS: [&str; 8] = ["%3D", "%3A", "%3d", "%3a", r"\u003d", r"\u003D", r"\u003a", "&#61;"];

/// Escapes that end a value.
const ENDS: [&str; 12] = ["%26", "%3B", "%3b", "%2C", "%2c", "%7D", "%7d", "%0A", "%0a", "%20", r"\u0026", "&amp;"];

/// Returns the place of the value that belongs to the name in this place, if it stands in one of these notations.
pub(super) fn value(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    match text.as_bytes().get(name.end)? {
        b'>' => of_element(text, name),
        b'%' | b'&' => escaped(text, name.end),
        b':' => of_block(text, name.clone()).or_else(|| escaped(text, name.end)),
        b'=' => escaped(text, name.end),
        b'\\' => escaped(text, name.end).or_else(|| listed(text, name)),
        _ => listed(text, name),
    }
}

/// Returns the place of the text of an XML element: `<password>x9y8</password>`.
fn of_element(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let start = name.end + 1;
    let length = text[start..text.floor_char_boundary(start + 8 * REACH)].find('<')?;
    (text[..name.start].ends_with('<') && text[start + length..].starts_with("</") && length > 0)
        .then_some(start..start + length)
}

/// Returns the place of the lines of a block in YAML: `password: |`.
fn of_block(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let rest = text[name.end + 1..].trim_start_matches(' ');
    let after = rest.strip_prefix(['|', '>'])?.trim_start_matches(['-', '+']).strip_prefix('\n')?;
    let start = text.len() - after.trim_start_matches(' ').len();
    let depth = |at: usize| text.as_bytes()[..at].iter().rev().take(REACH).take_while(|byte| **byte == b' ').count();
    let inner = start - (text.len() - after.len());
    if inner <= depth(name.start) || inner > REACH {
        return None;
    }
    let mut end = start;
    for line in text[start..].split_inclusive('\n') {
        let indentation = if end == start { inner } else { line.len() - line.trim_start_matches(' ').len() };
        if indentation < inner && !line.trim().is_empty() {
            break;
        }
        end += line.len();
    }
    Some(start..start + text[start..end].trim_end().len())
}

/// Returns the place of a value after an escaped sign or between escaped quotes: `password%3Dx9y8`.
fn escaped(text: &str, end: usize) -> Option<Range<usize>> {
    let strip = |at: usize, escapes: &[&'static str]| {
        let escape = escapes.iter().find(|escape| text[at..].starts_with(**escape));
        escape.map(|escape| (at + escape.len(), *escape))
    };
    let blanks = |at: usize| at + text[at..].len() - text[at..].trim_start_matches([' ', '+']).len();
    let (at, is_quoted) = strip(end, &QUOTES).map_or((end, false), |(at, _)| (at, true));
    let at = strip(at, &["%20"]).map_or(blanks(at), |(at, _)| at);
    let (at, is_escaped) = match strip(at, &SIGNS) {
        Some((at, _)) => (at, true),
        None if text[at..].starts_with(['=', ':']) => (at + 1, false),
        None => return None,
    };
    let at = strip(at, &["%20"]).map_or(blanks(at), |(at, _)| at);
    let (start, quote) = strip(at, &QUOTES).map_or((at, None), |(at, quote)| (at, Some(quote)));
    if !is_escaped && !is_quoted && quote.is_none() {
        return None;
    }
    let is_end = |at: usize| match quote {
        Some(quote) => text[at..].starts_with(quote),
        None => strip(at, &ENDS).is_some() || strip(at, &QUOTES).is_some(),
    };
    let stop = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
    let length = text[start..]
        .char_indices()
        .find(|(at, c)| stop(*c) || matches!(c, '%' | '&' | '\\') && is_end(start + at))
        .map_or(text.len() - start, |(at, _)| at);
    (length > 0).then_some(start..start + length)
}

/// Returns the place of a value that is listed beside its name: `{"name": "DB_PASS", "value": "x9y8"}`.
fn listed(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\');
    // Before the name: `name`, a sign, and quotes.
    let from = text.ceil_char_boundary(name.start.saturating_sub(REACH));
    let before = text[from..name.start].trim_end_matches(['"', '\'', '\\', ' ']);
    let before = before.strip_suffix(['=', ':'])?.trim_end_matches(['"', '\'', '\\', ' ']);
    let label = NAME.iter().find(|label| before.ends_with(**label))?;
    if before[..before.len() - label.len()].ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    // After it: `value`, a sign, and quotes.
    let is_between = |byte: &u8| is_quote(byte) || matches!(byte, b' ' | b',' | b'\n' | b'\r' | b'\t');
    let mut at = name.end + bytes[name.end..].iter().take(REACH).take_while(|byte| is_between(byte)).count();
    let word = VALUE.iter().find(|word| text.get(at..).is_some_and(|rest| rest.starts_with(**word)))?;
    at += word.len();
    if bytes.get(at).is_some_and(|byte| is_word_byte(*byte)) {
        return None;
    }
    at += bytes[at..].iter().take(REACH).take_while(|byte| is_quote(byte) || **byte == b' ').count();
    bytes.get(at).filter(|byte| matches!(byte, b'=' | b':'))?;
    at += 1;
    at += bytes[at..].iter().take(REACH).take_while(|byte| **byte == b' ').count();
    let slashes = bytes[at..].iter().take(REACH).take_while(|byte| **byte == b'\\').count();
    let rest = text.get(at + slashes..)?;
    let start = at + slashes + usize::from(rest.starts_with(['"', '\'']));
    let end = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => text[start..].find([quote, '\n']),
        _ => text[start..].find(|c: char| c.is_whitespace() || ",}]".contains(c)),
    };
    let value = &text[start..end.map_or(text.len(), |end| start + end)];
    let value = if slashes > 0 { value.trim_end_matches('\\') } else { value };
    (!value.is_empty()).then_some(start..start + value.len())
}
