//! Tables of stops: which processes are told at once, which follow, and when.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::branches::split;
use super::super::{
    Action, Input, Part, Place, ProcessId, ProgramImage, Purpose, Reaction, Release, SurveyedProcess, Target,
};
use super::{Scene, pid, signals};
use crate::event::Ending;
use crate::supervise::timing::{EXEC_TIME, SURVEY_INTERVAL};

/// The process number of footplate.
const OWN: i32 = 1;

fn id(pid: i32) -> ProcessId {
    ProcessId { pid: Pid::from_raw(pid), start: 7 }
}

/// Reads rows of a process, its parent, and its traits: `h` handles the signal, `i` ignores it, `s` is a shell, `z` is
/// stopped, `p` reads from a pipe, `f` is a fork that still executes its parent's program, `L` belongs to a launcher, `V`
/// to a service.
fn tree(rows: &[(i32, i32, &str)]) -> Vec<SurveyedProcess> {
    let seen = |(pid, parent, traits): &(i32, i32, &str)| SurveyedProcess {
        id: id(*pid),
        parent: Pid::from_raw(*parent),
        place: match traits {
            traits if traits.contains('L') => Place::Launcher,
            traits if traits.contains('V') => Place::Service,
            _ => Place::Script,
        },
        reaction: match traits {
            traits if traits.contains('h') => Reaction::Handles,
            traits if traits.contains('i') => Reaction::Ignores,
            _ => Reaction::Ends,
        },
        image: u64::try_from(if traits.contains('f') { *parent } else { *pid })
            .ok()
            .and_then(NonZeroU64::new)
            .map(ProgramImage),
        is_shell: traits.contains('s'),
        is_stopped: traits.contains('z'),
        reads_pipe: traits.contains('p'),
    };
    rows.iter().map(seen).collect()
}

fn numbers<'a>(processes: impl IntoIterator<Item = &'a ProcessId>) -> Vec<i32> {
    let mut numbers: Vec<i32> = processes.into_iter().map(|process| process.pid.as_raw()).collect();
    numbers.sort_unstable();
    numbers
}

