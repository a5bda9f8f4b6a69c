"""What killed programs left: which trees are dead by both keys, what they still hold, and how they are removed.

A tree is *abandoned* when its aggregator and all its processes are dead by both keys. Nothing here changes a tree in which anybody
lives: :func:`remove` takes the aggregator's byte and the birth byte of the lock file first, and looks again under them.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from shmrerun import _core
from shmrerun.errors import SegmentError, say_once
from shmrerun.shm import places, segments
from shmrerun.shm.locks import lock_byte, unlock_byte
from shmrerun.shm.session import Sink, lane_name, open_session, sinks
from shmrerun.shm.tree import AGGREGATOR_BYTE, BIRTH_BYTE, SAID, START_NANOS, Tree, process_gone
from shmrerun.shm.words import (
    LANE_MAGIC,
    RECORD_ROW,
    ROW_COLUMNS,
    SINK_FILE,
    SINK_SPOOL,
    STATE_ENDED,
    STATE_ENDING,
    STATE_OPEN,
    TREE_MAGIC,
    Definition,
    LaneView,
    Record,
    SessionView,
    TreeView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE = (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError, IndexError)  # it ended, or changed, while we looked
NOTICED = 16  # so many trees are looked at when a program starts
ORPHAN_SECONDS = 60.0  # what is younger may be a tree that is just being made or removed


class Left(NamedTuple):
    """What a session of an abandoned tree still holds.

    Attributes
    ----------
    sink
        The newest file or spool that its rows go to; None: they wait in their lanes.
    rows
        Rows that are in no file yet: in lanes (some may have reached the file just before the end), or in a spool.
    """

    serial: int
    application_id: str
    recording_id: str
    sink: Sink | None
    rows: int

    @property
    def has_file(self) -> bool:
        """Whether a file waits for its end."""
        return self.sink is not None and self.sink.kind == SINK_FILE


# ---- looking


def trees() -> Iterator[Tree]:
    """Iterate over this user's trees, attached without a process slot and closed when the next one is asked for."""
    for runtime in places.runtimes():
        yield from trees_in(runtime)


def trees_in(runtime: str) -> Iterator[Tree]:
    """Iterate over the trees of a runtime directory. Not for a process that is in one of them: closing drops its lock."""
    if not places.is_private(runtime):
        return
    for token in sorted(os.listdir(runtime)):
        if not os.path.exists(f"{runtime}/{token}/lock"):
            continue
        try:
            tree = Tree.attach(places.settle(token, runtime))
        except GONE:
            continue
        try:
            yield tree
        finally:
            tree.close()


def aggregator_is_live(tree: Tree) -> bool:
    """Whether either key says that the tree's aggregator lives; a fresh heartbeat alone does not count."""
    return tree.aggregator_is_live(certain=True)


def is_abandoned(tree: Tree, *, patient: bool = True) -> bool:
    """Whether all processes of a tree died together with its aggregator: nobody is left who would finish its files.

    ``patient``: not if somebody began to start an aggregator a moment ago, dead or not. It may be on its way.
    """
    if patient and tree.words.starter and _core.monotonic() - tree.words.starter_time < START_NANOS:
        return False  # one may be on its way
    return not aggregator_is_live(tree) and all(tree.is_dead(index) for index, claim in tree.claims() if claim & 0xFFFF_FFFF)


def sessions(tree: Tree) -> Iterator[tuple[int, SessionView]]:
    """Iterate over serial and control segment of the sessions of a tree, oldest first."""
    for serial in sorted(entry[1] for entry in tree.sessions()):
        try:
            segment = open_session(tree.token, serial)
        except GONE:
            continue
        try:
            yield serial, SessionView(segment)
        finally:
            segment.close()


def generations(session: SessionView) -> Iterator[tuple[int, int]]:
    """Iterate over (member, generation) of all lanes that a session's table names."""
    for index, _, newest, _, _, _, oldest in session.members():
        yield from ((index, generation) for generation in range(oldest, min(newest, oldest + 64)))


def rows_in_lane(segment: _core.Segment) -> int:
    """Rows between head and tail of a lane, but for those of the recording's own properties. A damaged lane counts as far as it goes."""
    lane = LaneView(segment)
    size, at, tail = lane.ring_size, lane.head_position, lane.tail
    if not size or tail - at > size:
        return 0
    ring = segment.read(lane.ring_offset, size)
    ours = _own_shapes(segment.read(lane.dictionary_offset, min(lane.dictionary_tail, lane.dictionary_size)))
    rows = 0
    while at < tail:
        words, kind, flags, shape = Record.head(ring, at % size)
        if not words or at % size + 8 * words > size:
            break
        if kind == RECORD_ROW and shape not in ours:
            rows += Record.first_part(ring, at % size) if flags & ROW_COLUMNS else 1
        at += 8 * words
    return rows


