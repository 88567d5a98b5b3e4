//! Real engines whose script computes with all hosts, over hosts that are containers. The gate runs one case, with MXNet;
//! `tests/engines` runs all of them.

use crate::clusters::{has_all_engines_and_containers, line_of, name_the_error};
use crate::container::Ended;
use crate::engines;
use crate::fleet::{HAS_LITTLE, Hosts, Started, all, failed, host_is_lost};
use crate::images;
use crate::volumes;

/// An engine, with a script that uses it.
struct Engine {
    /// The name in messages.
    name: &'static str,
    /// The variables of the container.
    options: &'static [&'static str],
    /// The volume with the engine's Python environment.
    volume: fn() -> (&'static str, &'static str),
    /// Python code that defines `together`, a context, and `step`, which computes with all hosts and returns their number.
    begin: &'static str,
    /// The hosts that run the script: all, or the first alone.
    on_all_hosts: bool,
    /// The failure of the job after a rank was killed: some launchers end with a code of their own.
    killed: (i32, &'static str),
    /// True if its ranks can run again: it has no services, and nothing beside footplate starts ranks again.
    can_restart: bool,
    /// Services: the number of the host, counted from 0, a text in the command or the variables of the first such process, and
    /// its title.
    services: &'static [(usize, &'static str, &'static str)],
}

/// The failure of a job one of whose ranks was killed.
const KILLED: (i32, &str) = (137, "killed by SIGKILL (signal 9)\n");

const MXNET: Engine = Engine {
    name: "mxnet",
    options: &["FOOTPLATE_LAUNCHER=mxnet"],
    volume: || {
        let warm_up = format!("{MXNET_FOLDER}/bin/python3 -c 'import mxnet'");
        let name = "footplate-test-mxnet";
        // MXNet 1.9.1, the last release, uses names that NumPy 1.24 removed.
        (volumes::python_volume_in(image(), name, MXNET_FOLDER, "mxnet==1.9.1 numpy==1.23.5", &warm_up), MXNET_FOLDER)
    },
    begin: "import mxnet\n\
            store = mxnet.kv.create('dist_sync')\n\
            total = mxnet.nd.zeros((1,))\n\
            store.init(0, total)\n\
            def step():\n    store.push(0, mxnet.nd.ones((1,)))\n    store.pull(0, out=total)\n    return int(total.asnumpy()[0])\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: false,
    services: &[
        (0, "DMLC_ROLE=scheduler", "the MXNet scheduler"),
        (0, "DMLC_ROLE=server", "the MXNet server"),
        (1, "DMLC_ROLE=server", "the MXNet server"),
    ],
};

const XGBOOST: Engine = Engine {
    name: "xgboost",
    options: &["FOOTPLATE_LAUNCHER=xgboost"],
    volume: frameworks,
    begin: "import numpy\nfrom os import environ as e\nfrom xgboost import collective\n\
            together = collective.CommunicatorContext(\n    \
            dmlc_communicator='rabit', dmlc_tracker_uri=e['DMLC_TRACKER_URI'],\n    \
            dmlc_tracker_port=int(e['DMLC_TRACKER_PORT']), dmlc_task_id=e['DMLC_TASK_ID'])\n\
            def step(): return int(collective.allreduce(numpy.array([1]), collective.Op.SUM)[0])\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: false,
    services: &[(0, "xgboost.tracker", "the XGBoost tracker")],
};

const LIGHTGBM: Engine = Engine {
    name: "lightgbm",
    options: &["FOOTPLATE_LAUNCHER=xgboost"],
    volume: frameworks,
    // The root of a tree knows the number of rows of all hosts. All trees grow in one network: LightGBM cannot bind its port again
    // while connections of an earlier one linger.
    begin: "import lightgbm, numpy\n\
            machines = os.environ['FOOTPLATE_MACHINES'].split(',')\n\
            port = machines[int(os.environ['NODE_RANK'])].rpartition(':')[2]\n\
            options = {'tree_learner': 'data', 'machines': ','.join(machines), 'num_machines': len(machines),\n    \
            'local_listen_port': int(port), 'pre_partition': True, 'num_threads': 1, 'min_data_in_leaf': 1,\n    \
            'learning_rate': 1e-6}\n\
            data = lightgbm.Dataset(numpy.arange(40.).reshape(20, 2), label=numpy.arange(20.), params=options)\n\
            booster = lightgbm.Booster(options, data)\n\
            def step():\n    \
            booster.update()\n    \
            newest = booster.dump_model(num_iteration=1, start_iteration=booster.current_iteration() - 1)\n    \
            return newest['tree_info'][0]['tree_structure']['internal_count'] // 20\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: false,
    services: &[],
};

