"""The control segment of a session: its names, texts and sink table, as both sides read them."""

from __future__ import annotations

import os
import struct
from hashlib import blake2b
from typing import NamedTuple

from shmrerun import _core
from shmrerun.shm import segments

L = _core.LAYOUT
_SINKS, _SINK = L["session.sink"], L["sizeof.sink"]


class BatchLimits(NamedTuple):
    """Micro-batching limits of a session, written into its control segment by its maker."""

    tick_nanos: int = 50_000_000
    num_bytes: int = 1 << 20
    num_rows: int = (1 << 64) - 1
    unsorted_rows: int = 8192
    tick_is_set: bool = False  # the user chose the tick: no patience


class Sink(NamedTuple):
    """One entry of the sink table."""

    slot: int
    state: int
    kind: int
    flags: int
    owner: int
    number: int
    device: int
    inode: int
    scan_from: int
    size: int
    error: int
    caller_pid: int
    caller_fd: int
    path: str


def id_hash(application_id: str, recording_id: str) -> int:
    """63-bit number of a recording's ids: the key of its times, and how children find it."""
    digest = blake2b(f"{application_id}\0{recording_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if not number:
            return digits


def session_name(tree: str, serial: int) -> str:
    """Name of a session's control segment."""
    return f"shmrerun-{tree}.{_base36(serial)}"


def lane_name(tree: str, serial: int, member: int, generation: int) -> str:
    """Name of one generation of a member's lane: a function of what whoever cleans up knows. At most 31 characters for long."""
    return f"shmrerun-{tree}.{_base36(serial)}.{_base36(member)}.{_base36(generation)}"


def open_session(tree: str, serial: int) -> _core.Segment:
    """Map the control segment of a session. FileNotFoundError: it has ended."""
    return segments.attach(session_name(tree, serial), L["SESSION_MAGIC"], L["sizeof.session"])


def read_sink(segment: _core.Segment, slot: int) -> Sink:
    """One entry of the sink table; the path only if the entry is in use."""
    at = _SINKS + slot * _SINK
    state = segment.load(at)
    fields = struct.unpack("<QIIQQQQQQQIII", segment.read(at, L["sink.path_size"] + 4))
    path = segment.read(at + L["sink.path"], min(fields[12], L["SESSION_PATH"])) if state != L["SINK_FREE"] else b""
    return Sink._make((slot, state, *fields[1:12], os.fsdecode(path)))


def sinks(segment: _core.Segment) -> list[Sink]:
    """All entries of the sink table that are in use."""
    unused = (L["SINK_FREE"], L["SINK_MAKING"])
    return [read_sink(segment, slot) for slot in range(L["SESSION_SINKS"]) if segment.load(_SINKS + slot * _SINK) not in unused]


def read_text(segment: _core.Segment, name: str) -> str:
    """The application or recording id."""
    size = segment.load32(L[f"session.{name}_size"])
    return segment.read(L[f"session.{name}"], min(size, L["SESSION_TEXT"])).decode("utf-8", "surrogatepass")
