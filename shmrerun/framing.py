"""How messages lie one behind another in an ``.rrd`` stream, and in the logs that everybody who follows a recording reads.

Source: rerun-sdk 0.41, RRD stream ``RRF2``, ``rerun.sdk_comms.v1alpha1``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Kinds of messages in a stream.
END, SET_STORE_INFO, ARROW_MSG, BLUEPRINT_ACTIVATION = range(4)

#: What takes the place of a message that a spool has given back. Only there, never in a file for others.
HOLE = 0x454C4F48

#: The gRPC service that takes and gives messages.
SERVICE = "rerun.sdk_comms.v1alpha1.MessageProxyService"

MAGIC = b"RRF2"
STREAM_HEADER_BYTES = 12
MESSAGE_HEADER_BYTES = 16
FRAME = struct.Struct("<QQ")  # message header: kind, payload bytes


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number that protobuf wrote, and the offset behind it. ValueError: it is cut off, or too long."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number of protobuf is cut off")


def frame(kind: int, payload: bytes) -> bytes:
    """Put the 16-byte message header before a payload."""
    return FRAME.pack(kind, len(payload)) + payload


def to_grpc(kind: int, payload: bytes | memoryview) -> bytes:
    """A message as the gRPC message that carries it; one copy.

    ``WriteMessagesRequest`` and ``ReadMessagesResponse`` have the same bytes: field 1, a ``LogMsg``, whose field is the kind.
    """
    head = bytes((kind << 3 | 2,)) + varint(len(payload))
    return b"".join((b"\x0a", varint(len(head) + len(payload)), head, payload))


def split_messages(data: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """Iterate over framed messages that lie one behind the other.

    Parameters
    ----------
    data
        What :func:`frame` returned, joined: store infos, chunks and activations, without stream header and End.

    Yields
    ------
    (int, int, int)
        Kind, offset of the message with its header, and offset behind it.

    Raises
    ------
    ValueError
        A header that is cut off, a kind that no recording holds, or a payload that runs past the data.

    """
    size, at = len(data), 0
    while at < size:
        payload = at + MESSAGE_HEADER_BYTES
        if payload > size:
            raise ValueError(f"The message at byte {at} has {size - at} bytes of its header, not {MESSAGE_HEADER_BYTES}")
        kind, length = FRAME.unpack_from(data, at)
        if not SET_STORE_INFO <= kind <= BLUEPRINT_ACTIVATION:
            raise ValueError(f"The message at byte {at} is of kind {kind}, not {SET_STORE_INFO} to {BLUEPRINT_ACTIVATION}")
        if length > size - payload:
            raise ValueError(f"The message at byte {at} announces {length} bytes of payload, {size - payload} follow")
        yield kind, at, payload + length
        at = payload + length
