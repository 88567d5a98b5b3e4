//! Variables for NCCL and EFA that depend on the hardware of the machine (platform contract, sections 10 and 11).
//!
//! The variables of the container take precedence over all of them.

use super::input::LaunchInput;
use super::ports;
use crate::machine::has_efa_rdma;
use crate::prepare::environment::VariableTable;

/// The variable that lists the hosts that gRPC reaches without a proxy.
pub(super) const NO_GRPC_PROXY: &str = "no_grpc_proxy";

/// The loopback address of this machine, which needs no name and no network.
pub(super) const LOOPBACK: &str = "127.0.0.1";

/// The variables that name a proxy for gRPC.
const PROXIES: [&str; 3] = ["grpc_proxy", "https_proxy", "http_proxy"];

impl LaunchInput<'_> {
    /// Returns the variables for ranks that communicate with each other.
    pub(super) fn network_variables(&self) -> VariableTable {
        let hardware = self.hardware;
        let mut variables = VariableTable::new();
        let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
        if hardware.has_interface {
            set("NCCL_SOCKET_IFNAME", &self.job.cluster.network_interface);
        }
        if hardware.gpus > 0 {
            // NCCL reports its own failures at this level. sagemaker-training sets `INFO` under mpirun, which prints
            // thousands of lines even if nothing fails.
            set("NCCL_DEBUG", "WARN");
            // The platform has no InfiniBand, so NCCL has to use sockets without EFA.
            if !hardware.efa {
                set("NCCL_IB_DISABLE", "1");
            }
        }
        if hardware.efa {
            set("FI_PROVIDER", "efa");
            // EFA delivers data out of order.
            set("NCCL_PROTO", "simple");
            // Data loaders fork, which RDMA must be prepared for.
            set("RDMAV_FORK_SAFE", "1");
            if has_efa_rdma(&self.job.cluster.instance_type) {
                set("FI_EFA_USE_DEVICE_RDMA", "1");
            }
        }
        variables
    }

    /// Returns the variables for a script that may start its own ranks. They are those of ranks, and empty if the
    /// host has neither an accelerator nor an EFA device.
    pub(super) fn network_variables_of_script(&self) -> VariableTable {
        let hardware = self.hardware;
        if hardware.gpus > 0 || hardware.neuron_cores > 0 || hardware.efa {
            self.network_variables()
        } else {
            VariableTable::new()
        }
    }

    /// Returns the variables that keep gRPC from using a proxy to reach the other hosts of the job, which could hang.
    /// Empty if no proxy is set.
    pub(super) fn grpc_variables(&self) -> VariableTable {
        let given = |name: &str| self.variables.get_non_empty(name);
        if PROXIES.iter().all(|name| given(name).is_none()) {
            return VariableTable::new();
        }
        let hosts = self.job.cluster.hosts.iter().map(|host| self.reach(host));
        let hosts: Vec<String> = given("no_proxy").into_iter().map(Into::into).chain(hosts).collect();
        VariableTable::from([(NO_GRPC_PROXY.into(), hosts.join(",").into())])
    }

    /// Returns the address to which the ranks of all hosts connect: that of the master host, or the loopback address
    /// if there is no other host, because the name of a single host may not resolve.
    pub(super) fn meeting_address(&self) -> String {
        if self.job.nodes().len() == 1 { LOOPBACK.to_owned() } else { self.reach(&self.job.master()) }
    }

    /// Returns true if several hosts of the launch are on this machine; see [`ports::shares_machine`].
    pub(super) fn shares_machine(&self) -> bool {
        ports::shares_machine(self.job, self.settings)
    }
}