const TENSORFLOW: Engine = Engine {
    name: "tensorflow",
    options: &["FOOTPLATE_LAUNCHER=tensorflow"],
    volume: frameworks,
    begin: "import tensorflow as tf\n\
            strategy = tf.distribute.MultiWorkerMirroredStrategy()\n\
            @tf.function\n\
            def total():\n    \
            ones = strategy.run(lambda: tf.constant(1.0))\n    \
            return strategy.reduce('sum', ones, axis=None)\n\
            def step(): return int(total())\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: true,
    services: &[],
};

/// The parameter servers of two hosts.
const PARAMETER_SERVERS: [(usize, &str, &str); 2] = {
    let (task, title) = (r#""type":"ps""#, "the TensorFlow parameter server");
    [(0, task, title), (1, task, title)]
};

const TENSORFLOW_COORDINATOR: Engine = Engine {
    name: "tensorflow-ps, coordinator",
    options: &["FOOTPLATE_LAUNCHER=tensorflow-ps"],
    volume: frameworks,
    begin: "import tensorflow as tf\n\
            resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()\n\
            strategy = tf.distribute.ParameterServerStrategy(resolver)\n\
            coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)\n\
            with strategy.scope(): parts = [tf.Variable(0.0) for _ in resolver.cluster_spec().as_dict()['ps']]\n\
            @tf.function\n\
            def total():\n    \
            for part in parts: part.assign(1.0)\n    \
            return tf.add_n([part.read_value() for part in parts])\n\
            def step(): return int(coordinator.schedule(total).fetch())\n",
    on_all_hosts: false,
    killed: KILLED,
    can_restart: false,
    services: &[PARAMETER_SERVERS[0], PARAMETER_SERVERS[1], (1, r#""type":"worker""#, "the TensorFlow worker")],
};

const TENSORFLOW_TOOLKIT: Engine = Engine {
    name: "tensorflow-ps, toolkit",
    options: &["FOOTPLATE_LAUNCHER=tensorflow-ps", "FOOTPLATE_TENSORFLOW_CLUSTER=toolkit"],
    volume: frameworks,
    begin: "import json, tensorflow as tf\n\
            tf1 = tf.compat.v1\n\
            tf1.disable_eager_execution()\n\
            config = json.loads(os.environ['TF_CONFIG'])\n\
            cluster, task = config['cluster'], config['task']\n\
            server = tf.distribute.Server(tf.train.ClusterSpec(cluster), job_name=task['type'], task_index=task['index'])\n\
            own = cluster[task['type']][task['index']]\n\
            with tf.device('/job:ps/task:0'):\n    \
            hosts = [tf1.get_variable(f'host{n}', [], initializer=tf1.zeros_initializer()) for n in range(len(cluster['ps']))]\n\
            mine = hosts[0 if task['type'] == 'master' else task['index'] + 1]\n\
            is_set, count_mine, counts = tf1.report_uninitialized_variables(), mine.assign_add(1.0), tf.stack(hosts)\n\
            session = tf1.Session(server.target)\n\
            if task['type'] == 'master': session.run(tf1.global_variables_initializer())\n\
            while session.run(is_set).size: time.sleep(0.01)\n\
            def step():\n    \
            own = session.run(count_mine)\n    \
            while (found := int((session.run(counts) >= own).sum())) < len(hosts): time.sleep(0.01)\n    \
            return found\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: false,
    services: &PARAMETER_SERVERS,
};

const JAX: Engine = Engine {
    name: "jax",
    options: &["FOOTPLATE_LAUNCHER=jax"],
    volume: frameworks,
    begin: "import jax\njax.distributed.initialize()\nfrom jax.experimental import multihost_utils\n\
            def step(): return int(multihost_utils.process_allgather(jax.numpy.array([1])).sum())\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: true,
    services: &[],
};

/// Code for engines on PyTorch, which give the variables of its ranks.
const OF_TORCH: &str = "import torch, torch.distributed as dist\n\
                        dist.init_process_group('gloo')\n\
                        together = group()\n\
                        def step():\n    total = torch.ones(1)\n    dist.all_reduce(total)\n    return int(total.item())\n";

const DEEPSPEED: Engine = Engine {
    name: "deepspeed",
    options: &["FOOTPLATE_LAUNCHER=deepspeed"],
    volume: trainers,
    begin: OF_TORCH,
    on_all_hosts: true,
    killed: KILLED,
    can_restart: true,
    services: &[],
};

const DEEPSPEED_LAUNCHER: Engine = Engine {
    name: "deepspeed by its own launcher",
    options: &["FOOTPLATE_LAUNCHER=deepspeed", "FOOTPLATE_DEEPSPEED_ARGUMENTS=--log_level=info"],
    volume: trainers,
    begin: OF_TORCH,
    on_all_hosts: true,
    killed: (247, "exit code 247 (-9): a child process was killed by SIGKILL (signal 9)\n"),
    can_restart: false,
    services: &[],
};

const ACCELERATE: Engine = Engine {
    name: "accelerate",
    options: &["FOOTPLATE_LAUNCHER=accelerate"],
    volume: trainers,
    begin: "import torch, accelerate\n\
            together = group()\n\
            accelerator = accelerate.Accelerator(cpu=True)\n\
            def step(): return int(accelerator.reduce(torch.ones(1)).item())\n",
    on_all_hosts: true,
    killed: (1, KILLED.1),
    can_restart: true,
    services: &[],
};

const LIGHTNING: Engine = Engine {
    name: "lightning under per-gpu",
    options: &["FOOTPLATE_LAUNCHER=per-gpu", "FOOTPLATE_PROCESSES_PER_HOST=1"],
    volume: trainers,
    begin: "import torch, lightning\n\
            fabric = lightning.Fabric(accelerator='cpu', strategy='ddp', devices=1, num_nodes=int(os.environ['NNODES']))\n\
            fabric.launch()\n\
            together = group()\n\
            def step(): return int(fabric.all_reduce(torch.ones(1), reduce_op='sum').item())\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: true,
    services: &[],
};

const LIGHTNING_TRAINER: Engine = Engine {
    name: "lightning's Trainer under per-gpu",
    options: &["FOOTPLATE_LAUNCHER=per-gpu", "FOOTPLATE_PROCESSES_PER_HOST=1"],
    volume: trainers,
    begin: "import torch, lightning\n\
            class Model(lightning.LightningModule):\n    \
            def __init__(self):\n        super().__init__()\n        self.weight = torch.nn.Parameter(torch.zeros(1))\n    \
            def configure_optimizers(self): return torch.optim.SGD([self.weight], 1.0)\n    \
            def training_step(self, batch, _):\n        \
            self.found = int(self.trainer.strategy.reduce(torch.ones(1), reduce_op='sum').item())\n        \
            return (self.weight * batch).sum()\n\
            def step():\n    \
            model = Model()\n    \
            lightning.Trainer(\n        \
            accelerator='cpu', strategy='ddp', devices=1, num_nodes=int(os.environ['NNODES']), max_epochs=1, logger=False,\n        \
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,\n    \
            ).fit(model, torch.utils.data.DataLoader(torch.ones(1, 1)))\n    \
            return model.found\n\
            together = group()\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: true,
    services: &[],
};

const HOROVOD: Engine = Engine {
    name: "horovod under mpi",
    options: &["FOOTPLATE_LAUNCHER=mpi", "FOOTPLATE_PROCESSES_PER_HOST=1"],
    volume: horovod,
    begin: "import mxnet, horovod.mxnet as hvd\n\
            hvd.init()\n\
            def step(): return int(hvd.allreduce(mxnet.nd.ones((1,)), average=False).asnumpy()[0])\n",
    on_all_hosts: true,
    killed: KILLED,
    can_restart: false,
    services: &[],
};

const TORCHRUN: Engine = Engine {
    name: "torchrun",
    options: &["FOOTPLATE_LAUNCHER=torchrun"],
    volume: trainers,
    begin: OF_TORCH,
    on_all_hosts: true,
    killed: (1, KILLED.1),
    can_restart: true,
    services: &[],
};

const ELASTIC: Engine = Engine {
    name: "elastic torchrun",
    options: &[
        "FOOTPLATE_LAUNCHER=torchrun",
        "FOOTPLATE_TORCHRUN_ARGUMENTS=--rdzv-backend=c10d --rdzv-endpoint=algo-1:29400 --rdzv-id=job",
    ],
    volume: trainers,
    begin: OF_TORCH,
    on_all_hosts: true,
    killed: (1, KILLED.1),
    can_restart: false,
    services: &[],
};

/// The folders of the Python environments in a container.
const MXNET_FOLDER: &str = "/opt/mxnet";
const FRAMEWORKS_FOLDER: &str = "/opt/frameworks";
const TRAINERS_FOLDER: &str = "/opt/trainers";
const HOROVOD_FOLDER: &str = "/opt/horovod";

/// Returns the image of the hosts, with the libraries that MXNet and LightGBM need.
fn image() -> &'static str {
    images::debian_with("bookworm", &["libgomp1", "libquadmath0"])
}

/// Returns the volume with TensorFlow, JAX, XGBoost and LightGBM, and its folder.
fn frameworks() -> (&'static str, &'static str) {
    let folder = FRAMEWORKS_FOLDER;
    let warm_up = format!("{folder}/bin/python3 -c 'import jax, lightgbm, tensorflow, xgboost'");
    let packages = "tensorflow-cpu jax xgboost-cpu lightgbm";
    (volumes::python_volume_in(image(), "footplate-test-frameworks", folder, packages, &warm_up), folder)
}

/// Returns the volume with trainers that need PyTorch, and its folder. PyTorch itself is in another volume.
fn trainers() -> (&'static str, &'static str) {
    let folder = TRAINERS_FOLDER;
    let packages = "accelerate lightning deepspeed setuptools";
    let warm_up = format!("{folder}/bin/python3 -c 'import accelerate, lightning'");
    (volumes::python_volume_over(&engines::torch(), "footplate-test-trainers", folder, packages, &warm_up), folder)
}

/// Returns the image of hosts that run Horovod.
fn image_with_mpi() -> &'static str {
    images::debian_with("bookworm", &["libgomp1", "libquadmath0", "openmpi-bin"])
}

/// Returns the volume with Horovod for MXNet, and its folder. Horovod has no wheels: it is compiled.
fn horovod() -> (&'static str, &'static str) {
    let folder = HOROVOD_FOLDER;
    let tools = ["libgomp1", "libquadmath0", "openmpi-bin", "libopenmpi-dev", "cmake", "make", "g++", "python3-dev"];
    let packages = "mxnet==1.9.1 numpy==1.23.5 mpi4py 'setuptools<70' wheel cffi cloudpickle psutil pyyaml packaging";
    let compile = format!(
        "export HOROVOD_WITH_MXNET=1 HOROVOD_WITH_MPI=1 HOROVOD_WITHOUT_GLOO=1 HOROVOD_WITHOUT_TENSORFLOW=1 \
         HOROVOD_WITHOUT_PYTORCH=1 PATH={folder}/bin:$PATH
         uv pip install --quiet --python {folder} --no-cache --no-build-isolation --no-deps horovod==0.28.1
         {folder}/bin/python3 -c 'import horovod.mxnet'"
    );
    let image = images::debian_with("bookworm", &tools);
    (volumes::python_volume_in(image, "footplate-test-horovod", folder, packages, &compile), folder)
}

/// Returns hosts whose script computes with all hosts, prints `together on HOST`, and executes `then`. `group` is for engines of
/// PyTorch: it ends the process group.
fn hosts(engine: &Engine, count: usize, then: &str) -> Hosts {
    let (volume, folder) = (engine.volume)();
    let then = then.replace('\n', "\n    ");
    let script = format!(
        "import contextlib, os, signal, sys, time\n\
         @contextlib.contextmanager\n\
         def group():\n    yield\n    torch.distributed.destroy_process_group()\n\
         together = contextlib.nullcontext()\n\
         host = os.environ['SM_CURRENT_HOST']\n{}\
         with together:\n    \
         found = step()\n    \
         assert found == int(os.environ['NNODES']), found\n    \
         os.write(1, f'{{found}} together on {{host}}\\n'.encode())\n    {then}\n",
        engine.begin
    );
    let mut options =
        vec![format!("--volume={volume}:{folder}:ro"), format!("--env=PATH={folder}/bin:/usr/local/bin:/usr/bin:/bin")];
    options.extend(engine.options.iter().map(|variable| format!("--env={variable}")));
    if folder == TRAINERS_FOLDER {
        let torch = engines::torch();
        options.push(format!("--volume={}:{}:ro", torch.name, torch.folder));
        // torchrun is a program of PyTorch.
        options.push(format!("--env=PATH={folder}/bin:{}/bin:/usr/local/bin:/usr/bin:/bin", torch.folder));
    }
    let image = if folder == HOROVOD_FOLDER { image_with_mpi() } else { image() };
    Hosts::new(count, image, &script, &options.iter().map(String::as_str).collect::<Vec<_>>())
}

impl Engine {
    /// Returns the host in whose script things happen: the last one of two that run it.
    fn victim(&self) -> &'static str {
        if self.on_all_hosts { "algo-2" } else { "algo-1" }
    }
}

