//! Failures of real Python scripts, run by the machine's `python3`.

use super::{Code, evidence, script, text};
use crate::failure::cause;
use crate::process::Ending;

#[test]
fn x() {
    let show = |name: &str, source: &str| println!("---- {name}\n{}", script(source));
    let code = Code::new(&[
        ("train.py", "import data.load\n\ndef main():\n    data.load.load('x.csv')\n\nmain()\n"),
        ("data/__init__.py", ""),
        (
            "data/load.py",
            "import json\n\ndef load(path):\n    parse(path)\n\ndef parse(path):\n    raise ValueError(f'bad data in {path} line 3')\n",
        ),
    ]);
    println!("{}", code.text(&code.run("python3", &["train.py"])));
    println!("{}", code.text(&code.run("python3", &[code.path().join("train.py").to_str().unwrap()])));
    show("lib", "import json\n\njson.loads('{')\n");
    show("key", "def get(d):\n    return d['loss']\n\nget({})\n");
    show("from", "try:\n    {}['x']\nexcept KeyError as error:\n    raise RuntimeError('no x') from error\n");
    show("context", "try:\n    {}['x']\nexcept KeyError:\n    int('a')\n");
    show(
        "three",
        "try:\n    try:\n        open('/no/file')\n    except OSError as e:\n        raise KeyError('b') from e\nexcept KeyError:\n    raise RuntimeError('c')\n",
    );
    show("nomsg", "raise RuntimeError\n");
    show("nested cls", "def f():\n    class MyError(Exception): pass\n    raise MyError('x')\nf()\n");
    show("newlines", "raise ValueError('first line\\n\\tsecond   line\\nthird')\n");
    show("newline first", "raise ValueError('\\nfirst line')\n");
    show("notes", "e = ValueError('bad')\ne.add_note('row 7')\nraise e\n");
    show(
        "group",
        "def a():\n    raise ValueError('one')\nerrors = []\nfor f in [a, lambda: int('x')]:\n    try:\n        f()\n    except Exception as e:\n        errors.append(e)\nraise ExceptionGroup('two jobs failed', errors)\n",
    );
    show(
        "taskgroup",
        "import asyncio\n\nasync def work():\n    raise ValueError('bad')\n\nasync def main():\n    async with asyncio.TaskGroup() as group:\n        group.create_task(work())\n\nasyncio.run(main())\n",
    );
    show(
        "group in chain",
        "try:\n    raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError('k')])])\nexcept ExceptionGroup as e:\n    raise RuntimeError('end') from e\n",
    );
    show("syntax", "def f():\n    x = (1,\n    y = 2\n");
    show("indent", "def f():\nreturn 1\n");
    let code = Code::new(&[("train.py", "import model\n"), ("model.py", "class Net\n    pass\n")]);
    println!("---- imported syntax\n{}", code.text(&code.run("python3", &["train.py"])));
    show("import", "import sklearn_is_not_here.metrics\n");
    show(
        "argparse",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float)\nparser.parse_args(['--lr', '1', '--foo'])\n",
    );
    show("sysexit", "import sys\nprint('starting')\nsys.exit('please pass --data')\n");
    show("sysexit3", "import sys\nprint('epoch 1 loss 0.3')\nsys.exit(3)\n");
    show("exit3 silent", "import os\nos._exit(3)\n");
    show("warn exit3", "import warnings, sys\nwarnings.warn('this is an error-prone thing')\nsys.exit(3)\n");
    show("logged exit0", "import logging\ntry:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed')\n");
    show(
        "logged kill",
        "import logging, os, signal\ntry:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed to read x')\nos.kill(os.getpid(), signal.SIGKILL)\n",
    );
    show(
        "logged 137",
        "import logging, sys\ntry:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed to read x')\nsys.exit(137)\n",
    );
    show(
        "logged exit1",
        "import logging, sys\ntry:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed to read x')\nsys.exit(1)\n",
    );
    show(
        "logged long ago",
        "import logging, sys\ntry:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed to read x')\nfor n in range(50):\n    logging.warning('step %d', n)\nsys.exit('no improvement')\n",
    );
    show(
        "toolkit sample",
        "import sys, traceback\ntry:\n    {}['x']\nexcept Exception as e:\n    print('Exception during training: ' + str(e) + '\\n' + traceback.format_exc(), file=sys.stderr)\n    sys.exit(255)\n",
    );
    show(
        "thread only",
        "import threading, sys\ndef work():\n    raise ValueError('in thread')\nt = threading.Thread(target=work, name='loader')\nt.start()\nt.join()\nsys.exit(4)\n",
    );
    show(
        "thread then main",
        "import threading\ndef work():\n    raise ValueError('in thread')\nt = threading.Thread(target=work)\nt.start()\nt.join()\nraise RuntimeError('in main')\n",
    );
    show(
        "main then thread",
        "import threading, time\ndef work():\n    time.sleep(0.2)\n    raise ValueError('in thread')\nthreading.Thread(target=work).start()\nraise RuntimeError('in main')\n",
    );
    show(
        "del",
        "class A:\n    def __del__(self):\n        raise ValueError('in del')\na = A()\nraise RuntimeError('in main')\n",
    );
    show(
        "atexit",
        "import atexit\ndef bye():\n    print('cleaning up', flush=True)\n    raise ValueError('in bye')\natexit.register(bye)\nraise RuntimeError('in main')\n",
    );
    show(
        "pool",
        "import multiprocessing\ndef work(n):\n    raise ValueError(f'bad {n}')\nif __name__ == '__main__':\n    with multiprocessing.Pool(1) as pool:\n        pool.map(work, [1])\n",
    );
    show(
        "executor",
        "import concurrent.futures as c\ndef work(n):\n    raise ValueError(f'bad {n}')\nif __name__ == '__main__':\n    with c.ProcessPoolExecutor(1) as pool:\n        list(pool.map(work, [1]))\n",
    );
    show(
        "process",
        "import multiprocessing, sys\ndef work():\n    raise ValueError('bad')\nif __name__ == '__main__':\n    p = multiprocessing.Process(target=work)\n    p.start()\n    p.join()\n    sys.exit(p.exitcode)\n",
    );
    show("called", "import subprocess\nsubprocess.run(['ls', '/does/not/exist'], check=True)\n");
    show(
        "called py",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'raise ValueError(3)'], check=True)\n",
    );
    show("recursion", "def f(n):\n    return f(n + 1)\nf(0)\n");
    show(
        "kbd",
        "import os, signal, time\ndef wait():\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(5)\nwait()\n",
    );
    show("unicode", "def größe():\n    raise ValueError('Größe 日本語 🚂')\ngröße()\n");
    show("long", "def load():\n    raise ValueError('begin ' + 'x' * 5000 + ' end')\nload()\n");
    show(
        "segv",
        "import ctypes, faulthandler\nfaulthandler.enable()\ndef crash():\n    ctypes.string_at(0)\ncrash()\n",
    );
    show("segv blind", "import ctypes\nctypes.string_at(0)\n");
    show("abort", "import os\nos.abort()\n");
    show(
        "progress",
        "import sys\nfor n in range(3):\n    sys.stderr.write(f'\\r {n}%|##   | {n}/10 [00:00<00:01, 9.9it/s]')\nraise ValueError('bad')\n",
    );
    show(
        "progress exit",
        "import sys\nfor n in range(3):\n    sys.stderr.write(f'\\r {n}%|##   | {n}/10 [00:00<00:01, 9.9it/s]')\nsys.exit('no data')\n",
    );
    show(
        "stdout",
        "import sys, traceback\ntry:\n    {}['x']\nexcept KeyError:\n    traceback.print_exc(file=sys.stdout)\n    sys.exit(1)\n",
    );
    show(
        "after",
        "import atexit, sys\natexit.register(lambda: print('wandb: run synced', file=sys.stderr))\natexit.register(lambda: print('INFO:root:bye', file=sys.stderr))\nraise ValueError('bad')\n",
    );
    show("memerr", "x = bytearray(1 << 60)\n");
    show("exit -9", "import sys\nsys.exit(-9)\n");
    let code = Code::new(&[("train.py", "")]);
    println!("---- no file\n{}", code.text(&code.run("python3", &["main.py"])));
    println!("---- -m\n{}", code.text(&code.run("python3", &["-m", "nothing.here"])));
    println!("---- -c\n{}", code.text(&code.run("python3", &["-c", "1/0"])));
    let _ = (evidence, text, cause, Ending::Exited(1));
}
