//! Failures of real Python scripts, run by the machine's `python3` (3.11 or later).

use super::{Code, evidence, recorded, script};
use crate::event::Ending;
use crate::failure::{self, cause};

/// Asserts that the failure text of a script consists of these lines and of the command.
#[track_caller]
fn told(source: &str, lines: &[&str]) {
    assert_lines(&script(source), lines);
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    let found: Vec<&str> = text.lines().collect();
    let (last, found) = found.split_last().unwrap();
    assert_eq!(found, lines);
    assert_eq!(*last, "command: python3 train.py");
}

#[test]
fn the_deepest_frame_of_the_users_own_modules_is_the_place() {
    let code = Code::new(&[
        ("train.py", "import data.load\n\ndef main():\n    data.load.load('x.csv')\n\nmain()\n"),
        ("data/__init__.py", ""),
        (
            "data/load.py",
            "def load(path):\n    parse(path)\n\ndef parse(path):\n    raise ValueError(f'bad data in {path} line 3')\n",
        ),
    ]);
    let expected = ["ValueError: bad data in x.csv line 3", "at data/load.py:5 in parse", "exit code 1"];
    assert_lines(&code.text(&code.run("python3", &["train.py"])), &expected);
    let whole_path = code.path().join("train.py");
    assert_lines(&code.text(&code.run("python3", &[whole_path.to_str().unwrap()])), &expected);
    // An error in a library: the place is the user's frame that called it.
    told(
        "import json\n\njson.loads('{')\n",
        &[
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            "at train.py:3",
            "exit code 1",
        ],
    );
}

#[test]
fn exceptions_with_unusual_names_and_messages_are_shown_whole() {
    told("raise RuntimeError\n", &["RuntimeError", "at train.py:1", "exit code 1"]);
    told("def get(d):\n    return d['loss']\nget({})\n", &["KeyError: 'loss'", "at train.py:2 in get", "exit code 1"]);
    told(
        "def f():\n    class MyError(Exception): pass\n    raise MyError('x')\nf()\n",
        &["f.<locals>.MyError: x", "at train.py:3 in f", "exit code 1"],
    );
    told(
        "raise ValueError('first line\\n\\tsecond   line\\nthird')\n",
        &["ValueError: first line second line", "at train.py:1", "third", "exit code 1"],
    );
    told("raise ValueError('\\nfirst line')\n", &["ValueError: first line", "at train.py:1", "exit code 1"]);
    told(
        "e = ValueError('bad')\ne.add_note('row 7')\nraise e\n",
        &["ValueError: bad", "at train.py:3", "row 7", "exit code 1"],
    );
    told(
        "def größe():\n    raise ValueError('Größe 日本語 🚂')\ngröße()\n",
        &["ValueError: Größe 日本語 🚂", "at train.py:2 in größe", "exit code 1"],
    );
    told(
        "def f(n):\n    return f(n + 1)\nf(0)\n",
        &["RecursionError: maximum recursion depth exceeded", "at train.py:2 in f", "exit code 1"],
    );
}

#[test]
fn a_long_message_is_shortened_and_the_other_lines_stay() {
    let text = script("def load():\n    raise ValueError('begin ' + 'é' * 5000 + ' end')\nload()\n");
    let rest = "\nat train.py:2 in load\nexit code 1\ncommand: python3 train.py";
    let headline = text.strip_suffix(rest).unwrap();
    assert_eq!(text.chars().count(), 1024);
    assert!(headline.starts_with("ValueError: begin éé") && headline.ends_with("é end"), "{headline}");
    assert!(headline.contains("é…é"), "{headline}");
}

#[test]
fn a_chain_names_the_exceptions_that_led_to_the_last_one() {
    told(
        "try:\n    {}['x']\nexcept KeyError as error:\n    raise RuntimeError('no x') from error\n",
        &["RuntimeError: no x", "at train.py:4", "caused by: KeyError: 'x' (at train.py:2)", "exit code 1"],
    );
    told(
        "try:\n    {}['x']\nexcept KeyError:\n    int('a')\n",
        &[
            "ValueError: invalid literal for int() with base 10: 'a'",
            "at train.py:4",
            "while handling: KeyError: 'x'",
            "exit code 1",
        ],
    );
    told(
        "try:\n    try:\n        open('/no/file')\n    except OSError as e:\n        raise KeyError('b') from e\nexcept KeyError:\n    raise RuntimeError('c')\n",
        &[
            "RuntimeError: c",
            "at train.py:7",
            "while handling: KeyError: 'b'",
            "caused by: FileNotFoundError: [Errno 2] No such file or directory: '/no/file' (at train.py:3)",
            "exit code 1",
        ],
    );
}

