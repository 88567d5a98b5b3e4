"""Programs, and the entry point of the user."""

import os
import subprocess
import sys

from sagemaker_training import _footplate, environment, errors, logging_config

logger = logging_config.get_logger()
DEFAULT_ERROR_CLASS = errors.ExecuteUserScriptError


def python_executable():
    """Returns the path of this Python."""
    if not sys.executable:
        raise RuntimeError("Failed to retrieve the real path for the Python executable binary")
    return sys.executable


def check_error(cmd, error_classes, processes_per_host=1, cwd=None, capture_error=True, **kwargs):
    """Runs a program to its end. Raises the first of the error classes unless it ends with 0."""
    stderr = subprocess.PIPE if capture_error else None
    kwargs.setdefault("env", os.environ)
    started = subprocess.Popen(cmd, cwd=cwd or environment.code_dir, stderr=stderr, **kwargs)
    _, output = started.communicate()
    if capture_error:
        output = output.decode("utf-8", "replace")
        sys.stderr.write(output)
    if started.returncode:
        classes = error_classes if isinstance(error_classes, (list, tuple)) else [error_classes]
        error_class = next((each for each in classes if isinstance(each, type)), DEFAULT_ERROR_CLASS)
        command = " ".join(cmd) if isinstance(cmd, list) else cmd
        raise error_class(cmd=command, return_code=started.returncode, output=output)
    return started


class ProcessRunner:
    """Runs the entry point of the user with a launcher."""

    _launcher = "process"
    _parameters = {}
    _uri = None

    def __init__(self, user_entry_point, args, env_vars, processes_per_host):
        self._user_entry_point = user_entry_point
        self._args = args
        self._env_vars = env_vars
        self._processes_per_host = processes_per_host

    def run(self, wait=True, capture_error=False):
        """Runs the entry point. Returns the process of footplate, which has ended if `wait` is true."""
        parameters = dict(self._parameters)
        if self._processes_per_host:
            parameters.setdefault("sagemaker_mpi_num_of_processes_per_host", self._processes_per_host)
        uri = self._uri or environment.code_dir
        return _footplate.run_entry_point(uri, self._user_entry_point, self._args, self._launcher, parameters, wait)
