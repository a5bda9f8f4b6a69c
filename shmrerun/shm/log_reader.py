"""Reading a session's log beside its writer: from a thread of the aggregator, from the live worker, from a process of the program.

The log's file is the buffer of all who follow it, so a reader is a position and a descriptor of its own. What the log holds is known by
two numbers, path and complete bytes: the aggregator's own object has them, and so has the session's sink table (:class:`TableLog`).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shmrerun.framing import END, FRAME, HOLE, MESSAGE_HEADER_BYTES, STREAM_HEADER_BYTES
from shmrerun.shm.session import sinks
from shmrerun.shm.words import SINK_SPOOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.shm.session import Sink
    from shmrerun.shm.words import SessionView, SinkView

READ_BYTES = 1 << 20
_MOST_READ = 1 << 30


class Log(Protocol):
    """What a reader needs to know of a log."""

    @property
    def path(self) -> str:
        """By which it is opened."""

    @property
    def size(self) -> int:
        """Bytes that are complete messages."""

    @property
    def may_trim(self) -> bool:
        """Whether its oldest messages may become holes."""


class Position(NamedTuple):
    """A place in a log: its number, which grows with each new log of a session, and an offset."""

    log: int
    offset: int


class Message(NamedTuple):
    """A message that was read: its kind, its payload, and the offset behind it."""

    kind: int
    payload: memoryview
    end: int


def log_of(session: SessionView) -> Sink | None:
    """The entry of a session's log, None while rows are buffered in their lanes."""
    found = [sink for sink in sinks(session) if sink.is_active and not sink.is_follower]
    return max(found, key=lambda sink: sink.number) if found else None


class TableLog:
    """A session's log as its sink table has it: whatever process asks."""

    def __init__(self, session: SessionView, sink: Sink) -> None:
        self.number = sink.number
        self.path = sink.path
        self.may_trim = sink.kind == SINK_SPOOL
        self._file = (sink.device, sink.inode)
        self._entry: SinkView = session.sink(sink.slot)

    @property
    def size(self) -> int:
        """Bytes that are complete messages."""
        return self._entry.size

    def is_same(self, sink: Sink) -> bool:
        """Whether the table still means this log, and this file of it."""
        return sink.number == self.number and (sink.device, sink.inode) == self._file


