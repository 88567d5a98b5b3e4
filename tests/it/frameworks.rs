//! Frameworks whose processes find each other by variables: a real JAX on several hosts, and frameworks that are missing.

use std::path::PathBuf;

use super::hosts::Hosts;
use super::job::{Job, eventually, search_path};
use super::kept;
use super::recorder::{RECORDER, Record, recorded, recording};
use super::running::{Running, notes, noting};

/// Returns a virtual environment with JAX.
fn jax() -> PathBuf {
    kept::environment(&["jax"])
}

/// Gives a job the Python of a virtual environment.
fn with_environment(job: Job, folder: &std::path::Path) -> Job {
    job.variable("PATH", &format!("{}/bin:{}", folder.display(), search_path()))
}

/// Returns hosts with processes of a real JAX. The script begins with a sum over all processes, which each of them prints.
fn hosts_of_jax(count: usize, per_host: usize, script: &str) -> Hosts {
    let begin = "import jax, os, signal, time\njax.distributed.initialize()\n\
                 from jax.experimental import multihost_utils\n\
                 rank, size = jax.process_index(), jax.process_count()\n\
                 def total(): return int(multihost_utils.process_allgather(jax.numpy.array([rank])).sum())\n\
                 print(total(), 'of', size, flush=True)\n";
    let hosts = Hosts::new(count, &format!("{begin}{script}"))
        .variable("FOOTPLATE_LAUNCHER", "jax")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", &per_host.to_string());
    let environment = jax();
    Hosts { jobs: hosts.jobs.into_iter().map(|job| with_environment(job, &environment)).collect() }
}

