"""The launchers that a framework can ask for."""

import enum

from sagemaker_training import environment, process


class RunnerType(enum.Enum):
    MPI = "MPI"
    Process = "Process"
    SMDataParallel = "SMDataParallel"
    PyTorchXLA = "PyTorchXLA"
    TorchDistributed = "TorchDistributed"


ProcessRunnerType = RunnerType.Process
MPIRunnerType = RunnerType.MPI
SMDataParallelRunnerType = RunnerType.SMDataParallel
PyTorchXLARunnerType = RunnerType.PyTorchXLA
TorchDistributedRunnerType = RunnerType.TorchDistributed

_LAUNCHERS = {
    RunnerType.MPI: "mpi",
    RunnerType.Process: "process",
    RunnerType.SMDataParallel: "smddp",
    RunnerType.PyTorchXLA: "xla",
    RunnerType.TorchDistributed: "torchrun",
}


def get(identifier, user_entry_point=None, args=None, env_vars=None, extra_opts=None):
    """Returns the runner of an entry point. A runner is returned as it is."""
    if isinstance(identifier, process.ProcessRunner):
        return identifier
    if identifier not in _LAUNCHERS:
        raise ValueError("Invalid identifier %s" % identifier)
    if user_entry_point is None or args is None or env_vars is None:
        env = environment.Environment()
        user_entry_point = user_entry_point or env.user_entry_point
        args = args or env.to_cmd_args()
        env_vars = env_vars or env.to_env_vars()
    made = process.ProcessRunner(user_entry_point, args, env_vars, None)
    made._launcher, made._parameters = _LAUNCHERS[identifier], extra_opts or {}
    return made
