//! Tables of the state machine: no process, no signal and no clock.

mod stops;
mod terminal;

use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{
    Action, EndReason, Group, GroupMember, Input, News, OutputFate, Part, Phase, Purpose, Release, Service, ServiceEnd,
    Target,
};
use crate::event::{CommonStep, Ending, KillReason, RankTally};
use crate::supervise::timing::{ABORT_PATIENCE, CLOSE_TIME};
use crate::supervise::{PeerRanks, PeerStop, Stop, Timing};

const GRACE: Duration = Duration::from_secs(110);
const DRAIN: Duration = Duration::from_secs(1);
const SERVICE: Duration = Duration::from_secs(300);
const TIMING: Timing = Timing {
    grace_period: GRACE,
    failure_grace: GRACE,
    unserved_grace: GRACE,
    drain_time: DRAIN,
    service_time: SERVICE,
};

/// A group with its own clock.
struct Scene {
    group: Group,
    now: Instant,
    begun: Instant,
    next_pid: i32,
}

fn pid(member: usize) -> Pid {
    Pid::from_raw(100 + i32::try_from(member).unwrap())
}

fn ended(member: usize, code: i32) -> Input {
    Input::Reaped { pid: pid(member), ending: Ending::Exited(code) }
}

fn killed(member: usize, signal: i32) -> Input {
    Input::Reaped { pid: pid(member), ending: Ending::Signaled(signal) }
}

impl Scene {
    /// A group of these members, all started in the first stage.
    fn of(parts: &[Part]) -> Scene {
        Scene::awaited(parts, Release::Free)
    }

    fn awaited(parts: &[Part], release: Release) -> Scene {
        Scene::begun(parts, release, CommonStep::LAST)
    }

    /// A group on a host that keeps step with other hosts.
    fn in_step(parts: &[Part]) -> Scene {
        Scene::begun(parts, Release::Free, CommonStep::start(0))
    }

    fn begun(parts: &[Part], release: Release, allowed: CommonStep) -> Scene {
        let now = Instant::now();
        let parts: Vec<(usize, Part)> = parts.iter().map(|part| (0, *part)).collect();
        let group = Group::new(&parts, TIMING, release, allowed, now);
        let mut scene = Scene { group, now, begun: now, next_pid: 0 };
        let actions = scene.group.begin(now);
        scene.start(&actions);
        scene
    }

    fn processes(count: usize) -> Scene {
        Scene::of(&vec![Part::Process; count])
    }

    /// mpirun with two ranks that have begun, as members 1 and 2.
    fn mpirun(release: Release) -> Scene {
        let mut scene = Scene::awaited(&[Part::Launcher, Part::KeptRank(0), Part::KeptRank(1)], release);
        for rank in 0..2 {
            scene.step(Input::RankBegan { rank, pid: pid(rank + 1) });
        }
        scene
    }

    fn start(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Start(member) = action {
                self.next_pid += 1;
                let more = self.group.step(Input::Started { member: *member, pid: pid(*member) }, self.now);
                self.start(&more);
            }
        }
    }

    /// Takes a step on a machine without /proc, where surveys return nothing.
    fn step(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        for action in self.group.step(input, self.now) {
            match action {
                Action::Survey(_) => actions.extend(self.group.step(Input::Surveyed(None), self.now)),
                action => actions.push(action),
            }
        }
        self.start(&actions);
        actions
    }

    /// Sweeps. `has_children` is true if the sweep finds children other than the members.
    fn sweep(&mut self, has_children: bool) -> Vec<Action> {
        self.step(Input::Swept { has_children })
    }

    /// Advances the clock to the deadline, which must be `expected` after the present time.
    fn wait(&mut self, expected: Duration) -> Vec<Action> {
        let deadline = self.group.deadline().expect("a deadline");
        assert_eq!(deadline - self.now, expected);
        self.now = deadline;
        self.step(Input::Deadline)
    }

    fn sent(&mut self, purpose: Purpose, reached: usize) -> Vec<Action> {
        self.step(Input::Signalled { purpose, is_limited: false, reached })
    }

    fn read(&mut self, members: std::ops::Range<usize>) {
        members.for_each(|member| assert_eq!(self.step(Input::OutputRead { member }), []));
    }
}

fn signal(signal: Signal, to: Target, purpose: Purpose) -> Action {
    Action::Signal { signal, to, purpose }
}

fn told(actions: &[Action]) -> Vec<News> {
    actions
        .iter()
        .filter_map(|action| if let Action::Tell(news) = action { Some(news.clone()) } else { None })
        .collect()
}

fn signals(actions: &[Action]) -> Vec<&Action> {
    actions.iter().filter(|action| matches!(action, Action::Signal { .. })).collect()
}

#[test]
fn a_process_that_ends_well_ends_the_group() {
    let mut scene = Scene::processes(1);
    assert_eq!(scene.group.deadline(), None);
    assert_eq!(scene.step(ended(0, 0)), [Action::Release(0), Action::Tell(News::Ended(0))]);
    scene.read(0..1);
    assert_eq!(scene.sweep(false), []);
    assert_eq!(scene.group.phase(), Phase::Over { stop: None, output: OutputFate::Read });
}

