//! The causes of failures that concern a host and not a rank.

use std::net::IpAddr;
use std::time::Duration;

use crate::event::{Cause, CauseEnding};
use crate::job::exit_code;

/// Returns the cause of a failure that concerns a host and not a rank. `found` is a headline, followed by hints on
/// separate lines.
pub(in crate::cluster) fn of_host(host: &str, exit_code: i32, found: &str) -> Cause {
    Cause { host: Some(host.to_owned()), ..Cause::from_message(found, CauseEnding::NoProcess(exit_code)) }
}

/// Returns the cause for a host that is lost.
pub(in crate::cluster) fn lost(host: &str, why: &str) -> Cause {
    let found = format!(
        "host {host} is lost: {why}\nhint: its container was killed, or its machine or network failed: see the log of {host}"
    );
    of_host(host, exit_code::HOST_LOST, &found)
}

/// Returns the cause for a host that ended before it was ready, without a failure of its own.
pub(in crate::cluster) fn left_early(host: &str) -> Cause {
    let found = format!("host {host} ended before the launch, which needs every host\nhint: see the log of {host}");
    of_host(host, exit_code::HOST_LOST, &found)
}

/// Returns the cause for hosts that did not connect. `other_key` is the address of a connection that had another key.
pub(in crate::cluster) fn not_connected(hosts: &[&str], patience: Duration, other_key: Option<IpAddr>) -> Cause {
    let names = hosts.join(", ");
    let (word, verb) = if hosts.len() == 1 { ("host", "has") } else { ("hosts", "have") };
    let reasons = match other_key {
        Some(address) => format!(
            "its container did not start, its network does not reach the other hosts, or it is the one at {address}, which \
             has another key: all hosts need the same FOOTPLATE_CLUSTER_KEY, or without it the same configuration"
        ),
        None => "its container did not start, or its network does not reach the other hosts".to_owned(),
    };
    let found = format!(
        "{word} {names} {verb} not come within {} s (FOOTPLATE_CLUSTER_TIMEOUT)\nhint: see the log of {}: {reasons}",
        patience.as_secs_f64(),
        hosts.first().copied().unwrap_or_default()
    );
    Cause::from_message(&found, CauseEnding::NoProcess(exit_code::HOST_LOST))
}

/// Returns the cause for a host that cannot communicate with the others.
pub(in crate::cluster) fn alone(host: &str, why: &str, patience: Duration) -> Cause {
    let found = format!(
        "{why}\nhint: the launch needs every host, and waits {} s for each (FOOTPLATE_CLUSTER_TIMEOUT): see the other hosts' \
         logs, and whether the network lets them reach each other",
        patience.as_secs_f64()
    );
    of_host(host, exit_code::HOST_LOST, &found)
}
