//! Failures of tasks that a worker of an engine ran for the script.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, SourcePlace};

/// The exception of a task that a worker on one host ran for the script, as the worker logged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// The headline, without secrets. The worker may log the type of the exception without its module.
    pub headline: String,
    /// The place in the user's code, if it is known.
    pub place: Option<SourcePlace>,
}

/// The beginning of the message of an error of the operating system. The worker logs it without the file's name.
const SYSTEM_ERROR: &str = ": [Errno ";

impl TaskFailure {
    /// Returns true if the script failed with the exception of this task: the type, the message and the place are
    /// equal. A failure whose place is not known is never taken for that of the script.
    pub fn is_cause(&self, cause: &Cause) -> bool {
        let (shown, logged) = (without_module(&cause.headline), without_module(&self.headline));
        let is_longer = |rest: &str| logged.contains(SYSTEM_ERROR) && rest.starts_with(": ");
        self.place.is_some()
            && self.place == cause.place
            && shown.strip_prefix(logged).is_some_and(|rest| rest.is_empty() || is_longer(rest))
    }
}

/// Returns a headline in which the type of the exception has no module.
fn without_module(headline: &str) -> &str {
    let name = headline.split(": ").next().unwrap_or_default();
    let is_name = name.chars().all(|char| char.is_alphanumeric() || matches!(char, '_' | '.'));
    match name.rfind('.') {
        Some(dot) if is_name => &headline[dot + 1..],
        _ => headline,
    }
}

#[cfg(test)]
mod tests {
    use super::TaskFailure;
    use crate::event::{Cause, CauseEnding, Ending, SourcePlace};

    #[test]
    fn a_task_fails_the_script_if_type_message_and_place_are_equal() {
        let place = |line| Some(SourcePlace { path: "train.py".into(), line, function: Some("bad".into()) });
        let is_cause = |logged: &str, at, shown: &str| {
            let cause = Cause { place: place(4), ..Cause::new(shown, CauseEnding::Process(Ending::Exited(1))) };
            TaskFailure { headline: logged.to_owned(), place: at }.is_cause(&cause)
        };
        assert!(is_cause("ValueError: row 17", place(4), "ValueError: row 17"));
        assert!(is_cause("Rotten: row 17", place(4), "train.data.Rotten: row 17"));
        assert!(is_cause("Rotten", place(4), "train.Rotten"));
        assert!(is_cause("OSError: [Errno 2] No such file", place(4), "OSError: [Errno 2] No such file: '/x'"));
        for (logged, at) in [
            ("ValueError: row 18", place(4)),
            ("ValueError: row 1", place(4)),
            ("KeyError: row 17", place(4)),
            ("ValueError", place(4)),
            ("ValueError: row 17", place(5)),
            ("ValueError: row 17", None),
        ] {
            assert!(!is_cause(logged, at, "ValueError: row 17"), "{logged}");
        }
        assert!(!is_cause("ValueError: row. 17", place(4), "ValueError: a. row. 17"));
    }
}
