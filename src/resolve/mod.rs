//! Names of hosts to addresses: the hosts file first, then DNS.
//!
//! The C library's own resolver (`getaddrinfo`) must not be called: in a static binary it loads modules of the image's C
//! library into the process, and fails or crashes where that is another one. So this folder reads `/etc/hosts` and
//! `/etc/resolv.conf` itself and asks the servers that are named there. Nothing is kept between look-ups: both files and
//! the answers may change while a job starts, when names of other hosts appear.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, system_conf};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How long a server may take for an answer, and how often it is asked again, at most: what resolv.conf says is often
/// meant for patient people, five seconds and more.
const SERVER_TIME: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// A name that has no address, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// The servers answered that there is no such name.
    Unknown {
        /// The name.
        host: String,
    },
    /// No server could be asked, or none answered.
    Unanswered {
        /// The name.
        host: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Unknown { host } => write!(f, "the name {host} is not known to the hosts file or DNS"),
            ResolveError::Unanswered { host, reason } => write!(f, "the name {host} cannot be looked up: {reason}"),
        }
    }
}

impl Error for ResolveError {}

/// The addresses of a host, IPv4 before IPv6, at least one. An address in text is its own. To be called in a tokio
/// runtime with time and IO.
///
/// # Errors
/// [`ResolveError`], after a few seconds where no server answers.
pub async fn lookup(host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let hosts = fs::read(HOSTS).unwrap_or_default();
    if let Some(found) = at_hand(host, &String::from_utf8_lossy(&hosts)) {
        return Ok(found);
    }
    let unanswered = |reason: String| ResolveError::Unanswered { host: host.to_owned(), reason };
    let text = fs::read(RESOLV_CONF).map_err(|error| unanswered(format!("{RESOLV_CONF}: {error}")))?;
    let (config, options) =
        system_conf::parse_resolv_conf(text).map_err(|error| unanswered(format!("{RESOLV_CONF}: {error}")))?;
    ask(host, config, options).await
}

/// Looks all of these hosts up side by side, and gives what went wrong, in their order.
///
/// # Errors
/// The kernel refuses what waiting needs.
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

/// The addresses for which no server has to be asked: `hosts` is the text of the hosts file.
fn at_hand(host: &str, hosts: &str) -> Option<Vec<IpAddr>> {
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
    let mut found: Vec<IpAddr> = hosts.lines().filter_map(of_line).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    match found.is_empty() {
        // An image without a hosts file.
        true if name.eq_ignore_ascii_case("localhost") => Some(vec![Ipv4Addr::LOCALHOST.into()]),
        true => None,
        false => Some(found),
    }
}

/// Asks the servers.
async fn ask(host: &str, config: ResolverConfig, options: ResolverOpts) -> Result<Vec<IpAddr>, ResolveError> {
    let unanswered = |reason: String| ResolveError::Unanswered { host: host.to_owned(), reason };
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let own = builder.options_mut();
    own.timeout = options.timeout.min(SERVER_TIME);
    own.attempts = options.attempts.min(ATTEMPTS);
    own.ndots = options.ndots;
    own.edns0 = options.edns0;
    own.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    own.use_hosts_file = ResolveHosts::Never;
    own.cache_size = 1;
    let resolver = builder.build().map_err(|error| unanswered(error.to_string()))?;
    match resolver.lookup_ip(host).await {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = found.iter().collect();
            addresses.sort_by_key(IpAddr::is_ipv6);
            match addresses.is_empty() {
                true => Err(ResolveError::Unknown { host: host.to_owned() }),
                false => Ok(addresses),
            }
        }
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
            Err(ResolveError::Unknown { host: host.to_owned() })
        }
        Err(error) => Err(unanswered(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
