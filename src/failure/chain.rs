//! A chain of exceptions: the explanation of the last one, and the place where it was raised.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::event::{CauseDetail, DetailLabel, SourcePlace, TENSORFLOW_TASK};

use super::place;
use super::read::{Link, REMOTE_ERROR, Raised};
use crate::failure::pattern::pattern;

/// The maximum number of a group's members that are named.
const MAX_MEMBERS: usize = 3;

/// Returns the details that explain the last exception of a chain: the members of a group, the exception before the
/// last one, and the first one.
///
/// Each detail includes its place in the user's code, unless the last exception has the same place.
pub(super) fn details(chain: &[Raised], code_dir: &Path) -> Vec<CauseDetail> {
    let Some((last, before)) = chain.split_last() else { return Vec::new() };
    let shown = place(chain, code_dir);
    let is_envelope = |raised: &Raised| raised.name.ends_with("RemoteTraceback") || raised.is_of_remote_task();
    let is_own = |raised: &Raised| !is_envelope(raised) && !is_equal(raised, last);
    let linked: Vec<(DetailLabel, &Raised)> = before
        .iter()
        .zip(&chain[1..])
        .filter(|(raised, _)| is_own(raised))
        .map(|(raised, next)| match next.link {
            Some(Link::Context) => (DetailLabel::WhileHandling, raised),
            Some(Link::Within) => (DetailLabel::PassedOnAs, raised),
            Some(Link::Cause) | None => (DetailLabel::CausedBy, raised),
        })
        .collect();
    let first = linked.first().filter(|_| linked.len() > 1);
    let members = last.members.iter().take(MAX_MEMBERS).map(|member| (DetailLabel::CausedBy, member));
    let of_cause = linked
        .last()
        .filter(|(label, _)| *label == DetailLabel::CausedBy)
        .and_then(|(_, raised)| raised.members.first());
    let of_cause = of_cause.map(|member| (DetailLabel::CausedBy, member));
    // Libraries repeat the message of one exception in the next one. A short message may be repeated by chance.
    const SHORT: usize = 20;
    let mut said = vec![last.headline()];
    let mut details = Vec::new();
    for (label, raised) in members.chain(linked.last().copied()).chain(of_cause).chain(first.copied()) {
        let (text, _) = raised.divided();
        let (_, message) = text.split_once(": ").unwrap_or(("", &text));
        let is_said = |said: &String| *said == text || message.len() > SHORT && said.contains(message);
        if !said.iter().any(is_said) {
            said.push(raised.headline());
            let own = Some(&raised.frames).filter(|frames| place::any_own(frames, code_dir));
            let own = own.and_then(|frames| place::deepest(frames.iter(), code_dir));
            let is_placed = |shown: &SourcePlace| match label {
                DetailLabel::CausedBy => true,
                // The exception of another program was raised outside of the code folder.
                _ => label == DetailLabel::PassedOnAs && shown.path.starts_with('/'),
            };
            let at = own.filter(|own| shown.as_ref().is_some_and(|shown| shown != own && is_placed(shown)));
            let text = at.map_or(text.clone(), |at| format!("{text} (at {at})"));
            details.push(CauseDetail { label: Some(label), text });
        }
    }
    details
}

/// Returns the headline of a chain and the rest of the last exception's message.
pub(super) fn headline(chain: &[Raised]) -> (String, String) {
    let Some(last) = chain.last() else { return Default::default() };
    // If there is no message, only the source line shows what was asserted.
    let original = || chain.iter().find(|raised| is_equal(raised, last) && raised.source.starts_with("assert "));
    if last.message.is_empty()
        && last.name == "AssertionError"
        && let Some(original) = original()
    {
        return (format!("{}: {}", last.name, original.source), String::new());
    }
    last.divided()
}

/// A call of a Ray task or of an actor's method: `ray::fit() (pid=71, ip=10.0.0.3)`.
static RAY_CALL: LazyLock<Regex> = LazyLock::new(|| pattern(r"ray::\S+\(\).*\bip=([\w.:]+)"));

/// The lines in which TensorFlow reports that a function that it called in another task has failed there. The first
/// such line is about the task that failed.
static TENSORFLOW_CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?m)^{REMOTE_ERROR}(/job:\w+/replica:\d+/task:\d+)")));

/// The call with which TensorFlow's coordinator runs a function in another task.
const TENSORFLOW_FUNCTION: &str = " while calling /tensorflow.eager.EagerService/";

/// TensorFlow's errors about the connection to another task, as opposed to errors of the code that ran there.
const CONNECTION_ERRORS: [&str; 4] = ["UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError"];

/// Returns the task of another process in which the last exception of a chain was raised, with its host or its name.
pub(super) fn remote_task(chain: &[Raised]) -> Option<String> {
    let of_ray = chain.iter().rev().find(|raised| raised.is_of_remote_task());
    if let Some(call) = of_ray.and_then(|raised| RAY_CALL.captures(&raised.message)) {
        return Some(format!("Ray task on host {}", &call[1]));
    }
    let last = chain.last()?;
    let is_of_connection = CONNECTION_ERRORS.iter().any(|name| last.name.ends_with(name));
    if is_of_connection || !last.message.contains(TENSORFLOW_FUNCTION) {
        return None;
    }
    let call = TENSORFLOW_CALL.captures(&last.message)?;
    Some(format!("{TENSORFLOW_TASK} {}", &call[1]))
}

/// Returns the place where the last exception of a chain was raised.
///
/// The place is searched for in the first member of a group that has frames, then in the child process that passed the
/// exception on, then in the exception's own frames, and then in the frames of the exceptions that led to it. Frames of
/// the user's code are preferred to those of libraries.
pub(super) fn place(chain: &[Raised], code_dir: &Path) -> Option<SourcePlace> {
    let last = chain.last()?;
    let member = last.members.iter().find(|member| !member.frames.is_empty());
    let original = chain.iter().find(|raised| is_equal(raised, last));
    // The interpreter raises this exception where the generator was resumed. Its cause shows where the generator ended.
    let inner =
        chain.len().checked_sub(2).map(|at| &chain[at]).filter(|_| last.message.ends_with(" raised StopIteration"));
    let candidates = || member.into_iter().chain(inner).chain(original).chain(chain.iter().rev());
    let own = candidates().find(|raised| place::any_own(&raised.frames, code_dir));
    let frames = &own.or_else(|| candidates().find(|raised| !raised.frames.is_empty()))?.frames;
    place::deepest(frames.iter(), code_dir)
}

/// Returns true if two exceptions have the same type and message, which means that one passes the other on.
fn is_equal(one: &Raised, other: &Raised) -> bool {
    (&one.name, &one.message) == (&other.name, &other.message)
}
