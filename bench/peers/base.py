"""What a peer is: how rows get from many processes into files, and how they are counted there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from values import CASES

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import SpawnContext

    Log = Callable[[str, int], None]  # (entity path, step): logs the value of this step
    Finish = Callable[[], None]


class Peer:
    """One run of a peer, in the process that starts the workers. What a worker needs goes to it as a *link*."""

    title: ClassVar[str]
    stores: ClassVar[str]  # what is in the files of a row
    needs: ClassVar[tuple[str, ...]] = ()  # modules
    cases: ClassVar[tuple[str, ...]] = CASES

    def __init__(self, directory: str, case: str, processes: int) -> None:
        self.directory = directory
        self.case = case
        self.processes = processes

    def start(self, context: SpawnContext) -> Any:
        """Start what must run before the workers do; not timed. Returns the link."""
        return self.directory

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        """Open a worker's end, in the worker; not timed. ``finish`` is: it gives away what the worker still holds."""
        raise NotImplementedError

    def begin(self) -> None:
        """Look at what is to be compared with afterwards; the clock starts now."""

    def complete(self) -> None:
        """Wait until every row is in files that are on the device; the clock stops then."""
        raise NotImplementedError

    def close(self) -> None:
        """End what is still running, also where a worker failed; not timed."""

    def files(self) -> list[str]:
        """Return the finished files."""
        raise NotImplementedError

    def rows(self) -> int:
        """Read the files back and count the rows of entities below ``bench/``."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return what else is known of this run."""
        return {}
