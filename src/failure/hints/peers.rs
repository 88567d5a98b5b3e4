//! Hints about communication between ranks: NCCL, Gloo, EFA and the rendezvous.

use super::HintFacts;
use super::facts::HintRow;
use crate::failure::nccl;

/// Returns the hint for an error between ranks. The reasons in NCCL's log are tried first.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    // Errors about shared memory, GPUs and addresses in use have other hints.
    let is_known =
        facts.mentions(&["shared memory segment", "Duplicate GPU", "Cuda failure", "unhandled cuda error"]).is_some();
    let concerns_nccl = facts.claims(&["NCCL", "nccl", "NET/", "libfabric", "fi_"]).is_some();
    if concerns_nccl && !is_known {
        if let Some(hint) = facts.advice(NETWORKS) {
            return Some(hint);
        }
        let logged = NETWORKS.iter().find(|row| row.wordings.iter().any(|wording| facts.logged(wording).is_some()));
        if let Some(row) = logged {
            return Some(row.hint.to_owned());
        }
    }
    facts.advice(MEETINGS).or_else(|| lost(facts)).or_else(|| if is_known { None } else { facts.advice(SYSTEM) })
}

/// Returns the hint for an error about a rank that has ended, if the given ranks had ended before the error with exit
/// code 0.
pub(in crate::failure) fn left_early(ranks: &[usize]) -> Option<String> {
    const SHOWN: usize = 4;
    let names: Vec<String> = ranks.iter().take(SHOWN).map(usize::to_string).collect();
    let more = if ranks.len() > SHOWN { ", …" } else { "" };
    let who = match ranks {
        [] => return None,
        [rank] => format!("rank {rank}"),
        _ => format!("ranks {}{more}", names.join(", ")),
    };
    Some(format!(
        "{who} had ended before that with exit code 0; every rank must take part in each collective operation: give all ranks the same \
         number of steps"
    ))
}

/// Returns the hint for a lost connection to another rank.
fn lost(facts: &HintFacts<'_>) -> Option<String> {
    let wordings = [
        "ncclRemoteError",
        "remote process exited or there was a network error",
        "onnection closed by peer [",
        "onnection closed by remote peer",
        "onnection reset by peer [",
        "socketProgress",
    ];
    facts.claims(&wordings)?;
    let hosts =
        "that rank ended (its own log says why) or the network failed (allow all traffic within the security group)";
    Some(match nccl::peer(facts.claimed(), facts.stderr) {
        Some(peer) if peer.contains("127.0.0.1") || peer.contains("[::1]") => {
            format!(
                "the connection to another rank of this host ({peer}) was lost: that rank ended; see its lines in the log"
            )
        }
        Some(peer) => format!("the connection to {peer} was lost; {hosts}"),
        None => format!("the connection to another rank was lost; {hosts}"),
    })
}

/// The reasons in NCCL's wording, in the headline or in NCCL's log.
const NETWORKS: &[HintRow] = &[
    HintRow {
        wordings: &["no socket interface found", "No interface found", "o network interface found"],
        hint: "NCCL found no network interface; set NCCL_SOCKET_IFNAME to the hosts' interface \
               (network_interface_name of resourceconfig.json, such as eth0), or remove a wrong value",
    },
    HintRow {
        wordings: &[
            "NET/OFI Request completed with error",
            "NET/OFI Unable to find a protocol",
            "NET/OFI Couldn't open",
            "NET/OFI Initialization of libfabric failed",
            "NET/OFI No eligible providers",
            "NET/OFI Failed to initialize",
            "NET/OFI Unable to",
            "fi_getinfo",
            "fi_endpoint",
            "libfabric:*efa*error",
            "No eligible providers were found",
        ],
        hint: "EFA failed (NET/OFI in NCCL's log); the security group must allow all traffic to and from itself, and the image \
               needs the EFA installer's libfabric and aws-ofi-nccl; FI_PROVIDER=tcp does without EFA",
    },
    HintRow {
        wordings: &["ibv_reg_mr", "ibv_create_qp", "ibv_create_cq", "RLIMIT_MEMLOCK"],
        hint: "the network card could not pin memory; raise the limit of locked memory (ulimit -l unlimited), or set \
               NCCL_IB_DISABLE=1 to use sockets",
    },
    HintRow {
        wordings: &[
            "NET/IB : Got completion from peer",
            "NET/IB : Got async event",
            "NET/Socket : Connection",
            "NET/Socket : socketProgress",
        ],
        hint: "NCCL lost another host on the network: a rank there ended (see its log), or the network failed (the security group \
               must allow all traffic within itself; with EFA, check aws-ofi-nccl)",
    },
    HintRow {
        wordings: &[
            "socketStartConnect: Connect to * failed",
            "Connect to * failed : Connection timed out",
            "Connect to * failed : Connection refused",
            "Connect to * failed : No route to host",
        ],
        hint: "NCCL could not connect to another host; the security group must allow all traffic within itself, and \
               NCCL_SOCKET_IFNAME must name the hosts' interface",
    },
    HintRow {
        wordings: &["version mismatch between ranks", "NCCL version mismatch", "Mismatched NCCL"],
        hint: "the ranks use different versions of NCCL; use one image on all hosts, and leave LD_LIBRARY_PATH alone",
    },
];

