"""Helpers for the tests of programs that log: wait without sleeping blindly, and see what is left behind.

Examples
--------
>>> from shmrerun.testing import wait_until
>>> wait_until(lambda: 1 + 1, 1.0, "nothing in particular")
2
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from shmrerun.shm import places, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")


class Leftovers(NamedTuple):
    """What exists of shmrerun for this user; where ``SHMRERUN_RUNTIME_DIR`` is set, of the programs that have the same one.

    Attributes
    ----------
    files
        Paths of segments, runtime and spill directories, and everything in them.
    processes
        Pids of aggregators.
    """

    files: frozenset[str]
    processes: frozenset[int]

    def __bool__(self) -> bool:
        return bool(self.files or self.processes)

    def since(self, before: Leftovers) -> Leftovers:
        """What is here but was not before."""
        return Leftovers(self.files - before.files, self.processes - before.processes)

    def __str__(self) -> str:
        return "\n".join([*sorted(self.files), *(f"process {pid}: {_command(pid)}" for pid in sorted(self.processes))]) or "nothing"


def wait_until(condition: Callable[[], _T], timeout: float, what: str) -> _T:
    """Wait until ``condition()`` is true, looking about 200 times a second. Returns what it gave.

    Parameters
    ----------
    condition
        Called again and again, so cheap and without side effects.
    timeout
        Seconds, on a machine that has a processor to spare; longer by :func:`load` where more processes want to run.
    what
        Ends the sentence "not in time: ...".

    Raises
    ------
    TimeoutError
        It was not true in time.
    """
    began = time.monotonic()
    pause = 0.001
    while not (found := condition()):
        waited = time.monotonic() - began
        if waited > timeout and waited > timeout * load():
            msg = f"not in {waited:.3g} s: {what}"
            raise TimeoutError(msg)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.005 if timeout < 60 else 0.02)
    return found


def load() -> float:
    """How many processes want each processor: at least 1, at most 30. Deadlines are multiplied by it."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            average, _, _, running, *_ = file.read().split()
        wanted = max(float(average), int(running.partition("/")[0]))
    except (OSError, ValueError):
        wanted = 1.0
    return min(30.0, max(1.0, wanted / (os.cpu_count() or 1)))


def trees() -> list[str]:
    """Tokens of the trees of this user that have a runtime directory, sorted; those of ``SHMRERUN_RUNTIME_DIR`` if it is set."""
    found = set()
    for runtime in places.runtimes():
        if places.is_private(runtime):
            found |= {name for name in _names(runtime) if name != "spill" and os.path.isdir(f"{runtime}/{name}") and name.isalnum()}
    return sorted(found)


def leftovers() -> Leftovers:
    """Every segment, file, directory and aggregator process of shmrerun for this user.

    Where ``SHMRERUN_RUNTIME_DIR`` is set, only what belongs to that directory, by place and by name: other programs of this user
    do not matter then.
    """
    runtimes = places.runtimes()
    prefix = f"shmrerun-{places.prefix_of(runtimes[0])}"
    named = places.is_named(runtimes[0])
    files = {f"{places.SHM}/{name}" for name in _names(places.SHM) if name.startswith(prefix)}
    for top in dict.fromkeys((*runtimes, *places.spills())):
        if not os.path.isdir(top):
            continue
        if not named:
            files.add(top)
        for directory, inner, names in os.walk(top):
            found = (f"{directory}/{name}" for name in (*inner, *names))
            files.update(path for path in found if top in runtimes or os.path.basename(path).startswith(prefix))
    return Leftovers(frozenset(files), frozenset(_aggregators(prefix.removeprefix("shmrerun-"))))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _aggregators(prefix: str) -> Iterator[int]:
    """Aggregators of this user, of trees whose token has that prefix, by command line; a zombie has none, and is gone."""
    for name in _names("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            mine = os.stat(f"/proc/{name}").st_uid == os.geteuid()
        except OSError:
            continue
        trees = (words[at + 2] for at in range(len(words) - 2) if words[at : at + 2] == [b"shmrerun", b"aggregator"])
        if mine and any(tree.startswith(prefix.encode()) for tree in trees):
            yield int(name)


def aggregator_pid(tree: str) -> int:
    """Pid of the aggregator of a tree, 0 if there is none. FileNotFoundError: there is no such tree."""
    from shmrerun.shm.tree import process_gone
    from shmrerun.shm.words import TREE_MAGIC, TreeView

    words = TreeView(segments.attach(f"shmrerun-{tree}", TREE_MAGIC, TreeView.size))
    pid = words.aggregator_pid
    return 0 if not pid or process_gone(pid, words.aggregator_start) else pid


__all__ = ["Leftovers", "aggregator_pid", "leftovers", "load", "trees", "wait_until"]
