//! Values that do not directly follow the name and a sign: in XML, in lists of names and values, in YAML blocks, and
//! behind escaped signs.

use std::ops::Range;

use super::part::range_of;
use super::tokens::is_word_byte;

/// The maximum number of bytes that are examined on each side of a name.
const REACH: usize = 64;

/// The words between a name and its value in a list of variables.
const VALUE: [&str; 7] = ["value", "Value", "VALUE", "default", "val", "ParameterValue", "parameterValue"];

/// The words before a name in a list of variables.
const NAME: [&str; 10] =
    ["name", "Name", "NAME", "ParameterKey", "parameterKey", "key", "Key", "KEY", "variable", "var"];

/// Escapes of quotes, in percent-encoding, in JSON and in HTML.
const QUOTES: [&str; 9] = ["%22", "%27", "%60", "&quot;", "&#34;", "&#39;", "&apos;", r"\u0022", r"\u0027"];

/// Escapes of `=` and `:`.
const SIGNS: [&str; 8] = ["%3D", "%3A", "%3d", "%3a", r"\u003d", r"\u003D", r"\u003a", "&#61;"];

/// Escapes that end a value.
const ENDS: [&str; 12] = ["%26", "%3B", "%3b", "%2C", "%2c", "%7D", "%7d", "%0A", "%0a", "%20", r"\u0026", "&amp;"];

/// Returns the range of the value that belongs to the name at this range, if it is in one of these notations.
pub(super) fn value(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    match text.as_bytes().get(name.end).unwrap_or(&b'\n') {
        b'<' => of_property(text, name),
        b' ' if is_tag(text, name.start) => of_tag(text, name.end).or_else(|| of_element(text, name)),
        b'>' => of_element(text, name),
        b'%' | b'&' => escaped(text, name.end),
        b':' => of_block(text, name.clone()).or_else(|| escaped(text, name.end)),
        b'=' => escaped(text, name.end),
        b'\\' => escaped(text, name.end).or_else(|| listed(text, name)),
        _ => listed(text, name),
    }
}

/// Returns true if the name that begins here is that of an XML element, which may have a prefix: `<wsse:Password`.
fn is_tag(text: &str, name_start: usize) -> bool {
    let before = &text[text.ceil_char_boundary(name_start.saturating_sub(REACH))..name_start];
    let prefix = before.rsplit('<').next().unwrap_or_default();
    let is_prefix = |prefix: &str| prefix.bytes().all(is_word_byte);
    before.len() > prefix.len() && (prefix.is_empty() || prefix.strip_suffix(':').is_some_and(is_prefix))
}

/// Returns the range of the text of an XML element: `<password>x9y8</password>`.
fn of_element(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    if !is_tag(text, name.start) {
        return None;
    }
    let tag = text[name.end..text.floor_char_boundary(name.end + 8 * REACH)].split(['>', '<', '\n']).next()?;
    let start = name.end + tag.len() + 1;
    let rest = text.get(start..)?;
    let inside = rest.strip_prefix("<![CDATA[").unwrap_or(rest);
    let start = start + rest.len() - inside.len();
    let end = if inside.len() < rest.len() { "]]></" } else { "</" };
    let length = inside[..inside.floor_char_boundary(8 * REACH)].find(['<', ']'])?;
    let is_whole = text[..start].ends_with(['>', '[']) && inside[length..].starts_with(end);
    (is_whole && length > 0).then_some(start..start + length)
}

/// Returns the range of the value in the tag of an XML element: `<password id="3" value="x9y8"/>`.
fn of_tag(text: &str, name_end: usize) -> Option<Range<usize>> {
    let tag = text[name_end..text.floor_char_boundary(name_end + 8 * REACH)].split('>').next()?;
    let (_, rest) = tag.split_once(" value=")?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let value = rest[1..].split(quote).next().filter(|value| value.len() + 2 <= rest.len() && !value.is_empty())?;
    Some(range_of(text, value))
}

