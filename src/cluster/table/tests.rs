use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{HostTable, LeaderAction, Membership, Message, SETTLE_TIME};
use crate::cluster::{CONSEQUENCE_TIME, Key, PROVISIONAL_TIME, TASKS_TIME};
use crate::event::{
    Cause, CauseEnding, Collective, CommonStep, Ending, RankProgress, RankTally, SourcePlace, TaskFailure, Verdict,
};
use crate::failure::{self, RestartLimits};
use crate::redact::Redactor;

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("algo-{n}")).collect()
}

fn membership(count: usize, spans: bool) -> Membership {
    let hosts = names(count);
    Membership {
        host: "algo-1".to_owned(),
        leader: "algo-1".to_owned(),
        nodes: if spans { hosts.clone() } else { Vec::new() },
        needs_all: spans,
        hosts,
        addresses: BTreeMap::new(),
        port: 0,
        key: Key::new(&[]),
        patience: Duration::from_secs(900),
        least_hosts: None,
        profile: BTreeMap::new(),
        agent: None,
        task_engine: None,
        restarts: RestartLimits::default(),
    }
}

fn table(count: usize, spans: bool, now: Instant) -> HostTable {
    let membership = membership(count, spans);
    let mut table = HostTable::new(&membership, now);
    for host in &membership.hosts[1..] {
        table.may_join(host).expect("may join");
        assert_eq!(table.joined(host), []);
    }
    table
}

fn cause(host: &str, text: &str) -> Cause {
    let ending = CauseEnding::Process(Ending::Exited(3));
    Cause { host: Some(host.to_owned()), rank: Some(1), ..Cause::new(text, ending) }
}

fn failure(host: &str, text: &str) -> Message {
    Message::Failed { cause: Box::new(cause(host, text)), is_final: true }
}

/// The host and the failure text of the verdict among these actions.
fn verdict(actions: &[LeaderAction]) -> (String, String) {
    let found = actions.iter().find_map(|action| match action {
        LeaderAction::All(Message::Verdict(verdict)) => Some(verdict),
        _ => None,
    });
    let verdict: &Verdict = found.unwrap_or_else(|| panic!("no verdict: {actions:?}"));
    (verdict.host.clone(), failure::text(&verdict.cause, &Redactor::default()))
}

/// A host and a text, to compare a verdict with.
fn told(host: &str, text: &str) -> (String, String) {
    (host.to_owned(), text.to_owned())
}

#[test]
fn all_start_when_the_last_one_is_ready() {
    let now = Instant::now();
    let mut table = table(64, true, now);
    for host in &names(64)[..63] {
        assert_eq!(table.handle(host, Message::Ready, now), []);
    }
    assert_eq!(table.waiting_for(), ["algo-64 (not ready)"]);
    assert_eq!(table.handle("algo-64", Message::Ready, now), [LeaderAction::All(Message::Start)]);
}

#[test]
fn a_start_that_does_not_need_all_waits_for_those_that_are_there() {
    let now = Instant::now();
    let mut table = HostTable::new(&Membership { needs_all: false, ..membership(3, true) }, now);
    table.joined("algo-2");
    assert_eq!(table.handle("algo-1", Message::Ready, now), []);
    assert_eq!(table.deadline(), None);
    assert_eq!(table.handle("algo-2", Message::Ready, now), [LeaderAction::All(Message::Start)]);
    // One host has not connected when another fails.
    let mut failed = HostTable::new(&Membership { needs_all: false, ..membership(3, true) }, now);
    failed.joined("algo-2");
    failed.handle("algo-1", failure("algo-1", "Timeout"), now);
    failed.handle("algo-1", Message::Ended { ranks: RankTally { failed: 1, ended: Vec::new() } }, now);
    let decided = failed.handle("algo-2", Message::Ended { ranks: RankTally { failed: 0, ended: Vec::new() } }, now);
    let text = "Timeout\nhost algo-1, rank 1, exit code 3\nhost algo-3 was not connected";
    assert_eq!(verdict(&decided), told("algo-1", text));
    // A host that connects late need not wait for anybody.
    assert_eq!(table.joined("algo-3"), []);
    let start = LeaderAction::To("algo-3".to_owned(), Message::Start);
    assert_eq!(table.handle("algo-3", Message::Ready, now), [start]);
}

