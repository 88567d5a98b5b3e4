//! The times for which the supervisor waits, and the intervals of its checks.

use std::time::Duration;

/// The times that come from the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The time between a stop signal and the kill.
    pub grace_period: Duration,
    /// The time between the signal that tells processes to end after a failure and the kill. At most the grace
    /// period.
    pub failure_grace: Duration,
    /// The time between that signal and the kill if a service of this host has failed. At most [`Timing::failure_grace`].
    pub unserved_grace: Duration,
    /// The time for which processes that a program leaves behind may continue.
    pub drain_time: Duration,
    /// The time that a service may take to become ready.
    pub service_time: Duration,
}

/// The time for which the reader of standard output may take nothing before the rest of the output is abandoned.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The time for which the reader may take nothing once the output was abandoned.
pub(super) const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// The time after which an unhandled stop signal ends the job all the same. Normally a signal is handled within
/// microseconds, unless a file system hangs.
pub(super) const HANDLING_TIME: Duration = Duration::from_secs(10);

/// The time for judging a failure or writing its file after a stop signal.
pub(super) const HURRY_TIME: Duration = Duration::from_secs(2);

/// The time after a stop signal during which a slow reader is waited for. The platform kills the container 120 s
/// after the signal.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(117);

/// The time that a killed process may take to end. One that hangs in a driver can take for ever.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The time in which other ranks may abort too, before they are ended.
pub(super) const ABORT_PATIENCE: Duration = Duration::from_millis(700);

/// The time for which launchers may continue when no other process is left here and another host has failed. mpirun
/// can wait for ever for the daemon of a host that is cut off.
pub(super) const LAUNCHER_PATIENCE: Duration = Duration::from_secs(3);

/// The interval of checks for processes other than launchers.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The interval of those checks if keepers report how each rank ended, because nothing else is waited for then.
pub(super) const KEPT_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The interval of checks for ranks that have lost their keepers.
pub(super) const KEEPER_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The time for which a rank may be without its keeper. When mpirun ends its ranks, it kills the keepers and then
/// ends itself.
pub(super) const KEEPER_PATIENCE: Duration = Duration::from_secs(5);

/// The interval of surveys for processes that have begun to handle a stop signal since it was passed on.
pub(super) const SURVEY_INTERVAL: Duration = Duration::from_secs(1);

/// The time after a stop signal in which a forked process should have executed its program.
pub(super) const EXEC_TIME: Duration = Duration::from_millis(100);

/// The time in which processes that read from a pipe may end by themselves when no process writes to it any more.
pub(super) const READER_PATIENCE: Duration = Duration::from_secs(2);

/// The time for which a program has the terminal after the kernel stopped it for using the terminal.
pub(super) const LENDING_TIME: Duration = Duration::from_millis(100);

/// The time that services have to end after SIGTERM, when nothing needs them any more. The last host must be down 3 s
/// after the script.
pub(super) const CLOSE_TIME: Duration = Duration::from_millis(2500);

/// The interval of attempts to lend the terminal while another job has it.
pub(super) const TERMINAL_INTERVAL: Duration = Duration::from_millis(500);
