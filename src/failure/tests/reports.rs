//! Recorded reports of programs that check others, after which the checked program goes on, and of wrappers.

use super::forms::{told, told_with};
use super::recorded;
use crate::event::Ending;

#[test]
fn the_first_report_of_valgrind_has_the_users_place() {
    told_with(
        9,
        "==71== Memcheck, a memory error detector\n==71== Command: ./fit\n==71== \n==71== Invalid read of size 8\n==71==    at 0x4848B03: memcpy@GLIBC_2.2.5 (vg_replace_strmem.c:1035)\n==71==    by 0x10919E: load_rows (rows.c:14)\n==71==    by 0x1091C3: main (fit.c:30)\n==71==  Address 0x4a8c068 is 0 bytes after a block of size 40 alloc'd\n==71==    at 0x4841888: malloc (vg_replace_malloc.c:381)\nepoch 1\nepoch 2\n==71== Invalid write of size 4\n==71==    at 0x10919E: scale (fit.c:7)\n==71== \n==71== ERROR SUMMARY: 2 errors from 2 contexts (suppressed: 0 from 0)\n",
        &["Invalid read of size 8", "at rows.c:14 in load_rows"],
    );
    told_with(
        7,
        "==9== HEAP SUMMARY:\n==9== 40 bytes in 1 blocks are definitely lost in loss record 1 of 1\n==9==    at 0x4841888: malloc (vg_replace_malloc.c:381)\n==9==    by 0x109185: load_rows (rows.c:9)\n==9== \n==9== ERROR SUMMARY: 1 errors from 1 contexts (suppressed: 0 from 0)\n",
        &["40 bytes in 1 blocks are definitely lost in loss record 1 of 1", "at rows.c:9 in load_rows"],
    );
    // A program that fails by itself has its own error.
    told(
        "==71== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)\nfit: no rows in the table\n",
        &["fit: no rows in the table"],
    );
}

#[test]
fn the_first_report_of_other_checkers_has_the_users_place() {
    told(
        "========= COMPUTE-SANITIZER\n========= Invalid __global__ read of size 4 bytes\n=========     at scale(float *)+0x70 in /opt/ml/code/scale.cu:11\n=========     by thread (4,0,0) in block (0,0,0)\n========= \n========= ERROR SUMMARY: 1 error\n",
        &["Invalid __global__ read of size 4 bytes", "at scale.cu:11 in scale(float *)"],
    );
    told_with(
        66,
        "==================\nWARNING: DATA RACE\nWrite at 0x00c00001c0b8 by goroutine 7:\n  main.bump()\n      /opt/ml/code/main.go:9 +0x44\n==================\nFound 1 data race(s)\nexit status 66\n",
        &["DATA RACE", "at main.go:9"],
    );
    told_with(
        66,
        "==================\nWARNING: ThreadSanitizer: data race (pid=71)\n  Write of size 4 at 0x55d0 by thread T2:\n    #0 bump /opt/ml/code/count.c:6:9 (fit+0xd1)\n\nSUMMARY: ThreadSanitizer: data race /opt/ml/code/count.c:6:9 in bump\n==================\n==================\nWARNING: ThreadSanitizer: data race (pid=71)\n  Read of size 4 at 0x55d8 by thread T2:\n    #0 show /opt/ml/code/count.c:12:9 (fit+0xd1)\n\nSUMMARY: ThreadSanitizer: data race /opt/ml/code/count.c:12:9 in show\n==================\nThreadSanitizer: reported 2 warnings\n",
        &["ThreadSanitizer: data race (pid=71)", "at count.c:6 in bump"],
    );
}

#[test]
fn what_the_package_caret_stopped_for_is_the_error() {
    told(
        "Something is wrong; all the RMSE metric values are missing:\n      RMSE        Rsquared\n Min.   : NA   Min.   : NA\nError: Stopping\nIn addition: There were 50 or more warnings (use warnings() to see the first 50)\nExecution halted\n",
        &["Something is wrong; all the RMSE metric values are missing"],
    );
    told(
        "model fit failed for Fold1: mtry=2 Error in fit(x, y) :\n  NA not permitted in predictors\n\nSomething is wrong; all the Accuracy metric values are missing:\n    Accuracy\n Min.   : NA\nError: Stopping\nExecution halted\n",
        &[
            "Something is wrong; all the Accuracy metric values are missing",
            "model fit failed for Fold1: mtry=2 Error in fit(x, y) : NA not permitted in predictors",
        ],
    );
    told("the table is empty\nError: Stopping\nExecution halted\n", &["Error: Stopping"]);
}

