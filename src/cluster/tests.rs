use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{mpsc, watch};

use tokio::time::timeout;

use super::message::Message;
use super::{Command, Key, Membership, Observed, Stage, View, leader, member};
use crate::event::{Cause, CauseEnding, Ending, Events, RankTally};
use crate::failure::RestartLimits;

/// The number of hosts. Both ends of every connection are in this process, so the cost is that of a leader of twice as
/// many.
const HOSTS: usize = 256;

/// A host of a job whose hosts are all in this process.
struct Host {
    commands: mpsc::UnboundedSender<Command>,
    view: watch::Receiver<View>,
}

impl Host {
    fn begin(membership: Membership) -> Host {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (sender, view) = watch::channel(View::default());
        let observed = Observed { view: sender, events: Events::new(&membership.host) };
        tokio::spawn(async move {
            if membership.host == membership.leader {
                leader::run(membership, receiver, &observed).await;
            } else {
                let (orders, _) = mpsc::channel(1);
                member::run(membership, receiver, &observed, orders).await;
            }
        });
        Host { commands, view }
    }

    fn send(&self, message: Message) {
        self.commands.send(Command::Tell(message)).expect("the channel is there");
    }
}

/// Waits until every host sees this, and returns the time that it took.
async fn all_see(what: &str, hosts: &mut [Host], see: impl Fn(&View) -> bool) -> Duration {
    let begun = Instant::now();
    for host in hosts {
        let seen = timeout(Duration::from_secs(60), host.view.wait_for(&see)).await;
        seen.unwrap_or_else(|_| panic!("a host waits in vain for {what}")).expect("the channel is there");
    }
    begun.elapsed()
}

#[test]
fn hundreds_of_hosts_start_together_and_hear_of_a_failure() {
    // Both ends of every connection are in this process.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a higher limit");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let names: Vec<String> = (1..=HOSTS).map(|number| format!("algo-{number}")).collect();
    let membership = Membership {
        host: String::new(),
        leader: names[0].clone(),
        hosts: names.clone(),
        nodes: names.clone(),
        needs_all: true,
        addresses: BTreeMap::from([(names[0].clone(), "127.0.0.1".parse().expect("an address"))]),
        port,
        key: Key::new(&[b"of this test"]),
        patience: Duration::from_secs(300),
        least_hosts: None,
        profile: BTreeMap::new(),
        agent: None,
        task_engine: None,
        restarts: RestartLimits::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        let mut hosts: Vec<Host> =
            names.iter().map(|host| Host::begin(Membership { host: host.clone(), ..membership.clone() })).collect();
        hosts.iter().for_each(|host| host.send(Message::Ready));
        all_see("the start", &mut hosts, |view| matches!(view.stage, Stage::Started)).await;
        let up = begun.elapsed();
        let ending = CauseEnding::Process(Ending::Exited(3));
        let cause = Box::new(Cause::new("ValueError: bad data", ending));
        hosts[HOSTS - 1].send(Message::Failed { cause, is_final: true });
        let told = all_see("the stop", &mut hosts, |view| view.stage.is_stopping()).await;
        hosts.iter().for_each(|host| host.send(Message::Ended { ranks: RankTally { failed: 1, ended: Vec::new() } }));
        let judged = all_see("the verdict", &mut hosts, |view| view.stage.is_over()).await;
        for host in &hosts {
            let verdict = host.view.borrow().stage.verdict().cloned().expect("a verdict");
            assert_eq!((verdict.host.as_str(), verdict.cause.exit_code()), (names[HOSTS - 1].as_str(), 3));
        }
        println!("{HOSTS} hosts: up in {up:?}, a failure told to all in {told:?}, judged in {judged:?}");
    });
}
