"""The words of shared memory as typed attributes: the only Python that names offsets, which come from ``_core/layout.h``.

A *view* is a place in a segment: ``TreeView(segment).heartbeat`` loads a word (acquire), an assignment stores it (release),
``view.add`` and ``view.swap`` are the atomic operations. ``Fields`` reads several words of many entries at once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Self, overload

from shmrerun import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

_L = _core.LAYOUT

LAYOUT_VERSION = _L["LAYOUT_VERSION"]
TREE_MAGIC, SESSION_MAGIC, LANE_MAGIC = (_L[f"{kind}_MAGIC"] for kind in ("TREE", "SESSION", "LANE"))
TREE_PROCESSES, TREE_SESSIONS = _L["TREE_PROCESSES"], _L["TREE_SESSIONS"]
SESSION_SINKS, SESSION_OWN_SINKS, SESSION_MEMBERS = _L["SESSION_SINKS"], _L["SESSION_OWN_SINKS"], _L["SESSION_MEMBERS"]
SESSION_PATH, SESSION_TEXT = _L["SESSION_PATH"], _L["SESSION_TEXT"]
STATE_OPEN, STATE_ENDING, STATE_ENDED = (_L[f"STATE_{name}"] for name in ("OPEN", "ENDING", "ENDED"))
SWITCH_ENABLED, SWITCH_LOG_TIME, SWITCH_LOG_TICK, SWITCH_TICK_SET = (
    _L[f"SWITCH_{name}"] for name in ("ENABLED", "LOG_TIME", "LOG_TICK", "TICK_SET")
)
WISH_FREE, WISH_MAKING, WISH_OPEN, WISH_COMPLETE, WISH_CLOSE = (
    _L[f"WISH_{name}"] for name in ("FREE", "MAKING", "OPEN", "COMPLETE", "CLOSE")
)
WISH_VERB_MASK, WISH_PROCESS_SHIFT, WISH_TURN_SHIFT = (_L[f"WISH_{name}"] for name in ("VERB_MASK", "PROCESS_SHIFT", "TURN_SHIFT"))
SINK_NONE, SINK_ACTIVE, SINK_FAILED, SINK_GONE = (_L[f"SINK_{name}"] for name in ("NONE", "ACTIVE", "FAILED", "GONE"))
SINK_SPOOL, SINK_FILE, SINK_GRPC, SINK_SERVER, SINK_CUSTOM, SINK_READER = (
    _L[f"SINK_{name}"] for name in ("SPOOL", "FILE", "GRPC", "SERVER", "CUSTOM", "READER")
)
SINK_NO_FOOTER, SINK_CONTINUE, SINK_PIECES, SINK_ODD_FILE, SINK_BESIDE, SINK_STDOUT = (
    _L[f"SINK_{name}"] for name in ("NO_FOOTER", "CONTINUE", "PIECES", "ODD_FILE", "BESIDE", "STDOUT")
)
LANE_OPEN, LANE_SUCCEEDED, LANE_LAST = (_L[f"LANE_{name}"] for name in ("OPEN", "SUCCEEDED", "LAST"))
ROW_STATIC, ROW_TICK, ROW_UNCOUNTED, ROW_COLUMNS, ROW_MESSAGE = (
    _L[f"ROW_{name}"] for name in ("STATIC", "TICK", "UNCOUNTED", "COLUMNS", "MESSAGE")
)
RECORD_ROW = _L["RECORD_ROW"]
MESSAGE_BYTES = 1016


class Word:
    """A word of 8 bytes."""

    width = 8

    def __set_name__(self, owner: type[View], name: str) -> None:
        self.offset = _L[f"{owner.struct}.{name}"]

    @overload
    def __get__(self, view: None, owner: type[View]) -> Self: ...
    @overload
    def __get__(self, view: View, owner: type[View]) -> int: ...
    def __get__(self, view: View | None, owner: type[View]) -> Self | int:
        return self if view is None else view.segment.load(view.at + self.offset)

    def __set__(self, view: View, value: int) -> None:
        view.segment.store(view.at + self.offset, value)


class HalfWord(Word):
    """A word of 4 bytes."""

    width = 4

    @overload
    def __get__(self, view: None, owner: type[View]) -> Self: ...
    @overload
    def __get__(self, view: View, owner: type[View]) -> int: ...
    def __get__(self, view: View | None, owner: type[View]) -> Self | int:
        return self if view is None else view.segment.load32(view.at + self.offset)

    def __set__(self, view: View, value: int) -> None:
        view.segment.store32(view.at + self.offset, value)


class View:
    """A structure of ``layout.h`` at an offset of a segment."""

    __slots__ = ("at", "segment")
    struct: ClassVar[str]

    def __init__(self, segment: _core.Segment, at: int = 0) -> None:
        self.segment = segment
        self.at = at

    def add(self, word: Word, amount: int) -> int:
        """Atomic fetch-and-add; returns the value before."""
        return self.segment.add(self.at + word.offset, amount)

    def swap(self, word: Word, expected: int, desired: int) -> bool:
        """Atomic compare-and-swap; whether it took place."""
        return self.segment.swap(self.at + word.offset, expected, desired)

    def clear(self, first: Word, size: int) -> None:
        """Zero a part of the structure, from a word on."""
        self.segment.write(self.at + first.offset, bytes(size - first.offset))


Sessions = list[tuple[int, int, int]]  # (index, serial, id hash)


class Fields:
    """Some words of a structure, in the order of their offsets, read together from a copy of its memory."""

    def __init__(self, view: type[View], *names: str) -> None:
        text, at = "<", 0
        for name in names:
            word: Word = view.__dict__[name]
            text += f"{word.offset - at}x{'Q' if word.width == 8 else 'I'}"
            at = word.offset + word.width
        self.size = _L[f"sizeof.{view.struct}"]
        self._struct = struct.Struct(text)

    def of(self, segment: _core.Segment, at: int) -> tuple[int, ...]:
        """The words of the structure at an offset."""
        return self._struct.unpack(segment.read(at, self._struct.size))

    def of_all(self, segment: _core.Segment, at: int, count: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Index and words of those of ``count`` structures in a row whose first word is not 0."""
        return self.of_table(segment.read(at, count * self.size))

    def of_table(self, table: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The same of a copy of the memory."""
        firsts = memoryview(table).cast("Q")[:: self.size // 8].tolist()
        for index, first in enumerate(firsts):
            if first:
                yield index, self._struct.unpack_from(table, index * self.size)


class HeadView(View):
    """What every segment begins with."""

    struct = "segment_head"
    magic, size, serial, maker = Word(), Word(), Word(), Word()
    version, generation, uid, member = HalfWord(), HalfWord(), HalfWord(), HalfWord()

    @property
    def token(self) -> bytes:
        """16 bytes that name the tree, or the session."""
        return self.segment.read(_L["segment_head.token"], 16)

    @token.setter
    def token(self, value: bytes) -> None:
        self.segment.write(_L["segment_head.token"], value)


class ProcessSlotView(View):
    """A process of a tree."""

    struct = "process_slot"
    claim, start_time, pid_namespace, current = Word(), Word(), Word(), Word()


class SessionSlotView(View):
    """A session of a tree."""

    struct = "session_slot"
    serial, id_hash = Word(), Word()


class TreeView(View):
    """A tree's segment."""

    struct = "tree"
    size = _L["sizeof.tree"]
    state, next_session, root, budget_limit, budget_used, next_process = Word(), Word(), Word(), Word(), Word(), Word()
    aggregator_pid, aggregator_start, heartbeat, epoch, starter, starter_time = Word(), Word(), Word(), Word(), Word(), Word()
    need_wake = HalfWord()

    def process(self, index: int) -> ProcessSlotView:
        """A process slot."""
        return ProcessSlotView(self.segment, _L["tree.process"] + index * _L["sizeof.process_slot"])

    def session(self, index: int) -> SessionSlotView:
        """A session slot."""
        return SessionSlotView(self.segment, _L["tree.session"] + index * _L["sizeof.session_slot"])

    def processes(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Index and (claim, start time, pid namespace) of all process slots that were ever used."""
        return _PROCESSES.of_all(self.segment, _L["tree.process"], TREE_PROCESSES)

    def sessions(self, before: tuple[bytes, Sessions]) -> tuple[bytes, Sessions]:
        """The session table as it is, and index, serial and id hash of the sessions in it; ``before`` if that is as it was."""
        table = self.segment.read(_L["tree.session"], TREE_SESSIONS * _SESSIONS.size)
        if table == before[0]:
            return before
        return table, [(index, *words) for index, words in _SESSIONS.of_table(table)]  # type: ignore[misc]


class SinkView(View):
    """An entry of a session's sink table."""

    struct = "sink"
    wish, state, owner, number, device, inode = Word(), Word(), Word(), Word(), Word(), Word()
    scan_from, size, log, error = Word(), Word(), Word(), Word()
    until, done, value, dropped = Word(), Word(), Word(), Word()
    kind, flags, caller_pid, caller_fd, path_size = HalfWord(), HalfWord(), HalfWord(), HalfWord(), HalfWord()

    @property
    def path(self) -> bytes:
        """Path of the file, as bytes."""
        return self.segment.read(self.at + _L["sink.path"], min(self.path_size, SESSION_PATH))

    @path.setter
    def path(self, raw: bytes) -> None:
        self.segment.write(self.at + _L["sink.path"], raw)
        self.path_size = len(raw)

    def words(self) -> tuple[int, ...]:
        """All words but the path, in the order of ``shm.session.Sink``."""
        return _SINK_WORDS.of(self.segment, self.at)


class MemberView(View):
    """A member of a session."""

    struct = "member"
    owner, written, dropped_full, dropped_size, rows, lost = Word(), Word(), Word(), Word(), Word(), Word()
    newest, intent, left, oldest, refused = HalfWord(), HalfWord(), HalfWord(), HalfWord(), HalfWord()

    def free(self, owner: int) -> None:
        """Give the slot back."""
        self.clear(MemberView.newest, _L["sizeof.member"])
        self.swap(MemberView.owner, owner, 0)


class SessionView(View):
    """A session's control segment."""

    struct = "session"
    size = _L["sizeof.session"]
    state, flush_wanted, flush_done, next_tick, rows, chunks, sink_turn = (
        Word(), Word(), Word(), Word(), Word(), Word(), Word(),
    )  # fmt: skip
    written_bytes = Word()
    flush_tick_nanos, flush_bytes, flush_rows, unsorted_rows, switches, id_hash = Word(), Word(), Word(), Word(), Word(), Word()
    dropped_limit, dropped, unjoined, failures = Word(), Word(), Word(), Word()
    message_turn, message_size, message_read = HalfWord(), HalfWord(), HalfWord()
    application_size, recording_size = HalfWord(), HalfWord()

    def sink(self, slot: int) -> SinkView:
        """An entry of the sink table."""
        return SinkView(self.segment, _L["session.sink"] + slot * _L["sizeof.sink"])

    def wishes(self) -> Iterator[tuple[int, int, int]]:
        """Slot, wish and state of the entries of the sink table that somebody has made."""
        load = self.segment.load
        for slot, (wish_at, state_at) in enumerate(_WISHES):
            wish = load(wish_at)
            if wish & WISH_VERB_MASK not in (WISH_FREE, WISH_MAKING):
                yield slot, wish, load(state_at)

    def member(self, index: int) -> MemberView:
        """A member slot."""
        return MemberView(self.segment, _L["session.member"] + index * _L["sizeof.member"])

    def members(self) -> list[tuple[int, ...]]:
        """(index, owner, newest, intent, left, written, oldest) of the members."""
        return [(index, *words) for index, words in _MEMBERS.of_all(self.segment, _L["session.member"], SESSION_MEMBERS)]

    def text(self, name: str) -> str:
        """The ``application`` or ``recording`` id."""
        size = self.application_size if name == "application" else self.recording_size
        return self.segment.read(_L[f"session.{name}"], min(size, SESSION_TEXT)).decode("utf-8", "surrogatepass")

    def set_text(self, name: str, raw: bytes) -> None:
        """Store an id, by the maker."""
        self.segment.write(_L[f"session.{name}"], raw)
        self.segment.store32(_L[f"session.{name}_size"], len(raw))

    def message(self) -> str:
        """The aggregator's newest message."""
        return self.segment.read(_L["session.message"], min(self.message_size, MESSAGE_BYTES)).decode("utf-8", "replace")

    def add_message(self, text: str) -> None:
        """Leave a message for the owner, behind those that it has not printed yet; `message_turn` is odd meanwhile. By the aggregator."""
        turn = self.message_turn
        before = self.message() + "\n" if turn and self.message_read != turn else ""
        raw = (before + text.replace("\n", " ")).encode("utf-8", "replace")[:MESSAGE_BYTES]
        self.message_turn = turn | 1
        self.segment.write(_L["session.message"], raw)
        self.message_size = len(raw)
        self.message_turn = (turn | 1) + 1


class LaneView(View):
    """One generation of a lane."""

    struct = "lane"
    least = _L["sizeof.lane"]
    dictionary_offset, dictionary_size, ring_offset, ring_size, rows_before = Word(), Word(), Word(), Word(), Word()
    tail, dictionary_tail, closed, head_position = Word(), Word(), Word(), Word()


class Record:
    """A record in a copy of a ring."""

    _HEAD = struct.Struct("<IHHI")  # words, kind, flags, shape: struct record
    size = _L["sizeof.record"]

    @classmethod
    def head(cls, ring: bytes, at: int) -> tuple[int, int, int, int]:
        """Words, kind, flags and shape; zeros where the ring ends."""
        return cls._HEAD.unpack_from(ring, at) if at + cls._HEAD.size <= len(ring) else (0, 0, 0, 0)

    @classmethod
    def first_part(cls, ring: bytes, at: int) -> int:
        """The first number of the table of parts of a record without times: of columns, how many rows they have."""
        return int.from_bytes(ring[at + cls.size + 4 : at + cls.size + 8], "little")


class Definition:
    """An entry in a copy of a dictionary; its texts follow the head."""

    _HEAD = struct.Struct("<II")  # bytes, shape: struct definition
    size = _L["sizeof.definition"]

    @classmethod
    def head(cls, dictionary: bytes, at: int) -> tuple[int, int]:
        """Bytes of the whole entry, and its shape."""
        return cls._HEAD.unpack_from(dictionary, at)


_PROCESSES = Fields(ProcessSlotView, "claim", "start_time", "pid_namespace")
_SESSIONS = Fields(SessionSlotView, "serial", "id_hash")
_MEMBERS = Fields(MemberView, "owner", "newest", "intent", "left", "written", "oldest")
_SINK_WORDS = Fields(
    SinkView, "wish", "state", "kind", "flags", "owner", "number", "device", "inode", "scan_from", "size", "log", "error",
    "until", "done", "value", "dropped", "caller_pid", "caller_fd",
)  # fmt: skip
_WISHES = [
    (at + SinkView.wish.offset, at + SinkView.state.offset)
    for at in (_L["session.sink"] + slot * _L["sizeof.sink"] for slot in range(SESSION_SINKS))
]
