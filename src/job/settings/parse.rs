//! Functions that read a setting's value from text. Each returns `None` for a text that it does not accept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The largest number of processes or GPUs on one host: The largest hosts have 64 Neuron cores, so a larger number is
/// a typing error.
const MAX_COUNT: usize = 1024;

/// The longest time, in seconds: about 30 years, so that adding it to a time cannot overflow.
const MAX_SECONDS: f64 = 1e9;

pub(super) fn is_on(text: &str) -> bool {
    matches!(text, "on" | "true" | "True" | "1" | "yes")
}

pub(super) fn is_off(text: &str) -> bool {
    matches!(text, "off" | "false" | "False" | "0" | "no")
}

/// Reads any text.
pub(super) fn text(text: &str) -> Option<Option<String>> {
    Some(Some(text.to_owned()))
}

/// Reads a time in seconds, with fractions.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Reads a number of processes or GPUs.
pub(super) fn count(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|count| *count <= MAX_COUNT)
}

/// Reads a port, 1 to 65535.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Reads pairs `host=address`, separated by commas.
pub(super) fn addresses(text: &str) -> Option<BTreeMap<String, IpAddr>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let mut addresses = BTreeMap::new();
    for pair in pairs {
        let (host, address) = pair.split_once('=')?;
        addresses.insert(host.trim().to_owned(), address.trim().parse().ok()?);
    }
    Some(addresses)
}

/// Reads `on` or `off`, in any of their accepted spellings.
pub(super) fn switch(text: &str) -> Option<bool> {
    if is_on(text) { Some(true) } else { is_off(text).then_some(false) }
}

/// Splits a text into words as `sh` does, without expanding anything: blanks separate words, quotes and backslashes
/// keep blanks in them. Returns `None` if a quote is not closed or the last character is a backslash.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    // `None` between words. An `Option` is needed because '' is a word too.
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => match characters.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("  --a 1\n--b=2 ", Some(vec!["--a", "1", "--b=2"])),
            ("--a='x y'z \"\"", Some(vec!["--a=x yz", ""])),
            (r#"a\ b "c\"d\e" 'f\g'"#, Some(vec!["a b", r#"c"d\e"#, r"f\g"])),
            ("'open", None),
            ("\"open", None),
            ("open\\", None),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
