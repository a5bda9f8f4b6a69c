"""The files that logs are in: opened as their callers have them, made anew beside a place that is gone, and the spools' own."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from shmrerun.aggregator.descriptors import same_file
from shmrerun.shm import places, segments
from shmrerun.shm.words import SINK_ODD_FILE, SINK_STDOUT

if TYPE_CHECKING:
    from shmrerun.shm.session import Sink

SPOOL_BYTES = 1 << 30
_OPEN = os.O_RDWR | os.O_CLOEXEC


def open_callers(sink: Sink) -> int:
    """Open the very file that the caller of a wish has open. OSError: it is not there any more, or another one is."""
    flags = _OPEN | (os.O_NONBLOCK if sink.flags & SINK_ODD_FILE else 0)
    if sink.flags & SINK_STDOUT:  # for writing alone, so that it is noticed when nobody reads any more
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    for path in (f"/proc/{sink.caller_pid}/fd/{sink.caller_fd}", sink.path):
        try:
            fd = os.open(path, flags)
        except OSError:
            if path == sink.path:
                raise
            continue
        if same_file(fd, sink.device, sink.inode):
            return fd
        os.close(fd)
    raise FileNotFoundError(errno.ENOENT, "the file was replaced while it was being opened", sink.path)


def open_again(sink: Sink) -> int | None:
    """Open a log by its path; None: the file there is another one, which is not ours to cut, or there is none."""
    try:
        fd = os.open(sink.path, _OPEN)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if same_file(fd, sink.device, sink.inode):
        return fd
    os.close(fd)
    return None


def open_beside(path: str) -> tuple[int, str]:
    """Make a new file beside a path that is not there any more, or in the nearest directory above that is."""
    directory, name = os.path.split(path.removesuffix(".rrd"))
    while not os.path.isdir(directory) and directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
    for number in range(1, 1000):
        found = f"{directory}/{name}.recovered-{number}.rrd"
        try:
            return os.open(found, _OPEN | os.O_CREAT | os.O_EXCL, 0o666), found
        except FileExistsError:
            continue
    raise FileExistsError(errno.EEXIST, "too many recovered files", path)


def open_spool(token: str, serial: int, number: int) -> tuple[int, str]:
    """Make the file of a spool."""
    return segments.open_spilled(f"shmrerun-{token}.{serial}.spool{number}", os.O_TRUNC)


def spool_limit(token: str, most: int = SPOOL_BYTES) -> int:
    """Bytes that a buffering spool may have: a quarter of what is free there at most."""
    found = os.statvfs(places.spill_directory(token))
    return min(most, found.f_bavail * found.f_frsize // 4)
