"""Reading the trees of this user without becoming part of one: no process slot, no member slot, no aggregator started.

Every number is a word that somebody else may be changing; a tree or recording that ends while it is read is left out.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun import _core
from shmrerun.shm import segments, sweep
from shmrerun.shm.served import read_why
from shmrerun.shm.session import lane_name, sinks
from shmrerun.shm.words import (
    LANE_MAGIC,
    SINK_ACTIVE,
    SINK_CUSTOM,
    SINK_FAILED,
    SINK_FILE,
    SINK_GRPC,
    SINK_READER,
    SINK_SERVER,
    SINK_SPOOL,
    STATE_ENDED,
    STATE_ENDING,
    STATE_OPEN,
    TREE_PROCESSES,
    WISH_COMPLETE,
    LaneView,
    SessionView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.shm.session import Sink
    from shmrerun.shm.tree import Tree

STATES = {STATE_OPEN: "open", STATE_ENDING: "ending", STATE_ENDED: "ended"}
SINK_KINDS = {
    SINK_SPOOL: "spool", SINK_FILE: "file", SINK_GRPC: "viewer", SINK_SERVER: "server", SINK_CUSTOM: "custom", SINK_READER: "reader",
}  # fmt: skip


class Recording(NamedTuple):
    """A session that was found, attached for reading."""

    serial: int
    words: SessionView


def recordings(tree: Tree) -> Iterator[Recording]:
    """Iterate over the sessions of a tree, oldest first."""
    return (Recording(*found) for found in sweep.sessions(tree))


def files_being_written() -> list[tuple[Sink, bool]]:
    """Entries of all sink tables whose file is not complete, and whether somebody is left to complete it."""
    found = []
    for tree in sweep.trees():
        live = not sweep.is_abandoned(tree)
        for recording in recordings(tree):
            files = [sink for sink in sinks(recording.words) if sink.kind == SINK_FILE]
            found += [(sink, live) for sink in files if sink.is_wanted or sink.is_active]
    return found


def describe(tree: Tree) -> dict[str, Any]:
    """All that ``ps`` says about a tree."""
    words = tree.words
    pid = words.aggregator_pid
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
        "state": STATES.get(words.state, "unknown"),
        "aggregator": {
            "pid": pid or None,
            "alive": alive,
            "heartbeat_age_secs": (_core.monotonic() - words.heartbeat) / 1e9 if pid else None,
            "starts": words.epoch,
        },
        "abandoned": sweep.is_abandoned(tree),
        "faults": _faults(tree),
        "lane_budget": {"used_bytes": words.budget_used, "limit_bytes": words.budget_limit},
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


def sink_state(sink: Sink) -> str:
    """What a sink is doing, in a word."""
    if sink.is_wanted:
        return "opening"
    if sink.is_asked:
        return "completing" if sink.verb == WISH_COMPLETE else "closing"
    return {SINK_ACTIVE: "active", SINK_FAILED: "failed"}.get(sink.answer, "unknown")


def _describe_recording(tree: Tree, recording: Recording) -> dict[str, Any]:
    words = recording.words
    members = list(_members(tree, recording))
    return {
        "session": recording.serial,
        "state": STATES.get(words.state, "unknown"),
        "application_id": words.text("application"),
        "recording_id": words.text("recording"),
        "sinks": [
            {
                "kind": SINK_KINDS.get(sink.kind, "unknown"),
                "state": sink_state(sink),
                "path": sink.label,
                "bytes": sink.size,
                "dropped": sink.dropped if sink.is_served else 0,
                "error": read_why(tree.directory, recording.serial, sink) if sink.error else None,
            }
            for sink in sorted(sinks(words), key=lambda sink: sink.number)
        ],
        "rows": words.rows,
        "chunks": words.chunks,
        "bytes": words.written_bytes,
        "dropped": {
            "lane_full": sum(member["dropped"]["lane_full"] for member in members),
            "too_large": sum(member["dropped"]["too_large"] for member in members),
            "no_sink_or_limit": words.dropped_limit,
            "by_members_that_left": words.dropped - words.failures,
            "damaged": sum(member["dropped"]["damaged"] for member in members),
            "not_encodable": words.failures,
            "could_not_join": words.unjoined,
        },
        "message": _message(words),
        "members": members,
    }


def _message(words: SessionView) -> str | None:
    """Read the aggregator's last message to the owner; None if there is none, or it is just being written."""
    turn = words.message_turn
    if not turn or turn & 1:
        return None
    text = words.message()
    return text if words.message_turn == turn else None


def _members(tree: Tree, recording: Recording) -> Iterator[dict[str, Any]]:
    for index, owner, newest, _, left, written, oldest in recording.words.members():
        pid = tree.process_slot(owner >> 32)[0] if owner >> 32 < TREE_PROCESSES else 0
        waiting, room = _lanes(tree, recording.serial, index, range(oldest, min(newest, oldest + 64)))
        member = recording.words.member(index)
        yield {
            "pid": pid or None,
            "alive": tree.ref_is_live(owner),
            "left": bool(left),
            "rows": member.rows,
            "written": written,
            "lane": {"waiting_bytes": waiting, "size_bytes": room},
            "generations": {"made": newest, "live": newest - oldest},
            "dropped": {"lane_full": member.dropped_full, "too_large": member.dropped_size, "damaged": member.lost},
        }


def _lanes(tree: Tree, serial: int, member: int, generations: range) -> tuple[int, int]:
    """Bytes that are not in a log yet, and the size of the rings that hold them, over a member's live generations."""
    waiting = room = 0
    for generation in generations:
        try:
            segment = segments.attach(lane_name(tree.token, serial, member, generation), LANE_MAGIC, LaneView.least)
        except sweep.GONE:
            continue
        lane = LaneView(segment)
        head = lane.head_position  # before tail: never more than what waits
        tail, size = lane.tail, lane.ring_size
        waiting += max(0, min(tail - head, size))
        room += size
        segment.close()
    return waiting, room
