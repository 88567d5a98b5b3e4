//! Secrets whose place in a line makes them certain: the passwords of `.netrc` and `.pgpass` files, and the arguments of
//! programs that take secrets without an option.

use std::ops::Range;

use super::forms::SecretScanner;
use super::names::{MAX_NAME, NameKind};
use super::part::range_of;
use super::programs::Program;
use super::values::{Pairing, is_harmless, is_secret};

/// The maximum length, in bytes, of the part of a line that is examined.
const REACH: usize = 512;

/// The maximum number of words after a program that are examined: a subcommand, its arguments and the secrets.
const MAX_WORDS: usize = 8;

/// The programs with secrets among their arguments.
const PROGRAMS: [ArgumentRule; 12] = [
    ArgumentRule { program: "mc", subcommand: &["alias", "set"], before: 2, has_url: true, secrets: 2 },
    ArgumentRule { program: "mc", subcommand: &["config", "host", "add"], before: 2, has_url: true, secrets: 2 },
    ArgumentRule { program: "mcli", subcommand: &["alias", "set"], before: 2, has_url: true, secrets: 2 },
    ArgumentRule { program: "htpasswd", subcommand: &["-b"], before: 2, has_url: false, secrets: 1 },
    ArgumentRule { program: "htpasswd", subcommand: &["-bc"], before: 2, has_url: false, secrets: 1 },
    ArgumentRule { program: "htpasswd", subcommand: &["-cb"], before: 2, has_url: false, secrets: 1 },
    ArgumentRule { program: "htpasswd", subcommand: &["-nb"], before: 1, has_url: false, secrets: 1 },
    ArgumentRule { program: "htpasswd", subcommand: &["-bn"], before: 1, has_url: false, secrets: 1 },
    ArgumentRule { program: "poetry", subcommand: &["config"], before: 2, has_url: false, secrets: 1 },
    ArgumentRule { program: "rabbitmqctl", subcommand: &["add_user"], before: 1, has_url: false, secrets: 1 },
    ArgumentRule { program: "rabbitmqctl", subcommand: &["change_password"], before: 1, has_url: false, secrets: 1 },
    ArgumentRule { program: "rclone", subcommand: &["obscure"], before: 0, has_url: false, secrets: 1 },
];

/// The position of the secrets among the arguments of a program.
struct ArgumentRule {
    program: &'static str,
    subcommand: &'static [&'static str],
    /// The number of arguments before the secrets.
    before: usize,
    /// True if the last argument before the secrets is a URL.
    has_url: bool,
    /// The number of secrets.
    secrets: usize,
}

/// Returns true if a program of this name can have secrets among its arguments.
pub(super) fn has_rule(program: &str) -> bool {
    // This is called for every word of a text.
    (2..=11).contains(&program.len()) && PROGRAMS.iter().any(|rule| rule.program == program)
}

/// Returns the indices of the secrets among the words after the name of a program.
pub(super) fn secret_arguments(program: &str, words: &[&str]) -> Range<usize> {
    let is_argument = |word: &&str| !word.is_empty() && !word.starts_with(['-', '$', '<', '{', '*', '&', '|', ';']);
    for rule in PROGRAMS.iter().filter(|rule| rule.program == program) {
        let Some(rest) = words.strip_prefix(rule.subcommand) else { continue };
        let end = rule.before + rule.secrets;
        let is_complete = rest.len() >= end && rest[rule.before..end].iter().all(is_argument);
        if is_complete && (!rule.has_url || rest[rule.before - 1].contains("://")) {
            return rule.subcommand.len() + rule.before..rule.subcommand.len() + end;
        }
    }
    0..0
}