#[test]
fn processes_of_jax_compute_with_those_of_all_hosts() {
    let hosts = hosts_of_jax(2, 2, "");
    for (n, ended) in hosts.train().into_iter().enumerate() {
        let stdout = ended.succeeded().stdout();
        let mut lines: Vec<&str> = stdout.lines().filter(|line| !line.contains("[Gloo]")).collect();
        lines.sort_unstable();
        let expected = [2 * n, 2 * n + 1].map(|rank| format!("[algo-{}:{rank}] 6 of 4", n + 1));
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_framework_that_python_lacks_is_refused_before_anything_starts() {
    let empty = kept::environment(&[]);
    for (launcher, modules, packages) in [
        ("jax", "jax", "jax"),
        ("tensorflow", "tensorflow", "tensorflow"),
        ("tensorflow-ps", "tensorflow", "tensorflow"),
        ("mxnet", "mxnet", "mxnet 'numpy<1.24'"),
        ("deepspeed", "deepspeed", "deepspeed"),
        ("accelerate", "accelerate", "accelerate"),
        ("ray", "ray", "ray"),
        ("dask", "distributed", "distributed"),
        ("xgboost", "xgboost or lightgbm", "xgboost or lightgbm"),
    ] {
        let job = with_environment(recording(), &empty).variable("FOOTPLATE_LAUNCHER", launcher);
        let problem = format!("the launcher {launcher} needs the Python module {modules}, which ");
        let ended = job.train().failed(69, &problem);
        let remedy = format!(": install {packages} in the image, or name it in the job's requirements.txt, or set ");
        assert!(ended.failure().contains(&remedy), "{}", ended.failure());
        assert!(job.read("record.json").is_none(), "the script was started");

        let said = |job: &Job, mark: &str| {
            let ended = job.run(["check"]);
            assert!(ended.stdout().contains(&format!("{mark} module         {problem}")), "{ended:#?}");
            ended.code()
        };
        assert_eq!(said(&job, "FAIL "), 1);
        // The requirements may bring it.
        let job = job.file("code/requirements.txt", packages);
        assert_eq!(said(&job, "warn "), 0);
    }
    // A module of the job's own code is one, too.
    let job = with_environment(recording(), &empty).variable("FOOTPLATE_LAUNCHER", "jax");
    let job = job.file("code/jax.py", "raise ImportError('nobody imports it')");
    job.train().succeeded();
    assert_eq!(Record::of(&job).argv, ["train.py"]);
}

#[test]
fn requirements_can_bring_the_framework() {
    let started = |requirement: &str| {
        let job = with_environment(recording(), &kept::environment(&[])).variable("FOOTPLATE_LAUNCHER", "jax");
        let job = job.file("code/requirements.txt", requirement);
        for name in ["jax", "other"] {
            kept::wheel(&job.path("wheels"), &[name, "1.0"]);
        }
        let (wheels, target) = (job.path("wheels").display().to_string(), job.path("site").display().to_string());
        let job = job
            .variable("PIP_NO_INDEX", "1")
            .variable("PIP_FIND_LINKS", &wheels)
            .variable("PIP_TARGET", &target)
            .variable("PYTHONPATH", &target)
            .variable("FOOTPLATE_INSTALLER", "pip");
        let ended = job.train();
        (job, ended)
    };
    let (job, ended) = started("jax==1.0\n");
    ended.succeeded();
    assert_eq!(Record::of(&job).argv, ["train.py"]);
    let (job, ended) = started("other==1.0\n");
    let ended = ended.failed(69, "the launcher jax needs the Python module jax, which ");
    assert!(
        ended.failure().contains(": install jax in the image, or name it in the job's requirements.txt"),
        "{ended:#?}"
    );
    assert!(job.path("site/other.py").exists(), "the requirements were installed before: {ended:#?}");
    assert!(job.read("record.json").is_none(), "the script was started");
}

#[test]
fn parameter_servers_of_the_flag_are_those_of_the_images_python() {
    let empty = kept::environment(&[]);
    for (modules, launcher, said) in [
        (&["mxnet"][..], "mxnet", ""),
        (&["tensorflow"], "tensorflow-ps", ""),
        (&["tensorflow", "mxnet"], "tensorflow-ps", "the image's Python has mxnet and tensorflow"),
        (&[], "process", "sagemaker_parameter_server_enabled asks for the parameter servers of TensorFlow or MXNet"),
    ] {
        let resources = r#"{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}"#;
        let mut job = with_environment(recording(), &empty)
            .hyperparameters(r#"{"sagemaker_parameter_server_enabled": "true"}"#)
            .file("input/config/resourceconfig.json", resources);
        for module in modules {
            job = job.file(&format!("code/{module}.py"), "raise ImportError('nobody imports it')");
        }
        let plan = job.run(["plan", "--json"]);
        let plan: serde_json::Value = serde_json::from_str(&plan.stdout()).unwrap_or_else(|_| panic!("{plan:#?}"));
        assert_eq!(plan["hosts"][0]["launcher"], launcher, "{plan:#}");
        let warnings = plan["hosts"][0]["warnings"].to_string();
        assert!(warnings.contains(said) && (warnings == "[]") == said.is_empty(), "{warnings}");
        if launcher == "process" {
            let ended = job.train().succeeded();
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
        }
    }
}

#[test]
fn lightgbm_needs_neither_xgboost_nor_its_tracker() {
    let empty = kept::environment(&[]);
    let hosts =
        Hosts::new(2, "import os\nprint(os.environ['FOOTPLATE_MACHINES'])").variable("FOOTPLATE_LAUNCHER", "xgboost");
    let with_lightgbm = |job: Job| with_environment(job, &empty).file("code/lightgbm.py", "");
    let hosts = Hosts { jobs: hosts.jobs.into_iter().map(with_lightgbm).collect() };
    let stdout: String = hosts.train().into_iter().map(|ended| ended.succeeded().stdout()).collect();
    assert!(
        stdout.contains("[algo-1:xgboost-tracker] tracker: none, because this Python has no XGBoost\n"),
        "{stdout}"
    );
    assert_eq!(stdout.matches("127.0.0.1:12400,127.0.0.1:12401\n").count(), 2, "{stdout}");
}

#[test]
fn the_launchers_of_deepspeed_and_accelerate_get_their_arguments() {
    // The module in the code folder stands in for the image's: it records how it is called.
    let called = |launcher: &str, module: &str, arguments: (&str, &str)| {
        let job = recorded(Job::python("print('never')")).file(&format!("code/{module}"), RECORDER);
        let job = job.variable("FOOTPLATE_LAUNCHER", launcher).variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
        let job = job.variable(arguments.0, arguments.1).hyperparameters(r#"{"lr": "0.1"}"#);
        job.train().succeeded();
        Record::of(&job).arguments().join(" ")
    };
    assert_eq!(
        called(
            "deepspeed",
            "deepspeed/launcher/launch.py",
            ("FOOTPLATE_DEEPSPEED_ARGUMENTS", "--enable_each_rank_log '/tmp/a b'")
        ),
        "--world_info=eyJhbGdvLTEiOiBbMCwgMV19 --node_rank=0 --master_addr=127.0.0.1 --master_port=7777 \
         --enable_each_rank_log /tmp/a b train.py --lr 0.1"
    );
    assert_eq!(
        called(
            "accelerate",
            "accelerate/commands/launch.py",
            ("FOOTPLATE_ACCELERATE_ARGUMENTS", "--mixed_precision bf16")
        ),
        "--num_machines=1 --num_processes=2 --machine_rank=0 --main_process_port=7777 --multi_gpu --dynamo_backend=no \
         --mixed_precision bf16 train.py --lr 0.1"
    );
}

/// A launcher that starts its rank in its own process group and kills it if it is told to stop, as DeepSpeed's does. accelerate
/// starts a single process so.
const LAUNCHER: &str = "import signal, subprocess, sys\n\
                        script = [word for word in sys.argv[1:] if not word.startswith('--')]\n\
                        rank = subprocess.Popen([sys.executable, *script])\n\
                        def told(*_):\n    rank.kill()\n    sys.exit(1)\n\
                        signal.signal(signal.SIGTERM, told)\n\
                        sys.exit(rank.wait())\n";

#[test]
fn a_stop_is_for_the_ranks_that_share_the_group_of_their_launcher() {
    let script = "def save(*_):\n    note('told')\n    wait_for('rest')\n    print('saved', flush=True)\n    sys.exit(0)\n\
                  import signal, sys\nfrom notes import note, wait_for\nsignal.signal(signal.SIGTERM, save)\n\
                  print('can save', file=sys.stderr, flush=True)\nwait_for('nothing')\n";
    for (launcher, module) in [("deepspeed", "deepspeed/launcher"), ("accelerate", "accelerate/commands")] {
        let job = noting(script).file(&format!("code/{module}/launch.py"), LAUNCHER);
        let job = job.variable("FOOTPLATE_LAUNCHER", launcher);
        // Without arguments, footplate starts the ranks of DeepSpeed.
        let job = job.variable("FOOTPLATE_DEEPSPEED_ARGUMENTS", "--log_level=info");
        let running = Running::start(&job, ["train"]);
        running.says("can save");
        running.signal(nix::sys::signal::Signal::SIGTERM);
        eventually("the script is told", || (notes(job.base()) == ["told"]).then_some(()));
        running.tell("rest");
        let ended = running.end(&job);
        assert_eq!(ended.stdout(), "saved\n", "{ended:#?}");
        assert_eq!(ended.code(), 0, "{ended:#?}");
    }
}

#[test]
fn a_configuration_of_accelerate_that_submits_a_job_is_refused() {
    let job = Job::python("print('never')").file("code/accelerate.py", "");
    let job = job.file("hf/accelerate/default_config.yaml", "compute_environment: AMAZON_SAGEMAKER\n");
    let home = job.path("hf").display().to_string();
    let job = job.variable("HF_HOME", &home).variable("FOOTPLATE_LAUNCHER", "accelerate");
    let config = job.path("hf/accelerate/default_config.yaml").display().to_string();
    job.train().failed(69, &format!("{config} has compute_environment: AMAZON_SAGEMAKER, by which accelerate would "));
}

#[test]
fn tensorflow_finds_its_workers_in_tf_config() {
    let job = recording().file("code/tensorflow.py", "");
    let job = job
        .hyperparameters(r#"{"sagemaker_multi_worker_mirrored_strategy_enabled": "true"}"#)
        .file("input/config/resourceconfig.json", r#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#);
    job.train().succeeded();
    let config: serde_json::Value = serde_json::from_str(Record::of(&job).var("TF_CONFIG")).expect("JSON");
    assert_eq!(config["cluster"]["worker"], serde_json::json!(["127.0.0.1:8890"]));
    // The user's own value is stronger.
    let job = job.variable("TF_CONFIG", "{}");
    job.train().succeeded();
    assert_eq!(Record::of(&job).var("TF_CONFIG"), "{}");
}

/// Returns a job of JAX whose own module `jax` stands in for the framework.
fn with_stand_in(script: &str) -> Job {
    let job = Job::python(script).file("code/jax.py", "").variable("FOOTPLATE_LAUNCHER", "jax");
    job.variable("FOOTPLATE_GRACE_PERIOD", "60")
}

#[test]
fn a_traceback_and_no_end_is_a_failure_of_the_rank_that_wrote_it() {
    // As JAX's exit handler does, it waits for another thread; so do the other ranks, which handle SIGTERM and do not end.
    let script = "import atexit, os, signal, threading\n\
                  signal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))\n\
                  lock = threading.Lock()\nlock.acquire()\natexit.register(lock.acquire)\n\
                  if os.environ['JAX_PROCESS_ID'] == '1':\n    raise ValueError('row 17 is rotten')\n";
    let job = with_stand_in(script).variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    let ended = job.train().failed(1, "ValueError: row 17 is rotten\nat train.py:7\n");
    assert!(ended.failure().contains("rank 1, exit code 1, 1 other rank was ended"), "{}", ended.failure());
    assert!(ended.stderr.contains("a process has written a traceback and does not end"), "{}", ended.stderr);
    // 5 s of silence, and 2 s instead of the grace period for the other rank.
    let seconds = ended.duration.as_secs_f64();
    assert!((6.5..25.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_process_that_waits_in_its_framework_after_a_traceback_is_ended_early() {
    // If it still runs 4 s after its traceback, it ends in another way.
    let framework = "import atexit, os, threading\n\
                     def late():\n    print('late', flush=True)\n    os._exit(7)\n\
                     @atexit.register\n\
                     def clean_up():\n    late_timer = threading.Timer(4, late)\n    late_timer.daemon = True\n    \
                     late_timer.start()\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()\n";
    let job = Job::python("import jax\nraise ValueError('row 17 is rotten')\n");
    let job = job.file("code/site-packages/jax/__init__.py", framework).variable("FOOTPLATE_LAUNCHER", "jax");
    let packages = job.path("code/site-packages").display().to_string();
    let ended = job.variable("PYTHONPATH", &packages).train();
    let ended = ended.failed(1, "ValueError: row 17 is rotten\nat train.py:2\n");
    assert!(!ended.stdout().contains("late"), "{ended:#?}");
}

#[test]
fn an_exception_that_was_caught_is_no_end() {
    for rest in [
        "time.sleep(7)",
        "until = time.time() + 7\nwhile time.time() < until: sum(range(1000))",
        "lock = threading.Lock()\nlock.acquire()\nlock.acquire(timeout=7)",
    ] {
        let script = format!(
            "import threading, time, traceback\n\
             try: raise ValueError('survived')\n\
             except ValueError: traceback.print_exc()\n{rest}\nprint('done')\n"
        );
        assert_eq!(with_stand_in(&script).train().succeeded().stdout(), "done\n");
    }
}

#[test]
fn an_exception_in_one_process_of_jax_ends_all_hosts_which_name_it() {
    let raises =
        "for step in range(1000):\n    total()\n    if step == 3 and rank == 1: raise ValueError('row 17 is rotten')\n";
    for ended in hosts_of_jax(2, 1, raises).train() {
        let ended = ended.failed(1, "ValueError: row 17 is rotten\nat train.py:9\n");
        assert!(ended.failure().contains("host algo-2, rank 1, exit code 1"), "{}", ended.failure());
        assert!(ended.duration.as_secs() < 60, "{:?}", ended.duration);
    }
}

#[test]
fn a_killed_process_of_jax_ends_all_hosts_which_name_it() {
    let killed = "if rank == 1: os.kill(os.getpid(), signal.SIGKILL)\nwhile True: total()\n";
    for ended in hosts_of_jax(2, 1, killed).train() {
        let ended = ended.failed(137, "killed by SIGKILL (signal 9)\n");
        assert!(ended.failure().contains("host algo-2, rank 1, "), "{}", ended.failure());
    }
}

#[test]
fn a_stop_says_how_a_script_of_jax_notices_it() {
    let script = "def save(*_):\n    print('saved', flush=True)\n    os._exit(0)\n\
                  signal.signal(signal.SIGTERM, save)\nimport sys\nprint('can save', file=sys.stderr, flush=True)\nwhile True: time.sleep(0.05)\n";
    let hosts = hosts_of_jax(2, 1, script);
    let running = hosts.start();
    running.iter().for_each(|host| host.says("can save"));
    running.iter().for_each(|host| host.signal(nix::sys::signal::Signal::SIGTERM));
    for ended in hosts.end(running) {
        assert_eq!(ended.code(), 0, "{ended:#?}");
        assert!(ended.stdout().contains("saved"), "{ended:#?}");
        assert!(ended.stderr.contains("JAX swallows SIGTERM: a script notices it by "), "{}", ended.stderr);
    }
}
