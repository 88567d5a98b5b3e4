"""Arguments of functions."""

import collections
import inspect

from sagemaker_training import mapping

# Python 3.11 removed inspect.ArgSpec.
ArgSpec = getattr(inspect, "ArgSpec", None) or collections.namedtuple("ArgSpec", "args varargs keywords defaults")


def getargspec(fn):
    """Returns the names and defaults of a function's arguments."""
    found = inspect.getfullargspec(fn)
    return ArgSpec(found.args, found.varargs, found.varkw, found.defaults)


def matching_args(fn, dictionary):
    """Returns the entries of a dictionary that a function has arguments for; all of them if it takes any."""
    found = getargspec(fn)
    return dictionary if found.keywords else mapping.split_by_criteria(dictionary, found.args).included


def error_wrapper(fn, error_class):
    """Returns a function that raises `error_class` whatever `fn` raises."""

    def wrapper(*args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            raise error_class(error).with_traceback(error.__traceback__) from error

    return wrapper
