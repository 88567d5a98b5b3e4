//! The parts that engines with services have in common.

use std::net::IpAddr;

use super::error::LaunchError;
use super::input::{LaunchInput, path_bytes, words};
use super::network::LOOPBACK;
use super::plan::{CommandPlan, EndMeaning, ProcessPlan, ProcessRole, ReadySign, StartAfter};
use super::process;
use crate::prepare::environment::VariableTable;

/// The stage of the script in engines with services, which have lower stages.
const SCRIPT_STAGE: u8 = 2;

/// The name of a service in log lines, and the one in sentences.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceName {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

impl LaunchInput<'_> {
    /// Returns the command that runs a module of the image's Python.
    ///
    /// # Errors
    /// The image has no Python.
    pub(super) fn module_command(&self, module: &str, arguments: &[String]) -> Result<CommandPlan, LaunchError> {
        self.python_command(["-m", module], arguments)
    }

    /// Returns the command that runs a program with the image's Python.
    ///
    /// # Errors
    /// The image has no Python.
    pub(super) fn program_command(&self, program: &str, arguments: &[String]) -> Result<CommandPlan, LaunchError> {
        self.python_command(["-c", program], arguments)
    }

    fn python_command(&self, what: [&str; 2], arguments: &[String]) -> Result<CommandPlan, LaunchError> {
        let python = self.python()?;
        let mut command = words([path_bytes(python)]);
        command.extend(words(what));
        command.extend(words(arguments));
        Ok(CommandPlan {
            program: python.to_owned(),
            arguments: command,
            variables: VariableTable::new(),
            // Tasks can import the modules beside the script.
            working_dir: self.job.code_dir(),
        })
    }

    /// Returns the address at which the hosts of the launch reach one of them. If addresses are not known, as in
    /// `footplate plan`, it is a name.
    pub(super) fn host_address(&self, host: &str) -> String {
        let is_alone = self.job.nodes().len() == 1 && !self.settings.host_addresses.contains_key(host);
        if is_alone { LOOPBACK.to_owned() } else { self.reach(host) }
    }

    /// Returns the script's process on a host that needs no services.
    ///
    /// # Errors
    /// The script needs Python, and the image has none.
    pub(super) fn script_of_host(&self, variables: VariableTable) -> Result<ProcessPlan, LaunchError> {
        let command = CommandPlan { variables, ..process::command(self)? };
        Ok(ProcessPlan::of_script(ProcessRole::Script { node_rank: self.job.node_rank() }, command))
    }

    /// Returns the script's process, which starts when the services of all hosts are ready.
    ///
    /// # Errors
    /// The script needs Python, and the image has none.
    pub(super) fn served_script(&self, variables: VariableTable) -> Result<ProcessPlan, LaunchError> {
        let script = self.script_of_host(variables)?;
        Ok(ProcessPlan { stage: SCRIPT_STAGE, starts: StartAfter::LowerStagesOfAllHosts, ..script })
    }
}

/// Returns a service that runs until the script has ended. Any earlier end is a failure.
pub(super) fn service(named: ServiceName, command: CommandPlan, stage: u8, ready: ReadySign) -> ProcessPlan {
    let ServiceName { name, title } = named;
    ProcessPlan {
        stage,
        starts: if stage == 0 { StartAfter::Nothing } else { StartAfter::LowerStagesOfAllHosts },
        ready,
        end: EndMeaning::Failure,
        ..ProcessPlan::of_script(ProcessRole::Service { name, title }, command)
    }
}

/// Returns an address with a port, in the notation that programs accept.
pub(super) fn with_port(address: &str, port: u16) -> String {
    match address.parse() {
        Ok(IpAddr::V6(_)) => format!("[{address}]:{port}"),
        _ => format!("{address}:{port}"),
    }
}
