//! smdistributed data parallel: the image's mpirun starts the image's smddprun, and that the ranks.
//!
//! `pytorch_ddp` is started in the same way: smddprun sets RANK and the like for it. The command and the variables are those
//! of sagemaker-training 5.1.4 (`smdataparallel.py`), but for EFA's, which follow the machine. Where smddprun is missing the
//! incumbent goes on without it, and the ranks do not find each other; here it is refused.

use super::mpi::{Variant, start};
use super::mpirun::user_options;
use super::{Facts, LaunchError, LaunchPlan, words};
use crate::job::settings::Launcher;
use crate::prepare::environment::VariableTable;
use crate::python::Value;

/// Where the servers of the library listen on the master host.
const SERVER_PORT: u16 = 7592;

const WHAT: &str = "smdistributed data parallel";

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    if facts.hardware.smddprun.is_none() {
        return Err(LaunchError(format!(
            "the job asks for {WHAT}, and smddprun is not on PATH: take an image that has the smdistributed library, or set \
             FOOTPLATE_LAUNCHER=torchrun"
        )));
    }
    if facts.hardware.gpus == 0 {
        let why =
            facts.unseen_gpus().unwrap_or_else(|| "use an instance that has, or FOOTPLATE_LAUNCHER=mpi".to_owned());
        return Err(LaunchError(format!("the job asks for {WHAT}, and this host has no GPU: {why}")));
    }
    let parameter =
        |name: &str| job.framework_parameters.get(name).map(|value| value.to_py_str().to_str().into_owned());
    let options = parameter("sagemaker_distributed_dataparallel_custom_mpi_options").unwrap_or_default();
    let (custom, nccl_debug) = user_options(&options);
    let mut variables = VariableTable::new();
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set("RDMAV_FORK_SAFE", "1");
    match job.nodes().len() {
        1 => set("SMDATAPARALLEL_USE_SINGLENODE", "1"),
        _ => {
            set("SMDATAPARALLEL_SERVER_ADDR", &facts.reach(&job.master()));
            set("SMDATAPARALLEL_SERVER_PORT", &SERVER_PORT.to_string());
            let asked = job.framework_parameters.get("sagemaker_instance_type").and_then(Value::as_str);
            set("SAGEMAKER_INSTANCE_TYPE", asked.unwrap_or(&job.cluster.instance_type));
            set("SMDATAPARALLEL_USE_HOMOGENEOUS", "1")
        }
    };
    if let Some(level) = nccl_debug {
        set("NCCL_DEBUG", &level);
    }
    start(
        facts,
        Variant {
            launcher: Launcher::Smddp,
            what: WHAT,
            custom,
            processes: None,
            variables,
            command: words(["smddprun"]),
        },
    )
}
