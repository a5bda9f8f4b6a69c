"""What an importer gets: a file, where its rows go, and whom to tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from shmrerun import _core
from shmrerun.errors import ShmrerunError
from shmrerun.model import entity_paths
from shmrerun.model.batches import ComponentDescriptor
from shmrerun.producer.columns import send_columns
from shmrerun.producer.log import log_row
from shmrerun.producer.messages import send_messages
from shmrerun.producer.sinks import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shmrerun.producer.stream import Stream

MOST_BYTES = (1 << 31) - 1  # of a value: offsets of Arrow's lists have 32 bits
_SETTLE_BYTES = 64 << 20  # that an importer may be ahead of the log
_SETTLE_SECONDS = 600.0


class ImportFailedError(ShmrerunError):
    """A file cannot be read as what it says to be. What was read before is logged."""


class Request(NamedTuple):
    """What ``log_file_from_path`` was asked for. Can be pickled."""

    stream: Stream
    path: str  # as given
    source: str | int  # what to open: a path, or the descriptor of a file in memory
    prefix: str | None
    times: tuple[tuple[str, int, int], ...] | None  # of the calling thread (name, kind, value); None: static


class Task:
    """One file on its way into a recording.

    Parameters
    ----------
    request
        What was asked for.
    begun
        Called when rows have been logged, or are sure to be: the caller waits for that alone. May be called again.
    warn
        Called with a line for the user.
    paced
        Whether the importer waits while it is far ahead of the log: in a process of its own, which nothing waits for.
    """

    def __init__(self, request: Request, begun: Callable[[], None], warn: Callable[[str], None], *, paced: bool) -> None:
        self.request = request
        self.stream, self.path, self.source = request.stream, request.path, request.source
        self._begun, self._tell, self._paced = begun, warn, paced
        self._ahead = 0

    @property
    def entity_path(self) -> str:
        """The file's: its path below the prefix."""
        return self.below(self.path)

    @property
    def prefix(self) -> str:
        """The entity path of the prefix; empty without one."""
        return "" if self.request.prefix is None else entity_paths.canonical(self.request.prefix).rstrip("/")

    def below(self, path: str) -> str:
        """The entity path of a file: its parts, less what leads up or nowhere, below the prefix."""
        clean = os.path.normpath(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        return self.prefix + entity_paths.canonical([part for part in clean.split("/") if part not in ("", ".", "..")])

    def read(self) -> bytes:
        """The whole file. ImportFailedError: it is more than one value can hold; OSError."""
        with self.open() as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_BYTES:
                raise ImportFailedError(f"the file has {size:,} bytes, and one value holds {MOST_BYTES:,} at most: {self.path}")
            data: bytes = file.read(MOST_BYTES + 1)
            return data

    def open(self) -> Any:
        """The file, for reading. OSError."""
        return open(self.source, "rb", closefd=not isinstance(self.source, int))

    def log(self, entity_path: str, *entity: Any, static: bool = True) -> None:
        """Log one row. Errors of its values are raised."""
        log_row(self.stream, entity_path, entity[0], entity[1:], static, True)
        self.begun()

    def log_now(self, entity_path: str, entity: Any) -> None:
        """Log one row at the times of the calling thread, static without."""
        for name, kind, value in self.request.times or ():
            if name != "log_time":
                _core.put_time(self.stream.key, name, kind, value)
        self.log(entity_path, entity, static=self.request.times is None)

    def send_columns(self, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any]) -> None:
        """Log many rows. Errors of their values are raised."""
        columns = list(columns)
        send_columns(self.stream, entity_path, indexes, columns, True)
        self.begun()
        self.pace(sum(column.as_arrow_array().get_total_buffer_size() for column in columns))

    def send_messages(self, data: bytes | bytearray) -> None:
        """Log ready-made messages, as :func:`shmrerun.producer.messages.send_messages` does."""
        send_messages(self.stream, data)  # type: ignore[arg-type]
        self.begun()
        self.pace(len(data))

    def pace(self, size: int) -> None:
        """So many bytes more were logged: wait until they are in the log, now and then."""
        self._ahead += size
        if self._paced and self._ahead >= _SETTLE_BYTES:
            self._ahead = 0
            settle(self.stream, _SETTLE_SECONDS)

    def begun(self) -> None:
        """Let the caller go on."""
        self._begun()

    def warn(self, what: str | Exception) -> None:
        """Tell the user what is wrong with the file, though the rest of it can be used."""
        if isinstance(what, ImportFailedError):
            self._tell(f"{what}")
        else:
            self._tell(f"{what}: {self.path}" if isinstance(what, str) else f"{type(what).__name__}: {what}: {self.path}")

    def of(self, path: str) -> Task:
        """A task for another file of the same request."""
        return Task(self.request._replace(path=path, source=path), self._begun, self._tell, paced=self._paced)


def extension(path: str) -> str:
    """Extension in lower case, without the dot; empty for none."""
    stem, _, found = os.path.basename(os.path.normpath(path)).rpartition(".")
    return found.lower() if stem else ""


class Column:
    """A component of many rows, as ``send_columns`` takes it: a name, and a list array of a list a row."""

    def __init__(self, component: str, array: Any, archetype: str | None = None, component_type: str | None = None) -> None:
        self._descriptor = ComponentDescriptor(component, archetype=archetype, component_type=component_type)
        self._array = array

    def component_descriptor(self) -> Any:
        """Name, archetype and type of the component."""
        return self._descriptor

    def as_arrow_array(self) -> Any:
        """The lists."""
        return self._array


def columns_of_row(*archetypes: Any) -> list[Column]:
    """The components of one row of archetypes."""
    import pyarrow as pa

    found = []
    for batch in (batch for archetype in archetypes for batch in archetype.as_component_batches()):
        values, names = batch.as_arrow_array(), batch.component_descriptor()
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
        found.append(Column(names.component, lists, names.archetype, names.component_type))
    return found


def lists_of_one(values: Any, *, is_nullable: bool = True) -> Any:
    """An array with each value in a list of its own."""
    import numpy as np
    import pyarrow as pa

    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, values, type=pa.list_(pa.field("item", values.type, is_nullable)))


def bytes_lists(values: list[bytes]) -> Any:
    """Blobs as lists of bytes."""
    import pyarrow as pa

    raw = pa.array(values, pa.binary())
    offsets, data = raw.buffers()[1:]
    numbers = pa.Array.from_buffers(pa.uint8(), data.size if data else 0, [None, data or pa.py_buffer(b"")])
    starts = pa.Array.from_buffers(pa.int32(), len(values) + 1, [None, offsets])
    return pa.ListArray.from_arrays(starts, numbers, type=pa.list_(pa.field("item", pa.uint8(), nullable=False)))


Entities = list[tuple[str, list[Column]]]  # rows: what their entity has below its channel's, and columns


class Decoder(Protocol):
    """How the messages of a channel become columns."""

    timeline: str  # of the times that messages say by themselves

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        """Rows of a message: each the time that it says by itself, in nanoseconds, and a value for :meth:`columns`. ValueError."""

    def columns(self, values: list[Any]) -> Entities:
        """The components of rows."""

    def constants(self) -> list[Any]:
        """Archetypes that hold for the whole channel."""
