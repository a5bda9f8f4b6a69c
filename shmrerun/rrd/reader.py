"""Reading recordings back: ``read(path)`` and what it returns.

Source: names of rerun-sdk 0.41 (``RrdReader``, ``StoreEntry``, ``reader(index=, contents=)``), and of its older ``Recording`` and ``View``.
"""

from __future__ import annotations

import os
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun.errors import RerunWarning
from shmrerun.model.entity_paths import canonical
from shmrerun.rrd.contents import Column, Contents
from shmrerun.rrd.filters import EntityFilter
from shmrerun.rrd.stored import RrdFile
from shmrerun.rrd.view import AS_LOGGED, AsLogged, RecordingView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shmrerun.rrd.stored import StoreEntry


class Entity(NamedTuple):
    """What a recording holds of an entity.

    Attributes
    ----------
    entity_path : str
    num_rows : int
        Rows that were logged, static ones too.
    num_static_rows : int
    components : dict
        Name, such as ``"Points3D:positions"``, to the :class:`pyarrow.Field` of its column, with archetype and type in its metadata.
    timelines : tuple of str
        Those that any of its rows has a time on.

    """

    entity_path: str
    num_rows: int
    num_static_rows: int
    components: dict[str, pa.Field]
    timelines: tuple[str, ...]


class Timeline(NamedTuple):
    """What a recording holds on a timeline.

    Attributes
    ----------
    name : str
    type : pyarrow.DataType
        int64, ``timestamp[ns]`` or ``duration[ns]``.
    start, end : int, numpy.datetime64, numpy.timedelta64 or None
        Smallest and largest time; None without rows.
    num_rows : int
        Rows that have a time on it.

    """

    name: str
    type: pa.DataType
    start: Any
    end: Any
    num_rows: int


