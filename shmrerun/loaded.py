"""Modules that the program has imported, looked at without importing them; and forks while one is being imported."""

from __future__ import annotations

import _frozen_importlib
import sys
import threading
import time
from typing import Any

_OURS = frozenset(("shmrerun", "numpy", "pyarrow", "google", "grpc", "posix_ipc", "xxhash"))  # what calls of ours import when there is need
_MOST_SECONDS = 10.0


def loaded(name: str) -> Any:
    """A module, whole; None: it was not imported, or a thread is at it, so that nothing of it can have been handed to us yet.

    ``sys.modules`` has it from the first line of its import on, without the names that are to come.
    """
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module


def wait_for_imports() -> None:
    """Wait, before a fork, until no other thread imports a module that calls of ours need.

    The child would inherit that module's lock, held by a thread that it does not have, and its first ``log`` would wait for ever. A call
    of ours imports modules at its first use, in whatever thread. Costs nothing while nobody imports. It gives up after ten seconds: then
    the import waits for something that the forking thread has.
    """
    if not _is_imported_elsewhere():
        return
    until = time.monotonic() + _MOST_SECONDS
    while _is_imported_elsewhere() and time.monotonic() < until:
        time.sleep(0.0005)


def _is_imported_elsewhere() -> bool:
    """Whether another thread is at such a module: CPython's own table has a lock for each that is being imported."""
    me = threading.get_ident()
    for name, lock in list(getattr(_frozen_importlib, "_module_locks", {}).items()):
        owner = getattr(lock(), "owner", None)
        if owner in (None, me) or name.partition(".")[0] not in _OURS:
            continue
        if owner in sys._current_frames():  # else we are such a child ourselves
            return True
    return False
