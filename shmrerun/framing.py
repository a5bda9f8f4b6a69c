"""How messages lie one behind another in an ``.rrd`` stream, and in the logs that everybody who follows a recording reads.

Source: rerun-sdk 0.41, RRD stream ``RRF2``.
"""

from __future__ import annotations

import struct

#: Kinds of messages in a stream.
END, SET_STORE_INFO, ARROW_MSG, BLUEPRINT_ACTIVATION = range(4)

#: What takes the place of a message that a spool has given back. Only there, never in a file for others.
HOLE = 0x454C4F48

MAGIC = b"RRF2"
STREAM_HEADER_BYTES = 12
MESSAGE_HEADER_BYTES = 16
FRAME = struct.Struct("<QQ")  # message header: kind, payload bytes


def frame(kind: int, payload: bytes) -> bytes:
    """Put the 16-byte message header before a payload."""
    return FRAME.pack(kind, len(payload)) + payload
