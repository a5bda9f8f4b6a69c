"""A log that this process follows by itself: an entry of the sink table that it moves, and readers of the log's file.

The entry (``SINK_READER``) makes the aggregator write what is logged, soon, into a file that can be read; nobody ever waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.errors import SinkError
from shmrerun.framing import END, FRAME, STREAM_HEADER_BYTES
from shmrerun.shm.log_reader import LogReader, TableLog, log_of
from shmrerun.shm.session import read_sink
from shmrerun.shm.words import SinkView

if TYPE_CHECKING:
    from shmrerun.producer.member import Session
    from shmrerun.shm.session import Sink

PIECE_BYTES = 1 << 20


class Following:
    """A sink of this process that follows its session's log."""

    def __init__(self, session: Session, sink: Sink) -> None:
        self.session = session
        self._sink = sink
        self._entry = session.words.sink(sink.slot)

    @property
    def is_active(self) -> bool:
        """Whether it is still in the table: no other sink took its place, and the session goes on."""
        found = read_sink(self.session.words, self._sink.slot)
        return found.number == self._sink.number and found.is_active

    def log(self) -> Sink | None:
        """The entry of the log that it follows; None: it follows it no more."""
        words = self.session.words
        log = log_of(words)
        if log is None or log.number != self._entry.log or not self.is_active:
            return None
        return log if read_sink(words, log.slot).number == log.number else None  # else its size may be another one's

    def took(self, offset: int) -> None:
        """Everything before an offset of the log is where it is wanted. Never goes back."""
        before = self._entry.size
        if offset > before and self.is_active:
            self._entry.swap(SinkView.size, before, offset)  # fails if the entry became somebody else's at this moment

    def close(self) -> None:
        """End the sink."""
        if self.session.is_ours and self.is_active:
            self.session.drop_sink(read_sink(self.session.words, self._sink.slot))


class _Log:
    """A log that is followed; and what its file holds when it is followed no more."""

    def __init__(self, following: Following, sink: Sink) -> None:
        self._following = following
        self._log = TableLog(following.session.words, sink)
        self.number, self.path, self.may_trim = sink.number, sink.path, self._log.may_trim
        self.size = 0  # as last looked at
        self.is_closed = False

    def look(self, reader: LogReader) -> None:
        """See how much it has now; or, when it was left, all that its file has: that was complete, and others may have removed it."""
        if self.is_closed:
            return
        found = self._following.log()
        if found is not None and found.number == self.number:
            if not self._log.is_same(found):
                self._log = TableLog(self._following.session.words, found)
                self.path = found.path
                reader.moved(self)
            self.size = max(self.size, found.size)
            return
        self.is_closed = True
        kept = log_of(self._following.session.words)  # a log that goes on without this sink ends here for it
        self.size = kept.size if kept is not None and self._log.is_same(kept) else reader.file_bytes()


class Tail:
    """What a followed log has, from its beginning to its end, as it comes. One thread at a time.

    SinkError: the log is not there any more.
    """

    def __init__(self, following: Following) -> None:
        sink = following.log()
        try:
            if sink is None:
                raise FileNotFoundError
            self._log = _Log(following, sink)
            self._reader = LogReader(self._log, sink.number)
        except OSError as error:
            raise SinkError(f"the rows of {following.session.recording_id} go to another sink by now: show it again") from error
        self._head = b""
        self.is_over = False  # everything was read, and no more will come

    @property
    def offset(self) -> int:
        """In the log, behind what was read."""
        return self._reader.offset

    def rewind(self, offset: int = 0) -> None:
        """Begin again, there."""
        self._reader.advance(offset)
        self.is_over = False

    def next(self, most_bytes: int = PIECE_BYTES) -> bytes:
        """A stream of its own: header, and whole messages of that many bytes together, or one that is larger. Empty: none at present."""
        reader, log = self._reader, self._log
        found = bytearray()
        try:
            log.look(reader)
            if log.size < STREAM_HEADER_BYTES:
                self.is_over = log.is_closed
                return b""
            if not reader.offset:
                self._head, at = reader.next()
                reader.advance(at)
            found += self._head
            for message in reader.messages(most_bytes):
                if message.kind == END:
                    self.is_over = True
                    break
                found += FRAME.pack(message.kind, len(message.payload))
                found += message.payload
            self.is_over = self.is_over or (log.is_closed and reader.read_until >= log.size)
        except OSError:  # somebody damaged the file: what came before can be read
            self.is_over = True
        reader.advance(max(reader.offset, reader.read_until))
        return bytes(found) if len(found) > len(self._head) else b""

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