impl Started<'_> {
    /// Waits until the script has computed with all hosts, wherever it runs.
    fn until_together(&self, engine: &Engine) {
        let count = self.containers.len();
        let on = if engine.on_all_hosts { count } else { 1 };
        for n in 1..=on {
            self.until_written(&format!("{count} together on algo-{n}"), 1);
        }
    }
}

/// Python code that goes on computing with the other hosts.
const GOES_ON: &str = "while True:\n    step()\n    time.sleep(0.05)";

/// Returns Python code that executes `then` on one host and goes on computing. Before, it computes once more with the other
/// hosts: when that has worked, they have all printed that they are together.
fn on_victim(engine: &Engine, then: &str) -> String {
    format!("step()\nif host == '{}': {then}\n{GOES_ON}", engine.victim())
}

fn names_what_was_raised(engine: &Engine) {
    let hosts = hosts(engine, 2, &on_victim(engine, "raise ValueError('row 17 is rotten')"));
    let started = hosts.start();
    started.until_together(engine);
    let place = format!("at train.py:{}\n", line_of(&hosts, "row 17"));
    let host = format!("host {}, ", engine.victim());
    name_the_error(&started.end_in_time(), 1, "ValueError: row 17 is rotten\n", &[&place, &host]);
}

fn computes_together(engine: &Engine) {
    for count in [2, 3] {
        let mut hosts = hosts(engine, count, HAS_LITTLE);
        hosts.options.extend(["--user=1000:1000", "--env=HOME=/tmp"].map(str::to_owned));
        hosts.let_others_write();
        let started = hosts.start();
        let ended = started.end();
        ended.iter().for_each(Ended::succeeded);
        let on = if engine.on_all_hosts { count } else { 1 };
        for (n, ended) in (1..=on).zip(&ended) {
            let line = format!("{count} together on algo-{n}");
            assert!(ended.logs.lines().any(|logged| logged.ends_with(&line)), "{}: {ended}", engine.name);
        }
    }
}

