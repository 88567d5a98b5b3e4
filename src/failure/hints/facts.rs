//! The facts from which hints are derived, and the search for wordings in them.

use super::quotes::{QuotingText, only_quotes};
use super::wording::{between, contains};
use crate::event::{CauseDetail, DetailLabel};
use crate::failure::evidence::Evidence;
use crate::failure::lines::Log;
use crate::failure::text::one_line;

/// The number of lines at the end of each stream that may support a hint.
const TAIL_LINES: usize = 60;

/// The maximum number of bytes that are searched at each end of a text. The middle of a longer text is not shown to the
/// user either.
const END_BYTES: usize = 8 << 10;

/// Built-in exceptions about files and connections. If a library raises one of them while it handles another error, that
/// error is its reason. All other exceptions have a reason of their own: the code goes on after an error that it handled.
const WRAPPERS: [&str; 4] = ["OSError", "IOError", "ConnectionError", "TimeoutError"];

/// The facts from which hints are derived.
#[derive(Clone)]
pub(in crate::failure) struct HintFacts<'f> {
    pub(super) evidence: &'f Evidence<'f>,
    /// The signal that killed the process, if a signal did.
    pub(super) signal: Option<i32>,
    pub(super) code: i32,
    /// The headline and the exceptions that led to it, on one line.
    claimed: QuotingText,
    /// The headline, if its exception can only quote other errors.
    quoting: Option<String>,
    /// The text of [`HintFacts::claimed`] without the headline and the rest of the headline's message.
    led: QuotingText,
    /// The errors that were being handled when the headline's exception was raised, on one line, if they can be its
    /// reason.
    handled: QuotingText,
    /// The last lines of stdout and of stderr, on one line.
    tail: String,
    /// All of stderr.
    pub(super) stderr: &'f Log,
    /// True if the process ran on this host, whose kernel the evidence is about.
    is_here: bool,
}

/// The judged failure that hints explain.
pub(in crate::failure) struct JudgedFailure<'j> {
    pub(in crate::failure) headline: &'j str,
    pub(in crate::failure) details: &'j [CauseDetail],
    /// The signal that killed the process, if a signal did, and its exit code.
    pub(in crate::failure) ended: (Option<i32>, i32),
    /// The host on which the failure happened, if it is known.
    pub(in crate::failure) host: Option<&'j str>,
}

/// A hint, and the wordings that support it. A failure must claim at least one of them. `*` in a wording stands for any
/// text.
pub(super) struct HintRow {
    pub(super) wordings: &'static [&'static str],
    pub(super) hint: &'static str,
}

