"""Streams of messages, from ``.rrd`` and ``.rbl`` files and from the output of other programs: forwarded as they are, block by block.

Nothing is believed: a length is checked against what is there, and a message that does not decode is left out. Memory is bounded by
the largest message. Source: rerun-sdk 0.41, RRD stream ``RRF2``.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from shmrerun.framing import (
    ARROW_MSG,
    BLUEPRINT_ACTIVATION,
    END,
    FRAME,
    MAGIC,
    MESSAGE_HEADER_BYTES,
    SET_STORE_INFO,
    STREAM_HEADER_BYTES,
    frame,
)
from shmrerun.importers.task import MOST_BYTES, ImportFailedError, extension
from shmrerun.rrd import proto
from shmrerun.rrd.chunk import decode
from shmrerun.rrd.encoder import FOOTER_MAGIC, STREAM_FOOTER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.task import Task

BLOCK_BYTES = 4 << 20
_MESSAGES = {SET_STORE_INFO: proto.SetStoreInfo, ARROW_MSG: proto.ArrowMsg, BLUEPRINT_ACTIVATION: proto.BlueprintActivationCommand}


def rrd(task: Task) -> None:
    """Forward a file as far as it goes, at the time of the call. ImportFailedError: it is no such file, or is cut off or damaged."""
    application_id = task.stream.application_id if extension(task.path) == "rbl" else None
    with task.open() as file:
        found = os.fstat(file.fileno())
        size = found.st_size if stat.S_ISREG(found.st_mode) else None
        forward(task, lambda most: os.read(file.fileno(), most), size, application_id)


def forward(task: Task, read: Callable[[int], bytes], size: int | None = None, application_id: str | None = None) -> int:
    """Forward a stream, or several that lie one behind the other.

    Parameters
    ----------
    task
        Where it goes.
    read
        Returns at most so many bytes; none at the end.
    size
        Of the stream, where it is known; what it grows by meanwhile is not read (it may be the file that the recording goes to).
    application_id
        Put in place of the messages' own: a blueprint is for the recording's application.

    Returns
    -------
    int
        Messages that were forwarded.

    Raises
    ------
    ImportFailedError
        It does not begin as a stream does, is cut off, or is damaged. What comes before that has been forwarded.
    """
    return _Forwarder(task, read, size, application_id).run()


class _Forwarder:
    def __init__(self, task: Task, read: Callable[[int], bytes], size: int | None, application_id: str | None) -> None:
        self._task, self._read, self._left, self._application_id = task, read, size, application_id
        self._data = bytearray()
        self._at = 0  # in the data: what comes before was forwarded
        self._base = 0  # offset of the data in the stream
        self._count = self._bad = 0
        self._out: list[bytes | bytearray] = []
        self._out_bytes = 0

    def run(self) -> int:
        try:
            while self._stream():
                pass
        finally:
            self._send()
            if self._bad:
                self._task.warn(f"{self._bad:,} messages do not decode and are left out ({self._count:,} were read)")
        return self._count

    def _need(self, size: int) -> int:
        """Have so many bytes from the present place on, fewer where the stream ends; returns how many there are."""
        if len(self._data) - self._at < size:
            del self._data[: self._at]
            self._base += self._at
            self._at = 0
        while len(self._data) < self._at + size:
            self._send()  # the next block may be long in coming
            most = BLOCK_BYTES if self._left is None else min(BLOCK_BYTES, self._left)
            block = self._read(most) if most else b""
            if not block:
                self._left = 0
                break
            self._left = None if self._left is None else self._left - len(block)
            self._data += block
        return len(self._data) - self._at

    def _stream(self) -> bool:
        """Forward one stream; False: there was none."""
        there = self._need(STREAM_HEADER_BYTES)
        where = self._base + self._at
        if not there and where:
            return False
        head = bytes(self._data[self._at : self._at + STREAM_HEADER_BYTES])
        if head[:4] in (b"RRF0", b"RRF1"):
            raise ImportFailedError(
                f"the file has the format {head[:4].decode()} of old releases; `rerun rrd migrate` makes it readable: {self._task.path}"
            )
        if head[:4] != MAGIC or there < STREAM_HEADER_BYTES:
            what = "is empty" if not there else f"begins with {head[:4]!r}" if not where else f"has {head[:4]!r} at byte {where:,}"
            raise ImportFailedError(f"no RRD stream: it {what}, not with {MAGIC!r} and a header: {self._task.path}")
        self._at += STREAM_HEADER_BYTES
        while self._message():
            pass
        return True

    def _message(self) -> bool:
        """Forward one message; False: the stream ends here, as another one begins or nothing follows."""
        there = self._need(MESSAGE_HEADER_BYTES)
        where = self._base + self._at
        if not there or self._data[self._at : self._at + 4] == MAGIC:
            return False
        if there < MESSAGE_HEADER_BYTES:
            raise ImportFailedError(f"cut off at byte {where + there:,}, in the header of a message: {self._task.path}")
        kind, length = FRAME.unpack_from(self._data, self._at)
        if kind > BLUEPRINT_ACTIVATION:
            raise ImportFailedError(f"damaged at byte {where:,}: no message is of kind {kind}: {self._task.path}")
        if self._left is not None and length > there - MESSAGE_HEADER_BYTES + self._left:
            there += self._left - MESSAGE_HEADER_BYTES
            raise ImportFailedError(f"cut off: the message at byte {where:,} has {length:,} bytes, {there:,} follow: {self._task.path}")
        if length > MOST_BYTES:
            raise ImportFailedError(f"the message at byte {where:,} has {length:,} bytes, over {MOST_BYTES:,}: {self._task.path}")
        there = self._need(MESSAGE_HEADER_BYTES + length)
        if there < MESSAGE_HEADER_BYTES + length:
            there -= MESSAGE_HEADER_BYTES
            raise ImportFailedError(f"cut off: the message at byte {where:,} has {length:,} bytes, {there:,} follow: {self._task.path}")
        start, end = self._at, self._at + MESSAGE_HEADER_BYTES + length
        self._at = end
        if kind == END:
            if self._need(STREAM_FOOTER_BYTES) >= STREAM_FOOTER_BYTES and FOOTER_MAGIC in self._data[self._at + 20 : self._at + 28]:
                self._at += STREAM_FOOTER_BYTES
            return False
        self._forward(kind, bytes(self._data[start:end]))
        return True

    def _forward(self, kind: int, message: bytes) -> None:
        self._count += 1
        try:
            found: Any = _MESSAGES[kind].FromString(message[MESSAGE_HEADER_BYTES:])
            if kind == ARROW_MSG:
                decode(found)
        except MemoryError:
            raise
        except (DecodeError, ValueError, OSError):  # pyarrow's errors are among them
            self._bad += 1
            return
        if self._application_id is not None:
            message = frame(kind, _for_application(kind, found, self._application_id))
        self._out.append(message)
        self._out_bytes += len(message)
        if self._out_bytes >= BLOCK_BYTES:
            self._send()

    def _send(self) -> None:
        if self._out:
            data, self._out, self._out_bytes = b"".join(self._out), [], 0
            self._task.send_messages(data)


def _for_application(kind: int, message: Any, application_id: str) -> bytes:
    """The payload of a message, its store being of another application."""
    store = message.info.store_id if kind == SET_STORE_INFO else message.store_id if kind == ARROW_MSG else message.blueprint_id
    store.application_id.id = application_id
    if kind == SET_STORE_INFO and message.info.HasField("application_id"):
        message.info.application_id.id = application_id
    payload: bytes = message.SerializeToString()
    return payload
