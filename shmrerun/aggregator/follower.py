"""What receives data beside the log: a cursor over it, in a thread of its own, so that nothing slow or broken holds up the drain.

A ``LogReader`` gives the messages of a log from a position on; a :class:`Follower` brings them to a target and stores in the sink
table how far it got, after the target has the bytes. The log's file is the buffer: nothing is kept twice, and a successor goes on at the
stored position. Promises: a copy is the log byte for byte; a FIFO or device gets each message once, unless the aggregator dies.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
from typing import TYPE_CHECKING, Protocol

from shmrerun.shm.log_reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.aggregator.commit_log import CommitLog
    from shmrerun.shm.words import SinkView

_RETRY_SECONDS = 0.5  # after an error
_JOIN_SECONDS = 10.0
_STALLED_SECONDS = 10.0  # at the end: a FIFO that nobody opens for reading in this time gets no more


class Target(Protocol):
    """Where a follower's bytes go."""

    whole_messages: bool

    def write(self, data: bytes, offset: int, stopped: threading.Event, hurry: threading.Event) -> None:
        """All of it, or OSError; may block until ``stopped``, and in a ``hurry`` not for long without progress."""

    def finish(self, footer: bytes, size: int) -> None:
        """The log is complete: ``size`` bytes, with this footer behind them."""

    def close(self) -> None:
        """Close it."""


class FileCopy:
    """A file kept equal to the log."""

    whole_messages = False

    def __init__(self, fd: int, *, write_footer: bool) -> None:
        self._fd = fd
        self._write_footer = write_footer

    def write(self, data: bytes, offset: int, stopped: threading.Event, hurry: threading.Event) -> None:
        """Put bytes at the offset that they have in the log; what was behind, a footer, goes."""
        os.ftruncate(self._fd, offset)
        rest = memoryview(data)
        while rest and not stopped.is_set():
            count = os.pwrite(self._fd, rest, offset)
            offset += count
            rest = rest[count:]

    def finish(self, footer: bytes, size: int) -> None:
        """Add the footer, unless the file is to have none."""
        os.ftruncate(self._fd, size)
        if self._write_footer and footer:
            os.pwrite(self._fd, footer, size)

    def close(self) -> None:
        """Close the file, which frees its lock."""
        os.close(self._fd)


class Pipe:
    """A FIFO, terminal or device."""

    whole_messages = True

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def write(self, data: bytes, offset: int, stopped: threading.Event, hurry: threading.Event) -> None:
        """Write as the reader reads."""
        del offset
        rest = memoryview(data)
        stalled = 0.0
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
                stalled = 0.0
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll(100)
                stalled = stalled + 0.1 if hurry.is_set() else 0.0
                if stopped.is_set() or stalled >= _STALLED_SECONDS:
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None

    def finish(self, footer: bytes, size: int) -> None:
        """A stream has no footer."""

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


class Follower:
    """Brings a log to one target. Made and ended by the drain thread; works in its own.

    Parameters
    ----------
    entry
        Of the sink table: ``log``, ``size`` and ``error`` are this follower's.
    wake
        Rings the aggregator's bell: something that it waits for may have happened.
    """

    def __init__(self, log: CommitLog, number: int, target: Target, entry: SinkView, wake: Callable[[], None], offset: int = 0) -> None:
        self.error: OSError | None = None
        self._reader = LogReader(log, number, offset)
        self._log, self._target, self._entry, self._wake = log, target, entry, wake
        self._news, self._stopped, self._ended, self._hurry = (threading.Event() for _ in range(4))
        self._entry_lock = threading.Lock()
        self.told = 0  # the error that the user knows of
        self._finish_at = -1  # size of the log whose footer is wanted
        self._finished_at = -1
        entry.log = number
        entry.size = offset
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    @property
    def offset(self) -> int:
        """Everything before it is at the target."""
        return self._reader.offset

    def news(self) -> None:
        """The log has grown."""
        self._news.set()

    def has_finished(self, *, ending: bool = True) -> bool:
        """Ask for the footer; whether it is there, or the target takes nothing (it is told, and holds up nobody)."""
        del ending
        if self._finished_at == self._log.size or self.error is not None or self._ended.is_set():
            return True
        self._finish_at = self._log.size
        self._news.set()
        return False

    @property
    def got_nothing(self) -> bool:
        """Whether no row was delivered yet. A file or a device that was opened has the rows in any case."""
        return False

    def undelivered(self) -> int:
        """From where on rows are lost to it, if it ends now; -1: it has all, or is a copy of what is there."""
        return self.offset if self._target.whole_messages and self.offset < self._log.size else -1

    def moved(self, log: CommitLog) -> None:
        """The log goes on in another file."""
        self._reader.moved(log)
        self._log = log
        self._news.set()

    def hurry(self) -> None:
        """Nobody logs any more: a target that takes nothing for a while is given up."""
        self._hurry.set()

    def stop(self) -> None:
        """End without waiting for what is missing; the thread closes the target, and the entry is no longer its to write."""
        with self._entry_lock:
            self._stopped.set()
        self._news.set()

    def join(self) -> None:
        """After :meth:`stop`: wait until nothing more is written, which takes as long as a write that is under way."""
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._news.wait()
                self._news.clear()
                if not self._catch_up() and not self._stopped.wait(_RETRY_SECONDS):
                    self._news.set()
        finally:
            self._ended.set()
            with contextlib.suppress(OSError):
                self._target.close()
            with contextlib.suppress(OSError):
                self._reader.close()

    def _catch_up(self) -> bool:
        """Bring what there is; False: the target failed."""
        try:
            while not self._stopped.is_set():
                data, offset = self._reader.next() if self._target.whole_messages else self._reader.raw()
                if not data and offset == self.offset:
                    break
                if data:
                    self._target.write(data, self.offset, self._stopped, self._hurry)
                if not self._tell(size=offset):
                    break
            wanted = self._finish_at
            if wanted >= 0 and wanted == self.offset == self._log.size and wanted != self._finished_at:
                self._target.finish(self._reader.behind(self._log.footer_bytes), wanted)
                self._finished_at = wanted
        except Exception as error:  # of any type: a thread that dies without a word would let a flush wait for ever
            self.error = error if isinstance(error, OSError) else OSError(errno.EIO, f"{type(error).__name__}: {error}")
            self._tell(error=self.error.errno or errno.EIO)
            self._wake()
            return False
        if self.error is not None:
            self.error = None
            self._tell(error=0)
        if self._finish_at >= 0:
            self._wake()
        return True

    def _tell(self, *, size: int = -1, error: int = -1) -> bool:
        """Store how far it got, or why not, in the entry. False: stopped, so the entry may be another sink's by now."""
        with self._entry_lock:  # against `stop`, for the time of two stores
            if self._stopped.is_set():
                return False
            if size >= 0:
                self._reader.advance(size)
                self._entry.size = size
            if error >= 0:
                self._entry.error = error
            return True