#[test]
fn leftovers_have_the_drain_time_then_sigterm_then_sigkill() {
    let mut scene = Scene::processes(1);
    scene.step(ended(0, 0));
    scene.read(0..1);
    assert_eq!(scene.sweep(true), []);
    let sent = scene.wait(DRAIN);
    assert_eq!(sent, [signal(Signal::SIGTERM, Target::Everything, Purpose::Leftovers)]);
    assert!(matches!(scene.sent(Purpose::Leftovers, 1)[..], [Action::Log(..)]));
    scene.sweep(true);
    let sent = scene.wait(DRAIN);
    assert_eq!(sent, [signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(None))]);
    assert_eq!(scene.sent(Purpose::Kill(None), 1), [Action::Tell(News::Killed(None))]);
    // Processes that were made after the kill are killed at each sweep.
    assert_eq!(scene.sweep(true), [signal(Signal::SIGKILL, Target::Everything, Purpose::Again)]);
    scene.sweep(false);
    assert_eq!(scene.group.phase(), Phase::Over { stop: None, output: OutputFate::Read });
}

#[test]
fn a_look_that_finds_no_leftover_counts_only_if_there_are_no_children() {
    for (has_children, flushes) in [(true, false), (false, true)] {
        let mut scene = Scene::processes(1);
        scene.step(ended(0, 0));
        scene.sweep(true);
        scene.wait(DRAIN);
        scene.group.has_children = has_children;
        assert_eq!(scene.sent(Purpose::Leftovers, 0) == [Action::CloseStreams], flushes);
    }
}

#[test]
fn a_stop_signal_gives_the_grace_period_and_no_more() {
    for stop in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scene = Scene::processes(2);
        let sent = scene.step(Input::Caught(stop as i32));
        assert_eq!(told(&sent), [News::Stopping(stop)]);
        assert_eq!(signals(&sent), [&signal(stop, Target::Everything, Purpose::Stop(stop))]);
        scene.sent(Purpose::Stop(stop), 2);
        scene.sweep(true);
        let sent = scene.wait(GRACE);
        let reason = Some(KillReason::GraceOver);
        assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(reason))]);
        scene.sent(Purpose::Kill(reason), 2);
        (0..2).for_each(|member| drop(scene.step(killed(member, 9))));
        scene.read(0..2);
        scene.sweep(false);
        let stop = Some(Stop { signal: stop, killed: reason });
        assert_eq!(scene.group.phase(), Phase::Over { stop, output: OutputFate::Read });
    }
}

#[test]
fn a_second_stop_signal_kills_at_once() {
    let mut scene = Scene::processes(1);
    scene.step(Input::Caught(libc::SIGTERM));
    let sent = scene.step(Input::Caught(libc::SIGINT));
    let reason = Some(KillReason::SecondSignal);
    assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(reason))]);
    assert_eq!(told(&sent), []);
    // Nothing was left to kill, so no process counts as killed.
    scene.sent(Purpose::Kill(reason), 0);
    assert_eq!(scene.group.phase().stop(), Some(Stop { signal: Signal::SIGTERM, killed: None }));
    // A third signal changes nothing.
    assert_eq!(scene.step(Input::Caught(libc::SIGTERM)), []);
}

#[test]
fn other_signals_go_to_the_processes_that_run_and_sigchld_to_none() {
    let mut scene = Scene::processes(2);
    scene.step(ended(0, 0));
    let forward = Action::Forward { number: libc::SIGUSR1, to: vec![pid(1)] };
    assert_eq!(scene.step(Input::Caught(libc::SIGUSR1)), [forward]);
    assert_eq!(scene.step(Input::Caught(libc::SIGCHLD)), []);
}

#[test]
fn a_failure_ends_the_others_with_their_grace() {
    let mut scene = Scene::processes(3);
    scene.step(ended(1, 3));
    let sent = scene.sweep(true);
    assert_eq!(signals(&sent), [&signal(Signal::SIGTERM, Target::Everything, Purpose::Failure)]);
    assert_eq!(told(&sent), [News::Failed(1)]);
    // The failure is announced once more when all output was read, and never again.
    scene.read(1..2);
    assert_eq!(told(&scene.sweep(true)), [News::Failed(1)]);
    assert_eq!(told(&scene.sweep(true)), []);
    // A member that was told to end and exits with a failure may have been failing. A member that the signal killed
    // was not.
    scene.step(ended(0, 1));
    scene.step(killed(2, libc::SIGTERM));
    scene.read(2..3);
    assert_eq!(told(&scene.sweep(true)), [News::Failed(0)]);
    let followed: Vec<bool> = scene.group.members().iter().map(|member| member.end().unwrap().followed).collect();
    assert_eq!(followed, [true, false, true]);
    let sent = scene.wait(GRACE);
    assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(None))]);
}

