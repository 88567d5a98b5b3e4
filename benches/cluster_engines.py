"""The engines that `clusters` measures: their scripts, their commands without footplate, and what people's helpers run.

The helpers are re-created from descriptions, without code of theirs: of the Ray helper that many projects copy
(sagemaker_ray_helper.py of aws-samples) and of the start of Dask in sagemaker-xgboost-container. They keep the order, the pauses
and the limits of these. The output of Ray's worker is thrown away.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Callable

# A script calls measured() with a function that computes with both hosts and returns the number of hosts.
BEGIN = """
import os, signal, sys, time
NODE, CASE = os.environ["NODE"], os.environ["CASE"]
def note(what):
    with open(os.path.join(os.environ["NOTES"], f"{what}-{NODE}"), "w") as file: file.write(f"{time.time()}\\n")
def measured(step):
    told = []
    assert step() == 2
    if CASE == "stopped":
        for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, lambda *_: told.append(1))
    note("computed")
    if CASE == "raises" and NODE == os.environ["VICTIM"]:
        note("end")
        raise ValueError("row 17 is rotten")
    while CASE in ("raises", "lost"):
        step()
        time.sleep(0.05)
    if CASE == "stopped":
        # A collective needs both hosts, which are told at different times.
        while not told: time.sleep(0.01)
        assert step() == 2
        note("saved")
"""

RAY = BEGIN + """
import ray
ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
while len([node for node in ray.nodes() if node["Alive"]]) < 2: time.sleep(0.01)
@ray.remote(num_cpus=0.1, scheduling_strategy="SPREAD")
def one(): return 1
measured(lambda: sum(ray.get([one.remote(), one.remote()])))
ray.shutdown()
note("end")
"""

DASK = BEGIN + """
from dask.distributed import Client
client = Client(os.environ["DASK_SCHEDULER_ADDRESS"])
client.wait_for_workers(2)
measured(lambda: sum(client.gather(client.map(lambda n: 1, range(2), pure=False))))
client.close()
note("end")
"""

JAX = BEGIN + """
import jax
if "COORDINATOR" in os.environ: jax.distributed.initialize(os.environ["COORDINATOR"], 2, int(NODE))
else: jax.distributed.initialize()
from jax.experimental import multihost_utils
measured(lambda: int(multihost_utils.process_allgather(jax.numpy.array([1])).sum()))
note("end")
"""

XGBOOST = BEGIN + """
import numpy
from os import environ as e
from xgboost import collective
with collective.CommunicatorContext(
    dmlc_communicator="rabit", dmlc_tracker_uri=e["DMLC_TRACKER_URI"],
    dmlc_tracker_port=int(e["DMLC_TRACKER_PORT"]), dmlc_task_id=e["DMLC_TASK_ID"],
):
    measured(lambda: int(collective.allreduce(numpy.array([1]), collective.Op.SUM)[0]))
note("end")
"""

MXNET = BEGIN + """
import mxnet
store = mxnet.kv.create("dist_sync")
total = mxnet.nd.zeros((1,))
store.init(0, total)
def step():
    store.push(0, mxnet.nd.ones((1,)))
    store.pull(0, out=total)
    return int(total.asnumpy()[0])
measured(step)
note("end")
"""

TENSORFLOW = BEGIN + """
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
@tf.function
def total():
    ones = strategy.run(lambda: tf.constant(1.0))
    return strategy.reduce("sum", ones, axis=None)
measured(lambda: int(total()))
note("end")
"""

# DeepSpeed's own initialization compiles code, which a machine without GPUs does not need. Its launcher's variables are PyTorch's.
OF_TORCH = """
import torch, torch.distributed as dist
def step():
    total = torch.ones(1)
    dist.all_reduce(total)
    return int(total.item())
measured(step)
dist.destroy_process_group()
note("end")
"""

DEEPSPEED = BEGIN + "import torch.distributed as dist\ndist.init_process_group('gloo')\n" + OF_TORCH

ACCELERATE = BEGIN + "import accelerate\naccelerate.Accelerator(cpu=True)\n" + OF_TORCH

# Ranks that are started again after one of them has failed.
RESTARTS = """
import os, time
rank, attempt = os.environ["LOCAL_RANK"], int(os.environ["TORCHELASTIC_RESTART_COUNT"])
note = lambda what: print(f"{what}-{attempt}-{rank} {time.time()}", file=open(os.path.join(os.environ["NOTES"], f"{what}-{attempt}-{rank}"), "w"))
note("start")
while not os.path.exists(os.path.join(os.environ["NOTES"], f"start-{attempt}-1")): time.sleep(0.001)
if attempt == 0:
    if rank == "1":
        note("end")
        raise ValueError("row 17 is rotten")
    time.sleep(600)
"""

RAY_HELPER = """
import os, subprocess, sys, time
head, own, _ = sys.argv[1:]
ray = [sys.executable, "-m", "ray.scripts.scripts"]
start = [*ray, "start", f"--node-ip-address={own}"]
if own == head:
    subprocess.run([*start, "--head", "--port=6379", "--include-dashboard=false", f"--temp-dir=/tmp/ray-{head}"], check=True)
    import ray as cluster
    cluster.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    for _ in range(12):
        if len(cluster.nodes()) >= 2: break
        time.sleep(5)
    cluster.shutdown()
    code = subprocess.call([sys.executable, "train.py"])
    subprocess.run([*ray, "stop"])
    sys.exit(code)
time.sleep(10)
subprocess.run([*start, f"--address={head}:6379", "--block"], stdout=subprocess.DEVNULL)
"""

DASK_HELPER = """
import os, socket, subprocess, sys, time
head, own, folder = sys.argv[1:]
def listens():
    try:
        socket.create_connection((head, 8786), timeout=5).close()
        return True
    except OSError:
        return False
