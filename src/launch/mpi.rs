//! The image's own mpirun, on one host.
//!
//! The options are those that the incumbents give Open MPI. Credentials are not among them: ranks on the same host inherit
//! their environment, and a command line can be read by everybody.

use super::{Facts, LaunchError, LaunchPlan, Rank, path_bytes, words};
use crate::python::Value;
use crate::settings::Launcher;

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let script = facts.script("mpirun")?;
    let mpirun = facts.image.mpirun.clone().ok_or_else(|| {
        LaunchError(
            "the job asks for MPI, and mpirun is not on PATH: install Open MPI in the image, or set \
             FOOTPLATE_LAUNCHER=process"
                .to_owned(),
        )
    })?;
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
    let interface = job.cluster.network_interface.as_str();

    let mut arguments = words([
        "mpirun".to_owned(),
        "--host".to_owned(),
        hosts.join(","),
        "-np".to_owned(),
        (ranks * nodes.len()).to_string(),
        "--allow-run-as-root".to_owned(),
        "--oversubscribe".to_owned(),
    ]);
    let mut option = |name: &str, value: &str| arguments.extend(words(["-mca", name, value]));
    if facts.hardware.has_interface {
        option("btl_tcp_if_include", interface);
        option("oob_tcp_if_include", interface);
    }
    option("pml", "ob1");
    option("btl", "^openib");
    option("orte_abort_on_non_zero_status", "1");
    // Containers without privileges print megabytes of errors otherwise.
    option("btl_vader_single_copy_mechanism", "none");
    // The user's options come last, so that they win.
    match (distributed, parameter("sagemaker_mpi_custom_mpi_options")) {
        (Some(distributed), _) => {
            let options = distributed.get("mpi_additional_options").and_then(Value::as_list).unwrap_or_default();
            arguments.extend(options.iter().map(|option| option.to_py_str().to_system()));
        }
        (None, Some(options)) => {
            arguments.extend(words(options.to_py_str().to_str().split_ascii_whitespace()));
        }
        (None, None) => {}
    }
    arguments.extend(words([path_bytes(python), b"-m", b"mpi4py", script.as_bytes()]));
    arguments.extend(facts.arguments.iter().cloned());
    Ok(LaunchPlan {
        launcher: Launcher::Mpi,
        host: job.cluster.current_host.clone(),
        ranks: Rank::only(job),
        program: mpirun,
        arguments,
        variables: facts.network_variables(),
        working_dir: job.code_dir(),
        warnings: Vec::new(),
    })
}