#[test]
fn the_first_failure_that_is_no_consequence_is_the_cause() {
    let now = Instant::now();
    let mut table = table(3, true, now);
    let stop = table.handle("algo-3", failure("algo-3", "Connection reset"), now);
    assert_eq!(
        stop,
        [LeaderAction::All(Message::Stop { why: "host algo-3: Connection reset".to_owned(), is_orderly: false })]
    );
    assert_eq!(table.deadline(), Some(now + SETTLE_TIME + CONSEQUENCE_TIME));
    assert_eq!(table.handle("algo-2", failure("algo-2", "ValueError: bad"), now), []);
    assert_eq!(table.handle("algo-1", failure("algo-1", "ValueError: worse"), now), []);
    for host in ["algo-3", "algo-2"] {
        assert_eq!(table.handle(host, Message::Ended { ranks: RankTally { failed: 8, ended: Vec::new() } }, now), []);
    }
    let decided = table.handle("algo-1", Message::Ended { ranks: RankTally { failed: 8, ended: Vec::new() } }, now);
    let text = "ValueError: bad\nhost algo-2, rank 1, exit code 3, 23 other ranks failed after it";
    assert_eq!(verdict(&decided), told("algo-2", text));
    assert_eq!(decided[1..], [LeaderAction::All(Message::Over)]);
    // Nothing changes the verdict any more, and a host that connects late receives it.
    assert_eq!(table.lost("algo-1", "gone", now), []);
    assert_eq!(table.tick(now + SETTLE_TIME), []);
}

#[test]
fn the_suspects_of_a_timeout_are_found_across_hosts() {
    let now = Instant::now();
    let late = |host: &str, ranks: [usize; 2]| {
        let progress =
            || RankProgress { operation: "ALLREDUCE".to_owned(), number: Some(7), ..RankProgress::default() };
        let late = ranks.map(|rank| (rank, progress())).into();
        let collective = Some(Collective { late, ..Collective::default() });
        let cause = Cause { collective, ..cause(host, "Watchdog caught collective operation timeout") };
        Message::Failed { cause: Box::new(cause), is_final: true }
    };
    let ended = |failed, ended: &[usize]| Message::Ended { ranks: RankTally { failed, ended: ended.to_vec() } };
    let mut table = table(3, true, now);
    table.handle("algo-1", late("algo-1", [0, 1]), now);
    table.handle("algo-2", late("algo-2", [2, 3]), now);
    for (host, message) in [("algo-1", ended(2, &[])), ("algo-2", ended(2, &[]))] {
        assert_eq!(table.handle(host, message, now), []);
    }
    let decided = table.handle("algo-3", ended(0, &[5]), now);
    let text = verdict(&decided).1;
    assert!(text.contains("on ranks 0, 1, 2, 3; suspect: rank 5, which said nothing before it was ended;"), "{text}");
    assert!(text.contains("3 other ranks failed after it, 1 other rank was ended"), "{text}");
}

#[test]
fn hosts_that_use_their_grace_do_not_hold_the_verdict_up() {
    let now = Instant::now();
    let mut table = table(3, false, now);
    table.handle("algo-2", Message::Failed { cause: Box::new(cause("algo-2", "exit code 3")), is_final: false }, now);
    table.handle("algo-2", failure("algo-2", "ValueError: bad"), now);
    // A late account changes nothing.
    let late = Message::Failed { cause: Box::new(cause("algo-2", "exit code 3")), is_final: false };
    assert_eq!(table.handle("algo-2", late, now), []);
    assert_eq!(table.tick(now + SETTLE_TIME / 2), []);
    let decided = table.tick(now + SETTLE_TIME);
    assert_eq!(verdict(&decided).0, "algo-2");
    assert!(verdict(&decided).1.starts_with("ValueError: bad\n"));
    // The job is over only when the ranks have ended, because mpirun's daemons are needed until then.
    assert_eq!(decided.len(), 1);
    for host in ["algo-1", "algo-2"] {
        assert_eq!(table.handle(host, Message::Ended { ranks: RankTally { failed: 1, ended: Vec::new() } }, now), []);
    }
    assert_eq!(table.lost("algo-3", "it closed the connection", now), [LeaderAction::All(Message::Over)]);
    assert_eq!(table.close(), []);
}