#[test]
fn the_line_in_which_a_program_explains_its_last_one_stands_beside_it() {
    told(
        "ffmpeg version 6.0 Copyright (c) 2000-2023 the FFmpeg developers\n  libpostproc    57.  1.100 / 57.  1.100\n[mov,mp4,m4a @ 0x55d0c0] moov atom not found\nclips/7.mp4: Invalid data found when processing input\n",
        &["clips/7.mp4: Invalid data found when processing input", "logged: moov atom not found"],
    );
    told(
        "Could not override 'rate'.\nTo append to your config use +rate=3\nKey 'rate' is not in struct\n    full_key: rate\n    object_type=dict\n\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n",
        &["Could not override 'rate'.", "logged: Key 'rate' is not in struct", "last line: object_type=dict"],
    );
    told_with(
        8,
        "--2026-11-28 10:00:00--  https://example.com/rows.csv\nHTTP request sent, awaiting response... 404 Not Found\n2026-11-28 10:00:01 ERROR 404: Not Found.\n",
        &["ERROR 404: Not Found.", "logged: https://example.com/rows.csv"],
    );
}

#[test]
fn a_shells_traced_commands_and_traps_are_not_the_error() {
    told_with(
        3,
        "+ ./check rows\nthe label column is text\n+ echo cleaning\n+ rm -rf /tmp/x\n",
        &["the label column is text"],
    );
    told_with(3, "+ ./check rows\n", &["+ ./check rows"]);
    for trap in [
        "train.sh: line 3: python3 fit.py: exit 1",
        "+ echo 'Training failed'\nTraining failed\n+ exit 1",
        "[ERROR] Command failed: python3 fit.py (exit code 1)",
        "ERROR: training script exited with code 1",
        "FATAL: python3 fit.py returned 1",
        "critical libmamba Subprocess call failed. Aborting.",
        "2026-11-28 10:00:00,000 INFO exited: fit (exit status 1; not expected)\n2026-11-28 10:00:01,000 INFO gave up: fit entered FATAL state, too many start retries too quickly",
        "make[1]: *** [Makefile:3: train] Error 1\nmake[1]: Leaving directory '/opt/ml/code/sub'\nmake: *** [Makefile:9: all] Error 2",
    ] {
        let text = recorded(Ending::Exited(1), &format!("epoch 1\nshard-3: checksum differs\n{trap}\n"));
        assert!(text.starts_with("shard-3: checksum differs\n"), "{trap}: {text}");
    }
}

#[test]
fn an_error_after_which_the_program_went_on_is_not_its_reason() {
    let steps: String = (0..6).map(|at| format!("epoch {at} loss 0.3\n")).collect();
    told_with(
        3,
        &format!("error: cannot load the cache\n{steps}the vocabulary is empty\n"),
        &["the vocabulary is empty"],
    );
    // Other ranks may go on until they are ended.
    told_with(
        3,
        &format!("error: the vocabulary is empty\n{steps}"),
        &["error: the vocabulary is empty", "last line: epoch 5 loss 0.3"],
    );
    for ignored in [
        "fatal: not a git repository (or any of the parent directories): .git",
        "sh: 1: nvidia-smi: not found",
        "rm: cannot remove '/tmp/x': No such file or directory",
        "stty: 'standard input': Inappropriate ioctl for device",
        "2026-11-28 10:00:00.000000: E tensorflow/cuda_driver.cc:268] failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
    ] {
        told_with(3, &format!("{ignored}\nthe vocabulary is empty\n"), &["the vocabulary is empty"]);
    }
    told_with(
        128,
        "fatal: not a git repository (or any of the parent directories): .git\n",
        &["fatal: not a git repository (or any of the parent directories): .git"],
    );
}

#[test]
fn marks_of_lists_do_not_make_a_failed_test() {
    told_with(3, "  ● rows\n    3 rows\nno rows in fold 2\n", &["no rows in fold 2"]);
    told_with(3, "── rows ──\n1) rows::count\nno rows in fold 2\n", &["no rows in fold 2"]);
    told_with(3, "+ added column a\n- removed column b\nno rows in fold 2\n", &["no rows in fold 2"]);
}

#[test]
fn the_words_of_a_task_that_nextflow_quotes_are_the_error() {
    let report = |output: &str, error: &str| {
        format!(
            "N E X T F L O W  ~  version 24.10.0\nexecutor >  local (1)\n[3a/1f2e4d] FIT (1) | 0 of 1\n\
             ERROR ~ Error executing process > 'FIT (1)'\n\nCaused by:\n  Process `FIT (1)` terminated with an error exit status (1)\n\n\n\
             Command executed:\n\n  python3 fit.py --error-rate 3 || exit 1\n\nCommand exit status:\n  1\n\n\
             Command output:\n{output}\n\nCommand error:\n{error}\n\nWork dir:\n  /opt/ml/work/3a/1f2e4d\n\n\
             Tip: view the complete command output by changing to the process work dir and entering the command `cat .command.out`\n\n \
             -- Check '.nextflow.log' file for details\n"
        )
    };
    let raised = "  reading rows\n  Traceback (most recent call last):\n    File \"/opt/ml/code/fit.py\", line 3, in load\n      x\n  KeyError: 'label'";
    told(&report("  (empty)", raised), &["KeyError: 'label'", "at fit.py:3 in load"]);
    told(&report("  epoch 1", "  gzip: rows.gz: unexpected end of file"), &["gzip: rows.gz: unexpected end of file"]);
    told(&report("  epoch 1\n  the table ends in row 3", "  (empty)"), &["the table ends in row 3"]);
    // Without the output, the report itself has the reason.
    told(
        "ERROR ~ Error executing process > 'FIT'\n\nCaused by:\n  Missing output file(s) `rows.csv` expected by process `FIT`\n\nWork dir:\n  /opt/ml/work/3a\n",
        &["Missing output file(s) `rows.csv` expected by process `FIT`"],
    );
}

