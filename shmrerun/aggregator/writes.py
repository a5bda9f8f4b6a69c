"""How the bytes of a message get into the log's file: through the page cache, or past it.

A large message of a file that nobody follows goes to the device directly, by a thread, while the next one is made. The page cache would
want memory for it that is given back unread, and to find that memory costs the aggregator more than all the rest of an image.
Source: open(2), O_DIRECT.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from shmrerun.aggregator.device import Device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shmrerun.aggregator.device import Work

DIRECT_BYTES = 512 << 10  # messages from this size on
BLOCK = 4096  # of the device: offsets, lengths and addresses of direct writes are multiples of it
STAGE_BYTES = 4 << 20
SLOW_NANOS = 4  # a byte: a device that needs more is left to the page cache for a while
_JUDGED_BYTES = 16 << 20
_PAUSE_BYTES = 64 << 20  # doubled each time
_WRITEV_BUFFERS = 512
_device = Device("direct writes")


class Writes:
    """Writes into one file, one behind the other. One thread; of all files of a process only one may have parts that are under way."""

    _stages: deque[memoryview] | None = None  # while one is written, one is filled; all files share them, and their pages stay warm

    def __init__(self) -> None:
        self.end = 0  # all before it is in the file
        self._parts: deque[tuple[Work, int]] = deque()  # that are under way, and where they end
        self._from: int | None = 0  # the offset from which direct writes are tried; None: never
        self._pause = _PAUSE_BYTES
        self._bytes = self._nanos = 0  # written directly since that was judged last

    def write(self, fd: int, buffers: Sequence[bytes | memoryview], total: int, offset: int, *, directly: bool) -> None:
        """Write all buffers, one behind the other, from an offset on; the file is a prefix of them at any time.

        What is written directly may be under way when this returns: see :meth:`settle`. OSError: not all of it, or of what was under
        way, is there; :attr:`end` says what is.
        """
        if directly and total >= DIRECT_BYTES and self._from is not None and offset >= self._from:
            self._write_directly(fd, buffers, offset)
        else:
            self.settle()
            _write_all(fd, buffers, offset)
            self.end = offset + total

    def settle(self, most: int = 0) -> None:
        """Wait until no more than so many parts are under way. OSError: one failed, and none is any more."""
        while len(self._parts) > most:
            part, end = self._parts[0]
            if error := part.wait():  # if that is interrupted, it is still under way
                for behind, _ in self._parts:
                    behind.wait()
                self._parts.clear()
                raise error
            self.end = end
            self._parts.popleft()

    def _write_directly(self, fd: int, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Join what belongs together in memory that is aligned as the file is, and have whole blocks of it written directly."""
        if not self._parts:
            self.end = offset  # else it may be that of a message that failed, and was longer
        if Writes._stages is None:
            Writes._stages = deque(memoryview(mmap.mmap(-1, STAGE_BYTES)) for _ in range(2))
        start = end = offset % BLOCK
        for buffer in buffers:
            rest = memoryview(buffer).cast("B")
            while rest:
                if end == start:
                    self.settle(len(Writes._stages) - 1)
                size = min(len(rest), STAGE_BYTES - end)
                Writes._stages[0][end : end + size] = rest[:size]
                rest = rest[size:]
                end += size
                if end == STAGE_BYTES:
                    self._begin(fd, Writes._stages[0][start:end], offset)
                    Writes._stages.rotate()
                    offset += end - start
                    start = end = 0
        if end > start:
            self._begin(fd, Writes._stages[0][start:end], offset)
            Writes._stages.rotate()

    def _begin(self, fd: int, data: memoryview, offset: int) -> None:
        before = self._parts[-1][0] if self._parts else None
        try:
            part = _device.submit(partial(self._write_part, fd, data, offset, before))
        except RuntimeError:  # no thread for it
            self._write_part(fd, data, offset)
            self.end = offset + len(data)
        else:
            self._parts.append((part, offset + len(data)))

    def _write_part(self, fd: int, data: memoryview, offset: int, before: Work | None = None) -> None:
        """In a thread. The blocks at both ends are shared with other messages, and go through the page cache."""
        if before is not None and (error := before.wait()):  # it has been done
            raise error
        first = min(-offset % BLOCK, len(data))
        last = first + (len(data) - first) // BLOCK * BLOCK
        _write_all(fd, [data[:first]], offset)
        if last > first:
            self._write_blocks(fd, data[first:last], offset + first)
        _write_all(fd, [data[last:]], offset + last)

    def _write_blocks(self, fd: int, data: memoryview, offset: int) -> None:
        began = time.monotonic_ns()
        if self._from is None or not self._past_the_cache(fd, data, offset):
            self._from = None
            _write_all(fd, [data], offset)
        else:
            self._judge(len(data), time.monotonic_ns() - began, offset)

    @staticmethod
    def _past_the_cache(fd: int, data: memoryview, offset: int) -> bool:
        """False: this file system has no such writes."""
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
            _write_all(fd, [data], offset)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            return False
        finally:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        return True

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
