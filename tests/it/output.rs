//! The output of the script: every byte is relayed, on the same stream, in order, for every kind of reader.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use super::job::{Job, eventually};
use super::running::{Running, notes, nothing_survives, noting};

/// The log level at which footplate writes nothing of its own.
const QUIET: &str = r#"{"sagemaker_container_log_level": 60}"#;

/// Returns a pipe: the read end for the test, the write end for footplate.
fn pipe() -> (File, OwnedFd) {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    (read.into(), write)
}

/// Runs the job with this standard output.
fn with_stdout(job: &Job, stdout: impl Into<Stdio>) -> Running {
    Running::with_stdout(job, job.command(["train"]), stdout.into())
}

#[test]
fn binary_output_of_both_streams_is_relayed_byte_for_byte() {
    const SIZE: usize = 25 << 20;
    let mut random = vec![0; 2 * SIZE];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).expect("random bytes");
    // Random bytes contain NUL, `\r` and invalid UTF-8. Added here: many empty lines in a row, and a line of megabytes.
    random[1000..5000].fill(b'\n');
    random[100_000..3_000_000].fill(b'x');
    let script = "import os, random, threading\n\
                  def copy(name, fd):\n    \
                  data = open(name, 'rb').read()\n    \
                  at = 0\n    \
                  while at < len(data):\n        \
                  at += os.write(fd, data[at:at + random.choice((1, 7, 4096, 65537, 1 << 20))])\n\
                  threads = [threading.Thread(target=copy, args=it) for it in (('out', 1), ('err', 2))]\n\
                  for thread in threads: thread.start()\n\
                  for thread in threads: thread.join()";
    let (out, err) = random.split_at(SIZE);
    let job = Job::python(script).hyperparameters(QUIET).file("code/out", out).file("code/err", err);
    let running = Running::start(&job, ["train"]);
    let streams = running.end_with_streams(&job);
    // assert_eq! would print the bytes.
    assert!(streams[0] == out, "standard output: {} bytes", streams[0].len());
    assert!(streams[1] == err, "standard error: {} bytes", streams[1].len());
}

#[test]
fn output_written_right_before_the_end_is_not_lost() {
    for ending in ["os._exit(0)", "os.kill(os.getpid(), 9)"] {
        let script = format!(
            "import fcntl, os\nfcntl.fcntl(1, 1031, 1 << 20)\ndata = b'0123456789abcde\\n' * (1 << 16)\n\
             assert os.write(1, data) == len(data)\n{ending}"
        );
        let ended = Job::python(&script).train();
        assert!(ended.stdout == b"0123456789abcde\n".repeat(1 << 16), "{} bytes", ended.stdout.len());
    }
}

#[test]
fn whole_lines_are_written_in_one_piece() {
    // The script writes each line in two parts, the second after footplate has read the first.
    let script = "import fcntl, os, struct, termios\n\
                  def taken():\n    \
                  return struct.unpack('i', fcntl.ioctl(1, termios.FIONREAD, b'1234'))[0] == 0\n\
                  for n in range(200):\n    \
                  os.write(1, b'line %d begins ' % n)\n    \
                  while not taken(): pass\n    \
                  os.write(1, b'and ends\\n')";
    let job = Job::python(script);
    // A pipe in packet mode: one read returns what one write wrote.
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_DIRECT).expect("a pipe");
    let running = with_stdout(&job, write);
    let mut read = File::from(read);
    let mut buffer = vec![0; 1 << 16];
    let mut writes = Vec::new();
    while let length @ 1.. = read.read(&mut buffer).expect("read") {
        writes.push(String::from_utf8(buffer[..length].to_vec()).expect("text"));
    }
    running.end(&job).succeeded();
    let expected: String = (0..200).map(|n| format!("line {n} begins and ends\n")).collect();
    assert_eq!(writes.concat(), expected);
    // If the machine delays the script in the middle of a line for longer than footplate waits, that line comes in parts.
    let parts = writes.iter().filter(|text| !text.ends_with('\n')).count();
    assert!(parts < 20, "{parts} of {} writes ended within a line", writes.len());
}

