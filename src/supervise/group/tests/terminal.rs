//! Tables of the terminal: which process has it, for how long, and which stopped processes are reported.

use nix::libc;

use super::super::{Action, Input, LendingResult, Part, Release};
use super::{Scene, pid};
use crate::event::Ending;
use crate::supervise::timing::{LENDING_TIME, TERMINAL_INTERVAL};

fn stopped(member: usize, signal: i32) -> Input {
    Input::ChildStopped { pid: pid(member), signal }
}

fn answer(member: usize, result: LendingResult) -> Input {
    Input::LendingResult { pid: pid(member), result }
}

#[test]
fn the_terminal_is_lent_for_a_moment_to_one_after_the_other() {
    let mut scene = Scene::processes(2);
    assert_eq!(scene.step(stopped(0, libc::SIGTTIN)), [Action::Lend(pid(0))]);
    assert_eq!(scene.step(answer(0, LendingResult::LentTerminal)), []);
    assert_eq!(scene.step(stopped(1, libc::SIGTTOU)), []);
    assert_eq!(scene.wait(LENDING_TIME), [Action::TakeBack, Action::Lend(pid(1))]);
    scene.step(answer(1, LendingResult::LentTerminal));
    assert_eq!(scene.wait(LENDING_TIME), [Action::TakeBack]);
    assert_eq!(scene.group.deadline(), None);
    // A process that keeps using the terminal gets it again.
    assert_eq!(scene.step(stopped(1, libc::SIGTTOU)), [Action::Lend(pid(1))]);
}

#[test]
fn a_process_waits_for_a_terminal_that_another_job_has() {
    let mut scene = Scene::processes(1);
    scene.step(stopped(0, libc::SIGTTOU));
    let report = Action::ReportStopped { pid: pid(0), signal: libc::SIGTTIN };
    assert_eq!(scene.step(answer(0, LendingResult::Elsewhere)), [report]);
    assert_eq!(scene.wait(TERMINAL_INTERVAL), [Action::Lend(pid(0))]);
    assert_eq!(scene.step(answer(0, LendingResult::Elsewhere)), [], "it is reported once");
    assert_eq!(scene.wait(TERMINAL_INTERVAL), [Action::Lend(pid(0))]);
    scene.step(answer(0, LendingResult::LentTerminal));
    assert_eq!(scene.wait(LENDING_TIME), [Action::TakeBack]);
}

#[test]
fn a_stopped_child_is_reported_unless_it_is_a_frozen_launcher() {
    let mut scene = Scene::processes(1);
    let report = Action::ReportStopped { pid: pid(0), signal: libc::SIGSTOP };
    assert_eq!(scene.step(stopped(0, libc::SIGSTOP)), [report]);
    assert_eq!(scene.step(stopped(0, libc::SIGSTOP)), []);

    let mut scene = Scene::mpirun(Release::Free);
    scene.step(Input::Caught(libc::SIGTERM));
    scene.step(Input::RankEnded { rank: 1, ending: Ending::Signaled(libc::SIGTERM) });
    assert!(scene.sweep(true).contains(&Action::Freeze(vec![0])));
    assert_eq!(scene.step(stopped(0, libc::SIGSTOP)), []);
    // The process stays stopped when the job is suspended and continued.
    let suspended = Action::Suspend { to: vec![pid(0)], frozen: vec![0] };
    assert_eq!(scene.step(Input::Caught(libc::SIGTSTP)), [suspended]);
    scene.step(Input::Suspended);
    assert_eq!(scene.step(Input::Caught(libc::SIGCONT)), [Action::Resume(vec![0])]);
}

#[test]
fn ctrl_z_suspends_everything_also_while_the_terminal_is_lent() {
    let mut scene = Scene::of(&[Part::Process]);
    let suspend = Action::Suspend { to: vec![pid(0)], frozen: vec![] };
    assert_eq!(scene.step(Input::Caught(libc::SIGTSTP)), std::slice::from_ref(&suspend));
    // Nothing is suspended, so SIGCONT is a signal like any other.
    let forward = Action::Forward { number: libc::SIGCONT, to: vec![pid(0)] };
    assert_eq!(scene.step(Input::Caught(libc::SIGCONT)), [forward]);
    scene.step(stopped(0, libc::SIGTTIN));
    scene.step(answer(0, LendingResult::LentTerminal));
    assert_eq!(scene.step(stopped(0, libc::SIGTSTP)), [Action::TakeBack, suspend]);
}
