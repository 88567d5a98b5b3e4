//! Hints about the communication between ranks.

use super::{assert_hints, assert_no_hint, of, raised, raising};
use crate::event::Ending;

const SYSTEM_ERROR: &str = "RuntimeError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:911, unhandled system error, NCCL version 2.10.3\nncclSystemError: System call (socket, malloc, munmap, etc) failed.";

#[test]
fn an_error_of_nccl_is_explained_by_its_log() {
    for (logged, words) in [
        (
            "a:1:2 [0] ofi_process_cq:1033 NCCL WARN NET/OFI Request completed with error. RC: 21. Error: unknown error.",
            "EFA failed",
        ),
        (
            "a:1:2 [0] find_ofi_provider:608 NCCL WARN NET/OFI Couldn't find any optimal provider\na:1:2 [0] NCCL WARN NET/OFI Failed to initialize rdma protocol",
            "EFA failed",
        ),
        ("a:1:2 [0] NCCL WARN Bootstrap : no socket interface found", "set NCCL_SOCKET_IFNAME"),
        (
            "a:1:2 [0] misc/socket.cc:483 NCCL WARN socketStartConnect: Connect to 10.0.0.4<51355> failed : Connection timed out",
            "could not connect to another host",
        ),
        (
            "a:1:2 [0] misc/ibvwrap.cc:299 NCCL WARN Call to ibv_create_qp failed with error Cannot allocate memory",
            "limit of locked memory",
        ),
        ("a:1:2 [0] NCCL INFO Using network Socket", "NCCL_DEBUG=INFO shows it"),
    ] {
        let hints = of(Ending::Exited(1), &format!("{logged}\n{}", raising(SYSTEM_ERROR)));
        assert!(hints.len() == 1 && hints[0].contains(words), "{logged}: {hints:#?}");
    }
    // The hint does not claim that a connection was lost, or that another rank has more information.
    assert!(!raised(SYSTEM_ERROR)[0].contains("lost"));
    // A warning of NCCL does not explain an error of the script.
    let warned = format!(
        "a:1:2 [0] NCCL WARN NET/OFI Request completed with error. RC: 21.\n{}",
        raising("ValueError: fold 3 is empty")
    );
    assert_eq!(of(Ending::Exited(1), &warned), [""; 0]);
}

#[test]
fn a_host_that_nccl_did_not_reach_is_no_server_of_the_internet() {
    let hints = raised(
        "torch.distributed.DistBackendError: NCCL error in: ../ProcessGroupNCCL.cpp:1333, unhandled system error, NCCL version 2.18.6\nncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.\nLast error:\nsocketStartConnect: Connect to 10.0.0.9<52822> failed : No route to host",
    );
    assert!(hints.len() == 1 && hints[0].contains("NCCL_SOCKET_IFNAME"), "{hints:#?}");
}

#[test]
fn an_interface_that_gloo_does_not_find_is_to_be_named() {
    assert_hints(&[
        (
            "RuntimeError: [enforce fail at ../third_party/gloo/gloo/transport/tcp/device.cc:83] ifa != nullptr. Unable to find address for: ens5",
            "GLOO_SOCKET_IFNAME",
        ),
        (
            "RuntimeError: Gloo connectFullMesh failed with [../third_party/gloo/gloo/transport/tcp/pair.cc:144] no error",
            "GLOO_SOCKET_IFNAME",
        ),
    ]);
    assert_hints(&[
        (
            "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:799] connect [127.0.1.1]:5714: Connection refused",
            "no rank accepts connections at that address",
        ),
        (
            "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:144] connect [10.0.3.9]:40111: Connection refused",
            "no rank accepts connections at that address",
        ),
    ]);
    assert_no_hint(&["ValueError: Unable to find address for: customer 17", "RuntimeError: the full mesh has 3 holes"]);
}

#[test]
fn full_shared_memory_under_nccl_is_no_lost_connection() {
    let last = "\nLast error:\nError while creating shared memory segment nccl-shm-recv-b3d54-0-2-3 (size 9637888)";
    let hints = raised(&format!("{SYSTEM_ERROR}{last}"));
    assert!(
        hints.len() == 1
            && hints[0].starts_with("/dev/shm is too small or was full;")
            && hints[0].ends_with("NCCL_SHM_DISABLE=1 lets NCCL do without"),
        "{hints:#?}"
    );
}

#[test]
fn a_lost_connection_is_told_by_its_peer() {
    assert_hints(&[
        (
            "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:29113",
            "another rank of this host ([127.0.0.1]:29113) was lost",
        ),
        (
            "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:29113",
            "the connection to [10.0.0.3]:29113 was lost; that rank ended",
        ),
        (
            "torch.distributed.DistBackendError: NCCL error in: x.cpp:1970, remote process exited or there was a network error, NCCL version 2.20.5\nncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
            "the connection to another rank was lost",
        ),
        (
            "torch.distributed.DistBackendError: NCCL error in: x.cpp:1269, invalid usage, NCCL version 2.14.3\nncclInvalidUsage: This usually reflects invalid usage of NCCL library.\nLast error:\nDuplicate GPU detected : rank 1 and rank 0 both on CUDA device 10",
            "two ranks chose the same GPU",
        ),
        (
            "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. port: 29572, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
            "the port is in use",
        ),
        ("OSError: [Errno 98] Address already in use", "the port is in use"),
        (
            "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. 1/2 clients joined.",
            "the ranks did not meet",
        ),
        (
            "torch.distributed.DistNetworkError: The client socket has failed to connect to any network address of (algo-1, 29400).",
            "the ranks did not meet",
        ),
    ]);
    assert_no_hint(&[
        "ConnectionError: shard 3: peer closed the connection early",
        "ValueError: the address is in use by a list of 3 rows",
        "RuntimeError: the NCCL backend needs a GPU tensor",
    ]);
}

#[test]
fn a_store_or_host_that_is_gone_is_named() {
    let unique = "torch.distributed.DistBackendError: [3] is setting up NCCL communicator and retrieving ncclUniqueId from [0] via c10d key-value store by key '0', but store->get('0') got error: ";
    assert_hints(&[
        (
            "torch.distributed.DistNetworkError: Failed to recv, got 0 bytes. Connection was likely closed. Did the remote server shutdown or crash?",
            "the store through which the ranks meet was lost",
        ),
        (&format!("{unique}Broken pipe"), "the store through which the ranks meet was lost"),
        (&format!("{unique}Connection reset by peer"), "the store through which the ranks meet was lost"),
        (&format!("{unique}Socket Timeout"), "the group's first rank did not join it in time"),
        (
            "torch.distributed.DistStoreError: wait timeout after 600000ms, keys: /default_pg/0//cpu//0/3",
            "did not write in time",
        ),
        ("RuntimeError: ssh: connect to host algo-3 port 2222: Connection refused", "accepts no SSH connections"),
        ("ValueError: Horovod has not been initialized; use hvd.init().", "call hvd.init() first"),
    ]);
    assert_no_hint(&[
        "RuntimeError: Failed to recv, got 12 bytes of 16",
        "RuntimeError: wait timeout after 30s, keys: a",
        "RuntimeError: connect to port 22: refused",
    ]);
}