#[test]
fn a_verdict_waits_longer_for_a_host_with_a_provisional_account() {
    let now = Instant::now();
    let provisional = |host: &str| Message::Failed { cause: Box::new(cause(host, "exit code 3")), is_final: false };
    // The last account decides as soon as it arrives.
    let mut late = table(2, true, now);
    late.handle("algo-2", provisional("algo-2"), now);
    late.handle("algo-1", failure("algo-1", "Connection reset"), now);
    assert_eq!(late.deadline(), Some(now + SETTLE_TIME + PROVISIONAL_TIME));
    assert_eq!(late.tick(now + SETTLE_TIME), []);
    late.handle("algo-2", failure("algo-2", "ValueError: bad"), now + SETTLE_TIME * 2);
    assert_eq!(late.deadline(), Some(now + SETTLE_TIME));
    assert!(verdict(&late.tick(now + SETTLE_TIME * 2)).1.starts_with("ValueError: bad\n"));
    // The wait for it is limited, and ends if its host has ended.
    let mut never = table(2, true, now);
    never.handle("algo-2", provisional("algo-2"), now);
    assert_eq!(never.tick(now + SETTLE_TIME), []);
    assert_eq!(verdict(&never.tick(now + SETTLE_TIME + PROVISIONAL_TIME)).0, "algo-2");
    let mut ended = table(2, true, now);
    ended.handle("algo-2", provisional("algo-2"), now);
    ended.handle("algo-2", Message::Ended { ranks: RankTally { failed: 1, ended: Vec::new() } }, now);
    assert_eq!(verdict(&ended.tick(now + SETTLE_TIME)).0, "algo-2");
}

#[test]
fn an_exception_of_a_task_has_the_host_on_which_the_task_ran() {
    let now = Instant::now();
    let place = || Some(SourcePlace { path: "train.py".to_owned(), line: 4, function: None });
    let failed =
        |headline: &str| Message::TasksFailed(vec![TaskFailure { headline: headline.to_owned(), place: place() }]);
    let of_script = || {
        let cause = Cause { place: place(), ..cause("algo-1", "ValueError: bad") };
        Message::Failed { cause: Box::new(cause), is_final: true }
    };
    let membership = Membership { task_engine: Some("Dask"), ..membership(3, true) };
    let begun = || {
        let mut table = HostTable::new(&membership, now);
        table.joined("algo-2");
        table.joined("algo-3");
        table.handle("algo-1", of_script(), now);
        table
    };
    // The verdict waits for the tasks of all hosts.
    let mut table = begun();
    table.handle("algo-1", Message::TasksFailed(Vec::new()), now);
    table.handle("algo-3", failed("ValueError: old"), now);
    assert_eq!(table.tick(now + SETTLE_TIME), []);
    assert_eq!(table.handle("algo-2", failed("ValueError: bad"), now + SETTLE_TIME), []);
    let text = "ValueError: bad\nat train.py:4 (Dask task on host algo-2)\nhost algo-1, rank 1, exit code 3";
    assert_eq!(verdict(&table.tick(now + SETTLE_TIME)), told("algo-1", text));
    // It does not wait long for a host that does not report them, and not for one that is lost.
    let mut silent = begun();
    assert_eq!(silent.deadline(), Some(now + SETTLE_TIME + TASKS_TIME));
    let text = "ValueError: bad\nat train.py:4\nhost algo-1, rank 1, exit code 3";
    assert_eq!(verdict(&silent.tick(now + SETTLE_TIME + TASKS_TIME)), told("algo-1", text));
    let mut lost = begun();
    lost.handle("algo-1", failed("KeyError: 1"), now);
    lost.handle("algo-2", failed("KeyError: 1"), now);
    lost.lost("algo-3", "it closed the connection", now);
    assert_eq!(verdict(&lost.tick(now + SETTLE_TIME)), told("algo-1", text));
}

