//! Secrets in addresses: the user part of a URL, and paths that grant access to anyone who knows them.

use std::ops::Range;

use super::part::range_of;
use super::tokens::is_word_byte;
use super::values::{is_harmless, looks_random};

/// The hosts on which a path is a secret: the end of the host's name, the start of the path, and the number of the
/// following parts of the path that are the secret.
const SECRET_PATHS: [(&str, &str, usize); 6] = [
    ("hooks.slack.com", "/services/", 3),
    ("hooks.slack.com", "/workflows/", 4),
    ("discord.com", "/api/webhooks/", 2),
    ("discordapp.com", "/api/webhooks/", 2),
    ("api.telegram.org", "/bot", 1),
    (".webhook.office.com", "/webhookb2/", 4),
];

/// Returns the range of the secret in the path after this host.
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

/// Returns the range of the user part of a URL, `scheme://user:password@host`, up to the last `@` before the path.
/// `None` if there is no user part, or if it is not a secret.
pub(super) fn user_part(text: &str, scheme: Range<usize>) -> Option<Range<usize>> {
    let (whole, bytes) = (text, text.as_bytes());
    // JSON can escape slashes.
    let start = scheme.end + if text[scheme.end..].starts_with("://") { 3 } else { 5 };
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#'\"<>`".contains(byte);
    let length = bytes[start..].iter().take_while(|byte| !ends(byte)).count();
    let user = match whole[start..start + length].rfind('@') {
        Some(user) => user,
        None => unquoted_user_part(whole, start, length)?,
    };
    let text = &whole[start..start + user];
    let after = &whole[start + user + 1..];
    // The digest of an image, and a container of Azure's storage.
    let is_storage = ["abfs", "abfss", "wasb", "wasbs"].iter().any(|name| whole[..scheme.end].ends_with(name));
    if after.starts_with("sha256:") || is_storage {
        return None;
    }
    let is_web = whole[scheme.clone()].to_ascii_lowercase().ends_with("http")
        || whole[scheme].to_ascii_lowercase().ends_with("https");
    let is_hidden = match text.split_once(':') {
        Some((_, password)) => !password.is_empty() && !is_variable(password),
        // A user part without a password is a token, unless it is a word.
        None => !is_harmless(text) && (is_web || looks_random(text)),
    };
    is_hidden.then_some(start..start + user)
}

/// Returns the length of a user part whose password holds a sign that ends the authority of a URL: `me:x9#y8@host`. Without
/// it, the authority of `length` bytes would have a port that is no number.
fn unquoted_user_part(text: &str, start: usize, length: usize) -> Option<usize> {
    const REACH: usize = 256;
    let (_, port) = text[start..start + length].split_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let rest = &text[start..text.floor_char_boundary(start + length + REACH)];
    let ends = |c: char| c.is_whitespace() || "'\"<>`".contains(c);
    let user = rest.split(ends).next()?.rfind('@')?;
    let has_host = rest[user + 1..].starts_with(|c: char| c.is_ascii_alphanumeric());
    (!is_port && has_host && user > length).then_some(user)
}

/// Returns the range of the password in an address without a scheme, `user:password@host`, whose user is this word. The
/// password must look random.
pub(super) fn password_before_host(text: &str, user: Range<usize>) -> Option<Range<usize>> {
    const LONGEST: usize = 128;
    let rest = text[user.end..text.floor_char_boundary(user.end + LONGEST)].strip_prefix(':')?;
    let password = rest.split(|c: char| c.is_whitespace() || "@/'\"<>`,;(){}=".contains(c)).next()?;
    let after = rest[password.len()..].strip_prefix('@')?;
    let is_host = after.starts_with(|c: char| c.is_ascii_alphanumeric()) && !after.starts_with("sha256:");
    let is_start = !text[..user.start].ends_with(['/', ':', '@']);
    (is_host && is_start && looks_random(password)).then(|| range_of(text, password))
}

/// Returns the range of the user part of a percent-encoded URL, `https%3A%2F%2Fuser%3Apassword%40host`, whose scheme ends
/// here.
pub(super) fn encoded_user_part(text: &str, scheme_end: usize) -> Option<Range<usize>> {
    const REACH: usize = 256;
    let rest = &text[scheme_end..text.floor_char_boundary(scheme_end + REACH)];
    let rest = rest.strip_prefix("%3A%2F%2F").or_else(|| rest.strip_prefix("%3a%2f%2f"))?;
    let ends = |c: char| !c.is_ascii_alphanumeric() && !"%-._~+*!$".contains(c);
    let authority = rest.split(ends).next()?;
    let authority = authority.split("%2F").next()?.split("%2f").next()?;
    let user = &authority[..authority.rfind("%40")?];
    let (_, password) = user.split_once("%3A").or_else(|| user.split_once("%3a"))?;
    (!password.is_empty() && !is_variable(password)).then(|| range_of(text, user))
}

/// Returns true for a reference to a variable, and for a password that is already hidden.
fn is_variable(password: &str) -> bool {
    password.starts_with(['$', '<', '{']) || password.bytes().all(|byte| byte == b'*')
}

/// Returns the range of the password in the address of an Oracle database, `user/password@host`, whose user is this
/// word. `is_argument` is true if a program takes such an address as its argument.
pub(super) fn oracle_password(text: &str, user: Range<usize>, is_argument: bool) -> Option<Range<usize>> {
    const SCHEMES: [&str; 2] = ["jdbc:oracle:thin:", "jdbc:oracle:oci:"];
    let before = &text[..user.start];
    let password = text[user.end..].strip_prefix('/')?;
    if !(is_argument && before.ends_with([' ', '"', '\'']) || SCHEMES.iter().any(|scheme| before.ends_with(scheme))) {
        return None;
    }
    let length = password.find(|c: char| c.is_whitespace() || "@/\"'`".contains(c))?;
    let is_written = length > 0 && password[length..].starts_with('@') && !is_variable(&password[..length]);
    is_written.then(|| user.end + 1..user.end + 1 + length)
}