/// Returns the ranges of the secrets among the arguments of the program that is this word.
fn arguments_of(text: &str, program: Range<usize>) -> Vec<Range<usize>> {
    let rest = text[program.end..text.floor_char_boundary(program.end + REACH)].trim_start_matches(is_around_word);
    let mut rules = PROGRAMS.iter().filter(|rule| rule.program == &text[program.clone()]);
    if !rules.any(|rule| rest.starts_with(rule.subcommand[0])) {
        return Vec::new();
    }
    let line = rest.split('\n').next().unwrap_or_default();
    let words = line.split(char::is_whitespace).map(|word| word.trim_matches(is_around_word));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).take(MAX_WORDS).collect();
    words[secret_arguments(&text[program], &words)].iter().map(|word| range_of(text, word)).collect()
}

/// Returns true for a character that can surround a word of a command.
fn is_around_word(c: char) -> bool {
    matches!(c, ' ' | '"' | '\'' | ',' | '[' | ']' | '\\')
}

/// Returns the range of the password in `-u user,password`, an option of lftp that ends at this position.
fn lftp_password(text: &str, option_end: usize) -> Option<Range<usize>> {
    let rest = &text[option_end..text.floor_char_boundary(option_end + REACH)];
    let argument = rest.strip_prefix([' ', '='])?.trim_start_matches([' ', '"', '\'']);
    let argument = argument.split(|c: char| c.is_whitespace() || "\"'".contains(c)).next()?;
    let (_, password) = argument.split_once(',').filter(|(user, _)| !user.is_empty())?;
    (!password.is_empty() && !password.starts_with(['$', '<', '{', '*'])).then(|| range_of(text, password))
}

