"""The entry point of the user: its code, its requirements, its launch."""

import os
import socket
import sys
import time

from sagemaker_training import _entry_point_type, environment, modules, runner


def run(
    uri,
    user_entry_point,
    args,
    env_vars=None,
    wait=True,
    capture_error=False,
    runner_type=runner.ProcessRunnerType,
    extra_opts=None,
):
    """Fetches the code from `uri`, installs what it requires, and runs the entry point with these arguments.

    Returns the process that ran it. Raises the error that stands for the kind of a failure.
    """
    environment.write_env_vars(dict(env_vars or {}))
    made = runner.get(runner_type, user_entry_point, args, env_vars or {}, extra_opts)
    made._uri = uri
    return made.run(wait, capture_error)


def install(name, path=environment.code_dir, capture_error=False):
    """Makes the modules of a code folder importable, and installs what the entry point `name` requires."""
    if path not in sys.path:
        sys.path.insert(0, path)
    kind = _entry_point_type.get(path, name)
    if kind is _entry_point_type.PYTHON_PACKAGE:
        modules.install(path, capture_error)
    elif kind is _entry_point_type.PYTHON_PROGRAM and modules.has_requirements(path):
        modules.install_requirements(path, capture_error)
    elif kind is _entry_point_type.COMMAND:
        os.chmod(os.path.join(path, name), 0o755)


def _wait_hostname_resolution(patience=15 * 60):
    """Waits until the names of all hosts resolve. Some users' launchers call it."""
    deadline = time.monotonic() + patience
    for host in environment.Environment().hosts:
        while True:
            try:
                socket.gethostbyname(host)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
