//! The bytes that were received and sent over network interfaces and EFA devices.

use std::fs;
use std::path::Path;

use super::kept_file::KeptFile;
use super::{Roots, Traffic};

/// The files that count bytes.
#[derive(Debug)]
pub(super) struct TrafficFiles {
    interfaces: Option<KeptFile>,
    /// The counters of received and of sent bytes of each port of each EFA device.
    efa: Vec<[KeptFile; 2]>,
}

impl TrafficFiles {
    pub(super) fn open(roots: &Roots) -> TrafficFiles {
        let devices = roots.sys.join("class/infiniband");
        let ports = entries(&devices).into_iter().flat_map(|device| entries(&device.join("ports")));
        let counters = ports.filter_map(|port| {
            let open = |name: &str| KeptFile::open(&port.join("hw_counters").join(name));
            Some([open("rx_bytes")?, open("tx_bytes")?])
        });
        TrafficFiles { interfaces: KeptFile::open(&roots.proc.join("net/dev")), efa: counters.collect() }
    }

    /// Returns the bytes of all interfaces except loopback.
    pub(super) fn network(&mut self) -> Option<Traffic> {
        let text = self.interfaces.as_mut()?.read()?;
        let lines = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
        Some(lines.fold(Traffic::default(), |sum, (_, columns)| {
            let column = |at: usize| {
                columns.split_ascii_whitespace().nth(at).and_then(|number| number.parse().ok()).unwrap_or(0)
            };
            Traffic { received: sum.received.wrapping_add(column(0)), sent: sum.sent.wrapping_add(column(8)) }
        }))
    }

    /// Returns the bytes of all EFA devices, if there are any.
    pub(super) fn efa(&mut self) -> Option<Traffic> {
        if self.efa.is_empty() {
            return None;
        }
        let mut sum = Traffic::default();
        for [received, sent] in &mut self.efa {
            sum.received = sum.received.wrapping_add(received.number().unwrap_or(0));
            sum.sent = sum.sent.wrapping_add(sent.number().unwrap_or(0));
        }
        Some(sum)
    }
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
