"""The lanes of one session as the aggregator reads them: members come and go, generations are opened, put aside, counted and unlinked.

Counting: a member's ``written`` names every row that it published, and each generation says how many came before it. So whatever
becomes of a lane (its memory was damaged, removed, or makes no sense), the rows that are missing are known exactly: between two
generations, or at the end of the member, what was written and not read is ``lost``; what was read, and neither waits nor is lost, is in the
log, whoever wrote it there. A generation that is read no more is *refused*: its producer goes on in the next one at its next row.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shmrerun.errors import SegmentError
from shmrerun.shm import segments
from shmrerun.shm.session import lane_name
from shmrerun.shm.words import LANE_MAGIC, LANE_OPEN, LaneView, SessionView

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun import _core
    from shmrerun.shm.tree import Tree


class Seat(NamedTuple):
    """A member slot as it was read."""

    slot: int
    owner: int
    newest: int
    intent: int
    left: int
    written: int
    oldest: int


class Reading(NamedTuple):
    """How far a generation was read; see ``Hopper.reader``."""

    closed: int
    tail: int
    read: int
    head: int
    pending: int
    waiting: int  # of these; the others are in the log already, behind one that is not
    done: int
    given_up: int
    rows_before: int
    rows_read: int  # -1: nothing since the aggregator took over
    broken: str | None


class _Account(NamedTuple):
    """Rows of a member in generations that are gone: in the log, and lost; and up to where its rows are accounted for."""

    rows: int
    lost: int
    position: int  # rows the member had written there; -1: not known yet


class Host(Protocol):
    """The session that lanes belong to."""

    tree: Tree
    serial: int
    session_token: bytes
    words: SessionView

    def say(self, text: str) -> None:
        """Leave a message for the owner."""


class Lanes:
    """Members and generations of one session. One thread."""

    def __init__(self, host: Host, hopper: _core.Hopper, note: Callable[[int, dict[str, int]], None]) -> None:
        self._host = host
        self._hopper = hopper
        self._note = note  # a member is gone, and rows of it are missing: by cause
        self.seats: list[Seat] = []
        self._readers: dict[tuple[int, int], int] = {}  # (member, generation) -> reader of the hopper; -1: cannot be read
        self._accounts: dict[int, _Account] = {}
        self._is_adopting = True  # until the members that a predecessor left were found
        self.changed = False  # a seat changed while it was looked at: look again

    # ---- finding

    def find(self) -> None:
        """Read the member table; open generations that are new."""
        self.seats = [Seat._make(words) for words in self._host.words.members()]
        for seat in self.seats:
            if seat.slot not in self._accounts:
                self._accounts[seat.slot] = self._found(seat)
            for generation in range(seat.oldest, min(seat.newest, seat.oldest + (1 << 20))):
                if (seat.slot, generation) not in self._readers:
                    self._open(seat, generation)
        self._is_adopting = False

    def _found(self, seat: Seat) -> _Account:
        """What a predecessor has counted of a member."""
        member = self._host.words.member(seat.slot)
        rows, lost = member.rows, member.lost
        return _Account(rows, lost, 0 if seat.oldest == 0 else -1)

    def _open(self, seat: Seat, generation: int) -> None:
        name = lane_name(self._host.tree.token, self._host.serial, seat.slot, generation)
        try:
            segment = segments.attach(name, LANE_MAGIC, LaneView.least, self._host.session_token)
            self._readers[seat.slot, generation] = self._hopper.add_reader(segment)
        except FileNotFoundError:
            if generation < seat.newest - 1 or self._was_finished(seat):
                self._readers[seat.slot, generation] = -1  # committed and unlinked by an aggregator that died right after
                if self._is_adopting and self._host.words.member(seat.slot).rows:
                    self._accounts[seat.slot] = self._accounts[seat.slot]._replace(position=-1)  # its rows are counted already
                return
            why = "somebody removed it"
        except (SegmentError, ValueError) as error:
            why = str(error)
        else:
            return
        self._readers[seat.slot, generation] = -1
        self._refuse(seat.slot, generation, why)

    def _was_finished(self, seat: Seat) -> bool:
        """Whether all rows of a member were in the log, or lost, before its newest generation went."""
        member = self._host.words.member(seat.slot)
        return member.written <= member.rows + member.lost

    def _refuse(self, member: int, generation: int, why: str) -> None:
        """A generation is read no more: tell its producer, and the owner."""
        view = self._host.words.member(member)
        if view.refused <= generation:
            view.refused = generation + 1
            self._host.say(f"a lane was put aside, and its rows from there on are lost: {why}. They are counted: shmrerun ps")

    def put_aside(self, reader: int) -> None:
        """A definition of the lane makes no sense."""
        self._hopper.put_aside(reader)

    def reading(self, reader: int) -> Reading:
        """How far a generation was read."""
        return Reading(*self._hopper.reader(reader))

    def refuse_broken(self) -> None:
        """After a pass: lanes that turned out to be damaged."""
        for (member, generation), reader in self._readers.items():
            if reader >= 0 and (broken := self.reading(reader).broken) is not None:
                self._refuse(member, generation, broken)

    # ---- counting

    def count(self) -> None:
        """Store rows in the log and rows lost of each member: what is gone, and what its generations come to now."""
        for seat in self.seats:
            account = self._accounts[seat.slot]
            rows, lost, waiting = account.rows, account.lost, 0
            for generation in range(seat.oldest, seat.newest):
                reader = self._readers.get((seat.slot, generation), -1)
                if reader >= 0:
                    reading = self.reading(reader)
                    rows += reading.done
                    lost += reading.given_up
                    waiting += reading.waiting
            missing, end = self._missing(seat)
            lost += missing
            if end >= 0:  # not what we wrote ourselves: a predecessor may have written rows that it did not come to count
                rows = end - waiting - lost
            member = self._host.words.member(seat.slot)
            if member.rows != rows:
                member.rows = rows
            if member.lost != lost:
                member.lost = lost

    def _missing(self, seat: Seat, until: int = -1) -> tuple[int, int]:
        """Rows between and behind what was read of a member's generations, which nobody will read any more, and where all that ends.

        ``until``: only up to a generation that is about to go. The end is how many rows the member had written there, -1: not known.
        """
        position = self._accounts[seat.slot].position
        written = self._host.words.member(seat.slot).written
        missing, open_end = 0, False
        for generation in range(seat.oldest, seat.newest if until < 0 else until + 1):
            reader = self._readers.get((seat.slot, generation), -1)
            if reader < 0:
                open_end = True  # what it had is known when the next one, or the end, says how many rows there were
                continue
            reading = self.reading(reader)
            if position >= 0:
                missing += max(0, reading.rows_before - position)
            position, open_end = self._end_of(reading, written), reading.broken is not None
        if not open_end or until >= 0:
            return missing, -1 if open_end else position
        if position >= 0:
            missing += max(0, written - position)
            position = max(written, position)
        return missing, position

    @staticmethod
    def _end_of(reading: Reading, written: int) -> int:
        """How many rows the member had written at the end of what was read of a generation; -1: not known."""
        if reading.rows_read >= 0:
            return reading.rows_before + reading.rows_read
        if reading.read == reading.tail and reading.broken is None:
            return -1 if reading.closed != LANE_OPEN else written  # all of it is in the log; how many, the next one knows
        return reading.rows_before

    # ---- the end of lanes and members

    def remove_finished(self, dead: set[int]) -> None:
        """Unlink generations whose rows are all in the log; free members that have none left and will make no more."""
        kept: list[Seat] = []
        for seat in self.seats:
            gone = seat.owner in dead
            oldest = seat.oldest
            while oldest < seat.newest and self._is_finished(seat, oldest, gone=gone or bool(seat.left)):
                self._remove(seat._replace(oldest=oldest), oldest)
                oldest += 1
                self._host.words.member(seat.slot).oldest = oldest
            seat = seat._replace(oldest=oldest)
            if oldest == seat.newest and (gone or seat.left) and self._free(seat, gone=gone):
                continue
            kept.append(seat)
        self.seats = kept

    def _is_finished(self, seat: Seat, generation: int, *, gone: bool) -> bool:
        reader = self._readers.get((seat.slot, generation), -1)
        if reader < 0:
            return gone or generation < seat.newest - 1
        reading = self.reading(reader)
        if reading.pending:
            return False
        if reading.broken is not None:
            return gone or generation < seat.newest - 1
        if reading.read != reading.tail or reading.head != reading.read:
            return False
        return reading.closed != LANE_OPEN or gone

    def _remove(self, seat: Seat, generation: int) -> None:
        account = self._accounts[seat.slot]
        missing, _ = self._missing(seat, generation)
        reader = self._readers.pop((seat.slot, generation), -1)
        name = lane_name(self._host.tree.token, self._host.serial, seat.slot, generation)
        if reader >= 0:
            reading = self.reading(reader)
            end = self._end_of(reading, self._host.words.member(seat.slot).written)
            lost = account.lost + reading.given_up + missing
            account = _Account(account.rows + reading.done if end < 0 else end - lost, lost, end)
            self._hopper.remove_reader(reader)
        self._accounts[seat.slot] = account
        size = 0
        with contextlib.suppress(OSError):
            size = segments.size_of(name)  # OSError: a file mapping, not of the budget
        if segments.unlink(name) and size:
            self._host.tree.give_budget(size)

    def _free(self, seat: Seat, *, gone: bool) -> bool:
        """Give a slot back. False: its process made a lane meanwhile, look again."""
        member = self._host.words.member(seat.slot)
        if gone and member.intent > seat.newest:  # died while making the next generation: remove what there is of it
            segments.unlink(lane_name(self._host.tree.token, self._host.serial, seat.slot, member.intent - 1))
            self._host.tree.recount = True
        if member.newest != seat.newest:
            self.changed = True
            return False
        account = self._accounts[seat.slot]
        if account.position >= 0:
            lost = account.lost + max(0, member.written - account.position)
            account = account._replace(rows=max(member.written, account.position) - lost, lost=lost)
        member.rows, member.lost = account.rows, account.lost
        causes = {"dropped_full": member.dropped_full, "dropped_size": member.dropped_size, "lost": account.lost}
        if any(causes.values()):
            self._note(seat.owner, causes)
            self._host.words.add(SessionView.dropped, sum(causes.values()))
        del self._accounts[seat.slot]
        member.free(seat.owner)
        return True

    def unlink_all(self) -> None:
        """The session is given up: remove every generation there may be."""
        for seat in (Seat._make(words) for words in self._host.words.members()):
            for generation in range(seat.oldest, max(seat.newest, seat.intent)):
                segments.unlink(lane_name(self._host.tree.token, self._host.serial, seat.slot, generation))
        self._host.tree.recount = True

    # ---- questions

    def all_left(self, dead: set[int]) -> bool:
        """Whether nobody is left who could log."""
        return all(seat.left or seat.owner in dead for seat in self.seats)

    def has_member(self, ref: int) -> bool:
        """Whether a process is (still) a member."""
        return any(seat.owner == ref for seat in self.seats)