#[test]
fn an_exception_group_names_its_members() {
    told(
        "def a():\n    raise ValueError('one')\nerrors = []\nfor f in [a, lambda: int('x')]:\n    try:\n        f()\n    except Exception as e:\n        errors.append(e)\nraise ExceptionGroup('two jobs failed', errors)\n",
        &[
            "ExceptionGroup: two jobs failed (2 sub-exceptions)",
            "at train.py:2 in a",
            "caused by: ValueError: one",
            "caused by: ValueError: invalid literal for int() with base 10: 'x' (at train.py:4 in <lambda>)",
            "exit code 1",
        ],
    );
    told(
        "import asyncio\n\nasync def work():\n    raise ValueError('bad')\n\nasync def main():\n    async with asyncio.TaskGroup() as group:\n        group.create_task(work())\n\nasyncio.run(main())\n",
        &[
            "ValueError: bad",
            "at train.py:4 in work",
            "passed on as: ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
            "exit code 1",
        ],
    );
    // Only the last exception of a member's own chain is a member.
    told(
        "try:\n    try:\n        {}['x']\n    except KeyError as e:\n        raise ValueError('one') from e\nexcept ValueError as e:\n    raise ExceptionGroup('g', [e]) from None\n",
        &["ValueError: one", "at train.py:5", "passed on as: ExceptionGroup: g (1 sub-exception)", "exit code 1"],
    );
    told(
        "try:\n    raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError('k')])])\nexcept ExceptionGroup as e:\n    raise RuntimeError('end') from e\n",
        &[
            "RuntimeError: end",
            "at train.py:4",
            "caused by: ExceptionGroup: g (2 sub-exceptions) (at train.py:2)",
            "caused by: ValueError: 1",
            "exit code 1",
        ],
    );
}

#[test]
fn a_syntax_error_has_a_place_without_a_traceback() {
    told("def f():\n    x = (1,\n    y = 2\n", &["SyntaxError: '(' was never closed", "at train.py:2", "exit code 1"]);
    told(
        "def f():\nreturn 1\n",
        &[
            "IndentationError: expected an indented block after function definition on line 1",
            "at train.py:2",
            "exit code 1",
        ],
    );
    let code = Code::new(&[("train.py", "import model\n"), ("model.py", "class Net\n    pass\n")]);
    let text = code.text(&code.run("python3", &["train.py"]));
    assert_lines(&text, &["SyntaxError: expected ':'", "at model.py:1", "exit code 1"]);
}

#[test]
fn a_script_that_exits_without_a_traceback_is_explained_by_its_last_words() {
    told("import sys\nsys.exit('please pass --data')\n", &["please pass --data", "exit code 1"]);
    told(
        "import sys\nprint('epoch 1 loss 0.3')\nsys.exit(3)\n",
        &["exit code 3, with no error printed", "last line: epoch 1 loss 0.3"],
    );
    told("import os\nos._exit(3)\n", &["exit code 3, with no error printed"]);
    told(
        "import warnings, sys\nwarnings.warn('this is an error-prone thing')\nsys.exit(3)\n",
        &["exit code 3, with no error printed"],
    );
    told(
        "import logging, sys\nlogging.warning('cannot find the cache')\nlogging.error('no data in %s', 'x')\nsys.exit(3)\n",
        &["ERROR:root:no data in x", "exit code 3"],
    );
    told(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float)\nparser.parse_args(['--lr', '1', '--foo'])\n",
        &["train.py: error: unrecognized arguments: --foo", "exit code 2"],
    );
    told(
        "import argparse, traceback\ntry:\n    int('a')\nexcept ValueError:\n    traceback.print_exc()\nargparse.ArgumentParser().parse_args(['--foo'])\n",
        &["train.py: error: unrecognized arguments: --foo", "exit code 2"],
    );
    told(
        "import sys\nsys.exit(-9)\n",
        &[
            "exit code 247 (-9): a child process was killed by SIGKILL (signal 9)",
            "hint: killed by SIGKILL; perhaps out of memory, which the container's cgroup cannot show: compare the job's MemoryUtilization; use a smaller batch, fewer data-loading workers, or an instance with more memory",
        ],
    );
}

