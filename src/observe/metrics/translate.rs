//! Translation of a pattern of Python's `re` into the syntax of the `regex` crate.
//!
//! The platform reads metric definitions as patterns of Python 3. Most of their syntax means the same to the `regex`
//! crate. This translator rewrites the rest (`{,3}`, `\Z`, `\012`, `(?#…)`, `{` that begins no count, classes such as
//! `[[a]`). It refuses features that the crate lacks, and names them.
//!
//! The platform's log shows a tab as `#011`, and definitions are written with that in mind. So `#011` also matches a
//! tab.

mod classes;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use thiserror::Error;

/// The reason why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Python refuses the pattern too.
    #[error("Python's re refuses it: {problem} at position {position}")]
    Invalid {
        /// The problem, as a noun phrase.
        problem: String,
        /// The position, in characters, counted from 0.
        position: usize,
    },
    /// Python supports the feature with this name, but footplate does not.
    #[error("it has {0}, which footplate cannot read")]
    Unsupported(&'static str),
    /// The pattern is too large for footplate to compile.
    #[error("its counts make it too large")]
    TooLarge,
}

/// The maximum depth of groups in groups.
const MAX_DEPTH: usize = 50;

/// Returns a pattern of Python 3 in the syntax of the `regex` crate. Its groups have the same numbers.
///
/// # Errors
/// Python refuses the pattern, or the crate has no equivalent.
pub fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::new(),
        is_ascii: false,
        is_verbose: false,
        names: BTreeSet::new(),
    };
    translator.alternatives(0)?;
    if translator.at < translator.chars.len() {
        return Err(translator.invalid("unbalanced parenthesis"));
    }
    Ok(translator.out)
}

/// The item before the current position.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that can be repeated: the start of a branch, or a position such as `^`.
    Nothing,
    /// A character, a class or a group.
    Item,
    /// An item with a quantifier.
    Repeated,
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    /// True if classes such as `\w` mean ASCII characters only.
    is_ascii: bool,
    /// True if white space and comments are left out.
    is_verbose: bool,
    names: BTreeSet<String>,
}

impl Translator {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn invalid(&self, problem: impl Into<String>) -> PatternError {
        PatternError::Invalid { problem: problem.into(), position: self.at }
    }

    fn alternatives(&mut self, depth: usize) -> Result<(), PatternError> {
        if depth > MAX_DEPTH {
            return Err(PatternError::TooLarge);
        }
        loop {
            self.branch(depth)?;
            if !self.take('|') {
                return Ok(());
            }
            self.out.push('|');
        }
    }

    fn branch(&mut self, depth: usize) -> Result<(), PatternError> {
        let mut before = Before::Nothing;
        while let Some(next) = self.peek().filter(|next| !matches!(next, '|' | ')')) {
            self.at += 1;
            match next {
                '*' | '+' | '?' => {
                    self.quantifier(&next.to_string(), before)?;
                    before = Before::Repeated;
                }
                '{' => match self.count()? {
                    Some(count) => {
                        self.quantifier(&count, before)?;
                        before = Before::Repeated;
                    }
                    None => {
                        self.literal('{');
                        before = Before::Item;
                    }
                },
                '^' | '$' => {
                    self.out.push(next);
                    before = Before::Nothing;
                }
                '.' => {
                    self.out.push('.');
                    before = Before::Item;
                }
                '[' => {
                    self.class()?;
                    before = Before::Item;
                }
                '(' => {
                    if let Some(is_item) = self.group(depth)? {
                        before = is_item;
                    }
                }
                '\\' => before = self.escape()?,
                space if self.is_verbose && space.is_ascii_whitespace() => {}
                '#' if self.is_verbose => {
                    while self.peek().is_some_and(|next| next != '\n') {
                        self.at += 1;
                    }
                }
                '#' if self.is_escaped_tab() => {
                    self.at += 3;
                    self.out.push_str(r"(?:\#011|\t)");
                    before = Before::Item;
                }
                other => {
                    self.literal(other);
                    before = Before::Item;
                }
            }
        }
        Ok(())
    }

    /// Returns true if `#011` follows, which stands for a tab in the platform's log.
    fn is_escaped_tab(&self) -> bool {
        let is_quantified = self.chars.get(self.at + 3).is_some_and(|next| "*+?{".contains(*next));
        self.chars[self.at..].starts_with(&['0', '1', '1']) && !is_quantified
    }

    fn literal(&mut self, character: char) {
        // In the crate, `\<` and `\>` are word boundaries.
        if character.is_ascii_alphanumeric() || "_ <>".contains(character) || !character.is_ascii() {
            self.out.push(character);
        } else if character.is_ascii_graphic() {
            self.out.push('\\');
            self.out.push(character);
        } else {
            self.hex(character);
        }
    }

    fn hex(&mut self, character: char) {
        let _ = write!(self.out, "\\x{{{:x}}}", u32::from(character));
    }

