//! Variables for NCCL and EFA by what the machine has (platform contract, sections 10 and 11).
//!
//! What the container was given is stronger than all of them.

use super::Facts;
use crate::machine::has_efa_rdma;
use crate::prepare::environment::VariableTable;

impl Facts<'_> {
    /// The variables for ranks that talk with each other.
    pub(super) fn network_variables(&self) -> VariableTable {
        let hardware = self.hardware;
        let mut variables = VariableTable::new();
        let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
        if hardware.has_interface {
            set("NCCL_SOCKET_IFNAME", &self.job.cluster.network_interface);
        }
        if hardware.gpus > 0 {
            // What NCCL says of its own failures; the incumbent's `INFO` under mpirun is thousands of lines of success.
            set("NCCL_DEBUG", "WARN");
            // There is no InfiniBand: without EFA, NCCL is to take sockets.
            if !hardware.efa {
                set("NCCL_IB_DISABLE", "1");
            }
        }
        if hardware.efa {
            set("FI_PROVIDER", "efa");
            // For data that arrives out of order.
            set("NCCL_PROTO", "simple");
            // For data loaders that fork.
            set("RDMAV_FORK_SAFE", "1");
            if has_efa_rdma(&self.job.cluster.instance_type) {
                set("FI_EFA_USE_DEVICE_RDMA", "1");
            }
        }
        variables
    }

    /// The same for a script that may start ranks of its own: none where the host has nothing that they would talk about.
    pub(super) fn network_variables_of_script(&self) -> VariableTable {
        let hardware = self.hardware;
        match hardware.gpus > 0 || hardware.neuron_cores > 0 || hardware.efa {
            true => self.network_variables(),
            false => VariableTable::new(),
        }
    }
}
