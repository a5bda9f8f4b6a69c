"""``serve_grpc``: viewers connect to us. One port for native gRPC and for browsers, told apart by the first bytes.

Native connections (the HTTP/2 preface) are handed to grpcio, which listens at a socket without a file; all others are gRPC-web over
HTTP/1.1. The past comes from the log's file (see ``history``). Real SDKs may write into the server: their messages go into a
log of its own, the *guests'*, which all readers get as well. Promise: a reader gets what the log keeps, and holds up nobody.

Source: rerun-sdk 0.41, gRPC proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
from grpc import aio

from shmrerun import _core
from shmrerun.framing import FRAME, HOLE, MAGIC, MESSAGE_HEADER_BYTES, SERVICE, STREAM_HEADER_BYTES, to_grpc
from shmrerun.live.grpc_web import serve_web_connection
from shmrerun.live.history import History, Reading
from shmrerun.live.messages import TEMPORAL, class_of, from_grpc
from shmrerun.shm import segments
from shmrerun.shm.log_reader import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shmrerun.live.place import Place

END_SECONDS = 2.0  # at the end readers have so long to take what there is
PIPE_BYTES = 256 << 10
LOOK_SECONDS = 1.0
_PREFACE = b"PRI "  # "PRI * HTTP/2.0": how HTTP/2 begins, and nothing else
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)


class GuestLog:
    """What others wrote into the server: an unnamed file of messages. Over the limit its oldest temporal ones become holes."""

    may_trim = True

    def __init__(self, token: str, name: str, limit: int) -> None:
        fd, path = segments.open_spilled(f"shmrerun-{token}.{name}", os.O_TRUNC)
        os.unlink(path)
        self._fd = fd
        self._limit = limit
        self._held = self._kept = 0  # bytes that are no hole; those of them that never become one
        self._temporal: deque[tuple[int, int]] = deque()  # offsets and sizes
        self.path = f"/proc/self/fd/{fd}"
        self.size = STREAM_HEADER_BYTES
        os.pwrite(fd, MAGIC.ljust(STREAM_HEADER_BYTES, b"\0"), 0)

    def append(self, message: bytes) -> None:
        """Add a framed message. OSError: no room on the disk, or for so much that is always kept."""
        kind, _ = FRAME.unpack_from(message)
        is_temporal = class_of(Message(kind, memoryview(message)[MESSAGE_HEADER_BYTES:], 0)) == TEMPORAL
        if not is_temporal and self._kept + len(message) > self._limit:
            raise OSError(errno.ENOSPC, f"static data and blueprints of others fill the server's {self._limit:,} bytes")
        if os.pwrite(self._fd, message, self.size) != len(message):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if is_temporal:
            self._temporal.append((self.size, len(message)))
        else:
            self._kept += len(message)
        self.size += len(message)
        self._held += len(message)
        while self._held > self._limit and len(self._temporal) > 1:
            offset, size = self._temporal.popleft()
            os.pwrite(self._fd, FRAME.pack(HOLE, size - MESSAGE_HEADER_BYTES), offset)
            _core.punch(self._fd, offset + MESSAGE_HEADER_BYTES, size - MESSAGE_HEADER_BYTES)
            self._held -= size

    def close(self) -> None:
        """Its space is free again when the last reader has closed it."""
        os.close(self._fd)


class GrpcServer:
    """One server."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._options = place.options
        self._histories: list[History] = []
        self._guests: GuestLog | None = None
        self._readings: set[Reading] = set()
        self._grown = asyncio.Event()  # a new one for each growth: who waits for it has it from before he looked
        self._empty = asyncio.Event()  # nobody reads
        self._empty.set()
        self._is_ending = False

    async def run(self) -> None:
        """Listen, and serve until the sink is over."""
        place, options = self._place, self._options
        inner = f"shmrerun-{place.tree.token}-{place.serial}-{place.number}-{os.getpid()}"
        server = aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((self._handler(),))
        server.add_insecure_port(f"unix-abstract:{inner}")
        front: asyncio.Server | None = None
        try:
            log = place.log()
            if log is None:
                raise OSError(errno.ENOENT, "the log is being changed")
            limit = options["limit"]
            self._guests = GuestLog(place.tree.token, f"{place.serial}.guests{place.number}", max(limit, 1 << 20))
            self._histories = [History(log, log.number, limit), History(self._guests, 0, limit)]
            await server.start()
            port = place.served_port or options["port"]
            front = await asyncio.start_server(lambda r, w: self._connected(inner, r, w), options["host"], port, limit=PIPE_BYTES)
            place.tell(value=front.sockets[0].getsockname()[1], error=0)
            await self._watch()
        except OSError as error:
            place.fail(error.errno or errno.EIO, error.strerror or str(error))
            raise
        finally:
            if front is not None:
                front.close()
            await server.stop(0.2)
            for history in self._histories:
                history.close()
            if self._guests is not None:
                self._guests.close()

    async def _watch(self) -> None:
        """Tell readers of what comes; let them go at the end, when they have all, or after a while."""
        place = self._place
        end = 0.0
        loop = asyncio.get_running_loop()
        while not place.is_over:
            log = place.log()
            if log is not None and log.number != self._histories[0].number:
                return
            if log is not None:
                place.tell(size=log.size)
                self._histories[0].log = log
            self._notify()
            until = place.until
            if until and not place.is_finished and log is not None and log.size >= until:
                end = end or loop.time() + END_SECONDS
                if loop.time() > end or all(reading.has_all for reading in self._readings):
                    self._is_ending = True
                    self._notify()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._empty.wait(), max(0.01, end - loop.time()))
                    place.tell(done=until)
                    self._is_ending, end = False, 0.0
            await place.news(0.02 if end else LOOK_SECONDS)

    def _notify(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    # ---- readers and writers

    async def read(self) -> AsyncIterator[bytes]:
        """What one reader gets, as gRPC messages."""
        reading = Reading(
            self._histories, lambda: self._grown, lambda: self._is_ending, newest_first=bool(self._options.get("newest_first"))
        )
        self._readings.add(reading)
        self._empty.clear()
        try:
            async for message in reading.messages():
                yield to_grpc(message.kind, message.payload)
        finally:
            self._readings.discard(reading)
            if not self._readings:
                self._empty.set()

    def _handler(self) -> Any:
        async def read_messages(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
            async for message in self.read():
                yield message

        async def write_messages(requests: AsyncIterator[bytes], context: Any) -> bytes:
            async for request in requests:
                try:
                    self._take(request)
                except ValueError as error:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
                except OSError as error:
                    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, error.strerror or str(error))
            return b""

        async def read_tables(_request: bytes, context: Any) -> AsyncIterator[bytes]:
            while not self._is_ending and not context.cancelled():
                await self._grown.wait()
            return
            yield b""  # makes it a stream: there are no tables

        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "ReadMessages": grpc.unary_stream_rpc_method_handler(read_messages),
                "WriteMessages": grpc.stream_unary_rpc_method_handler(write_messages),
                "ReadTables": grpc.unary_stream_rpc_method_handler(read_tables),
            },
        )

    def _take(self, request: bytes) -> None:
        """A guest's message."""
        assert self._guests is not None
        self._guests.append(from_grpc(request))
        self._notify()

    # ---- connections

    async def _connected(self, inner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: by its first bytes to grpcio, or to gRPC-web."""
        try:
            first = await reader.readexactly(len(_PREFACE))
            if first == _PREFACE:
                await _relay(first, reader, writer, inner)
            else:
                await serve_web_connection(first, reader, writer, self.read, self._options.get("cors", ()))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _relay(first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: str) -> None:
    """Bytes both ways between a connection and grpcio, each way as fast as its reader reads."""
    inner_reader, inner_writer = await asyncio.open_unix_connection(f"\0{inner}", limit=PIPE_BYTES)
    inner_writer.write(first)
    ways = [asyncio.ensure_future(_pump(reader, inner_writer)), asyncio.ensure_future(_pump(inner_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if ways[0].done():  # the client has ended its side: what it is still to get comes
            await asyncio.wait(ways, timeout=1.0)
    finally:
        for way in ways:
            way.cancel()
        inner_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(PIPE_BYTES):
            writer.write(data)
            await writer.drain()
