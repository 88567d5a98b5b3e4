//! Recorded errors of the runtimes of languages.

use super::forms::{told, told_with};
use super::recorded;
use crate::event::Ending;

#[test]
fn the_panic_that_led_to_another_one_is_the_cause() {
    let first = "thread 'loader' panicked at src/load.rs:8:5:\nindex out of bounds: the len is 0\n";
    for second in [
        "called `Result::unwrap()` on an `Err` value: Any { .. }",
        "called `Result::unwrap()` on an `Err` value: PoisonError { .. }",
        "a scoped thread panicked",
    ] {
        told_with(
            101,
            &format!("{first}\nthread 'main' panicked at src/main.rs:3:14:\n{second}\n"),
            &["thread 'loader' panicked: index out of bounds: the len is 0", "at src/load.rs:8"],
        );
    }
    let other = format!("{first}\nthread 'main' panicked at src/main.rs:3:14:\nno batch after 10 s\n");
    told_with(101, &other, &["thread 'main' panicked: no batch after 10 s", "at src/main.rs:3"]);
    // A destructor panicked while the stack was unwound.
    let unwound = "thread 'main' panicked at src/main.rs:9:5:\nthe rate is nan\n\nthread 'main' panicked at src/main.rs:3:9:\ncannot flush\n\nthread 'main' panicked at core/src/panicking.rs:233:5:\npanic in a destructor during cleanup\nthread caused non-unwinding panic. aborting.\n";
    let text = recorded(Ending::Signaled(6), unwound);
    assert!(text.starts_with("thread 'main' panicked: the rate is nan\nat src/main.rs:9\n"), "{text}");
}

#[test]
fn the_message_before_an_abort_has_its_lines_and_its_place() {
    let aborted = |stderr: &str| recorded(Ending::Signaled(6), stderr);
    let text = aborted(
        "terminate called after throwing an instance of 'std::runtime_error'\n  what():  shapes differ:\n  expected [4, 8]\n  got [4, 9]\n",
    );
    assert!(
        text.starts_with("std::runtime_error: shapes differ: expected [4, 8] got [4, 9]\nkilled by SIGABRT"),
        "{text}"
    );
    let text = aborted(
        "F1128 10:00:01.123456  71 rows.cc:88] Check failed: rows == labels (3 vs. 4) \n*** Check failure stack trace: ***\n    @              (nil)  (unknown)\n",
    );
    assert!(text.starts_with("Check failed: rows == labels (3 vs. 4)\nat rows.cc:88\nkilled by SIGABRT"), "{text}");
    let text = aborted("thread 'main' has overflowed its stack\nfatal runtime error: stack overflow, aborting\n");
    assert!(text.starts_with("fatal runtime error: stack overflow, aborting\n"), "{text}");
    // The interpreter reports its place.
    let text = aborted(
        "  3%|#  | 3/100 [00:01<00:31,  3.1it/s]Memory access fault by GPU node-3 (Agent handle: 0x5a) on address 0x70. Reason: Unknown.\nFatal Python error: Aborted\n\nCurrent thread 0x7f (most recent call first):\n  File \"/opt/ml/code/train.py\", line 7 in step\n",
    );
    assert!(text.starts_with("Memory access fault by GPU node-3 (Agent handle: 0x5a) on address 0x70. Reason: Unknown.\nat train.py:7 in step\n"), "{text}");
}

