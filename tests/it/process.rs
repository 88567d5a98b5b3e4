//! The start of the script, and its end as an exit code and a failure text.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::job::{FOOTPLATE, Job, search_path, wait_with_output};
use super::running::{notes, noting};

/// Runs `check` for each of `numbers`, a few at a time.
fn for_each(numbers: &[i32], check: impl Fn(i32) + Sync) {
    std::thread::scope(|scope| {
        for part in numbers.chunks(numbers.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(|number| check(*number)));
        }
    });
}

#[test]
fn the_script_has_a_process_group_of_its_own() {
    let job = noting(
        "import os; from notes import note\n\
         note([os.getpgrp() == os.getpid(), os.getpgid(os.getppid()) == os.getpgrp(), os.getsid(0) == os.getsid(os.getppid())])",
    );
    job.train().succeeded();
    assert_eq!(notes(job.base()), ["[True, False, True]"]);
}

#[test]
fn every_exit_code_is_passed_on() {
    for_each(&(0..256).collect::<Vec<_>>(), |code| {
        let job = Job::new();
        let ended = job.run(["exec", "--", "sh", "-c", &format!("exit {code}")]);
        match code {
            0 => drop(ended.succeeded()),
            _ => assert!(ended.failed(code, "").failure().contains(&format!("exit code {code}")), "{code}"),
        }
    });
}

#[test]
fn death_by_a_signal_is_128_plus_its_number() {
    let stops = [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
    let harmless = [Signal::SIGCHLD, Signal::SIGCONT, Signal::SIGURG, Signal::SIGWINCH];
    let spared: Vec<i32> = stops.into_iter().chain(harmless).map(|signal| signal as i32).collect();
    // The C library keeps 32 and 33 for itself.
    let deadly: Vec<i32> = (1..=64).filter(|number| !spared.contains(number) && ![32, 33].contains(number)).collect();
    assert_eq!(deadly.len(), 54);
    for_each(&deadly, |number| {
        let job = Job::new();
        let ended = job.run(["exec", "--", "python3", "-Sc", &format!("import os; os.kill(os.getpid(), {number})")]);
        let in_words = match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal} (signal {number})"),
            Err(_) => format!("killed by signal {number}"),
        };
        match Signal::try_from(number) {
            // Python raises KeyboardInterrupt, and then dies of the signal as other programs do.
            Ok(Signal::SIGINT) => drop(ended.failed(130, "KeyboardInterrupt")),
            // Python ignores these.
            Ok(Signal::SIGPIPE | Signal::SIGXFSZ) => drop(ended.succeeded()),
            _ => drop(ended.failed(128 + number, &in_words)),
        }
    });
}

#[test]
fn a_shell_script_dies_of_signals_that_python_ignores() {
    for (number, name) in [(13, "SIGPIPE"), (25, "SIGXFSZ")] {
        let job = Job::shell(&format!("kill -{number} $$\n"));
        job.train().failed(128 + number, &format!("killed by {name} (signal {number})"));
    }
}

#[test]
fn a_missing_program_is_127_and_one_that_cannot_be_executed_is_126() {
    let job = Job::new();
    job.run(["exec", "--", "no-such-program"]).failed(127, "no-such-program: not found on PATH");
    let job = Job::new();
    job.run(["exec", "--", "/no/such/program"]).failed(127, "/no/such/program: not found");
    let job = Job::new().file("tool", "#!/bin/sh\n");
    let path = job.path("tool").display().to_string();
    let ended = job.run(["exec", "--", &path]).failed(126, &path);
    assert!(ended.failure().contains("may not be executed by this user (chmod +x it)"), "{ended:#?}");
    let job = Job::new();
    job.run(["exec", "--", "/tmp"]).failed(126, "/tmp: is a folder");

    let program = |content: &str| {
        let job = Job::new().file("code/tool", content).variable("SAGEMAKER_PROGRAM", "tool");
        std::fs::set_permissions(job.path("code/tool"), PermissionsExt::from_mode(0o755)).expect("made executable");
        job
    };
    let ended = program("#!/no/such/interpreter\n").train().failed(127, "cannot execute ");
    assert!(ended.failure().contains("the interpreter or loader that it names is not in this image"), "{ended:#?}");
    let ended = program("\x7fELF, but no more of it\n").train().failed(126, "cannot execute ");
    assert!(ended.failure().contains("it is neither a program for this machine"), "{ended:#?}");
    Job::new().variable("SAGEMAKER_PROGRAM", "missing.py").train().failed(127, "");
}

