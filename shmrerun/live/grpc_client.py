"""``connect_grpc``: a recording brought to a viewer, by one connection for the whole tree.

A *batch* of the log is one ``WriteMessages`` call: it is acknowledged by the answer to its end, the only acknowledgement that the protocol
has, and then stored as how far the sink got. So a call that fails is sent again, whole, and nothing else is kept. After a lost connection
the viewer's own history tells whether it is the same one (it has our store info, whose row id is unique) or a new one, which gets the log
from its beginning. Promise: every row at least once, with the same ids, which viewers take once.

Source: rerun-sdk 0.41, gRPC proxy; behaviour seen on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import grpc
from grpc import aio

from shmrerun.framing import SERVICE, SET_STORE_INFO, STREAM_HEADER_BYTES, to_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shmrerun.live.place import Place
    from shmrerun.shm.log_reader import LogReader

BATCH_BYTES = 4 << 20  # sent again at most, when a connection is lost
CONNECT_SECONDS = 5.0
PROBE_SECONDS = 0.5  # a viewer that has a history begins to send it at once
REFUSE_SECONDS = 0.02  # who does not know the service says so in the same breath
PROBE_MESSAGES = 256  # store infos come first in a history
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # between attempts
KEEPALIVE_SECONDS, KEEPALIVE_TIMEOUT_SECONDS = 5, 5  # a frozen viewer is found after both
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of our own, which ends with the channel
)


class LostError(Exception):
    """The viewer cannot be reached, or does not take what it gets."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


class GrpcClient:
    """One viewer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._host: str = place.options["host"]
        self._port: int = place.options["port"]
        self._is_secure: bool = place.options["tls"]
        self._was_connected = False

    async def run(self) -> None:
        """Bring the log there until the sink is over."""
        pause = FIRST_PAUSE
        while not self._place.is_over:
            try:
                await self._connection()
            except LostError as error:
                self._place.fail(error.number, str(error))
            except OSError as error:  # the log's file, while it is being changed
                self._place.fail(error.errno or errno.EIO, str(error))
            else:
                pause = FIRST_PAUSE
                continue
            if self._was_connected:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _connection(self) -> None:
        """One connection, from its beginning to its loss."""
        self._was_connected = False
        await self._knock()
        async with self._channel() as channel:
            offset = await self._resume_at(channel)
            self._was_connected = True
            reader = self._place.reader(offset)
            try:
                self._place.tell(size=offset, value=1, error=0)
                await self._follow(channel, reader)
            finally:
                reader.close()

    async def _knock(self) -> None:
        """Whether anybody listens, and if not, why: the operating system says it better than a channel."""
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(self._host, self._port), CONNECT_SECONDS)
        except TimeoutError:
            raise LostError(errno.ETIMEDOUT, f"nobody answers within {CONNECT_SECONDS:g} s") from None
        except socket.gaierror as error:
            raise LostError(errno.EHOSTUNREACH, f"the host {self._host} has no address: {error.strerror}") from None
        except OSError as error:
            number = error.errno or errno.ECONNREFUSED
            raise LostError(number, os.strerror(number)) from None
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _channel(self) -> aio.Channel:
        host = f"[{self._host}]" if ":" in self._host else self._host
        target = f"{host}:{self._port}"
        if self._is_secure:
            return aio.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
        return aio.insecure_channel(target, _OPTIONS)

    async def _resume_at(self, channel: aio.Channel) -> int:
        """Where this viewer's history of ours ends. It also finds out whether it is a viewer at all."""
        place, ours = self._place, self._store_info()
        call = channel.unary_stream(f"/{SERVICE}/ReadMessages")(b"")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await call.initial_metadata()  # a viewer begins to answer before it has anything to send
                if place.size <= STREAM_HEADER_BYTES:
                    await asyncio.wait((asyncio.ensure_future(call.code()),), timeout=REFUSE_SECONDS)
                    if call.done():
                        await call.read()  # raises what it refused
                    return 0
                for _ in range(PROBE_MESSAGES):
                    message = await call.read()
                    if message is aio.EOF:
                        break
                    if ours is not None and message == ours:
                        return place.size
        except TimeoutError:  # an empty history
            pass
        except aio.AioRpcError as error:
            raise _lost(error) from None
        finally:
            call.cancel()
        return 0

    def _store_info(self) -> bytes | None:
        """The first message of our log, as the viewer's history has it."""
        reader = self._place.reader()
        try:
            first = next(reader.messages(1), None)
            return to_grpc(first.kind, first.payload) if first is not None and first.kind == SET_STORE_INFO else None
        finally:
            reader.close()

    async def _follow(self, channel: aio.Channel, reader: LogReader) -> None:
        """Send what comes. LostError: the connection is gone."""
        place = self._place
        write = channel.stream_unary(f"/{SERVICE}/WriteMessages")
        lost = asyncio.ensure_future(_until_lost(channel))
        try:
            while True:
                log = place.log()
                if log is None or log.number != reader.position.log:
                    return  # another log: its reader begins anew
                if reader.offset < log.size:
                    await self._send(write, reader)
                    place.tell(size=reader.offset, error=0)
                    continue
                if reader.offset >= (until := place.until) > 0 and not place.is_finished:
                    place.tell(done=until)
                if lost.done():
                    raise LostError(errno.ECONNRESET, "the connection was closed by the other side")
                waiting = asyncio.ensure_future(place.news(1.0))
                await asyncio.wait((waiting, lost), return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
        finally:
            lost.cancel()

    async def _send(self, write: Any, reader: LogReader) -> None:
        """One batch, acknowledged when this returns."""
        end = reader.offset

        async def batch() -> AsyncIterator[bytes]:
            nonlocal end
            for message in reader.messages(BATCH_BYTES):
                yield to_grpc(message.kind, message.payload)
            end = reader.read_until

        try:
            await write(batch())
        except aio.AioRpcError as error:
            raise _lost(error) from None
        reader.advance(end)


async def _until_lost(channel: aio.Channel) -> None:
    """Returns when a connection that stood stands no more."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)
        state = channel.get_state()
    while state is grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)
        state = channel.get_state()


def _lost(error: aio.AioRpcError) -> LostError:
    """What a failed call means."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        refused = ("handshake", "certificate", "ssl", "tls")
        number = errno.EACCES if any(word in details.lower() for word in refused) else errno.ECONNRESET
        return LostError(number, details or "the connection was lost")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return LostError(errno.EPROTO, "it is no Rerun viewer or server: it does not know Rerun's message proxy")
    if code is grpc.StatusCode.CANCELLED:
        return LostError(errno.ECONNRESET, "the call was cancelled")
    return LostError(errno.EPROTO, f"it refused what it was sent: {code.name} {details}")
