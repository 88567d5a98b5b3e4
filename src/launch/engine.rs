//! The description of an engine: a way to start the script of a job.

use std::collections::BTreeMap;
use std::fmt;

use super::error::LaunchError;
use super::image::{ImageProbe, Programs};
use super::input::LaunchInput;
use super::plan::LaunchPlan;
use super::ports::ListeningPort;
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::environment::registry::Variable;

/// A way to start the script of a job: by footplate itself, or by a program of the image such as torchrun or mpirun.
///
/// Each engine is a constant in its own file. The table [`ENGINES`](super::ENGINES) lists them.
#[derive(Debug)]
pub struct Engine {
    /// The name in the setting `launcher`, in plans and in the comparison of hosts.
    pub name: &'static str,
    /// The engine in the words of `footplate check`, such as "one process for each GPU".
    pub title: &'static str,
    /// The processes that the engine starts, for the help and the documentation.
    pub summary: &'static str,
    /// The requirements on the image, for the documentation.
    pub needs: &'static str,
    /// The code with which a script uses the engine, for the documentation.
    pub script: &'static str,
    /// The flags of the platform that request the engine.
    pub flags: &'static [Flag],
    /// The variables that only this engine sets, for the documentation.
    pub variables: &'static [Variable],
    /// The Python modules that the engine can use, one of which it needs. Empty if it needs none. The requirements
    /// may install them.
    pub modules: &'static [PythonModule],
    /// True if the engine starts one distributed job across several hosts. False if every host runs its own.
    pub spans_hosts: bool,
    /// True if a launch across several hosts can start only after all of them have connected. False if the engine's
    /// own processes wait for late hosts.
    pub needs_all_hosts: bool,
    /// True if the process on the first host also starts the ranks of all other hosts, as mpirun does.
    pub starts_ranks_of_other_hosts: bool,
    /// The services that serve the script. The hosts start and end them in step. The plan needs addresses instead of
    /// names, because programs resolve names in different ways.
    pub services: Services,
    /// Returns the ports that processes of the launch need on this host. Must be pure. Ports that the kernel chooses are
    /// not among them.
    pub ports: fn(&Job, &Settings) -> Vec<ListeningPort>,
    /// The log of the failed tasks of the script, if the script's own error does not name the host of the task.
    pub task_log: Option<TaskLog>,
    /// Finds the programs that the engine needs in the image. A missing program is an error only if nothing can be
    /// planned without it. Otherwise the plan reports it.
    pub locate: fn(&dyn ImageProbe) -> Result<Programs, LaunchError>,
    /// Returns additional facts that must be equal on all hosts, beside those of [`Engine::profile`].
    pub further_profile: fn(&Job, &Settings) -> Profile,
    /// Plans the processes of one host. Must be pure.
    pub plan: fn(&LaunchInput<'_>) -> Result<LaunchPlan, LaunchError>,
}

/// The services of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Services {
    /// There are none.
    None,
    /// The services of all hosts depend on each other: the engine cannot work without any of them.
    OfAllHosts,
    /// The engine can continue without hosts that do not run the script.
    OfManyHosts,
}

/// The log in which a service reports the failed tasks of the script that it ran on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskLog {
    /// The name of the engine in texts for users.
    pub title: &'static str,
    /// The name of the service.
    pub service: &'static str,
}

/// A module of the image's Python that an engine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythonModule {
    /// The name by which Python imports it.
    pub name: &'static str,
    /// The package that contains it, by the name under which pip installs it.
    pub package: &'static str,
}

/// A flag of the platform that requests an engine: the framework parameter `sagemaker_NAME`, set to true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name of the framework parameter, without `sagemaker_`.
    pub name: &'static str,
    /// If a job sets several flags, the one with the lowest priority number counts.
    pub priority: u8,
    /// True if several engines share the flag. The modules of the image's Python decide between them.
    pub is_shared: bool,
}

impl Flag {
    /// Returns a flag that requests one engine.
    pub(super) const fn of_engine(name: &'static str, priority: u8) -> Flag {
        Flag { name, priority, is_shared: false }
    }

    /// Returns a flag that several engines share. It requests the engine whose module the image's Python has.
    pub(super) const fn shared(name: &'static str, priority: u8) -> Flag {
        Flag { name, priority, is_shared: true }
    }
}

/// The facts that must be equal on all hosts of a launch, by the names that the error text shows.
pub type Profile = BTreeMap<&'static str, String>;

impl Engine {
    /// Returns true if the flag requests this engine in an image whose Python has these modules.
    pub(super) fn answers(&self, flag: &Flag, modules: &[&str]) -> bool {
        !flag.is_shared || self.modules.iter().any(|module| modules.contains(&module.name))
    }

    /// Returns true if services serve the script.
    pub fn has_services(&self) -> bool {
        self.services != Services::None
    }

    /// Returns the facts that must be equal on all hosts of a launch. They are known before anything is planned, so
    /// that hosts with different images or configurations are detected when they connect.
    pub fn profile(&self, job: &Job, settings: &Settings) -> Profile {
        let mut profile = (self.further_profile)(job, settings);
        profile.insert("launcher", self.name.to_owned());
        profile.insert("entry point", job.entry_name().unwrap_or_default().to_owned());
        profile.insert("hosts", job.nodes().join(","));
        profile
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns no additional facts, for engines that need none.
pub(super) fn nothing_further(_: &Job, _: &Settings) -> Profile {
    Profile::new()
}

/// Finds nothing, for engines that need no program except Python.
pub(super) fn locate_nothing(_: &dyn ImageProbe) -> Result<Programs, LaunchError> {
    Ok(Programs::new())
}
