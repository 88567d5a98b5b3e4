//! The hosts of a job.

use crate::python::Value;

/// A job's hosts and instance groups.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// This host.
    pub current_host: String,
    /// All hosts, in the order of the file.
    pub hosts: Vec<String>,
    /// The network interface that hosts talk over.
    pub network_interface: String,
    /// The type of this host's instance; `local` where the file does not say.
    pub instance_type: String,
    /// The name of this host's instance group.
    pub current_group: String,
    /// The instance groups, in the order of the file; none in local mode.
    pub groups: Vec<Group>,
    /// The groups that a distribution was asked for.
    pub distribution_groups: Vec<String>,
    /// `resourceconfig.json` as it stands.
    pub resource_config: Value,
}

/// An instance group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its hosts, in the order of the file, which is not sorted.
    pub hosts: Vec<String>,
    /// What the file says of it.
    pub raw: Value,
}

impl Group {
    /// The type of its instances, if the file says it.
    pub fn instance_type(&self) -> Option<&str> {
        match &self.raw {
            Value::Dict(group) => group.get("instance_type")?.as_str(),
            _ => None,
        }
    }
}

impl Cluster {
    /// The instance group of a host; none where there are no groups.
    pub fn group_of(&self, host: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.hosts.iter().any(|other| other == host))
    }

    /// The type of a host's instance, as far as the file tells: without groups all hosts are alike.
    pub fn instance_type_of(&self, host: &str) -> &str {
        let of_group = self.group_of(host).filter(|_| host != self.current_host);
        of_group.and_then(Group::instance_type).unwrap_or(&self.instance_type)
    }

    /// The hosts that a distribution spans: those of its groups in the order of the file, or all where there are no groups.
    pub fn distribution_hosts(&self) -> Vec<String> {
        if self.groups.is_empty() {
            return self.hosts.clone();
        }
        let chosen = self.groups.iter().filter(|group| self.distribution_groups.contains(&group.name));
        chosen.flat_map(|group| group.hosts.iter().cloned()).collect()
    }

    /// Whether a distribution was asked for other groups than this host's.
    pub fn is_left_out(&self) -> bool {
        !self.distribution_groups.is_empty() && !self.distribution_groups.contains(&self.current_group)
    }

    /// The hosts of this host's group, as the toolkit has it: none where there are no groups.
    pub fn current_group_hosts(&self) -> &[String] {
        let group = self.groups.iter().find(|group| group.name == self.current_group);
        group.map_or(&[], |group| group.hosts.as_slice())
    }

    /// The host that the others look to: the first that a distribution spans, else the first of all.
    pub fn master(&self) -> String {
        let first = self.distribution_hosts().into_iter().next();
        first.or_else(|| self.hosts.first().cloned()).unwrap_or_else(|| self.current_host.clone())
    }

    /// The hosts in the order of their node ranks: the distribution's if this host is one of them, else all.
    pub fn nodes(&self) -> Vec<String> {
        let spanned = self.distribution_hosts();
        if spanned.contains(&self.current_host) {
            return spanned;
        }
        self.hosts.clone()
    }

    /// The hosts sorted as text, in which algo-10 comes before algo-2: the order of SDK version 3.
    pub fn sorted_hosts(&self) -> Vec<String> {
        let mut hosts = self.hosts.clone();
        hosts.sort();
        hosts
    }
}
