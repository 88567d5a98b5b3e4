//! Recorded output of programs that run tests. The first failed assertion is the error, and the summary is not.

use super::forms::{told, told_with};
use super::{recorded, script};
use crate::event::Ending;

#[test]
fn a_failure_of_a_test_of_cpp_has_its_assertion_and_place() {
    told(
        "[ RUN      ] Table.Sums\ntable_test.cc:41: Failure\nExpected equality of these values:\n  sum(table)\n    Which is: 7\n  9\n[  FAILED  ] Table.Sums (0 ms)\n[ RUN      ] Table.Opens\ntable_test.cc:60: Failure\nFailed\n[  FAILED  ] Table.Opens (0 ms)\n[  PASSED  ] 2 tests.\n[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] Table.Sums\n[  FAILED  ] Table.Opens\n\n 2 FAILED TESTS\n",
        &["Expected equality of these values: sum(table) Which is: 7 9", "at table_test.cc:41"],
    );
    told(
        "unknown file: Failure\nC++ exception with description \"no rows\" thrown in the test body.\n\n[  FAILED  ] Table.Throws (0 ms)\n\n 1 FAILED TEST\n",
        &["C++ exception with description \"no rows\" thrown in the test body."],
    );
    told_with(
        1,
        "/opt/ml/code/table_test.cpp:6: FAILED:\n  REQUIRE( rows() == 4 )\nwith expansion:\n  3 == 4\n\n===============================================================================\ntest cases: 1 | 1 failed\nassertions: 1 | 1 failed\n",
        &["REQUIRE( rows() == 4 ) with expansion: 3 == 4", "at table_test.cpp:6"],
    );
    told(
        "table_test.cpp:9: ERROR: CHECK( rows() == 4 ) is NOT correct!\n  values: CHECK( 3 == 4 )\n\n===============================================================================\n[doctest] test cases: 1 | 0 passed | 1 failed | 0 skipped\n[doctest] assertions: 1 | 0 passed | 1 failed |\n[doctest] Status: FAILURE!\n",
        &["CHECK( rows() == 4 ) is NOT correct! values: CHECK( 3 == 4 )", "at table_test.cpp:9"],
    );
    told_with(
        201,
        "Running 1 test case...\ntable_test.cpp(6): error: in \"counts\": check rows() == 4 has failed [3 != 4]\n\n*** 1 failure is detected in the test module \"table\"\n",
        &["check rows() == 4 has failed [3 != 4]", "at table_test.cpp:6"],
    );
    told_with(
        8,
        "\nThe following tests FAILED:\n\t  1 - table_test (Failed)\nErrors while running CTest\n",
        &["The following tests FAILED: 1 - table_test (Failed)"],
    );
}

#[test]
fn a_failure_of_a_test_of_go_has_its_message_and_place() {
    let expected = ["got 3 rows, want 4", "at rows_test.go:17"];
    let end = "FAIL\nexit status 1\nFAIL\tacme.org/fit\t0.004s\n";
    told(&format!("--- FAIL: TestRows (0.00s)\n    rows_test.go:17: got 3 rows, want 4\n{end}"), &expected);
    told(
        &format!(
            "=== RUN   TestRows\n    rows_test.go:9: reading shard 3\n    rows_test.go:17: got 3 rows, want 4\n--- FAIL: TestRows (0.00s)\n=== RUN   TestFit\n--- PASS: TestFit (0.00s)\n{end}"
        ),
        &expected,
    );
    told(
        &format!(
            "--- FAIL: TestRows (0.00s)\n    --- FAIL: TestRows/empty (0.00s)\n        rows_test.go:17: got 3 rows, want 4\n{end}"
        ),
        &expected,
    );
    told(
        &format!(
            "--- FAIL: TestRows (0.00s)\n    rows_test.go:21: \n        \tError Trace:\t/opt/ml/code/rows_test.go:21\n        \tError:      \tNot equal: \n        \t            \texpected: 4\n        \t            \tactual  : 3\n        \tTest:       \tTestRows\n{end}"
        ),
        &["Not equal: expected: 4 actual : 3", "at rows_test.go:21"],
    );
}

