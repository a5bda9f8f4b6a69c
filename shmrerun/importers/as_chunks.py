"""What importers make of a file, as chunks in hand instead of rows in a recording."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any

from shmrerun.errors import RerunWarning, _emit
from shmrerun.importers.task import ImportFailedError, Request, Task, columns_of_row
from shmrerun.rrd.chunk_object import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AHEAD = 8  # chunks that are read before they are asked for


class _StoppedError(Exception):
    """Nobody wants any more chunks."""


class ChunkTask(Task):
    """A file whose rows become chunks.

    Parameters
    ----------
    path
        Of the file or directory.
    prefix
        What is before all entities; None: nothing.
    put
        Called with each :class:`Chunk`, and with each warning, a text.
    """

    def __init__(self, path: str, prefix: str | None, put: Callable[[Any], None]) -> None:
        nobody: Any = None
        super().__init__(Request(nobody, path, path, prefix, None), lambda: None, put, paced=False)
        self._put = put

    def log(self, entity_path: str, *entity: Any, static: bool = True) -> None:
        """Make a static chunk of archetypes."""
        self._put(Chunk.from_columns(entity_path, [], columns_of_row(*entity)))

    def send_columns(self, entity_path: str, indexes: Any, columns: Any) -> None:
        """Make a chunk of columns."""
        self._put(Chunk.from_columns(entity_path, indexes, columns))


def chunks_of(path: str, prefix: str | None, load: Callable[[ChunkTask], None]) -> Iterator[Chunk]:
    """Chunks of a file, some of them read ahead by a thread, which ends with the iterator.

    Parameters
    ----------
    path, prefix
        As of :class:`ChunkTask`.
    load
        The importer.

    Raises
    ------
    ValueError
        The file is damaged; what comes before was given out.
    OSError
        It cannot be read.

    """
    found: queue.Queue[Any] = queue.Queue(_AHEAD)
    is_over = threading.Event()

    def put(item: Any) -> None:
        while not is_over.is_set():
            try:
                found.put(item, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _StoppedError

    def run() -> None:
        try:
            load(ChunkTask(path, prefix, put))
            put(None)
        except _StoppedError:
            pass
        except BaseException as error:
            with contextlib.suppress(_StoppedError):
                put(error)

    thread = threading.Thread(target=run, name="shmrerun reader", daemon=True)
    thread.start()
    try:
        while (item := found.get()) is not None:
            if isinstance(item, str):
                _emit(item, RerunWarning)
            elif isinstance(item, ImportFailedError):
                raise ValueError(str(item)) from None  # noqa: TRY004  # what a file's content deserves
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        is_over.set()
        thread.join()
