mod clusters;
mod frameworks;
mod services;

use std::net::IpAddr;
use std::path::PathBuf;

use super::{
    ENGINES, Entry, Image, LaunchError, LaunchInput, LaunchPlan, ProcessRole, Separation, Span, StopTarget, choose,
    plan,
};
use crate::job::config;
use crate::job::python::{Value, parse};
use crate::job::settings::Settings;
use crate::job::{DriverConfig, InstanceGroup, Job, Paths, Variables};
use crate::machine::Hardware;
use crate::prepare::code::{EntryKind, Runner};

fn job(hosts: &[&str]) -> Job {
    let mut job = config::without_files(Paths::under("/opt/ml"), &Variables::default()).job;
    job.cluster.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    job.cluster.current_host = hosts.last().map_or_else(String::new, |host| (*host).to_owned());
    job
}

fn entry(kind: EntryKind, name: &str) -> Entry {
    let module = name.trim_end_matches(".py").to_owned();
    let interpreter = |words: &[&str]| Runner::Interpreter(words.iter().map(|word| (*word).to_owned()).collect());
    let runner = match name {
        "plain.sh" => interpreter(&["/bin/sh"]),
        "train.R" => interpreter(&["/usr/bin/Rscript"]),
        _ => Runner::Kernel,
    };
    Entry::File { kind, name: name.to_owned(), module, runner }
}

fn planned(job: &Job, hardware: &Hardware, entry: &Entry) -> Result<LaunchPlan, String> {
    planned_with(job, hardware, &Settings::default(), entry)
}

fn planned_with(job: &Job, hardware: &Hardware, settings: &Settings, entry: &Entry) -> Result<LaunchPlan, String> {
    let image = image(&[("torchrun", "/usr/bin/torchrun"), ("mpirun", "/usr/bin/mpirun")]);
    planned_in(&image, job, hardware, settings, entry)
}

