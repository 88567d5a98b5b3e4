//! Resolving host names to addresses: from the hosts file, then by DNS.
//!
//! The C library's resolver (`getaddrinfo`) must not be called: in a static binary, it loads modules of the image's C
//! library into the process, and fails or crashes if that library differs from footplate's. So this folder reads
//! `/etc/hosts` and `/etc/resolv.conf` itself and asks the servers that are listed there. It caches nothing, because
//! the names of other hosts appear while a job starts, so both the files and the answers change.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{Resolver, system_conf};
use thiserror::Error;

use crate::system::files;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The maximum time for one answer of a server. The file resolv.conf may ask for less; its default is five seconds.
const SERVER_TIME: Duration = Duration::from_secs(2);
/// The maximum number of further attempts after the first. The file resolv.conf may ask for fewer.
const ATTEMPTS: usize = 2;

/// The maximum time of a lookup.
pub const LOOKUP_TIME: Duration = Duration::from_secs(8);

/// A name that could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// The servers answered that the name does not exist.
    #[error("the name {host} is not known to the hosts file or DNS")]
    Unknown {
        /// The name.
        host: String,
    },
    /// No server could be asked, none answered, or a server could not decide if the name exists.
    #[error("the name {host} cannot be looked up: {reason}")]
    Unanswered {
        /// The name.
        host: String,
        /// The error of the configuration file or of the server.
        reason: String,
    },
}

/// Returns the addresses of a host: at least one, IPv4 before IPv6. `host` may also be an address. Must be called in a
/// tokio runtime with time and I/O.
///
/// # Errors
/// [`ResolveError`]; if no server answers, after at most [`LOOKUP_TIME`].
pub async fn lookup(host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let hosts = files::read(Path::new(HOSTS), files::TEXT_SIZE).unwrap_or_default();
    if let Some(found) = without_server(host, &String::from_utf8_lossy(&hosts)) {
        return Ok(found);
    }
    let unanswered = |reason: String| ResolveError::Unanswered { host: host.to_owned(), reason };
    let text = files::read(Path::new(RESOLV_CONF), files::TEXT_SIZE)
        .map_err(|error| unanswered(format!("{RESOLV_CONF}: {error}")))?;
    let is_tcp_only = has_use_vc(&String::from_utf8_lossy(&text));
    let (mut config, options) =
        system_conf::parse_resolv_conf(text).map_err(|error| unanswered(format!("{RESOLV_CONF}: {error}")))?;
    if is_tcp_only {
        config = over_tcp(config);
    }
    let late = || Err(unanswered(format!("no answer within {} s", LOOKUP_TIME.as_secs())));
    tokio::time::timeout(LOOKUP_TIME, query(host, config, options)).await.unwrap_or_else(|_| late())
}

/// Resolves all of these hosts at once and returns the errors, in the order of the hosts. Blocks the calling thread.
///
/// # Errors
/// The kernel refuses the runtime that this needs.
pub fn lookup_all(hosts: Vec<String>) -> io::Result<Vec<ResolveError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build()?;
    runtime.block_on(async {
        let mut tasks: Vec<_> =
            hosts.into_iter().map(|host| tokio::spawn(async move { lookup(&host).await.err() })).collect();
        let mut errors = Vec::new();
        for task in &mut tasks {
            errors.extend(task.await.map_err(io::Error::other)?);
        }
        Ok(errors)
    })
}

/// Returns addresses in their order, but those of IPv6 last.
fn version_4_first(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (mut all, of_version_6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.partition(IpAddr::is_ipv4);
    all.extend(of_version_6);
    all
}

/// Returns the addresses of a host that is itself an address or is in the hosts file. `hosts` is the text of that
/// file. `None` if a server must be asked.
fn without_server(host: &str, hosts: &str) -> Option<Vec<IpAddr>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Some(vec![address]);
    }
    let name = host.trim_end_matches('.');
    let of_line = |line: &str| -> Option<IpAddr> {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    let mut found = version_4_first(hosts.lines().filter_map(of_line));
    if found.is_empty() && name.eq_ignore_ascii_case("localhost") {
        // The image's hosts file is missing or has no entry for localhost.
        found.push(Ipv4Addr::LOCALHOST.into());
    }
    (!found.is_empty()).then_some(found)
}

