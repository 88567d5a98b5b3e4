//! All variables that a script can rely on. The tables of the documentation are generated from these lists, and tests check
//! that every variable that is set is listed.

pub use super::variable::Variable;

use super::variable::Definition;
use super::{additions, drivers, toolkit};

/// The tables behind [`ADDITIONS`].
const ADDED: &[&[Definition]] = &[additions::OFFERED, drivers::DISTRIBUTED, additions::REPLACING];

/// The variables that no table computes.
const OTHERS: [Variable; 1] = [variable(
    "FOOTPLATE_ENVIRONMENT_FILE",
    "A JSON file of the variables that were too large to be set, if there are any.",
)];

/// The variables of sagemaker-training.
pub const TOOLKIT: [Variable; toolkit::TABLE.len()] = listed(&[toolkit::TABLE], &[]);

/// The variables that footplate sets in addition.
pub const ADDITIONS: [Variable; count(ADDED) + OTHERS.len()] = listed(ADDED, &OTHERS);

/// The variables that a launch sets, depending on the hardware and the launcher. Variables of the container take
/// precedence.
pub const LAUNCH: [Variable; 22] = [
    variable("NCCL_SOCKET_IFNAME", "The network interface that the hosts use, if it exists."),
    variable("NCCL_DEBUG", "`WARN` on hosts with GPUs."),
    variable("NCCL_IB_DISABLE", "`1` on hosts with GPUs and without EFA."),
    variable("NCCL_PROTO", "`simple` with EFA, and with `mp_parameters`."),
    variable("NCCL_ALGO", "`ring` with `mp_parameters`."),
    variable("FI_PROVIDER", "`efa` with EFA."),
    variable("FI_EFA_USE_DEVICE_RDMA", "`1` with EFA on instances that support RDMA."),
    variable("RDMAV_FORK_SAFE", "`1` with EFA, and under `smddp`."),
    variable("OFI_NCCL_NIC_DUP_CONNS", "The number of GPUs, with EFA under `xla`."),
    variable("RANK", "The rank, under `per-gpu`; also WORLD_SIZE, LOCAL_RANK and torchrun's other variables."),
    variable("OMP_NUM_THREADS", "`1` if the host has several ranks, under `per-gpu`."),
    variable("TORCHELASTIC_ERROR_FILE", "The file for a rank's exception, under `per-gpu` and `torchrun`."),
    variable("SMDATAPARALLEL_USE_SINGLENODE", "`1` on one host, under `smddp`."),
    variable("SMDATAPARALLEL_USE_HOMOGENEOUS", "`1` on several hosts, under `smddp`."),
    variable("SMDATAPARALLEL_SERVER_ADDR", "The master host, on several hosts under `smddp`."),
    variable("SMDATAPARALLEL_SERVER_PORT", "`7592`, on several hosts under `smddp`."),
    variable("SAGEMAKER_INSTANCE_TYPE", "The instance type, on several hosts under `smddp`."),
    variable("XRT_HOST_ORDINAL", "This host's node rank, under `xla`."),
    variable("XRT_SHARD_WORLD_SIZE", "The number of hosts, under `xla`."),
    variable("XRT_WORKERS", "The hosts' workers, under `xla`."),
    variable(
        "XRT_MESH_SERVICE_ADDRESS",
        "The address of the mesh service on the master host, on several hosts under `xla`.",
    ),
    variable("GPU_NUM_DEVICES", "The number of GPUs, under `xla`."),
];

const fn variable(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, meaning }
}

/// Returns the number of definitions in tables.
const fn count(tables: &[&[Definition]]) -> usize {
    let (mut table, mut count) = (0, 0);
    while table < tables.len() {
        count += tables[table].len();
        table += 1;
    }
    count
}

/// Returns the documentation of the tables' variables, followed by `others`; `N` is the number of all of them.
const fn listed<const N: usize>(tables: &[&[Definition]], others: &[Variable]) -> [Variable; N] {
    let mut list = [variable("", ""); N];
    let (mut table, mut at) = (0, 0);
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            list[at] = tables[table][row].variable();
            (row, at) = (row + 1, at + 1);
        }
        table += 1;
    }
    let mut other = 0;
    while other < others.len() {
        list[at] = others[other];
        (other, at) = (other + 1, at + 1);
    }
    list
}

/// Returns true if a variable is in one of the lists.
pub fn is_documented(name: &str) -> bool {
    TOOLKIT.iter().chain(&ADDITIONS).chain(&LAUNCH).any(|variable| match variable.name.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == variable.name,
    })
}

#[cfg(test)]
mod tests {
    use super::{ADDITIONS, TOOLKIT, is_documented};
    use crate::job::config;
    use crate::job::settings::Settings;
    use crate::job::{DriverConfig, Paths, Variables};
    use crate::machine::Hardware;
    use crate::prepare::environment::{ExistingVariables, build};
    use crate::python::{Value, parse};

    #[test]
    fn every_table_is_listed_in_its_order() {
        let names = |list: &[super::Variable]| list.iter().map(|variable| variable.name).collect::<Vec<_>>();
        let toolkit = names(&TOOLKIT);
        assert_eq!((toolkit.len(), toolkit[0], toolkit[36]), (37, "SM_MODEL_DIR", "SAGEMAKER_REGION"));
        let additions = names(&ADDITIONS);
        let (first, last) = (&additions[..2], &additions[additions.len() - 3..]);
        assert_eq!(first, ["MASTER_ADDR", "MASTER_PORT"]);
        assert_eq!(last, ["SM_DISTRIBUTED_DRIVER_DIR", "PYTHONPATH", "FOOTPLATE_ENVIRONMENT_FILE"]);
    }

    #[test]
    fn every_variable_that_is_built_is_documented() {
        let mut job = config::without_files(Paths::under("/opt/ml"), &Variables::default()).job;
        job.checkpoint_dir = Some("/opt/ml/checkpoints".into());
        job.hyperparameters.set("batch-size", "3");
        let Ok(Value::Dict(resources)) = parse(r#"{"topology": [{"hostName": "algo-1"}]}"#) else { panic!() };
        job.cluster.resource_config = Value::Dict(resources.clone());
        let toolkit = job.clone();
        job.drivers = Some(DriverConfig {
            entry_script: Some("train.py".to_owned()),
            distributed: Some(resources),
            ..DriverConfig::default()
        });
        for job in [toolkit, job] {
            let settings = Settings::default();
            let existing = ExistingVariables::Overwrite;
            let built = build(&job, &Hardware::default(), &settings, &Variables::default(), existing).expect("built");
            for name in built.variables.keys() {
                let name = String::from_utf8_lossy(name);
                assert!(is_documented(&name), "{name}");
            }
        }
    }
}
