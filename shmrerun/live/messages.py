"""Messages of a log as messages of the gRPC proxy and back, by the few bytes that differ: nothing is decoded.

``WriteMessagesRequest`` and ``ReadMessagesResponse`` have the same bytes: field 1, a ``LogMsg``, whose field is the kind of the message.

Source: rerun-sdk 0.41, ``rerun.sdk_comms.v1alpha1`` and ``rerun.log_msg.v1alpha1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun import framing
from shmrerun.framing import ARROW_MSG, BLUEPRINT_ACTIVATION, SET_STORE_INFO, frame

if TYPE_CHECKING:
    from shmrerun.shm.log_reader import Message

PERSISTENT, STATIC, TEMPORAL = range(3)

_BLUEPRINT = 2  # StoreId.kind


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number, and the offset behind it. ValueError: it is cut off, or too long."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a protobuf number is cut off")


def to_grpc(message: Message) -> bytes:
    """A message of a log as the gRPC message that carries it; one copy."""
    return framing.to_grpc(message.kind, message.payload)


def from_grpc(data: bytes) -> bytes:
    """The framed message of a log that a gRPC message carries. ValueError: it carries none."""
    view = memoryview(data)
    if not data or data[0] != 0x0A:
        raise ValueError("log_msg is missing")
    size, at = read_varint(view, 1)
    if at + size > len(data) or not size:
        raise ValueError("log_msg is cut off")
    kind, wire = data[at] >> 3, data[at] & 7
    if kind not in (SET_STORE_INFO, ARROW_MSG, BLUEPRINT_ACTIVATION) or wire != 2:
        raise ValueError(f"log_msg has field {kind}")
    size, at = read_varint(view, at + 1)
    if at + size > len(data):
        raise ValueError("log_msg is cut off")
    return frame(kind, bytes(view[at : at + size]))


def class_of(message: Message) -> int:
    """Whether late readers get a message first and always (``PERSISTENT``), before all temporal ones (``STATIC``), or in its place."""
    if message.kind != ARROW_MSG:
        return PERSISTENT
    payload = message.payload
    try:
        if payload[0] == 0x0A:  # field 1, StoreId: its kind comes first, if it is not 0
            _, at = read_varint(payload, 1)
            if payload[at] == 0x08 and payload[at + 1] == _BLUEPRINT:
                return PERSISTENT
        return STATIC if _is_static(payload) else TEMPORAL
    except (LookupError, ValueError):  # a guest wrote it
        return TEMPORAL


def _is_static(payload: memoryview) -> bool:
    """Field 7, ``is_static``."""
    at = 0
    while at < len(payload):
        tag, at = read_varint(payload, at)
        if tag & 7 == 2:
            size, at = read_varint(payload, at)
            at += size
        elif tag & 7 == 0:
            value, at = read_varint(payload, at)
            if tag >> 3 == 7:
                return bool(value)
        else:
            at += {1: 8, 5: 4}[tag & 7]
    return False