#[test]
fn a_failure_of_the_last_process_stops_nobody() {
    let mut scene = Scene::processes(2);
    scene.step(ended(0, 0));
    scene.sweep(true);
    scene.step(ended(1, 1));
    let sent = scene.sweep(true);
    assert_eq!(signals(&sent), [] as [&Action; 0]);
    assert_eq!(scene.group.phase(), Phase::Draining { until: scene.now + DRAIN });
}

#[test]
fn a_stop_signal_after_a_failure_starts_a_new_grace_period() {
    let mut scene = Scene::processes(2);
    scene.step(ended(0, 1));
    scene.sweep(true);
    scene.now += Duration::from_secs(50);
    let sent = scene.step(Input::Caught(libc::SIGTERM));
    assert_eq!(told(&sent), [News::Stopping(Signal::SIGTERM)]);
    let why = EndReason::Signal(Stop { signal: Signal::SIGTERM, killed: None });
    assert_eq!(scene.group.phase(), Phase::Stopping { why, until: scene.now + GRACE });
}

#[test]
fn a_stop_signal_after_another_hosts_stop_is_not_passed_on_again() {
    // The platform stops all hosts, some a little later than others.
    let mut scene = Scene::mpirun(Release::Awaited);
    let sent = scene.step(Input::PeersStop(PeerStop::Stopped));
    assert_eq!(signals(&sent).len(), 1);
    let sent = scene.step(Input::Caught(libc::SIGTERM));
    assert_eq!((told(&sent), signals(&sent)), (vec![News::Stopping(Signal::SIGTERM)], vec![]));
    assert_eq!(scene.group.phase().stop(), Some(Stop { signal: Signal::SIGTERM, killed: None }));
    // The next signal kills.
    assert_eq!(signals(&scene.step(Input::Caught(libc::SIGTERM))).len(), 1);
    assert!(matches!(scene.group.phase(), Phase::Killed { .. }));
}

#[test]
fn a_failure_while_stopping_sends_no_second_signal() {
    let mut scene = Scene::processes(2);
    scene.step(Input::Caught(libc::SIGTERM));
    scene.step(ended(0, 1));
    let sent = scene.sweep(true);
    assert_eq!(signals(&sent), [] as [&Action; 0]);
    assert_eq!(told(&sent), [News::Failed(0)]);
    assert_eq!(scene.group.deadline(), Some(scene.now + GRACE));
}

#[test]
fn another_host_ends_the_members_only_while_they_run() {
    for stop in [PeerStop::Failed, PeerStop::Stopped] {
        let mut scene = Scene::processes(1);
        let sent = scene.step(Input::PeersStop(stop));
        assert_eq!(sent, [signal(Signal::SIGTERM, Target::Everything, Purpose::Peers)]);
        assert_eq!(scene.step(Input::PeersStop(stop)), []);
        assert_eq!(scene.group.phase().stop(), None);
        let sent = scene.wait(GRACE);
        assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(None))]);
    }
}

#[test]
fn leftovers_of_a_stop_share_its_grace_period() {
    let mut scene = Scene::processes(1);
    scene.step(Input::Caught(libc::SIGTERM));
    scene.step(ended(0, 0));
    scene.read(0..1);
    assert_eq!(scene.sweep(true), []);
    assert_eq!(scene.group.deadline(), Some(scene.begun + GRACE));
    scene.sweep(false);
    assert!(scene.group.phase().is_over());
}

#[test]
fn streams_that_others_hold_open_are_closed_and_then_given_up() {
    let mut scene = Scene::processes(1);
    scene.step(ended(0, 0));
    scene.sweep(true);
    scene.wait(DRAIN);
    scene.group.has_children = false;
    assert_eq!(scene.sent(Purpose::Leftovers, 0), [Action::CloseStreams]);
    assert_eq!(scene.step(Input::Written(10)), []);
    let patience = super::super::FLUSH_PATIENCE;
    // The reader has taken bytes, so it gets more time.
    assert_eq!(scene.wait(patience), [Action::AskWritten]);
    assert_eq!(scene.step(Input::Written(20)), [Action::CloseStreams]);
    scene.step(Input::Written(20));
    assert_eq!(scene.wait(patience), [Action::AskWritten]);
    assert_eq!(scene.step(Input::Written(20)), []);
    assert_eq!(scene.group.phase(), Phase::Over { stop: None, output: OutputFate::GivenUp });
}

#[test]
fn what_cannot_be_killed_is_left_behind() {
    let mut scene = Scene::processes(1);
    scene.step(Input::Caught(libc::SIGTERM));
    scene.step(Input::Caught(libc::SIGTERM));
    let sent = scene.wait(super::KILL_PATIENCE);
    assert!(matches!(sent[..], [Action::Log(tracing::Level::WARN, _), Action::CloseStreams]), "{sent:?}");
    assert!(matches!(scene.group.phase(), Phase::Flushing { .. }));
}

