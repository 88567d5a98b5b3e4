"""footplate: starts a node of Ray, as `python -m ray.scripts.scripts` does, as soon as its head listens.

A raylet aborts if one of its agents takes more than 15 s to start, as on a busy host or from a cold disk. No option of Ray changes
that, and `ray start` only tells that the node is late. Then this program begins again, in the same process: by then the agents'
modules are in memory.
"""
import atexit
import os
import runpy
import socket
import sys
import time


def wait_for_head(address):
    """Waits until the head listens and knows its session. Ray itself would look every 2 s, and only 20 times."""
    host, port = address.strip("[").replace("]", "").rsplit(":", 1)
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            break
        except OSError:
            time.sleep(0.05)
    try:
        from ray._private.ray_constants import KV_NAMESPACE_SESSION
        from ray._raylet import GcsClient

        head = GcsClient(address=address)
        while not head.internal_kv_get(b"session_name", KV_NAMESPACE_SESSION):
            time.sleep(0.05)
    except Exception:
        pass  # in another version of Ray, the node waits by itself


def explain(kind, error, trace):
    """Starts the node again if it was late, and shows any other error as Python does."""
    if "timed out during startup" not in str(error):
        return sys.__excepthook__(kind, error, trace)
    print(f"{error} The node is started again.", file=sys.stderr, flush=True)
    atexit._run_exitfuncs()
    with open("/proc/self/cmdline") as command:
        os.execv(sys.executable, command.read()[:-1].split("\0"))


sys.excepthook = explain
for argument in sys.argv:
    if argument.startswith("--address="):
        import ray._private.node  # the greater part of the start needs no head
        wait_for_head(argument.partition("=")[2])
runpy.run_module("ray.scripts.scripts", run_name="__main__", alter_sys=True)
