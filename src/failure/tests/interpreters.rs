//! Recorded errors of the runtimes of rarely used languages.

use super::forms::{told, told_with};
use super::recorded;
use crate::event::Ending;

#[track_caller]
fn killed(number: i32, stderr: &str, start: &str) {
    let text = recorded(Ending::Signaled(number), stderr);
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn a_fatal_error_of_swift_has_its_message_and_place() {
    const ILL: i32 = nix::libc::SIGILL;
    const TRAP: i32 = nix::libc::SIGTRAP;
    killed(
        TRAP,
        "/opt/ml/code/fit/main.swift:8: Fatal error: shard 3 has no header\nCurrent stack trace:\n0    libswiftCore.so    0x00007f0a10 _swift_stdlib_reportFatalErrorInFile + 109\n1    fit    0x0000558a main + 40\n",
        "Fatal error: shard 3 has no header\nat fit/main.swift:8\nkilled by SIGTRAP",
    );
    killed(
        ILL,
        "Fatal error: the rate is nan: file fit/main.swift, line 12\n",
        "Fatal error: the rate is nan\nat fit/main.swift:12\nkilled by SIGILL",
    );
    // The place within the standard library is not in the user's code.
    killed(
        ILL,
        "Swift/ContiguousArrayBuffer.swift:600: Fatal error: Index out of range\n\n*** Program crashed: Illegal instruction at 0x00007f3 ***\n\nThread 0 \"fit\" crashed:\n\n0 _assertionFailure(_:_:file:line:flags:) + 354 in libswiftCore.so\n1 load(_:) + 120 in fit at /opt/ml/code/fit/main.swift:7:15\n2 fit_main + 9 in fit at /opt/ml/code/fit/main.swift:10:1\n",
        "Fatal error: Index out of range\nat fit/main.swift:7\nkilled by SIGILL",
    );
    // The program continued after this line, and died for another reason.
    killed(ILL, "notes on main.swift: Fatal error\nepoch 3\n", "killed by SIGILL (signal 4)\n");
}

#[test]
fn a_panic_and_an_error_of_zig_have_their_place() {
    let stack = "/opt/ml/code/fit.zig:2:48: 0x11e4ba7 in get (fit.zig)\n    return rows[at];\n               ^\n/opt/ml/code/fit.zig:6:35: 0x11e319c in main (fit.zig)\n    print(get(at));\n             ^\n/usr/lib/zig/lib/std/start.zig:788:64: 0x11e37a6 in callMain (std.zig)\n    return root.main();\n           ^\n";
    let panic = format!("thread 71 panic: index out of bounds: index 8, len 3\n{stack}");
    let start = "panic: index out of bounds: index 8, len 3\nat fit.zig:2 in get\nkilled by SIGABRT";
    killed(nix::libc::SIGABRT, &panic, start);
    killed(nix::libc::SIGABRT, &format!("{panic}???:?:?: 0x7f in ??? (libc.so.6)\n"), start);
    told(&format!("error: NoHeader\n{stack}"), &["error: NoHeader", "at fit.zig:2 in get"]);
    // Without a stack, the line is treated like any other.
    told("error: NoHeader\nread the manual\n", &["error: NoHeader", "last line: read the manual"]);
}

#[test]
fn an_exception_of_nim_has_its_name_message_and_place() {
    let stack = "/opt/ml/code/fit.nim(9)  fit\n/opt/ml/code/fit.nim(4)  load\n/usr/lib/nim/lib/pure/strutils.nim(1072) parseInt\n";
    let error = "Error: unhandled exception: invalid integer: x3 [ValueError]\n";
    let expected = ["ValueError: invalid integer: x3", "at fit.nim:4 in load"];
    told(&format!("Traceback (most recent call last)\n{stack}{error}"), &expected);
    told(&format!("{stack}{error}Error: execution of an external program failed: '/opt/ml/code/fit '\n"), &expected);
    told(error, &expected[..1]);
    told(
        &format!("{stack}Error: unhandled exception: the rate is\ntoo large [FitError]\n"),
        &["FitError: the rate is", "at fit.nim:4 in load", "too large"],
    );
    told("fit.nim(9) fit\nno rows\n", &["no rows"]);
}

#[test]
fn an_error_of_matlab_is_told_with_the_function_and_line() {
    told(
        "{Error using load_rows (line 3)\nIndex exceeds the number of array elements.\n\nError in fit (line 5)\nload_rows('a')\n} \n",
        &["Index exceeds the number of array elements.", "at load_rows:3"],
    );
    told(
        "{Undefined function 'rates' for input arguments of type 'double'.\n\nError in fit>inner (line 2)\n  r = rates(a);\n\nError in fit (line 9)\ninner(3)\n} \n",
        &["Undefined function 'rates' for input arguments of type 'double'.", "at fit>inner:2"],
    );
}

#[test]
fn an_error_of_octave_is_not_hidden_by_its_parting_words() {
    let parting = "error: ignoring const execution_exception& while preparing to exit\n";
    told(
        &format!(
            "error: x(7): out of bound 3\nerror: called from\n    load_rows at line 3 column 5\n    fit at line 9 column 1\n{parting}"
        ),
        &["error: x(7): out of bound 3", "at load_rows:3"],
    );
    told(&format!("error: no column 7\n{parting}"), &["error: no column 7"]);
    told(
        &format!(
            "error: parse error near line 2 of file /opt/ml/code/fit.m\n\n  syntax error\n\n>>> y = 3 +;\n             ^\n{parting}"
        ),
        &["error: parse error near line 2 of file /opt/ml/code/fit.m", "syntax error >>> y = 3 +;"],
    );
}

#[test]
fn an_error_of_prolog_wins_over_the_goal_that_failed_for_it() {
    told(
        "ERROR: /opt/ml/code/fit.pl:2:\nERROR:    is/2: Arithmetic: `rate/0' is not a function\nWarning: /opt/ml/code/fit.pl:2:\nWarning:    Goal (directive) failed: user:main\n",
        &["is/2: Arithmetic: `rate/0' is not a function", "at fit.pl:2"],
    );
    told_with(
        2,
        "ERROR: /opt/ml/code/fit.pl:7: user:main //2: Arithmetic: evaluation error: `zero_divisor'\n",
        &["user:main //2: Arithmetic: evaluation error: `zero_divisor'", "at fit.pl:7"],
    );
    told_with(
        2,
        "ERROR: /opt/ml/code/fit.pl:1: Initialization goal raised exception:\nERROR: open/3: source_sink `'/rows.pl'' does not exist\n",
        &["open/3: source_sink `'/rows.pl'' does not exist", "at fit.pl:1"],
    );
    told(
        "Warning: /opt/ml/code/fit.pl:3:\nWarning:    Goal (directive) failed: user:fit\n",
        &["Goal (directive) failed: user:fit", "at fit.pl:3"],
    );
    // Another warning is not an error.
    told("Warning: /opt/ml/code/fit.pl:3:\nWarning:    Singleton variables: [X]\nno rows\n", &["no rows"]);
}

#[test]
fn a_head_with_calls_below_it_is_read_for_many_runtimes() {
    told(
        "Unhandled exception: shard 3 has no header (IO::Error)\n  from fit.cr:3:3 in 'load'\n  from fit.cr:6:1 in '__crystal_main'\n  from /usr/lib/crystal/main.cr:129:5 in 'main'\n",
        &["IO::Error: shard 3 has no header", "at fit.cr:3 in load"],
    );
    told_with(
        255,
        "Unhandled exception:\nFormatException: shard 3 has no header\n#0      load (file:///opt/ml/code/fit.dart:3:3)\n#1      main (file:///opt/ml/code/fit.dart:6:3)\n#2      _run.<anonymous closure> (dart:isolate-patch/isolate_patch.dart:297:19)\n",
        &["FormatException: shard 3 has no header", "at fit.dart:3 in load"],
    );
    told(
        "** exception error: no match of right hand side value 3\n     in function  fit:load/1 (fit.erl, line 7)\n     in call from fit:main/0 (fit.erl, line 2)\n",
        &["no match of right hand side value 3", "at fit.erl:7 in fit:load/1"],
    );
    told(
        "Execution error (ArithmeticException) at fit.core/load (core.clj:7).\nDivide by zero\n\nFull report at:\n/tmp/clojure-1.edn\n",
        &["ArithmeticException: Divide by zero", "at core.clj:7"],
    );
    told(
        "Unhandled SIMPLE-ERROR in thread #<SB-THREAD:THREAD \"main thread\" RUNNING {1001}>:\n  shard 3 has no header\n\nBacktrace for: #<SB-THREAD:THREAD>\n0: (SB-DEBUG::DEBUGGER-DISABLED-HOOK 1)\n1: (ERROR \"shard ~a\" 3)\n\nunhandled condition in --disable-debugger mode, quitting\n",
        &["SIMPLE-ERROR: shard 3 has no header"],
    );
    told(
        "Exception: /opt/ml/code/fit.ps1:3\nLine |\n   3 |    throw \"shard 3 has no header\"\n     |    ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n     | shard 3 has no header\n",
        &["Exception: shard 3 has no header", "at fit.ps1:3"],
    );
    told(
        "load-rows: shard 3 has no header\n  context...:\n   /opt/ml/code/fit.rkt:3:0: load-rows\n   body of \"/opt/ml/code/fit.rkt\"\n",
        &["load-rows: shard 3 has no header", "at fit.rkt:3 in load-rows"],
    );
    told(
        "2 |   throw new Error(\"bad\");\n            ^\nerror: shard 3 has no header\n      at load (/opt/ml/code/fit.ts:2:9)\n      at /opt/ml/code/fit.ts:4:1\n\nBun v1.1.0 (Linux x64)\n",
        &["error: shard 3 has no header", "at fit.ts:2 in load"],
    );
    told(
        "Error in `dplyr::filter()`:\n\u{2139} In argument: `x > 1`.\nCaused by error:\n! object 'x' not found\nExecution halted\n",
        &["Error in `dplyr::filter()`: object 'x' not found", "\u{2139} In argument: `x > 1`."],
    );
}

#[test]
fn errors_of_kotlin_native_d_ada_and_escripts_have_their_place() {
    killed(
        nix::libc::SIGABRT,
        "Uncaught Kotlin exception: kotlin.IllegalStateException: shard 3 has no header\n    at 0   fit.kexe                            0x21f  kfun:kotlin.Throwable#<init>(kotlin.String?){} + 99 \n    at 3   fit.kexe                            0x2c1  kfun:#load(kotlin.Int){} + 143 (/opt/ml/code/src/Load.kt:7:9)\n",
        "kotlin.IllegalStateException: shard 3 has no header\nat src/Load.kt:7 in #load(kotlin.Int)\nkilled by SIGABRT",
    );
    told(
        "object.Exception@fit.d(4): shard 3 has no header\n----------------\n??:? void fit.load(int) [0x55d]\n??:? _Dmain [0x55e]\n",
        &["object.Exception: shard 3 has no header", "at fit.d:4"],
    );
    told(
        "raised CONSTRAINT_ERROR : fit.adb:7 index check failed\n",
        &["CONSTRAINT_ERROR: index check failed", "at fit.adb:7"],
    );
    told_with(
        127,
        "escript: exception error: no match of right hand side value 3\n  in function  fit__escript__1700__000:load/1 (./fit.escript, line 6)\n  in call from escript:run/2 (escript.erl, line 750)\n",
        &["no match of right hand side value 3", "at fit.escript:6 in fit__escript__1700__000:load/1"],
    );
}

#[test]
fn the_own_application_of_elixir_is_not_a_library() {
    told(
        "** (MatchError) no match of right hand side value: 3\n    (jason 1.4.0) lib/jason.ex:69: Jason.decode/2\n    (fit 0.1.0) lib/fit.ex:7: Fit.load/1\n    fit.exs:2: (file)\n",
        &["MatchError: no match of right hand side value: 3", "at lib/fit.ex:7 in Fit.load/1"],
    );
}

#[test]
fn an_uncaught_exception_of_a_newer_haskell_has_its_message_and_place() {
    told(
        "fit: Uncaught exception ghc-internal:GHC.Internal.Exception.ErrorCall:\n\nshard 3 has no header\n\nHasCallStack backtrace:\n  error, called at app/Main.hs:7:11 in main:Main\n\n",
        &["shard 3 has no header", "at app/Main.hs:7"],
    );
}

#[test]
fn the_folders_in_which_lua_searched_a_module_are_not_the_error() {
    told(
        "/opt/torch/bin/luajit: fit.lua:3: module 'rows' not found:\n\tno field package.preload['rows']\n\tno file './rows.lua'\nstack traceback:\n\t[C]: in function 'require'\n\tfit.lua:3: in main chunk\n",
        &["module 'rows' not found", "at fit.lua:3"],
    );
}

#[test]
fn the_place_of_a_failed_task_of_julia_is_in_the_users_code() {
    told(
        "ERROR: LoadError: TaskFailedException\n\n    nested task error: no rows\n    Stacktrace:\n     [1] error(s::String)\n       @ Base ./error.jl:35\n     [2] (::var\"#1#2\")()\n       @ Main /opt/ml/code/fit.jl:3\nStacktrace:\n [1] wait\n   @ ./task.jl:345 [inlined]\n [2] top-level scope\n   @ /opt/ml/code/fit.jl:5\nin expression starting at /opt/ml/code/fit.jl:5\n",
        &["no rows", "at fit.jl:3"],
    );
}

#[test]
fn a_failed_assertion_of_c_has_its_place() {
    killed(
        nix::libc::SIGABRT,
        "fit: src/rows.cc:12: void load(int): Assertion `n > 0' failed.\n",
        "fit: src/rows.cc:12: void load(int): Assertion `n > 0' failed.\nat src/rows.cc:12\nkilled by SIGABRT",
    );
}
