//! The times that the supervisor gives, waits and looks after.

use std::time::Duration;

/// The times that the settings give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The time between a stop signal and the kill.
    pub grace_period: Duration,
    /// The time between the signal that ends processes after a failure and the kill. At most the grace period.
    pub failure_grace: Duration,
    /// The time that processes which a program leaves behind may run on.
    pub drain_time: Duration,
    /// The time that a service may take to become ready.
    pub service_time: Duration,
}

/// The time that the reader of standard output may take nothing before the rest of the output is given up.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The time that the reader may take nothing once it was given up.
pub(super) const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// The time after which a stop signal that was not heard ends the job all the same. It is heard within microseconds, unless a
/// file system hangs.
pub(super) const HEARING_TIME: Duration = Duration::from_secs(10);

/// The time that the end of the job may still take after a stop signal, for judging a failure or for writing its file.
pub(super) const HURRY_TIME: Duration = Duration::from_secs(2);

/// The time after a stop signal in which a slow reader is waited for. The platform kills the container 120 s after the signal.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(117);

/// The time that a killed process may take to end. One that hangs in a driver can take for ever.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The time in which other ranks may abort, too, before they are ended.
pub(super) const ABORT_PATIENCE: Duration = Duration::from_millis(700);

/// The time that launchers may go on when no other process is left here and another host has failed: mpirun can wait for
/// ever for the daemon of a host that is cut off.
pub(super) const LAUNCHER_PATIENCE: Duration = Duration::from_secs(3);

/// The interval of looks for processes other than launchers.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The interval of those looks if keepers tell how each rank ended: then nothing else is waited for.
pub(super) const KEPT_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The interval of looks for ranks that have lost their keepers.
pub(super) const KEEPER_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The time that a rank may be without its keeper: mpirun that ends its ranks kills the keepers, and then ends itself.
pub(super) const KEEPER_PATIENCE: Duration = Duration::from_secs(5);

/// The interval of looks for processes that have come to handle a stop signal since it was passed on.
pub(super) const SURVEY_INTERVAL: Duration = Duration::from_secs(1);

/// The time that processes which read from a pipe may take to end by themselves, when nobody is left who writes.
pub(super) const READER_PATIENCE: Duration = Duration::from_secs(2);

/// The time for which a program has the terminal after the kernel stopped it for using that.
pub(super) const LENDING_TIME: Duration = Duration::from_millis(100);

/// The time that services have to end after SIGTERM, when nothing needs them any more. The last host is to be down 3 s after
/// the script.
pub(super) const CLOSE_TIME: Duration = Duration::from_millis(2500);

/// The interval of attempts to lend the terminal while another job has it.
pub(super) const TERMINAL_INTERVAL: Duration = Duration::from_millis(500);
