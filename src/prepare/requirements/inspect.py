# Prints the facts about this Python that an installer would need. It imports only modules that every start loads, and none
# from its working directory, which is the user's code folder.
import os
import sys

here = os.getcwd()
found = [os.path.abspath(path) for path in sys.path if path]
sys.path[:] = [path for path in found if os.path.realpath(path) != os.path.realpath(here)]
uname, version, implementation = os.uname(), sys.version_info, sys.implementation


def number(version):
    text = "%d.%d.%d" % tuple(version[:3])
    return text if version[3] == "final" else text + version[3][0] + str(version[4])


def say(name, value):
    print(name + "=" + value.replace("\n", " "))


say("prefix", sys.prefix)
say("implementation_name", implementation.name)
say("implementation_version", number(implementation.version))
say("os_name", os.name)
say("platform_machine", uname[4])
say("platform_release", uname[2])
say("platform_system", uname[0])
say("platform_version", uname[3])
if implementation.name == "cpython":
    say("platform_python_implementation", "CPython")
say("python_full_version", number(version))
say("python_version", "%d.%d" % version[:2])
say("sys_platform", sys.platform)
for path in found:
    say("path", path)
# The default index of pip, from its source: a distribution may have changed it.
for path in found:
    try:
        with open(os.path.join(path, "pip/_internal/models/index.py"), encoding="utf-8") as file:
            say("index", next(line.split('"')[1] for line in file if '"https://' in line).rstrip("/") + "/simple")
        break
    except (OSError, StopIteration):
        pass
if not any(os.path.isfile(os.path.join(path, "pip/__init__.py")) for path in found):
    say("lacks", "pip")
# The modules in the working directory that have the names of Python's own.
try:
    own = os.listdir(os.path.dirname(os.__file__))
    own = set(name[:-3] if name.endswith(".py") else name for name in own) - {"site-packages", "dist-packages"}
    for name in sorted(os.listdir(here)):
        is_package = os.path.isfile(os.path.join(here, name, "__init__.py"))
        if (is_package and name in own) or (name.endswith(".py") and name[:-3] in own):
            say("shadows", name)
except OSError:
    pass
# The dependencies in the pyproject.toml that the first argument names.
if len(sys.argv) > 1:
    try:
        import tomllib
    except ImportError:
        try:
            from pip._vendor import tomli as tomllib
        except ImportError:
            import tomli as tomllib
    with open(sys.argv[1], "rb") as file:
        project = tomllib.load(file).get("project", {})
    for requirement in project.get("dependencies", []):
        say("requires", requirement)
    if "dependencies" in project.get("dynamic", []):
        say("dynamic", "dependencies")
