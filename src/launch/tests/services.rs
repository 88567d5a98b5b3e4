//! An engine with services, similar to Ray. It shows that the table, the plan and its display support such engines.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{gpus, image, job, script};
use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::launch::engine::{Profile, Services};
use crate::launch::image::{ImageProbe, Programs};
use crate::launch::{
    CommandPlan, ENGINES, EndMeaning, Engine, Flag, LaunchError, LaunchInput, LaunchPlan, ProcessPlan, ProcessRole,
    ReadySign, StartAfter, StopTarget, choice, plan_json, plan_text, plan_with, process, variables,
};
use crate::machine::Hardware;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;
use crate::redact::Redactor;

/// A cluster with a head on the first host and a worker on each other host. The script runs beside the head.
static FLOCK: Engine = Engine {
    name: "flock",
    title: "a flock",
    summary: "a head on the first host, and a worker on every other",
    needs: "flock",
    script: "nothing",
    flags: &[Flag::of_engine("flock_enabled", 15)],
    variables: &[Variable::new("FLOCK_HEAD", "The address of the head.")],
    modules: &[],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::OfAllHosts,
    ports: crate::launch::ports::none,
    task_log: None,
    locate,
    further_profile,
    plan,
};

fn locate(probe: &dyn ImageProbe) -> Result<Programs, LaunchError> {
    let flock = probe.on_path("flock").ok_or_else(|| LaunchError::new("flock is not on PATH: install it"))?;
    Ok(Programs::from([("flock", flock)]))
}

fn further_profile(job: &Job, _: &Settings) -> Profile {
    Profile::from([("head", job.master())])
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let program = input.image.program("flock").ok_or_else(|| LaunchError::new("flock is not on PATH"))?;
    let head = format!("{}:6379", input.reach(&job.master()));
    let service = |name, title, words: &[&str], stage, starts, stop_order| {
        let command = CommandPlan {
            program: program.to_owned(),
            arguments: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            variables: VariableTable::from([("FLOCK_TOKEN".into(), "s3cr3t-token".into())]),
            working_dir: job.code_dir(),
        };
        ProcessPlan {
            stage,
            starts,
            ready: ReadySign::Line { text: "flock runs", times: 1 },
            end: EndMeaning::Failure,
            stop_order,
            ..ProcessPlan::of_script(ProcessRole::Service { name, title }, command)
        }
    };
    let everywhere = StartAfter::LowerStagesOfAllHosts;
    let processes = if job.node_rank() == 0 {
        let words = ["flock", "--head"];
        let variables = VariableTable::from([("FLOCK_HEAD".into(), head.into())]);
        let command = CommandPlan { variables, ..process::command(input)? };
        let script = ProcessPlan::of_script(ProcessRole::Script { node_rank: 0 }, command);
        vec![
            service("flock-head", "the head of the flock", &words, 0, StartAfter::Nothing, 2),
            ProcessPlan { stage: 2, starts: everywhere, ..script },
        ]
    } else {
        vec![service("flock-worker", "the flock's worker", &["flock", "--join", &head], 1, everywhere, 1)]
    };
    Ok(LaunchPlan { processes, script_hosts: vec![job.master()], ..LaunchPlan::new(FLOCK.name, input) })
}

/// The table with one more engine.
fn engines() -> Vec<&'static Engine> {
    ENGINES.iter().copied().chain([&FLOCK]).collect()
}

fn planned(job: &Job) -> LaunchPlan {
    let input = LaunchInput {
        job,
        settings: &Settings { launcher: Some("flock".to_owned()), ..Settings::default() },
        variables: &Variables::default(),
        hardware: &gpus(0),
        image: &image(&[("flock", "/usr/bin/flock")]),
        entry: &script(),
        arguments: &[],
        token: "",
    };
    plan_with(&engines(), &input).expect("a plan")
}

