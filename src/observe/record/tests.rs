use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::file::RecordFile;
use super::state::State;
use super::{JobFacts, PlannedProcess, RunRecord};
use crate::event::{
    Cause, CauseEnding, Ending, Event, EventKind, Events, JobPhase, Moment, Output, Process, StopReason, Stream,
};

fn record(events: &Events, folder: &Path) -> RunRecord {
    let job = JobFacts {
        name: Some("job".into()),
        host: "algo-1".into(),
        hosts: vec!["algo-1".into(), "algo-2".into()],
        hyperparameters: serde_json::json!({"lr": 0.1}),
        ..JobFacts::default()
    };
    RunRecord::subscribe(events, folder.to_owned(), Moment::now(), move || job)
}

fn read(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("run.json")).expect("a record")).expect("JSON")
}

#[test]
fn a_record_tells_what_ran_and_how_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("footplate/algo-1");
    let events = Events::new("algo-1");
    let record = record(&events, &folder);
    let rank = || Process::Rank(3);
    record.plan(
        "per-gpu",
        vec![PlannedProcess { role: "rank", name: "3".into(), rank: Some(3), command: "python3 train.py".into() }],
    );
    events.emit(EventKind::PhaseStarted(JobPhase::Code));
    events.emit(EventKind::PhaseEnded(JobPhase::Code));
    events.emit(EventKind::PhaseStarted(JobPhase::Script));
    events.emit(EventKind::ProcessStarted { process: rank(), pid: 71 });
    let (stream, last_output) = (Stream::Stderr, None);
    events.emit(EventKind::FirstOutput { process: rank(), stream });
    events.emit(EventKind::StreamClosed { process: rank(), stream, lines: 7, bytes: 90, last_output });
    let (ending, duration) = (Ending::Exited(3), Duration::from_secs(1));
    events.emit(EventKind::ProcessEnded { process: rank(), ending, duration, followed: false });
    let output = Some(Arc::new(Output { stderr: b"Traceback\nValueError: bad\n".to_vec(), ..Output::default() }));
    events.emit(EventKind::ProcessFailed { process: rank(), ending, duration, output });
    events.emit(EventKind::Stopping(StopReason::Failure));
    let cause = Cause { rank: Some(3), ..Cause::new("ValueError: bad", CauseEnding::Process(ending)) };
    events.emit(EventKind::JobOver { exit_code: 3, cause: Some(Arc::new(cause)) });
    record.finish();
    let found = read(&folder);
    assert_eq!(found["schema"], "footplate.run/1");
    assert_eq!((&found["status"], &found["exit_code"]), (&"failed".into(), &3.into()));
    let phases: Vec<&Value> = found["phases"].as_array().unwrap().iter().map(|phase| &phase["name"]).collect();
    assert_eq!(phases, ["config", "code", "script"]);
    assert!(found["phases"][2]["end"].is_number(), "phases end with the job");
    let rank = &found["ranks"][0];
    assert_eq!(
        (&rank["rank"], &rank["pid"], &rank["exit_code"], &rank["lines"]),
        (&3.into(), &71.into(), &3.into(), &7.into())
    );
    assert_eq!(found["failure"]["first_line"], "ValueError: bad");
    assert_eq!(found["failure"]["cause"]["headline"], "ValueError: bad");
    assert_eq!(found["failure"]["evidence"]["stderr"], "Traceback\nValueError: bad\n");
    assert_eq!(found["plan"]["processes"][0]["command"], "python3 train.py");
    assert_eq!(found["stop"]["by"], "failure");
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn the_evidence_is_that_of_the_cause_whichever_rank_is_read_first() {
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new("algo-1");
    let record = record(&events, folder.path());
    let (ending, duration) = (Ending::Exited(1), Duration::from_secs(1));
    for number in [1, 0] {
        let output = Output { stderr: format!("ValueError: of rank {number}\n").into_bytes(), ..Output::default() };
        let (process, output) = (Process::Rank(number), Some(Arc::new(output)));
        events.emit(EventKind::ProcessFailed { process, ending, duration, output });
    }
    let cause = Cause { rank: Some(0), ..Cause::new("ValueError: of rank 0", CauseEnding::Process(ending)) };
    events.emit(EventKind::JobOver { exit_code: 1, cause: Some(Arc::new(cause)) });
    record.finish();
    assert_eq!(read(folder.path())["failure"]["evidence"]["stderr"], "ValueError: of rank 0\n");
}

#[test]
fn a_stopped_job_is_told_from_a_failed_one() {
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new("algo-1");
    let record = record(&events, folder.path());
    events.emit(EventKind::Stopping(StopReason::Signal(nix::sys::signal::Signal::SIGTERM)));
    events.emit(EventKind::JobOver { exit_code: 143, cause: None });
    record.finish();
    let found = read(folder.path());
    assert_eq!((&found["status"], &found["stop"]["signal"]), (&"stopped".into(), &"SIGTERM".into()));
}

#[test]
fn a_folder_that_cannot_be_written_to_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    let events = Events::new("algo-1");
    let record = record(&events, &folder.path().join("taken/algo-1"));
    events.emit(EventKind::JobOver { exit_code: 0, cause: None });
    record.finish();
}

#[test]
fn a_record_is_replaced_and_never_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["run.json", ".run.json.next", ".run.json.last"] {
        std::os::unix::fs::symlink(&victim, folder.path().join(name)).unwrap();
    }
    let mut file = RecordFile::create(folder.path()).unwrap();
    file.replace("one").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("run.json")).unwrap(), "one");
    file.finish("two").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("run.json")).unwrap(), "two");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn times_keep_their_distances_although_the_clock_is_set() {
    let (begun, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let mut state = State::new(Moment { monotonic: begun, wall });
    let mut receive = |after: u64, wall: SystemTime, kind: EventKind| {
        let at = Moment { monotonic: begun + Duration::from_secs(after), wall };
        state.receive(&Event { at, host: "algo-1".into(), attempt: 0, kind });
    };
    let hour = Duration::from_secs(3600);
    receive(5, wall - hour, EventKind::PhaseStarted(JobPhase::Script));
    receive(25, wall + hour, EventKind::PhaseEnded(JobPhase::Script));
    receive(30, wall - hour, EventKind::JobOver { exit_code: 0, cause: None });
    let found: Value = serde_json::from_str(&state.text()).expect("JSON");
    let script = &found["phases"][1];
    assert_eq!((&script["start"], &script["end"]), (&1_000_005.0.into(), &1_000_025.0.into()));
    assert_eq!((&found["started"], &found["ended"]), (&1_000_000.0.into(), &1_000_030.0.into()));
}
