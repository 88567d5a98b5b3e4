"""footplate: one static binary that turns any container image into a training container.

This package carries the binary, and `footplate.sagemaker`, which brings it into the jobs of the SageMaker Python SDK.
"""

import os
import shutil
import sys
import sysconfig


def binary():
    """Returns the path of the program footplate."""
    for folder in (sysconfig.get_path("scripts"), os.path.dirname(sys.executable), os.path.join(sys.prefix, "bin")):
        path = os.path.join(folder, "footplate")
        if os.access(path, os.X_OK):
            return path
    found = shutil.which("footplate")
    if found is None:
        raise FileNotFoundError("footplate is not installed beside this Python and not on PATH: pip install footplate")
    return found
