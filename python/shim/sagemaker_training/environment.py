"""The job: its folders, hosts, channels and hyperparameters."""

import json
import logging
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import time

from sagemaker_training import logging_config, mapping, params

logger = logging_config.get_logger()

SAGEMAKER_BASE_PATH = "/opt/ml"
BASE_PATH_ENV = "SAGEMAKER_BASE_DIR"
HYPERPARAMETERS_FILE = "hyperparameters.json"
RESOURCE_CONFIG_FILE = "resourceconfig.json"
INPUT_DATA_CONFIG_FILE = "inputdataconfig.json"

# Outside of a container, a folder of an empty job is made in the home folder.
_is_path_configured = os.path.exists(SAGEMAKER_BASE_PATH) or BASE_PATH_ENV in os.environ
if not _is_path_configured:
    os.environ[BASE_PATH_ENV] = os.path.join(
        os.path.expanduser("~"), "sagemaker_local", "jobs", str(time.time()), "opt", "ml"
    )

base_dir = os.environ.get(BASE_PATH_ENV, SAGEMAKER_BASE_PATH)
code_dir = os.path.join(base_dir, "code")
model_dir = os.path.join(base_dir, "model")
input_dir = os.path.join(base_dir, "input")
_input_data_dir = os.path.join(input_dir, "data")
input_config_dir = os.path.join(input_dir, "config")
output_dir = os.path.join(base_dir, "output")
output_data_dir = os.path.join(output_dir, "data")
output_intermediate_dir = os.path.join(output_dir, "intermediate")
hyperparameters_file_dir = os.path.join(input_config_dir, HYPERPARAMETERS_FILE)
input_data_config_file_dir = os.path.join(input_config_dir, INPUT_DATA_CONFIG_FILE)
resource_config_file_dir = os.path.join(input_config_dir, RESOURCE_CONFIG_FILE)

_DEFAULT_GROUP = "homogeneousCluster"
_DISTRIBUTIONS = (
    params.MPI_ENABLED,
    params.PARAMETER_SERVER_ENABLED,
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    params.PYTORCH_XLA_MULTI_WORKER_ENABLED,
    params.MULTI_WORKER_MIRRORED_STRATEGY_ENABLED,
    "sagemaker_torch_distributed_enabled",
)


def _create_empty_job():
    for folder in (model_dir, input_config_dir, output_data_dir):
        os.makedirs(folder, exist_ok=True)
    host = socket.gethostname()
    group = {"instance_group_name": _DEFAULT_GROUP, "instance_type": "local", "hosts": [host]}
    resources = {"current_host": host, "hosts": [host], "current_instance_group": _DEFAULT_GROUP, "instance_groups": [group]}
    for path, content in (
        (hyperparameters_file_dir, {}),
        (input_data_config_file_dir, {}),
        (resource_config_file_dir, resources),
    ):
        with open(path, "w") as file:
            json.dump(content, file)


def _create_code_dir():
    """Makes the code folder, into which frameworks write, when this module is imported."""
    os.makedirs(code_dir, exist_ok=True)


if not _is_path_configured:
    _create_empty_job()
_create_code_dir()


def _read_json(path):
    with open(path) as file:
        return json.load(file)


def read_hyperparameters():
    """Returns the hyperparameters. A value that is JSON is parsed."""
    hyperparameters = {}
    for name, value in _read_json(hyperparameters_file_dir).items():
        try:
            value = json.loads(value)
        except (ValueError, TypeError):
            pass
        hyperparameters[name] = value
    return hyperparameters


def read_resource_config():
    return _read_json(resource_config_file_dir)


def read_input_data_config():
    return _read_json(input_data_config_file_dir)


def channel_path(channel):
    """Returns the folder of a channel."""
    return os.path.join(_input_data_dir, channel)


def _asked(*command):
    """Returns the output of a program of the image; nothing if there is none or it fails."""
    try:
        return subprocess.check_output(command).decode("utf-8", "replace")
    except (OSError, subprocess.CalledProcessError):
        return ""


