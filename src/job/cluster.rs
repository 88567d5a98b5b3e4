//! The hosts of a job.

use crate::job::python::Value;

/// The hosts and instance groups of a job, as one host sees them.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The name of this host.
    pub current_host: String,
    /// All hosts, in the order of resourceconfig.json.
    pub hosts: Vec<String>,
    /// The network interface between the hosts.
    pub network_interface: String,
    /// The instance type of this host; `local` if the file does not name it.
    pub instance_type: String,
    /// The name of this host's instance group.
    pub current_group: String,
    /// The instance groups, in the order of the file; empty in local mode.
    pub groups: Vec<InstanceGroup>,
    /// The groups that the job's distribution spans; empty if it has none.
    pub distribution_groups: Vec<String>,
    /// The content of `resourceconfig.json`.
    pub resource_config: Value,
}

/// A group of hosts that have the same instance type.
#[derive(Clone, Debug)]
pub struct InstanceGroup {
    /// The name.
    pub name: String,
    /// The hosts, in the order of the file, which is not sorted.
    pub hosts: Vec<String>,
    /// The group's object in the file.
    pub raw: Value,
}

impl InstanceGroup {
    /// Returns the instance type, if the file names it.
    pub fn instance_type(&self) -> Option<&str> {
        match &self.raw {
            Value::Dict(group) => group.get("instance_type")?.as_str(),
            _ => None,
        }
    }
}

impl Cluster {
    /// Returns the instance group of a host, or `None` if there are no groups.
    pub fn group_of(&self, host: &str) -> Option<&InstanceGroup> {
        self.groups.iter().find(|group| group.hosts.iter().any(|other| other == host))
    }

    /// Returns the instance type of a host. Without instance groups, all hosts have the type of this one.
    pub fn instance_type_of(&self, host: &str) -> &str {
        let of_group = self.group_of(host).filter(|_| host != self.current_host);
        of_group.and_then(InstanceGroup::instance_type).unwrap_or(&self.instance_type)
    }

    /// Returns the hosts that the distribution spans: those of its groups in the order of the file, or all if there are no groups.
    pub fn distribution_hosts(&self) -> Vec<String> {
        if self.groups.is_empty() {
            return self.hosts.clone();
        }
        let chosen = self.groups.iter().filter(|group| self.distribution_groups.contains(&group.name));
        chosen.flat_map(|group| group.hosts.iter().cloned()).collect()
    }

    /// Returns true if the distribution spans other groups but not this host's.
    pub fn is_left_out(&self) -> bool {
        !self.distribution_groups.is_empty() && !self.distribution_groups.contains(&self.current_group)
    }

    /// Returns the hosts of this host's group; empty if there are no groups, as in sagemaker-training.
    pub fn current_group_hosts(&self) -> &[String] {
        let group = self.groups.iter().find(|group| group.name == self.current_group);
        group.map_or(&[], |group| group.hosts.as_slice())
    }

    /// Returns the master host: the first that the distribution spans, else the first of all.
    pub fn master(&self) -> String {
        let first = self.distribution_hosts().into_iter().next();
        first.or_else(|| self.hosts.first().cloned()).unwrap_or_else(|| self.current_host.clone())
    }

    /// Returns the hosts in the order of their node ranks: those of the distribution if this host is one of them, else all.
    pub fn nodes(&self) -> Vec<String> {
        let spanned = self.distribution_hosts();
        if spanned.contains(&self.current_host) {
            return spanned;
        }
        self.hosts.clone()
    }

    /// Returns the hosts sorted as text, so that algo-10 comes before algo-2. This is the order of SDK version 3.
    pub fn sorted_hosts(&self) -> Vec<String> {
        let mut hosts = self.hosts.clone();
        hosts.sort();
        hosts
    }
}
