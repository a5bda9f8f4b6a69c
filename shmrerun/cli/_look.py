"""Reading the trees of this user without becoming part of one: no process slot, no member slot, no aggregator started.

Every number is a word that somebody else may be changing; a tree or recording that ends while it is read is left out.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun import _core
from shmrerun.shm import segments, sweep
from shmrerun.shm.session import lane_name, read_text, sinks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.shm.session import Sink
    from shmrerun.shm.tree import Tree

L = _core.LAYOUT
_MEMBERS, _MEMBER = L["session.member"], L["sizeof.member"]

STATES = {L["STATE_OPEN"]: "open", L["STATE_ENDING"]: "ending", L["STATE_ENDED"]: "ended"}
SINK_STATES = {
    L["SINK_WANTED"]: "opening",
    L["SINK_ACTIVE"]: "active",
    L["SINK_CLOSING"]: "closing",
    L["SINK_CLOSED"]: "closed",
    L["SINK_FAILED"]: "failed",
}
SINK_KINDS = {L["SINK_SPOOL"]: "spool", L["SINK_FILE"]: "file"}
WRITING = (L["SINK_WANTED"], L["SINK_ACTIVE"], L["SINK_CLOSING"])


class Recording(NamedTuple):
    """A session that was found, attached for reading."""

    serial: int
    segment: _core.Segment


def recordings(tree: Tree) -> Iterator[Recording]:
    """Iterate over the sessions of a tree, oldest first."""
    return (Recording(*found) for found in sweep.sessions(tree))


def files_being_written() -> list[tuple[Sink, bool]]:
    """Entries of all sink tables whose file is not complete, and whether somebody is left to complete it."""
    found = []
    for tree in sweep.trees():
        live = not sweep.is_abandoned(tree)
        for recording in recordings(tree):
            files = [sink for sink in sinks(recording.segment) if sink.kind == L["SINK_FILE"]]
            found += [(sink, live) for sink in files if sink.state in WRITING]
    return found


def describe(tree: Tree) -> dict[str, Any]:
    """All that ``ps`` says about a tree."""
    load = tree.segment.load
    pid = load(L["tree.aggregator_pid"])
    alive = sweep.aggregator_is_live(tree)
    processes = []
    for index, claim in tree.claims():
        if claim & 0xFFFF_FFFF:
            process = claim & 0xFFFF_FFFF
            processes.append({"pid": process, "alive": not tree.is_dead(index), "command": _command(process)})
    found = []
    for recording in recordings(tree):
        with contextlib.suppress(*sweep.GONE):
            found.append(_describe_recording(tree, recording))
    return {
        "tree": tree.token,
        "state": STATES.get(load(L["tree.state"]), "unknown"),
        "aggregator": {
            "pid": pid or None,
            "alive": alive,
            "heartbeat_age_secs": (_core.monotonic() - load(L["tree.heartbeat"])) / 1e9 if pid else None,
            "starts": load(L["tree.epoch"]),
        },
        "abandoned": sweep.is_abandoned(tree),
        "faults": _faults(tree),
        "lane_budget": {"used_bytes": load(L["tree.budget_used"]), "limit_bytes": load(L["tree.budget_limit"])},
        "processes": processes,
        "recordings": found,
    }


def _faults(tree: Tree) -> str | None:
    """Read the end of what the tree's aggregators wrote to stderr: tracebacks; None if they wrote nothing."""
    try:
        with open(f"{tree.directory}/faults", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            return file.read().decode("utf-8", "replace").strip() or None
    except OSError:
        return None


def _command(pid: int) -> str | None:
    """Tell people what a process runs; None where the system does not say."""
    if sys.platform != "linux":
        return None
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return " ".join(os.fsdecode(file.read(4096)).split("\0")).strip() or None
    except OSError:
        return None


def _describe_recording(tree: Tree, recording: Recording) -> dict[str, Any]:
    segment = recording.segment
    members = list(_members(tree, recording))
    return {
        "session": recording.serial,
        "state": STATES.get(segment.load(L["session.state"]), "unknown"),
        "application_id": read_text(segment, "application"),
        "recording_id": read_text(segment, "recording"),
        "sinks": [
            {
                "kind": SINK_KINDS.get(sink.kind, "unknown"),
                "state": SINK_STATES.get(sink.state, "unknown"),
                "path": sink.path,
                "bytes": sink.size,
                "error": os.strerror(sink.error) if sink.error else None,
            }
            for sink in sorted(sinks(segment), key=lambda sink: sink.number)
        ],
        "rows": segment.load(L["session.rows"]),
        "chunks": segment.load(L["session.chunks"]),
        "bytes": segment.load(L["session.bytes"]),
        "dropped": {
            "lane_full": sum(member["dropped"]["lane_full"] for member in members),
            "too_large": sum(member["dropped"]["too_large"] for member in members),
            "no_sink_or_limit": segment.load(L["session.dropped_limit"]),
            "by_members_that_left": segment.load(L["session.dropped"]),
            "damaged": sum(member["dropped"]["damaged"] for member in members),
        },
        "message": _message(segment),
        "members": members,
    }


def _message(segment: _core.Segment) -> str | None:
    """Read the aggregator's last message to the owner; None if there is none, or it is just being written."""
    turn = segment.load32(L["session.message_turn"])
    if not turn or turn & 1:
        return None
    text = segment.read(L["session.message"], min(segment.load32(L["session.message_size"]), 1016))
    return text.decode("utf-8", "replace") if segment.load32(L["session.message_turn"]) == turn else None


def _members(tree: Tree, recording: Recording) -> Iterator[dict[str, Any]]:
    table = recording.segment.read(_MEMBERS, L["SESSION_MEMBERS"] * _MEMBER)
    for index in range(L["SESSION_MEMBERS"]):
        fields = struct.unpack_from("<QIIIIQQQQQ", table, index * _MEMBER)
        owner, oldest, newest, _, left, _, full, size, rows, lost = fields
        if not owner:
            continue
        pid = tree.process_slot(owner >> 32)[0] if owner >> 32 < L["TREE_PROCESSES"] else 0
        waiting, room = _lanes(tree, recording.serial, index, range(oldest, min(newest, oldest + 64)))
        yield {
            "pid": pid or None,
            "alive": tree.ref_is_live(owner),
            "left": bool(left),
            "rows": rows,
            "lane": {"waiting_bytes": waiting, "size_bytes": room},
            "generations": {"made": newest, "live": newest - oldest},
            "dropped": {"lane_full": full, "too_large": size, "damaged": lost},
        }


def _lanes(tree: Tree, serial: int, member: int, generations: range) -> tuple[int, int]:
    """Bytes that are not in a log yet, and the size of the rings that hold them, over a member's live generations."""
    waiting = room = 0
    for generation in generations:
        try:
            lane = segments.attach(lane_name(tree.token, serial, member, generation), L["LANE_MAGIC"], L["sizeof.lane"])
        except sweep.GONE:
            continue
        head = lane.load(L["lane.head_position"])  # before tail: never more than what waits
        tail, size = lane.load(L["lane.tail"]), lane.load(L["lane.ring_size"])
        waiting += max(0, min(tail - head, size))
        room += size
        lane.close()
    return waiting, room