#[test]
fn a_prompt_without_a_line_end_is_shown_while_the_script_waits() {
    for settings in ["{}", r#"{"footplate_progress_interval": 5}"#] {
        let job =
            noting("import sys\nfrom notes import wait_for\nsys.stdout.write('Go on? ')\nwait_for('go')\nprint('yes')");
        let job = job.hyperparameters(settings);
        let running = Running::start(&job, ["train"]);
        eventually("the prompt", || (running.stdout() == b"Go on? ").then_some(()));
        running.tell("go");
        assert_eq!(running.end(&job).succeeded().stdout(), "Go on? yes\n");
    }
}

#[test]
fn a_line_of_a_gigabyte_takes_little_memory() {
    const SIZE: u64 = 1 << 30;
    for settings in ["{}", r#"{"footplate_progress_interval": 5, "footplate_log_prefix": "on"}"#] {
        let script = "import os\nfrom notes import note, wait_for\n\
                      block = b'x' * (1 << 20)\n\
                      for _ in range(1 << 10):\n    \
                      at = 0\n    \
                      while at < len(block): at += os.write(1, block[at:])\n\
                      note('written')\nwait_for('end')";
        let job = noting(script).hyperparameters(settings);
        let (mut read, write) = pipe();
        let running = with_stdout(&job, write);
        let counter = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            let mut count = 0;
            while let Ok(length @ 1..) = read.read(&mut buffer) {
                count += memchr::memchr_iter(b'x', &buffer[..length]).count() as u64;
            }
            count
        });
        running.noted("written", 1);
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("the status");
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).expect("its line");
            line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
        };
        // The kernel decides how much of the program's own file it maps.
        let peak = kilobytes("VmHWM:") - kilobytes("RssFile:");
        running.tell("end");
        running.end(&job).succeeded();
        assert_eq!(counter.join().expect("counted"), SIZE);
        assert!(peak < 16 << 10, "{peak} kB\n{status}");
    }
}

#[test]
fn a_reader_that_is_gone_ends_neither_the_script_nor_the_other_stream() {
    let script = "import os, sys\nfrom notes import note\n\
                  for n in range(20000): os.write(1, b'a line of standard output\\n')\n\
                  print('an error', file=sys.stderr)\nnote('the end')";
    let job = noting(script);
    let (read, write) = pipe();
    drop(read);
    let ended = with_stdout(&job, write).end(&job).succeeded();
    assert_eq!(notes(job.base()), ["the end"]);
    assert!(ended.stderr.contains("an error\n"), "{ended:#?}");
    let said = "standard output cannot be written to (Broken pipe): what the script writes there is read and dropped";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{ended:#?}");
}

#[test]
fn output_to_a_full_disk_does_not_end_the_script() {
    let job = Job::python("import sys\nfor n in range(20000): print('a line')\nprint('an error', file=sys.stderr)");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("the full device");
    let ended = with_stdout(&job, full).end(&job).succeeded();
    assert!(ended.stderr.contains("an error\n"), "{ended:#?}");
    assert_eq!(ended.stderr.matches("standard output cannot be written to (No space left").count(), 1, "{ended:#?}");
}

#[test]
fn a_slow_reader_loses_nothing() {
    let script = "for n in range(400000): print(n)";
    let job = Job::python(script);
    let (mut read, write) = pipe();
    let running = with_stdout(&job, write);
    // Reads less at a time than the script writes, and only after the script is blocked.
    let stat = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid())).unwrap_or_default();
    let blocked = || {
        let script = stat();
        let stat = fs::read_to_string(format!("/proc/{}/wchan", script.trim())).unwrap_or_default();
        stat.contains("pipe_write").then_some(())
    };
    eventually("a script that waits for the reader", blocked);
    let mut output = Vec::new();
    let mut buffer = [0; 700];
    while let Ok(length @ 1..) = read.read(&mut buffer) {
        output.extend_from_slice(&buffer[..length]);
        std::thread::yield_now();
    }
    running.end(&job).succeeded();
    let expected: String = (0..400_000).map(|n| format!("{n}\n")).collect();
    assert!(output == expected.as_bytes(), "{} bytes", output.len());
}

/// The upper bound for the end of a job whose reader reads nothing; footplate waits 10 s for such a reader.
const BOUND: Duration = Duration::from_secs(40);

#[test]
fn a_reader_that_never_reads_delays_the_end_by_a_bounded_time() {
    let job = Job::python("import os\nos.write(1, b'x' * 300000)");
    let (read, write) = pipe();
    let ended = with_stdout(&job, write).end(&job);
    drop(read);
    assert!(ended.code() == 0 && ended.success, "{ended:#?}");
    assert!(ended.duration >= Duration::from_secs(10), "a slow reader is given time: {ended:#?}");
    assert!(ended.duration < BOUND, "{ended:#?}");
    nothing_survives(&job);
}