#[test]
fn a_logged_exception_is_the_cause_only_if_the_failure_followed_from_it() {
    const LOGGED: &str = "import logging, os, signal, sys\ntry:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed to read x')\n";
    told(LOGGED, &["exit code 0"]);
    told(&format!("{LOGGED}sys.exit(1)\n"), &["KeyError: 'x'", "at train.py:3", "exit code 1"]);
    let hint = "hint: killed by SIGKILL; perhaps out of memory, which the container's cgroup cannot show: compare the job's MemoryUtilization; use a smaller batch, fewer data-loading workers, or an instance with more memory";
    for end in ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(137)"] {
        told(&format!("{LOGGED}{end}\n"), &["killed by SIGKILL (signal 9)", "exit code 137", hint]);
    }
    // One exception was printed, then another was logged, and the script chose the exit code. The last exception was
    // decisive.
    let printed = "import traceback\ntry:\n    int('a')\nexcept ValueError:\n    traceback.print_exc()\n";
    told(&format!("{printed}{LOGGED}sys.exit(4)\n"), &["KeyError: 'x'", "at train.py:8", "exit code 4"]);
    // A record came before the exception that ended the top level of the script, after one that was printed.
    let record = "import logging\nlogging.error('the run has failed')\n";
    told(&format!("{printed}{record}{{}}['late']\n"), &["KeyError: 'late'", "at train.py:8", "exit code 1"]);
    // An exit handler logged an exception after the one that ended the top level.
    let handler = "import atexit, logging\ndef leave():\n    try:\n        {}['late']\n    except KeyError:\n        logging.exception('not left')\natexit.register(leave)\n";
    told(
        &format!("{handler}int('a')\n"),
        &["ValueError: invalid literal for int() with base 10: 'a'", "at train.py:8", "exit code 1"],
    );
    // The run continued for fifty records.
    let later = "for n in range(50):\n    logging.warning('step %d', n)\nsys.exit('no improvement')\n";
    told(&format!("{LOGGED}{later}"), &["no improvement", "exit code 1"]);
    // The platform's own examples do this.
    told(
        "import sys, traceback\ntry:\n    {}['x']\nexcept Exception as e:\n    print('Exception during training: ' + str(e) + '\\n' + traceback.format_exc(), file=sys.stderr)\n    sys.exit(255)\n",
        &["KeyError: 'x'", "at train.py:3", "exit code 255"],
    );
}

#[test]
fn the_main_threads_traceback_counts_before_all_others() {
    told(
        "import threading, sys\ndef work():\n    raise ValueError('in thread')\nt = threading.Thread(target=work, name='loader')\nt.start()\nt.join()\nsys.exit(4)\n",
        &["ValueError: in thread", "at train.py:3 in work (thread loader)", "exit code 4"],
    );
    told(
        "import threading\ndef work():\n    raise ValueError('in thread')\nt = threading.Thread(target=work)\nt.start()\nt.join()\nraise RuntimeError('in main')\n",
        &[
            "RuntimeError: in main",
            "at train.py:7",
            "before it: ValueError: in thread (at train.py:3 in work in thread Thread-1)",
            "exit code 1",
        ],
    );
    told(
        "import threading, time\ndef work():\n    time.sleep(0.2)\n    raise ValueError('in thread')\nthreading.Thread(target=work).start()\nraise RuntimeError('in main')\n",
        &["RuntimeError: in main", "at train.py:6", "exit code 1"],
    );
    told(
        "class A:\n    def __del__(self):\n        raise ValueError('in del')\na = A()\nraise RuntimeError('in main')\n",
        &["RuntimeError: in main", "at train.py:5", "exit code 1"],
    );
    told(
        "import atexit\ndef bye():\n    raise ValueError('in bye')\natexit.register(bye)\nraise RuntimeError('in main')\n",
        &["RuntimeError: in main", "at train.py:5", "exit code 1"],
    );
}

