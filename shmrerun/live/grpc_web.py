"""gRPC-web over HTTP/1.1, for viewers in browsers: one request a connection's turn, answered by a chunked stream of frames.

A frame is a flag (0: data, 0x80: trailers as text), four bytes of length, and the payload. A browser asks first whether a page of its
origin may (CORS): pages of this machine and of rerun.io may, and those whose origin matches a pattern of the server's.

Source: rerun-sdk 0.41's proxy and viewer, seen on the wire; the gRPC-web protocol.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import h11

from shmrerun.framing import SERVICE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Sequence

    Headers = list[tuple[bytes, bytes]]

_HOME = re.compile(r"[a-z][a-z0-9+.-]*://(localhost|127\.0\.0\.1|\[::1\]|rerun\.io|[a-z0-9-]+\.rerun\.io)(:\d+)?")
_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")
_END = b"grpc-status:0\r\n"
READ_BYTES = 64 << 10


async def serve_web_connection(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    read: Callable[[], AsyncIterator[bytes]],
    origins: Sequence[str],
) -> None:
    """Answer the requests of one connection until it ends.

    Parameters
    ----------
    first
        What was read of it already.
    read
        Gives what one reader of ``ReadMessages`` gets.
    origins
        Patterns of origins that may read as well.
    """
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(first)
    request: Any = None
    try:
        while connection.our_state not in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(READ_BYTES))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage):
                await _answer(connection, writer, request, read, origins)
                if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
                    connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return
    except h11.RemoteProtocolError as error:
        if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            _send(connection, writer, 400, [], str(error).encode())
            await writer.drain()


def _allowed(headers: dict[bytes, bytes], origins: Sequence[str]) -> Headers:
    """What lets a browser's page read the answer."""
    origin = headers.get(b"origin", b"")
    text = origin.decode("latin-1").lower()
    if text and (_HOME.fullmatch(text) or any(fnmatchcase(text, pattern.lower()) for pattern in origins)):
        return [_VARY, (b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true")]
    return [_VARY]


async def _answer(
    connection: h11.Connection, writer: asyncio.StreamWriter, request: Any, read: Callable[[], AsyncIterator[bytes]], origins: Sequence[str]
) -> None:
    headers = dict(request.headers)
    allowed = _allowed(headers, origins)
    path, _, method = request.target.decode("latin-1").partition("?")[0].rpartition("/")
    if request.method == b"OPTIONS":
        if len(allowed) > 1:
            allowed += [
                (b"access-control-allow-methods", headers.get(b"access-control-request-method", b"POST")),
                (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"content-type,x-grpc-web")),
            ]
        _send(connection, writer, 200, allowed)
    elif request.method != b"POST" or path != f"/{SERVICE}":
        text = b"This is a Rerun gRPC server. Connect a Rerun viewer to it.\n"
        _send(connection, writer, 400 if request.method != b"POST" else 404, allowed, text)
    elif method != "ReadMessages":
        _send(connection, writer, 200, [*_grpc(allowed), (b"grpc-status", b"12")])
    else:
        writer.write(_bytes(connection.send(h11.Response(status_code=200, headers=_grpc(allowed)))))
        await _stream(connection, writer, read())
    await writer.drain()


def _grpc(allowed: Headers) -> Headers:
    return [(b"content-type", b"application/grpc-web+proto"), (b"access-control-expose-headers", b"grpc-status, grpc-message"), *allowed]


async def _stream(connection: h11.Connection, writer: asyncio.StreamWriter, messages: AsyncIterator[bytes]) -> None:
    """Send messages until they end, or the connection does."""
    try:
        async for message in messages:
            frame = b"\0" + len(message).to_bytes(4, "big") + message
            writer.write(_bytes(connection.send(h11.Data(data=frame))))
            await writer.drain()
        writer.write(_bytes(connection.send(h11.Data(data=b"\x80" + len(_END).to_bytes(4, "big") + _END))))
        writer.write(_bytes(connection.send(h11.EndOfMessage())))
    finally:
        await messages.aclose()  # type: ignore[attr-defined]


def _send(connection: h11.Connection, writer: asyncio.StreamWriter, status: int, headers: Headers, body: bytes = b"") -> None:
    """A whole answer."""
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    writer.write(_bytes(connection.send(h11.Response(status_code=status, headers=headers))))
    if body:
        writer.write(_bytes(connection.send(h11.Data(data=body))))
    writer.write(_bytes(connection.send(h11.EndOfMessage())))


def _bytes(data: bytes | None) -> bytes:
    return data or b""
