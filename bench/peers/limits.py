"""No peers but limits: the same bytes copied in memory, written, written and synchronised, by as many processes."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

from peers.base import Peer
from subject import durable
from values import payload_bytes

if TYPE_CHECKING:
    from peers.base import Finish, Log

_BLOCK = 1 << 20
_RING = 64 << 20  # larger than caches, as a ring of rows is


class _Limit(Peer):
    """A row is so many bytes, nothing is made of them; they go in blocks of 1 MiB."""

    @staticmethod
    def blocks(case: str, put: Any) -> tuple[Log, Finish]:
        """Call ``put`` with each full block, and with what is left at the end."""
        row, block, waiting = payload_bytes(case), memoryview(os.urandom(_BLOCK)), 0

        def log(path: str, step: int) -> None:
            nonlocal waiting
            waiting += row
            while waiting >= _BLOCK:
                put(block)
                waiting -= _BLOCK

        return log, lambda: put(block[:waiting])

    def rows(self) -> int:
        return sum(map(os.path.getsize, self.files())) // payload_bytes(self.case)


class Write(_Limit):
    """A file each, left in the page cache."""

    title = "limit: write of the same bytes"
    stores = "a file each process: as many bytes as the values have, not on the device when the clock stops"

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        file = os.open(os.path.join(link, f"{number}.raw"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

        def put(block: memoryview) -> None:
            if os.write(file, block) != len(block):
                raise OSError("a write was cut short")

        log, finish = _Limit.blocks(case, put)
        return log, finish

    def complete(self) -> None:
        pass

    def files(self) -> list[str]:
        return sorted(glob.glob(os.path.join(self.directory, "*.raw")))


class WriteFsync(Write):
    """A file each, on the device."""

    title = "limit: write and fsync of the same bytes"
    stores = "a file each process: as many bytes as the values have"

    def complete(self) -> None:
        for path in self.files():
            durable(path)


class Memcpy(_Limit):
    """Into a ring of 64 MiB whose pages are there."""

    title = "limit: memcpy of the same bytes"
    stores = "nothing: as many bytes as the values have are copied in memory"

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        ring, at = memoryview(bytearray(os.urandom(_RING))), 0

        def put(block: memoryview) -> None:
            nonlocal at
            ring[at : at + len(block)] = block
            at = (at + _BLOCK) % _RING

        return _Limit.blocks(case, put)

    def complete(self) -> None:
        pass

    def files(self) -> list[str]:
        return []

    def rows(self) -> int:
        return -1  # nothing to be read back
