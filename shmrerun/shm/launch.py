"""Starting a tree's own processes: a fresh interpreter of the caller's kind, in which nothing of the caller's can shadow a module."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.errors import AggregatorError, say_once
from shmrerun.loaded import loaded
from shmrerun.shm import places

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = {  # role: the module whose main() it runs
    "aggregator": "shmrerun.aggregator.process",
    "live": "shmrerun.live.worker",
    "importer": "shmrerun.importers.worker",
}

# Blocks of megabytes come and go in these processes. Given back to the system each time, their pages would cost more than what is done
# with them: a live worker that sends images needs half the time so, and no more memory. Source: mallopt(3); other C libraries ignore it.
_MALLOC = "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=67108864"

# It runs this very package, whatever else its interpreter has installed; nothing of the caller's path comes first.
_STUB = (
    "import sys,types;sys.path+=sys.argv[5:];package=types.ModuleType('shmrerun');package.__path__=[sys.argv[4]];"
    "sys.modules['shmrerun']=package;from shmrerun.shm.launch import without_pandas;without_pandas();from {module} import main;main()"
)
_DROPPED = ("PYTHON", "RERUN", "SHMRERUN", "_RERUN", "GLIBC_TUNABLES")  # variables of the caller's that it does not get


def launch(role: str, token: str, directory: str) -> int:
    """Start a tree's ``aggregator``, or its ``live`` worker; returns its pid where that can be known, else 0.

    AggregatorError: it cannot be started.
    """
    argv = command(role, token, _library_paths())
    keep = [f"{k}={v}" for k, v in os.environ.items() if not k.startswith(_DROPPED) or k == "PYTHONHOME"]
    keep += [f"{places.RUNTIME_VARIABLE}={os.path.dirname(directory)}", f"GLIBC_TUNABLES={_MALLOC}"]
    if role == "aggregator":
        keep.append("OPENBLAS_NUM_THREADS=1")  # numpy's threads, one a processor, spin for a while when it is imported, for nothing here
    try:
        return _core.launch([os.fsencode(a) for a in argv], [os.fsencode(e) for e in keep], os.fsencode(f"{directory}/faults"))
    except OSError as error:
        raise AggregatorError(
            f"cannot start the {role} process: {error.strerror}. Set SHMRERUN_PYTHON to a Python that has shmrerun (tried {argv[0]})"
        ) from error


def command(role: str, argument: str, paths: Sequence[str]) -> list[str]:
    """The command line of a process of ours: ``main()`` finds the argument as ``sys.argv[3]``; ``paths`` come behind its interpreter's own.

    AggregatorError: this program has no interpreter.
    """
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    stub = _STUB.format(module=_MODULES[role])
    return [python_of_program(), "-I", "-X", "utf8", "-c", stub, "shmrerun", role, argument, here, *paths]


def python_of_program() -> str:
    """The interpreter that this program's processes run in. AggregatorError: it has none."""
    return os.environ.get("SHMRERUN_PYTHON") or _python()


def _python() -> str:
    if getattr(sys, "frozen", False) or not sys.executable:
        raise AggregatorError(
            "this program has no Python interpreter of its own (frozen or embedded): set SHMRERUN_PYTHON to a Python that has shmrerun"
        )
    spawn = loaded("multiprocessing.spawn")
    executable = spawn.get_executable() if spawn else None
    return os.fsdecode(executable or sys.executable)


def _library_paths() -> list[str]:
    """Where the dependencies lie, for when they are not in its interpreter's own site-packages."""
    from importlib.util import find_spec

    paths: list[str] = []
    for name in ("posix_ipc", "numpy", "pyarrow", "google.protobuf", "xxhash", "grpc", "h11"):
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None or not spec.origin:
            say_once(f"missing {name}", f"the package {name} is not installed; shmrerun cannot work without it")
            continue
        up = os.path.dirname(spec.origin)
        for _ in range(name.count(".") + (1 if spec.submodule_search_locations else 0)):
            up = os.path.dirname(up)
        if up not in paths:
            paths.append(up)
    return paths


class _NoPandas:
    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("processes of shmrerun's own do without pandas", name=name)


def without_pandas() -> None:
    """Keep pyarrow from importing pandas, which it does with its first array where it is installed: half a second, and 50 MB."""
    sys.meta_path.insert(0, _NoPandas)
