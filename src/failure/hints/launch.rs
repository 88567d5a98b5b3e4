//! Hints about scripts that were started in another way than they expect.

use std::sync::LazyLock;

use regex::Regex;

use super::HintFacts;
use super::facts::HintRow;
use crate::failure::pattern::pattern;

/// A launcher: its name in settings, its program, the flag of the SDK that selects it, variables that it sets, and
/// prefixes of more of its variables.
struct Launcher {
    name: &'static str,
    program: &'static str,
    flag: &'static str,
    variables: &'static [&'static str],
    prefixes: &'static [&'static str],
}

impl Launcher {
    /// Returns the launcher that sets this variable.
    fn of(variable: &str) -> Option<&'static Launcher> {
        LAUNCHERS.iter().find(|launcher| {
            launcher.variables.contains(&variable)
                || launcher.prefixes.iter().any(|prefix| variable.starts_with(prefix))
        })
    }
}

const LAUNCHERS: [Launcher; 2] = [
    Launcher {
        name: "torchrun",
        program: "torchrun",
        flag: "torch_distributed",
        variables: &[
            "RANK",
            "WORLD_SIZE",
            "LOCAL_RANK",
            "LOCAL_WORLD_SIZE",
            "MASTER_ADDR",
            "MASTER_PORT",
            "GROUP_RANK",
            "NODE_RANK",
            "ROLE_RANK",
            "ROLE_NAME",
            "ROLE_WORLD_SIZE",
            "GROUP_WORLD_SIZE",
        ],
        prefixes: &["TORCHELASTIC_"],
    },
    Launcher {
        name: "mpi",
        program: "mpirun",
        flag: "mpi",
        variables: &[
            "OMPI_UNIVERSE_SIZE",
            "OMPI_FILE_LOCATION",
            "OMPI_FIRST_RANKS",
            "PMI_RANK",
            "PMI_SIZE",
            "MPI_LOCALRANKID",
            "MPI_LOCALNRANKS",
        ],
        prefixes: &["OMPI_COMM_WORLD_", "OMPI_APP_CTX_", "OMPI_MCA_orte_", "OMPI_MCA_ess_", "PMIX_"],
    },
];

/// The prefix of Slurm's variables.
const OF_SLURM: &str = "SLURM_";

/// Returns true if the log has the frame in which `os.environ` raises its exception: `File "<frozen os>", line 679, in
/// __getitem__`, `…/os.py", line 679, in …`, or Rich's `…/os.py:679 in …`.
fn is_of_environment(facts: &HintFacts<'_>) -> bool {
    static FRAME: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"(?:<frozen os>|/os\.py)(?:", line |:)\d+,? in __getitem__"#));
    FRAME.is_match(facts.tail())
}

/// Returns the hint for a variable of a launcher that is not set.
pub(super) fn missing_variable(facts: &HintFacts<'_>) -> Option<String> {
    let variable = unset(facts)?;
    // A table or a configuration may have a key of that name.
    let is_key = facts.claimed().starts_with("KeyError: ");
    if !variable.starts_with(OF_SLURM) && Launcher::of(variable).is_none() || is_key && !is_of_environment(facts) {
        return None;
    }
    if variable.starts_with(OF_SLURM) {
        return Some(format!(
            "{variable} is set by Slurm's srun, which does not start the scripts of this job; read RANK, LOCAL_RANK and WORLD_SIZE, \
             which FOOTPLATE_LAUNCHER=torchrun sets"
        ));
    }
    let Launcher { name, program, flag, .. } = Launcher::of(variable)?;
    // If the launcher started the script, it set the variable, and another process lost it.
    (!facts.evidence.command.contains(program)).then(|| {
        format!(
            "{variable} is set by {program}, which did not start this script; set FOOTPLATE_LAUNCHER={name} (in the SDK: \
             distribution={{'{flag}': {{'enabled': True}}}})"
        )
    })
}

/// Returns the hint for a variable of the user that is not set.
pub(super) fn unset_variable(facts: &HintFacts<'_>) -> Option<String> {
    let of_shell = of_shell(facts);
    let name = of_shell.or_else(|| facts.between("KeyError: '", "'"))?;
    let is_name = name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let is_environ = of_shell.is_some() || is_of_environment(facts);
    let is_of_launcher = Launcher::of(name).is_some();
    (is_name && is_environ && !is_of_launcher && !name.starts_with("SM_") && !name.starts_with(OF_SLURM)).then(|| {
        format!("the variable {name} is not set in the container; set it in the job's environment (environment={{'{name}': …}}), or give it a default")
    })
}

/// Returns the variable that was not set, as reported by Python, torch or a shell.
pub(super) fn unset<'f>(facts: &'f HintFacts<'_>) -> Option<&'f str> {
    let key =
        || facts.claimed().strip_prefix("KeyError: '").and_then(|rest| rest.split_once('\'')).map(|(name, _)| name);
    key()
        .or_else(|| facts.between("environment variable ", " expected, but not set"))
        .or_else(|| facts.between("Environment variable ", " expected, but not set"))
        .or_else(|| facts.between("KeyError: b'", "'"))
        .or_else(|| of_shell(facts))
}

/// Returns the variable that was not set, as reported by a shell.
fn of_shell<'f>(facts: &'f HintFacts<'_>) -> Option<&'f str> {
    let ends = [": unbound variable", ": parameter not set", ": parameter null or not set"];
    let text = ends.iter().find_map(|end| facts.claimed().split_once(end))?.0;
    text.rsplit([' ', ':']).next()
}

/// Returns the hint for an error whose wording states the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    facts.advice(ROWS)
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "An attempt has been made to start a new process before the current process has finished its bootstrapping phase",
        ],
        hint: "worker processes import the script again (spawn); put what it runs below `if __name__ == \"__main__\":`",
    },
    HintRow {
        wordings: &["There are not enough slots available in the system"],
        hint: "mpirun was asked for more processes than its hosts have slots; ask for fewer, name more slots (--host algo-1:8), or \
               pass --oversubscribe",
    },
    HintRow {
        wordings: &["Horovod has not been initialized; use hvd.init()"],
        hint: "Horovod was used before hvd.init(); call hvd.init() first, in each process that uses it",
    },
    HintRow {
        wordings: &["Default process group has not been initialized"],
        hint: "torch.distributed was used before init_process_group; call it first, in a script that FOOTPLATE_LAUNCHER=torchrun starts",
    },
];