impl SecretScanner<'_> {
    /// Hides the secrets of a program that follow this word: its arguments, and passwords that are joined to an option.
    /// Returns the position at which the search continues, or `None` if there are none.
    pub(super) fn arguments(&mut self, word: Range<usize>) -> Option<usize> {
        let text = &self.text[word.clone()];
        if has_rule(text) && self.byte(word.end) != b':' {
            let secrets = arguments_of(self.text, word);
            let end = secrets.last()?.end;
            self.found.extend(secrets);
            return Some(end);
        }
        let program = self.program?;
        let password = if program == Program::Lftp && program.takes_password(text) {
            lftp_password(self.text, word.end)?
        } else {
            let option = program.option_before_password().filter(|option| text.starts_with(option))?;
            let value = if text.len() > option.len() {
                self.bare(word.start + option.len())?
            } else {
                self.quote(word.end)?;
                self.value(word.end)?
            };
            let value = value.range;
            let is_password = program.holds_password(option, &self.text[value.clone()]) == Some(true);
            (is_password && is_secret(NameKind::Password, &self.text[value.clone()], Pairing::Certainly))
                .then_some(value)?
        };
        let end = password.end;
        self.found.push(password);
        Some(end)
    }

    /// Returns true if the pair before the name that begins at `start` is that of a user: `{"username":"me","key":"…`.
    pub(super) fn is_after_user(&self, start: usize) -> bool {
        let before = &self.text[self.text.ceil_char_boundary(start.saturating_sub(MAX_NAME))..start];
        before.rsplit('\n').next().is_some_and(|line| line.contains("\"username\""))
    }

    /// Returns the range of the password that a shell passes to the program of this option through a pipe or a here-string:
    /// `echo x9y8 | docker login --password-stdin`.
    pub(super) fn piped(&self, word: Range<usize>) -> Option<Range<usize>> {
        const OPTIONS: [&str; 3] = ["--password-stdin", "--with-token", "-S"];
        let option = OPTIONS.into_iter().find(|option| self.text[word.clone()] == **option)?;
        let before = &self.text[self.text.ceil_char_boundary(word.start.saturating_sub(REACH))..word.start];
        let before = before.rsplit('\n').next().unwrap_or_default();
        if option == "-S" && !before.ends_with("sudo ") {
            return None;
        }
        let printed = before.rsplit_once('|').and_then(|(command, _)| {
            let from = ["echo ", "printf ", "<<<"].iter().filter_map(|start| Some(command.rfind(start)? + start.len()));
            Some(&command[from.max()?..])
        });
        let after = &self.text[word.end..self.text.floor_char_boundary(word.end + REACH)];
        let given = || after.split('\n').next()?.split_once("<<<").map(|(_, word)| word);
        let words = printed.or_else(given)?.trim();
        let value = match words.chars().next_back()? {
            quote @ ('"' | '\'') => words[..words.len() - 1].rsplit(quote).next()?,
            _ => words.rsplit(' ').next()?,
        };
        let is_written = !value.starts_with(['$', '`', '-', '<', '%']);
        let is_hidden = is_written && is_secret(NameKind::Password, value, Pairing::Certainly);
        is_hidden.then(|| range_of(self.text, value))
    }

    /// Returns the range of the hash of the traditional function `crypt` in a line of `/etc/shadow`,
    /// `user:hash:days:…`, whose first word is this one. It has 13 characters.
    pub(super) fn shadow(&self, word: Range<usize>) -> Option<Range<usize>> {
        const LENGTH: usize = 13;
        const FIELDS: usize = 7;
        let line = self.text[word.end..self.text.floor_char_boundary(word.end + REACH)].strip_prefix(':')?;
        let hash = line.split(':').next().filter(|hash| hash.len() == LENGTH)?;
        let fields = line.splitn(FIELDS, ':').take(FIELDS - 1);
        let is_hash = hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
        let is_days = |days: &str| !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit());
        let is_line = fields.clone().nth(1).is_some_and(is_days)
            && fields.clone().all(|field| !field.contains(char::is_whitespace))
            && fields.count() + 1 == FIELDS;
        (is_hash && is_line).then(|| range_of(self.text, hash))
    }

    /// Returns true if the value of the name that begins here is a secret even if it is a word: after `machine host login
    /// user` in a `.netrc` file, after `--from-literal` of kubectl, and after `ENV` in a Dockerfile.
    pub(super) fn is_certain(&self, name: usize) -> bool {
        let before = &self.text[self.text.ceil_char_boundary(name.saturating_sub(REACH))..name];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let option = line.trim_end_matches(['"', '\'', '=', ' ']);
        if option.ends_with("--from-literal") || matches!(option.rsplit(' ').next(), Some("ENV" | "setenv")) {
            return option.len() < line.len();
        }
        let mut words = line.split_ascii_whitespace().rev();
        let (_, login, host, machine) = (words.next(), words.next(), words.next(), words.next());
        let is_host = host.is_some_and(|host| host.contains('.') || host == "localhost");
        login == Some("login") && (machine == Some("machine") && is_host || host == Some("default"))
    }

    /// Returns the range of the password in a line of a `.pgpass` file, `host:port:database:user:password`, whose first
    /// word is this one. Only the usual ports of databases are recognized, because other texts have colons too.
    pub(super) fn pgpass(&self, word: Range<usize>) -> Option<Range<usize>> {
        if self.byte(word.end) != b':' {
            return None;
        }
        let text = self.text;
        let mut start = word.start;
        for _ in 0..3 {
            start -= if text[..start].ends_with("*:") { 2 } else { 0 };
        }
        let is_edge = |c: char| c.is_whitespace() || "\"'`".contains(c);
        if !text[..start].is_empty() && !text[..start].ends_with(is_edge) {
            return None;
        }
        let line = text[start..text.floor_char_boundary(start + REACH)].split(is_edge).next()?;
        let mut fields = line.split(':');
        let (host, port, database, user) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let password = fields.next().filter(|password| !password.is_empty() && fields.next().is_none())?;
        let is_port = |port: &str| {
            port == "*" || port.len() == 4 && port.starts_with("54") && port.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_name = |name: &str| name == "*" || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_host = host == "*" || host.contains('.') || host.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_line = is_port(port) && is_name(database) && is_name(user) && is_host && !host.contains('/');
        let is_secret = !password.starts_with(['$', '<', '{', '*'])
            && (port == "*" || host == "localhost" || !is_harmless(password));
        (is_line && is_secret).then(|| range_of(text, password))
    }
}