impl<'f> HintFacts<'f> {
    pub(in crate::failure) fn new(
        evidence: &'f Evidence<'f>,
        JudgedFailure { headline, details, ended: (signal, code), host }: JudgedFailure<'_>,
        stderr: &'f Log,
        stdout: &Log,
    ) -> HintFacts<'f> {
        let was_handled = |detail: &&CauseDetail| detail.label == Some(DetailLabel::WhileHandling);
        let name = headline.split(':').next().unwrap_or_default();
        let has_quotes = exception(headline).is_some();
        let joined = |texts: &mut dyn Iterator<Item = &CauseDetail>| {
            let mut message = QuotingText::default();
            for detail in texts {
                message.push(&ends(&detail.text), has_quotes && detail.label != Some(DetailLabel::Logged));
            }
            message
        };
        // The detail without a label is the rest of the headline's message.
        let rest = details.iter().filter(|detail| detail.label.is_none()).map(|detail| detail.text.as_str());
        let said = [headline].into_iter().chain(rest).map(ends).collect::<Vec<_>>().join(" ");
        let has_led = |detail: &&CauseDetail| {
            !matches!(detail.label, None | Some(DetailLabel::WhileHandling | DetailLabel::Then))
        };
        let led = joined(&mut details.iter().filter(has_led));
        let mut claimed = QuotingText::default();
        claimed.push(&said, has_quotes);
        claimed.append(&led);
        let quoting = only_quotes(name).then(|| ends(headline));
        let is_explained = WRAPPERS.contains(&name) && !headline.contains("[Errno ");
        let handled = joined(&mut details.iter().filter(|detail| is_explained && was_handled(detail)));
        let last = |log: &Log| {
            let from = log.lines.len().saturating_sub(TAIL_LINES);
            ends(&log.lines[from..].iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" "))
        };
        let is_here = host.is_none() || evidence.host.is_none() || host == evidence.host.as_deref();
        let tail = last(stdout) + " " + &last(stderr);
        HintFacts { evidence, signal, code, claimed, quoting, led, handled, tail, stderr, is_here }
    }

    /// Returns the facts without the words of an exception that can only quote other errors.
    pub(super) fn without_quotes(&self) -> HintFacts<'f> {
        let Some(quoting) = &self.quoting else { return self.clone() };
        let (claimed, tail) = (self.led.clone(), self.tail.replace(quoting.as_str(), ""));
        HintFacts { claimed, tail, ..self.clone() }
    }

    /// Returns the headline and the exceptions that led to it, on one line.
    pub(super) fn claimed(&self) -> &str {
        self.claimed.text()
    }

    /// Returns the first of the wordings that is contained in the headline or in the exceptions that led to it.
    pub(super) fn claims(&self, wordings: &[&'static str]) -> Option<&'static str> {
        wordings.iter().find(|wording| self.claimed.states(wording)).copied()
    }

    /// Returns the first of the wordings that is contained in the headline, in the exceptions that led to it, or in an
    /// error that was being handled.
    pub(super) fn wording(&self, wordings: &[&'static str]) -> Option<&'static str> {
        let told = |wording: &&&str| self.claimed.states(wording) || self.handled.states(wording);
        wordings.iter().find(told).copied()
    }

    /// Returns the first of the wordings that is contained in the headline, in the exceptions that led to it, or in the
    /// last lines.
    pub(super) fn mentions(&self, wordings: &[&'static str]) -> Option<&'static str> {
        let told = |wording: &&&str| self.claimed.states(wording) || contains(&self.tail, wording);
        wordings.iter().find(told).copied()
    }

    /// Returns the hint of the first row that has a wording contained in the headline or in the exceptions that led to
    /// it.
    pub(super) fn advice(&self, rows: &[HintRow]) -> Option<String> {
        rows.iter().find(|row| self.claims(row.wordings).is_some()).map(|row| row.hint.to_owned())
    }

    /// Returns the hint like [`HintFacts::advice`], and also searches the errors that were being handled.
    pub(super) fn advice_of_chain(&self, rows: &[HintRow]) -> Option<String> {
        rows.iter().find(|row| self.wording(row.wordings).is_some()).map(|row| row.hint.to_owned())
    }

    /// Returns the text between two wordings. Searches the headline, the exceptions that led to it, and the errors that
    /// were being handled.
    pub(super) fn between(&self, start: &str, end: &str) -> Option<&str> {
        self.claimed.between(start, end).or_else(|| self.handled.between(start, end))
    }

    /// Returns the last lines of both streams, on one line.
    pub(super) fn tail(&self) -> &str {
        &self.tail
    }

    /// Returns the text between two wordings in the last lines.
    pub(super) fn between_of_tail(&self, start: &str, end: &str) -> Option<&str> {
        between(&self.tail, start, end)
    }

    /// Returns the first line of stderr that contains this wording.
    pub(super) fn logged(&self, wording: &str) -> Option<&'f str> {
        self.stderr.lines.iter().map(|line| line.text.as_str()).find(|line| contains(line, wording))
    }

    /// Returns true if the kernel of the process's host would have counted a kill for lack of memory.
    pub(super) fn kills_are_counted(&self) -> bool {
        self.is_here && self.evidence.job.kills_are_counted
    }

    /// Returns true if the process was killed by this signal.
    pub(super) fn was_killed_by(&self, signal: i32) -> bool {
        self.signal == Some(signal)
    }

    /// Returns the name of the headline's exception. `None` if the headline is not an exception.
    pub(super) fn exception(&self) -> Option<&str> {
        exception(self.claimed())
    }
}

/// Returns the name of the exception with which a text begins, without its module.
fn exception(text: &str) -> Option<&str> {
    let name = text.split([':', ' ']).next()?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    (is_name && name.contains(char::is_uppercase)).then(|| name.rsplit('.').next().unwrap_or(name))
}

/// Returns both ends of a text, on one line.
fn ends(text: &str) -> String {
    if text.len() <= 2 * END_BYTES {
        return one_line(text);
    }
    let head = &text[..text.floor_char_boundary(END_BYTES)];
    let tail = &text[text.ceil_char_boundary(text.len() - END_BYTES)..];
    one_line(head) + " " + &one_line(tail)
}

#[cfg(test)]
mod tests {
    use super::{END_BYTES, ends};

    #[test]
    fn only_the_ends_of_a_long_text_are_searched() {
        let text = format!("begin {} end", "é".repeat(1 << 20));
        let searched = ends(&text);
        assert!(searched.starts_with("begin") && searched.ends_with("end") && searched.len() <= 2 * END_BYTES + 1);
    }
}
