"""What a figure depends on: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("shmrerun", "rerun-sdk", "numpy", "pyarrow", "grpcio", "protobuf", "mcap", "lz4", "foxglove-sdk", "tensorboardX", "pandas")


def facts() -> dict[str, Any]:
    """Return them, by name."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) * 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "files_on": _filesystem(tempfile.gettempdir()),
        "load": load(),
        "versions": {package: found for package in PACKAGES if (found := _version(package))},
    }


def load() -> list[float]:
    """Return how many processes wanted to run, over 1, 5 and 15 minutes."""
    return [round(each, 1) for each in os.getloadavg()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _filesystem(path: str) -> str | None:
    """Return the type of the file system that a directory is on: the longest mount point above it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    above = [(len(point), kind) for point, kind in mounts if os.path.commonpath((point, os.path.realpath(path))) == point]
    return max(above)[1] if above else None
