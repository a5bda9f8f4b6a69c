"""The place of one live sink: its entry in a session's table, the log that it follows, and what its caller asked for."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Protocol

from shmrerun.shm.log_reader import LogReader, TableLog, log_of
from shmrerun.shm.served import note_why
from shmrerun.shm.session import read_sink
from shmrerun.shm.words import STATE_ENDED

if TYPE_CHECKING:
    from shmrerun.shm.session import Sink
    from shmrerun.shm.tree import Tree
    from shmrerun.shm.words import SessionView


class LiveSink(Protocol):
    """What the worker runs for an entry."""

    async def run(self) -> None:
        """Serve until cancelled, whatever happens to the other side."""


class Place:
    """One live sink's words. Used by its own task alone, but for :meth:`look`."""

    def __init__(self, tree: Tree, serial: int, session: SessionView, sink: Sink) -> None:
        self.tree, self.serial, self.session = tree, serial, session
        self.number, self.label, self.options = sink.number, sink.label, sink.options
        self.slot = sink.slot
        self._entry = session.sink(sink.slot)
        self._log: TableLog | None = None
        self._news = asyncio.Event()
        self._watched: tuple[int, ...] = ()

    # ---- the log

    def log(self) -> TableLog | None:
        """The log that it follows; None: there is none at this moment (it is being changed)."""
        sink = log_of(self.session)
        if sink is None or sink.number != self._entry.log:
            return None
        if self._log is None or not self._log.is_same(sink):
            self._log = TableLog(self.session, sink)
        return self._log

    def reader(self, offset: int = 0) -> LogReader:
        """A reader of the log. OSError: there is none, or it cannot be opened."""
        log = self.log()
        if log is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return LogReader(log, log.number, offset)

    # ---- words

    @property
    def size(self) -> int:
        """How far it got, as it said itself, or whoever served it before."""
        return self._entry.size

    @property
    def served_port(self) -> int:
        """The port that it had before, in a worker that died; 0: none yet."""
        return self._entry.value

    @property
    def was_ready(self) -> bool:
        """Whether it worked once, in this worker or in one that died."""
        return bool(self._entry.value)

    @property
    def until(self) -> int:
        """The size of the log with which it is to end; 0: not asked."""
        return self._entry.until

    @property
    def is_finished(self) -> bool:
        """Whether it has said so for the present :attr:`until`."""
        return self._entry.done == self._entry.until

    @property
    def is_over(self) -> bool:
        """Whether the entry is not this sink's any more."""
        if self.session.state == STATE_ENDED:
            return True
        sink = read_sink(self.session, self.slot)
        return sink.number != self.number or not sink.is_active

    def tell(self, *, size: int = -1, done: int = -1, value: int = -1, error: int = -1, dropped: int = 0) -> None:
        """Store what became of it; whoever waits in a flush looks at these words."""
        entry = self._entry
        if size >= 0:
            entry.size = size
        if value >= 0:
            entry.value = value
        if dropped:
            entry.dropped += dropped
        if done >= 0:
            entry.done = done
            self.tree.wake()
        if error >= 0 and entry.error != error:
            entry.error = error

    def fail(self, number: int, why: str) -> None:
        """It cannot work at present: say why, in a number and in words."""
        note_why(self.tree.directory, self.serial, self.number, why)
        self.tell(error=number or errno.EIO)

    # ---- waiting

    def look(self) -> None:
        """Wake the task if something changed. By the worker."""
        log = self.log()
        seen = (log.size if log is not None else -1, self._entry.until, self._entry.log)
        if seen != self._watched:
            self._watched = seen
            self._news.set()

    async def news(self, seconds: float) -> None:
        """Wait until the log has grown, or something is asked, or the time is over."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return
        self._news.clear()