/// Returns a command that starts a program after `setup`, Python statements, has changed the state that the program
/// inherits.
fn in_state(setup: &str, words: &[&str]) -> Command {
    let program = format!(
        "import os, resource, sys\n\
         from signal import *\n\
         signal(SIGPIPE, SIG_DFL); signal(SIGXFSZ, SIG_DFL); signal(SIGINT, SIG_DFL)\n\
         {setup}\n\
         os.execv(sys.argv[1], sys.argv[1:])"
    );
    let mut command = Command::new("python3");
    command.args(["-Sc", &program]).args(words).env("PATH", search_path()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

const STATES: [(&str, &str); 9] = [
    ("nothing special", ""),
    ("Python's own", "signal(SIGPIPE, SIG_IGN); signal(SIGXFSZ, SIG_IGN)"),
    ("ignored", "for n in (SIGINT, SIGHUP, SIGPIPE, SIGQUIT): signal(n, SIG_IGN)"),
    ("ignored, and footplate needs them", "for n in (SIGCHLD, SIGTERM, SIGRTMIN + 3): signal(n, SIG_IGN)"),
    ("blocked", "pthread_sigmask(SIG_BLOCK, [SIGUSR1, SIGINT, SIGRTMIN + 5, SIGRTMAX])"),
    ("blocked, and footplate needs them", "pthread_sigmask(SIG_BLOCK, [SIGCHLD, SIGTERM])"),
    ("all of it", "pthread_sigmask(SIG_BLOCK, range(1, 65)); signal(SIGHUP, SIG_IGN)"),
    (
        "limits",
        "os.umask(0o027); os.nice(5); resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)); \
         resource.setrlimit(resource.RLIMIT_STACK, (1 << 22, 1 << 23)); resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    ),
    ("descriptors", "fd = os.open('/dev/zero', os.O_RDONLY); os.dup2(fd, 7); os.close(fd)"),
];

#[test]
fn the_program_inherits_everything_that_footplate_inherited() {
    // Only fields that must be equal; process IDs and the like differ.
    let kept = ["Umask", "Sig", "Cap", "NoNewPrivs", "Seccomp", "Groups", "Uid", "Gid", "Max", "Cpus_allowed"];
    let observe = |setup: &str, before: &[&str], program: &[&str]| -> String {
        let words = [before, program].concat();
        let output = wait_with_output(in_state(setup, &words).spawn().expect("python3 starts"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let cat = ["/bin/cat", "/proc/self/status", "/proc/self/limits"];
    for (state, setup) in STATES {
        let job = Job::new();
        let base = format!("os.environ['SAGEMAKER_BASE_DIR'] = '{}'; {setup}", job.base().display());
        let base = if setup.starts_with("for") { base.replace("; for", "\nfor") } else { base };
        let through = [FOOTPLATE, "exec", "--"];
        let lines = |text: String| -> Vec<String> {
            let lines = text.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
            lines.map(str::to_owned).filter(|line| !line.starts_with("SigQ")).collect()
        };
        let (alone, under) = (lines(observe(&base, &[], &cat)), lines(observe(&base, &through, &cat)));
        assert!(alone.len() > 20, "{alone:#?}");
        assert_eq!(alone, under, "{state}");
        for program in [&["/bin/ls", "/proc/self/fd"][..], &["/usr/bin/nice"]] {
            assert_eq!(observe(&base, &[], program), observe(&base, &through, program), "{state}");
        }
    }
}

#[test]
fn the_end_is_seen_if_footplate_starts_with_every_signal_blocked() {
    let job = Job::new();
    // With its streams closed, only SIGCHLD reports the end.
    let script = "exec >&- 2>&-; sleep 0.2; exit 9";
    let setup = format!(
        "os.environ['SAGEMAKER_BASE_DIR'] = '{}'; pthread_sigmask(SIG_BLOCK, range(1, 65))",
        job.base().display()
    );
    let command = in_state(&setup, &[FOOTPLATE, "exec", "--", "sh", "-c", script]).spawn();
    assert_eq!(wait_with_output(command.expect("python3 starts")).status.code(), Some(9));
}