#[test]
fn a_failure_of_a_test_of_rust_has_its_panic_and_place() {
    told_with(
        101,
        "running 1 test\ntest tests::rows ... FAILED\n\nfailures:\n\n---- tests::rows stdout ----\n\nthread 'tests::rows' panicked at src/lib.rs:14:9:\nassertion `left == right` failed: rows are lost\n  left: 2\n right: 3\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\n\nfailures:\n    tests::rows\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\nerror: test failed, to rerun pass `--lib`\n",
        &["assertion `left == right` failed: rows are lost left: 2 right: 3", "at src/lib.rs:14"],
    );
}

#[test]
fn a_failure_of_a_test_of_javascript_has_its_assertion_and_place() {
    told(
        "FAIL ./rows.test.js\n  ✕ counts rows (3 ms)\n\n  ● counts rows\n\n    expect(received).toBe(expected) // Object.is equality\n\n    Expected: 4\n    Received: 3\n\n      5 | test('counts rows', () => {\n    > 6 |   expect(load().length).toBe(4);\n        |                         ^\n\n      at Object.toBe (rows.test.js:6:25)\n\nTest Suites: 1 failed, 1 total\nTests:       1 failed, 1 total\nRan all test suites.\n",
        &["expect(received).toBe(expected) // Object.is equality Expected: 4 Received: 3", "at rows.test.js:6"],
    );
    told(
        " FAIL  rows.test.js > counts rows\nAssertionError: expected 3 to be 4 // Object.is equality\n\n- Expected\n+ Received\n\n- 4\n+ 3\n\n ❯ rows.test.js:6:25\n",
        &["AssertionError: expected 3 to be 4 // Object.is equality", "at rows.test.js:6"],
    );
}

#[test]
fn a_failure_of_a_test_of_other_languages_has_its_assertion_and_place() {
    told(
        "rows.bats\n ✗ opens the table\n   (in test file rows.bats, line 9)\n     `[ -f table.csv ]' failed\n\n2 tests, 1 failure\n",
        &["`[ -f table.csv ]' failed", "at rows.bats:9"],
    );
    told(
        "1..1\nnot ok 1 opens the table\n# (from function `check' in file lib.bash, line 3,\n#  in test file rows.bats, line 9)\n#   `check' failed\n",
        &["`check' failed", "at rows.bats:9"],
    );
    told(
        "── Failure (test-rows.R:3:3): rows are counted ───\nrows() not equal to 4.\n1/1 mismatches\n\n[ FAIL 1 | WARN 0 | SKIP 0 | PASS 1 ]\nError: Test failures\nExecution halted\n",
        &["rows() not equal to 4. 1/1 mismatches", "at test-rows.R:3"],
    );
    told(
        "Failures:\n\n  1) Rows counts rows\n     Failure/Error: expect(rows).to eq(4)\n\n       expected: 4\n            got: 3\n\n       (compared using ==)\n     # ./spec/rows_spec.rb:6:in `block (2 levels) in <top (required)>'\n\nFinished in 0.01 seconds\n2 examples, 1 failure\n\nFailed examples:\n\nrspec ./spec/rows_spec.rb:5 # Rows counts rows\n",
        &["expect(rows).to eq(4) expected: 4 got: 3", "at spec/rows_spec.rb:6"],
    );
    told(
        "  1) Failure:\nRowsTest#test_counts [test/rows_test.rb:6]:\nExpected: 4\n  Actual: 3\n\n1 runs, 1 assertions, 1 failures, 0 errors, 0 skips\n",
        &[
            "Expected: 4 Actual: 3",
            "at test/rows_test.rb:6",
            "last line: 1 runs, 1 assertions, 1 failures, 0 errors, 0 skips",
        ],
    );
    told(
        "There was 1 failure:\n\n1) RowsTest::testCounts\nFailed asserting that 3 matches expected 4.\n\n/opt/ml/code/tests/RowsTest.php:11\n\nFAILURES!\nTests: 2, Assertions: 2, Failures: 1.\n",
        &["Failed asserting that 3 matches expected 4.", "at tests/RowsTest.php:11"],
    );
}

