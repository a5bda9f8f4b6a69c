"""The control segment of a session: its names, its batch limits and its sink table, as both sides read them."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.shm import segments
from shmrerun.shm.words import (
    SESSION_MAGIC,
    SINK_ACTIVE,
    SINK_BESIDE,
    SINK_CUSTOM,
    SINK_GONE,
    SINK_GRPC,
    SINK_ODD_FILE,
    SINK_READER,
    SINK_SERVER,
    SINK_SPOOL,
    WISH_CLOSE,
    WISH_COMPLETE,
    WISH_FREE,
    WISH_MAKING,
    WISH_OPEN,
    WISH_PROCESS_SHIFT,
    WISH_TURN_SHIFT,
    WISH_VERB_MASK,
    SessionView,
    SinkView,
)

if TYPE_CHECKING:
    from shmrerun import _core

FIRST_LANE_BYTES = 64 * 1024
FIRST_DICTIONARY_BYTES = 12 * 1024


class BatchLimits(NamedTuple):
    """Micro-batching limits of a session, written into its control segment by its maker."""

    tick_nanos: int = 50_000_000
    num_bytes: int = 1 << 20
    num_rows: int = (1 << 64) - 1
    unsorted_rows: int = 8192
    tick_is_set: bool = False  # the user chose the tick: no patience


class Sink(NamedTuple):
    """One entry of the sink table, as it was read."""

    slot: int
    wish: int
    state: int
    kind: int
    flags: int
    owner: int
    number: int
    device: int
    inode: int
    scan_from: int
    size: int
    log: int
    error: int
    until: int
    done: int
    value: int
    dropped: int
    caller_pid: int
    caller_fd: int
    path: str

    @property
    def verb(self) -> int:
        """What a process wishes."""
        return self.wish & WISH_VERB_MASK

    @property
    def turn(self) -> int:
        """Of the wish."""
        return self.wish >> WISH_TURN_SHIFT

    @property
    def answer(self) -> int:
        """What the aggregator said last, to whatever wish."""
        return self.state & WISH_VERB_MASK

    @property
    def is_asked(self) -> bool:
        """Whether the wish waits for its answer."""
        return self.turn != self.state >> WISH_TURN_SHIFT and self.verb in (WISH_OPEN, WISH_COMPLETE, WISH_CLOSE)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody wishes it to be, and it has not come to be yet."""
        return self.is_asked and self.verb == WISH_OPEN

    @property
    def is_active(self) -> bool:
        """Whether rows go to it, its end may have been asked for."""
        return self.answer == SINK_ACTIVE and self.verb not in (WISH_FREE, WISH_MAKING) and not self.is_wanted

    @property
    def is_follower(self) -> bool:
        """Whether it reads the log instead of being one."""
        return self.is_served or bool(self.flags & (SINK_BESIDE | SINK_ODD_FILE))

    @property
    def is_served(self) -> bool:
        """Whether another process than the aggregator brings it what the log has: the live worker, or for a reader its owner."""
        return self.kind in (SINK_GRPC, SINK_SERVER, SINK_CUSTOM, SINK_READER)

    @property
    def is_live(self) -> bool:
        """Whether the live worker serves it."""
        return self.is_served and self.kind != SINK_READER

    @property
    def is_users(self) -> bool:
        """Whether a user set it as the place where rows go: a file, a viewer, a reader; nothing beside it, no mere buffer."""
        return not self.flags & SINK_BESIDE and not self.is_buffer

    @property
    def label(self) -> str:
        """What messages call it: the path of a file, the URL of a viewer."""
        return self.path.partition("\n")[0] if self.is_served else self.path

    @property
    def options(self) -> dict[str, Any]:
        """What its caller asked for, of what others serve."""
        import json

        found: dict[str, Any] = json.loads(self.path.partition("\n")[2] or "{}")
        return found

    @property
    def is_buffer(self) -> bool:
        """Whether it is a spool that only keeps rows until somebody sets a sink."""
        return self.kind == SINK_SPOOL


def wish_word(turn: int, verb: int, process: int = 0) -> int:
    """A wish: its turn, and for MAKING the process slot plus 1 of who makes it."""
    return (turn & 0xFFFF_FFFF) << WISH_TURN_SHIFT | process << WISH_PROCESS_SHIFT | verb


def wish_maker(wish: int) -> int:
    """Index of the process slot of who is MAKING an entry; -1: nobody said."""
    return (wish >> WISH_PROCESS_SHIFT & 0xFF_FFFF) - 1


def is_free(view: SinkView) -> bool:
    """Whether an entry may be taken."""
    wish = view.wish
    return wish & WISH_VERB_MASK == WISH_FREE or _is_gone(wish, view.state)


def _is_gone(wish: int, state: int) -> bool:
    return wish >> WISH_TURN_SHIFT == state >> WISH_TURN_SHIFT and state & WISH_VERB_MASK == SINK_GONE


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


def lane_prefix(tree: str, serial: int, member: int) -> str:
    """What the names of a member's generations begin with; the number of the generation follows, in base 36."""
    return f"shmrerun-{tree}.{_base36(serial)}.{_base36(member)}."


def lane_name(tree: str, serial: int, member: int, generation: int) -> str:
    """Name of one generation of a member's lane: a function of what whoever cleans up knows. At most 31 characters for long."""
    return lane_prefix(tree, serial, member) + _base36(generation)


def open_session(tree: str, serial: int) -> _core.Segment:
    """Map the control segment of a session. FileNotFoundError: it has ended."""
    return segments.attach(session_name(tree, serial), SESSION_MAGIC, SessionView.size)


def read_sink(session: SessionView, slot: int) -> Sink:
    """One entry of the sink table; the path only if the entry is in use."""
    view = session.sink(slot)
    words = view.words()
    unused = words[0] & WISH_VERB_MASK in (WISH_FREE, WISH_MAKING)
    return Sink._make((slot, *words, "" if unused else os.fsdecode(view.path)))


def sinks(session: SessionView) -> list[Sink]:
    """All entries of the sink table that are in use."""
    return [read_sink(session, slot) for slot, wish, state in session.wishes() if not _is_gone(wish, state)]


def asked_sinks(session: SessionView) -> list[Sink]:
    """The entries whose wish has no answer yet. Costs 1 us where there are none."""
    asked = [slot for slot, wish, state in session.wishes() if wish >> WISH_TURN_SHIFT != state >> WISH_TURN_SHIFT]
    return [sink for sink in (read_sink(session, slot) for slot in asked) if sink.is_asked]
