//! Strangers at the leader's port, and hosts that have the key and lie.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use footplate::event::{Cause, CauseEnding};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use super::hosts::{Hosts, PORT, address};
use super::job::eventually;
use super::running::Running;

const SECRET: &str = "a secret of these tests";

/// Returns the bytes of parts as the protocol joins them: each after its length.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
}

fn tag(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), &joined(parts)).as_ref().to_vec()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).expect("a length").to_be_bytes()[..], payload].concat()
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a frame");
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).expect("a whole frame");
    frame
}

/// A host that has the key and says what it likes.
struct Liar {
    stream: TcpStream,
    session: Vec<u8>,
    number: u64,
}

impl Liar {
    /// Connects to the leader as `algo-2`.
    fn connect() -> Liar {
        let key = tag(b"footplate cluster key", &[SECRET.as_bytes()]);
        let mut stream = eventually("the leader's port", || TcpStream::connect((address(1), PORT)).ok());
        let greeting = read_frame(&mut stream);
        let (theirs, own, name) = (&greeting[10..], [7; 32], b"algo-2");
        let proof = tag(&key, &[b"host", theirs, &own, name]);
        stream.write_all(&framed(&[&own[..], &proof, name].concat())).expect("written");
        assert_eq!(read_frame(&mut stream), tag(&key, &[b"leader", theirs, &own, name]));
        Liar { session: tag(&key, &[b"session", theirs, &own, name]), stream, number: 0 }
    }

    /// Returns the next frame of the session with this payload.
    fn frame(&mut self, payload: &[u8]) -> Vec<u8> {
        let tag = tag(&self.session, &[b"to leader", &self.number.to_be_bytes(), payload]);
        self.number += 1;
        framed(&[payload, &tag].concat())
    }

    fn say(&mut self, message: &Value) {
        let frame = self.frame(message.to_string().as_bytes());
        self.stream.write_all(&frame).expect("the leader takes it");
    }
}

/// A leader that has the key and says what it likes to `algo-2`.
struct FalseLeader {
    stream: TcpStream,
    session: Vec<u8>,
    number: u64,
}

impl FalseLeader {
    fn accept(listener: &TcpListener) -> FalseLeader {
        let key = tag(b"footplate cluster key", &[SECRET.as_bytes()]);
        let (mut stream, _) = listener.accept().expect("a connection");
        let own = [9; 32];
        stream.write_all(&framed(&[&b"footplate\x01"[..], &own].concat())).expect("written");
        let answer = read_frame(&mut stream);
        let (theirs, name) = (&answer[..32], &answer[64..]);
        stream.write_all(&framed(&tag(&key, &[b"leader", &own, theirs, name]))).expect("written");
        FalseLeader { session: tag(&key, &[b"session", &own, theirs, name]), stream, number: 0 }
    }

    fn say(&mut self, message: &Value) {
        let payload = message.to_string().into_bytes();
        let tag = tag(&self.session, &[b"from leader", &self.number.to_be_bytes(), &payload]);
        self.number += 1;
        self.stream.write_all(&framed(&[payload, tag].concat())).expect("the host takes it");
    }
}

/// An account of a failure with this headline and ending, by which another host failed.
fn failed(headline: &str, ending: Value) -> Value {
    let mut cause = serde_json::to_value(Cause::new(headline, CauseEnding::NoProcess(1))).expect("JSON");
    cause["ending"] = ending;
    cause["host"] = "evil.example".into();
    cause["absent_hosts"] = json!(["evil.example"]);
    cause["rank"] = 1.into();
    json!({"Failed": {"cause": cause, "is_final": true}})
}

/// The end of the ranks of a host, of which this many failed.
fn ended(failed: u64) -> Value {
    json!({"Ended": {"ranks": {"failed": failed, "ended": []}}})
}

/// Two hosts, of which the second is not footplate. Returns the leader, whose rank runs.
fn leader_with_liar() -> (Hosts, Running, Liar) {
    // The rank stays until it is told, so that the leader does not leave.
    let script = "import signal\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote('up')\nwait_for('end')\n";
    let hosts = Hosts::new(2, script).ranks(1);
    let hosts = hosts.variable("FOOTPLATE_CLUSTER_KEY", SECRET);
    let leader = Running::start(&hosts.jobs[0], ["train"]);
    let mut liar = Liar::connect();
    liar.say(&json!("Ready"));
    leader.noted("up", 1);
    (hosts, leader, liar)
}