#[test]
fn the_summary_of_luigi_does_not_hide_the_last_line_above_it() {
    told(
        "DEBUG: Checking if Fit() is complete\nthe store has closed its doors\nINFO: Worker Worker(salt=1, workers=1) was stopped. Shutting down Keep-Alive thread\nINFO: \n===== Luigi Execution Summary =====\n\nScheduled 1 tasks of which:\n* 1 failed:\n    - 1 Fit()\n\nThis progress looks :( because there were failed tasks\n\n===== Luigi Execution Summary =====\n\n",
        &["the store has closed its doors"],
    );
}

#[test]
fn a_signal_under_valgrind_has_the_users_place() {
    let report = |signal: &str, reason: &str, calls: &str| {
        format!(
            "==71== Memcheck, a memory error detector\n==71== Command: ./fit\n==71== \n{reason}==71== Process terminating with default action of signal {signal}\n{calls}==71== \n==71== HEAP SUMMARY:\n==71==     in use at exit: 0 bytes in 0 blocks\n==71== \n==71== ERROR SUMMARY: 1 errors from 1 contexts (suppressed: 0 from 0)\n"
        )
    };
    let calls = "==71==    at 0x109163: load_rows (rows.c:8)\n==71==    by 0x109190: main (fit.c:20)\n";
    let read = format!(
        "==71== Invalid read of size 4\n{calls}==71==  Address 0x0 is not stack'd, malloc'd or free'd\n==71== \n==71== \n"
    );
    let access = format!(
        "==71==  Access not within mapped region at address 0x0\n{calls}==71==  If you believe this happened as a result of a stack\n"
    );
    let text = recorded(Ending::Signaled(11), &report("11 (SIGSEGV)", &read, &access));
    assert!(text.starts_with("killed by SIGSEGV (signal 11)\nat rows.c:8 in load_rows\n"), "{text}");
    let abort = "==71==    at 0x48C3E2C: __pthread_kill_implementation (pthread_kill.c:44)\n==71==    by 0x48740E1: raise (raise.c:26)\n==71==    by 0x485E52E: abort (abort.c:79)\n==71==    by 0x109190: check (rows.c:12)\n";
    let text = recorded(
        Ending::Signaled(6),
        &report("6 (SIGABRT)", "fit: rows.c:12: check: Assertion `n > 0' failed.\n", abort),
    );
    assert!(text.starts_with("fit: rows.c:12: check: Assertion `n > 0' failed.\nat rows.c:12"), "{text}");
}

#[test]
fn the_report_of_a_runtime_about_a_signal_has_the_users_place() {
    let text = recorded(
        Ending::Signaled(11),
        "[71] signal 11 (1): Segmentation fault\nin expression starting at /opt/ml/code/fit.jl:14\nunsafe_load at ./pointer.jl:153 [inlined]\nload_rows at /opt/ml/code/rows.jl:9\njl_apply at /cache/build/src/julia.h:1982 [inlined]\nunknown function (ip: 0x7f1)\nAllocations: 2906 (Pool: 2897; Big: 9); GC: 0\n",
    );
    assert!(text.starts_with("killed by SIGSEGV (signal 11)\nat rows.jl:9 in load_rows\n"), "{text}");
    let text = recorded(
        Ending::Signaled(6),
        "fit.rb:12: [BUG] Segmentation fault at 0x0000000000000000\nruby 3.2.2 (2023-03-30 revision e51014f9c0) [x86_64-linux]\n\n-- Control frame information ---\nc:0002 p:0010 s:0006 e:000005 EVAL   fit.rb:12 [FINISH]\n",
    );
    assert!(text.starts_with("fit.rb:12: [BUG] Segmentation fault at 0x0000000000000000\nat fit.rb:12\n"), "{text}");
    let text = recorded(
        Ending::Signaled(6),
        "==71==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000020 at pc 0x0000004011b7 bp 0x7ffd sp 0x7ffc\nREAD of size 4 at 0x602000000020 thread T0\n    #0 0x4011b6 in load(int*) /opt/ml/code/load.cpp:5\n    #1 0x401200 in main /opt/ml/code/main.cpp:9\n\nSUMMARY: AddressSanitizer: heap-use-after-free /opt/ml/code/load.cpp:5 in load(int*)\n==71==ABORTING\n",
    );
    let expected = "AddressSanitizer: heap-use-after-free on address 0x602000000020\nat load.cpp:5 in load\n";
    assert!(text.starts_with(expected), "{text}");
}