fn computes_on_one_machine(engine: &Engine) {
    // Its options name a host, and no host of one machine can be found by its name.
    if engine.name == ELASTIC.name {
        return;
    }
    let ended = hosts(engine, 2, "").on_one_machine();
    assert_eq!(ended.code, 0, "{}: {ended}", engine.name);
    let on = if engine.on_all_hosts { 2 } else { 1 };
    for n in 1..=on {
        let line = format!("2 together on algo-{n}");
        assert!(ended.logs.lines().any(|logged| logged.ends_with(&line)), "{}: {ended}", engine.name);
    }
}

fn loses_a_rank(engine: &Engine) {
    let hosts = hosts(engine, 2, &on_victim(engine, "os.kill(os.getpid(), signal.SIGKILL)"));
    let started = hosts.start();
    started.until_together(engine);
    for ended in started.end_in_time() {
        let (code, text) = engine.killed;
        failed(&ended, code, text, &format!("host {}", engine.victim()));
    }
}

fn loses_a_service(engine: &Engine) {
    for (victim, process, title) in engine.services {
        let hosts = hosts(engine, 2, GOES_ON);
        let started = hosts.start();
        started.until_together(engine);
        started.containers[*victim].kill_process(process);
        let status = format!("host algo-{}, exit code 137 of {title}", victim + 1);
        for ended in started.end_in_time() {
            failed(&ended, 137, "killed by SIGKILL (signal 9)\n", &status);
        }
    }
}

