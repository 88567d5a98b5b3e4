//! Checkpoints: what is found, what is written, what a failure costs, and if a stop was used to save.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::job::Job;
use super::record::record;
use super::running::{Running, with_notes};

/// Returns a job with a checkpoint from before, that runs this Python script.
fn resuming(script: &str) -> Job {
    with_notes(Job::python(&format!("import os\nfrom notes import note, wait_for\n{script}")))
        .file("checkpoints/step-1.pt", "old")
}

#[test]
fn a_failure_says_how_much_work_is_lost_since_the_last_checkpoint() {
    let save = "open(os.environ['SM_CHECKPOINT_DIR'] + '/step-2.pt', 'w').write('12345')\n";
    let job = resuming(&format!("{save}raise ValueError('bad')\n"));
    let ended = job.train().failed(1, "ValueError: bad\n");
    let lost = " of work since checkpoint step-2.pt (5 bytes)\n";
    assert!(ended.failure().contains("\nlost: ") && ended.failure().contains(lost), "{ended:#?}");
    let found = &record(&job)["checkpoints"];
    assert_eq!((&found["found"]["name"], &found["found"]["size"]), (&"step-1.pt".into(), &3.into()));
    assert_eq!((&found["last"]["name"], &found["written"]), (&"step-2.pt".into(), &1.into()));
    assert!(found["last"]["time"].as_f64() >= found["found"]["time"].as_f64(), "{found}");

    let job = resuming("raise ValueError('bad')\n");
    let ended = job.train().failed(1, "ValueError: bad\n");
    let lost = " of this run; checkpoint step-1.pt (3 bytes) is from before it\n";
    assert!(ended.failure().contains("\nlost: all ") && ended.failure().contains(lost), "{ended:#?}");
    assert_eq!(record(&job)["checkpoints"]["last"], Value::Null);
}

#[test]
fn a_stop_says_if_a_checkpoint_was_written_in_the_grace_period() {
    let wait = "note('up')\nwait_for('end')\n";
    let handler = "import signal, sys\ndef save(*_):\n    os.makedirs(os.environ['SM_CHECKPOINT_DIR'] + '/step-2')\n    \
                   open(os.environ['SM_CHECKPOINT_DIR'] + '/step-2/model', 'w').write('12345')\n    sys.exit(0)\n\
                   signal.signal(signal.SIGTERM, save)\n";
    let job = resuming(&format!("{handler}{wait}"));
    let stopped = |job: &Job| {
        let running = Running::start(job, ["train"]);
        running.noted("up", 1);
        running.signal(Signal::SIGTERM);
        let ended = running.end(job);
        (ended.stderr, record(job)["stop"]["checkpoint"].clone())
    };
    let (log, recorded) = stopped(&job);
    assert!(log.contains("checkpoint step-2 (5 bytes) was written "), "{log}");
    assert_eq!((&recorded["name"], &recorded["size"]), (&"step-2".into(), &5.into()));
    let (log, recorded) = stopped(&resuming(wait));
    assert!(log.contains("no checkpoint was written after SIGTERM; the last one, step-1.pt (3 bytes), was "), "{log}");
    assert_eq!(recorded, Value::Null);
}
