//! Recorded output of shell scripts and of the programs that they start.

use super::forms::{told, told_with};
use super::{evidence, recorded, text};
use crate::event::Ending;
use crate::failure::{Evidence, cause};

#[test]
fn makes_missing_rule_is_the_error_and_a_recipes_failure_a_summary() {
    told_with(
        2,
        "make: *** No rule to make target 'fitt'.  Stop.\n",
        &["make: *** No rule to make target 'fitt'. Stop."],
    );
    told_with(
        2,
        "cp: cannot stat 'rows.csv': No such file or directory\nmake: *** [Makefile:4: rows] Error 1\n",
        &["cp: cannot stat 'rows.csv': No such file or directory"],
    );
}

#[test]
fn the_line_of_a_trap_does_not_hide_the_error() {
    for trap in [
        "[10:00:00] ERROR in run.sh line 5, exit 1",
        "Error on line 5",
        "error: run.sh: line 5: exit status 1",
        "Failed at line 5",
    ] {
        told(
            &format!("mv: cannot stat 'rows.csv': No such file or directory\n{trap}\n"),
            &["mv: cannot stat 'rows.csv': No such file or directory", &format!("last line: {trap}")],
        );
    }
    told("config: 3 keys\nerror: bad indentation at line 5: tabs\n", &["error: bad indentation at line 5: tabs"]);
}

#[test]
fn the_line_before_one_that_only_gives_up_is_told_too() {
    told(
        "curl: (7) Failed to connect to store port 443\nfailed after 3 attempts\n",
        &["failed after 3 attempts", "before it: curl: (7) Failed to connect to store port 443"],
    );
    told(
        "2026-05-01 10:00:00 WARNING attempt 3 failed: the store is closed\n2026-05-01 10:00:01 ERROR giving up after 3 attempts\n",
        &["giving up after 3 attempts", "before it: 2026-05-01 10:00:00 WARNING attempt 3 failed: the store is closed"],
    );
    told("reading rows\nerror: no column 'label'\n", &["error: no column 'label'"]);
}

#[test]
fn a_figure_that_is_called_error_tells_of_none() {
    assert_eq!(
        recorded(Ending::Exited(1), "epoch 2 error=0.2 failed: 0\nepoch 3 error=0.1 failed: 0\n"),
        "exit code 1, with no error printed\nlast line: epoch 3 error=0.1 failed: 0\ncommand: python3 train.py"
    );
    told(
        "the index is stale\nepoch 3 error=0.1\nlater: failed to read the index\nepoch 4 error: 0.1\n",
        &["later: failed to read the index", "last line: epoch 4 error: 0.1"],
    );
}

#[test]
fn errors_in_other_languages_are_statements() {
    for error in [
        "错误: 没有验证集",
        "エラー: 語彙が空です",
        "Fehler: keine Zeilen",
        "Erreur : aucune ligne",
        "Ошибка: нет строк",
    ] {
        told(&format!("{error}\n再见\n"), &[error, "last line: 再见"]);
    }
    told("le taux d'erreur est 3\n再见\n", &["再见"]);
}

#[test]
fn a_printed_exit_says_nothing() {
    told_with(
        3,
        "no rows in fold 3\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 7, in <module>\n    sys.exit(3)\nSystemExit: 3\n",
        &["no rows in fold 3"],
    );
}

#[test]
fn the_error_of_a_program_that_node_or_gradle_started_comes_first() {
    let python = "Traceback (most recent call last):\n  File \"/opt/ml/code/fit.py\", line 1, in <module>\n    fit()\nKeyError: 'rows'\n";
    told(
        &format!(
            "{python}node:child_process:966\n    throw err;\n    ^\n\nError: Command failed: python3 fit.py\n    at checkExecSyncError (node:child_process:885:11)\n    at Object.<anonymous> (/opt/ml/code/run.js:2:1)\n"
        ),
        &["KeyError: 'rows'", "at fit.py:1", "passed on as: Error: Command failed: python3 fit.py (at run.js:2)"],
    );
    let gradle = "> Task :run FAILED\n\nFAILURE: Build failed with an exception.\n\n* What went wrong:\nExecution failed for task ':run'.\n> Process 'command 'python3'' finished with non-zero exit value 1\n\n* Try:\n> Run with --stacktrace option to get the stack trace.\n\nBUILD FAILED in 3s\n";
    told(
        &format!("{python}{gradle}"),
        &["KeyError: 'rows'", "at fit.py:1", "passed on as: Execution failed for task ':run'."],
    );
    told(
        gradle,
        &["Execution failed for task ':run'.", "> Process 'command 'python3'' finished with non-zero exit value 1"],
    );
}