#[test]
fn a_lost_host_is_the_cause_unless_it_had_finished() {
    let now = Instant::now();
    let mut table = table(3, false, now);
    assert_eq!(table.handle("algo-3", Message::Finished, now), []);
    assert_eq!(table.lost("algo-3", "it closed the connection", now), []);
    table.handle("algo-1", failure("algo-1", "Connection reset by peer"), now);
    table.lost("algo-2", "it closed the connection", now);
    let decided = table.tick(now + SETTLE_TIME);
    assert_eq!(verdict(&decided).0, "algo-2");
    assert!(verdict(&decided).1.starts_with("host algo-2 is lost: it closed the connection\n"));
}

#[test]
fn it_is_over_when_every_host_that_is_there_has_finished() {
    let now = Instant::now();
    let mut table = HostTable::new(&membership(3, false), now);
    table.joined("algo-2");
    assert_eq!(table.deadline(), None, "one process a host waits for nobody");
    assert_eq!(table.handle("algo-1", Message::Finished, now), []);
    assert_eq!(table.handle("algo-2", Message::Finished, now), [LeaderAction::All(Message::Over)]);
}

#[test]
fn hosts_that_never_come_are_named() {
    let now = Instant::now();
    let mut table = HostTable::new(&Membership { patience: Duration::from_secs(5), ..membership(12, true) }, now);
    for host in &names(12)[1..10] {
        table.joined(host);
    }
    assert_eq!(table.deadline(), Some(now + Duration::from_secs(5)));
    table.tick(now + Duration::from_secs(5));
    let decided = table.tick(now + Duration::from_secs(5) + SETTLE_TIME);
    assert!(verdict(&decided).1.starts_with("hosts algo-11, algo-12 have not come within 5 s"), "{decided:?}");
}

#[test]
fn strangers_and_doubles_are_refused() {
    let table = table(2, false, Instant::now());
    assert!(table.may_join("algo-9").expect_err("a stranger").contains("no host of this job"));
    assert!(table.may_join("algo-2").expect_err("a double").contains("there already"));
    assert!(table.may_join("algo-1").expect_err("the leader").contains("there already"));
}

#[test]
fn a_host_with_another_configuration_is_named_with_what_differs() {
    let now = Instant::now();
    let profile = |launcher: &str| BTreeMap::from([("launcher".to_owned(), launcher.to_owned())]);
    let mut spanning = HostTable::new(&Membership { profile: profile("mpi"), ..membership(2, true) }, now);
    spanning.joined("algo-2");
    spanning.handle("algo-2", Message::Hello(profile("torchrun")), now);
    let decided = spanning.tick(now + SETTLE_TIME);
    assert!(
        verdict(&decided).1.starts_with("host algo-2 does not have the same launcher as host algo-1"),
        "{decided:?}"
    );
    let mut apart = HostTable::new(&Membership { profile: profile("mpi"), ..membership(2, false) }, now);
    apart.joined("algo-2");
    let noted = apart.handle("algo-2", Message::Hello(profile("torchrun")), now);
    assert!(matches!(noted.as_slice(), [LeaderAction::Note(_)]), "{noted:?}");
    // A host's hello counts only once, so a host cannot fill the log.
    assert_eq!(apart.handle("algo-2", Message::Hello(profile("xla")), now), []);
    let mut equal = HostTable::new(&Membership { profile: profile("mpi"), ..membership(2, true) }, now);
    equal.joined("algo-2");
    assert_eq!(equal.handle("algo-2", Message::Hello(profile("mpi")), now), []);
}

