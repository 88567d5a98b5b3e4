//! Errors in the form of other output: of log records, progress bars, advice and titles.

use super::forms::{told, told_with};
use super::recorded;
use crate::event::Ending;

#[test]
fn the_subject_of_a_records_message_is_not_taken_for_its_logger() {
    for message in [
        "ImportError: no codec for shard 3",
        "rows.EmptyTableError: 3",
        "/data/rows-7.csv: the footer is broken",
        "fold-3: no rows",
        "model.rate: must be positive",
        "rank5: the loss is not finite",
        "gs://rows/x.csv: permission denied",
        "[Errno 71] Protocol error: '/tmp/x'",
    ] {
        told(&format!("2026-11-28 10:00:00,123 ERROR {message}\n"), &[message]);
        told(&format!("2026-11-28 10:00:00 [ERROR] {message}\n"), &[message]);
        told(&format!("[2026-11-28 10:00:00] CRITICAL: {message}\n"), &[message]);
    }
    for logger in ["com.acme.Fit: ", "__main__: ", "acme.fit.rows - ", "fit - ", "root: "] {
        told(&format!("2026-11-28 10:00:00,123 ERROR {logger}no rows are left\n"), &["no rows are left"]);
    }
}

#[test]
fn an_error_in_the_form_of_other_output_is_told_if_it_is_the_only_one() {
    for error in [
        "wandb: ERROR the run was deleted",
        "mlflow: error: no such experiment",
        "ERROR: reading is too slow: 3.5 MB/s, 40 MB/s are needed",
        "error: only 3 it/s",
        "reading 3.1 samples/s exceeds the limit of 2 samples/s",
        "==== ERROR: fit.toml has no section 'rows' ====",
        "!!! FATAL: shard 3 is broken !!!",
        "fit: missing argument ROWS, see fit --help",
        "Command \"fitt\" is not defined.",
        "Shutting down because of an error: /data is not mounted",
        "Please include --rows: it is required",
    ] {
        told_with(3, &format!("{error}\n"), &[error]);
    }
    told(
        "/usr/bin/python3: No module named torch.distributed.launcher\n",
        &[
            "/usr/bin/python3: No module named torch.distributed.launcher",
            "hint: torch.distributed was found, but has no module launcher; if it is your own, add that file to the source folder; else set the version of torch that has it in requirements.txt",
        ],
    );
    // A service's error is of less weight than that of the program.
    told("no rows: the store is empty\nwandb: ERROR could not sync\n", &["no rows: the store is empty"]);
    for other in
        ["==== fitting ====", "Try fit --help", " 45%|####  | 45/100 [00:01<00:01, 43.10it/s]", "wandb: Synced 5 files"]
    {
        let text = recorded(Ending::Exited(3), &format!("{other}\n"));
        assert!(text.starts_with("exit code 3, with no error printed\n"), "{text}");
    }
}

#[test]
fn a_word_in_a_sentence_is_not_the_level_of_a_record() {
    for error in [
        "Error: INFO column of row 3 is empty",
        "Error: WARNING is not a level",
        "Failed to read the header: INFO is missing",
        "the level must be one of DEBUG, INFO, WARNING",
        "cannot parse INFO: no such field",
    ] {
        told(&format!("{error}\n"), &[error]);
    }
    for record in [
        "INFO: an error was handled",
        "fit INFO no such file, using the cache",
        "[rank 3] 10:00:00 WARNING fit: failed",
    ] {
        let text = recorded(Ending::Exited(3), &format!("{record}\n"));
        assert!(text.starts_with("exit code 3, with no error printed\n"), "{text}");
    }
}

#[test]
fn a_line_about_the_end_does_not_hide_the_complaint_before_it() {
    for end in [
        "Cleaning up temporary folders",
        "Removing the lock",
        "Saving the state before exit",
        "Done.",
        "Stopping the workers",
    ] {
        told(
            &format!("reading fit.toml\nFold 3 overlaps fold 2\n{end}\n"),
            &["Fold 3 overlaps fold 2", &format!("last line: {end}")],
        );
    }
    told("Closing the store\n", &["Closing the store"]);
    // Such a line can be about the error.
    let error = "Saving the model failed: quota used up";
    told(&format!("step 3 of 9\n{error}\n"), &[error]);
}
