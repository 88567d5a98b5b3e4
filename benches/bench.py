"""Shared by the benchmarks: options, the binary to measure, installation, the machine's description, and tables."""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCUMBENT = "sagemaker-training==5.1.4"


def options(doc, quick):
    """Returns a parser for the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--footplate", type=pathlib.Path, help="the binary to measure (default: a release build)")
    return parser


def binary(arguments):
    """Returns the path of the binary from --footplate, or builds a release binary of this checkout."""
    if arguments.footplate:
        return arguments.footplate.resolve()
    command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics"]
    for line in text_of(command, cwd=ROOT).splitlines():
        if executable := json.loads(line).get("executable"):
            return pathlib.Path(executable)
    sys.exit("cargo did not say where the binary is")


def installed(name, requirement):
    """Returns a virtual environment below target/bench with this requirement, and installs it if it is not there."""
    folder = ROOT / "target/bench" / name
    ready = folder / "installed"
    if not ready.exists() or ready.read_text() != requirement:
        print(f"installing {requirement} into {folder.relative_to(ROOT)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", *requirement.split()], check=True)
        ready.write_text(requirement)
    return folder


def memory_folder(free):
    """Returns a folder in memory with at least `free` bytes, so that the disk's speed does not count, or None."""
    shared = pathlib.Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > free else None


def load():
    return os.getloadavg()[0]


def machine(load_before):
    """Describes the machine and its load average before and now."""
    models = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    return (f"{(models or [platform.machine()])[0]}, {os.cpu_count()} cores, Linux {platform.release()}; "
            f"load average {load_before:.1f} before, {load():.1f} after.\n")


def text_of(command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def ratio(theirs, ours):
    return f"{theirs / ours:.1f}×" if ours > 0 else "∞"


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