#[test]
fn a_host_that_repeats_itself_or_goes_back_changes_nothing() {
    let now = Instant::now();
    let mut table = table(2, true, now);
    table.handle("algo-1", Message::Ready, now);
    assert_eq!(table.handle("algo-2", Message::Ready, now), [LeaderAction::All(Message::Start)]);
    assert_eq!(table.handle("algo-2", Message::Ready, now), []);
    assert_eq!(table.handle("algo-2", Message::RankKilled, now), [LeaderAction::All(Message::RankKilled)]);
    assert_eq!(table.handle("algo-2", Message::RankKilled, now), []);
    table.handle("algo-2", failure("algo-2", "ValueError: bad"), now);
    table.handle("algo-2", Message::Ended { ranks: RankTally { failed: usize::MAX, ended: Vec::new() } }, now);
    // A second message that it is ready changes nothing. Otherwise the leader would wait for it again.
    assert_eq!(table.handle("algo-2", Message::Ready, now), []);
    let decided = table.handle("algo-1", Message::Ended { ranks: RankTally { failed: 1, ended: Vec::new() } }, now);
    assert!(verdict(&decided).1.starts_with("ValueError: bad"), "{decided:?}");
}

fn restarting(count: usize, failures: u32, now: Instant) -> HostTable {
    let restarts = RestartLimits { failures, preemptions: 0 };
    let mut table = HostTable::new(&Membership { restarts, ..membership(count, true) }, now);
    for host in &names(count)[1..] {
        table.joined(host);
    }
    for host in names(count) {
        table.handle(&host, Message::Ready, now);
    }
    table
}

/// Ends the ranks of a host that could run them again.
fn ends_willing(table: &mut HostTable, host: &str, now: Instant) -> Vec<LeaderAction> {
    assert_eq!(table.handle(host, Message::Willing, now), []);
    table.handle(host, Message::Ended { ranks: RankTally { failed: 1, ended: Vec::new() } }, now)
}

#[test]
fn all_hosts_run_their_ranks_again_when_all_have_ended() {
    let now = Instant::now();
    let mut table = restarting(3, 1, now);
    table.handle("algo-2", failure("algo-2", "ValueError: row 7"), now);
    assert_eq!(ends_willing(&mut table, "algo-2", now), []);
    // A host that has ended without a failure runs its ranks again, too.
    table.handle("algo-1", Message::Willing, now);
    table.handle("algo-1", Message::Finished, now);
    // The last host uses its grace period. Nothing is decided meanwhile.
    let later = now + SETTLE_TIME * 5;
    assert_eq!(table.tick(later), []);
    let actions = ends_willing(&mut table, "algo-3", later);
    let [LeaderAction::All(Message::Restart { attempt: 1, pause, verdict: first })] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((*pause, first.cause.headline.as_str()), (Duration::ZERO, "ValueError: row 7"));
    // The next failure is the last one.
    let stop = table.handle("algo-3", failure("algo-3", "ValueError: row 8"), later);
    assert!(matches!(stop[..], [LeaderAction::All(Message::Stop { .. })]), "{stop:?}");
    ends_willing(&mut table, "algo-1", later);
    ends_willing(&mut table, "algo-2", later);
    let (host, text) = verdict(&ends_willing(&mut table, "algo-3", later));
    assert_eq!(host, "algo-3");
    assert!(text.contains("\nattempts: 2, which all failed alike\n"), "{text}");
}

#[test]
fn nothing_is_run_again_after_a_loss_a_stop_or_by_a_host_that_cannot() {
    let now = Instant::now();
    let mut table = restarting(2, 9, now);
    table.handle("algo-1", failure("algo-1", "ValueError: bad"), now);
    table.lost("algo-2", "its connection was closed", now);
    assert_eq!(verdict(&ends_willing(&mut table, "algo-1", now)).0, "algo-1");

    let mut table = restarting(2, 9, now);
    let stop = Box::new(Cause::new("the job was told to stop by SIGTERM", CauseEnding::NoProcess(0)));
    table.handle("algo-1", Message::Failed { cause: stop, is_final: true }, now);
    ends_willing(&mut table, "algo-1", now);
    verdict(&ends_willing(&mut table, "algo-2", now));

    let mut table = restarting(2, 9, now);
    table.handle("algo-1", failure("algo-1", "ValueError: bad"), now);
    table.handle("algo-2", Message::Ended { ranks: RankTally::default() }, now);
    verdict(&table.tick(now + SETTLE_TIME));
}