/// Returns an image with Python and these programs.
fn image(programs: &[(&'static str, &str)]) -> Image {
    let programs = programs.iter().map(|(name, path)| (*name, PathBuf::from(path))).collect();
    Image { python: Some(PathBuf::from("/usr/bin/python3")), programs }
}

fn planned_in(
    image: &Image,
    job: &Job,
    hardware: &Hardware,
    settings: &Settings,
    entry: &Entry,
) -> Result<LaunchPlan, String> {
    let arguments = [b"--lr".to_vec(), b"1".to_vec()];
    let variables = Variables::default();
    let input =
        LaunchInput { job, settings, variables: &variables, hardware, image, entry, arguments: &arguments, token: "" };
    plan(&input).map_err(|error| error.to_string())
}

fn command(plan: &LaunchPlan) -> String {
    let words = &plan.processes[0].command.arguments;
    words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" ")
}

/// Returns the numbers of the processes that this host itself starts.
fn numbers(plan: &LaunchPlan) -> Vec<usize> {
    let own = plan.script_processes().filter(|process| !matches!(process.role, ProcessRole::Daemon(_)));
    own.filter_map(|process| process.role.number()).collect()
}

#[test]
fn each_kind_of_entry_has_its_command() {
    let job = job(&["algo-1"]);
    for (entry, program, expected) in [
        (entry(EntryKind::PythonScript, "sub/train.py"), "/usr/bin/python3", "/usr/bin/python3 sub/train.py --lr 1"),
        (entry(EntryKind::PythonPackage, "train.py"), "/usr/bin/python3", "/usr/bin/python3 -m train --lr 1"),
        (entry(EntryKind::PythonModule, "pkg.train"), "/usr/bin/python3", "/usr/bin/python3 -m pkg.train --lr 1"),
        (entry(EntryKind::ShellScript, "run/me.sh"), "./run/me.sh", "./run/me.sh --lr 1"),
        (entry(EntryKind::ShellScript, "plain.sh"), "/bin/sh", "/bin/sh ./plain.sh --lr 1"),
        (entry(EntryKind::Executable, "train.R"), "/usr/bin/Rscript", "/usr/bin/Rscript ./train.R --lr 1"),
        (Entry::ShellCommand("a && b".to_owned()), "/bin/sh", "/bin/sh -c a && b --lr 1"),
    ] {
        let plan = planned(&job, &Hardware::default(), &entry).expect("a plan");
        assert_eq!((plan.processes[0].command.program.to_str(), command(&plan)), (Some(program), expected.to_owned()));
        assert_eq!(plan.processes[0].command.working_dir, PathBuf::from("/opt/ml/code"));
    }
    // A function starts in the image's folder.
    let (module, function) = ("pkg.training".to_owned(), "main".to_owned());
    let function = Entry::Function { module, function, working_dir: PathBuf::from("/app") };
    let plan = planned(&job, &Hardware::default(), &function).expect("a plan");
    assert_eq!(plan.processes[0].command.working_dir, PathBuf::from("/app"));
    assert!(command(&plan).ends_with(" pkg.training main"), "{}", command(&plan));
}

#[test]
fn a_warning_names_gpus_that_would_be_idle() {
    let hardware = Hardware { gpus: 4, ..Hardware::default() };
    let plan = planned(&job(&["algo-1"]), &hardware, &entry(EntryKind::PythonScript, "train.py")).expect("a plan");
    assert_eq!(plan.warnings.len(), 1);
    assert!(plan.warnings[0].contains("4 GPUs") && plan.warnings[0].contains("FOOTPLATE_LAUNCHER=per-gpu"));
}

#[test]
fn torchrun_starts_a_rank_for_each_gpu_of_all_hosts() {
    let mut job = job(&["algo-1", "algo-10", "algo-2"]);
    let Ok(Value::Dict(distributed)) = parse(r#"{"process_count_per_node": null, "smp": null}"#) else { panic!() };
    job.drivers = Some(DriverConfig {
        entry_script: Some("train.py".to_owned()),
        distributed: Some(distributed),
        ..DriverConfig::default()
    });
    let hardware = Hardware { gpus: 8, ..Hardware::default() };
    let plan = planned(&job, &hardware, &entry(EntryKind::PythonScript, "train.py")).expect("a plan");
    assert_eq!(
        command(&plan),
        "torchrun --nnodes=3 --nproc_per_node=8 --master_addr=algo-1 --master_port=7777 --node_rank=2 train.py --lr 1"
    );
    let error = planned(&job, &hardware, &entry(EntryKind::PythonPackage, "train.py")).expect_err("a package");
    assert!(error.starts_with("torchrun cannot run train.py"), "{error}");
}

#[test]
fn each_gpu_of_each_host_gets_a_rank_with_the_variables_of_torchrun() {
    let hosts: Vec<String> = (1..=13).map(|n| format!("algo-{n}")).collect();
    let job = job(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
    let hardware = Hardware { gpus: 8, ..Hardware::default() };
    let settings = Settings { launcher: Some("per-gpu".to_owned()), ..Settings::default() };
    let script = entry(EntryKind::PythonScript, "train.py");
    let plan = planned_with(&job, &hardware, &settings, &script).expect("a plan");
    assert_eq!(command(&plan), "/usr/bin/python3 train.py --lr 1");
    assert_eq!(numbers(&plan), (96..104).collect::<Vec<_>>());
    let variable = |local_rank: usize, name: &str| {
        String::from_utf8_lossy(&plan.processes[local_rank].command.variables[name.as_bytes()]).into_owned()
    };
    for (name, value) in [
        ("RANK", "103"),
        ("LOCAL_RANK", "7"),
        ("WORLD_SIZE", "104"),
        ("LOCAL_WORLD_SIZE", "8"),
        ("GROUP_RANK", "12"),
        ("GROUP_WORLD_SIZE", "13"),
        ("MASTER_ADDR", "algo-1"),
        ("MASTER_PORT", "7777"),
        ("TORCHELASTIC_USE_AGENT_STORE", "False"),
        ("OMP_NUM_THREADS", "1"),
    ] {
        assert_eq!(variable(7, name), value, "{name}");
    }
    let error = planned_with(&job, &Hardware::default(), &settings, &script).expect_err("no GPU");
    assert!(error.contains("this host has no GPU") && error.contains("FOOTPLATE_PROCESSES_PER_HOST"), "{error}");
    let settings = Settings { processes_per_host: Some(2), ..settings };
    assert_eq!(numbers(&planned_with(&job, &Hardware::default(), &settings, &script).expect("a plan")).len(), 2);
}

fn script() -> Entry {
    entry(EntryKind::PythonScript, "train.py")
}

fn gpus(gpus: usize) -> Hardware {
    Hardware { gpus, ..Hardware::default() }
}

/// Sets a flag of the platform for all hosts, as the SDK does.
fn flagged(mut job: Job, flag: &str) -> Job {
    job.framework_parameters.set(format!("sagemaker_{flag}"), true);
    job.cluster.distribution_groups = vec![job.cluster.current_group.clone()];
    job
}

/// Puts the hosts into groups, each with its name, instance type and hosts.
fn grouped(mut job: Job, groups: &[(&str, &str, &[&str])]) -> Job {
    job.cluster.groups = groups
        .iter()
        .map(|(name, instance_type, hosts)| {
            let raw = parse(&format!(r#"{{"instance_type": "{instance_type}"}}"#)).expect("JSON");
            InstanceGroup {
                name: (*name).to_owned(),
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                raw,
            }
        })
        .collect();
    let host = job.cluster.current_host.clone();
    let group = job.cluster.group_of(&host).expect("a group");
    (job.cluster.current_group, job.cluster.instance_type) =
        (group.name.clone(), group.instance_type().expect("a type").to_owned());
    job
}

fn variables(plan: &LaunchPlan) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    plan.variables.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect()
}

/// Returns the name of the engine that is chosen for a job.
fn chosen(job: &Job, settings: &Settings) -> Result<&'static str, LaunchError> {
    choose(job, settings).map(|engine| engine.name)
}

#[test]
fn a_stop_signals_the_ranks_of_mpirun_and_torchrun() {
    let job = job(&["algo-1"]);
    for (launcher, arguments, variable, ends) in [
        ("mpi", "", "3", true),
        ("per-gpu", "", "", false),
        ("torchrun", "--tee 3", "", true),
        ("torchrun", "", "0", true),
        ("torchrun", "", "3", false),
        ("torchrun", "--tee 3 --max-restarts=3", "", false),
        ("torchrun", "--max_restarts 3", "", false),
    ] {
        let settings = Settings {
            launcher: Some(launcher.to_owned()),
            torchrun_arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            ..Settings::default()
        };
        let input = LaunchInput {
            job: &job,
            settings: &settings,
            variables: &[("PET_MAX_RESTARTS", variable)].into_iter().collect(),
            hardware: &gpus(2),
            image: &image(&[("torchrun", "/usr/bin/torchrun"), ("mpirun", "/usr/bin/mpirun")]),
            entry: &script(),
            arguments: &[],
            token: "",
        };
        let plan = plan(&input).expect("a plan");
        let found = plan.processes[0].stop == StopTarget::Ranks;
        assert_eq!(found, ends, "{launcher} {arguments} {variable}");
    }
}

#[test]
fn of_several_distributions_the_first_in_the_toolkits_order_counts() {
    let order = [
        ("mpi_enabled", "mpi"),
        ("pytorch_ddp_enabled", "smddp"),
        ("torch_distributed_enabled", "torchrun"),
        ("distributed_dataparallel_enabled", "smddp"),
        ("pytorch_xla_multi_worker_enabled", "xla"),
    ];
    for first in 0..order.len() {
        let all = order[first..].iter().fold(job(&["algo-1"]), |job, (flag, _)| flagged(job, flag));
        assert_eq!(chosen(&all, &Settings::default()), Ok(order[first].1), "{}", order[first].0);
        // A setting takes precedence over all of them.
        for engine in ENGINES {
            let settings = Settings { launcher: Some(engine.name.to_owned()), ..Settings::default() };
            assert_eq!(chosen(&all, &settings), Ok(engine.name));
        }
    }
    let mut job = job(&["algo-1"]);
    let Ok(Value::Dict(distributed)) = parse(r#"{"my_driver": 1}"#) else { panic!() };
    job.drivers = Some(DriverConfig { distributed: Some(distributed), ..DriverConfig::default() });
    let error = choose(&job, &Settings::default()).expect_err("not known").to_string();
    assert!(error.contains("neither Torchrun nor MPI") && error.contains("FOOTPLATE_LAUNCHER"), "{error}");
}

#[test]
fn smdistributed_gets_the_command_and_variables_of_the_toolkit() {
    for flag in ["distributed_dataparallel_enabled", "pytorch_ddp_enabled"] {
        let mut job = flagged(job(&["algo-1"]), flag);
        let options = "--NCCL_DEBUG INFO -x MINE=1";
        job.framework_parameters.set("sagemaker_distributed_dataparallel_custom_mpi_options", options);
        let smddprun = Some(PathBuf::from("/usr/bin/smddprun"));
        let hardware = Hardware { gpus: 8, efa: true, smddprun, ..Hardware::default() };
        let plan = planned(&job, &hardware, &script()).expect("a plan");
        let words = command(&plan);
        assert!(words.starts_with("mpirun --host algo-1:8 -np 8 --allow-run-as-root --oversubscribe "), "{words}");
        let end = "-x NCCL_DEBUG -x RDMAV_FORK_SAFE -x SMDATAPARALLEL_USE_SINGLENODE -x MINE=1 \
                   smddprun /usr/bin/python3 -m mpi4py train.py --lr 1";
        assert!(words.ends_with(end), "{words}");
        assert_eq!(
            variables(&plan),
            [
                "FI_PROVIDER=efa",
                "NCCL_DEBUG=INFO",
                "NCCL_PROTO=simple",
                "RDMAV_FORK_SAFE=1",
                "SMDATAPARALLEL_USE_SINGLENODE=1"
            ]
        );
        assert_eq!((plan.launcher, numbers(&plan).len()), ("smddp", 1));
        assert_eq!(plan.span, Some(Span { first: 0, count: 8, world_size: 8 }));

        for (hardware, expected) in
            [(gpus(8), "smddprun is not on PATH"), (Hardware { gpus: 0, ..hardware.clone() }, "this host has no GPU")]
        {
            let error = planned(&job, &hardware, &script()).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
        for (image, expected) in [
            (Image::default(), "mpirun is not on PATH"),
            (Image { python: None, ..image(&[("mpirun", "/usr/bin/mpirun")]) }, "no Python on PATH"),
        ] {
            let planned = planned_in(&image, &job, &hardware, &Settings::default(), &script());
            assert!(planned.as_ref().is_err_and(|error| error.contains(expected)), "{planned:?}");
        }
    }
}

#[test]
fn smdistributed_over_several_hosts_has_its_servers_on_the_first_host() {
    let mut job = flagged(job(&["algo-1", "algo-2"]), "distributed_dataparallel_enabled");
    job.cluster.instance_type = "ml.p4d.24xlarge".to_owned();
    let hardware = Hardware { smddprun: Some(PathBuf::from("/usr/bin/smddprun")), ..gpus(8) };
    let first = planned(&job.seen_from("algo-1"), &hardware, &script()).expect("a plan");
    let words = command(&first);
    assert!(words.starts_with("mpirun --host algo-1:8,algo-2:8 -np 16 "), "{words}");
    let end = "-x RDMAV_FORK_SAFE -x SAGEMAKER_INSTANCE_TYPE -x SMDATAPARALLEL_SERVER_ADDR -x SMDATAPARALLEL_SERVER_PORT \
               -x SMDATAPARALLEL_USE_HOMOGENEOUS smddprun /usr/bin/python3 -m mpi4py train.py --lr 1";
    assert!(words.ends_with(end), "{words}");
    let found = variables(&first);
    for variable in [
        "SAGEMAKER_INSTANCE_TYPE=ml.p4d.24xlarge",
        "SMDATAPARALLEL_SERVER_ADDR=algo-1",
        "SMDATAPARALLEL_SERVER_PORT=7592",
        "SMDATAPARALLEL_USE_HOMOGENEOUS=1",
    ] {
        assert!(found.iter().any(|found| found == variable), "{variable}: {found:?}");
    }
    assert_eq!((numbers(&first).len(), first.span), (1, Some(Span { first: 0, count: 8, world_size: 16 })));
    let second = planned(&job, &hardware, &script()).expect("a plan");
    assert_eq!((numbers(&second).len(), second.span), (0, Some(Span { first: 8, count: 8, world_size: 16 })));
}

#[test]
fn a_number_of_ranks_that_no_job_has_is_refused() {
    let per_host = "sagemaker_mpi_num_of_processes_per_host";
    for (flag, name) in [
        ("torch_distributed_enabled", per_host),
        ("mpi_enabled", per_host),
        ("mpi_enabled", "sagemaker_mpi_num_processes"),
    ] {
        for count in [(1usize << 20) + 1, 10_000_000_000, i64::MAX as usize] {
            let mut job = flagged(job(&["algo-1", "algo-2", "algo-3"]), flag);
            job.framework_parameters.set(name, count);
            let error = planned(&job, &gpus(1), &script()).expect_err("too many");
            assert!(error.starts_with(&format!("{name} is {count}, but a job has at most 1048576 ranks")), "{error}");
        }
    }
}

#[test]
fn pytorch_xla_gets_the_command_and_variables_of_the_toolkit() {
    let mut job = flagged(job(&["algo-1", "algo-2"]), "pytorch_xla_multi_worker_enabled");
    // The runtime has one worker for each GPU, whatever the value of this flag.
    job.framework_parameters.set("sagemaker_mpi_num_of_processes_per_host", 3usize);
    let hardware = Hardware { efa: true, ..gpus(4) };
    let plan = planned(&job, &hardware, &script()).expect("a plan");
    assert_eq!(command(&plan), "/usr/bin/python3 -m torch_xla.distributed.xla_spawn --num_gpus 4 train.py --lr 1");
    let variables = variables(&plan);
    for variable in [
        "XRT_HOST_ORDINAL=1",
        "XRT_SHARD_WORLD_SIZE=2",
        "XRT_WORKERS=localservice:0;algo-1:43857|localservice:1;algo-2:43857",
        "XRT_MESH_SERVICE_ADDRESS=algo-1:53957",
        "GPU_NUM_DEVICES=4",
        "OFI_NCCL_NIC_DUP_CONNS=4",
    ] {
        assert!(variables.iter().any(|found| found == variable), "{variable}: {variables:?}");
    }
    assert_eq!(plan.span, Some(Span { first: 4, count: 4, world_size: 8 }));
    for (hardware, entry, expected) in [
        (gpus(0), script(), "this host has no GPU"),
        (gpus(4), entry(EntryKind::PythonPackage, "train.py"), "PyTorch/XLA cannot run train.py, which is a package"),
        (gpus(4), entry(EntryKind::ShellScript, "train.sh"), "PyTorch/XLA cannot run train.sh, which is no Python"),
    ] {
        let error = planned(&job, &hardware, &entry).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn model_parallel_parameters_put_smddpmprun_before_python() {
    let hardware = Hardware { smddpmprun: Some(PathBuf::from("/usr/bin/smddpmprun")), ..gpus(2) };
    let mut job = flagged(job(&["algo-1"]), "mpi_enabled");
    job.cluster.instance_type = "ml.p4d.24xlarge".to_owned();
    for (parameters, expected) in [
        (r#"{"partitions": 2}"#, Some("smddpmprun -i ml.p4d.24xlarge --allow-bypass ")),
        (r#"{"ddp_dist_backend": "auto"}"#, Some("smddpmprun -i ml.p4d.24xlarge --allow-bypass ")),
        (r#"{"ddp_dist_backend": "nccl"}"#, Some("")),
        ("{}", None),
    ] {
        for value in [parse(parameters).expect("JSON"), Value::from(parameters)] {
            job.hyperparameters.set("mp_parameters", value);
            let plan = planned(&job, &hardware, &script()).expect("a plan");
            let before = expected.unwrap_or_default();
            let exported = if expected.is_some() { "-x NCCL_ALGO -x NCCL_PROTO " } else { "none " };
            let end = format!("{exported}{before}/usr/bin/python3 -m mpi4py train.py --lr 1");
            assert!(command(&plan).ends_with(&end), "{parameters}: {}", command(&plan));
            let has_ring = variables(&plan).contains(&"NCCL_ALGO=ring".to_owned());
            assert_eq!(has_ring, expected.is_some());
        }
    }
    // An image without smddpmprun starts Python directly.
    job.hyperparameters.set("mp_parameters", parse(r#"{"partitions": 2}"#).expect("JSON"));
    assert!(!command(&planned(&job, &gpus(2), &script()).expect("a plan")).contains("smddpmprun"));
    job.hyperparameters.set("mp_parameters", "partitions");
    let error = planned(&job, &hardware, &script()).expect_err("no object");
    assert!(error.contains("mp_parameters is not a JSON object"), "{error}");
}

#[test]
fn mpirun_starts_each_kind_of_script_as_the_toolkit_does() {
    let job = flagged(job(&["algo-1"]), "mpi_enabled");
    for (entry, end) in [
        (script(), "none /usr/bin/python3 -m mpi4py train.py --lr 1"),
        (entry(EntryKind::PythonPackage, "train.py"), "none /usr/bin/python3 -m mpi4py -m train --lr 1"),
        (entry(EntryKind::PythonModule, "pkg.train"), "none /usr/bin/python3 -m mpi4py -m pkg.train --lr 1"),
        (entry(EntryKind::ShellScript, "train.sh"), "none ./train.sh --lr 1"),
    ] {
        let plan = planned(&job, &gpus(2), &entry).expect("a plan");
        assert!(command(&plan).ends_with(end), "{}", command(&plan));
    }
    let mut fewer = job.clone();
    fewer.framework_parameters.set("sagemaker_mpi_num_processes", 3usize);
    fewer.framework_parameters.set("sagemaker_mpi_num_of_processes_per_host", 4usize);
    fewer.framework_parameters.set("sagemaker_mpi_custom_mpi_options", "--NCCL_DEBUG=TRACE --verbose");
    let plan = planned(&fewer, &gpus(8), &script()).expect("a plan");
    assert!(command(&plan).starts_with("mpirun --host algo-1:4 -np 3 "), "{}", command(&plan));
    assert!(command(&plan).contains(" -x NCCL_DEBUG --verbose "), "{}", command(&plan));
    assert!(variables(&plan).contains(&"NCCL_DEBUG=TRACE".to_owned()));
    assert_eq!(plan.span, Some(Span { first: 0, count: 3, world_size: 3 }));
    let command = Entry::ShellCommand("x".to_owned());
    let error = planned(&job, &gpus(2), &command).expect_err("a command");
    assert!(error.starts_with("mpirun cannot run a shell command"), "{error}");
}

#[test]
fn ranks_of_mpirun_have_keepers_unless_an_option_speaks_against_it() {
    let mut job = flagged(job(&["algo-1", "algo-2"]), "mpi_enabled");
    for (options, keeps) in [
        ("", true),
        ("-x NCCL_DEBUG=INFO --mca btl_tcp_if_exclude lo --bind-to core", true),
        ("--map-by node", false),
        ("--output-filename out", false),
        ("-mca orte_fork_agent valgrind", false),
        ("--mca orte_abort_on_non_zero_status 0", false),
        ("--enable-recovery", false),
    ] {
        job.framework_parameters.set("sagemaker_mpi_custom_mpi_options", options);
        let plan = planned(&job, &Hardware::default(), &script()).expect("a plan");
        let (_, starter) = plan.rank_starter().expect("mpirun");
        assert_eq!(starter.separation == Separation::Agent, keeps, "{options}");
    }
}

#[test]
fn several_hosts_on_one_machine_draw_a_warning_with_open_mpi_5() {
    let job = flagged(job(&["algo-1", "algo-2"]), "mpi_enabled");
    let addresses = |net: u8| {
        let address = |n: u8| (format!("algo-{n}"), IpAddr::from([net, 0, 0, n]));
        Settings { host_addresses: [1, 2].map(address).into(), ..Settings::default() }
    };
    for (has_prrte, net, warns) in [(true, 127, true), (false, 127, false), (true, 10, false)] {
        let mut image = image(&[("mpirun", "/usr/bin/mpirun")]);
        if has_prrte {
            image.programs.insert("prterun", PathBuf::from("/usr/bin/prterun"));
        }
        let plan = planned_in(&image, &job, &gpus(0), &addresses(net), &script()).expect("a plan");
        assert_eq!(plan.warnings.iter().any(|text| text.contains("Open MPI 5")), warns, "{:?}", plan.warnings);
    }
}

#[test]
fn torchrun_takes_further_arguments_and_runs_only_python_scripts() {
    let job = job(&["algo-1"]);
    let settings = Settings {
        launcher: Some("torchrun".to_owned()),
        torchrun_arguments: vec!["--tee".to_owned(), "3".to_owned()],
        ..Settings::default()
    };
    let plan = planned_with(&job, &gpus(2), &settings, &script()).expect("a plan");
    assert_eq!(command(&plan), "torchrun --nnodes=1 --nproc_per_node=2 --tee 3 train.py --lr 1");
    let shell = entry(EntryKind::ShellScript, "train.sh");
    let error = planned_with(&job, &gpus(2), &settings, &shell).expect_err("no Python");
    assert!(error.starts_with("torchrun cannot run train.sh, which is no Python script"), "{error}");
    let settings = Settings { torchrun_arguments: vec!["--no-python".to_owned()], ..settings };
    let plan = planned_with(&job, &gpus(2), &settings, &shell).expect("a plan");
    assert_eq!(command(&plan), "torchrun --nnodes=1 --nproc_per_node=2 --no-python ./train.sh --lr 1");
    let image =
        image(&[("torchrun", "/usr/bin/torchrun"), ("neuron_parallel_compile", "/opt/neuron_parallel_compile")]);
    let plan = planned_in(&image, &job, &gpus(2), &settings, &shell).expect("a plan");
    assert_eq!(plan.processes[0].command.program, PathBuf::from("/opt/neuron_parallel_compile"));
    let (_, starter) = plan.rank_starter().expect("torchrun");
    assert_eq!(starter.separation, Separation::Shared);
    assert!(command(&plan).starts_with("neuron_parallel_compile torchrun --nnodes=1 "), "{}", command(&plan));
    let error = planned_in(&Image::default(), &job, &gpus(2), &settings, &shell).expect_err("no torchrun");
    assert!(error.contains("neither on PATH nor beside Python"), "{error}");
}

#[test]
fn a_distribution_applies_only_to_the_instance_groups_that_it_names() {
    let hosts = ["algo-1", "algo-2", "algo-3", "algo-4", "algo-5"];
    let groups: [(&str, &str, &[&str]); 3] = [
        ("cpu", "ml.c5.xlarge", &["algo-1"]),
        ("big", "ml.p4d.24xlarge", &["algo-4", "algo-3"]),
        ("small", "ml.g5.12xlarge", &["algo-2", "algo-5"]),
    ];
    let mut job = grouped(job(&hosts), &groups);
    job.framework_parameters.set("sagemaker_torch_distributed_enabled", true);
    job.framework_parameters.set("sagemaker_distribution_instance_groups", Value::List(Vec::new()));
    job.cluster.distribution_groups = vec!["small".to_owned(), "big".to_owned()];
    let of = |job: &Job, host: &str, settings: &Settings| {
        let job = job.seen_from(host);
        let hardware = gpus(4).of_instance(&job.cluster.instance_type).expect("a known type");
        planned_with(&job, &hardware, settings, &script()).expect("a plan")
    };
    let default = Settings::default();
    let words = |host: &str| command(&of(&job, host, &default));
    assert_eq!(words("algo-1"), "/usr/bin/python3 train.py --lr 1");
    for (host, count, rank) in [("algo-4", 8, 0), ("algo-3", 8, 1), ("algo-2", 4, 2), ("algo-5", 4, 3)] {
        let expected = format!(
            "torchrun --nnodes=4 --nproc_per_node={count} --master_addr=algo-4 --master_port=7777 --node_rank={rank} \
             train.py --lr 1"
        );
        assert_eq!(words(host), expected);
    }
    let per_gpu = Settings { launcher: Some("per-gpu".to_owned()), ..Settings::default() };
    for (host, first, count) in [("algo-4", 0, 8), ("algo-3", 8, 8), ("algo-2", 16, 4), ("algo-5", 20, 4)] {
        let plan = of(&job, host, &per_gpu);
        assert_eq!(plan.span, Some(Span { first, count, world_size: 24 }), "{host}");
        assert_eq!((numbers(&plan)[0], numbers(&plan).len()), (first, count));
        assert_eq!(plan.processes[1].command.variables[&b"WORLD_SIZE"[..]], b"24");
        assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    }
    let rest = of(&job, "algo-1", &per_gpu);
    assert_eq!((rest.launcher, numbers(&rest).len()), ("process", 1));
    assert!(rest.warnings[0].contains("FOOTPLATE_LAUNCHER=per-gpu is for the instance groups small, big"));

    job.cluster.distribution_groups = vec!["big".to_owned()];
    let idle = of(&job, "algo-2", &default);
    assert!(idle.warnings[0].ends_with("add its instance group, small, to the distribution"), "{:?}", idle.warnings);

    // The number of GPUs of an unknown instance type is not guessed.
    let mut other =
        grouped(job.clone(), &[("big", "ml.z9.large", &["algo-1"]), ("small", "ml.g5.12xlarge", &["algo-5"])]);
    other.cluster.distribution_groups = vec!["big".to_owned(), "small".to_owned()];
    let error = planned_with(&other, &gpus(4), &per_gpu, &script()).expect_err("not known");
    assert!(error.contains("host algo-1") && error.contains("ml.z9.large"), "{error}");
    let settings = Settings { processes_per_host: Some(2), ..per_gpu };
    let plan = planned_with(&other, &gpus(4), &settings, &script()).expect("a plan");
    assert_eq!(plan.span, Some(Span { first: 2, count: 2, world_size: 4 }));
}

#[test]
fn network_variables_follow_from_the_machine() {
    let efa = Hardware { efa: true, has_interface: true, ..gpus(8) };
    let with_efa =
        ["FI_PROVIDER=efa", "NCCL_DEBUG=WARN", "NCCL_PROTO=simple", "NCCL_SOCKET_IFNAME=eth0", "RDMAV_FORK_SAFE=1"];
    let with_rdma = [&["FI_EFA_USE_DEVICE_RDMA=1"], &with_efa[..]].concat();
    for (instance_type, hardware, expected) in [
        ("ml.p4d.24xlarge", efa.clone(), &with_rdma[..]),
        ("ml.g5.48xlarge", efa, &with_efa[..]),
        ("ml.g5.xlarge", gpus(1), &["NCCL_DEBUG=WARN", "NCCL_IB_DISABLE=1"][..]),
        ("ml.c5.xlarge", Hardware { has_interface: true, ..gpus(0) }, &[][..]),
    ] {
        let mut job = job(&["algo-1"]);
        job.cluster.instance_type = instance_type.to_owned();
        let plan = planned(&job, &hardware, &script()).expect("a plan");
        assert_eq!(variables(&plan), expected, "{instance_type}");
        for variable in &plan.variables {
            let name = String::from_utf8_lossy(variable.0);
            assert!(super::variables().iter().any(|variable| variable.name == name), "{name}");
        }
    }
}

#[test]
fn a_warning_or_an_error_names_gpus_that_the_container_does_not_see() {
    let mut job = job(&["algo-1"]);
    job.cluster.instance_type = "ml.p4d.24xlarge".to_owned();
    let per_gpu = Settings { launcher: Some("per-gpu".to_owned()), processes_per_host: Some(8), ..Settings::default() };
    let error = planned_with(&job, &gpus(0), &per_gpu, &script()).expect_err("no GPU is seen");
    assert!(error.contains("ml.p4d.24xlarge has 8 GPUs, and none is seen") && error.contains("--gpus all"), "{error}");
    // The programs that footplate replaces continue here, so these launchers only warn.
    for launcher in ["process", "torchrun", "mpi"] {
        let settings = Settings { launcher: Some(launcher.to_owned()), ..Settings::default() };
        let plan = planned_with(&job, &gpus(0), &settings, &script()).expect("a plan");
        assert!(plan.warnings[0].contains("ml.p4d.24xlarge has 8 GPUs, and none is seen"), "{:?}", plan.warnings);
        let plan = planned_with(&job, &gpus(7), &settings, &script()).expect("a plan");
        assert!(plan.warnings[0].contains("ml.p4d.24xlarge has 8 GPUs, and 7 are seen"), "{:?}", plan.warnings);
        let plan = planned_with(&job, &gpus(8), &settings, &script()).expect("a plan");
        assert!(!plan.warnings.iter().any(|warning| warning.contains("seen")), "{:?}", plan.warnings);
    }
}

#[test]
fn if_a_distribution_names_no_groups_each_host_uses_its_own_group() {
    let groups: [(&str, &str, &[&str]); 2] =
        [("big", "ml.p4d.24xlarge", &["algo-1"]), ("small", "ml.g5.12xlarge", &["algo-2", "algo-3"])];
    let job = flagged(grouped(job(&["algo-2", "algo-3", "algo-1"]), &groups), "torch_distributed_enabled");
    assert_eq!(job.cluster.current_group, "big");
    let other = job.seen_from("algo-3");
    assert_eq!((other.nodes(), other.node_rank()), (vec!["algo-2".to_owned(), "algo-3".to_owned()], 1));
    assert_eq!(other.cluster.instance_type, "ml.g5.12xlarge");
    assert_eq!(chosen(&other, &Settings::default()), Ok("torchrun"));
    assert_eq!(other.seen_from("algo-1").nodes(), ["algo-1"]);
}
