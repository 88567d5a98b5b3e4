"""The names of the training part, on top of footplate."""

import sys
import types

from sagemaker_training import (
    _footplate,
    content_types,
    entry_point as _entry_point,
    environment,
    errors,
    files,
    functions,
    intermediate_output,
    logging_config,
    mapping,
    modules as _modules,
    params,
    process,
    runner,
    trainer,
)


def training_env(*args, **kwargs):
    """Returns the job, as this host sees it."""
    return environment.Environment(*args, **kwargs)


def _module(name, source=None, **further):
    """Makes a module of this package, with all that `source` has."""
    made = types.ModuleType("sagemaker_containers." + name)
    made.__dict__.update({key: value for key, value in vars(source or made).items() if not key.startswith("__")})
    made.__dict__.update(further)
    sys.modules[made.__name__] = made
    return made


class _Serving(types.ModuleType):
    """A module of the serving part, which can be imported and not used."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_args, **_kwargs):
            raise NotImplementedError(
                "%s.%s serves models, which footplate does not: serve with an inference image" % (self.__name__, name)
            )

        return refuse


def _serving(name):
    made = _Serving("sagemaker_containers." + name)
    sys.modules[made.__name__] = made
    return made


def _run(uri, user_entry_point, args, env_vars=None, wait=True, capture_error=False, runner=None, extra_opts=None):
    """Runs an entry point. In this package, the argument for the launcher is called `runner`."""
    kind = runner or _entry_point.runner.ProcessRunnerType
    return _entry_point.run(uri, user_entry_point, args, env_vars, wait, capture_error, kind, extra_opts)


def _run_module(module_uri, args, env_vars=None, name=_modules.DEFAULT_MODULE_NAME, cache=None, wait=True, capture_error=False):
    """Fetches code and runs its module `name`."""
    environment.write_env_vars(env_vars)
    return _footplate.run_entry_point(module_uri, "-m " + name, args, "process", {}, wait)


def _download_and_install(uri, name=_modules.DEFAULT_MODULE_NAME, cache=True):
    """Fetches code into the code folder and installs it."""
    files.download_and_extract(uri, environment.code_dir)
    _modules.prepare(environment.code_dir, name)
    _modules.install(environment.code_dir)


_env = _module("_env", environment, TrainingEnv=environment.Environment, ServingEnv=_serving("_serving").ServingEnv)
entry_point = _module("entry_point", _entry_point, run=_run)
_modules = _module("_modules", _modules, run_module=_run_module, download_and_install=_download_and_install)
for _name, _source in (
    ("_content_types", content_types),
    ("_errors", errors),
    ("_files", files),
    ("_functions", functions),
    ("_intermediate_output", intermediate_output),
    ("_logging", logging_config),
    ("_mapping", mapping),
    ("_params", params),
    ("_process", process),
    ("_runner", runner),
    ("_trainer", trainer),
):
    globals()[_name] = _module(_name, _source)
for _name in ("_encoders", "_recordio", "_server", "_transformer", "_worker"):
    globals()[_name] = _serving(_name)