class LogReader:
    """Reads a log through a descriptor of its own; holes of a trimmed spool are passed over.

    Usable from any thread or process, by one at a time; the log may grow meanwhile. OSError: the log's file cannot be opened.
    """

    def __init__(self, log: Log, number: int, offset: int = 0) -> None:
        self._log = log
        self._fd = os.open(log.path, os.O_RDONLY | os.O_CLOEXEC)
        self.position = Position(number, offset)
        self.read_until = offset  # behind what :meth:`messages` gave last, and the holes there

    @property
    def offset(self) -> int:
        """Everything before it was taken."""
        return self.position.offset

    def raw(self, most_bytes: int = READ_BYTES) -> tuple[bytes, int]:
        """Bytes from the position on as they lie in the log, and the offset behind them; empty at the end."""
        offset, end = self.offset, self._log.size
        data = os.pread(self._fd, min(end - offset, most_bytes), offset) if offset < end else b""
        return data, offset + len(data)

    def next(self, most_bytes: int = READ_BYTES) -> tuple[bytes, int]:
        """The stream's header, or whole messages from the position on; and the offset behind them. Empty at the end, or behind a hole."""
        if self.offset < STREAM_HEADER_BYTES:
            if self._log.size < STREAM_HEADER_BYTES:
                return b"", self.offset
            return os.pread(self._fd, STREAM_HEADER_BYTES - self.offset, self.offset), STREAM_HEADER_BYTES
        found, end = bytearray(), self.offset
        for message in self.messages(most_bytes):
            found += FRAME.pack(message.kind, len(message.payload))
            found += message.payload
            end = message.end
        return bytes(found), max(end, self.read_until)

    def messages(self, most_bytes: int = READ_BYTES) -> Iterator[Message]:
        """Whole messages from the position on, of that many bytes together, or one that is larger. The position stays.

        OSError: the file is shorter than its log says, or makes no sense.
        """
        offset, end = max(self.offset, STREAM_HEADER_BYTES), self._log.size
        stop, first = offset + most_bytes, True
        block, base = memoryview(b""), offset
        self.read_until = offset
        while offset + MESSAGE_HEADER_BYTES <= end and offset < stop:
            if offset - base + MESSAGE_HEADER_BYTES > len(block):
                block, base = self._block(offset, max(MESSAGE_HEADER_BYTES, min(end, stop) - offset)), offset
            kind, size = FRAME.unpack_from(block, offset - base)
            if kind == END and not size:  # zeros: neighbours that were given back make one hole, and this is in the middle of it
                kind, size = HOLE, self._behind_hole(offset) - offset - MESSAGE_HEADER_BYTES
            whole = MESSAGE_HEADER_BYTES + size
            if whole > end - offset:
                raise self._odd(offset)
            if kind == HOLE:
                offset += whole
                stop += whole
                self.read_until = offset
                continue
            if not first and offset + whole > stop:
                return
            if offset - base + whole > len(block):
                block, base = self._block(offset, whole), offset
            at = offset - base
            is_there = self._is_there(kind, size, offset)
            offset += whole
            self.read_until = offset
            if is_there:
                first = False
                yield Message(kind, block[at + MESSAGE_HEADER_BYTES : at + whole], offset)

    def at(self, offset: int) -> Message | None:
        """The message at an offset; None: it was given back. OSError: there is none."""
        head = os.pread(self._fd, MESSAGE_HEADER_BYTES, offset)
        if len(head) < MESSAGE_HEADER_BYTES:
            raise self._odd(offset)
        kind, size = FRAME.unpack(head)
        if kind in (HOLE, END):  # given back, alone or with its neighbours
            return None
        if size > self._log.size - offset - MESSAGE_HEADER_BYTES:
            raise self._odd(offset)
        payload = self._block(offset + MESSAGE_HEADER_BYTES, size)
        return Message(kind, payload, offset + MESSAGE_HEADER_BYTES + size) if self._is_there(kind, size, offset) else None

    def _block(self, offset: int, size: int) -> memoryview:
        block = os.pread(self._fd, size, offset)
        if len(block) < min(size, _MOST_READ):
            raise self._odd(offset)
        while len(block) < size:  # Linux reads at most 2 GiB in one call
            more = os.pread(self._fd, size - len(block), offset + len(block))
            if not more:
                raise self._odd(offset)
            block += more
        return memoryview(block)

    def _behind_hole(self, offset: int) -> int:
        """The offset behind the hole that an offset is in: only its first message's header says so. OSError: it is in none."""
        at = STREAM_HEADER_BYTES
        while at <= offset:
            head = os.pread(self._fd, MESSAGE_HEADER_BYTES, at)
            kind, size = FRAME.unpack(head) if len(head) == MESSAGE_HEADER_BYTES else (END, 0)
            if kind == END:  # being given back at this moment, or no log
                raise self._odd(offset)
            at += MESSAGE_HEADER_BYTES + size
        return at

    def _is_there(self, kind: int, size: int, offset: int) -> bool:
        """Whether a message was not given back while it was read: its header goes first, then its bytes."""
        return not self._log.may_trim or os.pread(self._fd, MESSAGE_HEADER_BYTES, offset) == FRAME.pack(kind, size)

    def _odd(self, offset: int) -> OSError:
        return OSError(errno.ESTALE, f"the log is shorter than it was, or makes no sense at byte {offset}", self._log.path)

    def file_bytes(self) -> int:
        """Bytes of the log's file, whatever they are."""
        return os.fstat(self._fd).st_size

    def behind(self, size: int) -> bytes:
        """What the log's file has behind its messages: a footer of that many bytes."""
        return os.pread(self._fd, size, self._log.size)

    def advance(self, offset: int) -> None:
        """Everything before an offset was taken."""
        self.position = Position(self.position.log, offset)

    def moved(self, log: Log) -> None:
        """The log's file is another one now; what was read is in it at the same offsets."""
        old, self._fd = self._fd, os.open(log.path, os.O_RDONLY | os.O_CLOEXEC)
        self._log = log
        os.close(old)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)
