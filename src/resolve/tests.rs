use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::rr::Name;

use super::{ResolveError, ask, without_server};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Starts a DNS server on loopback that knows these names and answers NXDOMAIN for others. Returns its port.
fn server(known: &'static [(&'static str, [u8; 4])]) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
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
            answer[3] = if found.is_some() { 0x80 } else { 0x83 };
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
    let find = |name: &str| run(ask(name, config(port, &["cluster.test."]), ResolverOpts::default()));
    assert_eq!(find("algo-2"), Ok(vec![IpAddr::from([10, 0, 0, 2])]));
    assert_eq!(find("s3.test"), Ok(vec![IpAddr::from([10, 0, 0, 3])]));
    let unknown = find("nothing.test").unwrap_err();
    assert_eq!(unknown, ResolveError::Unknown { host: "nothing.test".to_owned() });
    assert_eq!(unknown.to_string(), "the name nothing.test is not known to the hosts file or DNS");
}

#[test]
fn a_silent_server_is_given_up_within_seconds() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = silent.local_addr().expect("an address").port();
    let begun = Instant::now();
    let error = run(ask("s3.test", config(port, &[]), ResolverOpts::default())).unwrap_err();
    assert!(matches!(error, ResolveError::Unanswered { .. }), "{error:?}");
    assert!(error.to_string().starts_with("the name s3.test cannot be looked up: "), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
