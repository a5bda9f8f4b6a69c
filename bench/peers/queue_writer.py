"""``multiprocessing.Queue``: workers put rows into it, one process takes them out and writes them with a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peers.base import Peer
from values import value

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import SpawnContext

    from peers.base import Finish, Log

    Write = Callable[[Any], None]  # what a worker has put: (entity path, step, value)


class QueueWriter(Peer):
    """What all have whose rows go through a queue; it has no limit, so workers never wait for the writer."""

    def start(self, context: SpawnContext) -> Any:
        queue: Any = context.Queue()
        self.pipe, far = context.Pipe()
        self.writer = context.Process(target=self._drain, args=(queue, far, self.files()[0], self.case, self.processes), daemon=True)
        self.writer.start()
        far.close()
        self.pipe.recv()  # the file is open; the end of the pipe raises EOFError
        return queue

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        def log(path: str, step: int) -> None:
            link.put((path, step, value(case, step)))

        def finish() -> None:
            link.put(None)
            link.close()
            link.join_thread()  # the thread that pickles; it sends after `put` has returned

        return log, finish

    @classmethod
    def _drain(cls, queue: Any, pipe: Any, path: str, case: str, processes: int) -> None:
        """Be the writer: until every worker has finished."""
        write, close = cls.writing(path, case)
        write(cls.first(case))  # libraries load much with their first row
        pipe.send("open")
        while processes:
            row = queue.get()
            if row is None:
                processes -= 1
            else:
                write(row)
        close()
        pipe.send("closed")

    @classmethod
    def first(cls, case: str) -> Any:
        """Return a row of another entity, which the writer has written when the clock starts."""
        return "warm", 0, value(case, 0)

    @staticmethod
    def writing(path: str, case: str) -> tuple[Write, Finish]:
        """Open the file, in the writer; returns what writes a row, and what closes the file, on the device."""
        raise NotImplementedError

    def complete(self) -> None:
        self.pipe.recv()

    def close(self) -> None:
        self.writer.terminate()  # its file is closed, unless a worker failed
        self.writer.join()
