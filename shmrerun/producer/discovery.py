"""How a process that never called ``init`` finds the recording of the one that started it.

In this order: memory inherited by fork; an entry in ``multiprocessing.current_process()._config``, which multiprocessing copies into
every child; the environment (``SHMRERUN_TREE`` names a tree on purpose, ``SHMRERUN_PARENT`` is set for plain ``subprocess``); an entry
named by the authkey, for pools made before ``init``; last, where the environment was emptied, a process of a tree among those that this
one descends from. All of them name a *process* of a tree, whose current recording the child follows.
"""

from __future__ import annotations

import contextlib
import os
from hashlib import blake2b
from typing import TYPE_CHECKING

from shmrerun.errors import ShmrerunError
from shmrerun.loaded import loaded
from shmrerun.producer.process import Follow, Process
from shmrerun.shm import places, segments
from shmrerun.shm.tree import pid_namespace, process_facts
from shmrerun.shm.words import TREE_MAGIC, TreeView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.shm.tree import Tree

PARENT_VARIABLE = "SHMRERUN_PARENT"
_LOOKS = 3  # at the ancestors; they do not change, but may make a recording after this process looked first
_GENERATIONS = 8


def _entry_path(runtime: str, authkey: bytes) -> str:
    return f"{runtime}/key-{blake2b(authkey, digest_size=8).hexdigest()}"


def publish(me: Process, tree: Tree) -> None:
    """Make this process findable for children that it starts from now on, and for pools that it has."""
    follow = str(Follow(tree.token, tree.index, tree.serial))
    import multiprocessing.process as module

    current = module.current_process()
    with contextlib.suppress(AttributeError, TypeError):
        current._config["shmrerun"] = follow  # type: ignore[attr-defined]  # copied into each child by multiprocessing
    if os.environ.get(PARENT_VARIABLE) != follow:
        os.environ[PARENT_VARIABLE] = follow
    if not me.published and module.parent_process() is None:
        with contextlib.suppress(OSError, ShmrerunError):
            os.symlink(follow, _entry_path(os.path.dirname(tree.directory), bytes(current.authkey)))
    me.published = True


def discover(me: Process) -> Follow | None:
    """Whom this process follows, looked up outside its own memory; None if it was started by nobody that logs."""
    module = loaded("multiprocessing.process")
    if module is not None:
        text = getattr(module.current_process(), "_config", {}).get("shmrerun")
        if text and (found := Follow.parse(text)):
            return found
    name = me.named()
    if name:
        with contextlib.suppress(ShmrerunError, FileNotFoundError):
            root = me.tree(name).words.root
            return Follow(name, root >> 32, root & 0xFFFF_FFFF) if root else None
        return None
    text = os.environ.get(PARENT_VARIABLE)
    if text and (found := Follow.parse(text)) and (me.own is None or me.own != found.token):
        return found
    if module is not None and module.parent_process() is not None:
        for runtime in places.runtimes():
            with contextlib.suppress(OSError):
                return Follow.parse(os.readlink(_entry_path(runtime, bytes(module.current_process().authkey))))
    if text is None and me.looks < _LOOKS:
        me.looks += 1
        with contextlib.suppress(OSError, ShmrerunError):
            return _by_descent()
    return None


def _by_descent() -> Follow | None:
    """The nearest ancestor that has a recording."""
    ancestors = list(_ancestors())
    best: tuple[int, Follow] | None = None
    candidates = dict.fromkeys([*places.runtimes(), *(place for pid, _ in ancestors if (place := _runtime_in(pid)))])
    found = [(runtime, token) for runtime in candidates if places.is_private(runtime) for token in os.listdir(runtime)]
    for runtime, token in found if ancestors else ():
        if not token.isalnum() or not os.path.isdir(f"{runtime}/{token}"):
            continue
        try:
            words = TreeView(segments.attach(f"shmrerun-{token}", TREE_MAGIC, TreeView.size))
        except (OSError, ShmrerunError):
            continue
        for index, (claim, started, namespace) in words.processes():
            who = (claim & 0xFFFF_FFFF, started)
            if who in ancestors and namespace == pid_namespace() and words.process(index).current:
                near = ancestors.index(who)
                if best is None or near < best[0]:
                    best = near, Follow(places.settle(token, runtime), index, claim >> 32)
    return best[1] if best else None


def _runtime_in(pid: int) -> str | None:
    """The runtime directory that the environment of a process names; None: it names none, or may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return None
    named = f"{places.RUNTIME_VARIABLE}=".encode()
    return next((os.fsdecode(text.removeprefix(named)) for text in variables if text.startswith(named)), None)


def _ancestors() -> Iterator[tuple[int, int]]:
    """Pid and start time of the processes that this one descends from, the nearest first."""
    pid = os.getppid()
    for _ in range(_GENERATIONS):
        if pid <= 1:
            return
        yield pid, process_facts(pid)[1]
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            return