class Recording:
    """A recording in a file; :func:`read` returns it.

    It is a stream of Arrow data: ``pyarrow.table(recording)``, ``polars.DataFrame(recording)`` and the like get each row as it was
    logged, in the order of the file, with a column for each timeline and for each component of each entity. :meth:`view` sorts by a
    timeline and joins entities; ``recording["/points"]`` is the table of one entity.

    Attributes
    ----------
    path : str
    stores : tuple of StoreEntry
        All that the file holds; which one this is says ``store``.
    store : StoreEntry
        With ``kind``, ``application_id`` and ``recording_id``.
    is_complete : bool
        Whether the file was finished. One that is being written is read as far as it was when it was opened.
    problems : tuple of str
        What could not be read of a damaged file, in words.

    Notes
    -----
    The file stays open until :meth:`close`, the end of a ``with`` block, or the last reference. Safe to share between threads, to
    pickle (the copy opens the file again), and in forked children. Of a finished file only footer and wanted chunks are read; any
    other is decoded once, whole, when it is opened. About 100 bytes of memory for each chunk.
    """

    def __init__(self, path: str | os.PathLike[str], store: StoreEntry | None = None) -> None:
        self._file = file = RrdFile(path)
        self.path = file.path
        self.stores = tuple(stored.entry for stored in file.stores)
        self.is_complete = file.is_complete
        self.problems = tuple(file.problems)
        recordings = [entry for entry in self.stores if entry.kind == "recording"]
        if store is None and not self.stores:
            raise ValueError(f"The file holds no recording yet ({self.path})")
        wanted = store if store is not None else (recordings or list(self.stores))[0]
        if wanted not in self.stores:
            raise ValueError(f"The file has no store {wanted}; it has {', '.join(map(str, self.stores)) or 'none'} ({self.path})")
        self.store = self.stores[self.stores.index(wanted)]
        self._contents = Contents(file, file.stores[self.stores.index(wanted)])

    @property
    def application_id(self) -> str:
        """Name of the program that logged it."""
        return self.store.application_id

    @property
    def recording_id(self) -> str:
        """Which run of the program it is."""
        return self.store.recording_id

    @cached_property
    def entities(self) -> dict[str, Entity]:
        """What there is, by entity path: rows, components, timelines."""
        components: dict[str, dict[str, pa.Field]] = {}
        for column in self._contents.columns:
            components.setdefault(column.entity_path, {})[column.component] = column.field
        paths, owners = self._contents.owners
        total, static = (
            np.bincount(owners[chosen], self._contents.rows[chosen], len(paths)).astype(np.int64).tolist()
            for chosen in (slice(None), self._contents.static)
        )
        timelines: list[list[str]] = [[] for _ in paths]
        for name in self._contents.timelines:
            for owner in np.flatnonzero(np.bincount(owners[self._contents.spans(name)[2]])).tolist():  # unique() imports numpy.ma
                timelines[owner].append(name)
        return {
            path: Entity(path, total[at], static[at], components.get(path, {}), tuple(timelines[at]))
            for path, at in sorted(zip(paths, range(len(paths)), strict=True))
        }

    @cached_property
    def timelines(self) -> dict[str, Timeline]:
        """Timelines by name, with their ranges and rows."""
        found = {}
        counts = self._contents.rows
        for name, field in self._contents.timelines.items():
            first, last, has = self._contents.spans(name)
            start, end = (_time(first[has].min(), field.type), _time(last[has].max(), field.type)) if has.any() else (None, None)
            found[name] = Timeline(name, field.type, start, end, int(counts[has].sum()))
        return found

    @property
    def schema(self) -> pa.Schema:
        """Columns of the whole recording's table."""
        return self._all.schema

    @property
    def _all(self) -> RecordingView:
        return self._view(AS_LOGGED, None)

    def view(self, index: str | None, contents: str | Iterable[str] | None = None) -> RecordingView:
        """A table sorted by a timeline, with what was logged at the same time side by side.

        Parameters
        ----------
        index
            Name of the timeline. Rows without a time on it are not shown. None: one row with the static values, of each component
            the one that was logged last.
        contents
            Entities to show: an expression or several, such as ``"/robot/**"`` or ``["/**", "- /camera/**"]``; the most specific one
            that fits an entity decides. None: all. Those below ``/__properties`` only if an expression names them.

        Returns
        -------
        RecordingView
            Columns: the index, other timelines, then components named ``"/entity:Archetype:component"``.

        Raises
        ------
        KeyError
            There is no such timeline.
        ValueError, TypeError
            An expression that is none.

        Notes
        -----
        Every value that was logged is there: rows of one entity at one time share a row of the table as long as no component comes
        twice, and the next one begins a further row, in the order of the row ids (that of the calls). Rerun's own tables show only
        the latest of them. A time of another timeline is the greatest among the rows that are joined.

        """
        if index is not None and index not in self._contents.timelines:
            names = ", ".join(self._contents.timelines) or "none"
            raise KeyError(f"There is no timeline {index!r} in the recording; there are {names}")
        return self._view(index, contents)

    def __getitem__(self, entity_path: str) -> RecordingView:
        """The table of one entity: each row as it was logged, in the order of the file; static ones have no times.

        Columns: timelines, then components without the entity's path. KeyError: there is no such entity.
        """
        path = entity_path if entity_path in self.entities else canonical(entity_path)  # a file may have paths that are not canonical
        columns = [column for column in self._contents.columns if column.entity_path == path]
        if not columns and path not in self.entities:
            raise KeyError(f"There is no entity {path!r} in the recording; recording.entities has {len(self.entities)}")
        return RecordingView(self._contents, AS_LOGGED, columns, list(self.entities[path].timelines), is_short=True)

    def columns(self, *names: str, index: str | AsLogged | None = AS_LOGGED) -> RecordingView:
        """A table of some components.

        Parameters
        ----------
        names
            As in a table of the recording: ``"/points:Points3D:positions"``.
        index
            As for :meth:`view`; without one each row is by itself, in the order of the file.

        Raises
        ------
        KeyError
            There is no such column or timeline.

        Notes
        -----
        Only chunks of these entities are read.

        """
        view = self._view(index, "/**\n/__properties/**") if isinstance(index, AsLogged) else self.view(index, "/**\n/__properties/**")
        return view.select(*names)

    def chunks(self, contents: str | Iterable[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Iterate over the chunks as they were written, in the order of the file.

        Parameters
        ----------
        contents
            As for :meth:`view`, but None means all, properties too.

        Yields
        ------
        pyarrow.RecordBatch
            With row ids, times, components, and Rerun's metadata.

        Raises
        ------
        ValueError
            A chunk does not decode.

        """
        is_meant = EntityFilter(("/**", "/__properties/**") if contents is None else contents)
        places = [place for place in self._contents.places if is_meant(place.entity_path)]
        return (batch for _, batch in self._contents.batches(places))

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self._contents)

    def __bool__(self) -> bool:
        return True

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Every row as it was logged, as a stream of Arrow's C data interface."""
        return self._all.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns for Arrow's C data interface."""
        return self.schema.__arrow_c_schema__()

    def close(self) -> None:
        """Close the file. What is read after it raises ValueError."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Recording, (os.path.abspath(self.path), self.store)

    def __repr__(self) -> str:
        return f"Recording({self.path!r}, {self.store.application_id!r}, {self.store.recording_id!r}, {len(self)} chunks)"

    def _view(self, index: str | AsLogged | None, contents: str | Iterable[str] | None) -> RecordingView:
        is_meant = EntityFilter(contents)
        columns: list[Column] = [column for column in self._contents.columns if is_meant(column.entity_path)]
        timelines = list(self._contents.timelines)
        if index is None:
            columns = [column for column in columns if (column.field.metadata or {}).get(b"rerun:is_static") == b"true"]
            timelines = []
        elif isinstance(index, str):
            timelines.remove(index)
            timelines.insert(0, index)
        return RecordingView(self._contents, index, columns, timelines)


def _time(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return np.datetime64(int(value), "ns")
    return np.timedelta64(int(value), "ns") if pa.types.is_duration(kind) else int(value)


def read(path: str | os.PathLike[str], *, store: StoreEntry | None = None) -> Recording:
    """Open a recording that lies in a file.

    Parameters
    ----------
    path
        Of an ``.rrd`` or ``.rbl`` file: finished, being written, or what is left of one.
    store
        Which of the file's :attr:`Recording.stores`. None: the first recording, or the first blueprint of a file without one.

    Returns
    -------
    Recording

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no ``.rrd`` file, holds nothing yet, or has no such store.

    Warns
    -----
    RerunWarning
        Something in the file cannot be read: :attr:`Recording.problems` says what. All else is there.

    Notes
    -----
    A finished file of any size opens in milliseconds: only its footer is read. Needs no recording to be active.

    Examples
    --------
    >>> with read("run.rrd") as recording:  # doctest: +SKIP
    ...     table = pyarrow.table(recording.view("step", "/loss/**"))

    """
    recording = Recording(path, store)
    if recording.problems:
        warnings.warn(f"{recording.path}: {'; '.join(recording.problems[:5])}", RerunWarning, stacklevel=2)
    return recording
