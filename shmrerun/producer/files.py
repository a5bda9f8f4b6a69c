"""Opening the files that rows will go to: with the caller's directory, umask and errors, and locked from that moment on."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from typing import TYPE_CHECKING

from shmrerun.errors import SinkError
from shmrerun.shm.locks import OPENER, WRITER, is_file_locked, lock_file
from shmrerun.shm.words import SINK_ODD_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

_OPEN = os.O_RDWR | os.O_CLOEXEC
_ENDING_SECONDS = 0.1  # a recording that is just ending gets so long to give a file up
_ROUNDS = 20  # of two programs that take the same path away from each other


def open_file(path: str, own: Callable[[], set[tuple[int, int]]]) -> tuple[int, int]:
    """Create the file that rows will go to; its ``OPENER`` byte is this descriptor's until it is closed.

    A regular file that exists is replaced by a new inode, so that whoever still reads the old one is not disturbed.

    Parameters
    ----------
    path
        Absolute.
    own
        Gives device and inode of the files that this process writes, which it may replace.

    Returns
    -------
    fd, flags
        A descriptor for reading and writing, and the sink flags of such a file.

    Raises
    ------
    SinkError
        (a RuntimeError) It cannot be created, or another recording is writing it.
    """
    target = os.path.realpath(path)
    try:
        found = _stat(target)
        if found is not None and not stat.S_ISREG(found.st_mode):
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return os.open(target, _OPEN | os.O_NONBLOCK), SINK_ODD_FILE
        deadline = time.monotonic() + _ENDING_SECONDS
        for _ in range(_ROUNDS):
            fd = _replace(target, own, deadline)
            if fd >= 0:
                return fd, 0
        raise FileExistsError(errno.EEXIST, "another program makes and removes it all the time")
    except OSError as error:
        raise SinkError(f"Failed to create file: {error.strerror}, path: {path}") from error


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _replace(target: str, own: Callable[[], set[tuple[int, int]]], deadline: float) -> int:
    """Make a new inode at a path, locked; -1: somebody else made another one meanwhile, look again."""
    old = -1
    try:
        with contextlib.suppress(FileNotFoundError):
            old = os.open(target, _OPEN)
        if old >= 0:
            found = os.fstat(old)
            mine = (found.st_dev, found.st_ino) in own()
            # The lock keeps whoever just made it from starting to write it while we take it away.
            while not lock_file(old, OPENER) or (not mine and is_file_locked(old, WRITER)):
                if time.monotonic() > deadline:
                    raise BlockingIOError(
                        errno.EAGAIN,
                        "another recording is writing it; choose another path, or disconnect() that recording first, or bring the "
                        "programs into one recording (shmrerun run -- COMMAND)",
                    )
                time.sleep(0.002)
            if not _names(target, old):
                return -1
            try:
                os.unlink(target)
            except OSError:  # the directory is not ours to change: the same inode, emptied
                if mine:
                    raise
                os.ftruncate(old, 0)
                kept, old = old, -1
                return kept
        try:
            fd = os.open(target, _OPEN | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return -1
        try:
            if lock_file(fd, OPENER) and _names(target, fd):
                made, fd = fd, -1
                return made
        finally:  # also where a signal handler raised: the path must not stay locked by us
            if fd >= 0:
                os.close(fd)
        return -1
    finally:
        if old >= 0:
            os.close(old)


def _names(path: str, fd: int) -> bool:
    """Whether a path still names an open file."""
    named, opened = _stat(path), os.fstat(fd)
    return named is not None and (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
