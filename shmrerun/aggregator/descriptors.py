"""Open files of all sessions within what the process may have: those unused for longest are closed, and opened again at need."""

from __future__ import annotations

import os
import resource
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:

    class Closable(Protocol):
        """Something with a descriptor that it can do without for a while."""

        def rest(self) -> None:
            """Close the descriptor."""


SPARE = 64  # for segments on their way into the memory, the bell, directories


def raise_limit() -> int:
    """Raise the soft limit of descriptors as far as it goes; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


class Descriptors:
    """The files in use, the most recently used last."""

    def __init__(self, most: int) -> None:
        self.most = max(8, most)
        self._open: OrderedDict[Closable, None] = OrderedDict()

    def use(self, file: Closable) -> None:
        """A file is open, and used now."""
        self._open[file] = None
        self._open.move_to_end(file)
        while len(self._open) > self.most:
            self._open.popitem(last=False)[0].rest()

    def forget(self, file: Closable) -> None:
        """It was closed."""
        self._open.pop(file, None)


def same_file(fd: int, device: int, inode: int) -> bool:
    """Whether a descriptor is of the file that is known by device and inode."""
    found = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (device, inode)
