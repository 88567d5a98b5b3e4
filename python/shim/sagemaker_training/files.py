"""Files of a job."""

import contextlib
import json
import os
import shutil
import tarfile
import tempfile

from sagemaker_training import _footplate, environment, logging_config

logger = logging_config.get_logger()


def write_success_file():
    write_file(os.path.join(environment.output_dir, "success"), "")


def write_failure_file(failure_msg):
    """Writes the reason of a failure, unless one is written already."""
    path = os.path.join(environment.output_dir, "failure")
    if os.path.exists(path):
        logger.info("%s exists, and is kept", path)
    else:
        write_file(path, failure_msg)


@contextlib.contextmanager
def tmpdir(suffix="", prefix="tmp", directory=None):
    """Makes a temporary folder, which is removed after the block."""
    folder = tempfile.mkdtemp(suffix=suffix, prefix=prefix, dir=directory)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def write_file(path, data, mode="w"):
    with open(path, mode) as file:
        file.write(data)


def read_file(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def read_json(path):
    with open(path) as file:
        return json.load(file)


def s3_download(url, dst):
    """Downloads an object from S3 into a file, without unpacking it."""
    if not url.startswith("s3://"):
        raise ValueError("Expecting 's3' scheme, got: %s" % url)
    _footplate.call("fetch", "--packed", url, dst)


def download_and_extract(uri, path):
    """Fetches code from S3, a folder, an archive or a file into a folder, unless there is some already."""
    if not os.path.exists(path):
        os.makedirs(path)
    if os.listdir(path):
        logger.info("%s is not empty: nothing is fetched from %s", path, uri)
    elif os.path.isdir(uri):
        if os.path.realpath(uri) != os.path.realpath(path):
            shutil.rmtree(path)
            shutil.copytree(uri, path)
    elif uri.startswith("s3://") or tarfile.is_tarfile(uri):
        # The archive is untrusted.
        _footplate.call("fetch", uri, path)
    else:
        shutil.copy2(uri, path)