def _own_shapes(dictionary: bytes) -> set[int]:
    """Shapes of entities that nobody logged: ``/__properties`` and its kin."""
    found, at = set(), 0
    while at + Definition.size <= len(dictionary):
        size, shape = Definition.head(dictionary, at)
        if size < Definition.size:
            break
        if dictionary[at + Definition.size : at + size].startswith((b"/__", b"__")):
            found.add(shape)
        at += size
    return found


def left_in(tree: Tree) -> list[Left]:
    """What the sessions of an abandoned tree hold."""
    found = []
    for serial, session in sessions(tree):
        rows = 0
        for member, generation in generations(session):
            with contextlib.suppress(*GONE):
                lane = segments.attach(lane_name(tree.token, serial, member, generation), LANE_MAGIC, LaneView.least)
                try:
                    rows += rows_in_lane(lane)
                finally:
                    lane.close()
        used = [sink for sink in sinks(session) if (sink.is_active or sink.is_wanted) and not sink.is_follower]
        sink = max(used, key=lambda sink: sink.number) if used else None
        if sink is not None and sink.kind == SINK_SPOOL:
            rows += session.rows
        found.append(Left(serial, session.text("application"), session.text("recording"), sink, rows))
    return found


# ---- removing


def remove(tree: Tree, *, patient: bool = True) -> bool:
    """Remove an abandoned tree with all that it holds. False: somebody lives in it after all, or is about to."""
    fd = tree.lock_fd()
    taken = [byte for byte in (AGGREGATOR_BYTE, BIRTH_BYTE) if lock_byte(fd, byte)]
    try:
        if len(taken) < 2:
            return False
        tree.words.state = STATE_ENDING
        _core.fence()  # SYNC POINT end
        if not is_abandoned(tree, patient=patient):
            tree.words.state = STATE_OPEN
            return False
        for path in _parts(tree.token):
            with contextlib.suppress(OSError):
                os.unlink(path)
        segments.unlink(f"shmrerun-{tree.token}")
        remove_tree_files(tree.token, tree.directory)
        tree.words.state = STATE_ENDED
    finally:
        for byte in taken:
            unlock_byte(fd, byte)
    return True


def _parts(token: str) -> list[str]:
    """Paths of a tree's segments and spilled files, but for the tree segment itself."""
    found = []
    for place in (places.SHM, *places.spill_places(token)):
        with contextlib.suppress(OSError):
            found += [f"{place}/{name}" for name in os.listdir(place) if name.startswith(f"shmrerun-{token}.")]
    return found


def remove_tree_files(token: str, directory: str) -> None:
    """Remove a tree's directory, what names it in the runtime directory, and those directories that are then empty."""
    runtime = os.path.dirname(directory)
    _remove_keys(runtime, token)
    spilled = places.noted_spill(runtime, token)
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(directory), key=lambda name: name == "lock"):  # the lock last: who holds it is making or removing
            with contextlib.suppress(OSError):
                os.unlink(f"{directory}/{name}")
    _remove_directory(directory)
    for place in (spilled, f"{runtime}/spill", runtime):  # a kill may come between making the second and noting it
        if place:
            places.remove_empty(place)


def _remove_directory(directory: str) -> bool:
    """Remove a tree's directory with its marks, also where a process that is about to join the tree makes one meanwhile."""
    for _ in range(3):
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                if name.startswith(SAID):
                    os.unlink(f"{directory}/{name}")
            os.rmdir(directory)
            return True
    return False


def _remove_keys(runtime: str, token: str) -> None:
    """Remove the entries by which pools find a tree."""
    with contextlib.suppress(OSError):
        for name in os.listdir(runtime):
            path = f"{runtime}/{name}"
            with contextlib.suppress(OSError):
                if name.startswith("key-") and os.readlink(path).startswith(f"{token}:"):
                    os.unlink(path)