/// Errors of ranks that cannot find each other.
const MEETINGS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "ncclUniqueId from [0]*Socket Timeout",
            "ncclUniqueId from [0]*wait timeout after",
            "ncclUniqueId from [0]*imed out",
        ],
        hint: "the group's first rank did not join it in time: it ended (its own log says why), hangs, or makes another collective call first; if \
               it is only slow, raise the timeout of init_process_group",
    },
    HintRow {
        wordings: &["Failed to recv, got 0 bytes", "store->get('*') got error: ", "store->get(\"*\") got error: "],
        hint: "the store through which the ranks meet was lost: its server (rank 0, or torchrun on the first host) has ended; its own log says why",
    },
    HintRow {
        wordings: &[
            "DistStoreError: wait timeout after",
            "DistStoreError: Socket Timeout",
            "DistNetworkError: Socket Timeout",
        ],
        hint: "a rank waited in the store for a key that another rank did not write in time: that rank ended (its own log says why), hangs, or is \
               late (raise the timeout of init_process_group)",
    },
    HintRow {
        wordings: &["ssh: connect to host * port *: Connection refused"],
        hint: "that host accepts no SSH connections, by which mpirun starts ranks on other hosts: it has ended, has not started yet, or runs no sshd; \
               see its log",
    },
    HintRow {
        wordings: &["gloo*Unable to find address for: ", "Gloo connectFullMesh failed"],
        hint: "Gloo did not reach the other ranks by the interface that it chose; set GLOO_SOCKET_IFNAME to the hosts' interface \
               (network_interface_name of resourceconfig.json, such as eth0), and allow all traffic within the security group",
    },
    HintRow {
        wordings: &["gloo/transport/tcp*onnection refused", "ProcessGroupGloo*onnection refused"],
        hint: "no rank accepts connections at that address: the rank there has ended (its own log says why), or Gloo chose a wrong \
               interface (set GLOO_SOCKET_IFNAME to the hosts', network_interface_name of resourceconfig.json)",
    },
    HintRow {
        wordings: &["EADDRINUSE", "ddress already in use", "[Errno 98]", "address already in use"],
        hint: "the port is in use: by an earlier process that still runs, or by a second launch on this host; use another port \
               (MASTER_PORT), or let footplate launch the ranks once",
    },
    HintRow {
        wordings: &[
            "The client socket has timed out after",
            "client socket has failed to connect to any network address of",
            "Timed out*waiting for clients",
            "RendezvousTimeoutError",
            "RendezvousConnectionError",
            "RendezvousClosedError",
        ],
        hint: "the ranks did not meet; every host must start as many ranks, MASTER_ADDR and MASTER_PORT must be those of the first \
               host, and the security group must allow all traffic within itself",
    },
];

/// NCCL's error class for errors without a stated reason.
const SYSTEM: &[HintRow] = &[
    HintRow {
        wordings: &["ncclSystemError", "unhandled system error"],
        hint: "NCCL names no reason; NCCL_DEBUG=INFO shows it: mostly the network (NCCL_SOCKET_IFNAME, security group, EFA) or a \
               full /dev/shm",
    },
    HintRow {
        wordings: &["ncclInternalError", "ncclInvalidUsage"],
        hint: "NCCL names no reason; NCCL_DEBUG=INFO shows it; check that each rank uses its own GPU (LOCAL_RANK) and that all have \
               one NCCL version",
    },
];
