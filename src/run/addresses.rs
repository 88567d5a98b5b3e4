//! The addresses at which the hosts of a launch reach each other, for engines that cannot use names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::live::Live;
use super::{Outcome, Prepared};
use crate::event::{Cause, CauseEnding};
use crate::job::exit_code;
use crate::system::resolve;

/// The address of a host that is alone and has no name.
const ALONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Adds the addresses of all hosts of the launch to the settings. The other hosts must have connected, because a
/// host's name resolves only once the host exists.
///
/// # Errors
/// A name has no address, or the job ends meanwhile.
pub(super) async fn resolve(live: &mut Live, prepared: &Prepared) -> Result<Prepared, Outcome> {
    let mut prepared = prepared.clone();
    let (nodes, own) = (prepared.job.nodes(), prepared.job.cluster.current_host.clone());
    let known = &mut prepared.settings.host_addresses;
    for node in nodes.iter().filter(|node| **node != own) {
        if known.contains_key(node) {
            continue;
        }
        let found = live.supervisor.wait_for(resolve::lookup(node)).await?;
        let found = found.map_err(|error| unknown(node, &error.to_string()))?;
        let address = found.into_iter().find(|address| !address.is_loopback());
        known.insert(node.clone(), address.ok_or_else(|| unknown(node, "it resolves to this host"))?);
    }
    if !known.contains_key(&own) {
        let other = nodes.iter().find_map(|node| known.get(node)).copied();
        let named = live.supervisor.wait_for(resolve::lookup(&own)).await?.unwrap_or_default();
        let named = named.into_iter().find(|address| !address.is_loopback());
        known.insert(own, named.or_else(|| towards(other?)).unwrap_or(ALONE));
    }
    Ok(prepared)
}

/// Returns the address of this host that is used to reach another one.
fn towards(other: IpAddr) -> Option<IpAddr> {
    let any = if other.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    // Nothing is sent: the kernel only chooses a route.
    socket.connect(SocketAddr::new(other, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

fn unknown(host: &str, why: &str) -> Outcome {
    let found = format!("host {host} has no address that programs can be given: {why}: set FOOTPLATE_HOST_ADDRESSES");
    let ending = CauseEnding::NoProcess(exit_code::HOST_LOST);
    Outcome::Failed(Box::new(Cause { host: Some(host.to_owned()), ..Cause::new(found, ending) }))
}

#[cfg(test)]
mod tests {
    use super::towards;

    #[test]
    fn the_own_address_is_that_on_the_way_to_the_other_host() {
        assert_eq!(towards([127, 0, 0, 7].into()), Some([127, 0, 0, 1].into()));
    }
}