#[test]
fn a_step_is_allowed_when_every_host_has_completed_the_last() {
    let now = Instant::now();
    let mut table = table(3, true, now);
    names(3).iter().for_each(|host| drop(table.handle(host, Message::Ready, now)));
    let allowed = |step| vec![LeaderAction::All(Message::Allowed(step))];
    let mut completes = |host: &str, step| table.handle(host, Message::Completed(step), now);
    assert_eq!(completes("algo-1", CommonStep::start(0)), []);
    assert_eq!(completes("algo-2", CommonStep::start(0)), []);
    assert_eq!(completes("algo-3", CommonStep::start(0)), allowed(CommonStep::start(1)));
    // The first host has nothing to do before the script. No host goes back a step.
    assert_eq!(completes("algo-1", CommonStep::SCRIPT.previous()), []);
    assert_eq!(completes("algo-1", CommonStep::NONE), []);
    assert_eq!(completes("algo-2", CommonStep::SCRIPT), []);
    assert_eq!(completes("algo-3", CommonStep::SCRIPT), allowed(CommonStep::SCRIPT));
    assert_eq!(completes("algo-1", CommonStep::close(0)), allowed(CommonStep::close(0)));
    // A host that has ended does not hold up the others.
    assert_eq!(table.handle("algo-2", Message::Finished, now), []);
    assert_eq!(table.handle("algo-3", Message::Finished, now)[..1], allowed(CommonStep::close(1))[..]);
}

#[test]
fn after_a_failure_nothing_starts_and_services_end_in_order() {
    let now = Instant::now();
    let mut table = table(3, true, now);
    names(3).iter().for_each(|host| drop(table.handle(host, Message::Ready, now)));
    let is_allowed = |actions: &[LeaderAction], step| actions.contains(&LeaderAction::All(Message::Allowed(step)));
    let before = CommonStep::SCRIPT.previous();
    assert_eq!(table.handle("algo-1", Message::Completed(before), now), []);
    assert_eq!(table.handle("algo-3", Message::Completed(before), now), []);
    table.handle("algo-2", failure("algo-2", "the disk is slow"), now);
    let ended = table.handle("algo-2", Message::Ended { ranks: RankTally::default() }, now);
    assert!(!is_allowed(&ended, CommonStep::SCRIPT), "{ended:?}");
    assert!(!is_allowed(&table.handle("algo-1", Message::Completed(CommonStep::SCRIPT), now), CommonStep::SCRIPT));
    let last = table.handle("algo-3", Message::Completed(CommonStep::SCRIPT), now);
    assert!(is_allowed(&last, CommonStep::close(0)), "{last:?}");
}

#[test]
fn a_launch_with_fewer_hosts_goes_on_without_those_that_serve() {
    let now = Instant::now();
    let least = |count| Membership { least_hosts: Some(count), ..membership(4, true) };
    let mut table = HostTable::new(&least(2), now);
    for host in &names(4)[1..3] {
        assert_eq!(table.joined(host), []);
    }
    for host in &names(4)[..3] {
        assert_eq!(table.handle(host, Message::Ready, now), []);
    }
    // The fourth host does not connect.
    let late = now + Duration::from_secs(900);
    assert_eq!(table.deadline(), Some(late));
    assert!(table.tick(late).contains(&LeaderAction::All(Message::Start)));
    assert_eq!(table.deadline(), None);
    for host in ["algo-2", "algo-3"] {
        assert_eq!(table.handle(host, Message::Completed(CommonStep::SCRIPT), late), []);
    }
    let allowed = vec![LeaderAction::All(Message::Allowed(CommonStep::SCRIPT))];
    assert_eq!(table.handle("algo-1", Message::Completed(CommonStep::SCRIPT.previous()), late), allowed);
    // It connects later, and is informed of the others' progress.
    let told = |message| LeaderAction::To("algo-4".to_owned(), message);
    assert_eq!(table.joined("algo-4"), []);
    let expected = vec![told(Message::Start), told(Message::Allowed(CommonStep::SCRIPT))];
    assert_eq!(table.handle("algo-4", Message::Ready, late), expected);
    // Two of the three hosts that run only services can be lost.
    for host in ["algo-2", "algo-3"] {
        let lost = table.lost(host, "gone", late);
        assert!(lost.iter().all(|action| matches!(action, LeaderAction::Note(_))), "{lost:?}");
    }
    let lost = table.lost("algo-4", "gone", late);
    assert!(lost.iter().any(|action| matches!(action, LeaderAction::All(Message::Stop { .. }))), "{lost:?}");
}

