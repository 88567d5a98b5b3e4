//! The reader that passes the script's lines to the rules.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rules::{self, LogRule};
use crate::logs::{LineSubscriber, Tap, TappedLines};

/// The rules of a job, which read its lines.
#[derive(Clone, Debug)]
pub struct LogRules {
    rules: Arc<Mutex<Vec<LogRule>>>,
    tap: Tap,
}

impl LogRules {
    /// Parses the rules, and begins to read lines. `None` if no rule can be used.
    ///
    /// # Errors
    /// The text is not a list of rules, or the kernel refuses to start a thread.
    pub fn begin(text: &str, warnings: &mut Vec<String>) -> Result<Option<LogRules>, String> {
        let rules = rules::read(text, warnings)?;
        if rules.is_empty() {
            return Ok(None);
        }
        let rules = Arc::new(Mutex::new(rules));
        let reader = RuleReader(Arc::clone(&rules));
        let tap = Tap::start(move || vec![Box::new(reader)]).map_err(|error: io::Error| error.to_string())?;
        Ok(Some(LogRules { rules, tap }))
    }

    /// Returns the tap, for the relay.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<LogRule>> {
        lock(&self.rules)
    }
}

/// Passes lines to rules.
struct RuleReader(Arc<Mutex<Vec<LogRule>>>);

impl LineSubscriber for RuleReader {
    fn lines(&mut self, lines: &TappedLines<'_>) {
        let mut rules = lock(&self.0);
        for line in lines.text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            for warning in rules.iter_mut().filter_map(|rule| rule.line(&line, lines.at.monotonic)) {
                tracing::warn!("{warning}");
            }
        }
    }

    fn dropped(&mut self, _: u64) {
        // The tap reports dropped lines at the end. Lines that came too fast to be read are signs of life all the
        // same.
        let now = std::time::Instant::now();
        lock(&self.0).iter_mut().filter(|rule| rule.last().is_some()).for_each(|rule| rule.seen(now));
    }
}

fn lock(rules: &Mutex<Vec<LogRule>>) -> MutexGuard<'_, Vec<LogRule>> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}
