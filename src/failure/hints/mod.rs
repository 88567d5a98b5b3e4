//! Hints: one sentence on what the evidence points to, a semicolon, and the remedy.
//!
//! Each subject has a file with functions from [`HintFacts`] to a hint. [`hints`] asks them in one order, the most certain
//! first. A hint is true or absent: it follows from a figure of the machine, or from the exact wording of a library or
//! program, in the headline or in what led to it. Wordings are searched in the ends of these texts, which are short, so
//! that judging stays fast whatever a script prints; patterns are compiled only after a wording was found.

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
mod network;
mod packages;
mod parameters;
mod peers;
mod program;
mod stop;
mod system;
mod workers;

use std::path::Path;

use super::evidence::Evidence;
use super::lines::Log;
use crate::event::Ending;

pub(super) use facts::{HintFacts, JudgedFailure};

/// The maximum number of hints: more would crowd out the other lines of the failure text.
const MAX_HINTS: usize = 2;

/// A function that returns a hint if the facts support it.
type Hint = fn(&HintFacts<'_>) -> Option<String>;

/// All hints, the most certain first.
const ALL: &[Hint] = &[
    memory::counted,
    stop::stopped,
    disk::shared_memory,
    disk::full,
    hardware::fault,
    gpu_memory::full,
    memory::refused,
    workers::ended,
    memory::killed,
    driver::too_old,
    libraries::numpy,
    libraries::glibc,
    libraries::undefined_symbol,
    libraries::missing,
    gpu::assertion,
    gpu::advice,
    peers::advice,
    hub::gated,
    hub::advice,
    hub::tracking,
    cloud::denied,
    cloud::advice,
    network::unresolved,
    network::advice,
    parameters::channel,
    launch::missing_variable,
    parameters::arguments,
    launch::advice,
    compiler::advice,
    imports::missing_module,
    imports::missing_name,
    imports::advice,
    packages::advice_for_script,
    languages::advice,
    languages::missing_package,
    files::permission,
    files::advice,
    system::advice,
    program::not_executable,
    program::crashed,
    program::timed_out,
    launch::unset_variable,
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
    ALL.iter().filter_map(|hint| hint(facts)).take(MAX_HINTS).collect()
}

/// Returns the hint for an installer of packages that failed with this complaint, if one follows from it.
pub fn installer_hints(ending: Ending, complaint: &str) -> Vec<String> {
    let log = Log::read(b"");
    let evidence = Evidence::new(ending, b"", b"", Path::new(""), String::new());
    let judged = JudgedFailure { headline: complaint, details: &[], ended: (None, ending.exit_code()), host: None };
    let facts = HintFacts::new(&evidence, judged, &log, &log);
    OF_INSTALLERS.iter().find_map(|hint| hint(&facts)).into_iter().collect()
}
