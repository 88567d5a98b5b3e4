//! The number of ranks on each host, and the position of this host's ranks among all ranks.

use super::error::LaunchError;
use super::input::LaunchInput;
use crate::job::python::Value;
use crate::machine::accelerators;

/// The maximum number of ranks that a job can request. A larger number is a mistake, and its ranks would exhaust the
/// memory.
const MAX_RANKS: usize = 1 << 20;

/// Returns the number of ranks that a job requests. `name` is the name of the parameter. A value that is not a
/// positive number is ignored.
///
/// # Errors
/// The number is above [`MAX_RANKS`].
pub(super) fn rank_count(name: &str, value: Option<&Value>) -> Result<Option<usize>, LaunchError> {
    match value.and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok()) {
        None | Some(0) => Ok(None),
        Some(count) if count > MAX_RANKS => Err(LaunchError::new(format!(
            "{name} is {count}, but a job has at most {MAX_RANKS} ranks: set it to the number of ranks that the job needs"
        ))),
        count => Ok(count),
    }
}

/// The ranks of one host among the ranks of all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first rank of the host.
    pub first: usize,
    /// The number of ranks on the host.
    pub count: usize,
    /// The number of ranks on all hosts.
    pub world_size: usize,
}

impl LaunchInput<'_> {
    /// Returns the address by which other hosts reach a host: the given one (FOOTPLATE_HOST_ADDRESSES), else the host's name.
    pub(super) fn reach(&self, host: &str) -> String {
        self.settings.host_addresses.get(host).map_or_else(|| host.to_owned(), ToString::to_string)
    }

    /// Returns the number of ranks per host that the job requests. Jobs of SDK version 3 use
    /// `process_count_per_node`. All others use the platform's flag, which torchrun and smdistributed respect too.
    ///
    /// # Errors
    /// The number is far too large.
    pub(super) fn requested_ranks(&self) -> Result<Option<usize>, LaunchError> {
        let (name, table) = match self.job.distributed() {
            Some(distributed) => ("process_count_per_node", distributed),
            None => ("sagemaker_mpi_num_of_processes_per_host", &self.job.framework_parameters),
        };
        rank_count(name, table.get(name))
    }

    /// Returns the number of ranks on this host: the number in the settings, else `asked`, else one for each GPU or
    /// Neuron core, else one.
    pub(super) fn ranks_per_host(&self, requested: Option<usize>) -> usize {
        self.settings.processes_per_host.or(requested).unwrap_or_else(|| self.hardware.default_processes())
    }

    /// Returns the number of ranks on each of the hosts. If a host has another instance type than this one, its GPUs
    /// are derived from that type.
    ///
    /// # Errors
    /// The GPUs of an instance type are not known.
    pub(super) fn ranks_of_hosts(&self, nodes: &[String], requested: Option<usize>) -> Result<Vec<usize>, LaunchError> {
        let cluster = &self.job.cluster;
        let count = |host: &String| {
            let instance_type = cluster.instance_type_of(host);
            if self.settings.processes_per_host.or(requested).is_some() || instance_type == cluster.instance_type {
                return Ok(self.ranks_per_host(requested));
            }
            accelerators(instance_type).map(|found| found.processes()).ok_or_else(|| {
                LaunchError::new(format!(
                    "the number of GPUs of host {host} is not known from its instance type {instance_type}: set \
                     FOOTPLATE_PROCESSES_PER_HOST to the number of ranks per host"
                ))
            })
        };
        nodes.iter().map(count).collect()
    }

    /// Returns this host's ranks. `counts` are the numbers of ranks of all hosts, in the order of the node ranks.
    pub(super) fn span(&self, counts: &[usize]) -> Span {
        let node_rank = self.job.node_rank();
        Span {
            first: counts[..node_rank].iter().sum(),
            count: counts.get(node_rank).copied().unwrap_or_default(),
            world_size: counts.iter().sum(),
        }
    }

    /// Returns this host's ranks if each host has one.
    pub(super) fn span_of_one(&self) -> Span {
        Span { first: self.job.node_rank(), count: 1, world_size: self.job.nodes().len() }
    }

    /// Refuses a launch that needs GPUs on a host that has none. `remedy` is the remedy for instance types without
    /// GPUs.
    ///
    /// # Errors
    /// The host has no GPU, or the container sees none.
    pub(super) fn require_gpus(&self, launcher: &str, remedy: &str) -> Result<(), LaunchError> {
        if self.hardware.gpus > 0 {
            return Ok(());
        }
        let why = self.unseen_gpus().unwrap_or_else(|| remedy.to_owned());
        Err(LaunchError::new(format!("the job asks for {launcher}, and this host has no GPU: {why}")))
    }

    /// Returns a warning if the instance type has more GPUs than this container sees.
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