#[test]
fn an_orderly_stop_spares_the_launcher() {
    let mut scene = Scene::mpirun(Release::Free);
    let sent = scene.step(Input::Caught(libc::SIGTERM));
    let purpose = Purpose::Stop(Signal::SIGTERM);
    assert_eq!(signals(&sent), [&signal(Signal::SIGTERM, Target::AllBut(vec![0]), purpose)]);
    // No process was reached, because the ranks have just ended. The launcher ends by itself.
    let after = scene.step(Input::Signalled { purpose, is_limited: true, reached: 0 });
    assert!(matches!(after[..], [Action::Log(..)]), "{after:?}");
}

#[test]
fn a_launcher_that_has_started_no_rank_is_stopped_itself() {
    let mut scene = Scene::of(&[Part::Launcher, Part::KeptRank(0)]);
    scene.step(Input::Caught(libc::SIGINT));
    let purpose = Purpose::Stop(Signal::SIGINT);
    let again = scene.step(Input::Signalled { purpose, is_limited: true, reached: 0 });
    assert_eq!(again, [signal(Signal::SIGINT, Target::Everything, purpose)]);
    // The signal is repeated only once.
    let after = scene.step(Input::Signalled { purpose, is_limited: false, reached: 0 });
    assert!(matches!(after[..], [Action::Log(..)]), "{after:?}");
}

#[test]
fn a_launcher_without_keepers_is_stopped_only_after_a_failure() {
    let with = |input: Input| {
        let mut scene = Scene::of(&[Part::Launcher]);
        let sent = scene.step(input);
        let targets = sent.iter().filter_map(|action| match action {
            Action::Signal { to, .. } => Some(*to == Target::Everything),
            _ => None,
        });
        (targets.collect::<Vec<_>>(), scene.group.deadline().map(|deadline| deadline - scene.now))
    };
    assert_eq!(with(Input::Caught(libc::SIGTERM)), (vec![false], Some(GRACE)));
    assert_eq!(with(Input::PeersStop(PeerStop::Stopped)), (vec![false], Some(GRACE)));
    // The launcher may wait for a host that is lost, so it is checked.
    assert_eq!(with(Input::PeersStop(PeerStop::Failed)), (vec![true], Some(super::super::timing::LOOK_INTERVAL)));
}

#[test]
fn an_orderly_stop_freezes_the_launcher_once_a_signal_has_killed_a_rank() {
    let mut scene = Scene::mpirun(Release::Free);
    scene.step(Input::RankEnded { rank: 1, ending: Ending::Signaled(libc::SIGSEGV) });
    assert!(!scene.sweep(true).contains(&Action::Freeze(vec![0])), "a failure is mpirun's to handle");

    let mut scene = Scene::mpirun(Release::Free);
    scene.step(Input::Caught(libc::SIGTERM));
    scene.step(Input::RankEnded { rank: 1, ending: Ending::Signaled(libc::SIGTERM) });
    let sent = scene.sweep(true);
    assert_eq!(sent, [Action::Freeze(vec![0]), Action::Tell(News::RankKilled)]);
    assert_eq!(scene.sweep(true), []);
    // A rank on another host counts too.
    let mut scene = Scene::mpirun(Release::Awaited);
    scene.step(Input::PeersStop(PeerStop::Stopped));
    let sent = scene.step(Input::PeerRanks(PeerRanks::Killed));
    assert_eq!(sent, [Action::Freeze(vec![0]), Action::Tell(News::RankKilled)]);
}

#[test]
fn a_launcher_is_killed_as_soon_as_nobody_needs_it() {
    let look = super::super::timing::KEPT_LOOK_INTERVAL;
    for release in [Release::Free, Release::Awaited] {
        let mut scene = Scene::mpirun(release);
        scene.step(Input::RankEnded { rank: 0, ending: Ending::Exited(1) });
        let sent = scene.sweep(true);
        assert_eq!(signals(&sent), [&signal(Signal::SIGTERM, Target::AllBut(vec![0]), Purpose::Failure)]);
        assert_eq!(scene.wait(look), [Action::LookForOthers(vec![0])]);
        assert_eq!(scene.step(Input::OnlyLaunchersLeft(false)), []);
        scene.step(Input::RankEnded { rank: 1, ending: Ending::Signaled(libc::SIGTERM) });
        assert_eq!(scene.wait(look), [Action::LookForOthers(vec![0])]);
        let mut sent = scene.step(Input::OnlyLaunchersLeft(true));
        if release == Release::Awaited {
            assert_eq!(sent, []);
            // This is announced once all output of the ranks was read.
            assert_eq!(told(&scene.sweep(true)), []);
            scene.read(1..3);
            assert_eq!(
                told(&scene.sweep(true)),
                [News::Failed(1), News::Drained(RankTally { failed: 1, ended: vec![1] })]
            );
            assert_eq!(told(&scene.sweep(true)), []);
            sent = scene.step(Input::PeerRanks(PeerRanks::Ended));
        }
        assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Again)]);
        scene.step(killed(0, 9));
        // The kill does not count as a failure.
        assert_eq!(scene.group.members()[0].end().unwrap().ending, Ending::Exited(0));
    }
}

