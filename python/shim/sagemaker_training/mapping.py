"""Dictionaries as environment variables, as arguments, and in two parts."""

import collections
import collections.abc
import json

SplitResultSpec = collections.namedtuple("SplitResultSpec", "included excluded")


def _text(value):
    if value is None:
        return ""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def to_env_vars(mapping):
    """Returns a dictionary of variables: `SM_` and the key in capitals, with strings as they are and the rest as JSON."""

    def value_of(value):
        if value is None or isinstance(value, (bytes, str)):
            return _text(value)
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    return {"SM_%s" % str(key).upper() if key else "": value_of(value) for key, value in mapping.items()}


def to_cmd_args(mapping):
    """Returns a list of arguments, sorted by name: `--name value`, or `-n value` for a name of one character."""
    arguments = []
    for key in sorted(mapping):
        name, value = _text(key), mapping[key]
        if name:
            name = ("--" if len(name) > 1 else "-") + name
        if hasattr(value, "items"):
            value = ",".join("%s=%s" % pair for pair in sorted(value.items()))
        arguments += [name, _text(value)]
    return arguments


def split_by_criteria(dictionary, keys=None, prefix=None):
    """Splits a dictionary into the entries with one of the keys or with the prefix, and all others."""
    keys = set(keys or ())
    included = {key: value for key, value in dictionary.items() if key in keys or (prefix and key.startswith(prefix))}
    excluded = {key: value for key, value in dictionary.items() if key not in included}
    return SplitResultSpec(included=included, excluded=excluded)


class MappingMixin(collections.abc.Mapping):
    """Makes the properties of a class the entries of a mapping."""

    def properties(self):
        return [name for name in dir(type(self)) if self._is_property(name)]

    def _is_property(self, name):
        return isinstance(getattr(type(self), name), property)

    def __getitem__(self, name):
        if not self._is_property(name):
            raise KeyError("Trying to access non property %s" % name)
        return getattr(self, name)

    def __len__(self):
        return len(self.properties())

    def __iter__(self):
        return iter(self.properties())

    def __str__(self):
        return str(dict(self))