def num_cpus():
    return multiprocessing.cpu_count()


def num_gpus():
    return sum(line.startswith("GPU ") for line in _asked("nvidia-smi", "--list-gpus").split("\n"))


def num_neurons(instance_type):
    if "trn2.48xlarge" in instance_type:
        return 64
    try:
        return sum(device.get("nc_count", 0) for device in json.loads(_asked("neuron-ls", "-j")))
    except (ValueError, AttributeError, TypeError):
        return 0


def validate_smddprun():
    return shutil.which("smddprun") is not None


def validate_smddpmprun():
    return shutil.which("smddpmprun") is not None


class Environment(mapping.MappingMixin):
    """The job, as this host sees it. Its properties are also the entries of a mapping."""

    def __init__(self, resource_config=None, input_data_config=None, hyperparameters=None):
        resources = resource_config or read_resource_config()
        channels = input_data_config or read_input_data_config()
        everything = hyperparameters or read_hyperparameters()
        platform, own = mapping.split_by_criteria(
            everything, keys=params.SAGEMAKER_HYPERPARAMETERS, prefix=params.SAGEMAKER_PREFIX
        )
        self._platform = platform
        # The settings of footplate are not for scripts.
        self._hyperparameters = {name: value for name, value in own.items() if not name.startswith("footplate_")}
        self._framework_parameters = {
            name: value for name, value in platform.items() if name not in params.SAGEMAKER_HYPERPARAMETERS
        }
        self._resource_config = resources
        self._input_data_config = channels
        self._program = os.environ.get(params.USER_PROGRAM_ENV) or platform.get(params.USER_PROGRAM_PARAM)
        self._framework_module = os.environ.get(params.FRAMEWORK_TRAINING_MODULE_ENV)
        self._job_name = os.environ.get(params.TRAINING_JOB_ENV)
        self._num_cpus, self._num_gpus = num_cpus(), num_gpus()
        self._num_neurons = num_neurons(self.current_instance_type)
        mp_parameters = os.environ.get(params.SM_HP_MP_PARAMETERS)
        self._is_modelparallel_enabled = mp_parameters and mp_parameters != "{}"
        region = platform.get(params.REGION_NAME_PARAM) or os.environ.get("AWS_DEFAULT_REGION")
        os.environ[params.JOB_NAME_ENV] = platform.get(params.JOB_NAME_PARAM, "")
        os.environ[params.CURRENT_HOST_ENV] = self.current_host
        os.environ[params.REGION_NAME_ENV] = region or ""

    def _groups(self):
        return self._resource_config.get("instance_groups") or []

    @property
    def additional_framework_parameters(self):
        return self._framework_parameters

    @property
    def channel_input_dirs(self):
        return {channel: channel_path(channel) for channel in self._input_data_config}

    @property
    def current_host(self):
        return self._resource_config["current_host"]

    @property
    def current_instance_group(self):
        return self._resource_config.get("current_group_name", _DEFAULT_GROUP)

    @property
    def current_instance_group_hosts(self):
        return self.get_current_instance_group_hosts()

    @property
    def current_instance_type(self):
        return self._resource_config.get("current_instance_type", "local")

    @property
    def distribution_hosts(self):
        return self.get_distribution_hosts()

    @property
    def distribution_instance_groups(self):
        named = self._framework_parameters.get(params.DISTRIBUTION_INSTANCE_GROUPS)
        return named if named is not None else self.get_distribution_instance_groups_from_resource_config()

    @property
    def framework_module(self):
        return self._framework_module

    @property
    def hosts(self):
        return self._resource_config["hosts"]

    @property
    def hyperparameters(self):
        return self._hyperparameters

    @property
    def input_config_dir(self):
        return input_config_dir

    @property
    def input_data_config(self):
        return self._input_data_config

    @property
    def input_dir(self):
        return input_dir

    @property
    def instance_groups(self):
        return self.get_instance_groups()

    @property
    def instance_groups_dict(self):
        return self.get_instance_groups_dict()

    @property
    def is_hetero(self):
        return len(self._groups()) > 1

    @property
    def is_master(self):
        return self.current_host == self.master_hostname

    @property
    def is_modelparallel_enabled(self):
        return self._is_modelparallel_enabled

    @property
    def is_smddpmprun_installed(self):
        return validate_smddpmprun()

    @property
    def is_smddprun_installed(self):
        return validate_smddprun()

    @property
    def job_name(self):
        return self._job_name

    @property
    def log_level(self):
        return self._platform.get(params.LOG_LEVEL_PARAM, logging.INFO)

    @property
    def master_hostname(self):
        return self.get_master_hostname()

    @property
    def model_dir(self):
        return model_dir

    @property
    def module_dir(self):
        return str(self._platform.get(params.SUBMIT_DIR_PARAM, code_dir))

    @property
    def module_name(self):
        name = str(self._program)
        return name[:-3] if name.endswith(".py") else name

    @property
    def network_interface_name(self):
        return self._resource_config.get("network_interface_name", "eth0")

    @property
    def num_cpus(self):
        return self._num_cpus

    @property
    def num_gpus(self):
        return self._num_gpus

    @property
    def num_neurons(self):
        return self._num_neurons

    @property
    def output_data_dir(self):
        return output_data_dir

    @property
    def output_dir(self):
        return output_dir

    @property
    def output_intermediate_dir(self):
        return output_intermediate_dir

    @property
    def resource_config(self):
        return self._resource_config

    @property
    def topology(self):
        return self._resource_config.get("topology", [])

    @property
    def user_entry_point(self):
        return self._program

    def sagemaker_s3_output(self):
        return self._platform.get(params.S3_OUTPUT_LOCATION_PARAM)

    def get_current_instance_group(self):
        return self._resource_config["current_instance_group"]

    def get_current_instance_group_hosts(self):
        return self.get_instance_groups_dict().get(self.current_instance_group, {}).get("hosts", [])

    def get_distribution_hosts(self):
        if not self._groups():
            return list(self.hosts)
        asked = self.distribution_instance_groups
        return [host for group in self._groups() if group["instance_group_name"] in asked for host in group["hosts"]]

    def get_distribution_instance_groups_from_resource_config(self):
        is_distributed = any(self._framework_parameters.get(flag) for flag in _DISTRIBUTIONS)
        return [self.current_instance_group] if is_distributed else []

    def get_instance_groups(self):
        return [group["instance_group_name"] for group in self._groups()]

    def get_instance_groups_dict(self):
        return {group["instance_group_name"]: group for group in self._groups()}

    def get_master_hostname(self):
        return list(self.distribution_hosts or self.hosts)[0]

    def to_cmd_args(self):
        """Returns the hyperparameters as arguments."""
        return mapping.to_cmd_args(self.hyperparameters)

    def to_env_vars(self):
        """Returns the variables of the script."""
        shared = (
            "hosts network_interface_name user_entry_point resource_config input_data_config output_data_dir current_host "
            "current_instance_type current_instance_group current_instance_group_hosts instance_groups instance_groups_dict "
            "distribution_instance_groups is_hetero module_name log_level framework_module input_dir input_config_dir "
            "output_dir num_cpus num_gpus num_neurons model_dir module_dir output_intermediate_dir"
        )
        variables = {name: self[name] for name in shared.split()}
        variables["hps"] = self.hyperparameters
        variables["framework_params"] = self.additional_framework_parameters
        variables["channels"] = sorted(self.channel_input_dirs)
        variables["training_env"] = dict(self)
        variables["user_args"] = self.to_cmd_args()
        if self.topology:
            variables["topology"] = self.topology
        variables.update(("channel_%s" % name, path) for name, path in self.channel_input_dirs.items())
        variables.update(("hp_%s" % name, value) for name, value in self.hyperparameters.items())
        return mapping.to_env_vars(variables)


def write_env_vars(env_vars=None):
    """Sets variables, and PYTHONPATH to the folders from which this Python imports."""
    os.environ.update(env_vars or {}, PYTHONPATH=os.pathsep.join(folder for folder in sys.path if folder))
