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

from shmrerun.shm import segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")
_SHM = "/dev/shm"  # noqa: S108 - where Linux keeps POSIX shared memory
_SPILLS = ("/tmp", "/var/tmp")  # noqa: S108 - the fixed places of spools and file mappings


class Leftovers(NamedTuple):
    """What exists of shmrerun for this user.

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
        Seconds.
    what
        Ends the sentence "not in time: ...".

    Raises
    ------
    TimeoutError
        It was not true in time.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    while not (found := condition()):
        if time.monotonic() > deadline:
            msg = f"not in {timeout:g} s: {what}"
            raise TimeoutError(msg)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.005 if timeout < 60 else 0.02)
    return found


def trees() -> list[str]:
    """Tokens of the trees of this user that have a runtime directory, sorted."""
    found = set()
    for base in (_SHM, *_bases()):
        directory = f"{base}/shmrerun-{os.geteuid()}"
        found |= {name for name in _names(directory) if os.path.isdir(f"{directory}/{name}") and not os.path.islink(f"{directory}/{name}")}
    return sorted(found)


def leftovers() -> Leftovers:
    """Every segment, file, directory and aggregator process of shmrerun for this user, of whatever program."""
    files: set[str] = set()
    for base in (_SHM, *_bases()):
        files.update(f"{base}/{name}" for name in _names(base) if base == _SHM and name.startswith("shmrerun"))
        top = f"{base}/shmrerun-{os.geteuid()}"
        if os.path.isdir(top):
            files.add(top)
            for directory, inner, names in os.walk(top):
                files.update(f"{directory}/{name}" for name in (*inner, *names))
    return Leftovers(frozenset(files), frozenset(_aggregators()))


def _bases() -> tuple[str, ...]:
    extra = os.environ.get("TMPDIR", "").rstrip("/")
    return _SPILLS if not extra or extra in _SPILLS else (*_SPILLS, extra)


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


def _aggregators() -> Iterator[int]:
    """Aggregators of this user by command line; a zombie has none, and is gone."""
    for name in _names("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            mine = os.stat(f"/proc/{name}").st_uid == os.geteuid()
        except OSError:
            continue
        if mine and any(words[at : at + 2] == [b"shmrerun", b"aggregator"] for at in range(len(words) - 1)):
            yield int(name)


def aggregator_pid(tree: str) -> int:
    """Pid of the aggregator of a tree, 0 if there is none. FileNotFoundError: there is no such tree."""
    from shmrerun.shm.tree import process_gone
    from shmrerun.shm.words import TREE_MAGIC, TreeView

    words = TreeView(segments.attach(f"shmrerun-{tree}", TREE_MAGIC, TreeView.size))
    pid = words.aggregator_pid
    return 0 if not pid or process_gone(pid, words.aggregator_start) else pid


__all__ = ["Leftovers", "aggregator_pid", "leftovers", "trees", "wait_until"]