#[test]
fn an_exception_of_a_child_process_has_the_place_where_it_was_raised() {
    let expected = ["ValueError: bad 1", "at train.py:3 in work", "exit code 1"];
    told(
        "import multiprocessing\ndef work(n):\n    raise ValueError(f'bad {n}')\nif __name__ == '__main__':\n    with multiprocessing.Pool(1) as pool:\n        pool.map(work, [1])\n",
        &expected,
    );
    told(
        "import concurrent.futures as c\ndef work(n):\n    raise ValueError(f'bad {n}')\nif __name__ == '__main__':\n    with c.ProcessPoolExecutor(1) as pool:\n        list(pool.map(work, [1]))\n",
        &expected,
    );
    told(
        "import multiprocessing, sys\ndef work():\n    raise ValueError('bad')\nif __name__ == '__main__':\n    p = multiprocessing.Process(target=work)\n    p.start()\n    p.join()\n    sys.exit(p.exitcode)\n",
        &["ValueError: bad", "at train.py:3 in work (process Process-1)", "exit code 1"],
    );
}

#[test]
fn the_error_of_a_child_comes_before_the_parents_exception() {
    told(
        "import subprocess\nsubprocess.run(['ls', '/does/not/exist'], check=True)\n",
        &[
            "ls: cannot access '/does/not/exist': No such file or directory",
            "at train.py:2",
            "passed on as: subprocess.CalledProcessError: Command '['ls', '/does/not/exist']' returned non-zero exit status 2.",
            "exit code 1",
        ],
    );
    told(
        "import subprocess\nsubprocess.run(['python3', '-c', 'raise ValueError(3)'], check=True)\n",
        &[
            "ValueError: 3",
            "at train.py:2",
            "passed on as: subprocess.CalledProcessError: Command '['python3', '-c', 'raise ValueError(3)']' returned non-zero exit status 1.",
            "exit code 1",
        ],
    );
}

#[test]
fn death_by_a_signal_has_the_place_that_the_interpreter_reported() {
    told(
        "import os, signal, time\ndef wait():\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(5)\nwait()\n",
        &["KeyboardInterrupt", "at train.py:3 in wait", "killed by SIGINT (signal 2), exit code 130"],
    );
    told(
        "import ctypes, faulthandler\nfaulthandler.enable()\ndef crash():\n    ctypes.string_at(0)\ncrash()\n",
        &["killed by SIGSEGV (signal 11)", "at train.py:4 in crash", "exit code 139"],
    );
    told(
        "import ctypes\nctypes.string_at(0)\n",
        &[
            "killed by SIGSEGV (signal 11)",
            "exit code 139",
            "hint: native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python",
        ],
    );
    told("import os\nos.abort()\n", &["killed by SIGABRT (signal 6)", "exit code 134"]);
}

#[test]
fn other_output_around_a_traceback_is_not_part_of_it() {
    const BAR: &str =
        "import sys\nfor n in range(3):\n    sys.stderr.write(f'\\r {n}%|##   | {n}/10 [00:00<00:01, 9.9it/s]')\n";
    told(&format!("{BAR}raise ValueError('bad')\n"), &["ValueError: bad", "at train.py:4", "exit code 1"]);
    told(&format!("{BAR}sys.exit('no data')\n"), &["no data", "exit code 1"]);
    let after = |text: &str| {
        format!(
            "import atexit, sys\natexit.register(lambda: print('{text}', file=sys.stderr))\nraise ValueError('bad')\n"
        )
    };
    for noise in ["wandb: run synced", "INFO:root:bye", "2024-03-14 12:00:00 bye"] {
        let text = script(&after(noise));
        assert_eq!(text.lines().next(), Some("ValueError: bad"), "{noise}");
    }
    told(
        &after("ERROR:root:nothing was saved"),
        &["ValueError: bad", "at train.py:3", "last line: ERROR:root:nothing was saved", "exit code 1"],
    );
}

/// A stack that the script prints is not a traceback, whatever the next line looks like.
#[test]
fn a_printed_stack_is_not_an_exception() {
    told(
        "import sys, traceback\ntraceback.print_stack()\nprint('Step: 3', file=sys.stderr)\nsys.exit(3)\n",
        &["Step: 3", "exit code 3"],
    );
}

#[test]
fn a_traceback_on_stdout_is_found_if_there_is_none_on_stderr() {
    told(
        "import sys, traceback\ntry:\n    {}['x']\nexcept KeyError:\n    traceback.print_exc(file=sys.stdout)\n    sys.exit(1)\n",
        &["KeyError: 'x'", "at train.py:3", "exit code 1"],
    );
}