#[test]
fn a_launcher_that_is_alone_at_an_orderly_stop_has_time_to_end_by_itself() {
    let look = super::super::timing::KEPT_LOOK_INTERVAL;
    let mut scene = Scene::mpirun(Release::Free);
    scene.step(Input::Caught(libc::SIGTERM));
    scene.wait(look);
    assert_eq!(scene.step(Input::OnlyLaunchersLeft(true)), []);
    scene.now += super::super::timing::LAUNCHER_PATIENCE;
    scene.step(Input::Deadline);
    let sent = scene.step(Input::OnlyLaunchersLeft(true));
    assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Again)]);
    let stop = Some(Stop { signal: Signal::SIGTERM, killed: None });
    assert_eq!(scene.group.phase(), Phase::Killed { stop, until: scene.now + super::KILL_PATIENCE });
}

#[test]
fn a_rank_that_is_without_its_keeper_for_long_was_killed() {
    use super::super::timing::{KEEPER_LOOK_INTERVAL, KEEPER_PATIENCE};
    let mut scene = Scene::mpirun(Release::Free);
    assert_eq!(scene.wait(KEEPER_LOOK_INTERVAL), [Action::LookForKeepers(vec![(1, pid(1)), (2, pid(2))])]);
    scene.step(Input::KeeperSeen { member: 1, is_gone: true });
    scene.step(Input::KeeperSeen { member: 2, is_gone: false });
    scene.now += KEEPER_PATIENCE - Duration::from_millis(1);
    scene.step(Input::KeeperSeen { member: 1, is_gone: true });
    assert_eq!(scene.group.members()[1].end(), None);
    scene.now += Duration::from_millis(1);
    scene.step(Input::KeeperSeen { member: 1, is_gone: true });
    assert_eq!(scene.group.members()[1].end().unwrap().ending, Ending::Signaled(libc::SIGKILL));
    // A rank that has its keeper again gets the whole time anew.
    scene.step(Input::KeeperSeen { member: 2, is_gone: true });
    scene.now += KEEPER_PATIENCE;
    scene.step(Input::KeeperSeen { member: 2, is_gone: false });
    scene.step(Input::KeeperSeen { member: 2, is_gone: true });
    assert_eq!(scene.group.members()[2].end(), None);
}

#[test]
fn the_end_of_a_launcher_releases_the_streams_of_ranks_that_never_began() {
    let mut scene = Scene::of(&[Part::Launcher, Part::KeptRank(0), Part::KeptRank(1)]);
    scene.step(Input::RankBegan { rank: 0, pid: pid(1) });
    let sent = scene.step(ended(0, 1));
    assert_eq!(sent[..2], [Action::Release(0), Action::Release(2)]);
    // A launcher that fails after a rank is no news.
    let mut scene = Scene::mpirun(Release::Free);
    scene.step(Input::RankEnded { rank: 0, ending: Ending::Exited(1) });
    scene.sweep(true);
    scene.step(ended(0, 1));
    assert_eq!(told(&scene.sweep(true)), []);
}

#[test]
fn a_rank_that_its_daemon_has_ended_only_follows() {
    let mut scene = Scene::mpirun(Release::Free);
    scene.step(Input::EndedByLauncher { member: 2 });
    let end = scene.group.members()[2].end().unwrap();
    assert_eq!((end.ending, end.followed), (Ending::Signaled(libc::SIGTERM), true));
    assert_eq!(told(&scene.sweep(true)), []);
}

fn service(stage: u8, stop_order: u8, end: ServiceEnd) -> Part {
    Part::Service(Service { stage, end, stop_order })
}

#[test]
fn services_start_stage_by_stage_before_the_ranks() {
    let quiet = ServiceEnd::Failure;
    let mut scene = Scene::of(&[Part::Process, service(1, 0, quiet), service(0, 1, quiet), service(0, 1, quiet)]);
    let started = |scene: &Scene| -> Vec<bool> { scene.group.members().iter().map(GroupMember::has_begun).collect() };
    assert_eq!(started(&scene), [false, false, true, true]);
    scene.step(Input::Ready { member: 2 });
    assert_eq!(started(&scene), [false, false, true, true]);
    assert_eq!(scene.step(Input::Ready { member: 3 }), [Action::Tell(News::Ready(3)), Action::Start(1)]);
    // Readiness is counted once.
    assert_eq!(scene.step(Input::Ready { member: 3 }), []);
    assert_eq!(scene.step(Input::Ready { member: 1 })[1..], [Action::Start(0)]);
    assert!(started(&scene).iter().all(|started| *started));
}

