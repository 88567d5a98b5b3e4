"""footplate for jobs of the SageMaker Python SDK, version 3.

    from footplate.sagemaker import Footplate
    ModelTrainer(..., distributed=Footplate(launcher="per-gpu"))

The binary travels with the job, and runs it in an image that has never seen footplate. The image needs bash, Python and pip,
which the SDK's own script calls.
"""

import atexit
import os
import platform
import shutil
import tempfile
from typing import ClassVar, Dict, Optional

from pydantic import Field
from sagemaker.train.distributed import DistributedConfig

import footplate

_DRIVER = "footplate_driver.py"

# The numbers of machines in the headers of programs.
_MACHINES = {62: "x86_64", 183: "aarch64"}


class Footplate(DistributedConfig):
    """Has footplate run the job.

    Parameters:
        launcher (Optional[str]):
            What starts the script: process, per-gpu, torchrun, mpi and others. `footplate train --help` lists them.
        process_count_per_node (Optional[int]):
            The number of ranks on each host. By default, one for each GPU.
        settings (Optional[Dict[str, str]]):
            Settings of footplate, such as {"grace_period": "30"}. Variables and hyperparameters take precedence.
        binary (Optional[str]):
            The program to send with the job. By default the one that is installed here, which is for instances with this
            machine's kind of processor.
    """

    launcher: Optional[str] = None
    process_count_per_node: Optional[int] = None
    settings: Optional[Dict[str, str]] = None
    binary: Optional[str] = Field(default=None, exclude=True)

    # A folder for each binary that was sent.
    _folders: ClassVar[Dict[str, str]] = {}

    @property
    def driver_dir(self) -> str:
        """Returns a folder with the driver and the binary."""
        binary = self.binary or footplate.binary()
        if binary not in self._folders:
            folder = tempfile.mkdtemp(prefix="footplate-driver-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            shutil.copy(os.path.join(os.path.dirname(footplate.__file__), "driver", _DRIVER), folder)
            shutil.copy(binary, os.path.join(folder, "footplate-" + _machine(binary)))
            self._folders[binary] = folder
        return self._folders[binary]

    @property
    def driver_script(self) -> str:
        """Returns the name of the driver."""
        return _DRIVER


def _machine(binary: str) -> str:
    """Returns the machine that a program is for."""
    with open(binary, "rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF":
        raise ValueError("%s is not a program for Linux: name one in Footplate(binary=...)" % binary)
    return _MACHINES.get(int.from_bytes(header[18:20], "little"), platform.machine())
