//! Recorded errors of MPI libraries, native programs, and of programs whose frames belong to a library.

use super::forms::{told, told_with};
use super::recorded;
use crate::event::Ending;

#[test]
fn an_error_of_mpich_is_no_signal_and_has_its_rank_and_innermost_call() {
    let error = |code: u32, rank: u32| {
        format!(
            "Abort({code}) on node {rank} (rank {rank} in comm 0): Fatal error in PMPI_Bcast: Other MPI error, error stack:\nPMPI_Bcast(421)............: \nMPIR_Wait_impl(41).........: message truncated; 8 bytes received but the buffer has 4\n"
        )
    };
    let expected = "Fatal error in PMPI_Bcast: Other MPI error\nmessage truncated; 8 bytes received but the buffer has 4\nrank 3, exit code";
    let text = recorded(Ending::Exited(143), &error(256 * 7 + 143, 3));
    assert!(text.starts_with(&format!("{expected} 143\n")) && !text.contains("SIGTERM"), "{text}");
    let text = recorded(Ending::Exited(14), &error(256 * 7 + 14, 3));
    assert!(text.starts_with(&format!("{expected} 14\n")), "{text}");
    // The exit code is that of a signal, and not of the error.
    let text = recorded(Ending::Exited(137), &error(256 * 7 + 143, 3));
    assert!(text.starts_with("killed by SIGKILL (signal 9)\n"), "{text}");
}

#[test]
fn a_program_that_mpirun_does_not_find_is_named() {
    let rule = "-".repeat(74);
    let notice = format!(
        "{rule}\nprterun was unable to find the specified executable file, and therefore did\nnot launch the job.  This error was first reported for process rank 0.\n\nNOTE: A common cause for this error is misspelling a prterun command\n      line token as the executable).\n\nNode:       algo-1\nExecutable: ./train\n{rule}\n"
    );
    told(
        &notice,
        &["prterun was unable to find the specified executable file, and therefore did not launch the job: ./train"],
    );
}

#[test]
fn methods_of_go_keep_their_type() {
    for (call, name) in [
        ("main.(*Rows).Load(0xc000012345, {0x49f0a1, 0x3})", "main.(*Rows).Load"),
        ("main.(*Rows).Load.func1()", "main.(*Rows).Load.func1"),
        ("main.Rows.Load(...)", "main.Rows.Load"),
    ] {
        told(
            &format!(
                "panic: no rows\n\ngoroutine 1 [running]:\n{call}\n\t/opt/ml/code/rows.go:14 +0x45\nmain.main()\n\t/opt/ml/code/main.go:9 +0x65\nexit status 2\n"
            ),
            &["panic: no rows", &format!("at rows.go:14 in {name}")],
        );
    }
}

#[test]
fn the_place_of_an_error_of_typescript_is_the_one_in_its_message() {
    let text = recorded(
        Ending::Exited(1),
        "/opt/ml/code/node_modules/ts-node/src/index.ts:859\n    return new TSError(text, codes);\n           ^\nTSError: \u{2a2f} Unable to compile TypeScript:\nsrc/fit.ts:7:3 - error TS2304: Cannot find name 'rows'.\n\n    at createTSError (/opt/ml/code/node_modules/ts-node/src/index.ts:859:12)\n",
    );
    assert!(text.contains("\nat src/fit.ts:7\n"), "{text}");
}

#[test]
fn a_date_of_snakemake_is_no_part_of_a_message() {
    told(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/fit.py\", line 2, in <module>\n    fit()\nValueError: 3 rows\n[Sat Nov 28 10:00:01 2026]\nError in rule fit:\n",
        &["ValueError: 3 rows", "at fit.py:2"],
    );
}

#[test]
fn the_exception_that_java_passes_on_is_the_headline() {
    for wrapper in ["java.lang.reflect.InvocationTargetException", "java.lang.ExceptionInInitializerError"] {
        told(
            &format!(
                "Exception in thread \"main\" {wrapper}\n\tat com.acme.Main.main(Main.java:9)\nCaused by: java.lang.IllegalStateException: no rows\n\tat com.acme.Fit.run(Fit.java:44)\n\t... 1 more\n"
            ),
            &[
                "java.lang.IllegalStateException: no rows",
                "at Fit.java:44 in com.acme.Fit.run",
                &format!("passed on as: {wrapper}"),
            ],
        );
    }
    // This exception has words of its own.
    told(
        "Exception in thread \"main\" java.lang.RuntimeException: cannot fit\n\tat com.acme.Main.main(Main.java:9)\nCaused by: java.io.IOException: no rows\n\tat com.acme.Fit.run(Fit.java:44)\n",
        &[
            "java.lang.RuntimeException: cannot fit",
            "at Main.java:9 in com.acme.Main.main",
            "caused by: java.io.IOException: no rows (at Fit.java:44 in com.acme.Fit.run)",
        ],
    );
}

#[test]
fn native_programs_tell_why_they_aborted_or_failed() {
    for message in [
        "/src/rows.c:12: ROWS_ASSERT(n > 0) failed",
        "src/tcmalloc.cc:332] Attempt to free invalid pointer 0x7f",
        "<jemalloc>: src/arena.c:20: Failed assertion: \"n > 0\"",
    ] {
        let text =
            recorded(Ending::Signaled(6), &format!("{message}\n[New LWP 45]\n[Inferior 1 (process 41) detached]\n"));
        assert_eq!(text, format!("{message}\nkilled by SIGABRT (signal 6), exit code 134\ncommand: python3 train.py"));
    }
    told_with(
        255,
        "ptxas error   : Entry function 'gemm' uses too much shared data\nptxas fatal   : Ptx assembly aborted due to errors\n",
        &["ptxas error : Entry function 'gemm' uses too much shared data"],
    );
    told(
        "llama_model_load: error loading model: tensor 'out' has wrong shape\nllama_model_load_from_file_impl: failed to load model\nmain: error: unable to load model\n",
        &[
            "main: error: unable to load model",
            "logged: llama_model_load: error loading model: tensor 'out' has wrong shape",
        ],
    );
}

#[test]
fn the_description_of_springs_report_is_the_headline() {
    let rule = "*".repeat(27);
    told(
        &format!(
            "2026-11-28T10:00:00.123Z ERROR 1 --- [           main] o.s.b.d.LoggingFailureAnalysisReporter   : \n\n{rule}\nAPPLICATION FAILED TO START\n{rule}\n\nDescription:\n\nThe bean 'rows' has no source.\n\nAction:\n\nAdd a source.\n"
        ),
        &["The bean 'rows' has no source.", "last line: Add a source."],
    );
}