/// Returns the range of the value in a property in XML: `<name>password</name><value>x9y8</value>`.
fn of_property(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let rest = text[name.end..].strip_prefix("</name>")?.trim_start().strip_prefix("<value>")?;
    let is_name = text[..name.start].trim_end().ends_with("<name>");
    let value = rest.split_once("</value>").map(|(value, _)| value)?;
    (is_name && !value.is_empty()).then(|| range_of(text, value))
}

/// Returns the range of the lines of a block in YAML: `password: |`.
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

/// Returns the range of a value after an escaped sign or between escaped quotes: `password%3Dx9y8`.
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

/// Returns the range of a value that is listed next to its name: `{"name": "DB_PASS", "value": "x9y8"}`.
fn listed(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    // The text before the name must end with `name`, a sign, and quotes.
    let from = text.ceil_char_boundary(name.start.saturating_sub(REACH));
    let before = text[from..name.start].trim_end_matches(['"', '\'', '\\', ' ']);
    let before = before.strip_suffix(['=', ':'])?.trim_end_matches(['"', '\'', '\\', ' ']);
    let label = NAME.iter().find(|label| before.ends_with(**label))?;
    let before = &before[..before.len() - label.len()];
    if before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let after = name.end;
    of_attribute(text, after)
        .or_else(|| listed_after(text, after))
        .or_else(|| listed_after(text, after_next_item(text, after)?))
        .or_else(|| listed_before(text, before.len() + from))
}

/// Returns the range of the text of an XML element after the attribute that ends here: `key="password">x9y8</entry>`.
fn of_attribute(text: &str, name_end: usize) -> Option<Range<usize>> {
    let rest = text[name_end..].strip_prefix(['"', '\''])?.strip_prefix('>')?;
    let length = rest[..rest.floor_char_boundary(8 * REACH)].find("</")?;
    let start = name_end + 2;
    (length > 0).then_some(start..start + length)
}

/// Returns the end of one more item between a name and its value: `"name": "DB_PASS", "type": "String", "value": …`.
fn after_next_item(text: &str, name_end: usize) -> Option<usize> {
    let rest = &text[name_end..text.floor_char_boundary(name_end + 2 * REACH)];
    let is_edge = |c: char| matches!(c, '"' | '\'' | '\\');
    let item = rest.trim_start_matches(is_edge).strip_prefix(',')?;
    let end = item.find([',', '}', '{', '\n', '['])?;
    let is_pair = item[..end].contains(':') && item[end..].starts_with(',');
    is_pair.then(|| range_of(text, item).start + end)
}

/// Returns the range of the value that is listed after the name that ends here.
fn listed_after(text: &str, name_end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\');
    // The text after the name must continue with `value`, a sign, and quotes.
    let is_between = |byte: &u8| is_quote(byte) || matches!(byte, b' ' | b',' | b'\n' | b'\r' | b'\t');
    let mut at = name_end + bytes[name_end..].iter().take(REACH).take_while(|byte| is_between(byte)).count();
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

/// Returns the range of the value that is listed before the label of a name. The label begins here: `{"value": "x9y8",
/// "name": …`.
fn listed_before(text: &str, label: usize) -> Option<Range<usize>> {
    let from = text.ceil_char_boundary(label.saturating_sub(8 * REACH));
    let between = ['"', '\'', '\\', ' ', '\n', '\r', '\t', '-'];
    let before = text[from..label].trim_end_matches(between);
    let is_separated = before.ends_with(',') || text[from + before.len()..label].contains('\n');
    let item = before.trim_end_matches([',', ' ']);
    // The value must fill the item before the label: only quotes may surround it.
    let (at, word) = VALUE.iter().filter_map(|word| Some((item.rfind(word)?, word))).max()?;
    if !is_separated || item[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let rest = item[at + word.len()..].trim_start_matches(['"', '\'', '\\', ' ']).strip_prefix([':', '='])?;
    let rest = rest.trim_start_matches(' ');
    let open = rest.trim_start_matches('\\');
    let value = match open.chars().next()? {
        quote @ ('"' | '\'') => open.strip_prefix(quote)?.strip_suffix(quote)?.trim_end_matches('\\'),
        _ => rest,
    };
    let is_one = !value.is_empty() && !value.contains(['"', '\'', '\n', '{', '}']);
    is_one.then(|| range_of(text, value))
}