    fn quantifier(&mut self, quantifier: &str, before: Before) -> Result<(), PatternError> {
        match before {
            Before::Nothing => return Err(self.invalid("nothing to repeat")),
            Before::Repeated => return Err(self.invalid("multiple repeat")),
            Before::Item => {}
        }
        self.out.push_str(quantifier);
        if self.take('?') {
            self.out.push('?');
        } else if self.peek() == Some('+') {
            return Err(PatternError::Unsupported("a possessive quantifier"));
        }
        Ok(())
    }

    /// Reads a count such as `{2,3}` after its brace. Returns `None` if the brace is literal.
    fn count(&mut self) -> Result<Option<String>, PatternError> {
        let start = self.at;
        let least = self.digits();
        let is_range = self.take(',');
        let most = if is_range { self.digits() } else { least.clone() };
        if !self.take('}') || (least.is_empty() && !is_range) {
            self.at = start;
            return Ok(None);
        }
        let number = |digits: &str| digits.parse::<u32>().map_err(|_| PatternError::TooLarge);
        let least = if least.is_empty() { 0 } else { number(&least)? };
        if most.is_empty() {
            return Ok(Some(format!("{{{least},}}")));
        }
        let most = number(&most)?;
        if most < least {
            return Err(self.invalid("min repeat greater than max repeat"));
        }
        Ok(Some(format!("{{{least},{most}}}")))
    }

    fn digits(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// Reads a group after its parenthesis. Returns the kind of item that now precedes the next one, or `None` if
    /// that did not change.
    fn group(&mut self, depth: usize) -> Result<Option<Before>, PatternError> {
        let (was_ascii, was_verbose) = (self.is_ascii, self.is_verbose);
        let start = self.at - 1;
        if self.take('?') {
            match self.next() {
                Some(':') => self.out.push_str("(?:"),
                Some('P') => match self.next() {
                    Some('<') => {
                        let name = self.name()?;
                        if !self.names.insert(name) {
                            return Err(self.invalid("redefinition of a group name"));
                        }
                        self.out.push('(');
                    }
                    Some('=') => return Err(PatternError::Unsupported("a back reference")),
                    _ => return Err(self.invalid("unknown extension after (?P")),
                },
                Some('#') => {
                    while self.peek().is_some_and(|next| next != ')') {
                        self.at += 1;
                    }
                    return if self.take(')') {
                        Ok(None)
                    } else {
                        Err(self.invalid("missing ), unterminated comment"))
                    };
                }
                Some('=' | '!') => return Err(PatternError::Unsupported("a look-ahead")),
                Some('<') => return Err(PatternError::Unsupported("a look-behind")),
                Some('(') => return Err(PatternError::Unsupported("a conditional group")),
                Some('>') => return Err(PatternError::Unsupported("an atomic group")),
                Some(_) => {
                    self.at -= 1;
                    if self.flags(start)? {
                        return Ok(Some(Before::Nothing));
                    }
                }
                None => return Err(self.invalid("unexpected end of pattern")),
            }
        } else {
            self.out.push('(');
        }
        self.alternatives(depth + 1)?;
        if !self.take(')') {
            return Err(self.invalid("missing ), unterminated subpattern"));
        }
        self.out.push(')');
        (self.is_ascii, self.is_verbose) = (was_ascii, was_verbose);
        Ok(Some(Before::Item))
    }

    fn name(&mut self) -> Result<String, PatternError> {
        let start = self.at;
        while self.peek().is_some_and(|next| next != '>') {
            self.at += 1;
        }
        let name: String = self.chars[start..self.at].iter().collect();
        let is_identifier = !name.starts_with(|first: char| first.is_numeric())
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        if name.is_empty() || !is_identifier || !self.take('>') {
            return Err(self.invalid("bad group name"));
        }
        Ok(name)
    }

    /// Reads flags. Returns true for flags of the whole pattern, `(?i)`, and false if a group follows, `(?i:…)`.
    fn flags(&mut self, start: usize) -> Result<bool, PatternError> {
        let mut flags = String::new();
        let mut is_off = false;
        loop {
            match self.next() {
                Some(flag @ ('i' | 'm' | 's')) => flags.push(flag),
                Some('x') => self.is_verbose = !is_off,
                Some('a') if !is_off => self.is_ascii = true,
                Some('u') if !is_off => {}
                Some('L') => return Err(self.invalid("bad inline flags: cannot use 'L' flag with a str pattern")),
                Some('-') if !is_off => {
                    is_off = true;
                    flags.push('-');
                }
                Some(end @ (':' | ')')) => {
                    let flags = flags.strip_suffix('-').unwrap_or(&flags);
                    if end == ':' {
                        let _ = write!(self.out, "(?{flags}:");
                        return Ok(false);
                    }
                    if start > 0 || is_off {
                        return Err(self.invalid("global flags not at the start of the expression"));
                    }
                    if !flags.is_empty() {
                        let _ = write!(self.out, "(?{flags})");
                    }
                    return Ok(true);
                }
                _ => return Err(self.invalid("unknown extension")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