#[test]
fn an_error_of_cmake_has_its_place() {
    told(
        "CMake Error at CMakeLists.txt:3 (find_package):\n  Could not find a package configuration file provided by \"Rows\" with any of\n  the following names:\n\n    RowsConfig.cmake\n\n\n-- Configuring incomplete, errors occurred!\n",
        &[
            "CMake Error: Could not find a package configuration file provided by \"Rows\" with any of the following names: RowsConfig.cmake",
            "at CMakeLists.txt:3 in find_package",
        ],
    );
}

#[test]
fn the_notes_of_a_compiler_do_not_hide_its_error() {
    let notes: String = (0..20)
        .map(|at| format!("/usr/include/c++/12/tuple:{at}:5: note:   candidate expects 2 arguments\n"))
        .collect();
    told(
        &format!("In file included from fit.cpp:1:\nfit.cpp:3:9: error: no match for 'operator<'\n{notes}"),
        &["fit.cpp:3:9: error: no match for 'operator<'"],
    );
    told_with(
        2,
        "src/fit.ts(12,7): error TS2322: Type 'string' is not assignable to type 'number'.\nsrc/fit.ts(15,1): error TS2304: Cannot find name 'rows'.\n",
        &[
            "src/fit.ts(12,7): error TS2322: Type 'string' is not assignable to type 'number'.",
            "last line: src/fit.ts(15,1): error TS2304: Cannot find name 'rows'.",
        ],
    );
    told(
        "fit.f90:3:3:\n\n    3 |   n = 3\n      |   1\nError: Symbol 'n' at (1) has no IMPLICIT type\n",
        &["Error: Symbol 'n' at (1) has no IMPLICIT type", "at fit.f90:3"],
    );
}

#[test]
fn the_last_lines_of_curl_git_rsync_and_wget_do_not_hide_their_error() {
    told_with(
        60,
        "curl: (60) SSL certificate problem: self-signed certificate\nMore details here: https://curl.se/docs/sslcerts.html\n\ncurl failed to verify the legitimacy of the server and therefore could not\nestablish a secure connection to it. To learn more about this situation and\nhow to fix it, please visit the web page mentioned above.\n",
        &[
            "curl: (60) SSL certificate problem: self-signed certificate",
            "hint: the server's TLS certificate could not be verified; install ca-certificates in the image, or set SSL_CERT_FILE and REQUESTS_CA_BUNDLE to a bundle with your proxy's certificate; check the clock",
        ],
    );
    told_with(
        128,
        "Host key verification failed.\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n",
        &["Host key verification failed."],
    );
    told_with(
        23,
        "rsync: [sender] link_stat \"/rows\" failed: No such file or directory (2)\nrsync error: some files were not transferred (see previous errors) (code 23)\n",
        &["rsync: [sender] link_stat \"/rows\" failed: No such file or directory (2)"],
    );
    told_with(8, "2026-11-28 10:00:00 ERROR 404: Not Found.\n", &["ERROR 404: Not Found."]);
}

#[test]
fn what_a_shell_says_about_its_script_and_its_children_is_a_statement() {
    told_with(
        2,
        "run.sh: 3: [[: not found\nrun.sh: 7: Syntax error: \"(\" unexpected\n",
        &["run.sh: 7: Syntax error: \"(\" unexpected"],
    );
    told(
        "run.sh: line 3:    71 Killed                  python3 fit.py\nfit failed\n",
        &["run.sh: line 3: 71 Killed python3 fit.py", "last line: fit failed"],
    );
}

