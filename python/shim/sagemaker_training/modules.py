"""Python modules of the user."""

import importlib
import os

from sagemaker_training import _footplate, environment, errors, files, process

DEFAULT_MODULE_NAME = "default_user_module_name"


def exists(name):
    """Returns true if a module can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def has_requirements(path):
    return os.path.exists(os.path.join(path, "requirements.txt"))


def prepare(path, name):
    """Makes a folder with a module installable, unless it has a setup.py."""
    setup = os.path.join(path, "setup.py")
    if not os.path.exists(setup):
        modules = sorted(file[:-3] for file in os.listdir(path) if file.endswith(".py") and file[:-3].isidentifier())
        files.write_file(
            setup, "from setuptools import setup\nsetup(name=%r, version='1.0.0', py_modules=%r)\n" % (name, modules)
        )


def install(path, capture_error=False):
    """Installs the package in a folder, and what it requires. A requirements file is installed from CodeArtifact, if the
    job names a repository."""
    command = [process.python_executable(), "-m", "pip", "install", "."]
    if not has_requirements(path):
        process.check_error(command, errors.InstallModuleError, 1, cwd=path, capture_error=capture_error)
        return
    command += ["-r", "requirements.txt"]
    with _footplate.package_index() as variables:
        process.check_error(command, errors.InstallModuleError, 1, cwd=path, capture_error=capture_error, env=variables)


def install_requirements(path, capture_error=False):
    """Installs the requirements file in a folder, from CodeArtifact if the job names a repository."""
    command = [process.python_executable(), "-m", "pip", "install", "-r", "requirements.txt"]
    error = errors.InstallRequirementsError
    with _footplate.package_index() as variables:
        process.check_error(command, error, 1, cwd=path, capture_error=capture_error, env=variables)


def import_module(uri, name=DEFAULT_MODULE_NAME):
    """Fetches code from `uri` into the code folder, installs it, and returns the module `name` of it."""
    files.download_and_extract(uri, environment.code_dir)
    prepare(environment.code_dir, name)
    install(environment.code_dir)
    importlib.invalidate_caches()
    try:
        return importlib.reload(importlib.import_module(name))
    except Exception as error:
        raise errors.ImportModuleError(error).with_traceback(error.__traceback__) from error
