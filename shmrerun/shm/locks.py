"""Byte locks between processes.

Of a tree's lock file: process-owned (POSIX) record locks, which fall when the process ends. Of the user's files: open-file-description
locks, which belong to a descriptor. Byte ``WRITER`` is held by the aggregator while it writes a file; byte ``OPENER`` by whoever calls
``save`` from the moment of opening until the aggregator has the other one, so that a second program is refused at any delay.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

WRITER, OPENER = 0, 1
_FLOCK = "hhqqi"  # struct flock of fcntl(2) on 64-bit systems


def lock_byte(fd: int, byte: int) -> bool:
    """Take a byte of a lock file for this process. False: another process has it."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except OSError:
        return False
    return True


def unlock_byte(fd: int, byte: int) -> None:
    """Give it back."""
    fcntl.lockf(fd, fcntl.LOCK_UN, 1, byte)


def lock_holder(fd: int, byte: int) -> int:
    """Pid of another process that holds a byte (-1 if its pid has no number here), 0 if it is free."""
    kind, pid = _ask(fd, fcntl.F_GETLK, byte)
    return 0 if kind == fcntl.F_UNLCK else pid or -1


def lock_file(fd: int, byte: int) -> bool:
    """Take a byte of a user's file for this descriptor. False: another one has it. True where there are no such locks."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def is_file_locked(fd: int, byte: int) -> bool:
    """Whether another descriptor holds a byte of a user's file."""
    try:
        return _ask(fd, fcntl.F_OFD_GETLK, byte)[0] != fcntl.F_UNLCK
    except OSError:
        return False


def _ask(fd: int, command: int, byte: int) -> tuple[int, int]:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, command, asked)[: struct.calcsize(_FLOCK)])
    return int(kind), int(pid)
