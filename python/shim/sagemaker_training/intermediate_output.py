"""Intermediate output, which footplate uploads."""

import os
import subprocess

from sagemaker_training import _footplate, environment


class _Uploads:
    """The process that uploads, with what callers use of multiprocessing.Process."""

    def __init__(self, process):
        self._process = process
        self.pid = process.pid

    @property
    def exitcode(self):
        return self._process.poll()

    def is_alive(self):
        return self._process.poll() is None

    def join(self, timeout=None):
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass

    def terminate(self):
        self._process.terminate()


def start_sync(s3_output_location, region, endpoint_url=None):
    """Begins to upload what is written to the folder of intermediate output, until the job has a success or failure file.

    Returns the process that does it. Returns None if the folder exists, because somebody else uploads it then, or if the
    location is not in S3.
    """
    folder = environment.output_intermediate_dir
    if not s3_output_location or os.path.exists(folder):
        return None
    os.makedirs(folder)
    if s3_output_location.lower().startswith("file://"):
        return None
    if not s3_output_location.lower().startswith("s3://"):
        raise ValueError("Expecting 's3' scheme, got: %s" % s3_output_location)
    variables = dict(os.environ)
    if endpoint_url:
        variables["AWS_ENDPOINT_URL_S3"] = endpoint_url
    command = [_footplate.binary(), "upload-output"] + (["--region", region] if region else [])
    process = subprocess.Popen(command + [s3_output_location], env=variables, stdout=subprocess.PIPE)
    # It prints a line once it watches the folder.
    with process.stdout as told:
        told.readline()
    return _Uploads(process)