if own == head:
    subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", head, "--port", "8786", "--no-dashboard"])
else:
    while not listens(): time.sleep(10)
subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://{head}:8786", "--host", own,
                  "--local-directory", folder, "--no-dashboard"])
if own == head:
    from dask.distributed import Client
    with Client(os.environ["DASK_SCHEDULER_ADDRESS"]) as client:
        client.wait_for_workers(2, timeout=20)
    sys.exit(subprocess.call([sys.executable, "train.py"]))
while listens(): time.sleep(10)
"""

TRACKER = ("import sys; from xgboost.tracker import RabitTracker; "
           "tracker = RabitTracker(n_workers=2, host_ip=sys.argv[1], port=9099, sortby='task'); tracker.start(); "
           "print('it listens', flush=True); tracker.wait_for()")


@dataclass
class Host:
    """A host of a run."""
    node: int
    address: str
    # The addresses of both hosts.
    addresses: list
    # The folder of the run.
    folder: str

    @property
    def first(self):
        return self.addresses[0]


@dataclass
class Engine:
    """An engine. The functions return what runs on a host without footplate."""
    name: str
    packages: str
    script: str
    # The virtual environment, below target/bench.
    environment: str = ""
    # The arguments of the services' Python, each with the services' own variables.
    services: Callable = lambda host: []
    # The text that each service of a host writes when it is ready, and how many services of both hosts do.
    ready: tuple = ("", 0)
    # The arguments of the script's Python.
    command: Callable = lambda host: ["train.py"]
    variables: Callable = lambda host: {}
    # The hosts that run the script.
    nodes: list = field(default_factory=lambda: [0, 1])
    # The program that people's helpers run on every host, if there are any.
    helper: str = ""


def ray_services(host):
    # The paths of Ray's sockets must be short.
    start = ["-m", "ray.scripts.scripts", "start", f"--node-ip-address={host.address}", "--block"]
    if host.node == 0:
        return [([*start, "--head", "--port=6379", "--include-dashboard=false", f"--temp-dir=/tmp/ray-{host.first}"], {})]
    return [([*start, f"--address={host.first}:6379"], {})]


def dask_services(host):
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", host.first, "--port", "8786", "--no-dashboard"]
    worker = ["-m", "distributed.cli.dask_worker", f"tcp://{host.first}:8786", "--host", host.address,
              "--local-directory", host.folder, "--no-dashboard"]
    return [(scheduler, {}), (worker, {})] if host.node == 0 else [(worker, {})]


def mxnet_services(host):
    roles = ["scheduler", "server"] if host.node == 0 else ["server"]
    return [(["-c", "import mxnet"], {"DMLC_ROLE": role}) for role in roles]


def mxnet_variables(host):
    return {"DMLC_ROLE": "worker", "DMLC_PS_ROOT_URI": host.first, "DMLC_PS_ROOT_PORT": "8000", "DMLC_NODE_HOST": host.address,
            "DMLC_NUM_SERVER": "2", "DMLC_NUM_WORKER": "2"}


def tensorflow_variables(host):
    # A worker listens at all addresses of the machine.
    workers = [f"{address}:{8890 + node}" for node, address in enumerate(host.addresses)]
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": host.node}})}


def deepspeed_command(host):
    hosts = base64.urlsafe_b64encode(json.dumps({"algo-1": [0], "algo-2": [0]}).encode()).decode()
    return ["-m", "deepspeed.launcher.launch", f"--world_info={hosts}", f"--node_rank={host.node}",
            f"--master_addr={host.first}", "--master_port=7777", "train.py"]


def accelerate_command(host):
    return ["-m", "accelerate.commands.launch", "--num_machines=2", "--num_processes=2", f"--machine_rank={host.node}",
            f"--main_process_ip={host.first}", "--main_process_port=7777", "--rdzv_backend=static", "--same_network",
            "--multi_gpu", "--mixed_precision=no", "--dynamo_backend=no", "train.py"]


OF_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"}
TORCH = "torch numpy accelerate deepspeed setuptools"

ENGINES = [
    Engine("ray", "ray", RAY, services=ray_services, ready=("Ray runtime started", 2), nodes=[0], helper=RAY_HELPER,
           variables=lambda host: {"RAY_ADDRESS": f"{host.first}:6379", "RAY_USAGE_STATS_ENABLED": "0"}),
    Engine("dask", "distributed", DASK, services=dask_services, ready=("Registered to:", 2), nodes=[0], helper=DASK_HELPER,
           variables=lambda host: {"DASK_SCHEDULER_ADDRESS": f"tcp://{host.first}:8786"}),
    Engine("tensorflow", "tensorflow-cpu", TENSORFLOW, variables=tensorflow_variables),
    # MXNet 1.9.1, the last release, uses names that NumPy 1.24 removed.
    Engine("mxnet", "mxnet==1.9.1 numpy==1.23.5", MXNET, services=mxnet_services, variables=mxnet_variables),
    Engine("jax", "jax", JAX, variables=lambda host: {"COORDINATOR": f"{host.first}:7777"}),
    Engine("deepspeed", TORCH, DEEPSPEED, environment="torch", command=deepspeed_command, variables=lambda host: OF_LOOPBACK),
    Engine("accelerate", TORCH, ACCELERATE, environment="torch", command=accelerate_command,
           variables=lambda host: OF_LOOPBACK),
    Engine("xgboost", "xgboost-cpu", XGBOOST, ready=("it listens", 1),
           services=lambda host: [(["-c", TRACKER, host.first], {})] if host.node == 0 else [],
           variables=lambda host: {"DMLC_TRACKER_URI": host.first, "DMLC_TRACKER_PORT": "9099", "DMLC_TASK_ID": str(host.node)}),
]
