"""One session as the aggregator hosts it: its lanes in, chunks out, its sink table obeyed, its end.

A *turn* does everything once, in an order that the promises rest on: wishes are read before members, members before lanes, liveness
before tails; rows are written, then heads move, then ``scan_from``, then segments go. All that a successor needs is in the control
segment.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.aggregator.batcher import Batcher
from shmrerun.aggregator.feed import Feed
from shmrerun.aggregator.lanes import Lanes
from shmrerun.aggregator.notes import note_drops
from shmrerun.aggregator.writer import Writer
from shmrerun.shm import segments
from shmrerun.shm.session import open_session, session_name, wish_maker, wish_word
from shmrerun.shm.words import (
    SESSION_OWN_SINKS,
    STATE_ENDED,
    STATE_ENDING,
    STATE_OPEN,
    SWITCH_TICK_SET,
    WISH_FREE,
    WISH_MAKING,
    WISH_OPEN,
    WISH_VERB_MASK,
    HeadView,
    SessionView,
    SinkView,
)

if TYPE_CHECKING:
    from shmrerun.aggregator.descriptors import Descriptors
    from shmrerun.aggregator.served import LiveWorker
    from shmrerun.shm.tree import Tree

REPEAT_NANOS = 5_000_000_000  # the same message is not left twice within this
WAITING_NANOS = 2_000_000  # a wish that waits for a follower is looked at again after this


class Host:
    """A hosted session. One thread.

    Made anew after a turn that failed, in the process that was its host or in another one; ``failures``: so many did in a row.
    """

    def __init__(self, tree: Tree, serial: int, pool: Descriptors, live: LiveWorker, failures: int = 0) -> None:
        self.tree = tree
        self.token = tree.token
        self.directory = tree.directory
        self._live = live
        self.serial = serial
        self.failures = failures
        self.pool = pool
        self.segment = open_session(tree.token, serial)
        self.words = SessionView(self.segment)
        self.session_token = HeadView(self.segment).token
        self.ended = False
        self._turn = -1
        self._counted = -1
        self._said = ("", 0)
        self._hopper = _core.Hopper()
        self._hopper.next_tick = self.words.next_tick
        self._batcher = Batcher(
            self.words.flush_tick_nanos,
            self.words.flush_bytes,
            self.words.flush_rows,
            patient=not self.words.switches & SWITCH_TICK_SET,
        )
        self.feed = Feed(self, self.commit)
        self.lanes = Lanes(self, self._hopper, self._note)
        self._hopper.scanned_from = 0
        try:
            self.feed.resume()
        except BaseException:
            self.leave()
            raise
        self._writer = Writer(self, self._hopper, self._batcher, self.feed, self.words.unsorted_rows)

    # ---- a turn

    def turn(self, now: int, dead: set[int], *, end_all: bool = False) -> int | None:
        """Do all that is to do; returns when the next turn is due (CLOCK_MONOTONIC ns), None if only a request can bring work.

        ``dead``: process references known dead before this turn. ``end_all``: finish every file now (SIGTERM).
        """
        if self.words.state == STATE_ENDED:  # a predecessor died between the end and the removal
            self._remove()
            return None
        wanted = self.words.flush_wanted
        turn = self.words.sink_turn
        requests = self.feed.table.requests() if turn else []  # before the lanes: a row published before its wish is in it
        if turn != self._turn or requests or dead or self.lanes.changed:  # a lane may have grown between the count and a wish
            self._turn, self.lanes.changed = turn, False
            self.lanes.find()
            self._free_half_made(dead)
        first = [sink for sink in requests if sink.verb == WISH_OPEN] if self.feed.log is None else []
        for sink in first:  # nothing was written anywhere yet, so they need not wait for what draining imports
            self.feed.obey(sink, clean=True)
        self._batcher.is_watched = self.feed.followers.is_watched
        if self.feed.log is not None:
            self.feed.log.is_followed = len(self.feed.followers) > 0
        if self.feed.followers.is_served:
            self._live.look(now)
        self._writer.drain(self.lanes)
        flush = wanted != self.words.flush_done
        self.feed.look_at_file(now=flush or bool(requests))
        ending = self.lanes.all_left(dead)
        everything = flush or bool(requests) or ending or end_all
        clean = self._writer.flush(now, everything=everything, asked=everything)
        for sink in requests:
            if sink not in first:
                self.feed.obey(sink, clean=clean)
        if requests and self.feed.log is not None:
            clean = self._writer.flush(now, everything=True, asked=True)  # what had been buffered goes to the new sink at once
        if ending and self.feed.log is None:
            self.words.add(SessionView.dropped_limit, self._writer.drop_rest())
            clean = True
        self.commit()
        if end_all and clean:
            self.feed.complete()
        if flush and clean:
            self._count()
            self.words.flush_done = wanted
        self.lanes.remove_finished(dead)
        self._hopper.allocate_ahead()
        if ending and not self.lanes.seats:
            self._end()
        if self.ended:
            return None
        waiting = bool(requests) and bool(self.feed.table.requests())
        due = self._batcher.next_due()
        due = max(due, self._writer.retry) if due is not None else None
        return min(now + WAITING_NANOS, due or now + WAITING_NANOS) if waiting or (ending and not self.lanes.seats) else due

    def busy(self) -> bool:
        """Whether rows or requests wait, looked at after arming the doorbell (SYNC POINT wake, consumer's half)."""
        if self.words.flush_wanted != self.words.flush_done:
            return not self.feed.failing()
        return self.words.sink_turn != self._turn or self._hopper.has_news()

    def members(self) -> list[int]:
        """References of the processes that are members, as last read."""
        return [seat.owner for seat in self.lanes.seats]

    def has_member(self, ref: int) -> bool:
        """Whether a process is (still) a member."""
        return self.lanes.has_member(ref)

    def _free_half_made(self, dead: set[int]) -> None:
        """Sink entries whose maker died while it filled them."""
        gone = {ref >> 32 for ref in dead}
        for slot in range(SESSION_OWN_SINKS) if gone else ():
            entry = self.words.sink(slot)
            wish = entry.wish
            if wish & WISH_VERB_MASK == WISH_MAKING and wish_maker(wish) in gone:
                entry.swap(SinkView.wish, wish, wish_word((wish >> 32) + 1, WISH_FREE))

    # ---- commit

    def commit(self) -> None:
        """Heads, then scan_from: rows before a head are in the log; none at or behind a head lies before scan_from."""
        if self._counted != self._writer.rows:
            self._count()
        oldest = self._hopper.advance()
        self.feed.scanned(oldest)
        if dropped := self.feed.trim():
            self.words.add(SessionView.dropped_limit, dropped)
            who = self.feed.followers.waiting_for()
            why = (
                f"{who} does not take them, and what is kept for it is full"
                if who
                else "no sink takes them, and the buffer is full. Call save()"
            )
            self.say(f"{dropped:,} buffered rows were dropped, the oldest first, because the buffer is full: {why}")

    def _count(self) -> None:
        words, writer = self.words, self._writer
        words.rows, words.chunks, words.written_bytes = writer.rows, writer.chunks, writer.written_bytes
        self._counted = writer.rows
        self.lanes.count()

    def tried(self, ids: bytes, scanned_from: int) -> None:
        """The log has rows with these ids behind that offset: skip them."""
        if ids:
            self._hopper.seen = ids
        self._hopper.scanned_from = scanned_from

    def _note(self, owner: int, causes: dict[str, int]) -> None:
        if self.feed.log is None:
            return
        try:
            note_drops(self.feed.log, self.feed.seen, self.session_token, owner, causes)
        except OSError as error:
            self.feed.failed(error)

    # ---- the end

    def _end(self) -> None:
        """The last member is gone: footer, and nothing of the session remains; unless somebody joins at this moment."""
        self.words.state = STATE_ENDING
        _core.fence()  # SYNC POINT end: our state, fence, the slots; joiners: slot, fence, state
        self.lanes.find()
        if self.lanes.seats or not self.feed.end():
            self.words.state = STATE_OPEN
            return
        self.words.state = STATE_ENDED  # first: who waits for the end need not wait for us to live through the rest
        self._remove()

    def _remove(self) -> None:
        """Of an ended session: the segment, then its entry, so that whoever finds the entry finds out that it has ended."""
        segments.unlink(session_name(self.tree.token, self.serial))
        self.tree.remove_session(self.serial)
        self.ended = True

    def leave(self) -> None:
        """Let go of everything as it is, as a death would; another host goes on. Never raises."""
        self.feed.leave()

    def abandon(self, dead: set[int]) -> bool:
        """Give up a session that fails in every turn, once nobody is left in it: finish its file as far as it goes, remove its memory."""
        members = self.words.members()
        if any(owner and not left and owner not in dead for _, owner, _, _, left, _, _ in members):
            return False
        with contextlib.suppress(Exception):
            rows = sum(rows for _, rows, _ in self._hopper.pending())
            self.words.add(SessionView.dropped, rows)
            sys.stderr.write(f"gave up session {self.serial} with {rows} rows in its lanes\n")
        self.feed.give_up()
        self.lanes.unlink_all()
        self.words.state = STATE_ENDED
        self._remove()
        return True

    # ---- words to the owner

    def wake(self) -> None:
        """Ring the aggregator's bell."""
        self.tree.wake()

    def ring(self) -> None:
        """Ring the live worker's bell."""
        self._live.ring()

    def say(self, text: str) -> None:
        """Leave a message that the session's owner prints at its next call."""
        now = _core.monotonic()
        if text != self._said[0] or now > self._said[1] + REPEAT_NANOS:
            self._said = text, now
            self.words.add_message(text)