/// The rows of a tree, its main processes, and the expected processes that are told, awaited, following and below a
/// handler.
type Case = (&'static str, &'static [(i32, i32, &'static str)], &'static [i32], [&'static [i32]; 4]);

const CASES: [Case; 11] = [
    ("nothing handles it", &[(10, OWN, ""), (11, 10, "")], &[10], [&[10], &[], &[11], &[]]),
    (
        "a trainer and its workers",
        &[(10, OWN, "h"), (11, 10, "h"), (12, 10, "")],
        &[10],
        [&[10], &[10], &[], &[11, 12]],
    ),
    ("a wrapper", &[(10, OWN, ""), (11, 10, "h"), (12, 11, "")], &[10], [&[10, 11], &[11], &[], &[12]]),
    (
        "a pipeline",
        &[(10, OWN, "s"), (11, 10, "h"), (12, 11, ""), (13, 10, "")],
        &[10],
        [&[10, 11], &[11], &[13], &[12]],
    ),
    (
        "shells with traps, which nobody waits for",
        &[(10, OWN, "hs"), (11, 10, "hs"), (12, 11, "h"), (13, 10, "s"), (14, 13, "h"), (15, 14, "h")],
        &[10],
        [&[10, 11, 12, 14], &[12, 14], &[13], &[15]],
    ),
    ("a shell with a trap alone", &[(10, OWN, "hs"), (11, 10, "")], &[10], [&[10], &[], &[11], &[]]),
    (
        "two ranks of which one saves",
        &[(10, OWN, "h"), (11, 10, ""), (20, OWN, ""), (21, 20, "")],
        &[10, 20],
        [&[10, 20], &[10], &[21], &[11]],
    ),
    (
        "orphans",
        &[(10, OWN, "h"), (20, OWN, "h"), (21, 20, ""), (30, OWN, ""), (31, 30, "h")],
        &[10],
        [&[10, 20, 31], &[10, 20, 31], &[30], &[21]],
    ),
    (
        "ranks of torchrun, which is spared",
        &[(10, OWN, "hL"), (11, 10, "L"), (20, 10, "h"), (21, 20, "h"), (30, 10, "")],
        &[],
        [&[20, 30], &[20], &[], &[21]],
    ),
    (
        "ranks of mpirun under their keepers",
        &[(10, OWN, "hL"), (11, 10, "hL"), (20, 11, "h"), (21, 20, "")],
        &[20],
        [&[20], &[20], &[], &[21]],
    ),
    ("a service", &[(10, OWN, "hV"), (11, 10, "V"), (20, OWN, "h")], &[20], [&[20], &[20], &[], &[]]),
];

#[test]
fn a_stop_goes_down_each_branch_to_the_first_process_that_handles_it() {
    for (what, rows, mains, expected) in CASES {
        let mains: Vec<Pid> = mains.iter().map(|pid| Pid::from_raw(*pid)).collect();
        let found = split(&tree(rows), &mains, false);
        let found = [numbers(&found.first), numbers(&found.awaited), numbers(&found.following), numbers(&found.below)];
        assert_eq!(found, expected.map(<[i32]>::to_vec), "{what}");
    }
}

#[test]
fn a_launcher_that_is_not_spared_is_told_with_its_ranks() {
    let found = split(&tree(&[(10, OWN, "hL"), (11, 10, "L"), (20, 10, "h"), (21, 20, "")]), &[], true);
    assert_eq!(numbers(&found.first), [10, 11, 20]);
    assert_eq!(numbers(&found.awaited), [20], "nobody waits for a launcher");
}

/// Rows for a shell, its trainer with a worker, and tee. The member's process is that of [`pid`].
const PIPELINE: [(i32, i32, &str); 4] = [(100, OWN, "s"), (11, 100, "h"), (12, 11, ""), (13, 100, "")];

fn each(to: &[i32], purpose: Purpose) -> Action {
    Action::SignalEach { signal: Signal::SIGTERM, to: to.iter().map(|pid| id(*pid)).collect(), purpose }
}

impl Scene {
    /// Takes a step in which surveys stay unanswered.
    fn raw(&mut self, input: Input) -> Vec<Action> {
        self.group.step(input, self.now)
    }

    fn surveyed(&mut self, rows: &[(i32, i32, &str)]) -> Vec<Action> {
        self.raw(Input::Surveyed(Some(tree(rows))))
    }
}

/// Sends SIGTERM to a job of this tree.
fn stopped(rows: &[(i32, i32, &str)]) -> (Scene, Vec<Action>) {
    let mut scene = Scene::processes(1);
    let actions = scene.raw(Input::Caught(libc::SIGTERM));
    assert_eq!(actions.last(), Some(&Action::Survey(Signal::SIGTERM)), "{actions:?}");
    let sent = scene.surveyed(rows);
    (scene, sent)
}

const STOP: Purpose = Purpose::Stop(Signal::SIGTERM);

#[test]
fn the_others_follow_when_those_that_handle_the_signal_have_ended() {
    let (mut scene, sent) = stopped(&PIPELINE);
    let survey = Action::Survey(Signal::SIGTERM);
    assert_eq!(sent, [each(&[100, 11], STOP), Action::Await(vec![id(11)]), survey.clone()]);
    let log = scene.raw(Input::Signalled { purpose: STOP, is_limited: false, reached: 2 });
    let text = "SIGTERM: passed on to 2 processes (grace period 110 s); 2 more follow when these have ended";
    assert_eq!(log, [Action::Log(tracing::Level::INFO, text.to_owned())]);
    assert_eq!(scene.surveyed(&PIPELINE), [], "nothing new");
    // The shell has died, and an uploader was started in order to save.
    assert_eq!(scene.raw(Input::Gone(id(99))), [], "nobody waits for it");
    assert_eq!(scene.raw(Input::Gone(id(11))), [survey]);
    let sent = scene.surveyed(&[(12, OWN, ""), (13, OWN, ""), (14, 13, ""), (50, OWN, "")]);
    assert_eq!(sent, [each(&[12, 13, 14], Purpose::Follow(Signal::SIGTERM))]);
    let text = "the processes that handle SIGTERM have ended: SIGTERM to 3 other processes";
    let log = scene.raw(Input::Signalled { purpose: Purpose::Follow(Signal::SIGTERM), is_limited: false, reached: 3 });
    assert_eq!(log, [Action::Log(tracing::Level::INFO, text.to_owned())]);
    // The grace period continues.
    let sent = scene.wait(super::GRACE);
    assert_eq!(signals(&sent).len(), 1);
}

#[test]
fn what_reads_from_a_pipe_has_a_moment_for_what_is_left_in_it() {
    use crate::supervise::timing::READER_PATIENCE;
    let (mut scene, _) = stopped(&PIPELINE);
    scene.surveyed(&PIPELINE);
    scene.raw(Input::Gone(id(11)));
    let sent = scene.surveyed(&[(12, OWN, ""), (13, OWN, "p")]);
    assert_eq!(sent, [each(&[12], Purpose::Follow(Signal::SIGTERM))]);
    assert_eq!(scene.wait_raw(READER_PATIENCE), [Action::Survey(Signal::SIGTERM)]);
    let sent = scene.surveyed(&[(12, OWN, ""), (13, OWN, "p")]);
    assert_eq!(sent, [each(&[13], Purpose::Follow(Signal::SIGTERM))]);
    assert_eq!(scene.group.deadline(), Some(scene.begun + super::GRACE));
}

#[test]
fn if_nothing_handles_the_signal_everything_gets_it_at_once() {
    for rows in [&[(100, OWN, ""), (11, 100, "")][..], &[(100, OWN, "hs"), (11, 100, "")], &[]] {
        let (scene, sent) = stopped(rows);
        assert_eq!(sent, [super::signal(Signal::SIGTERM, Target::Everything, STOP)]);
        assert_eq!(scene.group.deadline(), Some(scene.now + super::GRACE), "nothing is looked for");
    }
}

#[test]
fn processes_that_were_made_while_others_were_told_are_told_too() {
    let (mut scene, _) = stopped(&PIPELINE);
    // The shell has just started another trainer and died. The worker that the first trainer starts does not get the
    // signal.
    let rows = [(11, OWN, "h"), (12, 11, ""), (13, OWN, ""), (15, 11, ""), (20, OWN, "h"), (21, OWN, "")];
    let sent = scene.surveyed(&rows);
    let survey = Action::Survey(Signal::SIGTERM);
    assert_eq!(sent, [each(&[20], Purpose::Again), Action::Await(vec![id(20)]), survey.clone()]);
    assert_eq!(scene.surveyed(&rows), []);
    assert_eq!(scene.raw(Input::Gone(id(11))), [], "the second one still saves");
    assert_eq!(scene.raw(Input::Gone(id(20))), [survey]);
    let sent = scene.surveyed(&[(12, OWN, ""), (13, OWN, ""), (15, OWN, ""), (21, OWN, "")]);
    assert_eq!(sent, [each(&[12, 13, 21], Purpose::Follow(Signal::SIGTERM))]);
}

#[test]
fn processes_that_are_made_without_end_are_looked_for_a_few_times() {
    let (mut scene, _) = stopped(&PIPELINE);
    let mut looks = 1;
    let mut rows = PIPELINE.to_vec();
    loop {
        rows.push((200 + looks, OWN, ""));
        if !scene.surveyed(&rows).contains(&Action::Survey(Signal::SIGTERM)) {
            break;
        }
        looks += 1;
        assert!(looks < 10, "it goes on looking");
    }
}

#[test]
fn a_process_that_comes_to_handle_the_signal_is_told_later() {
    let (mut scene, _) = stopped(&PIPELINE);
    scene.surveyed(&PIPELINE);
    // tee was replaced by a program that handles the signal, and a process below the trainer handles it too.
    let later = [(100, OWN, "s"), (11, 100, "h"), (12, 11, "h"), (13, 100, "h"), (50, OWN, "h")];
    assert_eq!(scene.wait_raw(SURVEY_INTERVAL), [Action::Survey(Signal::SIGTERM)]);
    assert_eq!(scene.surveyed(&later), [each(&[13], Purpose::Again), Action::Await(vec![id(13)])]);
    // A process that cannot be watched is missing from the survey, so it is gone.
    assert_eq!(scene.wait_raw(SURVEY_INTERVAL), [Action::Survey(Signal::SIGTERM)]);
    let sent = scene.surveyed(&[(12, OWN, "")]);
    assert_eq!(sent, [each(&[12], Purpose::Follow(Signal::SIGTERM))]);
    assert_eq!(scene.group.deadline(), Some(scene.begun + super::GRACE));
}

/// Rows for a shell with a trap, and for a child that it has just forked.
const TRAP: [(i32, i32, &str); 2] = [(100, OWN, "hs"), (11, 100, "hsf")];

#[test]
fn a_process_that_lost_the_signal_between_fork_and_exec_gets_it_again() {
    let (mut scene, sent) = stopped(&TRAP);
    assert_eq!(sent, [super::signal(Signal::SIGTERM, Target::Everything, STOP)]);
    let survey = Action::Survey(Signal::SIGTERM);
    assert_eq!(scene.wait_raw(EXEC_TIME), std::slice::from_ref(&survey));
    assert_eq!(scene.surveyed(&TRAP), [], "it has not executed its program yet");
    assert_eq!(scene.wait_raw(SURVEY_INTERVAL), [survey]);
    // The trap of another shell has begun a program that saves.
    assert_eq!(scene.surveyed(&[(100, OWN, "hs"), (11, 100, ""), (12, 100, "")]), [each(&[11], Purpose::Again)]);
    assert_eq!(scene.group.deadline(), Some(scene.begun + super::GRACE), "nothing is looked for any more");
}

#[test]
fn a_fork_whose_program_takes_care_of_the_signal_or_that_has_ended_does_not_get_it_again() {
    for later in [&[(100, OWN, "hs"), (11, 100, "h")][..], &[(100, OWN, "hs"), (11, 100, "i")], &[(100, OWN, "hs")]] {
        let (mut scene, _) = stopped(&TRAP);
        scene.wait_raw(EXEC_TIME);
        assert_eq!(scene.surveyed(later), []);
        assert_eq!(scene.group.deadline(), Some(scene.begun + super::GRACE));
    }
    // A process that no longer handles the signal, but has executed nothing, may be saving.
    let (mut scene, _) = stopped(&TRAP);
    scene.wait_raw(EXEC_TIME);
    assert_eq!(scene.surveyed(&[(100, OWN, "hs"), (11, 100, "f")]), []);
}

#[test]
fn a_fork_beside_a_process_that_saves_gets_the_signal_again() {
    let rows = [(100, OWN, "hs"), (11, 100, "h"), (12, 100, "hsf")];
    let (mut scene, sent) = stopped(&rows);
    let survey = Action::Survey(Signal::SIGTERM);
    assert_eq!(sent, [each(&[100, 12, 11], STOP), Action::Await(vec![id(11)]), survey]);
    let sent = scene.surveyed(&[(100, OWN, "hs"), (11, 100, "h"), (12, 100, "")]);
    assert_eq!(sent, [each(&[12], Purpose::Again)]);
}

impl Scene {
    /// Advances the clock to the deadline, which must be `expected` after the present time, while surveys stay
    /// unanswered.
    fn wait_raw(&mut self, expected: Duration) -> Vec<Action> {
        let deadline = self.group.deadline().expect("a deadline");
        assert_eq!(deadline - self.now, expected);
        self.now = deadline;
        self.raw(Input::Deadline)
    }
}

#[test]
fn another_process_with_the_number_of_one_that_waits_is_not_told() {
    let (mut scene, _) = stopped(&PIPELINE);
    scene.surveyed(&PIPELINE);
    scene.raw(Input::Gone(id(11)));
    let mut other = tree(&[(13, OWN, "")]);
    other[0].id.start += 1;
    assert_eq!(scene.raw(Input::Surveyed(Some(other))), []);
}

#[test]
fn a_second_stop_signal_kills_and_nothing_is_told_any_more() {
    let (mut scene, _) = stopped(&PIPELINE);
    scene.surveyed(&PIPELINE);
    let sent = scene.raw(Input::Caught(libc::SIGTERM));
    assert!(matches!(signals(&sent)[..], [Action::Signal { signal: Signal::SIGKILL, to: Target::Everything, .. }]));
    assert_eq!(scene.raw(Input::Gone(id(11))), []);
    assert_eq!(scene.group.deadline(), Some(scene.now + super::super::KILL_PATIENCE));
}

#[test]
fn stopped_processes_run_on() {
    let rows = [(100, OWN, "sz"), (11, 100, "hz"), (12, 11, "z"), (40, OWN, "Lz")];
    let (_, sent) = stopped(&rows);
    let woken = Action::Continue(vec![id(100), id(11), id(12)]);
    assert_eq!(sent.last(), Some(&woken), "but not a launcher that was stopped for good: {sent:?}");
}

#[test]
fn a_failure_and_another_host_leave_time_to_save_too() {
    let mut scene = Scene::processes(2);
    scene.raw(super::ended(0, 3));
    let actions = scene.raw(Input::Swept { has_children: true });
    assert!(actions.contains(&Action::Survey(Signal::SIGTERM)), "{actions:?}");
    let sent = scene.surveyed(&[(101, OWN, "h"), (12, 101, ""), (13, OWN, "")]);
    assert_eq!(sent[0], each(&[101], Purpose::Failure));

    let mut scene = Scene::processes(1);
    let stop = crate::supervise::PeerStop::Stopped;
    assert_eq!(scene.raw(Input::PeersStop(stop)), [Action::Survey(Signal::SIGTERM)]);
    assert_eq!(scene.surveyed(&[(100, OWN, "h"), (12, 100, "")])[0], each(&[100], Purpose::Peers));
}

#[test]
fn a_rank_that_a_keeper_starts_after_the_stop_is_told() {
    let mut scene = Scene::awaited(&[Part::Launcher, Part::KeptRank(0), Part::KeptRank(1)], Release::Free);
    assert_eq!(scene.raw(Input::RankBegan { rank: 0, pid: pid(1) }).len(), 1);
    scene.raw(Input::Caught(libc::SIGINT));
    let sent = scene.surveyed(&[(100, OWN, "hL"), (99, 100, "hL"), (101, 99, "h"), (98, 100, "h")]);
    let told: BTreeSet<i32> = match &sent[0] {
        Action::SignalEach { to, .. } => to.iter().map(|process| process.pid.as_raw()).collect(),
        other => panic!("{other:?}"),
    };
    // 98 is a keeper that has not reported yet. It ignores the signal.
    assert_eq!(told, BTreeSet::from([98, 101]));
    let began = scene.raw(Input::RankBegan { rank: 1, pid: pid(2) });
    assert_eq!(began.last(), Some(&Action::Forward { number: libc::SIGINT, to: vec![pid(2)] }));
    // Without a stop, nothing is sent.
    let mut scene = Scene::mpirun(Release::Free);
    scene.raw(Input::RankEnded { rank: 0, ending: Ending::Exited(0) });
    assert_eq!(scene.raw(Input::RankBegan { rank: 1, pid: pid(2) }).len(), 1);
}
