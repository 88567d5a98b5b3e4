//! The image's own mpirun, on one host.

use super::mpirun::{Mpirun, mpirun_options, program};
use super::{Facts, LaunchError, LaunchPlan, Rank, path_bytes, words};
use crate::python::Value;
use crate::settings::Launcher;

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let script = facts.script("mpirun")?;
    let program = program(facts, "MPI")?;
    let nodes = job.nodes();
    if nodes.len() > 1 {
        return Err(LaunchError(format!(
            "the job asks for MPI over {} hosts, which this version of footplate does not launch: use one host, or torchrun",
            nodes.len()
        )));
    }
    let python = facts.python()?;
    let distributed = job.drivers.as_ref().and_then(|drivers| drivers.distributed.as_ref());
    let parameter = |name: &str| job.framework_parameters.get(name);
    let asked = match distributed {
        Some(distributed) => distributed.get("process_count_per_node"),
        None => parameter("sagemaker_mpi_num_of_processes_per_host"),
    };
    let ranks = facts.ranks_per_host(asked.and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok()));
    let hosts: Vec<String> =
        nodes.iter().map(|host| if ranks > 1 { format!("{host}:{ranks}") } else { host.clone() }).collect();
    let custom = match (distributed, parameter("sagemaker_mpi_custom_mpi_options")) {
        (Some(distributed), _) => {
            let options = distributed.get("mpi_additional_options").and_then(Value::as_list).unwrap_or_default();
            options.iter().map(|option| option.to_py_str().to_system()).collect()
        }
        (None, Some(options)) => words(options.to_py_str().to_str().split_ascii_whitespace()),
        (None, None) => Vec::new(),
    };
    let mpirun = Mpirun { hosts, processes: ranks * nodes.len(), exported: Vec::new(), custom };
    let mut arguments = mpirun_options(facts, &mpirun);
    arguments.extend(words([path_bytes(python), b"-m", b"mpi4py", script.as_bytes()]));
    arguments.extend(facts.arguments.iter().cloned());
    Ok(LaunchPlan {
        launcher: Launcher::Mpi,
        host: job.cluster.current_host.clone(),
        ranks: Rank::only(job),
        program,
        arguments,
        variables: facts.network_variables(),
        working_dir: job.code_dir(),
        warnings: Vec::new(),
    })
}
