"""A blueprint out of its file, as the messages that go into a recording.

The viewer takes a blueprint for a recording if both name the same application, so that name is rewritten where it differs. All else
stays as it was made, but for two things: the activation is what the caller wants, and the store info gets a new row id, so that a
blueprint that is sent again is another run of messages.

Source: rerun-sdk 0.41, blueprint stores in RRD streams (``.rbl`` files).
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from shmrerun import _core
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
    split_messages,
)
from shmrerun.rrd import proto
from shmrerun.rrd.encoder import BLUEPRINT, set_store_info


def blueprint(data: bytes, application_id: str, *, make_active: bool, make_default: bool) -> bytes:
    """Return the framed messages of the blueprints in a stream: store infos, chunks, then one activation.

    Parameters
    ----------
    data
        A whole stream, as an ``.rbl`` or ``.rrd`` file has it. What it holds of recordings is left out.
    application_id
        Of the recording that the blueprint is for.
    make_active, make_default
        Whether viewers switch to the blueprint now, and whether they come back to it on reset. It is the one that the stream activates
        last, else the last one.

    Raises
    ------
    ValueError
        Not a stream, a damaged one, or one without a blueprint.

    """
    if data[:4] != MAGIC or len(data) < STREAM_HEADER_BYTES:
        raise ValueError(f"A blueprint's file begins with {MAGIC!r}, got {bytes(data[:4])!r}")
    out: list[bytes] = []
    stores: list[bytes] = []  # of blueprints, by their new ids
    chosen: Any = None
    try:
        for kind, payload in _payloads(data):
            message = _MESSAGES[kind].FromString(payload)
            store = _store_of(kind, message)
            if store.kind != BLUEPRINT:
                continue
            is_same = store.application_id.id == application_id
            store.application_id.id = application_id
            if kind == BLUEPRINT_ACTIVATION:
                chosen = store
                continue
            serialized = store.SerializeToString()
            if serialized not in stores:
                stores.append(serialized)
                if kind == ARROW_MSG:
                    out.append(set_store_info(serialized, _core.row_id()))
            if kind == SET_STORE_INFO:
                row_id = _core.row_id()
                message.row_id.time_ns, message.row_id.inc = int.from_bytes(row_id[:8], "big"), int.from_bytes(row_id[8:], "big")
                if message.info.HasField("application_id"):
                    message.info.application_id.id = application_id
            out.append(frame(kind, payload if is_same and kind == ARROW_MSG else message.SerializeToString()))
    except DecodeError as error:
        raise ValueError(f"A message of the blueprint's file does not decode: {error}") from None
    if not stores:
        raise ValueError("The file holds no blueprint")
    chosen = chosen or proto.StoreId.FromString(stores[-1])
    command = proto.BlueprintActivationCommand(blueprint_id=chosen, make_active=make_active, make_default=make_default)
    return b"".join([*out, frame(BLUEPRINT_ACTIVATION, command.SerializeToString())])


_MESSAGES = {SET_STORE_INFO: proto.SetStoreInfo, ARROW_MSG: proto.ArrowMsg, BLUEPRINT_ACTIVATION: proto.BlueprintActivationCommand}


def _store_of(kind: int, message: Any) -> Any:
    """The store that a message is about, to be changed in place."""
    if kind == SET_STORE_INFO:
        return message.info.store_id
    return message.store_id if kind == ARROW_MSG else message.blueprint_id


def _payloads(data: bytes) -> list[tuple[int, bytes]]:
    """Kind and payload of each message of a stream up to its End, or to where it ends without one. ValueError: cut off, or damaged."""
    end = STREAM_HEADER_BYTES
    while end + MESSAGE_HEADER_BYTES <= len(data):
        kind, size = FRAME.unpack_from(data, end)
        if kind == END:
            break
        end += MESSAGE_HEADER_BYTES + size
    else:
        end = len(data)
    body = data[STREAM_HEADER_BYTES:end]
    return [(kind, body[start + MESSAGE_HEADER_BYTES : stop]) for kind, start, stop in split_messages(body)]