fn peak_of(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn strangers_that_take_all_places_do_not_keep_a_host_out() {
    let hosts = Hosts::new(2, "from notes import wait_for\nwait_for('go')\n").ranks(1);
    let leader = Running::start(&hosts.jobs[0], ["train"]);
    eventually("the leader's port", || TcpStream::connect((address(1), PORT)).ok());
    let port = SocketAddr::new(address(1).parse().expect("an address"), PORT);
    let ends = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ends);
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for stranger in 0..60 {
                // Some are silent, some send a byte now and then. All come back at once when they are turned away.
                let (own, has_ended) = (address(100 + stranger % 30), Arc::clone(&has_ended));
                tasks.spawn(async move {
                    while !has_ended.load(Ordering::Relaxed) {
                        let socket = TcpSocket::new_v4().expect("a socket");
                        socket.bind(SocketAddr::new(own.parse().expect("an address"), 0)).expect("bound");
                        let Ok(mut stream) = socket.connect(port).await else { continue };
                        let mut buffer = [0; 64];
                        while let Ok(Ok(1..)) =
                            tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await
                        {
                            let _ = stream.try_write(b"\0");
                        }
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
        });
    });
    leader.says("is refused");
    let member = Running::start(&hosts.jobs[1], ["train"]);
    member.says("connected to host algo-1");
    for host in [&leader, &member] {
        host.says("ready in");
        host.tell("go");
    }
    ends.store(true, Ordering::Relaxed);
    let [leader, member]: [_; 2] = hosts.end(vec![leader, member]).try_into().expect("two hosts");
    let lines = leader.stderr.matches("refused").count();
    assert!((1..=9).contains(&lines), "{lines} lines about strangers: {}", leader.stderr);
    leader.succeeded();
    member.succeeded();
    flood.join().expect("no panic");
}

#[test]
fn a_host_that_lies_about_its_exit_code_cannot_make_the_job_succeed() {
    for ending in [json!({"process": {"exited": 256}}), json!({"process": {"exited": 0}}), json!({"no_process": 512})] {
        let (hosts, leader, mut liar) = leader_with_liar();
        liar.say(&failed("boom", ending));
        liar.say(&ended(u64::MAX));
        leader.tell("end");
        let ended = leader.end(&hosts.jobs[0]).failed(1, "boom\n");
        assert!(ended.failure().contains("host algo-2, rank 1, "), "{}", ended.failure());
        assert!(!ended.failure().contains("evil") && !ended.success, "{}", ended.failure());
    }
}

#[test]
fn a_host_that_floods_the_leader_fills_neither_its_memory_nor_its_log() {
    let (hosts, leader, mut liar) = leader_with_liar();
    // What only a leader may say, and what another version may say.
    let verdict = json!({"Verdict": {"host": "x", "exit_code": 0, "text": "t"}});
    for message in [json!("Start"), json!("Over"), json!({"Execute": {"id": 1, "command": "false"}}), verdict] {
        liar.say(&message);
    }
    let profile: serde_json::Map<String, Value> =
        (0..8000).map(|number| (number.to_string(), Value::from("y".repeat(100)))).collect();
    for number in 0..40 {
        liar.say(&failed(&format!("boom {}\u{1b}[2J{number}", "x".repeat(900_000)), json!({"process": {"exited": 3}})));
        liar.say(&json!({"Hello": profile}));
        liar.say(&json!("Ready"));
        liar.say(&json!("RankKilled"));
        liar.say(&json!({"Paused": "z".repeat(900_000)}));
    }
    leader.says("the job has failed, host algo-2: boom");
    let peak = peak_of(&leader);
    assert!(peak < 40 << 10, "the leader's peak is {peak} KiB");
    liar.say(&ended(1));
    leader.tell("end");
    let ended = leader.end(&hosts.jobs[0]).failed(3, "boom xxx");
    assert!(ended.failure().chars().count() <= 1024, "{}", ended.failure());
    assert!(!ended.failure().contains("evil"), "{}", ended.failure());
    assert!(ended.stderr.len() < 16 << 10, "{} bytes of log", ended.stderr.len());
}

#[test]
fn claims_at_the_limits_of_their_numbers_harm_nothing() {
    let (hosts, leader, mut liar) = leader_with_liar();
    let most = u64::MAX;
    let sign = json!({"at_ms": most, "quiet_ms": most});
    let group = json!({"ranks": [most, 0, most], "stack": ["x"], "place": null, "wait": null, "silent_ms": most});
    let activities = json!([{"Network": most}, {"InputOutput": most}, {"Power": u32::MAX}, {"Computing": most}]);
    let found = json!({"method": null, "groups": vec![group; 300], "activities": activities});
    let verdict = json!({"host": "evil.example", "cause": {}});
    let ranks: Vec<u64> = (0..40_000).map(|rank| most - rank).collect();
    for message in [
        // Steps that are not there, backwards, and without a service.
        json!({"Completed": u16::MAX}),
        json!({"Completed": 0}),
        json!({"Completed": 300}),
        json!({"Allowed": 3}),
        json!({"Watch": {"Quiet": sign}}),
        json!({"Watch": {"Quiet": {"at_ms": 0, "quiet_ms": most}}}),
        json!({"Watch": {"Quiet": null}}),
        json!({"Watch": {"Matched": {"rule": "x".repeat(900_000), "last": sign}}}),
        json!({"Watch": {"Found": {"id": most, "found": found}}}),
        json!({"Watch": {"Report": {"headline": "h", "after_ms": most, "method": null, "odd_ranks": [most], "groups": []}}}),
        json!({"Restart": {"attempt": u32::MAX, "pause": {"secs": most, "nanos": 999_999_999}, "verdict": verdict}}),
        json!({"Executed": {"id": most, "code": i32::MIN}}),
        json!("Willing"),
        json!("Ready"),
        json!({"Ended": {"ranks": {"failed": most, "ended": ranks}}}),
    ] {
        liar.say(&message);
    }
    for code in [-1, 0, 256] {
        liar.say(&failed("boom", json!({"no_process": code})));
    }
    liar.say(&failed("boom", json!({"process": {"exited": -1}})));
    liar.say(&ended(1));
    leader.says("the job has failed, host algo-2: boom");
    let peak = peak_of(&leader);
    assert!(peak < 40 << 10, "the leader's peak is {peak} KiB");
    leader.tell("end");
    let ended = leader.end(&hosts.jobs[0]);
    assert!(ended.code() != 0 && !ended.stderr.contains("itself failed"), "{ended:#?}");
    let ended = ended.failed(1, "boom\n");
    assert!(ended.failure().contains("host algo-2") && !ended.failure().contains("evil"), "{}", ended.failure());
    assert!(ended.stderr.len() < 16 << 10, "{} bytes of log", ended.stderr.len());
}

