//! Programs that print why they end in plain words, on stdout or among their figures.

use super::{evidence, script, text};
use crate::event::Ending;
use crate::failure::{Evidence, RankEvidence, cause};
use crate::logs::RankLabel;

const EXIT_3: Ending = Ending::Exited(3);

/// Returns the failure text of a program that printed this and ended with exit code 3.
fn printed(stdout: &str, stderr: &str) -> String {
    text(&cause(&Evidence { stdout: stdout.as_bytes(), ..evidence(EXIT_3, stderr) }))
}

fn first(stdout: &str, stderr: &str) -> String {
    printed(stdout, stderr).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn plain_words_at_the_end_of_stdout_are_quoted_and_not_called_the_cause() {
    assert_eq!(
        script("import sys\nprint('reading')\nprint('the table has 3 columns; 4 are wanted')\nsys.exit(3)\n"),
        "exit code 3; last words of its output: the table has 3 columns; 4 are wanted\ncommand: python3 train.py"
    );
    for words in [
        "fold 4 is empty, nothing to validate",
        "accuracy 0.61 is below 0.9: this model is not published",
        "データがありません",
    ] {
        let stdout = format!("epoch 1 loss 0.3\n{words}\n");
        assert_eq!(first(&stdout, ""), format!("exit code 3; last words of its output: {words}"));
        // Warnings and records on stderr are not the reason either.
        let stderr = "/opt/ml/code/a.py:3: UserWarning: old\n  warnings.warn('old')\nINFO:root:reading\n";
        assert_eq!(first(&stdout, stderr), format!("exit code 3; last words of its output: {words}"));
        // A word that only states the end is not what the program had to say.
        let stdout = format!("{stdout}Exiting now.\n");
        assert_eq!(first(&stdout, ""), format!("exit code 3; last words of its output: {words}"));
    }
    assert_eq!(first("no rows are left\n", "label 7 is unknown\n"), "label 7 is unknown");
}

#[test]
fn figures_tables_and_structures_on_stdout_are_not_words() {
    for line in [
        "epoch 7 step 120 loss 0.31 acc 0.9",
        "Epoch 3/10: train_loss=0.31, val_loss=nan",
        "best F1 0.81 (epoch 3)",
        "{'eval_loss': 0.31, 'model': 'small one'}",
        "{\"step\": 3, \"note\": \"a plain note\"}",
        "| epoch three | loss of it |",
        "[0.1, 0.2]",
        "done",
        "2026-01-02 03:04:05,106 INFO the model was written to a file",
    ] {
        let text = printed(&format!("{line}\n"), "");
        assert!(text.starts_with("exit code 3, with no error printed\nlast line: "), "{text}");
    }
}

#[test]
fn figures_on_stderr_are_not_the_last_words() {
    assert_eq!(first("", "step 59 loss 0.5\n"), "exit code 3, with no error printed");
    assert_eq!(first("", "step 59 has no rows\n"), "step 59 has no rows");
    assert_eq!(first("", "row 17 of 20\n"), "row 17 of 20");
}

#[test]
fn the_words_of_another_rank_are_not_quoted() {
    let report =
        "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : 3 (pid: 124)\n";
    let judged = |rank: usize| {
        let words = b"there is nothing to read for me\n";
        let ranks = vec![RankEvidence { label: RankLabel::new("algo-1", rank), stdout: words, stderr: b"" }];
        text(&cause(&Evidence { ranks, ..evidence(EXIT_3, report) }))
    };
    assert!(judged(1).starts_with("exit code 3; last words of its output: there is nothing"), "{}", judged(1));
    assert!(judged(0).starts_with("exit code 3, with no error printed\n"), "{}", judged(0));
}

#[test]
fn an_exception_before_progress_and_other_last_words_was_caught() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in f\n    x\nConnectionError: no tracker\n";
    let steps = |count: usize| (0..count).map(|step| format!("step {step} loss 0.5\n")).collect::<String>();
    let told = |steps: &str, words: &str| {
        let stderr = format!("{raised}{steps}{words}\n");
        text(&cause(&evidence(Ending::Exited(1), &stderr))).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(told(&steps(30), "the wanted accuracy was not reached"), "the wanted accuracy was not reached");
    // Exit handlers also write much.
    let closing: String = (0..30).map(|file| format!("closing file {file}\n")).collect();
    assert_eq!(told(&closing, "the wanted accuracy was not reached"), "ConnectionError: no tracker");
    assert_eq!(told(&steps(30), "exiting"), "ConnectionError: no tracker");
}

#[test]
fn an_exception_that_contains_another_programs_has_its_own_place_too() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 7, in <module>\n    raise RuntimeError(answer)\n\
                  RuntimeError: the service said:\nTraceback (most recent call last):\n  File \"/srv/remote.py\", line 10, in handle\n    x\nKeyError: 'x'\n";
    let found = text(&cause(&evidence(Ending::Exited(1), raised)));
    assert!(found.starts_with("KeyError: 'x'\nat /srv/remote.py:10 in handle\npassed on as: RuntimeError: the service said: (at train.py:7)\n"), "{found}");
}
