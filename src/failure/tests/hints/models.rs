//! Hints about models of PyTorch and about checkpoints of them.

use super::evidence;
use super::{assert_hints, assert_no_hint, hints, of};
use crate::event::Ending;
use crate::failure::Evidence;

#[test]
fn a_checkpoint_that_does_not_fit_the_model_is_explained() {
    let names = |missing: &str, unexpected: &str| {
        format!(
            "RuntimeError: Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: \"{missing}\", \"z.bias\". \n\tUnexpected key(s) in state_dict: \"{unexpected}\", \"y.bias\". "
        )
    };
    assert_hints(&[
        (&names("fc.weight", "module.fc.weight"), "remove the prefix module. from its names"),
        (&names("fc.weight", "_orig_mod.fc.weight"), "inside torch.compile"),
        (&names("module.fc.weight", "fc.weight"), "load it before wrapping"),
        (
            "RuntimeError: Error(s) in loading state_dict for Net:\n\tsize mismatch for fc.weight: copying a param with shape torch.Size([5, 3]) from checkpoint, the shape in current model is torch.Size([7, 3]).",
            "the checkpoint has other sizes than the model",
        ),
        (
            "RuntimeError: Expected to have finished reduction in the prior iteration before starting a new one. This error indicates that your module has parameters that were not used in producing loss.",
            "find_unused_parameters=True",
        ),
    ]);
    assert_no_hint(&[
        &names("fc.weight", "head.weight"),
        &names("fc.weight", "module.head.weight"),
        "ValueError: size mismatch for fc: 3, 4",
        "RuntimeError: Expected to have finished the prior iteration",
    ]);
}

#[test]
fn a_sigterm_that_footplate_did_not_send_is_called_so() {
    let words = "footplate was not told to stop, and sent no SIGTERM";
    assert!(of(Ending::Signaled(15), "")[0].starts_with(words));
    let raised = "torch.distributed.elastic.multiprocessing.api.SignalException: Process 77 got signal: 15";
    assert_hints(&[(raised, words)]);
    let told = Evidence { told_to_end: true, ..evidence(Ending::Signaled(15), "") };
    assert_eq!(hints(&told), [""; 0]);
    assert_eq!(of(Ending::Signaled(13), ""), [""; 0]);
    assert_no_hint(&["ValueError: killed by SIGTERM", "RuntimeError: Process 77 got signal: 15"]);
}
