//! Hints about models of PyTorch: their parameters, and checkpoints of them.

use super::HintFacts;
use super::facts::HintRow;

/// The prefixes that wrappers of models add to the names of parameters, and the wrappers.
const PREFIXES: [(&str, &str); 2] =
    [("module.", "DataParallel or DistributedDataParallel"), ("_orig_mod.", "torch.compile")];

/// Returns the hint for an error whose wording states the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    wrapped(facts).or_else(|| facts.advice(ROWS))
}

/// Returns the hint for a checkpoint whose names have a wrapper's prefix, or lack it.
fn wrapped(facts: &HintFacts<'_>) -> Option<String> {
    let missing = facts.between("Missing key(s) in state_dict: \"", "\"")?;
    let unexpected = facts.between("Unexpected key(s) in state_dict: \"", "\"")?;
    PREFIXES.iter().find_map(|(prefix, wrapper)| {
        if unexpected.strip_prefix(prefix) == Some(missing) {
            Some(format!(
                "the checkpoint was saved from a model inside {wrapper}; remove the prefix {prefix} from its names before loading it"
            ))
        } else if missing.strip_prefix(prefix) == Some(unexpected) {
            Some(format!(
                "the model is inside {wrapper}, and the checkpoint was saved from one that was not; load it before wrapping the \
                 model"
            ))
        } else {
            None
        }
    })
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &["Expected to have finished reduction in the prior iteration before starting a new one"],
        hint: "parameters of the model got no gradient; pass find_unused_parameters=True to DistributedDataParallel, or remove \
               from the model what forward does not use (TORCH_DISTRIBUTED_DEBUG=DETAIL names the parameters)",
    },
    HintRow {
        wordings: &["Error(s) in loading state_dict for *size mismatch for "],
        hint: "the checkpoint has other sizes than the model; build the model with the settings of the checkpoint, or leave these \
               parameters out when loading (strict=False allows other names, not other sizes)",
    },
];
