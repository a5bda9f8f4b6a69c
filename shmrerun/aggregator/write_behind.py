"""The user's file on its way to the device while it is still written: what is left to do at its end, or by an ``fsync``, is little.

The system alone begins to write after some seconds, or gigabytes. Spools are left to it, since most are gone before.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial

from shmrerun import _core
from shmrerun.aggregator.device import Device

STEP_BYTES = 8 << 20
_MOST_WAITING = 32  # steps; a device that is further behind than that is not told more
_device = Device("write behind")  # of its own: a slow disk's files are to hold up no other's direct writes


def begin(fd: int, start: int, end: int) -> None:
    """Have the system write these bytes of a file, as soon as it comes to that. Never waits; never raises."""
    if _device.waiting >= _MOST_WAITING:
        return
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)  # the log may close its own, and its lock is to fall then
    except OSError:
        return
    try:
        _device.submit(partial(_write, own, start, end - start))
    except RuntimeError:  # no thread: it is written some seconds later
        os.close(own)


def _write(fd: int, start: int, size: int) -> None:
    """A busy device makes whoever asks wait."""
    with contextlib.suppress(OSError):
        _core.write_behind(fd, start, size)
    os.close(fd)