#[test]
fn hints_fit_the_exception() {
    told(
        "import einops_is_not_here.layers\n",
        &[
            "ModuleNotFoundError: No module named 'einops_is_not_here'",
            "at train.py:1",
            "exit code 1",
            "hint: add einops_is_not_here to requirements.txt beside the script, or, if it is your own module, put it there too",
        ],
    );
    told(
        "x = bytearray(1 << 60)\n",
        &[
            "MemoryError",
            "at train.py:1",
            "exit code 1",
            "hint: Python was refused memory: one allocation was larger than what is left, or than a limit (ulimit -v); load the data in parts, or use an instance with more memory",
        ],
    );
}

#[test]
fn a_script_that_python_cannot_start_is_explained() {
    let code = Code::new(&[("train.py", "")]);
    let text = code.text(&code.run("python3", &["main.py"]));
    let headline = text.lines().next().unwrap();
    assert!(
        headline.contains("can't open file") && headline.ends_with("[Errno 2] No such file or directory"),
        "{text}"
    );
    let text = code.text(&code.run("python3", &["-c", "1/0"]));
    assert_lines(&text, &["ZeroDivisionError: division by zero", "at <string>:1", "exit code 1"]);
}

/// A secret that the script prints, on one line or over several, must not appear in the text.
#[test]
fn a_secret_in_the_output_is_hidden_in_the_text() {
    let stderr = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nValueError: 401 for hf_0123456789,\nAPI_KEY=zzz\n";
    let redactor = crate::redact::Redactor::new([("hub_token", "hf_0123456789"), ("pem_key", "for\nhf_999999")]);
    let text = |stderr: &str| failure::text(&cause(&evidence(Ending::Exited(1), stderr)), &redactor);
    assert_eq!(text(stderr).lines().next(), Some("ValueError: 401 for ******, API_KEY=******"));
    let stderr = stderr.replace("hf_0123456789,", "\nhf_999999");
    assert_eq!(text(&stderr.replace("for \n", "for\n")).lines().next(), Some("ValueError: 401 ****** API_KEY=******"));
    let cause = cause(&evidence(Ending::Exited(1), "no access for hf_0123456789\n"));
    assert_eq!(failure::headline(&cause, &redactor), "no access for ******");
    assert!(super::text(&cause).contains("hf_0123456789"), "without a redactor it would be there");
}

#[test]
fn what_is_written_after_an_ignored_exception_is_no_part_of_it() {
    let stderr = "Exception ignored in: <function Cache.__del__ at 0x7f00>\nTraceback (most recent call last):\n  File \"/opt/ml/code/cache.py\", line 9, in __del__\n    self.flush()\nOSError: the cache is closed\nthe plan names 3 stages, found 2\n";
    assert_eq!(
        recorded(Ending::Exited(1), stderr),
        "the plan names 3 stages, found 2\nexit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn a_time_out_of_faulthandler_tells_where_the_main_thread_was() {
    let stderr = "Timeout (0:10:00)!\nThread 0x00007f11 (most recent call first):\n  File \"/usr/lib/python3.11/threading.py\", line 320 in wait\n\nThread 0x00007f22 (most recent call first):\n  File \"/usr/lib/python3.11/socket.py\", line 706 in readinto\n  File \"/opt/ml/code/feed.py\", line 31 in next_batch\n  File \"/opt/ml/code/train.py\", line 8 in <module>\n";
    assert_eq!(
        recorded(Ending::Exited(1), stderr),
        "Timeout (0:10:00)!\nat feed.py:31 in next_batch\nexit code 1\ncommand: python3 train.py"
    );
    // The script continued after the report.
    let later = stderr.to_owned() + "step 9\nthe learning rate is 0\n";
    assert!(recorded(Ending::Exited(1), &later).starts_with("the learning rate is 0\n"));
}

#[test]
fn the_message_of_a_key_error_has_one_line() {
    let text = script(
        "import sys, traceback\ntry:\n    {}['label']\nexcept KeyError:\n    traceback.print_exc()\nprint('no shard could be read', file=sys.stderr)\nsys.exit(2)\n",
    );
    assert_eq!(
        text,
        "KeyError: 'label'\nat train.py:3\nlast line: no shard could be read\nexit code 2\ncommand: python3 train.py"
    );
}