#[test]
fn an_engine_with_services_is_planned_through_the_table() {
    let job = job(&["algo-1", "algo-2", "algo-3"]);
    let head = planned(&job.seen_from("algo-1"));
    assert_eq!(head.launcher, "flock");
    let services: Vec<_> = head.services().map(|service| (service.stage, service.ready, service.end)).collect();
    assert_eq!(services, [(0, ReadySign::Line { text: "flock runs", times: 1 }, EndMeaning::Failure)]);
    let script: Vec<_> = head.script_processes().collect();
    assert_eq!(script.len(), 1);
    assert_eq!((script[0].stage, script[0].starts), (2, StartAfter::LowerStagesOfAllHosts));
    assert_eq!((script[0].stop, script[0].attempt), (StopTarget::Process, 0));
    // The script ends first, the workers next, the head last.
    for host in ["algo-2", "algo-3"] {
        let worker = planned(&job.seen_from(host));
        assert_eq!(worker.script_processes().count(), 0, "{host}");
        assert_eq!(worker.script_hosts, ["algo-1"]);
        let worker = worker.services().next().expect("a service");
        assert_eq!((worker.stage, worker.starts), (1, StartAfter::LowerStagesOfAllHosts));
        let of_head = head.services().next().expect("a service").stop_order;
        assert!(script[0].stop_order < worker.stop_order && worker.stop_order < of_head);
    }
}

#[test]
fn a_plan_with_services_is_printed() {
    let job = job(&["algo-1", "algo-2"]);
    let redactor = Redactor::new([("FLOCK_TOKEN".to_owned(), "s3cr3t-token".to_owned())]);
    let head = planned(&job.seen_from("algo-1"));
    assert_eq!(
        plan_text(&head, &redactor),
        [
            "launcher     flock",
            "processes    2",
            "service      flock-head: the head of the flock",
            "starts       at once (stage 0)",
            "ready        when it has printed \"flock runs\"",
            "its end      a failure; in the shutdown: number 2",
            "folder       /opt/ml/code",
            "program      /usr/bin/flock",
            "command      flock --head",
            "flock-head   FLOCK_TOKEN=******",
            "script       when the lower stages of all hosts are ready (stage 2)",
            "folder       /opt/ml/code",
            "program      /usr/bin/python3",
            "command      /usr/bin/python3 train.py",
            "rank 0       FLOCK_HEAD=algo-1:6379",
        ]
    );
    let worker = planned(&job.seen_from("algo-2"));
    let text = plan_text(&worker, &redactor);
    assert_eq!(text.last().map(String::as_str), Some("script       runs on algo-1"));
    assert!(text.contains(&"command      flock --join algo-1:6379".to_owned()), "{text:?}");
    let object = plan_json(&worker, &redactor);
    assert_eq!(object["services"][0]["name"], "flock-worker");
    assert_eq!(object["services"][0]["stage"], 1);
    assert_eq!(object["services"][0]["variables"]["FLOCK_TOKEN"], "******");
    assert_eq!((object["program"].is_null(), object["script_hosts"][0].as_str()), (true, Some("algo-1")));
}

#[test]
fn a_flag_asks_for_an_engine_by_its_priority() {
    let flag = |job, flag| super::flagged(job, flag);
    let chosen = |job: &Job| choice::choose(&engines(), job, &Settings::default()).expect("an engine").name;
    let job = flag(job(&["algo-1"]), "torch_distributed_enabled");
    assert_eq!(chosen(&job), "torchrun");
    let job = flag(job, "flock_enabled");
    assert_eq!(chosen(&job), "flock");
    assert_eq!(chosen(&flag(job, "mpi_enabled")), "mpi");
}

#[test]
fn an_engine_that_the_table_does_not_have_is_refused() {
    let settings = Settings { launcher: Some("flock".to_owned()), ..Settings::default() };
    let error = choice::choose(ENGINES, &job(&["algo-1"]), &settings).expect_err("not in the table");
    assert_eq!(error.to_string(), "there is no launcher flock");
}

/// An image whose PATH has these programs. It records each question.
struct FakeImage {
    on_path: BTreeMap<&'static str, &'static str>,
    files: Vec<&'static str>,
    variables: BTreeMap<&'static str, &'static str>,
    requested: RefCell<Vec<String>>,
}

impl ImageProbe for FakeImage {
    fn on_path(&self, name: &str) -> Option<PathBuf> {
        self.requested.borrow_mut().push(name.to_owned());
        self.on_path.get(name).map(PathBuf::from)
    }

    fn beside_python(&self, name: &str) -> Option<PathBuf> {
        self.requested.borrow_mut().push(format!("python/../{name}"));
        Some(PathBuf::from(format!("/venv/bin/{name}"))).filter(|path| self.exists(path))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.iter().any(|file| path == Path::new(file))
    }

    fn text(&self, _: &Path) -> Option<String> {
        None
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }
}