#[test]
fn the_first_failed_test_of_python_is_the_error() {
    told(
        "____ test_first ____\n\n>       assert load() == [1]\nE       assert [] == [1]\n\ntest_rows.py:4: AssertionError\n____ test_second ____\n\nE       KeyError: 'label'\n\ntest_rows.py:7: KeyError\n=== short test summary info ===\nFAILED test_rows.py::test_first - assert [] == [1]\nFAILED test_rows.py::test_second - KeyError: 'label'\n=== 2 failed in 0.02s ===\n",
        &["AssertionError: assert [] == [1]", "at test_rows.py:4"],
    );
    told(
        ".F\n=== short test summary info ===\nFAILED test_rows.py::test_sums - assert 3 == 4\n1 failed, 1 passed in 0.02s\n",
        &["assert 3 == 4"],
    );
    told(
        "**********************************************************************\nFile \"/opt/ml/code/fit.py\", line 3, in fit.rows\nFailed example:\n    rows()\nExpected:\n    4\nGot:\n    3\n**********************************************************************\n1 items had failures:\n***Test Failed*** 1 failures.\n",
        &["rows() Expected: 4 Got: 3", "at fit.py:3"],
    );
    let text = script(
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(2, 3, 'rows are lost')\n    def test_b(self): self.assertEqual(1, 3)\nunittest.main()\n",
    );
    assert!(text.starts_with("AssertionError: 2 != 3 : rows are lost\nat train.py:3 in test_a\n"), "{text}");
}

#[test]
fn an_error_after_failed_tests_is_the_error() {
    told(
        "--- FAIL: TestRows (0.00s)\n    rows_test.go:17: got 3 rows, want 4\nFAIL\nerror: cannot upload the protocol: bucket is closed\n",
        &["got 3 rows, want 4", "at rows_test.go:17", "last line: error: cannot upload the protocol: bucket is closed"],
    );
    let text = recorded(
        Ending::Exited(3),
        "--- FAIL: TestRows (0.00s)\n    rows_test.go:17: got 3 rows, want 4\nFAIL\nerror: cannot upload the protocol: bucket is closed\n",
    );
    assert!(text.starts_with("error: cannot upload the protocol: bucket is closed\n"), "{text}");
}

#[test]
fn the_first_error_or_failure_of_unittest_is_the_error() {
    let rule = "=".repeat(70);
    let line = "-".repeat(70);
    let block = |title: &str, line_number: u32, error: &str| {
        format!(
            "{rule}\n{title}\n{line}\nTraceback (most recent call last):\n  File \"/opt/ml/code/test_fit.py\", line {line_number}, in f\n    x\n{error}\n\n"
        )
    };
    let errors = block("ERROR: test_b (test_fit.T.test_b)", 6, "KeyError: 'b'")
        + &block("ERROR: test_d (test_fit.T.test_d)", 9, "KeyError: 'd'");
    let failures = block("FAIL: test_a (test_fit.T.test_a)", 3, "AssertionError: 1 != 2")
        + &block("FAIL: test_c (test_fit.T.test_c)", 12, "AssertionError: 3 != 4");
    let end = format!("{line}\nRan 4 tests in 0.001s\n\nFAILED (failures=2, errors=2)\n");
    let failed = ["AssertionError: 1 != 2", "at test_fit.py:3 in f"];
    let raised = ["KeyError: 'b'", "at test_fit.py:6 in f"];
    told(&format!("..FEFE\n{errors}{failures}{end}"), &failed);
    told(&format!("..EFEF\n{errors}{failures}{end}"), &raised);
    told(
        &format!(
            "test_a (test_fit.T.test_a) ... FAIL\ntest_b (test_fit.T.test_b) ... ERROR\n\n{errors}{failures}{end}"
        ),
        &failed,
    );
    told(
        &format!(
            "test_b (test_fit.T.test_b) ... ERROR\ntest_a (test_fit.T.test_a) ... FAIL\n\n{errors}{failures}{end}"
        ),
        &raised,
    );
    // Without the list of results, the first report counts.
    told(&format!("{errors}{failures}{end}"), &raised);
    told(&format!("F\n{failures}{end}"), &failed);
}
