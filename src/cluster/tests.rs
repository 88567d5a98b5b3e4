use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::message::Message;
use super::{Audience, Command, Connection, Key, Membership, Observed, Stage, View, leader, member};
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

/// Returns the membership of the leader of a job with this number of hosts.
fn membership(hosts: usize, needs_all: bool) -> Membership {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let names: Vec<String> = (1..=hosts).map(|number| format!("algo-{number}")).collect();
    Membership {
        host: names[0].clone(),
        leader: names[0].clone(),
        hosts: names.clone(),
        nodes: if needs_all { names.clone() } else { Vec::new() },
        needs_all,
        addresses: BTreeMap::from([(names[0].clone(), "127.0.0.1".parse().expect("an address"))]),
        port,
        key: Key::new(&[b"of this test"]),
        patience: Duration::from_secs(300),
        least_hosts: None,
        profile: BTreeMap::new(),
        agent: None,
        task_engine: None,
        restarts: RestartLimits::default(),
    }
}

#[test]
fn hundreds_of_hosts_start_together_and_hear_of_a_failure() {
    // Both ends of every connection are in this process.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a higher limit");
    let membership = membership(HOSTS, true);
    let names = membership.hosts.clone();
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

/// Passes the bytes of a host on to the leader, and those of the leader until the host has answered its first message. Passes on
/// the rest when it is released.
async fn hold_the_second_message(listener: TcpListener, leader: SocketAddr, released: oneshot::Receiver<()>) {
    let (host, _) = listener.accept().await.expect("a host");
    let (mut from_host, mut to_host) = host.into_split();
    let (mut from_leader, mut to_leader) = TcpStream::connect(leader).await.expect("the leader").into_split();
    let mut first = [0; 1024];
    let length = from_leader.read(&mut first).await.expect("a message");
    to_host.write_all(&first[..length]).await.expect("passed on");
    let forward = async {
        let _ = tokio::io::copy(&mut from_host, &mut to_leader).await;
        let _ = to_leader.shutdown().await;
    };
    let back = async {
        released.await.expect("released");
        let _ = tokio::io::copy(&mut from_leader, &mut to_host).await;
    };
    tokio::join!(forward, back);
}

#[test]
fn a_host_that_succeeds_while_it_is_being_admitted_is_not_lost() {
    let leader = membership(2, false);
    let (near, far) = ("127.0.0.1", "127.0.0.2");
    let address = |ip: &str| SocketAddr::new(ip.parse().expect("an address"), leader.port);
    let addresses = BTreeMap::from([(leader.leader.clone(), address(far).ip())]);
    let member = Membership { host: "algo-2".to_owned(), addresses, ..leader.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(address(far)).await.expect("a port");
        let (release, released) = oneshot::channel();
        tokio::spawn(hold_the_second_message(listener, address(near), released));
        let mut first = Host::begin(leader.clone());
        let second = Host::begin(member);
        let admitted = timeout(Duration::from_secs(60), first.view.wait_for(|view| view.link == Connection::Connected));
        admitted.await.expect("in time").expect("the channel is there");
        second.send(Message::Finished);
        second.commands.send(Command::Leave(Audience::Expected)).expect("the channel is there");
        // The host is on this thread, so it learns of both before the message comes.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        release.send(()).expect("the message is held");
        first.send(Message::Finished);
        let ended = timeout(Duration::from_secs(60), first.view.wait_for(|view| view.stage.is_over()));
        let ended = ended.await.expect("in time").expect("the channel is there").stage.clone();
        assert!(matches!(ended, Stage::Over(None)), "{ended:?}");
    });
}
