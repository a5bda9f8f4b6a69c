"""Messages of the gRPC proxy as messages of a log (the way there is :func:`shmrerun.framing.to_grpc`), and what late readers get first.

Nothing is decoded but the few bytes that differ.

Source: rerun-sdk 0.41, ``rerun.sdk_comms.v1alpha1`` and ``rerun.log_msg.v1alpha1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.framing import ARROW_MSG, BLUEPRINT_ACTIVATION, SET_STORE_INFO, frame, read_varint
from shmrerun.rrd.wire import fields

if TYPE_CHECKING:
    from shmrerun.shm.log_reader import Message

PERSISTENT, STATIC, TEMPORAL = range(3)

_STORE_ID, _IS_STATIC = 1, 7  # fields of ArrowMsg
_KIND, _BLUEPRINT = 1, 2  # field of StoreId, and its value


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
    is_static = False
    try:
        for field, value in fields(message.payload):
            if field == _STORE_ID and isinstance(value, memoryview) and (_KIND, _BLUEPRINT) in fields(value):
                return PERSISTENT
            is_static = is_static or (field == _IS_STATIC and value == 1)
    except ValueError:  # a guest wrote it
        return TEMPORAL
    return STATIC if is_static else TEMPORAL
