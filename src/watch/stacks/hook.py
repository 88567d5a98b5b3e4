"""footplate (FOOTPLATE_STACKS=signal): a signal makes Python write the stacks of all threads into a file."""


def _register():
    import faulthandler
    import os

    folder = os.path.dirname(os.path.abspath(__file__))

    def register():
        global _file
        _file = open(os.path.join(folder, "pid-%d" % os.getpid()), "w")
        faulthandler.register(SIGNAL, file=_file, all_threads=True)

    register()
    # The files of a process are not those of its children.
    os.register_at_fork(after_in_child=register)


def _run_hidden():
    """Runs the module of the same name that this one hides."""
    import importlib.machinery
    import importlib.util
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec(__name__, others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


try:
    _register()
except Exception:
    pass
_run_hidden()
