"""The process of one custom sink: the user's object, and the log that it is brought batch by batch.

It is told by the live worker up to where to read, and answers each message of the log when the object has taken it. It ends with the end
of its input: the worker asked it to, or has died. A call that takes too long is ended by a timer that needs no Python to run, so that
nothing outlives the program. Standard output and error are the worker's, which keeps the last words for its messages.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import math
import os
import struct
import sys
import traceback
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from shmrerun.framing import ARROW_MSG
from shmrerun.rrd import proto
from shmrerun.rrd.chunk import decode
from shmrerun.shm.log_reader import LogReader
from shmrerun.sinks import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

COMMAND = struct.Struct("<cQQ?I")  # what, from, until, whether the log may be trimmed, size of its path, which follows
ANSWER = struct.Struct("<cQII")  # what, offset behind the message, rows, size of a text, which follows
READ, FLUSH, CLOSE = b"r", b"f", b"c"
READY, UNFIT, WRITTEN, RAISED, UNREADABLE, END, DONE = b"y", b"u", b"w", b"x", b"o", b"e", b"d"
HAS_FLUSH = 1
_RECORDING = 1  # StoreId.kind
_READ_BYTES = 4 << 20
_MOST_TEXT = 1500


def batch_of(payload: memoryview) -> Batch | None:
    """A message of the log as users' objects get it; None: it is no chunk of a recording. ValueError: it does not decode."""
    try:
        arrow_msg = proto.ArrowMsg.FromString(bytes(payload))
    except DecodeError as error:
        raise ValueError(str(error)) from None
    store = arrow_msg.store_id
    if store.kind != _RECORDING:
        return None
    found: pa.RecordBatch = decode(arrow_msg)
    path = (found.schema.metadata or {}).get(b"rerun:entity_path", b"")
    times = tuple(field.name for field in found.schema if (field.metadata or {}).get(b"rerun:kind") == b"index")
    return Batch(store.application_id.id, store.recording_id, path.decode("utf-8", "replace"), not times, times, found)


class _Log:
    """The log as the worker described it."""

    def __init__(self, path: str, size: int, *, may_trim: bool) -> None:
        self.path, self.size, self.may_trim = path, size, may_trim


class Child:
    """The process's work. ``source`` and ``target`` are descriptors."""

    def __init__(self, source: int, target: int, seconds: float | None) -> None:
        self._source = open(source, "rb", buffering=0)  # noqa: SIM115 - for as long as the process lives
        self._target = target
        self._seconds = seconds
        self._sink: Any = None
        self._is_closed = False

    # ---- the worker

    def _answer(self, what: bytes, offset: int = 0, rows: int = 0, text: str = "") -> None:
        raw = text.encode("utf-8", "replace")
        rest = memoryview(ANSWER.pack(what, offset, rows, len(raw)) + raw)
        while rest:
            rest = rest[os.write(self._target, rest) :]

    def _take(self, size: int) -> bytes:
        """So many bytes of input. EOFError: it has ended."""
        found = b""
        while len(found) < size:
            more = self._source.read(size - len(found))
            if not more:
                raise EOFError
            found += more
        return found

    # ---- the user's object

    def _call(self, function: Callable[..., object], *arguments: Any) -> str:
        """Call something of the user's, for a limited time; returns what it raised, as text."""
        if self._seconds is not None:
            faulthandler.dump_traceback_later(self._seconds, exit=True)
        try:
            function(*arguments)
        except BaseException as error:
            lines = traceback.format_exception(error)
            return "".join((lines[0], *lines[2:]) if len(lines) > 2 else lines).strip()[-_MOST_TEXT:] or repr(error)
        finally:
            if self._seconds is not None:
                faulthandler.cancel_dump_traceback_later()
        return ""

    def load(self, pickled: bytes) -> bool:
        """Make the object. False: it cannot be made here."""

        def make() -> None:
            import cloudpickle

            self._sink = cloudpickle.loads(pickled)

        seconds, self._seconds = self._seconds, None  # imports take what they take
        text = self._call(make)
        self._seconds = seconds
        if text:
            self._answer(UNFIT, text=text)
            return False
        self._answer(READY, rows=HAS_FLUSH if callable(getattr(self._sink, "flush", None)) else 0)
        return True

    def run(self) -> None:
        """Do as told, until there is nobody who tells."""
        with contextlib.suppress(EOFError, BrokenPipeError, ConnectionError):
            while True:
                what, start, end, may_trim, size = COMMAND.unpack(self._take(COMMAND.size))
                path = os.fsdecode(self._take(size))
                if what == READ:
                    self._read(_Log(path, end, may_trim=may_trim), start)
                elif what == FLUSH:
                    self._answer(DONE, text=self._call(self._sink.flush))
                else:
                    self._answer(DONE, text=self._close())
        self._close()

    def _close(self) -> str:
        if self._is_closed:
            return ""
        self._is_closed = True
        close = getattr(self._sink, "close", None)
        return self._call(close) if callable(close) else ""

    def _read(self, log: _Log, start: int) -> None:
        """Bring the object what a part of the log has."""
        try:
            for payload, end in _messages(log, start):
                self._bring(payload, end)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            self._answer(UNREADABLE, text=error.strerror or str(error))
        else:
            self._answer(END, log.size)

    def _bring(self, payload: memoryview, end: int) -> None:
        try:
            batch = batch_of(payload)
        except ValueError as error:
            self._answer(RAISED, end, 0, f"a damaged message of the log is passed over: {error}")
            self._take(1)
            return
        if batch is not None:
            text = self._call(self._sink.write, batch)
            self._answer(RAISED if text else WRITTEN, end, batch.record_batch.num_rows, text)
            self._take(1)  # it is stored that the object has it: no more than one batch can come twice


def _messages(log: _Log, start: int) -> Iterator[tuple[memoryview, int]]:
    """Chunks of a part of the log, and the offsets behind them. OSError: the log is not what it was."""
    reader = LogReader(log, 0, start)
    try:
        while reader.offset < log.size:
            for message in reader.messages(_READ_BYTES):
                if message.kind == ARROW_MSG:
                    yield message.payload, message.end
            if reader.read_until <= reader.offset:
                return
            reader.advance(reader.read_until)
    finally:
        reader.close()


def main(path: str) -> None:
    """Run the sink of a file; standard input and output are the worker's ends of two pipes."""
    source, target = os.dup(0), os.dup(1)  # neither is inherited by what the user starts
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    faulthandler.enable()
    with open(path, "rb") as file:
        options = json.loads(file.readline())
        pickled = file.read()
    with contextlib.suppress(OSError):
        os.chdir(options["cwd"])
    seconds = options["timeout"]
    child = Child(source, target, seconds if seconds is None or math.isfinite(seconds) else None)
    try:
        if child.load(pickled):
            child.run()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)  # no thread of the user's keeps it


__all__ = ["main"]
