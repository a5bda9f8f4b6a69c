"""What lies in an HDF5 file: groups, datasets and attributes, as Arrow data. Needs the package ``h5py``.

Nothing that a file says of sizes is trusted: rows are read by parts, and values that no chunk can hold are errors.

Source: what ``rerun.experimental.Hdf5Reader`` of rerun-sdk 0.41 makes of files, by experiment.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.task import MOST_BYTES, ImportFailedError, lists_of_one

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa

_NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_MOST_ITEMS = (1 << 31) - 1  # of a list whose length is part of its type
#: What h5py raises for files that are damaged, or not what they say.
DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, MemoryError)


class MissingError(KeyError):
    """There is no such object in the file."""


class Path(tuple[str, ...]):
    """Names from the root of the file to one of its objects."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> Path:
        """``/a/b``, or ``a/b``; the root is ``/``."""
        return cls(part for part in text.split("/") if part)

    def child(self, name: str) -> Path:
        """Of an object in this group."""
        return Path((*self, name))

    def is_below(self, other: Path) -> bool:
        """Whether it is the other one, or in it."""
        return self[: len(other)] == other

    def less(self, other: Path) -> Path:
        """The same from a group that it is in."""
        return Path(self[len(other) :])

    @property
    def raw(self) -> str:
        """What h5py calls it."""
        return "/" + "/".join(self)

    @property
    def texts(self) -> list[str]:
        """Its names as texts; bytes that are none are marked."""
        return [_text(name) for name in self]

    def __str__(self) -> str:
        return _text(self.raw)


class Dataset(NamedTuple):
    """A dataset: where it is, what it has.

    ``kind`` is a name of NumPy's types of numbers, ``string``, or ``unsupported``; ``shape`` is None where it has no values at all.
    """

    path: Path
    shape: tuple[int, ...] | None
    kind: str

    @property
    def is_column(self) -> bool:
        """Whether it has rows that are read."""
        return bool(self.shape) and self.kind != "unsupported"

    @property
    def row_bytes(self) -> int:
        """Of a row, about: texts have any length."""
        import numpy as np

        width = 16 if self.kind == "string" else np.dtype(self.kind).itemsize
        return max(1, math.prod((self.shape or ())[1:])) * width


class Contents(NamedTuple):
    """All that is in a group, and in those in it, in order of names: its datasets first, then its groups."""

    groups: list[Path]
    datasets: list[Dataset]
    attributes: list[tuple[Path, dict[str, Any]]]  # of groups and datasets that have any: values, unread ones as None
    problems: list[str]


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The file, for reading, whoever else has it open. ImportError: the package is missing; OSError: the file cannot be read."""
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 files need a package: pip install 'shmrerun[hdf5]'") from None
    with h5py.File(path, "r", locking=False) as file:
        yield file


def walk(file: Any, start: Path, ignored: tuple[Path, ...] = ()) -> Contents:
    """Look at all objects in a group. Links to other places are not followed, as in rerun-sdk. MissingError: there is no such group."""
    import h5py

    found = Contents([], [], [], [])
    group = file.get(start.raw) if start else file["/"]
    if not isinstance(group, h5py.Group):
        raise MissingError(f"there is no group {start} in the file")
    ahead: list[tuple[Path, Any, tuple[Any, ...]]] = [(start, group, ())]
    while ahead:
        path, group, above = ahead.pop()
        if path != start:
            found.groups.append(path)
        _note(found, path, group)
        inner = []
        for name in sorted(one.decode("utf-8", "surrogateescape") if isinstance(one, bytes) else one for one in group):
            at = path.child(name)
            if not isinstance(group.get(name, getlink=True), h5py.HardLink) or any(at.is_below(one) for one in ignored):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                _note(found, at, item)
                found.datasets.append(Dataset(at, item.shape, _kind(item)))
            elif isinstance(item, h5py.Group):
                if _address(item) in (*above, _address(group)):
                    found.problems.append(f"the group {at} is one of those that it is in, and is left out")
                else:
                    inner.append((at, item, (*above, _address(group))))
        ahead += reversed(inner)
    return found


def attributes_of(file: Any, path: Path) -> dict[str, Any]:
    """Attributes of an object, those that are not read as None. MissingError: there is no such object."""
    if path and path.raw not in file:
        raise MissingError(f"there is no object {path} in the file")
    return _attributes(file[path.raw])


def _note(found: Contents, path: Path, item: Any) -> None:
    if values := _attributes(item):
        found.attributes.append((path, values))


def _address(group: Any) -> Any:
    import h5py

    return h5py.h5o.get_info(group.id).addr


def _text(name: str | bytes) -> str:
    """A name as text; bytes of it that are none are marked."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def _kind(dataset: Any) -> str:
    import h5py

    dtype = dataset.dtype
    if h5py.check_string_dtype(dtype) is not None:
        return "string"
    return dtype.name if dtype.name in _NUMBERS and not h5py.check_enum_dtype(dtype) and not dtype.metadata else "unsupported"


