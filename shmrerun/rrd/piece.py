"""A part of a recording as an ``.rrd`` of its own.

Source: rerun-sdk 0.41, RRD stream ``RRF2``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.framing import ARROW_MSG, MESSAGE_HEADER_BYTES, STREAM_HEADER_BYTES, split_messages
from shmrerun.rrd.decoder import add_chunk, read_chunk
from shmrerun.rrd.encoder import end_message
from shmrerun.rrd.footer import footer_payload

if TYPE_CHECKING:
    from shmrerun.rrd.footer import Manifest


def with_footer(stream: bytes) -> bytes:
    """Return a stream of header and whole messages with End and footer behind it. Each chunk is decompressed, once."""
    manifests: dict[bytes, Manifest] = {}
    for kind, start, end in split_messages(memoryview(stream)[STREAM_HEADER_BYTES:]):
        offset = STREAM_HEADER_BYTES + start + MESSAGE_HEADER_BYTES
        end += STREAM_HEADER_BYTES
        found = read_chunk(stream[offset:end]) if kind == ARROW_MSG else None
        if found is not None:
            add_chunk(manifests, *found, offset, end - offset)
    return stream + end_message(footer_payload(manifests.items()), len(stream) + MESSAGE_HEADER_BYTES)