def remove_half_made(runtime: str, token: str, *, only_look: bool = False) -> bool:
    """Remove the directory of a tree whose maker was killed before the tree was one. False: it is being made, or it is a tree."""
    directory = f"{runtime}/{token}"
    try:
        fd = os.open(f"{directory}/lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return only_look or _remove_directory(directory)  # whoever is just making it makes it again
    except OSError:
        return False
    try:
        if not lock_byte(fd, BIRTH_BYTE):  # held by whoever makes or removes a tree
            return False
        try:
            segments.attach(f"shmrerun-{token}", TREE_MAGIC, TreeView.size).close()
        except (FileNotFoundError, segments.NotReadyError):
            pass
        except SegmentError:
            return False
        else:
            return False
        if not only_look:
            segments.unlink(f"shmrerun-{token}")
            remove_tree_files(token, directory)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


# ---- when a program starts


def notice(runtime: str) -> None:
    """Say once that a killed program left rows, and remove trees that hold nothing. By whoever makes a tree; never raises.

    Costs a directory listing where there are no other trees. Trees that this process has met are left alone: it may hold a lock.
    """
    try:
        others = [name for name in os.listdir(runtime) if name.isalnum() and name != "spill" and not places.has_met(name)]
        rows = files = 0
        for token in others[:NOTICED]:
            found = _left_behind(runtime, token)
            rows += sum(left.rows for left in found)
            files += sum(left.has_file for left in found)
        if rows:
            say_once("abandoned", f"a killed program left {rows:,} rows in shared memory: shmrerun recover")
        elif files:
            say_once("abandoned", "a killed program left an unfinished file: shmrerun recover")
    except Exception as error:
        say_once("notice", f"looking for what killed programs left: {type(error).__name__}: {error}")


def _left_behind(runtime: str, token: str) -> list[Left]:
    """What an abandoned tree holds; one that holds nothing is removed."""
    home = places.settle(token, runtime)
    try:
        tree = Tree.attach(home)
    except FileNotFoundError:
        remove_half_made(runtime, token)
        return []
    except GONE:
        return []
    try:
        if not is_abandoned(tree, patient=False):
            return []
        found = left_in(tree)
        if not any(left.rows or left.has_file for left in found):
            remove(tree, patient=False)  # an aggregator that is on its way finds nothing to do, and ends
        return found if is_abandoned(tree) else []
    finally:
        tree.close()


# ---- segments whose tree is gone


class Orphan(NamedTuple):
    """Segments and spilled files of one tree whose directory is gone and whose processes are gone."""

    token: str
    paths: tuple[str, ...]
    size_bytes: int


def orphans() -> list[Orphan]:
    """What is left of trees without a directory, and in no process's memory. Of trees that the present runtime directory would hold."""
    prefix = places.prefix_of(places.runtimes()[0])
    found: dict[str, list[str]] = {}
    for place in (places.SHM, *places.spills()):
        with contextlib.suppress(OSError):
            for name in os.listdir(place):
                token = places.token_of(name)
                if name.startswith("shmrerun-") and token.isalnum() and places.prefix_in(token) == prefix:
                    found.setdefault(token, []).append(f"{place}/{name}")
    for token in list(found):
        if any(os.path.lexists(f"{runtime}/{token}") for runtime in places.runtimes()) or _is_young(found[token]) or _has_process(token):
            del found[token]
    if not found:
        return []
    mapped = _mapped()
    return [Orphan(token, tuple(sorted(paths)), _size(paths)) for token, paths in sorted(found.items()) if token not in mapped]


def _is_young(paths: list[str]) -> bool:
    try:
        return max(os.stat(path).st_mtime for path in paths) > time.time() - ORPHAN_SECONDS
    except OSError:
        return True


def _has_process(token: str) -> bool:
    """Whether the tree segment names a process that lives, by pid and start time alone, or one that cannot be seen from here."""
    try:
        segment = segments.attach(f"shmrerun-{token}", TREE_MAGIC, TreeView.size)
    except (OSError, RuntimeError):
        return False
    tree = Tree(token, "/nonexistent", -1, segment)
    try:
        slots = [tree.process_slot(index) for index, claim in tree.claims() if claim & 0xFFFF_FFFF]
        mine = os.stat("/proc/self/ns/pid").st_ino
        if any((namespace and namespace != mine) or not process_gone(pid, started) for pid, _, started, namespace in slots):
            return True
        pid = tree.words.aggregator_pid
        return bool(pid) and not process_gone(pid, tree.words.aggregator_start)
    finally:
        segment.close()


def _mapped() -> set[str]:
    """Tokens of all trees of which any process has a segment in its memory."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/maps", encoding="utf-8", errors="replace") as file:
                found |= {places.token_of(line.rpartition("/")[2].split()[0]) for line in file if "/shmrerun-" in line}
    return found


def _size(paths: list[str]) -> int:
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += os.stat(path).st_blocks * 512
    return size


def remove_orphan(orphan: Orphan) -> None:
    """Remove what is left of a tree."""
    for path in orphan.paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
    for place in {os.path.dirname(path) for path in orphan.paths} - {places.SHM}:
        places.remove_empty(place)
    for runtime in places.runtimes():
        _remove_keys(runtime, orphan.token)


__all__ = [
    "GONE",
    "Left",
    "Orphan",
    "aggregator_is_live",
    "generations",
    "is_abandoned",
    "left_in",
    "notice",
    "orphans",
    "remove",
    "remove_half_made",
    "remove_orphan",
    "remove_tree_files",
    "rows_in_lane",
    "sessions",
    "trees",
    "trees_in",
]
