//! Hints: one sentence with the problem that the evidence points to, a semicolon, and the remedy.
//!
//! Each subject has a file with functions from [`HintFacts`] to a hint. [`hints`] calls them in one order, the most
//! certain first. A hint is only given if it is certainly true: it follows from a figure of the machine, or from the
//! exact wording of a library or program in the headline or in the exceptions that led to it. Wordings are searched
//! only at the two ends of a text, and patterns are compiled only after a wording was found. Judging therefore stays
//! fast, whatever a script prints.

mod cloud;
mod compiler;
mod disk;
mod driver;
mod facts;
mod files;
mod gpu;
mod gpu_memory;
mod hardware;
mod hub;
mod imports;
mod languages;
mod launch;
mod libraries;
mod memory;
mod models;
mod network;
mod packages;
mod parameters;
mod peers;
mod program;
mod quotes;
mod removed;
mod stop;
mod system;
mod versions;
mod wording;
mod wordless;
mod workers;

use std::path::Path;

use super::evidence::Evidence;
use super::lines::Log;
use crate::event::Ending;

pub(super) use facts::{HintFacts, JudgedFailure};

/// The maximum number of hints. More hints would leave too little space for the other lines of the failure text.
const MAX_HINTS: usize = 2;

/// A function that returns a hint if the facts support it.
type Hint = fn(&HintFacts<'_>) -> Option<String>;

/// The exceptions whose texts may lead to a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// All exceptions.
    Anyone,
    /// Exceptions that report an error of their own. `ValueError: row 7: No space left on device` can only quote one.
    Reporters,
}

/// All hints, the most certain first.
const ALL: &[(Hint, Trust)] = &[
    (memory::counted, Trust::Anyone),
    (stop::stopped, Trust::Anyone),
    (stop::not_stopped, Trust::Anyone),
    (disk::shared_memory, Trust::Reporters),
    (disk::full, Trust::Reporters),
    (hardware::fault, Trust::Reporters),
    (gpu_memory::full, Trust::Reporters),
    (memory::refused, Trust::Reporters),
    (workers::ended, Trust::Reporters),
    (memory::killed, Trust::Reporters),
    (driver::too_old, Trust::Reporters),
    (libraries::numpy, Trust::Anyone),
    (libraries::glibc, Trust::Reporters),
    (libraries::undefined_symbol, Trust::Anyone),
    (libraries::missing, Trust::Reporters),
    (gpu::assertion, Trust::Reporters),
    (gpu::advice, Trust::Anyone),
    (peers::advice, Trust::Reporters),
    (hub::gated, Trust::Reporters),
    (hub::advice, Trust::Anyone),
    (hub::tracking, Trust::Anyone),
    (cloud::denied, Trust::Reporters),
    (cloud::advice, Trust::Reporters),
    (network::unresolved, Trust::Reporters),
    (network::advice, Trust::Reporters),
    (parameters::channel, Trust::Anyone),
    (launch::missing_variable, Trust::Anyone),
    (parameters::arguments, Trust::Anyone),
    (launch::advice, Trust::Anyone),
    (models::advice, Trust::Anyone),
    (wordless::advice, Trust::Anyone),
    (compiler::advice, Trust::Anyone),
    (imports::missing_module, Trust::Reporters),
    (imports::missing_name, Trust::Anyone),
    (imports::advice, Trust::Anyone),
    (versions::advice, Trust::Anyone),
    (packages::advice_for_script, Trust::Reporters),
    (languages::advice, Trust::Anyone),
    (languages::missing_package, Trust::Anyone),
    (files::permission, Trust::Reporters),
    (files::nameless_user, Trust::Anyone),
    (files::advice, Trust::Reporters),
    (system::advice, Trust::Reporters),
    (program::not_executable, Trust::Anyone),
    (program::crashed, Trust::Anyone),
    (program::unlogged, Trust::Anyone),
    (program::timed_out, Trust::Anyone),
    (launch::unset_variable, Trust::Anyone),
];

/// The hints for a failed installer, the most certain first.
const OF_INSTALLERS: &[Hint] = &[
    disk::full,
    compiler::advice,
    packages::unreached,
    packages::advice,
    network::unresolved,
    network::advice,
    libraries::missing,
    imports::missing_module,
    files::permission,
    files::advice,
    system::advice,
];

/// Returns the hints that the evidence supports, the most certain first, at most [`MAX_HINTS`].
pub(super) fn hints(facts: &HintFacts<'_>) -> Vec<String> {
    let reported = facts.without_quotes();
    let told = |(hint, trust): &(Hint, Trust)| hint(if *trust == Trust::Anyone { facts } else { &reported });
    ALL.iter().filter_map(told).take(MAX_HINTS).collect()
}

/// Returns the hints of a failure that reads like the consequence of another one, if the given ranks had ended before
/// it with exit code 0.
pub fn with_ranks_that_left(ranks: &[usize], hints: Vec<String>) -> Vec<String> {
    peers::left_early(ranks).into_iter().chain(hints).take(MAX_HINTS).collect()
}

/// Returns the hint for an installer of packages that failed with this error message, if a hint follows from the
/// message.
pub fn installer_hints(ending: Ending, complaint: &str) -> Vec<String> {
    let log = Log::read(b"");
    let evidence = Evidence::new(ending, b"", b"", Path::new(""), String::new());
    let judged = JudgedFailure { headline: complaint, details: &[], ended: (None, ending.exit_code()), host: None };
    let facts = HintFacts::new(&evidence, judged, &log, &log);
    OF_INSTALLERS.iter().find_map(|hint| hint(&facts)).into_iter().collect()
}