fn loses_a_host(engine: &Engine) {
    for victim in [1, 0] {
        let hosts = hosts(engine, 2, GOES_ON);
        let started = hosts.start();
        started.until_together(engine);
        started.containers[victim].kill();
        host_is_lost(&started.end_in_time(), victim);
    }
}

fn is_stopped(engine: &Engine) {
    // A collective needs every rank, and ranks are told at different times: all of them save when all were told.
    let saves = "told = []\n\
                 for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, lambda *_: told.append(1))\n\
                 os.write(1, f'waits on {host}\\n'.encode())\n\
                 while not told: time.sleep(0.05)\n\
                 os.write(1, f'{step()} saved on {host}\\n'.encode())";
    // All hosts at once, and each host alone.
    for alone in [None, Some(1), Some(0)] {
        let hosts = hosts(engine, 2, saves);
        let on: &[usize] = if engine.on_all_hosts { &[1, 2] } else { &[1] };
        let started = hosts.start();
        for n in on {
            started.until_written(&format!("waits on algo-{n}"), 1);
        }
        let ended = match alone {
            Some(host) => {
                started.containers[host].signal("TERM");
                started.end_in_time()
            }
            None => started.stop(),
        };
        for n in on {
            let line = format!("2 saved on algo-{n}");
            let is_saved = ended[n - 1].logs.lines().any(|logged| logged.ends_with(&line));
            assert!(is_saved, "{}, alone: {alone:?}\n{}", engine.name, all(&ended));
        }
        for ended in &ended {
            assert_eq!((ended.code, ended.failure.as_deref()), (0, None), "{}\n{ended}", engine.name);
        }
    }
}