# ---- attributes


def _attributes(item: Any) -> dict[str, Any]:
    """Numbers and texts as they are, arrays of them as flat arrays, lists of texts as lists."""
    found: dict[str, Any] = {}
    for name in sorted(item.attrs, key=_text):
        try:
            value = _value(item.attrs.get_id(name).dtype, item.attrs[name])
        except (OSError, TypeError, ValueError):  # a type that NumPy has no counterpart of
            value = None
        found[_text(name)] = value
    return found


def _value(dtype: np.dtype[Any], value: Any) -> Any:
    import h5py
    import numpy as np

    if h5py.check_string_dtype(dtype) is not None:
        if isinstance(value, h5py.Empty):
            return []
        if isinstance(value, np.ndarray):
            return [_decoded(one) for one in value.ravel().tolist()]
        return _decoded(value)
    if dtype.kind == "b":
        dtype = np.dtype(np.int8)
    if dtype.name not in _NUMBERS or h5py.check_enum_dtype(dtype) or dtype.metadata:
        return None
    if isinstance(value, h5py.Empty):
        return np.empty(0, dtype.name)
    numbers = np.asarray(value).astype(dtype.name)
    return numbers.ravel() if numbers.ndim else numbers[()]


def _decoded(value: Any) -> str:
    return _text(value if isinstance(value, bytes) else str(value))


def attribute_column(value: Any) -> pa.Array:
    """An attribute as the lists of a component with one row. None: it has no values."""
    import numpy as np
    import pyarrow as pa

    if isinstance(value, list | np.ndarray):
        items = pa.array(value, pa.string() if isinstance(value, list) else None)
        return lists_of_one(pa.FixedSizeListArray.from_arrays(items, len(items))) if len(items) else None
    return lists_of_one(pa.array([value], pa.string() if isinstance(value, str) else pa.from_numpy_dtype(value.dtype)))


# ---- datasets


def rows_of(file: Any, dataset: Dataset, first: int, last: int) -> pa.Array:
    """Values of some rows: numbers or texts, lists of fixed length of a dataset with two dimensions, flat lists of one with more.

    ImportFailedError: they are more than a chunk can hold; ``DAMAGED``: the file is.
    """
    import numpy as np
    import pyarrow as pa

    shape = dataset.shape or ()
    width = math.prod(shape[1:])
    if width * (last - first) > _MOST_ITEMS or dataset.row_bytes * (last - first) > MOST_BYTES:
        raise ImportFailedError(f"{last - first:,} rows of the dataset {dataset.path} of shape {shape} are more than a chunk can hold")
    item = file[dataset.path.raw]
    where = slice(first, last) if shape else ()
    if dataset.kind == "string":
        found = np.asarray(item.asstr(errors="replace")[where], object)
        flat = pa.array([_text(one) for one in found.ravel().tolist()], pa.string())
    else:
        flat = pa.array(np.ascontiguousarray(item[where], np.dtype(dataset.kind)).ravel())
    if len(flat) != width * (last - first):
        raise ImportFailedError(f"the dataset {dataset.path} has {len(flat):,} values where {width * (last - first):,} were expected")
    if len(shape) < 2:
        return flat
    if len(shape) == 2:
        return pa.FixedSizeListArray.from_arrays(flat, width)
    offsets = pa.array(np.arange(last - first + 1, dtype=np.int32) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, flat)