#[test]
fn a_service_that_is_ready_at_once_starts_no_other_twice() {
    let quiet = ServiceEnd::Failure;
    let parts = [(0, service(0, 0, quiet)), (1, service(0, 0, quiet)), (2, Part::Process)];
    let now = Instant::now();
    let mut group = Group::new(&parts, TIMING, Release::Free, CommonStep::LAST, now);
    assert_eq!(group.begin(now), [Action::Start(0), Action::Start(1)]);
    group.step(Input::Started { member: 0, pid: pid(0) }, now);
    assert_eq!(group.step(Input::Ready { member: 0 }, now), [Action::Tell(News::Ready(0))]);
    group.step(Input::Started { member: 1, pid: pid(1) }, now);
    assert_eq!(group.step(Input::Ready { member: 1 }, now)[1..], [Action::Start(2)]);
}

#[test]
fn services_end_after_the_ranks_in_their_order() {
    let quiet = ServiceEnd::Failure;
    let mut scene = Scene::of(&[service(0, 1, quiet), service(0, 0, quiet), Part::Process]);
    scene.step(Input::Ready { member: 0 });
    scene.step(Input::Ready { member: 1 });
    assert_eq!(scene.sweep(true), []);
    scene.step(ended(2, 0));
    let close = |member| signal(Signal::SIGTERM, Target::Mains(vec![member]), Purpose::Close);
    assert_eq!(scene.sweep(true), [close(1)]);
    assert_eq!(scene.sweep(true), []);
    scene.step(killed(1, libc::SIGTERM));
    assert_eq!(scene.sweep(true), [close(0)]);
    // All services of this place share one deadline.
    let sent = scene.wait(CLOSE_TIME);
    assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(None))]);
    scene.step(killed(0, libc::SIGKILL));
    scene.read(0..3);
    assert_eq!(told(&scene.sweep(false)), [], "a service that was told to end has not failed");
    assert!(scene.group.phase().is_over());
}

#[test]
fn a_service_that_ends_before_the_ranks_is_a_failure_unless_it_may() {
    for (end, code, fails) in [
        (ServiceEnd::Failure, 0, true),
        (ServiceEnd::Failure, 1, true),
        (ServiceEnd::FailureUnlessZero, 0, false),
        (ServiceEnd::FailureUnlessZero, 1, true),
    ] {
        let mut scene = Scene::of(&[service(0, 0, end), Part::Process]);
        scene.step(Input::Ready { member: 0 });
        scene.step(ended(0, code));
        let sent = scene.sweep(true);
        assert_eq!(!signals(&sent).is_empty(), fails, "{end:?} {code}");
        assert_eq!(told(&sent) == [News::Failed(0)], fails, "{end:?} {code}");
    }
}

#[test]
fn a_service_that_ends_before_its_line_is_read_holds_no_rank_up() {
    let mut scene = Scene::of(&[service(0, 0, ServiceEnd::FailureUnlessZero), Part::Process]);
    let sent = scene.step(ended(0, 0));
    assert!(sent.contains(&Action::Start(1)), "{sent:?}");
    assert_eq!(scene.step(Input::Ready { member: 0 }), []);
    // A failure starts nothing.
    let mut scene = Scene::of(&[service(0, 0, ServiceEnd::FailureUnlessZero), Part::Process]);
    let sent = scene.step(ended(0, 1));
    assert!(!sent.contains(&Action::Start(1)), "{sent:?}");
}

#[test]
fn a_service_that_ended_before_it_was_ready_lets_no_other_host_start() {
    let mut scene = Scene::in_step(&[service(0, 0, ServiceEnd::FailureUnlessZero), Part::Process]);
    let is_completed = |sent: &[Action]| told(sent).iter().any(|news| matches!(news, News::Completed(_)));
    let mut sent = scene.step(killed(0, libc::SIGKILL));
    scene.read(0..1);
    // The group is over before the others are told that it has failed.
    sent.extend(scene.sweep(false));
    assert!(scene.group.phase().is_over());
    assert!(!is_completed(&sent), "{sent:?}");
    // A host that only serves.
    let mut scene = Scene::in_step(&[service(0, 0, ServiceEnd::Failure)]);
    let mut sent = scene.step(killed(0, libc::SIGKILL));
    scene.read(0..1);
    sent.extend(scene.sweep(false));
    assert!(!is_completed(&sent), "{sent:?}");
}

#[test]
fn a_host_that_is_stopped_while_it_starts_holds_no_other_host_up() {
    let close = |member| signal(Signal::SIGTERM, Target::Mains(vec![member]), Purpose::Close);
    // The service of the second host is not ready; the rank of the first host has not started.
    for is_ready in [false, true] {
        let mut scene = Scene::in_step(&[service(0, 0, ServiceEnd::Failure), Part::Process]);
        if is_ready {
            scene.step(Input::Ready { member: 0 });
        }
        let mut sent = scene.step(Input::Caught(libc::SIGTERM));
        sent.extend(scene.sweep(true));
        assert_eq!(signals(&sent).last(), Some(&&close(0)), "{sent:?}");
        sent.extend(scene.step(killed(0, libc::SIGTERM)));
        assert!(!told(&sent).iter().any(|news| matches!(news, News::Completed(_))), "{sent:?}");
    }
}