#[test]
fn a_leader_that_floods_a_host_with_commands_does_not_fill_its_log() {
    let listener = TcpListener::bind((address(1), PORT)).expect("the port");
    let hosts = Hosts::new(2, "from notes import note, wait_for\nnote('up')\nwait_for('end')\n").ranks(1);
    let hosts = hosts.variable("FOOTPLATE_CLUSTER_KEY", SECRET);
    let member = Running::start(&hosts.jobs[1], ["train"]);
    let mut leader = FalseLeader::accept(&listener);
    leader.say(&json!("Start"));
    member.noted("up", 1);
    for id in 0..500 {
        leader.say(&json!({"Execute": {"id": id, "command": "false"}}));
    }
    leader.say(&json!({"Stop": {"why": "boom", "is_orderly": false}}));
    let ended = member.end(&hosts.jobs[1]);
    assert_eq!(ended.stderr.matches("commands of host algo-1 are not run").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.len() < 16 << 10, "{} bytes of log", ended.stderr.len());
}

#[test]
fn frames_that_are_recorded_deep_or_too_long_end_only_the_connection() {
    let frames: [fn(&mut Liar) -> Vec<u8>; 12] = [
        // Twice the same frame.
        |liar| liar.frame(b"\"Alive\"").repeat(2),
        |liar| liar.frame(&[&b"{\"Hello\":"[..], &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat()),
        |_| vec![0xff; 64],
        |liar| liar.frame(b"\"Ready\" and more"),
        // The length of a text of 1 GB.
        |_| [&(1_u32 << 30).to_be_bytes()[..], b"{\"Failed\":{\"cause\":{\"headline\":\"xxxx"].concat(),
        // Numbers that are not there.
        |liar| liar.frame(br#"{"Watch":{"Quiet":{"at_ms":1,"quiet_ms":NaN}}}"#),
        |liar| liar.frame(br#"{"Watch":{"Quiet":{"at_ms":1,"quiet_ms":-1}}}"#),
        |liar| liar.frame(br#"{"Watch":{"Quiet":{"at_ms":1,"quiet_ms":18446744073709551616}}}"#),
        |liar| liar.frame(br#"{"Watch":{"Quiet":{"at_ms":1e400,"quiet_ms":0.5}}}"#),
        |liar| liar.frame(br#"{"Completed":65536}"#),
        |liar| liar.frame(br#"{"Executed":{"id":1,"code":2147483648}}"#),
        |liar| liar.frame(br#"{"Ended":{"ranks":{"failed":-1,"ended":[]}}}"#),
    ];
    for frame in frames {
        let (hosts, leader, mut liar) = leader_with_liar();
        let bytes = frame(&mut liar);
        liar.stream.write_all(&bytes).expect("the leader takes it");
        let mut rest = Vec::new();
        let _ = liar.stream.read_to_end(&mut rest);
        leader.tell("end");
        let ended = leader.end(&hosts.jobs[0]).failed(68, "host algo-2 is lost: its connection is broken (a frame ");
        assert!(!ended.stderr.contains("itself failed"), "{}", ended.stderr);
    }
}

#[test]
fn hosts_meet_over_ipv6() {
    let Ok(free) = TcpListener::bind("[::1]:0") else { return };
    let port = free.local_addr().expect("an address").port().to_string();
    drop(free);
    let hosts = Hosts::new(2, "print('ran')").ranks(1).variable("FOOTPLATE_CLUSTER_PORT", &port);
    for ended in hosts.variable("FOOTPLATE_HOST_ADDRESSES", "algo-1=::1,algo-2=::1").train() {
        assert!(ended.succeeded().stdout().contains("ran"));
    }
}