fn runs_again(engine: &Engine) {
    if !engine.can_restart {
        return;
    }
    let then = "attempt = os.environ['FOOTPLATE_ATTEMPT']\n\
         if attempt == '0' and host == 'algo-2': raise ValueError('row 17 is rotten')\n\
         while attempt == '0':\n    step()\n    time.sleep(0.05)\n\
         os.write(1, f'attempt {attempt} on {host}\\n'.encode())";
    let hosts = hosts(engine, 2, then).with_options(&["--env=FOOTPLATE_MAX_RESTARTS=1"]);
    for (n, ended) in (1..).zip(hosts.start().end()) {
        ended.succeeded();
        let line = format!("attempt 1 on algo-{n}");
        assert!(ended.logs.lines().any(|logged| logged.ends_with(&line)), "{ended}");
        assert!(ended.logs.contains("the ranks of all hosts are run again now: attempt 2"), "{ended}");
    }
}

#[test]
fn an_engine_that_the_image_lacks_is_named_on_every_host() {
    if !has_all_engines_and_containers() {
        return;
    }
    for (launcher, modules) in [
        ("mxnet", "mxnet"),
        ("xgboost", "xgboost or lightgbm"),
        ("jax", "jax"),
        ("tensorflow", "tensorflow"),
        ("tensorflow-ps", "tensorflow"),
        ("deepspeed", "deepspeed"),
        ("accelerate", "accelerate"),
    ] {
        let variable = format!("--env=FOOTPLATE_LAUNCHER={launcher}");
        let hosts = Hosts::new(2, image(), "", &[&variable]);
        let text = format!(
            "the launcher {launcher} needs the Python module {modules}, which /usr/bin/python3 does not have: "
        );
        for ended in hosts.start().end_in_time() {
            failed(&ended, 69, &text, "exit code 69");
        }
    }
}

