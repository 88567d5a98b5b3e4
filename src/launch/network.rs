//! Variables for NCCL and EFA that follow from what the machine has (platform contract, sections 10 and 11).
//!
//! The variables that the container was given are stronger than all of them.

use super::input::LaunchInput;
use crate::machine::has_efa_rdma;
use crate::prepare::environment::VariableTable;

impl LaunchInput<'_> {
    /// Returns the variables for ranks that talk with each other.
    pub(super) fn network_variables(&self) -> VariableTable {
        let hardware = self.hardware;
        let mut variables = VariableTable::new();
        let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
        if hardware.has_interface {
            set("NCCL_SOCKET_IFNAME", &self.job.cluster.network_interface);
        }
        if hardware.gpus > 0 {
            // NCCL reports its own failures at this level. The incumbent's `INFO` under mpirun prints thousands of lines of a
            // success.
            set("NCCL_DEBUG", "WARN");
            // The platform has no InfiniBand: without EFA, NCCL has to use sockets.
            if !hardware.efa {
                set("NCCL_IB_DISABLE", "1");
            }
        }
        if hardware.efa {
            set("FI_PROVIDER", "efa");
            // EFA delivers data out of order.
            set("NCCL_PROTO", "simple");
            // Data loaders fork.
            set("RDMAV_FORK_SAFE", "1");
            if has_efa_rdma(&self.job.cluster.instance_type) {
                set("FI_EFA_USE_DEVICE_RDMA", "1");
            }
        }
        variables
    }

    /// Returns the variables for a script that may start ranks of its own: those of ranks, but none if the host has no
    /// accelerator and no EFA device.
    pub(super) fn network_variables_of_script(&self) -> VariableTable {
        let hardware = self.hardware;
        if hardware.gpus > 0 || hardware.neuron_cores > 0 || hardware.efa {
            self.network_variables()
        } else {
            VariableTable::new()
        }
    }
}
