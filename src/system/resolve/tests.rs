use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::rr::Name;

use super::{ResolveError, candidates, has_use_vc, over_tcp, query, without_server};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Starts a DNS server on loopback that knows these names. It answers SERVFAIL for others that end in `upstream`, and
/// NXDOMAIN for the rest. Returns its port.
fn server(known: &'static [(&'static str, [u8; 4])]) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        // The server fails for names that it would have to ask others for.
        let fails = |name: &str| name.ends_with(".upstream.");
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // The question starts at byte 12: the labels of the name, each after its length; then the type.
            let (mut name, mut at) = (String::new(), 12);
            while buffer[at] != 0 {
                let end = at + 1 + usize::from(buffer[at]);
                name.push_str(&String::from_utf8_lossy(&buffer[at + 1..end]));
                name.push('.');
                at = end;
            }
            let question_end = at + 5;
            let is_ipv4 = buffer[at + 2] == 1;
            let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
            let mut answer = buffer[..question_end.min(length)].to_vec();
            answer[2] = 0x84;
            answer[3] = match found {
                Some(_) => 0x80,
                None if fails(&name) => 0x82,
                None => 0x83,
            };
            answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(found.is_some() && is_ipv4), 0, 0, 0, 0]);
            if let (Some((_, address)), true) = (found, is_ipv4) {
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                answer.extend_from_slice(address);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    port
}

fn config(port: u16, search: &[&str]) -> ResolverConfig {
    let mut connection = ConnectionConfig::udp();
    connection.port = port;
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
    let search = search.iter().map(|name| Name::from_utf8(name).expect("a name")).collect();
    ResolverConfig::from_parts(None, search, vec![server])
}

#[test]
fn addresses_and_names_in_the_hosts_file_need_no_server() {
    let hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.0.0.7\talgo-1 algo_1 # this one\nbroken line\n";
    let find = |name: &str| without_server(name, hosts);
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert_eq!(find("algo-1"), Some(vec![address("10.0.0.7")]));
    assert_eq!(find("ALGO-1"), Some(vec![address("10.0.0.7")]));
    assert_eq!(find("algo_1"), Some(vec![address("10.0.0.7")]));
    assert_eq!(find("localhost"), Some(vec![address("127.0.0.1"), address("::1")]));
    assert_eq!(find("192.168.1.2"), Some(vec![address("192.168.1.2")]));
    assert_eq!(find("[fe80::1]"), Some(vec![address("fe80::1")]));
    assert_eq!(find("algo-2"), None);
    assert_eq!(find("not a name, that"), None);
    assert_eq!(without_server("localhost", ""), Some(vec![address("127.0.0.1")]));
}

#[test]
fn the_server_is_asked_with_the_search_domains_too() {
    let port = server(&[("algo-2.cluster.test.", [10, 0, 0, 2]), ("s3.test.", [10, 0, 0, 3])]);
    let find = |name: &str| run(query(name, config(port, &["cluster.test."]), ResolverOpts::default()));
    assert_eq!(find("algo-2"), Ok(vec![IpAddr::from([10, 0, 0, 2])]));
    assert_eq!(find("s3.test"), Ok(vec![IpAddr::from([10, 0, 0, 3])]));
    let unknown = find("nothing.test").unwrap_err();
    assert_eq!(unknown, ResolveError::Unknown { host: "nothing.test".to_owned() });
    assert_eq!(unknown.to_string(), "the name nothing.test is not known to the hosts file or DNS");
}

#[test]
fn a_server_that_cannot_say_is_not_one_that_knows_no_such_name() {
    // Names in the search domain do not exist, and the server knows nothing about the bare name.
    let port = server(&[("s3.cluster.test.", [10, 0, 0, 2])]);
    for host in ["bucket.s3.upstream", "upstream.", "deep.er.upstream."] {
        let found = run(query(host, config(port, &["cluster.test.", "other.test."]), ResolverOpts::default()));
        let said = format!("the name {host} cannot be looked up: name server 127.0.0.1 answered ServFail");
        match found {
            Err(ResolveError::Unknown { .. }) if host == "upstream." => {}
            other => assert_eq!(other.expect_err(host).to_string(), said),
        }
    }
    // A search domain still helps.
    let found = run(query("s3", config(port, &["upstream.", "cluster.test."]), ResolverOpts::default()));
    assert_eq!(found, Ok(vec![IpAddr::from([10, 0, 0, 2])]));
    let none = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    let error = run(query("s3.test", none, ResolverOpts::default())).expect_err("no server");
    assert!(error.to_string().ends_with(" names no name server"), "{error}");
}

#[test]
fn the_name_itself_is_asked_for_first_if_it_has_enough_dots() {
    let config = ResolverConfig::from_parts(
        Some(Name::from_utf8("own.test.").expect("a name")),
        vec![Name::from_utf8("own.test.").expect("a name"), Name::from_utf8("b.test.").expect("a name")],
        Vec::new(),
    );
    let requested = |host: &str, ndots| {
        let names = candidates(&Name::from_utf8(host).expect("a name"), &config, ndots);
        names.iter().map(Name::to_string).collect::<Vec<_>>()
    };
    assert_eq!(requested("algo-2", 1), ["algo-2.own.test.", "algo-2.b.test.", "algo-2."]);
    assert_eq!(requested("s3.aws", 1), ["s3.aws.", "s3.aws.own.test.", "s3.aws.b.test."]);
    assert_eq!(requested("s3.aws", 5), ["s3.aws.own.test.", "s3.aws.b.test.", "s3.aws."]);
    assert_eq!(requested("s3.aws.", 5), ["s3.aws."]);
}

#[test]
fn a_silent_server_is_given_up_within_seconds() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = silent.local_addr().expect("an address").port();
    let begun = Instant::now();
    let error = run(query("s3.test", config(port, &[]), ResolverOpts::default())).unwrap_err();
    assert!(matches!(error, ResolveError::Unanswered { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the name s3.test cannot be looked up: name server 127.0.0.1 did not answer");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Starts a server that answers over TCP only, each question for an IPv4 address with this one.
fn tcp_server(address: [u8; 4]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut question).expect("a question");
                    let end = 12 + question[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
                    let is_ipv4 = question[end - 3] == 1;
                    question.truncate(end);
                    question[2..4].copy_from_slice(&[0x84, 0x80]);
                    question[4..12].copy_from_slice(&[0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
                    if is_ipv4 {
                        question.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                        question.extend_from_slice(&address);
                    }
                    let size = u16::try_from(question.len()).expect("a length").to_be_bytes();
                    // The client may be gone.
                    let _ = stream.write_all(&[&size[..], &question].concat());
                }
            });
        }
    });
    port
}

#[test]
fn a_server_is_asked_over_tcp_if_the_options_say_so() {
    let port = tcp_server([10, 0, 0, 9]);
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (port, port);
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![udp, tcp]);
    let config = over_tcp(ResolverConfig::from_parts(None, Vec::new(), vec![server]));
    assert_eq!(run(query("s3.test", config, ResolverOpts::default())), Ok(vec![IpAddr::from([10, 0, 0, 9])]));
    for text in ["options use-vc", "nameserver 10.0.0.1\noptions ndots:5 use-vc\n"] {
        assert!(has_use_vc(text), "{text}");
    }
    for text in ["", "options ndots:5\n", "# options use-vc", "search use-vc", "options use-vcs"] {
        assert!(!has_use_vc(text), "{text}");
    }
}