#[test]
fn a_stop_is_for_the_ranks_and_services_follow_them() {
    let mut scene = Scene::of(&[service(0, 0, ServiceEnd::Failure), Part::Process]);
    scene.step(Input::Ready { member: 0 });
    let sent = scene.step(Input::Caught(libc::SIGTERM));
    let purpose = Purpose::Stop(Signal::SIGTERM);
    assert_eq!(signals(&sent), [&signal(Signal::SIGTERM, Target::AllBut(vec![0]), purpose)]);
    scene.step(ended(1, 0));
    let sent = scene.sweep(true);
    assert_eq!(sent, [signal(Signal::SIGTERM, Target::Mains(vec![0]), Purpose::Close)]);
    // A second stop signal kills.
    let sent = scene.step(Input::Caught(libc::SIGTERM));
    assert_eq!(signals(&sent).len(), 1);
    assert!(matches!(scene.group.phase(), Phase::Killed { stop: Some(_), .. }));
}

#[test]
fn a_service_that_fails_before_the_ranks_started_leaves_them_unstarted() {
    let mut scene = Scene::of(&[service(0, 0, ServiceEnd::Failure), Part::Process]);
    scene.step(ended(0, 1));
    scene.read(0..1);
    assert_eq!(told(&scene.sweep(false)), [News::Failed(0)]);
    assert!(scene.group.phase().is_over(), "{:?}", scene.group.phase());
    assert!(!scene.group.members()[1].has_begun());
}

#[test]
fn a_host_that_only_serves_waits_for_the_ranks_of_others() {
    let close = signal(Signal::SIGTERM, Target::Mains(vec![0]), Purpose::Close);
    let mut scene = Scene::in_step(&[service(0, 0, ServiceEnd::Failure)]);
    // It has no rank, so it has nothing to do until services end.
    let ready = scene.step(Input::Ready { member: 0 });
    assert_eq!(told(&ready), [News::Ready(0), News::Completed(CommonStep::SCRIPT)]);
    assert_eq!(scene.sweep(true), []);
    // At an orderly stop, it serves the ranks of other hosts until they have saved.
    scene.step(Input::Caught(libc::SIGTERM));
    assert_eq!(scene.sweep(true), []);
    scene.step(Input::Allowed(CommonStep::close(0)));
    assert_eq!(scene.sweep(true), std::slice::from_ref(&close));
    // After a failure, it serves no host.
    let mut scene = Scene::in_step(&[service(0, 0, ServiceEnd::Failure)]);
    scene.step(Input::PeersStop(PeerStop::Failed));
    assert_eq!(scene.sweep(true), [close]);
}

#[test]
fn services_and_ranks_keep_step_with_those_of_other_hosts() {
    let quiet = ServiceEnd::Failure;
    let mut scene = Scene::in_step(&[service(0, 1, quiet), service(1, 0, quiet), Part::Process]);
    let started = |scene: &Scene| -> Vec<bool> { scene.group.members().iter().map(GroupMember::has_begun).collect() };
    let ready = scene.step(Input::Ready { member: 0 });
    assert_eq!(told(&ready)[1..], [News::Completed(CommonStep::start(0))]);
    assert_eq!(started(&scene), [true, false, false]);
    scene.step(Input::Allowed(CommonStep::start(1)));
    assert_eq!(started(&scene), [true, true, false]);
    let ready = scene.step(Input::Ready { member: 1 });
    assert_eq!(told(&ready)[1..], [News::Completed(CommonStep::SCRIPT.previous())]);
    scene.step(Input::Allowed(CommonStep::SCRIPT));
    assert_eq!(started(&scene), [true, true, true]);
    let end = scene.step(ended(2, 0));
    assert_eq!(told(&end)[1..], [News::Completed(CommonStep::SCRIPT)]);
    assert_eq!(scene.sweep(true), []);
    let close = |member| signal(Signal::SIGTERM, Target::Mains(vec![member]), Purpose::Close);
    scene.step(Input::Allowed(CommonStep::close(0)));
    assert_eq!(scene.sweep(true), [close(1)]);
    let end = scene.step(ended(1, 0));
    assert_eq!(told(&end)[1..], [News::Completed(CommonStep::close(0))]);
    assert_eq!(scene.sweep(true), []);
    scene.step(Input::Allowed(CommonStep::close(1)));
    assert_eq!(scene.sweep(true), [close(0)]);
}