/// Returns true if this text of resolv.conf has the option `use-vc`, by which servers are asked over TCP only. hickory does not
/// know it.
fn has_use_vc(text: &str) -> bool {
    let words = text.lines().map(str::split_whitespace);
    let mut options = words.filter(|words| words.clone().next() == Some("options")).flatten();
    options.any(|option| option == "use-vc")
}

/// Returns the configuration with the servers' connections over TCP only.
fn over_tcp(config: ResolverConfig) -> ResolverConfig {
    let (domain, search, mut servers) = config.into_parts();
    for server in &mut servers {
        server.connections.retain(|connection| matches!(connection.protocol, ProtocolConfig::Tcp));
    }
    ResolverConfig::from_parts(domain, search, servers)
}

/// Asks the servers of `config`.
///
/// # Errors
/// [`ResolveError`].
async fn query(host: &str, config: ResolverConfig, options: ResolverOpts) -> Result<Vec<IpAddr>, ResolveError> {
    let unanswered = |reason: String| ResolveError::Unanswered { host: host.to_owned(), reason };
    let servers: Vec<String> = config.name_servers().iter().map(|server| server.ip.to_string()).collect();
    if servers.is_empty() {
        return Err(unanswered(format!("{RESOLV_CONF} names no name server")));
    }
    let servers = format!("name server{} {}", if servers.len() == 1 { "" } else { "s" }, servers.join(", "));
    let names = Name::from_utf8(host).map(|name| candidates(&name, &config, options.ndots));
    let names = names.map_err(|error| unanswered(format!("it is not a valid name: {error}")))?;
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let own = builder.options_mut();
    own.timeout = options.timeout.min(SERVER_TIME);
    own.attempts = options.attempts.min(ATTEMPTS);
    own.edns0 = options.edns0;
    own.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    own.use_hosts_file = ResolveHosts::Never;
    own.cache_size = 1;
    let resolver = builder.build().map_err(|error| unanswered(error.to_string()))?;
    let mut failed = None;
    for name in names {
        let error = match resolver.lookup_ip(name).await {
            Ok(found) => {
                let addresses = version_4_first(found.iter());
                if addresses.is_empty() {
                    continue;
                }
                return Ok(addresses);
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => continue,
            Err(error) => error,
        };
        // A name that exists in no search domain may still exist without one. Only an answer about the bare name
        // shows that it does not exist.
        match error {
            NetError::Dns(DnsError::ResponseCode(code)) => failed = Some(format!("{servers} answered {code:?}")),
            NetError::Timeout | NetError::NoConnections => {
                return Err(unanswered(format!("{servers} did not answer")));
            }
            other => return Err(unanswered(format!("{servers}: {other}"))),
        }
    }
    Err(failed.map_or_else(|| ResolveError::Unknown { host: host.to_owned() }, unanswered))
}

/// Returns the names to ask for, as the C library does: the name with each search domain, and the name itself, which
/// comes first if it has at least `ndots` dots. hickory's own search reports a server's failure only if it was for
/// the last of these names.
fn candidates(name: &Name, config: &ResolverConfig, ndots: usize) -> Vec<Name> {
    if name.is_fqdn() {
        return vec![name.clone()];
    }
    let mut itself = name.clone();
    itself.set_fqdn(true);
    let domains = config.domain().into_iter().chain(config.search());
    let mut names: Vec<Name> = Vec::new();
    for found in domains.filter_map(|domain| name.clone().append_domain(domain).ok()) {
        if !names.contains(&found) {
            names.push(found);
        }
    }
    let is_first = usize::from(name.num_labels()) > ndots;
    names.insert(if is_first { 0 } else { names.len() }, itself);
    names
}

#[cfg(test)]
mod tests;
