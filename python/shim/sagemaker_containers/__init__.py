"""The training part of the package sagemaker-containers, on top of footplate.

Where another folder of the search path has the original, which can also serve, the original is used.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _find_original():
    """Returns the specification of the original package, or None if there is none."""
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    others = [folder for folder in sys.path if os.path.abspath(folder) != own]
    found = importlib.machinery.PathFinder.find_spec(__name__, others)
    if found is None or not found.origin or os.path.exists(os.path.join(os.path.dirname(found.origin), "_footplate.py")):
        return None
    return found


_original = _find_original()
if _original is None:
    from sagemaker_containers import _training

    globals().update({name: value for name, value in vars(_training).items() if not name.startswith("__")})
else:
    sys.modules[__name__] = importlib.util.module_from_spec(_original)
    _original.loader.exec_module(sys.modules[__name__])
