//! How many ranks each host has, and which of them are this host's.

use super::{Facts, LaunchError};
use crate::machine::accelerators;
use crate::python::Value;

/// The ranks of one host among those of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The host's first rank.
    pub first: usize,
    /// How many it has.
    pub count: usize,
    /// How many there are on all hosts.
    pub world_size: usize,
}

impl Facts<'_> {
    /// By what launchers reach a host: its address where that is given (FOOTPLATE_HOST_ADDRESSES), else its name.
    pub(super) fn reach(&self, host: &str) -> String {
        self.settings.host_addresses.get(host).map_or_else(|| host.to_owned(), ToString::to_string)
    }

    /// The count that the job asks for, if it does: with SDK version 3 `process_count_per_node`, else the platform's flag,
    /// which also torchrun and smdistributed heed.
    pub(super) fn asked_ranks(&self) -> Option<usize> {
        let distributed = self.job.drivers.as_ref().and_then(|drivers| drivers.distributed.as_ref());
        let asked = match distributed {
            Some(distributed) => distributed.get("process_count_per_node"),
            None => self.job.framework_parameters.get("sagemaker_mpi_num_of_processes_per_host"),
        };
        asked.and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0)
    }

    /// How many ranks a host has: what is set, else what the job says, else one for each GPU or Neuron core, else one.
    pub(super) fn ranks_per_host(&self, asked: Option<usize>) -> usize {
        self.settings.processes_per_host.or(asked).unwrap_or_else(|| self.hardware.default_processes())
    }

    /// How many ranks each of the hosts has. Of those whose instance type is not this host's, the type tells.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn ranks_of_hosts(&self, nodes: &[String], asked: Option<usize>) -> Result<Vec<usize>, LaunchError> {
        let cluster = &self.job.cluster;
        let count = |host: &String| {
            let instance_type = cluster.instance_type_of(host);
            if self.settings.processes_per_host.or(asked).is_some() || instance_type == cluster.instance_type {
                return Ok(self.ranks_per_host(asked));
            }
            accelerators(instance_type).map(|found| found.processes()).ok_or_else(|| {
                LaunchError(format!(
                    "how many GPUs host {host} has is not known of its instance type {instance_type}: set \
                     FOOTPLATE_PROCESSES_PER_HOST to how many ranks each host has"
                ))
            })
        };
        nodes.iter().map(count).collect()
    }

    /// This host's ranks, where each host of the launch has so many.
    pub(super) fn span(&self, counts: &[usize]) -> Span {
        let node_rank = self.job.node_rank();
        Span {
            first: counts[..node_rank].iter().sum(),
            count: counts.get(node_rank).copied().unwrap_or_default(),
            world_size: counts.iter().sum(),
        }
    }

    /// The ranks where each host has one.
    pub(super) fn span_of_one(&self) -> Span {
        Span { first: self.job.node_rank(), count: 1, world_size: self.job.nodes().len() }
    }

    /// What to say where this type of instance has more GPUs than are seen.
    pub(super) fn unseen_gpus(&self) -> Option<String> {
        let instance_type = &self.job.cluster.instance_type;
        let expected = accelerators(instance_type)?.gpus;
        let seen = match self.hardware.gpus {
            seen if seen >= expected => return None,
            0 => "none is seen".to_owned(),
            1 => "1 is seen".to_owned(),
            seen => format!("{seen} are seen"),
        };
        Some(format!(
            "{instance_type} has {expected} GPUs, and {seen} in this container: run it with --gpus all, and set \
             NVIDIA_VISIBLE_DEVICES=all and NVIDIA_DRIVER_CAPABILITIES=compute,utility in the image"
        ))
    }
}