#[test]
fn after_a_failure_services_end_in_their_order_but_wait_for_no_other_host() {
    let quiet = ServiceEnd::Failure;
    let mut scene = Scene::in_step(&[service(0, 1, quiet), service(0, 0, quiet), Part::Process]);
    scene.step(Input::Ready { member: 0 });
    scene.step(Input::Ready { member: 1 });
    scene.step(Input::Allowed(CommonStep::SCRIPT));
    scene.step(ended(2, 1));
    let close = |member| signal(Signal::SIGTERM, Target::Mains(vec![member]), Purpose::Close);
    // A Dask worker looks for its scheduler for 30 s if the scheduler ends first.
    assert_eq!(signals(&scene.sweep(true)).last(), Some(&&close(1)));
    assert_eq!(signals(&scene.sweep(true)), Vec::<&Action>::new());
    scene.step(killed(1, libc::SIGTERM));
    assert_eq!(signals(&scene.sweep(true)), [&close(0)]);
    let sent = scene.wait(CLOSE_TIME);
    assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Everything, Purpose::Kill(None))]);
}

#[test]
fn a_service_that_is_not_ready_in_time_is_killed_and_has_failed() {
    let mut scene = Scene::of(&[service(0, 0, ServiceEnd::Failure), Part::Process]);
    let sent = scene.wait(SERVICE);
    assert_eq!(told(&sent), [News::Late(0)]);
    assert_eq!(signals(&sent), [&signal(Signal::SIGKILL, Target::Only(vec![0]), Purpose::Again)]);
    assert_eq!(scene.group.deadline(), None);
    scene.step(killed(0, libc::SIGKILL));
    scene.read(0..1);
    assert_eq!(told(&scene.sweep(false)), [News::Failed(0)]);
    assert!(scene.group.phase().is_over());
}

#[test]
fn after_an_abort_the_other_ranks_have_a_moment_to_say_why_they_abort_too() {
    let mut scene = Scene::processes(3);
    scene.step(killed(0, libc::SIGABRT));
    assert!(signals(&scene.sweep(true)).is_empty());
    scene.step(killed(1, libc::SIGABRT));
    assert!(signals(&scene.sweep(true)).is_empty());
    scene.wait(ABORT_PATIENCE);
    assert_eq!(signals(&scene.sweep(true)).len(), 1);
    // Another failure ends the others at once.
    let mut scene = Scene::processes(3);
    scene.step(killed(0, libc::SIGABRT));
    assert!(signals(&scene.sweep(true)).is_empty());
    scene.step(ended(1, 1));
    assert_eq!(signals(&scene.sweep(true)).len(), 1);
}

#[test]
fn a_member_that_outlives_its_traceback_is_killed_and_counts_as_failed() {
    let mut scene = Scene::processes(2);
    let actions = scene.step(Input::Outlived { member: 1 });
    assert_eq!(actions.last(), Some(&signal(Signal::SIGKILL, Target::Only(vec![1]), Purpose::Again)));
    scene.step(killed(1, nix::libc::SIGKILL));
    let end = scene.group.members()[1].end().expect("an end");
    assert_eq!((end.ending, end.followed), (Ending::Exited(1), false));
    assert!(scene.sweep(true).contains(&signal(Signal::SIGTERM, Target::Everything, Purpose::Failure)));
    // The other member outlives its own traceback during its grace period.
    assert_eq!(scene.step(Input::Outlived { member: 0 }).len(), 2);
    scene.step(killed(0, nix::libc::SIGKILL));
    // A member that has ended is not killed.
    assert_eq!(scene.step(Input::Outlived { member: 0 }), []);
}

#[test]
fn the_grace_after_a_failure_can_be_shorter_than_that_of_a_stop() {
    let now = Instant::now();
    let failure_grace = GRACE / 2;
    for is_orderly in [true, false] {
        let timing = Timing { failure_grace, ..TIMING };
        let group = Group::new(&[(0, Part::Process), (1, Part::Process)], timing, Release::Free, CommonStep::LAST, now);
        let mut scene = Scene { group, now, begun: now, next_pid: 0 };
        let actions = scene.group.begin(now);
        scene.start(&actions);
        if is_orderly {
            scene.step(Input::Caught(Signal::SIGTERM as i32));
        } else {
            scene.step(ended(0, 1));
            scene.sweep(true);
        }
        scene.wait(if is_orderly { GRACE } else { failure_grace });
    }
}

#[test]
fn the_grace_after_the_failure_of_a_service_can_be_shorter_still() {
    let now = Instant::now();
    let (failure_grace, unserved_grace) = (GRACE / 2, GRACE / 4);
    for fails in [0, 2] {
        let timing = Timing { failure_grace, unserved_grace, ..TIMING };
        let parts = [(0, service(0, 0, ServiceEnd::Failure)), (1, Part::Process), (2, Part::Process)];
        let group = Group::new(&parts, timing, Release::Free, CommonStep::LAST, now);
        let mut scene = Scene { group, now, begun: now, next_pid: 0 };
        let actions = scene.group.begin(now);
        scene.start(&actions);
        scene.step(Input::Ready { member: 0 });
        scene.step(ended(fails, 1));
        scene.sweep(true);
        scene.wait(if fails == 0 { unserved_grace } else { failure_grace });
    }
}
