"""Training: footplate does all of it."""

import os
import signal
import subprocess
import sys

from sagemaker_training import _footplate, environment

SUCCESS_CODE = 0
DEFAULT_FAILURE_CODE = 1


def _exit_processes(exit_code):
    sys.exit(exit_code)


def train():
    """Runs the job of this container, and ends this process with its exit code. Stop signals are passed on.

    The script imports from the folders from which this Python imports, and is run by this Python.
    """
    environment.write_env_vars()
    variables = dict(os.environ)
    variables.setdefault("FOOTPLATE_PYTHON", sys.executable)
    started = subprocess.Popen([_footplate.binary(), "train"], env=variables)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: started.send_signal(number))
    _exit_processes(started.wait())
