"""Ready-made messages that are in the log already: how records of them are written once, though an aggregator died.

Rows are known again by their row ids; a ready-made message carries none of its record's. But a record is written in order, and at once, so
what a dead aggregator left of it in the log is all of it, some of its messages from the first on (the write was torn, and the log was cut
at its last whole message), or nothing. A successor looks for the messages of a record that it reads again, one after the other, in the part
of the log that ``scan_from`` and the size at its start enclose, and writes what it does not find. Equal messages are told apart by their
places: each place answers for one record. One thread.
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b
from typing import TYPE_CHECKING

from shmrerun import framing

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGEST_BYTES = 16


class Replay:
    """The messages of a part of the log, by digest.

    Parameters
    ----------
    start, end
        Offsets of that part. It is read when the first record of messages wants to know, which in most recordings is never.
    """

    def __init__(self, start: int, end: int) -> None:
        self.end = end
        self._start = start
        self._places: dict[bytes, list[int]] | None = None

    def load(self, fd: int) -> dict[bytes, list[int]]:
        """Places of the messages in their order, by digest. Reads that part of the file, once. OSError."""
        if self._places is None:
            from shmrerun.rrd import decoder

            places: dict[bytes, list[int]] = {}
            for number, message in enumerate(decoder.scan(fd, self._start)):
                if message.end > self.end or message.kind == framing.END:
                    break
                head = framing.FRAME.pack(message.kind, message.payload_size)
                places.setdefault(_digest(head, decoder.read_payload(fd, message)), []).append(number)
            self._places = places
        return self._places

    def find(self, fd: int, messages: Sequence[memoryview]) -> list[int]:
        """Places of those messages of a record that the log has: from the first one on, in order."""
        places = self.load(fd)
        found: list[int] = []
        for message in messages:
            known = places.get(_digest(message), [])
            at = bisect_right(known, found[-1]) if found else 0
            if at == len(known):
                break
            found.append(known[at])
        return found

    def answered(self, messages: Sequence[memoryview], found: list[int]) -> None:
        """The record is in the log now: the places that were found are no other's."""
        if self._places is not None:
            for message, place in zip(messages, found, strict=False):
                self._places[_digest(message)].remove(place)


def _digest(*parts: bytes | memoryview) -> bytes:
    state = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        state.update(part)
    return state.digest()
