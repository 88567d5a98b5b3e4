//! Lines that a script has written: the failure that they report, and the hints that follow from them.

use std::path::Path;

use super::line;
use crate::event::Ending;
use crate::failure::{self, Evidence};
use crate::redact::Redactor;

/// Explains output as if a script had ended with it. A single word is not output.
pub(super) fn explained(text: &str) -> Option<String> {
    if !text.contains(char::is_whitespace) {
        return None;
    }
    let evidence = Evidence::new(Ending::Exited(1), text.as_bytes(), b"", Path::new("/"), String::new());
    let cause = failure::redacted(&failure::cause(&evidence), &Redactor::default());
    let mut explained = String::from("the output of a script\n");
    explained += &line("error", &failure::headline(&cause, &Redactor::default()));
    for hint in &cause.hints {
        explained += &line("hint", hint);
    }
    if cause.hints.is_empty() {
        explained += &line("hint", "none: nothing more follows from this text");
    }
    Some(explained)
}
