//! Hints about exceptions of libraries that have no message.

use super::HintFacts;

/// Returns the hint for an exception without a message, whose traceback shows the library and the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    no_rows(facts).or_else(|| no_platform(facts))
}

/// Returns the hint for a split in whose files the library Datasets found no rows.
fn no_rows(facts: &HintFacts<'_>) -> Option<String> {
    let is_of_datasets = facts.claimed().starts_with("StopIteration")
        && facts.logged("/datasets/packaged_modules/").is_some()
        && facts.logged("next(iter(self._generate_tables(").is_some();
    is_of_datasets.then(|| {
        "the library Datasets found no rows: no file matches data_files, or the files are empty; check the path and that the channel has files"
            .to_owned()
    })
}

/// Returns the hint for JAX if it found none of the platforms that `JAX_PLATFORMS` names. JAX hides the calls that would
/// show this.
fn no_platform(facts: &HintFacts<'_>) -> Option<String> {
    let names = facts.claimed().starts_with("AssertionError: assert _default_backend is not None");
    if names {
        return Some(
            "JAX has no plugin for any platform that JAX_PLATFORMS names; install it (for GPUs of NVIDIA: jax[cuda12]), or unset JAX_PLATFORMS"
                .to_owned(),
        );
    }
    let is_hidden =
        facts.claimed().trim_end() == "AssertionError" && facts.logged("JAX has removed its internal frames").is_some();
    is_hidden.then(|| {
        "JAX left out the call that failed; set JAX_TRACEBACK_FILTERING=off to see it. If JAX_PLATFORMS names a platform, its plugin must be \
         installed (for GPUs of NVIDIA: jax[cuda12])"
            .to_owned()
    })
}
