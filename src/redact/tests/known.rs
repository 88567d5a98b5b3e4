//! Known secrets, in all their spellings.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use crate::redact::{HIDDEN, Redactor};

fn knows(secret: &str) -> Redactor {
    Redactor::default().and(secret)
}

/// Returns a text as it appears between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let string = serde_json::Value::from(text).to_string();
    string[1..string.len() - 1].to_owned()
}

/// Returns JSON with characters beyond ASCII escaped, as Python writes it.
fn ascii(json: &str) -> String {
    let mut text = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}

/// Returns a text with a line end and an indentation after every `width` characters.
fn folded(text: &str, width: usize, indentation: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let lines: Vec<String> = characters.chunks(width).map(|line| line.iter().collect()).collect();
    lines.join(&format!("\n{indentation}"))
}

/// Returns percent-encoded text with lower-case digits.
fn in_lower_case(percent: &str) -> String {
    let mut parts = percent.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

/// Returns a secret in every spelling that must be found.
fn spellings(secret: &str) -> Vec<String> {
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let json = in_json(secret);
    let mut all = vec![
        secret.to_owned(),
        percent.clone(),
        in_lower_case(&percent),
        percent.replace("%20", "+"),
        ascii(&json),
        in_json(&json),
        in_json(&in_json(&ascii(&json))),
        json.replace(r#"\""#, "\"").replace('\'', r"\'"),
        secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        folded(secret, 7, ""),
        folded(secret, 5, "    "),
    ];
    for before in ["", "u", "us", "user:", "anyone:"] {
        let login = format!("{before}{secret}");
        all.extend([STANDARD.encode(&login), STANDARD.encode(format!("{login} x")), URL_SAFE_NO_PAD.encode(&login)]);
        all.push(folded(&STANDARD.encode(&login), 8, ""));
        all.push(in_json(&folded(&STANDARD.encode(&login), 8, "")));
        all.push(utf8_percent_encode(&STANDARD.encode(&login), NON_ALPHANUMERIC).to_string());
    }
    all
}

/// Returns the longest part of a spelling that is still in the text, in characters.
fn left(cleaned: &str, spelling: &str) -> usize {
    let characters: Vec<char> = spelling.chars().collect();
    let is_in =
        |length: usize| characters.windows(length).any(|part| cleaned.contains(&part.iter().collect::<String>()));
    (1..=characters.len()).take_while(|&length| is_in(length)).last().unwrap_or_default()
}

#[test]
fn known_secrets_are_found_in_every_spelling() {
    for secret in [
        "hunter2-Zx81+/ab=cd&e",
        "a \"quote\", a 'tick', a \\, é 😀 <x> & 100%",
        "line one of 3\n  line two of 3\nthe last 1",
        "abc123",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "C:\\data\\users9\ttab",
        "%41%zz+1 2",
    ] {
        let redactor = knows(secret);
        for spelling in spellings(secret) {
            let cleaned = redactor.clean(&spelling).into_owned();
            assert!(cleaned.contains(HIDDEN), "{secret:?} is in {spelling:?}");
            // The user's name, which precedes the secret in the base64 text, stays.
            assert!(left(&cleaned, &spelling) < 14, "{spelling:?} became {cleaned:?}");
        }
        let text = format!("[{secret}] {}", spellings(secret)[1]);
        assert_eq!(redactor.clean(&text), format!("[{HIDDEN}] {HIDDEN}"));
    }
}

#[test]
fn a_secret_is_found_after_it_was_quoted_many_times() {
    let secret = r#"say "SEKRIT" aloud 9"#;
    let mut text = secret.to_owned();
    for times in 1..=6 {
        text = serde_json::Value::from(text).to_string();
        assert!(!knows(secret).clean(&text).contains("SEKRIT"), "quoted {times} times: {text}");
    }
}

#[test]
fn a_secret_that_is_part_of_another_or_overlaps_it_leaves_nothing_of_that() {
    for secrets in [["abcdef1", "abcdef1ghij"], ["abcdef1ghij", "abcdef1"]] {
        let redactor = knows(secrets[0]).and(secrets[1]);
        assert_eq!(redactor.clean("abcdef1ghij, abcdef1"), format!("{HIDDEN}, {HIDDEN}"));
    }
    assert_eq!(knows("abcdef1").and("def1xyz").clean("<abcdef1xyz>"), format!("<{HIDDEN}>"));
    assert_eq!(knows("abcdef1").clean("abcdef1abcdef1"), HIDDEN);
}

#[test]
fn a_secret_line_of_sixteen_bytes_is_searched_for_by_itself() {
    let redactor = knows("-- begin --\n  0123456789abcdef \n0123456789ABCDE\n");
    assert_eq!(redactor.clean("x 0123456789abcdef x"), format!("x {HIDDEN} x"), "without the blanks around it");
    for kept in ["a -- begin -- b", "0123456789ABCDE"] {
        assert_eq!(redactor.clean(kept), kept);
    }
}

#[test]
fn a_long_secret_is_hidden_as_far_as_a_text_agrees_with_it() {
    let long: String = (0..20_000).map(|number| format!("k{number}\n")).collect();
    let other = format!("{}END", &long[..600]);
    let redactor = knows(&long).and(&other);
    for text in [long.trim().to_owned(), in_json(long.trim()), other.clone()] {
        assert_eq!(redactor.clean(&format!("<{text}>")), format!("<{HIDDEN}>"));
    }
    assert_eq!(redactor.clean(&format!("<{}>", &long[..1001])), format!("<{HIDDEN}>"));
    let base64 = STANDARD.encode(&long);
    assert_eq!(redactor.clean(&format!("<{base64}>")), format!("<{HIDDEN}>"));
}

#[test]
fn blanks_are_ignored_in_long_secrets_only() {
    assert_eq!(knows("epoch1").clean("at epoch 1 and epoch1"), format!("at epoch 1 and {HIDDEN}"));
    assert_eq!(knows("0123456789abcdef").clean("01234567 89abcdef"), HIDDEN);
}

#[test]
fn one_more_secret_is_removed_beside_the_others() {
    let redactor = Redactor::new([("token", "abc123")]).and("login-42");
    assert_eq!(redactor.clean("abc123 login-42 other"), format!("{HIDDEN} {HIDDEN} other"));
}

/// Returns a text without the secrets in their plain spelling. The function is slow, but simple enough to be correct.
fn simply_cleaned(secrets: &[String], text: &str) -> String {
    let mut is_hidden = vec![false; text.len()];
    for secret in secrets {
        let secret = secret.trim();
        for at in 0..text.len() {
            if secret.len() >= 6 && text.as_bytes()[at..].starts_with(secret.as_bytes()) {
                is_hidden[at..at + secret.len()].fill(true);
            }
        }
    }
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        if !is_hidden[at] {
            out.push(c);
        } else if at == 0 || !is_hidden[at - 1] {
            out.push_str(HIDDEN);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Letters that have no meaning in any form or encoding, so that only the known secrets matter.
    #[test]
    fn plain_spellings_are_hidden_as_a_simple_search_hides_them(
        secrets in prop::collection::vec("[abé]{6,9}", 0..4),
        text in "[abé.]{0,60}",
    ) {
        let redactor = secrets.iter().fold(Redactor::default(), |redactor, secret| redactor.and(secret));
        prop_assert_eq!(redactor.clean(&text), simply_cleaned(&secrets, &text));
    }

    #[test]
    fn no_text_shows_a_known_secret(
        secret in "[a-cn0-2]{5}[-a-cn0-2\\\\%\"' \n/+=é]{0,12}[a-cn0-2]{3}",
        before in "[a-cn\\\\%\"' \n/+=é0-2]{0,12}",
        after in "[a-cn\\\\%\"' \n/+=é0-2]{0,12}",
        depth in 0_usize..3,
    ) {
        let secret = secret.as_str();
        let mut text = format!("{before}{secret}{after}");
        prop_assert!(!knows(secret).clean(&text).contains(secret));
        let mut quoted = secret.to_owned();
        for _ in 0..depth {
            (text, quoted) = (in_json(&text), in_json(&quoted));
        }
        let cleaned = knows(secret).clean(&text).into_owned();
        prop_assert!(!cleaned.contains(&quoted) || before.ends_with('\\') || before.contains('%'), "{:?} in {:?}", quoted, cleaned);
    }

    #[test]
    fn cleaning_never_panics_and_twice_changes_nothing_more(
        text in "(token|password|Bearer |://|@|[=:,'\"\\\\ \n{}\\[\\]<>%&-]|[a-z0-9]{1,4}|-----BEGIN PRIVATE KEY-----|é|eyJ|hf_){0,40}",
    ) {
        let redactor = knows("abc123");
        let cleaned = redactor.clean(&text).into_owned();
        prop_assert_eq!(redactor.clean(&cleaned).into_owned(), cleaned);
    }
}
