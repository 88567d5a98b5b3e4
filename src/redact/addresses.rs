//! Secrets in addresses: the user part of a URL, and paths that let anyone in who knows them.

use std::ops::Range;

use super::tokens::is_word_byte;
use super::values::{is_harmless, looks_random};

/// The hosts of which a path is a secret: the end of the host's name, the start of the path, and the number of its parts
/// after that which are the secret.
const SECRET_PATHS: [(&str, &str, usize); 6] = [
    ("hooks.slack.com", "/services/", 3),
    ("hooks.slack.com", "/workflows/", 4),
    ("discord.com", "/api/webhooks/", 2),
    ("discordapp.com", "/api/webhooks/", 2),
    ("api.telegram.org", "/bot", 1),
    (".webhook.office.com", "/webhookb2/", 4),
];

/// Returns the place of the secret in the path after this host.
pub(super) fn secret_path(text: &str, host: Range<usize>) -> Option<Range<usize>> {
    let (name, path) = (&text[host.clone()], &text[host.end..]);
    let is_row = |row: &&(&str, &str, usize)| name.ends_with(row.0) && path.starts_with(row.1);
    let (_, begin, parts) = SECRET_PATHS.iter().find(is_row)?;
    let start = host.end + begin.len();
    let is_part = |byte: u8| is_word_byte(byte) || matches!(byte, b':' | b'@');
    let mut end = start;
    for part in 0..*parts {
        let from = if part > 0 && text.as_bytes().get(end) == Some(&b'/') { end + 1 } else { end };
        end = from + text.as_bytes()[from..].iter().take_while(|byte| is_part(**byte)).count();
    }
    end = start + text[start..end].trim_end_matches(['.', ':']).len();
    let has_digit = text[start..end].bytes().any(|byte| byte.is_ascii_digit());
    (end >= start + 16 && has_digit).then_some(start..end)
}

/// Returns the place of the user part of a URL, `scheme://user:password@host`, up to the last `@` before the
/// path, or `None` if there is none that is a secret.
pub(super) fn user_part(text: &str, scheme: Range<usize>) -> Option<Range<usize>> {
    let (whole, bytes) = (text, text.as_bytes());
    let start = scheme.end + 3;
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#'\"<>`".contains(byte);
    let length = bytes[start..].iter().take_while(|byte| !ends(byte)).count();
    let user = whole[start..start + length].rfind('@')?;
    let text = &whole[start..start + user];
    let is_web = whole[scheme].to_ascii_lowercase().ends_with("http")
        || bytes[..start].ends_with(b"https://")
        || bytes[..start].ends_with(b"HTTPS://");
    let is_hidden = match text.split_once(':') {
        Some((_, password)) => !password.is_empty() && !is_variable(password),
        // A name alone is a token, if it is no word.
        None => !is_harmless(text) && (is_web || looks_random(text)),
    };
    is_hidden.then_some(start..start + user)
}

/// Returns true for a reference to a variable, and for a password that was hidden before.
fn is_variable(password: &str) -> bool {
    password.starts_with(['$', '<', '{']) || password.bytes().all(|byte| byte == b'*')
}
