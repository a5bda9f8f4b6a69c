"""Rows that come back into the program: ``memory_recording`` and ``binary_stream``.

Both are one cursor of this process over the session's log, a spool: to read is to flush, and to take what lies behind the cursor. What
was taken may be given back by the spool. Each piece is made a whole ``.rrd`` here, with footer.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from shmrerun.errors import RowsLostError, SinkError, say
from shmrerun.framing import SET_STORE_INFO, STREAM_HEADER_BYTES, split_messages
from shmrerun.producer.following import Tail

if TYPE_CHECKING:
    from shmrerun.producer.following import Following

# Header, End without payload, StreamFooter without payload: an .rrd without stores (rerun-sdk 0.41).
EMPTY = bytes.fromhex("525246320029000001020000" + "00" * 16 + "1c" + "00" * 15 + "7136972a" + "52524632" + "464f4f54" + "01000000")
_ALL = 1 << 62  # bytes


class Pieces:
    """The rows of one session from a moment on, read by this process. ``None`` for a disabled stream."""

    def __init__(self, following: Following | None) -> None:
        self.following = following
        self._tail: Tail | None = None
        self._lock = threading.Lock()
        self._info = b""  # of the store, with which each piece begins
        if following is not None:
            with contextlib.suppress(SinkError):  # another thread has just set a sink in place of this one
                self._tail = Tail(following)

    @property
    def is_active(self) -> bool:
        """Whether rows still come here."""
        return self.following is not None and self.following.session.is_ours and self.following.is_active

    def next(self, timeout: float = float("inf"), *, flush: bool = True) -> bytes | None:
        """All rows since the last piece as a whole .rrd; None if there are none. FlushTimeoutError: not in time."""
        if flush:
            self.flush(timeout)
        data = self._stream(take=True)
        if not data:
            return None
        from shmrerun.rrd.piece import with_footer

        return with_footer(data)

    def _stream(self, *, take: bool) -> bytes:
        """Header, store info and messages from the cursor on; empty without any."""
        tail, following = self._tail, self.following
        if tail is None or following is None or not following.session.is_own:  # a forked child's: the rows are its parent's to read
            return b""
        with self._lock:
            return self._read(tail, following, take=take)

    def _read(self, tail: Tail, following: Following, *, take: bool) -> bytes:
        before = tail.offset
        data = tail.next(_ALL)
        if data and not before:
            body = memoryview(data)[STREAM_HEADER_BYTES:]  # a default blueprint comes before the recording, with a store info of its own
            self._info = b"".join([body[start:end] for kind, start, end in split_messages(body) if kind == SET_STORE_INFO])
        elif data:
            data = data[:STREAM_HEADER_BYTES] + self._info + data[STREAM_HEADER_BYTES:]
        if not take:
            tail.rewind(before)
        elif tail.offset > before:
            following.took(tail.offset)
        return data if len(data) > STREAM_HEADER_BYTES + len(self._info) else b""

    def flush(self, timeout: float = float("inf")) -> None:
        """Wait until all rows so far can be read. FlushTimeoutError."""
        if self.following is None or not self.is_active:
            return
        try:
            self.following.session.flush(timeout)
        except RowsLostError as error:
            say(str(error))

    def messages(self) -> int:
        """Messages that wait to be read."""
        self.flush()
        data = self._stream(take=False)
        return sum(1 for _ in split_messages(memoryview(data)[STREAM_HEADER_BYTES:])) if data else 0

    def __del__(self) -> None:
        if self._tail is not None:
            self._tail.close()


class MemoryRecording:
    """Rows kept (in a spool of the aggregator's, on disk) until they are drained.

    Attributes
    ----------
    storage
        The object itself, for code that reaches through Rerun's wrapper.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    @property
    def storage(self) -> MemoryRecording:
        """Itself."""
        return self

    def num_msgs(self) -> int:
        """Flush, and count messages: store info and chunks."""
        return self._pieces.messages()

    def drain_as_bytes(self) -> bytes:
        """All rows since the last drain, flushed, as one ``.rrd`` with footer; 60 bytes without stores if there are none.

        About 1 ms for 10 rows of a warm session, half of it the flush; the first one imports pyarrow, 0.2 s.
        Thread-safe: each row is in one drain's result.
        """
        return self._pieces.next() or EMPTY

    def concat_as_bytes(self, other: Any = None) -> bytes:
        """:meth:`drain_as_bytes`, followed by another recording's."""
        return self.drain_as_bytes() + (other.drain_as_bytes() if other is not None else b"")


class BinaryStream:
    """Rows of a recording as pieces of ``.rrd``, each whole in itself."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    @property
    def storage(self) -> BinaryStream:
        """Itself."""
        return self

    def read(self, *, flush: bool = True, flush_timeout_sec: float = float("inf")) -> bytes | None:
        """All rows since the last read as one ``.rrd``, or None.

        Parameters
        ----------
        flush
            True: wait for all rows logged so far; False: only those that the batcher has written.
        flush_timeout_sec
            Seconds to wait; ``FlushTimeoutError`` after it.
        """
        return self._pieces.next(flush_timeout_sec, flush=flush)

    def flush(self, timeout_sec: float = float("inf")) -> None:
        """Wait until all rows so far can be read."""
        self._pieces.flush(timeout_sec)
