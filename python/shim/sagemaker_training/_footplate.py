"""The program footplate, which does the work of this package."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

from sagemaker_training import errors

# The program that wrote this package; empty if it was installed otherwise.
_WRITTEN_BY = ""

_ERRORS = {
    "script": errors.ExecuteUserScriptError,
    "requirements": errors.InstallRequirementsError,
    "package": errors.InstallModuleError,
}


def binary():
    """Returns the path of footplate: the one on PATH, else the one that wrote this package."""
    beside_python = os.path.join(os.path.dirname(sys.executable or ""), "footplate")
    for found in (shutil.which("footplate"), beside_python, _WRITTEN_BY):
        if found and os.access(found, os.X_OK):
            return found
    raise RuntimeError("footplate is not on PATH: copy it into the image, or install the package footplate with pip")


def call(*arguments):
    """Runs footplate with a question and returns what it prints. Raises ClientError unless it ends with 0."""
    pipe = subprocess.PIPE
    ended = subprocess.run([binary(), *arguments], stdout=pipe, stderr=pipe, universal_newlines=True)
    if ended.returncode:
        raise errors.ClientError(ended.stderr.strip().replace("footplate: ", "", 1))
    return ended.stdout.strip()


@contextlib.contextmanager
def package_index():
    """Logs in to the CodeArtifact repository that CA_REPOSITORY_ARN names. Yields the variables with which pip uses it.

    The token is in a file, which is removed after the block: arguments and URLs show in lists of processes and in logs.
    """
    variables = dict(os.environ)
    if not variables.get("CA_REPOSITORY_ARN"):
        yield variables
        return
    folder = tempfile.mkdtemp(prefix="footplate-")
    try:
        netrc = os.path.join(folder, "netrc")
        yield dict(variables, PIP_INDEX_URL=call("package-index", "--netrc", netrc), NETRC=netrc)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_entry_point(uri, program, arguments, launcher, parameters, wait):
    """Runs an entry point. If it fails, raises the error that stands for the kind of the failure."""
    folder = tempfile.mkdtemp(prefix="footplate-")
    report = os.path.join(folder, "report.json")
    command = [binary(), "entry-point", "--uri", uri, "--program", program, "--launcher", launcher, "--report", report]
    for name, value in parameters.items():
        command += ["--parameter", "%s=%s" % (name, value if isinstance(value, str) else json.dumps(value))]
    command += ["--"] + [str(argument) for argument in arguments]
    variables = dict(os.environ)
    variables.setdefault("FOOTPLATE_PYTHON", sys.executable)
    started = subprocess.Popen(command, env=variables)
    if not wait:
        return started
    try:
        started.wait()
        if started.returncode:
            _fail(program, started.returncode, report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return started


def _fail(program, code, report):
    try:
        with open(report, encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        told = {}
    text, command = told.get("failure", ""), told.get("command") or program
    kind = told.get("kind", "script")
    if kind == "requirements" and _is_package():
        kind = "package"
    error_class = _ERRORS.get(kind)
    error = error_class(command, return_code=code, output=text) if error_class else errors.ClientError(text)
    error.failure = text
    error.cause = told.get("cause")
    _pass_on_if_uncaught(error, code)
    raise error


def _is_package():
    """Returns true if the code is a package, which is installed together with what it requires."""
    from sagemaker_training import environment

    return os.path.exists(os.path.join(environment.code_dir, "setup.py"))


def _pass_on_if_uncaught(error, code):
    """Passes on why the script failed, and with which exit code, if nothing catches the error.

    The text becomes the failure file. A footplate that runs the framework reads the cause.
    """
    before = sys.excepthook

    def hook(kind, value, trace):
        if value is error and error.failure:
            from sagemaker_training import files

            try:
                if error.cause and os.environ.get("FOOTPLATE_CAUSE_FILE"):
                    with open(os.environ["FOOTPLATE_CAUSE_FILE"], "w", encoding="utf-8") as file:
                        json.dump(error.cause, file)
                files.write_failure_file(error.failure)
            except OSError:
                pass
        before(kind, value, trace)
        if value is error:
            # Python ends with this code.
            raise SystemExit(code)

    sys.excepthook = hook