#[test]
fn a_message_that_goes_on_in_an_indented_line_is_told_whole() {
    told(
        "  End-of-central-directory signature not found.  Either this file is not\n  a zipfile, or it is one disk of several.\n\
         unzip:  cannot find zipfile directory in one of rows.zip or\n        rows.zip.zip, and cannot find rows.zip.ZIP, period.\n",
        &[
            "unzip: cannot find zipfile directory in one of rows.zip or rows.zip.zip, and cannot find rows.zip.ZIP, period.",
        ],
    );
    told(
        "reader: cannot open rows.csv.\n   3 rows were read\n",
        &["reader: cannot open rows.csv.", "last line: 3 rows were read"],
    );
}

#[test]
fn an_error_that_only_refers_to_a_page_is_not_the_headline() {
    for advice in ["error: see the manual at https://example.com/errors", "error: for more help, ask the platform team"]
    {
        let stderr = format!("error: cannot parse fit.yaml: bad indent\n{advice}\n");
        told(&stderr, &["error: cannot parse fit.yaml: bad indent"]);
    }
    told("error: see-saw.csv cannot be read\n", &["error: see-saw.csv cannot be read"]);
}

#[test]
fn pips_errors_in_a_script_are_told_above_their_advice() {
    let managed = "error: externally-managed-environment\n\n× This environment is externally managed\n╰─> To install Python packages system-wide, try apt install\n    \
                   python3-xyz, where xyz is the package you are trying to\n    install.\n\n    If you wish to install a package that is not of the\n    \
                   distribution, create a virtual environment using python3 -m venv\n    path/to/venv. Then use path/to/venv/bin/python and\n    \
                   path/to/venv/bin/pip. Make sure you have python3-full\n    installed.\n\n    If you wish to install an application, it may be easiest to\n    \
                   use pipx install xyz, which will manage a virtual environment\n    for you. Make sure you have pipx installed.\n\n    \
                   See /usr/share/doc/python3.11/README.venv for more information.\n\nnote: If you believe this is a mistake, please contact your Python \
                   installation or OS distribution provider.\nhint: See PEP 668 for the detailed specification.\n";
    let found = recorded(Ending::Exited(1), managed);
    assert!(found.starts_with("error: externally-managed-environment: pip may not install into this Python\nexit code 1\nhint: this Python belongs"), "{found}");
    let printed = Evidence { stdout: managed.as_bytes(), ..evidence(Ending::Exited(1), "") };
    assert_eq!(text(&cause(&printed)), found);
    // The script went on after it.
    let found = recorded(Ending::Exited(1), &format!("{managed}the table has no rows\n"));
    assert!(found.starts_with("the table has no rows\n"), "{found}");
    let other_hash = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please update the hashes.\n    \
                      zz==1.0 from file:///w/zz-1.0.whl (from -r r.txt (line 1)):\n        Expected sha256 00\n             Got        11\n";
    let found = recorded(Ending::Exited(1), other_hash);
    let first = found.lines().next().unwrap_or_default();
    assert!(first.starts_with("ERROR: THESE PACKAGES DO NOT MATCH") && first.contains(" zz==1.0 from "), "{found}");
    assert!(found.contains("\nhint: the package differs from its hash"), "{found}");
}

#[test]
fn the_summary_of_paddles_errors_is_read() {
    told(
        "C++ Traceback (most recent call last):\n0   paddle::memory::allocation::AllocateImpl(unsigned long)\n\n----------------------\n\
         Error Message Summary:\n----------------------\nResourceExhaustedError: \n\nOut of memory error on GPU 0. Cannot allocate 1.2GB memory on GPU 0.\n\n\
         Please check whether there is any other process using GPU 0.\n",
        &[
            "Out of memory error on GPU 0. Cannot allocate 1.2GB memory on GPU 0.",
            "last line: Please check whether there is any other process using GPU 0.",
            "hint: the GPU's memory is full; use a smaller batch, gradient checkpointing or mixed precision, or a larger GPU",
        ],
    );
}
