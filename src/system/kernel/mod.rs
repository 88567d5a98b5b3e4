//! System calls that neither the standard library nor nix offers in a safe form. Only this folder contains `unsafe`.
//!
//! - [`spawn`] starts a program exactly as if footplate were not there: with the signal mask and the dispositions that footplate
//!   itself was given, in a process group of its own. The standard library's `Command` resets SIGPIPE and the mask instead, and
//!   cannot keep footplate's own handlers from running in the child between fork and exec.
//! - [`wait_any`] and [`send_signal`] support real-time signals, which nix does not.
//! - [`PidFd`] signals and watches a process, and never another process that got its number.
//! - [`gpu_helper`] is a separate program that calls NVIDIA's library.
//! - [`yield_to_others`] lowers the priority of one thread. [`inotify()`] and [`signals()`] create descriptors that a runtime can
//!   wait for.
//! - [`window_size`] asks a terminal.
//!
//! It must not decide anything about a job, and imports nothing of the crate.
#![allow(unsafe_code)]

pub mod gpu_helper;
mod inotify;
mod pidfd;
mod signals;
mod terminal;
mod thread;
mod workers;

pub use inotify::{Queue, inotify};
pub use pidfd::PidFd;
pub use signals::{Signals, signals};
pub use terminal::{WindowSize, window_size};
pub use thread::spawn_thread;
pub use workers::on_worker;

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::unistd::Pid;

/// The highest signal number of Linux.
const MAX_SIGNAL: i32 = 64;

/// True if this process was started with SIGPIPE ignored. Rust's runtime ignores it in every program, so `main` would
/// be too late to find out.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Records the disposition of SIGPIPE. It runs before `main` and before Rust's runtime.
extern "C" fn record_sigpipe() {
    SIGPIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
}

// SAFETY: the section holds pointers to functions without arguments that the C library calls once before `main`;
// `record_sigpipe` uses nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD_SIGPIPE: extern "C" fn() = record_sigpipe;

fn is_ignored(signal: i32) -> bool {
    // SAFETY: `sigaction` is plain data for which zeros are valid; a null new action only reads the present one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Keeps all memory in one arena of the C library. footplate's threads allocate little. Otherwise each of them would
/// map its own arena, which takes longer than the rest of the thread's start.
pub fn use_one_arena() {
    // SAFETY: takes numbers and changes a parameter of the allocator, which is safe at any time. A failure does no harm.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// Makes the kernel send SIGTERM to a program when the thread that starts it ends, even if SIGKILL, which cannot be
/// passed on, has ended it.
pub fn end_with_this_thread(command: &mut Command) {
    let parent = std::process::id();
    let arm = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        // The parent may have ended before the call above.
        if nix::unistd::getppid().as_raw().unsigned_abs() == parent {
            Ok(())
        } else {
            Err(io::Error::from(Errno::ESRCH))
        }
    };
    // SAFETY: the closure calls nothing but system calls, and allocates nothing.
    unsafe { command.pre_exec(arm) };
}

/// Lowers the scheduling priority of the calling thread only.
pub fn yield_to_others() {
    const NICE: i32 = 10;
    // SAFETY: the call takes and returns numbers. On Linux, 0 is the calling thread. A failure does no harm.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Closes all descriptors except standard input, output and error. None of the others may be used any more.
pub fn close_descriptors() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: takes numbers. No value owns these descriptors, because the caller has only inherited them.
    if unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) } != 0 {
        // Linux before 5.9 does not have this call. This program uses few descriptors.
        for fd in 3..256 {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

/// The signal mask and the ignored signals with which this process was started.
#[derive(Clone, Debug)]
pub struct InheritedSignals {
    mask: SigSet,
    ignored: Vec<i32>,
}

impl InheritedSignals {
    /// Reads them from this process. Must be called before any handler is installed and any signal is blocked.
    pub fn of_this_process() -> InheritedSignals {
        let mask = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
        let is_inherited = |signal: &i32| match *signal {
            libc::SIGPIPE => SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed),
            signal => is_ignored(signal),
        };
        InheritedSignals { mask, ignored: (1..=MAX_SIGNAL).filter(is_inherited).collect() }
    }

    /// Returns an empty mask and no ignored signals.
    pub fn nothing() -> InheritedSignals {
        InheritedSignals { mask: SigSet::empty(), ignored: Vec::new() }
    }

    /// Returns true if this process was started with the signal ignored.
    pub fn ignores(&self, signal: Signal) -> bool {
        self.ignored.contains(&(signal as i32))
    }

    /// Returns true if this process was started with the signal blocked.
    pub fn blocks(&self, signal: Signal) -> bool {
        self.mask.contains(signal)
    }
}

/// A program to start with [`spawn`].
#[derive(Debug)]
pub struct Executable<'a> {
    /// The file to execute.
    pub path: &'a CStr,
    /// The program's arguments. The first one is its name.
    pub arguments: &'a [CString],
    /// The program's environment variables, as `name=value`.
    pub variables: &'a [CString],
    /// The program's working directory.
    pub working_dir: &'a CStr,
    /// The program's standard input, output and error.
    pub streams: [BorrowedFd<'a>; 3],
    /// The program's bond to this process.
    pub bond: ParentBond,
}

/// The bond of a started program to the process that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentBond {
    /// An ordinary child, which [`wait_any`] reaps.
    Child,
    /// A child that the kernel kills when the thread that started it ends. The processes that it starts are not
    /// killed.
    MortalChild,
    /// No bond: the program is adopted by the process that adopts orphans above this one.
    Orphan,
}

