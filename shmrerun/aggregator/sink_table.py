"""A session's sink table from the aggregator's side: what processes wish of each entry is read here, and answered."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Protocol

from shmrerun.shm.served import why_path
from shmrerun.shm.session import Sink, asked_sinks, is_free, read_sink, sinks, wish_word
from shmrerun.shm.words import (
    SESSION_OWN_SINKS,
    SESSION_SINKS,
    SINK_CUSTOM,
    SINK_FAILED,
    SINK_GONE,
    SINK_SPOOL,
    WISH_OPEN,
    SessionView,
    SinkView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.aggregator.descriptors import Descriptors


class Control(Protocol):
    """What a feed needs of the session that it is part of."""

    words: SessionView
    token: str
    directory: str
    serial: int
    pool: Descriptors

    def say(self, text: str) -> None:
        """Leave a message for the owner."""

    def wake(self) -> None:
        """Ring the aggregator's bell."""

    def ring(self) -> None:
        """Ring the live worker's bell."""

    def tried(self, ids: bytes, scanned_from: int) -> None:
        """The log has rows with these ids behind that offset: they are to be skipped."""


class SinkTable:
    """The entries of one session. Of the drain's thread."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def entry(self, slot: int) -> SinkView:
        """The words of an entry."""
        return self._control.words.sink(slot)

    def read(self, slot: int) -> Sink:
        """An entry as it is at this moment."""
        return read_sink(self._control.words, slot)

    def all(self) -> Iterator[Sink]:
        """All entries that are not free."""
        return iter(sinks(self._control.words))

    def active(self) -> list[Sink]:
        """Entries that rows go to, in the order of their making."""
        return sorted((sink for sink in self.all() if sink.is_active), key=lambda sink: sink.number)

    def requests(self) -> list[Sink]:
        """Entries whose wish has no answer yet, in the order of their making."""
        return sorted(asked_sinks(self._control.words), key=lambda sink: sink.number)

    def answer(self, sink: Sink, state: int) -> None:
        """Answer the wish of an entry as it was read: one that came meanwhile is not answered by it."""
        self.entry(sink.slot).state = wish_word(sink.turn, state)

    def fail(self, sink: Sink, error: OSError) -> None:
        """Answer that the wish cannot be carried out, and why."""
        self.entry(sink.slot).error = error.errno or errno.EIO
        self.answer(sink, SINK_FAILED)

    def moved(self, slot: int, fd: int, path: str) -> None:
        """The file of an entry is another one now."""
        entry, found = self.entry(slot), os.fstat(fd)
        entry.scan_from = 0
        entry.device, entry.inode = found.st_dev, found.st_ino
        entry.path = os.fsencode(path)

    def own(self) -> Sink | None:
        """One of the aggregator's own entries, made ready for a spool; None: they are taken. It counts after :meth:`begin`."""
        for slot in range(SESSION_OWN_SINKS, SESSION_SINKS):
            entry = self.entry(slot)
            if is_free(entry):
                entry.kind, entry.flags, entry.owner = SINK_SPOOL, 0, 0
                entry.number = self._control.words.add(SessionView.sink_turn, 1) + 1
                entry.scan_from = entry.size = entry.log = entry.error = entry.until = entry.done = entry.value = entry.dropped = 0
                return self.read(slot)
        return None

    def begin(self, sink: Sink) -> Sink:
        """Wish an own entry open."""
        self.entry(sink.slot).wish = wish_word(sink.turn + 1, WISH_OPEN)
        return self.read(sink.slot)

    def forget(self, sink: Sink) -> None:
        """Drop an entry that no log belongs to any more, with the files that are its own."""
        control, own = self._control, []
        if sink.kind == SINK_SPOOL and sink.path:
            own.append(sink.path)
        if sink.is_served:
            own.append(why_path(control.directory, control.serial, sink.number))
        if sink.kind == SINK_CUSTOM and (name := sink.options.get("file", "")):
            own.append(f"{control.directory}/{os.path.basename(name)}")
        for path in own:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.entry(sink.slot).error = 0
        self.answer(self.read(sink.slot), SINK_GONE)
