"""What other processes serve, as the aggregator sees it: a follower whose work is done elsewhere, and the live worker that does it.

The worker is a process of the tree's, so that network code, its imports, its threads and its crashes stay out of the drain. It reads the
log's file by itself, and stores in the sink table how far each sink got. Promises: a viewer gets every row at least once, with the same
ids (which viewers take once); a server's readers get what the log keeps; a custom sink gets each batch once, unless a process dies.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from shmrerun.aggregator import faults
from shmrerun.framing import STREAM_HEADER_BYTES
from shmrerun.shm.launch import launch
from shmrerun.shm.locks import lock_holder
from shmrerun.shm.served import LIVE_BYTE, NEVER, patience_of
from shmrerun.shm.words import SINK_CUSTOM, SINK_PIECES, SINK_READER, SINK_SERVER

if TYPE_CHECKING:
    from shmrerun.aggregator.commit_log import CommitLog
    from shmrerun.shm.session import Sink
    from shmrerun.shm.tree import Tree
    from shmrerun.shm.words import SinkView

END_SECONDS = 60.0  # nobody logs any more: what takes nothing for so long is given up, whatever its caller said
LAG_BYTES = 4 << 20  # a sink that is further behind makes chunks larger
LOOK_NANOS = 250_000_000
START_NANOS = 3_000_000_000  # between two starts; longer and longer where it dies again and again
LONGEST_NANOS = 60_000_000_000


class Served:
    """A follower by its words in the sink table. One thread, the drain's."""

    def __init__(self, log: CommitLog, number: int, sink: Sink, entry: SinkView, offset: int = 0) -> None:
        self.told = 0
        self.kind = sink.kind
        self.is_pieces = bool(sink.flags & SINK_PIECES)  # what it reads is its own, and nobody looks meanwhile
        self._log, self._entry, self._sink = log, entry, sink
        self._patience = None if sink.kind == SINK_READER else patience_of(sink, entry)
        self._most = float("inf")
        entry.until = entry.done = 0
        if entry.log != number:  # else it is served already, from before this aggregator
            entry.size = offset
            entry.log = number

    @property
    def offset(self) -> int:
        """Everything before it is with whoever it is for."""
        return self._entry.size

    @property
    def error(self) -> OSError | None:
        """Why it gets nothing at present."""
        number = self._entry.error
        return OSError(number, os.strerror(number)) if number else None

    @property
    def lag(self) -> int:
        """Bytes that it has not got yet, though it could."""
        return 0 if self._entry.error or self.kind in (SINK_READER, SINK_SERVER) else max(0, self._log.size - self._entry.size)

    def news(self) -> None:
        """The worker's bell is rung once for all."""

    def has_finished(self, *, ending: bool) -> bool:
        """Whether all is delivered, or given up for want of progress. ``ending``: the sink itself is to end, readers are let go."""
        if self.kind == SINK_READER:
            return True
        entry = self._entry
        is_frozen = self.kind == SINK_CUSTOM and entry.until > 0 and entry.size <= entry.until
        if self.kind == SINK_CUSTOM and entry.error in NEVER and not entry.value:
            return True
        if ending and is_frozen and entry.done == entry.until:
            return True  # closed
        if ending and entry.until != self._log.size and not is_frozen:
            entry.until = self._log.size  # a user's object is closed once: rows that others log meanwhile do not move its end
        if (entry.done >= self._log.size) if ending else (entry.size >= self._log.size):
            return True
        assert self._patience is not None
        return self._patience.is_over(self._most)

    @property
    def got_nothing(self) -> bool:
        """Whether no row was delivered yet, so that the next sink may have them all."""
        return not self.is_pieces and self._entry.size <= STREAM_HEADER_BYTES

    @property
    def end(self) -> int:
        """Where it was closed, though others logged on; else the log's end."""
        entry = self._entry
        return entry.until if self.kind == SINK_CUSTOM and 0 < entry.until == entry.done else self._log.size

    def undelivered(self) -> int:
        """From where on rows are lost to it, if it ends now; -1: it has all."""
        if self.kind in (SINK_READER, SINK_SERVER) or self._entry.size >= self.end:
            return -1
        return self._entry.size

    def moved(self, log: CommitLog) -> None:
        """The log goes on in another file; the worker finds it in the table."""
        self._log = log

    def hurry(self) -> None:
        """Nobody logs any more: wait a bounded time only."""
        self._most = END_SECONDS

    def stop(self) -> None:
        """Its entry is about to be free: whoever serves it sees that."""

    def join(self) -> None:
        """Whoever serves it goes on with the next aggregator, or host, as well."""


class LiveWorker:
    """The tree's live worker, while there is a sink for it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._bell = -1
        self._next_look = 0
        self._started = -2 * LONGEST_NANOS
        self._pause = 0

    def look(self, now: int) -> None:
        """Make sure that it lives. Called while a sink needs it."""
        if now < self._next_look:
            return
        self._next_look = now + LOOK_NANOS
        tree = self._tree
        if now < self._started + self._pause or lock_holder(tree.lock_fd(), LIVE_BYTE):
            return
        is_first = now > self._started + LONGEST_NANOS
        self._pause = START_NANOS if is_first else min(2 * self._pause, LONGEST_NANOS)
        self._started = now
        try:
            self._open_bell()
            launch("live", tree.token, tree.directory)
        except (OSError, RuntimeError):
            faults.note()

    def _open_bell(self) -> None:
        path = f"{self._tree.directory}/live"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        if self._bell < 0:
            self._bell = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)

    def ring(self) -> None:
        """A log has grown, or a sink table changed. Never raises."""
        with contextlib.suppress(OSError):
            if self._bell < 0:
                self._open_bell()
            os.write(self._bell, b"!")