/// A step of [`spawn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creating the process.
    Fork,
    /// Setting its standard streams.
    Streams,
    /// Entering its working directory.
    WorkingDir,
    /// Executing the file.
    Exec,
}

/// The memory that [`spawn`] shares with the child. It holds the child's orders and, if the child fails, its answer.
struct Launch<'a> {
    program: &'a Executable<'a>,
    arguments: Vec<*const libc::c_char>,
    variables: Vec<*const libc::c_char>,
    inherited: &'a InheritedSignals,
    /// The process that starts the program.
    parent: Pid,
    /// The step that failed in the child, with its `errno`.
    failure: Option<(Step, i32)>,
}

/// The size, in bytes, of the stack on which the child runs until it executes the program. The child makes only
/// system calls.
const CHILD_STACK_SIZE: usize = 16 << 10;

/// Starts a program in a process group of its own. Returns its process number. The number of an orphan is not known,
/// so the one that is returned has no meaning.
///
/// The child shares footplate's memory until it executes the program, as with posix_spawn(3). Copying page tables, as
/// fork(2) does, would take longer than everything else.
///
/// # Errors
/// The step that failed, with its error. In that case no process is left behind.
pub fn spawn(program: &Executable<'_>, inherited: &InheritedSignals) -> Result<Pid, (Step, io::Error)> {
    let before = |error: Errno| (Step::Fork, io::Error::from(error));
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, variables) = (pointers(program.arguments), pointers(program.variables));
    let mut launch = Launch { program, arguments, variables, inherited, parent: Pid::this(), failure: None };
    let is_orphan = program.bond == ParentBond::Orphan;
    // The stacks are not zeroed: a page that is never touched costs nothing.
    let mut stack = Box::<[u128]>::new_uninit_slice(CHILD_STACK_SIZE / size_of::<u128>());
    let mut second_stack = Box::<[u128]>::new_uninit_slice(if is_orphan { stack.len() } else { 0 });
    let mut orphan = Orphan { launch: &raw mut launch, stack: second_stack.as_mut_ptr_range().end.cast() };

    // Every signal is blocked, so that none of footplate's handlers can run in the child before it has reset them.
    let mut own_mask = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut own_mask)).map_err(before)?;
    let (run, argument): (extern "C" fn(*mut libc::c_void) -> libc::c_int, *mut libc::c_void) =
        if is_orphan { (make_orphan, (&raw mut orphan).cast()) } else { (become_program, (&raw mut launch).cast()) };
    // SAFETY: `share` gets a stack that, like `launch` and `orphan`, is alive and untouched until the child has
    // executed the program or ended. The child makes only system calls and allocates nothing, because other threads
    // may hold locks.
    let pid = unsafe { share(run, stack.as_mut_ptr_range().end.cast(), argument) };
    let cloned = Errno::result(pid);
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&own_mask), None);
    let pid = Pid::from_raw(cloned.map_err(before)?);
    if is_orphan || launch.failure.is_some() {
        let _ = nix::sys::wait::waitpid(pid, None);
    }
    match launch.failure {
        None => Ok(pid),
        Some((step, errno)) => Err((step, io::Error::from_raw_os_error(errno))),
    }
}

/// Starts a process that shares this one's memory, and suspends this thread until it has executed a program or ended.
///
/// # Safety
/// `stack` must be the end of memory that is aligned to 16 bytes and as large as `run` needs. It and what `argument` points to
/// must stay untouched until the call returns.
unsafe fn share(
    run: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    stack: *mut libc::c_void,
    argument: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the stack grows down from its end; CLONE_VFORK suspends this thread.
    unsafe { libc::clone(run, stack, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, argument) }
}