#[test]
fn each_engine_looks_only_for_the_programs_that_it_needs() {
    let engine = |name: &str| engines().into_iter().find(|engine| engine.name == name).expect("an engine");
    let mut fake = FakeImage {
        on_path: BTreeMap::from([("mpirun", "/mpi/mpirun"), ("neuron_parallel_compile", "/neuron/npc")]),
        files: vec!["/mpi/prterun", "/venv/bin/torchrun"],
        variables: BTreeMap::new(),
        requested: RefCell::default(),
    };
    for (name, found, requested) in [
        ("process", &[][..], &[][..]),
        ("per-gpu", &[], &[]),
        ("xla", &[], &[]),
        ("torchrun", &[("torchrun", "/venv/bin/torchrun")], &["torchrun", "python/../torchrun"]),
        ("mpi", &[("mpirun", "/mpi/mpirun"), ("prterun", "/mpi/prterun")], &["mpirun"]),
        ("smddp", &[("mpirun", "/mpi/mpirun"), ("prterun", "/mpi/prterun")], &["mpirun"]),
    ] {
        let programs = (engine(name).locate)(&fake).expect("no refusal");
        let programs: Vec<_> = programs.iter().map(|(name, path)| (*name, path.to_str().expect("a text"))).collect();
        assert_eq!(programs, found, "{name}");
        assert_eq!(fake.requested.take(), requested, "{name}");
    }
    let error = (FLOCK.locate)(&fake).expect_err("no flock");
    assert!(error.to_string().starts_with("flock is not on PATH"), "{error}");

    fake.variables.insert("RUN_NEURON_PARALLEL_COMPILE", "1");
    let programs = (engine("torchrun").locate)(&fake).expect("both");
    assert_eq!(programs["neuron_parallel_compile"], PathBuf::from("/neuron/npc"));
    fake.on_path.clear();
    let error = (engine("torchrun").locate)(&fake).expect_err("no compiler").to_string();
    assert_eq!(error, "RUN_NEURON_PARALLEL_COMPILE is 1, but neuron_parallel_compile is not on PATH");
}

#[test]
fn hosts_compare_their_launches() {
    let settings = Settings::default();
    let job = job(&["algo-1", "algo-2"]);
    let profile = FLOCK.profile(&job, &settings);
    assert_eq!(profile.keys().copied().collect::<Vec<_>>(), ["entry point", "head", "hosts", "launcher"]);
    assert_eq!((profile["launcher"].as_str(), profile["hosts"].as_str()), ("flock", "algo-1,algo-2"));
    assert_eq!(profile, FLOCK.profile(&job.seen_from("algo-1"), &settings));
}

#[test]
fn names_and_priorities_of_engines_are_unique() {
    let engines = engines();
    let unique = |mut texts: Vec<String>| {
        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count, "{texts:?}");
    };
    unique(engines.iter().map(|engine| engine.name.to_owned()).collect());
    let flags = || engines.iter().flat_map(|engine| engine.flags);
    unique(flags().filter(|flag| !flag.is_shared).map(|flag| flag.name.to_owned()).collect());
    unique(flags().map(|flag| flag.priority.to_string()).collect());
}

#[test]
fn every_variable_of_a_plan_is_documented() {
    let mut job = super::flagged(job(&["algo-1", "algo-2"]), "mpi_enabled");
    job.cluster.instance_type = "ml.p4d.24xlarge".to_owned();
    job.hyperparameters.set("mp_parameters", r#"{"partitions": 2}"#);
    let smddprun = Some(PathBuf::from("/usr/bin/smddprun"));
    let hardware = Hardware { efa: true, has_interface: true, smddprun, ..gpus(8) };
    // The documentation names RANK for all variables of a rank of torchrun, and one variable for all of Open MPI.
    let of_others = ["LOCAL_", "WORLD_", "GROUP_", "ROLE_", "TORCH", "MASTER_", "OMPI_COMM_WORLD_"];
    for engine in ENGINES {
        let input = LaunchInput {
            job: &job,
            settings: &Settings { launcher: Some(engine.name.to_owned()), ..Settings::default() },
            variables: &Variables::default(),
            hardware: &hardware,
            image: &image(&[("torchrun", "/usr/bin/torchrun"), ("mpirun", "/usr/bin/mpirun")]),
            entry: &script(),
            arguments: &[],
            token: "",
        };
        let plan = plan_with(ENGINES, &input).expect("a plan");
        let own = plan.processes.iter().flat_map(|process| process.command.variables.keys());
        for name in plan.variables.keys().chain(own) {
            let name = String::from_utf8_lossy(name);
            let is_listed = variables().iter().any(|variable| variable.name == name);
            assert!(is_listed || of_others.iter().any(|prefix| name.starts_with(prefix)), "{engine}: {name}");
        }
    }
}