#[test]
fn a_script_that_waits_for_a_reader_that_never_reads_can_be_stopped() {
    let job = noting("import os\nfrom notes import note\nnote('writing')\nos.write(1, b'x' * (8 << 20))");
    let (read, write) = pipe();
    let running = with_stdout(&job, write);
    running.noted("writing", 1);
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job).failed(143, "killed by SIGTERM (signal 15)");
    drop(read);
    assert!(ended.duration < BOUND, "{ended:#?}");
    nothing_survives(&job);
}

/// Returns a pipe that takes nothing more.
fn full_pipe() -> (File, OwnedFd) {
    let (read, write) = pipe();
    let flags = OFlag::from_bits_truncate(fcntl(&write, FcntlArg::F_GETFL).expect("flags"));
    fcntl(&write, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("set");
    while nix::unistd::write(&write, &[b'.'; 512]).is_ok() {}
    fcntl(&write, FcntlArg::F_SETFL(flags)).expect("set");
    (read, write)
}

#[test]
fn a_reader_that_takes_nothing_costs_neither_the_exception_nor_the_end() {
    let script = "import sys\nfor n in range(9000): sys.stdout.write('x' * 93 + '%06d\\n' % n)\n\
                  sys.stdout.flush()\nraise ValueError('bad row 3')";
    let job = Job::python(script);
    let (mut read, write) = pipe();
    // Both streams lead to one reader, as the platform has it.
    let mut command = job.command(["train"]);
    command.stderr(write.try_clone().expect("cloned"));
    let running = Running::with_streams(&job, command, write.into());
    eventually("the failure file", || job.read("output/failure"));
    let mut output = String::new();
    read.read_to_string(&mut output).expect("text");
    running.end(&job).failed(1, "ValueError: bad row 3\nat train.py:4");
    let lines: Vec<&str> = output.lines().filter(|line| line.starts_with('x')).collect();
    assert!(lines.len() == 9000 && lines.iter().all(|line| line.len() == 99), "{} lines", lines.len());
    assert!(output.contains("\nValueError: bad row 3\n") && output.ends_with("ValueError: bad row 3\n"), "the end");
}

#[test]
fn a_reader_that_takes_nothing_of_one_stream_does_not_hold_the_other() {
    let script = "import sys\nfrom notes import wait_for\nfor n in range(9000): sys.stdout.write('x' * 99 + '\\n')\n\
                  sys.stdout.flush()\nprint('seen', file=sys.stderr)\nwait_for('end')";
    let job = noting(script);
    let (mut read, write) = pipe();
    let running = with_stdout(&job, write);
    running.says("seen\n");
    running.tell("end");
    let mut output = Vec::new();
    read.read_to_end(&mut output).expect("read");
    running.end(&job).succeeded();
    assert_eq!(output.len(), 900_000);
}

#[test]
fn a_stop_is_heard_although_standard_error_takes_nothing_from_the_start() {
    let script = "import signal\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, lambda *_: (note('saved'), exit(3)))\nnote('ready')\nwait_for('nothing')";
    let job = noting(script);
    let (mut read, write) = full_pipe();
    let mut command = job.command(["train"]);
    command.stderr(write);
    let running = Running::with_streams(&job, command, Stdio::piped());
    running.noted("ready", 1);
    running.signal(Signal::SIGTERM);
    running.noted("saved", 1);
    eventually("the failure file", || job.read("output/failure"));
    let mut said = String::new();
    read.read_to_string(&mut said).expect("text");
    running.end(&job).failed(3, "exit code 3");
    assert!(said.contains("SIGTERM: passed on to 1 process "), "{said}");
}

#[test]
fn lines_of_both_streams_do_not_mix_in_one_pipe() {
    const LINES: usize = 100_000;
    // Each write consists of whole lines and is small enough for the kernel to keep it in one piece. footplate reads across
    // writes.
    let script = format!(
        "import os, threading\n\
         def write(fd, name):\n    \
         for n in range(0, {LINES}, 50):\n        \
         os.write(fd, b''.join(b'%s %d of some length\\n' % (name, n + i) for i in range(50)))\n\
         threads = [threading.Thread(target=write, args=it) for it in ((1, b'out'), (2, b'err'))]\n\
         for thread in threads: thread.start()\n\
         for thread in threads: thread.join()"
    );
    let job = Job::python(&script).hyperparameters(QUIET);
    let (mut read, write) = pipe();
    let mut command = job.command(["train"]);
    command.stderr(write.try_clone().expect("cloned"));
    let running = Running::with_streams(&job, command, write.into());
    let mut output = String::new();
    read.read_to_string(&mut output).expect("text");
    running.end(&job).succeeded();
    let mut next = [0, 0];
    for line in output.lines() {
        let stream = usize::from(line.starts_with("err"));
        assert_eq!(line, format!("{} {} of some length", ["out", "err"][stream], next[stream]));
        next[stream] += 1;
    }
    assert_eq!(next, [LINES, LINES]);
}

#[test]
fn progress_bars_are_relayed_unchanged_unless_an_interval_is_set() {
    let script = "import sys, time\n\
                  begun = time.monotonic()\n\
                  n = 0\n\
                  while time.monotonic() - begun < 1.2:\n    \
                  n += 1\n    \
                  sys.stderr.write(f'\\r{n} it [{time.monotonic() - begun:.1f} s]')\n    \
                  sys.stderr.flush()\n    \
                  time.sleep(0.01)\n\
                  sys.stderr.write('\\n')\nprint(n)";
    let bar = |job: Job| -> (usize, String) {
        let job = job.hyperparameters(QUIET);
        let ended = job.train().succeeded();
        (ended.stdout().trim().parse().expect("a number"), ended.stderr)
    };
    let (count, shown) = bar(Job::python(script));
    assert_eq!(shown.matches('\r').count(), count);
    assert!(shown.starts_with("\r1 it [") && shown.ends_with(" s]\n"), "{shown}");

    let (count, shown) = bar(Job::python(script).variable("FOOTPLATE_PROGRESS_INTERVAL", "0.5"));
    let lines: Vec<&str> = shown.lines().collect();
    assert!(!shown.contains('\r') && lines[0].starts_with("1 it ["), "{shown}");
    assert!((3..=5).contains(&lines.len()), "{shown}");
    assert!(lines.last().is_some_and(|line| line.starts_with(&format!("{count} it ["))), "the last state: {shown}");
}

#[test]
fn lines_have_a_prefix_if_the_setting_asks_for_it() {
    let job = Job::python("import sys\nprint('one\\ntwo')\nprint('three', file=sys.stderr)").hyperparameters(QUIET);
    let job = job.variable("FOOTPLATE_LOG_PREFIX", "on");
    let ended = job.train().succeeded();
    assert_eq!(
        (ended.stdout().as_str(), ended.stderr.as_str()),
        ("[algo-1:0] one\n[algo-1:0] two\n", "[algo-1:0] three\n")
    );
}

#[test]
fn python_writes_unbuffered_unless_the_user_sets_the_variable() {
    let script = "import os\nfrom notes import note\nnote(os.environ['PYTHONUNBUFFERED'])";
    let job = noting(script);
    job.train().succeeded();
    assert_eq!(notes(job.base()), ["1"]);
    for given in ["", "0"] {
        let job = noting(script).variable("PYTHONUNBUFFERED", given);
        job.train().succeeded();
        assert_eq!(notes(job.base()), [given]);
    }
}

#[test]
fn messages_of_footplate_go_to_standard_error_only() {
    let job = Job::python("import sys\nprint('mine')\nsys.exit(3)")
        .hyperparameters(r#"{"sagemaker_container_log_level": 10}"#);
    let ended = job.train().failed(3, "");
    assert_eq!(ended.stdout(), "mine\n");
    assert!(
        ended.stderr.lines().count() > 3 && ended.stderr.lines().all(|line| line.contains("Z footplate ")),
        "{ended:#?}"
    );
}

#[test]
fn the_script_gets_standard_input() {
    let job = Job::python("import sys\nprint(sys.stdin.read().upper())");
    let (read, write) = pipe();
    let mut command = job.command(["train"]);
    command.stdin(read);
    let running = Running::of(&job, command);
    File::from(write).write_all(b"given").expect("written");
    assert_eq!(running.end(&job).succeeded().stdout(), "GIVEN\n");
}