/// The memory that [`spawn`] shares with the parent of an orphan.
struct Orphan<'a> {
    launch: *mut Launch<'a>,
    /// The end of the stack for the orphan.
    stack: *mut libc::c_void,
}

/// Starts the program and ends, so that the program becomes an orphan.
extern "C" fn make_orphan(orphan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes its `Orphan`, with a stack that nothing else uses, and waits until this process has
    // ended.
    unsafe {
        let orphan = &*orphan.cast::<Orphan<'_>>();
        if share(become_program, orphan.stack, orphan.launch.cast()) < 0 {
            (*orphan.launch).failure = Some((Step::Fork, Errno::last_raw()));
        }
    }
    0
}

/// Runs the child's part of [`spawn`], with all signals blocked. It returns, which ends the child, only after a failure.
extern "C" fn become_program(launch: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes its `Launch`, which nothing else touches while the child runs.
    let launch = unsafe { &mut *launch.cast::<Launch<'_>>() };
    let step = execute(launch);
    launch.failure = Some((step, Errno::last_raw()));
    // Nothing reads this exit code, because `spawn` reads the failure and reaps the child.
    127
}

/// Prepares this process for the program and executes it. Returns the step that failed.
fn execute(launch: &Launch<'_>) -> Step {
    let Launch { program, arguments, variables, inherited, .. } = launch;
    // SAFETY: each is a system call on values that `spawn` made and keeps; the pointers end in null.
    unsafe {
        libc::setpgid(0, 0);
        if program.bond == ParentBond::MortalChild {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // The parent may have ended before the call above.
            if libc::getppid() != launch.parent.as_raw() {
                Errno::ESRCH.set();
                return Step::Fork;
            }
        }
        for signal in 1..=MAX_SIGNAL {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = if inherited.ignored.contains(&signal) { libc::SIG_IGN } else { libc::SIG_DFL };
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
        // The streams are first copied to descriptors above 2, so that none is overwritten before it is used.
        let mut streams = [0; 3];
        for (stream, given) in streams.iter_mut().zip(&program.streams) {
            *stream = libc::fcntl(given.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3);
            if *stream < 0 {
                return Step::Streams;
            }
        }
        for (target, stream) in (0..).zip(streams) {
            if libc::dup2(stream, target) < 0 {
                return Step::Streams;
            }
        }
        if libc::chdir(program.working_dir.as_ptr()) < 0 {
            return Step::WorkingDir;
        }
        libc::sigprocmask(libc::SIG_SETMASK, inherited.mask.as_ref(), std::ptr::null_mut());
        libc::execve(program.path.as_ptr(), arguments.as_ptr(), variables.as_ptr());
        Step::Exec
    }
}

/// The result of [`wait_any`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitResult {
    /// The child exited with this code.
    Exited(Pid, i32),
    /// This signal killed the child. It may be a real-time signal, for which nix returns an error instead of the child.
    Signaled(Pid, i32),
    /// This signal stopped the child.
    Stopped(Pid, i32),
    /// There are children, but none has ended.
    NoneEnded,
    /// There are no children.
    NoneLeft,
}

/// Reaps one child that has ended, or returns one that was stopped by a signal. Does not block.
pub fn wait_any() -> WaitResult {
    loop {
        let mut status = 0;
        // SAFETY: the pointer points to a local variable.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
        match Errno::result(pid) {
            Ok(0) => return WaitResult::NoneEnded,
            Ok(pid) if libc::WIFEXITED(status) => {
                return WaitResult::Exited(Pid::from_raw(pid), libc::WEXITSTATUS(status));
            }
            Ok(pid) if libc::WIFSIGNALED(status) => {
                return WaitResult::Signaled(Pid::from_raw(pid), libc::WTERMSIG(status));
            }
            Ok(pid) if libc::WIFSTOPPED(status) => {
                return WaitResult::Stopped(Pid::from_raw(pid), libc::WSTOPSIG(status));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return WaitResult::NoneLeft,
        }
    }
}

/// Sends a signal by its number, which may be that of a real-time signal. Nothing happens if the process has ended.
pub fn send_signal(pid: Pid, signal: i32) {
    // SAFETY: the call takes no pointers.
    unsafe { libc::kill(pid.as_raw(), signal) };
}

/// Prevents a process from writing a core file when a signal kills it. Nothing happens if the process has ended or
/// may not be changed.
pub fn forbid_core(pid: Pid) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the new limit is a local variable, and a null pointer means that the old one is not requested.
    unsafe { libc::prlimit(pid.as_raw(), libc::RLIMIT_CORE, &none, std::ptr::null_mut()) };
}
