"""HDF5 files as streams of chunks: :class:`shmrerun.experimental.Hdf5Reader`.

Source: names and behaviour of rerun-sdk 0.41.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.as_chunks import ChunkTask, chunks_of
from shmrerun.importers.hdf5 import DAMAGED, Contents, Dataset, MissingError, Path, attribute_column, attributes_of, opened, rows_of, walk
from shmrerun.importers.reader_arguments import there
from shmrerun.importers.task import Column, ImportFailedError, lists_of_one
from shmrerun.model.entity_paths import canonical
from shmrerun.model.time_columns import TimeColumn
from shmrerun.rrd.chunk_stream import LazyChunkStream

if TYPE_CHECKING:
    import os
    import pathlib

    from shmrerun.importers.index_column import IndexColumn

_MOST_BYTES, _MOST_ROWS = 2 << 20, 65_536  # of a chunk
_PROPERTIES = "__hdf5_properties"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset without reading it.

    Parameters
    ----------
    path
        In the file.
    shape
        Its dimensions; ``()`` for a single value.
    dtype
        NumPy's name of the numbers; ``"string"``; or ``"unsupported"``: left out by :meth:`Hdf5Reader.stream`.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str


class _Plan(NamedTuple):
    """What is to be read of a file."""

    contents: Contents
    timeline: Dataset | None
    rows: int


class Hdf5Reader:
    """Chunks of an HDF5 file. Needs the extra ``hdf5``. FileNotFoundError: there is no such file.

    Parameters
    ----------
    path
        Of the file.

    Notes
    -----
    Links to other places of the file, or to other files, are not followed. Each call opens the file by itself, without locks, so
    readers can be shared by threads and processes. HDF5's own library reads the file: of files that somebody made to do harm, expect
    of this reader no more than of ``h5py``.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = there(path, "HDF5 file")

    @property
    def path(self) -> pathlib.Path:
        """Of the file."""
        return self._path

    def groups(self, path: str = "/") -> list[str]:
        """Paths of all groups in a group. KeyError: there is no such group; ValueError: the file cannot be read."""
        return [str(group) for group in self._walked(path).groups]

    def datasets(self, path: str = "/") -> list[DatasetInfo]:
        """All datasets in a group, and in those in it. KeyError: there is no such group; ValueError: the file cannot be read."""
        return [DatasetInfo(str(one.path), one.shape or (), one.kind) for one in self._walked(path).datasets]

    def attributes(self, path: str = "/") -> dict[str, Any]:
        """Attributes of a group or dataset: numbers, texts, lists of them; bytes of uint8; those of other types are left out.

        KeyError: there is no such object; ValueError: the file cannot be read.
        """
        try:
            with opened(self._path) as file:
                found = attributes_of(file, Path.of(path))
        except DAMAGED as error:
            raise self._error(error) from None
        return {name: _plain(value) for name, value in found.items() if value is not None}

    def _walked(self, path: str) -> Contents:
        try:
            with opened(self._path) as file:
                return walk(file, Path.of(path))
        except DAMAGED as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> Exception:
        if isinstance(error, MissingError):
            return KeyError(f"{error.args[0]}: {self._path}")
        return ValueError(f"cannot read the HDF5 file: {type(error).__name__} {error}: {self._path}")

    def stream(
        self,
        *,
        root_group: str | None = None,
        entity_path_prefix: str | None = None,
        index_column: IndexColumn | None = None,
        ignore_datasets: list[str] | None = None,
        use_structs: bool = True,
    ) -> LazyChunkStream:
        """Chunks of the file, a part of each group's rows after the other.

        A group is an entity. Its datasets have a row for each index of their first dimension: a value, a list of fixed length of
        those with two dimensions, a flat list of those with more. Datasets without dimensions are static. Attributes are static
        components of entities below ``/__hdf5_properties``.

        Parameters
        ----------
        root_group
            What is taken for the whole file; all paths are those in it.
        entity_path_prefix
            What is before all entities.
        index_column
            The dataset, of one dimension and numbers, that is the timeline of all others, under its name. Without: ``row_index``, the
            number of the row.
        ignore_datasets
            Datasets, and groups with all in them, that are left out.
        use_structs
            Whether several datasets of a group are one component ``data``, a struct; else each is one.

        Raises
        ------
        ImportError
            ``h5py`` is missing.
        ValueError
            The file is none, there is no such group or index, or datasets have different numbers of rows. While the stream is read:
            the file is damaged; what comes before was given out.

        """
        root = Path.of(root_group or "/")
        ignored = tuple(Path((*root, *Path.of(one))) for one in ignore_datasets or ())
        try:
            with opened(self._path) as file:
                _plan(file, root, ignored, index_column)
        except ImportFailedError as error:
            raise ValueError(f"{error}: {self._path}") from None
        except DAMAGED as error:
            raise ValueError(f"cannot read the HDF5 file: {type(error).__name__} {error}: {self._path}") from None

        def load(task: ChunkTask) -> None:
            try:
                with opened(self._path) as file:
                    _load(task, file, root, _plan(file, root, ignored, index_column), index_column, use_structs=use_structs)
            except ImportFailedError as error:
                raise ImportFailedError(f"{error}: {task.path}") from None
            except DAMAGED as error:
                raise ImportFailedError(f"cannot read the HDF5 file any further: {type(error).__name__} {error}: {task.path}") from None

        return LazyChunkStream(lambda: chunks_of(str(self._path), entity_path_prefix, load))

    def __repr__(self) -> str:
        return f"Hdf5Reader({self._path})"