#[test]
fn errors_that_a_program_of_rust_returned_have_their_causes_and_place() {
    told(
        "Error: \n   0: cannot fit\n   1: rows.jsonl: expected value at line 3\n\nLocation:\n   src/fit.rs:88\n\nBacktrace omitted. Run with RUST_BACKTRACE=1 environment variable to display it.\n",
        &["cannot fit", "at src/fit.rs:88", "caused by: rows.jsonl: expected value at line 3"],
    );
    told(
        "Error: config::parse\n\n  × cannot read the config\n   ╭─[fit.kdl:2:5]\n 1 │ fit {\n 2 │     rate \"x\"\n   ·     ───┬──\n   ·        ╰── expected a number\n 3 │ }\n   ╰────\n",
        &["config::parse: cannot read the config", "at fit.kdl:2"],
    );
    // uv prints the error without the word.
    told(
        "  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of acme-rows==3 and you require acme-rows==3,\n      we can conclude that your requirements are unsatisfiable.\n",
        &[
            "No solution found when resolving dependencies: Because there is no version of acme-rows==3 and you require acme-rows==3, we can conclude that your requirements are unsatisfiable.",
            "hint: no index has that package or version; check the spelling and version in the requirements, the Python version, and the index (--index-url, --extra-index-url, --find-links)",
        ],
    );
    told(
        "Error: cannot fit\n\nCaused by:\n    no rows\n\nStack backtrace:\n   0: anyhow::error::new\n   1: fit::main\n             at ./src/main.rs:14:5\n   2: std::rt::lang_start\n",
        &["Error: cannot fit", "caused by: no rows"],
    );
}

#[test]
fn an_error_of_ruby_is_followed_by_its_cause() {
    told(
        "fit.rb:4:in `rescue in <main>': row 3 is bad (RuntimeError)\n\tfrom fit.rb:1:in `<main>'\nfit.rb:2:in `Integer': invalid value (ArgumentError)\n\tfrom fit.rb:2:in `<main>'\n",
        &[
            "RuntimeError: row 3 is bad",
            "at fit.rb:4 in rescue in <main>",
            "caused by: ArgumentError: invalid value (at fit.rb:2 in Integer)",
        ],
    );
}

#[test]
fn errors_of_tcl_elixir_and_haskell_have_their_message_and_place() {
    told(
        "no rows in 7\n    while executing\n\"error \"no rows in $n\"\"\n    (procedure \"load\" line 1)\n    invoked from within\n\"load 7\"\n    (file \"fit.tcl\" line 2)\n",
        &["no rows in 7", "at fit.tcl:2"],
    );
    told(
        "** (ArgumentError) no rows in 7\n    fit.exs:2: Fit.load/1\n    fit.exs:4: (file)\n    (elixir 1.14.0) lib/code.ex:1245: Code.require_file/2\n",
        &["ArgumentError: no rows in 7", "at fit.exs:2 in Fit.load/1"],
    );
    told(
        "fit: no rows in 7\nCallStack (from HasCallStack):\n  error, called at libraries/base/GHC/List.hs:1646:3 in base:GHC.List\n  head, called at app/Main.hs:9:12 in main:Main\n",
        &["fit: no rows in 7", "at app/Main.hs:9"],
    );
}

#[test]
fn an_error_of_julia_has_the_line_of_the_script() {
    told(
        "ERROR: LoadError: ArgumentError: no rows\nStacktrace:\n [1] require(into::Module, mod::Symbol)\n   @ Base ./loading.jl:2260\nin expression starting at /opt/ml/code/fit.jl:3\n",
        &["ArgumentError: no rows", "at fit.jl:3"],
    );
}

#[test]
fn an_error_while_a_resource_was_closed_belongs_to_the_exception() {
    told(
        "Exception in thread \"main\" java.io.IOException: no rows\n\tat Fit.main(Fit.java:4)\n\tSuppressed: java.lang.RuntimeException: cannot close\n\t\tat Fit$R.close(Fit.java:2)\n\t\tat Fit.main(Fit.java:4)\n",
        &["java.io.IOException: no rows", "at Fit.java:4 in Fit.main"],
    );
}

#[test]
fn the_last_lines_of_maven_do_not_hide_its_error() {
    told(
        "[ERROR] Failed to execute goal on project fit: Could not find artifact rows:rows:jar:2.1 -> [Help 1]\n[ERROR] \n[ERROR] Re-run Maven using the -X switch to enable full debug logging.\n[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/DependencyResolutionException\n",
        &["[ERROR] Failed to execute goal on project fit: Could not find artifact rows:rows:jar:2.1 -> [Help 1]"],
    );
}
