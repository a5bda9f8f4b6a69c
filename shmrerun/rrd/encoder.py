"""Framing of ``.rrd`` streams: header, store info, chunks, end.

Source: rerun-sdk 0.41, RRD stream ``RRF2``, protobuf package ``rerun.log_msg.v1alpha1``.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

import xxhash

from shmrerun.framing import ARROW_MSG, END, FRAME, MAGIC, MESSAGE_HEADER_BYTES, SET_STORE_INFO, frame, varint
from shmrerun.rrd import proto

if TYPE_CHECKING:
    from shmrerun.rrd.chunk import EncodedChunk

#: Kinds of stores.
RECORDING, BLUEPRINT = 1, 2

STREAM_FOOTER_BYTES = 32
STREAM_FOOTER = struct.Struct("<QQI4s4sI")  # offset, bytes and checksum of the footer payload, two magics, entries
FOOTER_MAGIC = b"FOOT"
_VERSION = bytes((0, 41, 0, 0))  # of the format, not of this package
CHECKSUM_SEED = 7850921
_UNCOMPRESSED, _LZ4 = b"\x01", b"\x02"  # Compression
_TUID, _TAIL = struct.Struct(">QQ"), struct.Struct("<3sQBQB?")  # a chunk's id, and how an ArrowMsg ends: id, is_static


def stream_header() -> bytes:
    """Return the 12 bytes that begin a stream: magic, version 0.41.0, LZ4, protobuf."""
    return MAGIC + _VERSION + b"\x01\x02\0\0"


def store_id(app_id: str, recording_id: str, kind: int = RECORDING) -> bytes:
    """Return the serialized ``StoreId``, as :func:`arrow_msg` and the footer take it."""
    app = proto.ApplicationId(id=app_id)
    serialized: bytes = proto.StoreId(kind=kind, recording_id=recording_id, application_id=app).SerializeToString()
    return serialized


def set_store_info(store_id: bytes, row_id: bytes) -> bytes:
    """Return the framed ``SetStoreInfo`` of a store, with the running Python as its source.

    Parameters
    ----------
    store_id
        What :func:`store_id` returned.
    row_id
        16 bytes, big-endian TUID.

    """
    major, minor, patch, level, serial = sys.version_info
    suffix = "" if level == "final" else {"alpha": "a", "beta": "b"}.get(level, "rc") + str(serial)
    python = proto.PythonVersion(major=major, minor=minor, patch=patch, suffix=suffix)
    source = proto.StoreSource(kind=2, extra=proto.StoreSourceExtra(payload=python.SerializeToString()))
    info = proto.StoreInfo(
        store_id=proto.StoreId.FromString(store_id),
        store_source=source,
        store_version=proto.StoreVersion(crate_version_bits=int.from_bytes(_VERSION, "little")),
    )
    return frame(SET_STORE_INFO, proto.SetStoreInfo(row_id=_tuid(row_id), info=info).SerializeToString())


def arrow_msg(store_id: bytes, chunk: EncodedChunk) -> tuple[list[Any], int]:
    """Return the framed ``ArrowMsg`` of a chunk, in pieces.

    Parameters
    ----------
    store_id
        What :func:`store_id` returned.
    chunk
        What :func:`~shmrerun.rrd.chunk.encode` returned.

    Returns
    -------
    buffers : list of buffers
        For ``os.writev``; joined they are the message. Those of the payload are the chunk's own objects, never copied.
    size : int
        Bytes of all buffers. The protobuf of it, which the footer's ``byte_size`` counts, is 16 bytes less.

    """
    payload_bytes = sum(map(len, chunk.payload))
    # Fields 1 to 5, then 6 and 7, by hand: two of them come ready-made, and to make objects of the rest takes longer than to write it.
    head = b"\x0a%b%b\x10%b\x18%b\x20\x01\x2a%b" % (
        varint(len(store_id)),
        store_id,
        _LZ4 if chunk.is_compressed else _UNCOMPRESSED,
        varint(chunk.uncompressed_size),
        varint(payload_bytes),
    )
    time, counter = _TUID.unpack(chunk.chunk_id)
    tail = _TAIL.pack(b"\x32\x12\x09", time, 0x11, counter, 0x38, chunk.is_static)
    size = len(head) + payload_bytes + len(tail)
    return [FRAME.pack(ARROW_MSG, size) + head, *chunk.payload, tail], MESSAGE_HEADER_BYTES + size


def end_message(footer_payload: bytes, footer_offset: int) -> bytes:
    """Return what finishes a stream: End message and StreamFooter.

    Parameters
    ----------
    footer_payload
        Serialized ``RrdFooter``; empty for a stream without chunks.
    footer_offset
        Offset of that payload from the start of the stream: the length of the stream so far plus the 16 bytes of the
        End message's header.

    """
    checksum = xxhash.xxh32_intdigest(footer_payload, seed=CHECKSUM_SEED)
    footer = STREAM_FOOTER.pack(footer_offset, len(footer_payload), checksum, MAGIC, FOOTER_MAGIC, 1)
    return frame(END, footer_payload) + footer


def is_stream_footer(footer: bytes, end_offset: int, payload: bytes) -> bool:
    """Tell whether 32 bytes are the StreamFooter of an End message at ``end_offset`` with this payload."""
    return footer == end_message(payload, end_offset + MESSAGE_HEADER_BYTES)[-STREAM_FOOTER_BYTES:]


def _tuid(tuid: bytes) -> proto.Tuid:
    return proto.Tuid(time_ns=int.from_bytes(tuid[:8], "big"), inc=int.from_bytes(tuid[8:], "big"))