#[test]
fn the_loss_of_a_spare_host_does_not_hold_the_others_up() {
    let now = Instant::now();
    let mut table = HostTable::new(&Membership { least_hosts: Some(1), ..membership(3, true) }, now);
    for host in &names(3)[1..] {
        table.joined(host);
    }
    for host in ["algo-1", "algo-2", "algo-3"] {
        table.handle(host, Message::Completed(CommonStep::SCRIPT), now);
    }
    for host in ["algo-1", "algo-3"] {
        assert_eq!(table.handle(host, Message::Completed(CommonStep::close(0)), now), []);
    }
    let lost = table.lost("algo-2", "gone", now);
    assert!(lost.contains(&LeaderAction::All(Message::Allowed(CommonStep::close(1)))), "{lost:?}");
}

#[test]
fn a_host_that_runs_a_script_is_always_needed() {
    let now = Instant::now();
    let mut table = HostTable::new(&Membership { least_hosts: Some(1), ..membership(2, true) }, now);
    table.joined("algo-2");
    table.handle("algo-1", Message::Completed(CommonStep::SCRIPT), now);
    table.handle("algo-2", Message::Completed(CommonStep::SCRIPT.previous()), now);
    let lost = table.lost("algo-2", "gone", now);
    assert!(lost.iter().any(|action| matches!(action, LeaderAction::All(Message::Stop { .. }))), "{lost:?}");
}

#[test]
fn a_host_that_ends_before_the_launch_is_not_waited_for() {
    let now = Instant::now();
    let ended = || Message::Ended { ranks: RankTally { failed: 0, ended: Vec::new() } };
    for end in [Message::Finished, ended()] {
        let mut table = table(2, true, now);
        table.handle("algo-1", Message::Ready, now);
        let stop = table.handle("algo-2", end.clone(), now);
        let why = "host algo-2: host algo-2 ended before the launch, which needs every host".to_owned();
        assert_eq!(stop, [LeaderAction::All(Message::Stop { why, is_orderly: false })]);
        let (host, text) = verdict(&table.tick(now + SETTLE_TIME));
        assert_eq!(host, "algo-2");
        assert!(text.ends_with("exit code 68\nhint: see the log of algo-2"), "{text}");
        // A launch that does not need all hosts starts without this one.
        let mut table = HostTable::new(&Membership { needs_all: false, ..membership(3, true) }, now);
        table.joined("algo-2");
        assert_eq!(table.handle("algo-1", Message::Ready, now), []);
        assert_eq!(table.handle("algo-2", end, now), [LeaderAction::All(Message::Start)]);
    }
}

#[test]
fn a_host_that_does_not_come_may_be_the_one_with_another_key() {
    let now = Instant::now();
    let said = |other_key: &[&str]| {
        let mut table = HostTable::new(&membership(2, true), now);
        other_key.iter().for_each(|address| table.met_other_key(address.parse().expect("an address")));
        let late = now + Duration::from_secs(900);
        table.tick(late);
        verdict(&table.tick(late + SETTLE_TIME)).1
    };
    assert!(said(&[]).ends_with("did not start, or its network does not reach the other hosts"), "{}", said(&[]));
    let text = said(&["10.0.0.7", "10.0.0.8"]);
    assert!(text.contains("or it is the one at 10.0.0.7, which has another key: all hosts need the same "), "{text}");
}