#[test]
fn an_error_in_a_function_on_another_host_is_the_headline_of_tensorflow() {
    let bad = "@tf.function\n\
               def bad(): tf.debugging.assert_equal(total(), 5.0, 'row 17 is rotten')\n\
               coordinator.schedule(bad).fetch()";
    outside_the_gate(
        |engine| {
            let hosts = hosts(engine, 2, bad);
            let started = hosts.start();
            started.until_together(engine);
            let text = "tensorflow.python.framework.errors_impl.InvalidArgumentError: Graph execution error: assertion failed: \
                        [row 17 is rotten] ";
            let place = format!("at train.py:{} in bad (TensorFlow task on host algo-2)\n", line_of(&hosts, "def bad"));
            name_the_error(&started.end_in_time(), 1, text, &[&place, "host algo-1, exit code 1"]);
        },
        &TENSORFLOW_COORDINATOR,
    );
}

#[test]
fn lightning_starts_the_ranks_of_each_host_itself_under_process() {
    let own = Engine {
        name: "lightning under process",
        options: &["FOOTPLATE_LAUNCHER=process"],
        begin: "import torch, lightning\n\
                hosts = int(os.environ['NNODES'])\n\
                fabric = lightning.Fabric(accelerator='cpu', strategy='ddp', devices=2, num_nodes=hosts)\n\
                fabric.launch()\n\
                assert fabric.world_size == 2 * hosts, fabric.world_size\n\
                together = group()\n\
                def step(): return int(fabric.all_reduce(torch.ones(1), reduce_op='sum').item()) // 2\n",
        ..LIGHTNING
    };
    outside_the_gate(computes_together, &own);
    outside_the_gate(names_what_was_raised, &own);
}

/// Makes the tests of each engine. The gate runs only the first one, with MXNet.
macro_rules! tests {
    ($($engine:ident: $constant:expr;)*) => {
        $(
            mod $engine {
                use super::*;

                #[test]
                fn an_exception_on_one_host_is_the_headline_on_all_hosts() {
                    if stringify!($engine) == "mxnet" && images::usable() || has_all_engines_and_containers() {
                        names_what_was_raised(&$constant);
                    }
                }

                #[test]
                fn hosts_of_another_user_compute_together_without_internet() {
                    outside_the_gate(computes_together, &$constant);
                }

                #[test]
                fn hosts_on_one_machine_compute_together() {
                    outside_the_gate(computes_on_one_machine, &$constant);
                }

                #[test]
                fn a_rank_that_is_killed_ends_all_hosts_which_name_it() {
                    outside_the_gate(loses_a_rank, &$constant);
                }

                #[test]
                fn a_service_that_is_killed_ends_all_hosts_which_name_it() {
                    outside_the_gate(loses_a_service, &$constant);
                }

                #[test]
                fn a_host_that_is_killed_ends_the_others_which_name_it() {
                    outside_the_gate(loses_a_host, &$constant);
                }

                #[test]
                fn ranks_of_all_hosts_run_again_after_a_failure() {
                    outside_the_gate(runs_again, &$constant);
                }

                #[test]
                fn a_stop_lets_every_rank_save_while_services_serve() {
                    outside_the_gate(is_stopped, &$constant);
                }
            }
        )*
    };
}

/// Runs a case, unless the gate asks.
fn outside_the_gate(case: impl Fn(&Engine), engine: &Engine) {
    if has_all_engines_and_containers() {
        case(engine);
    }
}

tests! {
    mxnet: MXNET;
    xgboost: XGBOOST;
    lightgbm: LIGHTGBM;
    jax: JAX;
    tensorflow: TENSORFLOW;
    tensorflow_coordinator: TENSORFLOW_COORDINATOR;
    tensorflow_toolkit: TENSORFLOW_TOOLKIT;
    deepspeed: DEEPSPEED;
    deepspeed_launcher: DEEPSPEED_LAUNCHER;
    accelerate: ACCELERATE;
    lightning: LIGHTNING;
    lightning_trainer: LIGHTNING_TRAINER;
    horovod: HOROVOD;
    torchrun: TORCHRUN;
    elastic_torchrun: ELASTIC;
}