def _plain(value: Any) -> Any:
    """A value of an attribute as Python has it."""
    if isinstance(value, list | str):
        return value
    return value.tobytes() if value.ndim and value.dtype.name == "uint8" else value.tolist()


def _plan(file: Any, root: Path, ignored: tuple[Path, ...], index: IndexColumn | None) -> _Plan:
    """Look at the file. ImportFailedError: it is not laid out as wanted."""
    try:
        contents = walk(file, root, ignored)
    except MissingError:
        raise ImportFailedError(f"there is no group {root} in the file") from None
    chosen = None
    if index is not None:
        wanted = Path((*root, *Path.of(index.path)))
        chosen = next((one for one in contents.datasets if one.path == wanted), None)
        if chosen is None:
            raise ImportFailedError(f"there is no dataset {wanted}, which is to be the timeline")
        if len(chosen.shape or ()) != 1 or chosen.kind in ("string", "unsupported"):
            what = f"it has the shape {chosen.shape}, and its values are of type {chosen.kind}"
            raise ImportFailedError(f"the dataset {wanted} cannot be the timeline, which has one dimension, and numbers: {what}")
    columns = [one for one in contents.datasets if one.is_column and one != chosen]
    first = chosen if chosen is not None else columns[0] if columns else None
    rows = first.shape[0] if first is not None and first.shape else 0
    others = [f"{one.path.less(root)} (shape {one.shape})" for one in columns if one.shape and one.shape[0] != rows]
    if others:
        told = ", ".join(others[:20]) + (f", and {len(others) - 20:,} more" if len(others) > 20 else "")
        raise ImportFailedError(f"these datasets do not have {rows:,} rows, as the timeline has; name them in ignore_datasets: {told}")
    return _Plan(contents, chosen, rows)


def _load(task: ChunkTask, file: Any, root: Path, plan: _Plan, index: IndexColumn | None, *, use_structs: bool) -> None:
    contents = plan.contents
    unread = [f"{one.path} ({file[one.path.raw].dtype})" for one in contents.datasets if one.kind == "unsupported"]
    unread += [f"the attribute {name!r} of {path}" for path, values in contents.attributes for name, one in values.items() if one is None]
    unread += [f"{one.path} (shape {one.shape})" for one in contents.datasets if one.kind != "unsupported" and _is_empty(one)]
    for problem in (*contents.problems, *([f"left out, for what they have: {', '.join(unread[:20])}"] if unread else [])):
        task.warn(problem)

    def entity(path: Path, *before: str) -> str:
        return task.prefix + canonical([*before, *path.less(root).texts])

    for path, values in contents.attributes:
        arrays = {name: attribute_column(value) for name, value in values.items() if value is not None}
        columns = [Column(name, array) for name, array in arrays.items() if array is not None]
        if columns:
            task.send_columns(entity(path, _PROPERTIES), [], columns)
    wanted = [one for one in contents.datasets if one != plan.timeline and one.kind != "unsupported" and not _is_empty(one)]
    for group, datasets in itertools.groupby(wanted, key=lambda one: Path(one.path[:-1])):
        found = list(datasets)
        rows, single = [one for one in found if one.shape], [one for one in found if not one.shape]
        if rows:
            _timed(task, file, entity(group), rows, plan, index, use_structs=use_structs)
        if single:
            columns = [Column(one.path.texts[-1], lists_of_one(rows_of(file, one, 0, 1))) for one in single]
            task.send_columns(entity(group), [], columns)


def _is_empty(dataset: Dataset) -> bool:
    """Whether it has nothing to show: no dataspace, or rows of no values with a fixed length of 0."""
    return dataset.shape is None or (len(dataset.shape) == 2 and dataset.shape[1] == 0)


def _timed(
    task: ChunkTask, file: Any, entity_path: str, datasets: list[Dataset], plan: _Plan, index: IndexColumn | None, *, use_structs: bool
) -> None:
    """Make chunks of the rows of a group's datasets."""
    import numpy as np
    import pyarrow as pa

    step = min(_MOST_ROWS, *(max(1, _MOST_BYTES // one.row_bytes) for one in datasets))
    for first in range(0, plan.rows, step):
        last = min(first + step, plan.rows)
        if plan.timeline is None or index is None:
            times = TimeColumn("row_index", sequence=np.arange(first, last))
        else:
            name = plan.timeline.path.texts[-1]
            batch = pa.record_batch([rows_of(file, plan.timeline, first, last)], [name])
            times = dataclasses.replace(index, path=name)._of(batch)
        arrays = {one.path.texts[-1]: rows_of(file, one, first, last) for one in datasets}
        if use_structs and len(arrays) > 1:
            arrays = {"data": pa.StructArray.from_arrays(list(arrays.values()), list(arrays))}
        task.send_columns(entity_path, [times], [Column(name, lists_of_one(array)) for name, array in arrays.items()])
