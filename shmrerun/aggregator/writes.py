"""How the bytes of a message get into the log's file: through the page cache, or past it.

A large message of a file that nobody follows goes to the device directly. The page cache would want memory for it that is given back
unread, and to find that memory costs the aggregator more than all the rest of an image. Source: open(2), O_DIRECT.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECT_BYTES = 512 << 10  # messages from this size on
BLOCK = 4096  # of the device: offsets, lengths and addresses of direct writes are multiples of it
STAGE_BYTES = 4 << 20
SLOW_NANOS = 4  # a byte: a device that needs more is left to the page cache for a while
_JUDGED_BYTES = 16 << 20
_PAUSE_BYTES = 64 << 20  # doubled each time
_WRITEV_BUFFERS = 512


class Writes:
    """Writes into one file. One thread."""

    _stage: memoryview | None = None  # shared by all files, and kept: its pages are warm

    def __init__(self) -> None:
        self._from: int | None = 0  # the offset from which direct writes are tried; None: never
        self._pause = _PAUSE_BYTES
        self._bytes = self._nanos = 0  # written directly since that was judged last

    def write(self, fd: int, buffers: Sequence[bytes | memoryview], total: int, offset: int, *, directly: bool) -> None:
        """Write all buffers, one behind the other, from an offset on; the file is a prefix of them at any time.

        OSError: not all of it is there.
        """
        if directly and total >= DIRECT_BYTES and self._from is not None and offset >= self._from:
            try:
                self._write_directly(fd, buffers, offset)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise
                self._from = None  # not on this file system
            else:
                return
        _write_all(fd, buffers, offset)

    def _write_directly(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Join what belongs together in memory that is aligned as the file is, and write whole blocks of it directly."""
        stage = Writes._stage
        if stage is None:
            stage = Writes._stage = memoryview(mmap.mmap(-1, STAGE_BYTES))
        start = end = offset % BLOCK
        for buffer in buffers:
            rest = memoryview(buffer).cast("B")
            while rest:
                size = min(len(rest), STAGE_BYTES - end)
                stage[end : end + size] = rest[:size]
                rest = rest[size:]
                end += size
                if end == STAGE_BYTES:
                    self._write_stage(fd, stage[start:end], offset)
                    offset += end - start
                    start = end = 0
        if end > start:
            self._write_stage(fd, stage[start:end], offset)

    def _write_stage(self, fd: int, data: memoryview, offset: int) -> None:
        """The blocks at both ends are shared with other messages, and go through the page cache."""
        first = min(-offset % BLOCK, len(data))
        last = first + (len(data) - first) // BLOCK * BLOCK
        _write_all(fd, [data[:first]], offset)
        if last > first:
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
            began = time.monotonic_ns()
            try:
                _write_all(fd, [data[first:last]], offset + first)
            finally:
                fcntl.fcntl(fd, fcntl.F_SETFL, flags)
            self._judge(last - first, time.monotonic_ns() - began, offset)
        _write_all(fd, [data[last:]], offset + last)

    def _judge(self, size: int, nanos: int, offset: int) -> None:
        """Leave a slow device to the page cache, which takes a burst at once and writes it later."""
        self._bytes += size
        self._nanos += nanos
        if self._bytes < _JUDGED_BYTES:
            return
        if self._nanos > SLOW_NANOS * self._bytes:
            self._from = offset + self._pause
            self._pause *= 2
        self._bytes = self._nanos = 0


def _write_all(fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> None:
    pending = [buffer for buffer in buffers if len(buffer)]
    while pending:
        count = os.pwritev(fd, pending[:_WRITEV_BUFFERS], offset)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += count
        while pending and count >= len(pending[0]):
            count -= len(pending.pop(0))
        if count:
            pending[0] = memoryview(pending[0])[count:]
