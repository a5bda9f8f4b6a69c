"""What a server's readers get: the past in an order that is useful to them, then what comes, from one or several logs.

A :class:`History` knows of a log where its messages lie, by class: 16 bytes a message, nothing of their data. A :class:`Reading` is one
reader's way through: store infos and blueprints of all logs, static data, temporal data within the limit, and from then on the logs as they
grow. All of it is read from the logs' files when it is sent, so that a reader costs no memory, however late or slow it is.
"""

from __future__ import annotations

import asyncio
from array import array
from typing import TYPE_CHECKING

from shmrerun.framing import MESSAGE_HEADER_BYTES
from shmrerun.live.messages import PERSISTENT, STATIC, TEMPORAL, class_of
from shmrerun.shm.log_reader import LogReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shmrerun.shm.log_reader import Log, Message

QUOTA_BYTES = 256 << 10  # of one reader in a turn; then the others


class History:
    """Where the messages of one log lie."""

    def __init__(self, log: Log, number: int, limit: int) -> None:
        self.log, self.number = log, number
        self._limit = limit
        self._reader = LogReader(log, number)
        self.offsets = (array("q"), array("q"), array("q"))  # of persistent, static and temporal messages
        self._sizes = array("q")  # of temporal messages

    @property
    def end(self) -> int:
        """Everything before it is known."""
        return self._reader.offset

    async def scan(self) -> None:
        """Look at what the log has grown by; other tasks run in between. OSError: it cannot be read."""
        while self._reader.offset < self.log.size:
            start = before = self._reader.offset
            for message in self._reader.messages(1 << 20):
                offset = message.end - MESSAGE_HEADER_BYTES - len(message.payload)
                kind = class_of(message)
                self.offsets[kind].append(offset)
                if kind == TEMPORAL:
                    self._sizes.append(message.end - offset)
                before = message.end
            self._reader.advance(max(before, self._reader.read_until))
            if self._reader.offset == start:
                return
            await asyncio.sleep(0)

    def first_temporal(self) -> int:
        """Index of the first temporal message within the limit."""
        at, left = len(self._sizes), self._limit
        while at and left >= self._sizes[at - 1]:
            at -= 1
            left -= self._sizes[at]
        return at

    def close(self) -> None:
        """Close the descriptor."""
        self._reader.close()


class Reading:
    """One reader of some histories.

    Parameters
    ----------
    grown
        Gives what is set when a log grows from then on.
    is_ending
        Whether the reader is to end when it has what there is.
    """

    def __init__(
        self, histories: list[History], grown: Callable[[], asyncio.Event], is_ending: Callable[[], bool], *, newest_first: bool
    ) -> None:
        self._histories = histories
        self._grown, self._is_ending = grown, is_ending
        self._newest_first = newest_first
        self._readers: list[LogReader] = []
        self.has_all = False  # nothing was left when it looked last

    async def messages(self) -> AsyncIterator[Message]:
        """All that it gets, until it is to end."""
        try:
            for history in self._histories:
                await history.scan()
            self._readers = [LogReader(history.log, history.number, history.end) for history in self._histories]
            for kind in (PERSISTENT, STATIC):
                async for message in self._past(kind, newest_first=self._newest_first and kind == STATIC):
                    yield message
            async for message in self._past(TEMPORAL, newest_first=self._newest_first):
                yield message
            async for message in self._live():
                yield message
        finally:
            for reader in self._readers:
                reader.close()

    async def _past(self, kind: int, *, newest_first: bool) -> AsyncIterator[Message]:
        quota = QUOTA_BYTES
        for history, live in zip(self._histories, self._readers, strict=True):
            offsets = history.offsets[kind]
            start = history.first_temporal() if kind == TEMPORAL else 0
            stop = len(offsets)
            while stop and offsets[stop - 1] >= live.offset:  # found since this reader began: it comes live
                stop -= 1
            for at in range(stop - 1, start - 1, -1) if newest_first else range(start, stop):
                message = live.at(offsets[at])
                if message is None:
                    continue  # given back meanwhile
                yield message
                quota -= MESSAGE_HEADER_BYTES + len(message.payload)
                if quota <= 0:
                    quota = QUOTA_BYTES
                    await asyncio.sleep(0)

    async def _live(self) -> AsyncIterator[Message]:
        while True:
            grown, found = self._grown(), False
            for reader in self._readers:
                for message in reader.messages(QUOTA_BYTES):
                    found = True
                    yield message
                    reader.advance(message.end)
                reader.advance(reader.read_until)
            if found:
                await asyncio.sleep(0)
                continue
            self.has_all = True
            if self._is_ending():
                return
            await grown.wait()
            self.has_all = False
