"""PLY files: points as Points3D or Points2D, GaussianSplats3D where a file has all properties of such, and meshes as they are.

Source: the PLY format (ascii and both binary forms); which properties mean what, as rerun-sdk 0.41 takes them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.task import ImportFailedError
from shmrerun.model.archetype import archetype_class
from shmrerun.model.tables.constants import MEDIA_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shmrerun.importers.task import Task

    Columns = dict[str, NDArray[Any] | list[bytes | None]]

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_HEADER_BYTES = 1 << 20
_SPLAT = ("x", "y", "z", "opacity", *(f"f_dc_{i}" for i in range(3)), *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)))
_HARMONICS = 15  # coefficients of the degrees 1 to 3


class _Property(NamedTuple):
    name: str
    type: str
    length: str | None  # type of the length of a list


class _Element(NamedTuple):
    name: str
    rows: int
    properties: list[_Property]

    @property
    def is_flat(self) -> bool:
        return all(found.length is None for found in self.properties)

    @property
    def is_faces(self) -> bool:
        """Whether these are the faces of a mesh."""
        lists = {found.name for found in self.properties if found.length is not None}
        return self.name == "face" and self.rows > 0 and bool(lists & {"vertex_indices", "vertex_index"})


def ply(task: Task) -> None:
    """Log the points or the mesh of a file. ImportFailedError: it is no PLY file, has no points, is cut off or damaged."""
    raw = task.read()
    try:
        order, elements, start = _header(raw)
        if any(element.is_faces for element in elements):
            archetype: Any = archetype_class("Asset3D")
            task.log(task.entity_path, archetype(contents=raw, media_type=MEDIA_TYPES["PLY"]))
            return
        vertex = next((element for element in elements if element.name == "vertex"), None)
        names = [] if vertex is None else [found.name for found in vertex.properties]
        if vertex is None or not {"x", "y"} <= {*names}:
            what = f"its vertices have {names}, not x and y" if vertex else f"it has no vertices, but {[e.name for e in elements]}"
            raise ValueError(what)
        columns = _vertices(raw, order, elements, start)
        (_splats if {*_SPLAT} <= {*names} else _points)(task, vertex, columns)
    except (ValueError, OverflowError) as error:
        raise ImportFailedError(f"cannot read the PLY file: {error}: {task.path}") from None


# ---- reading


def _header(raw: bytes) -> tuple[str, list[_Element], int]:
    """Byte order (empty for ascii), elements, offset of the data. ValueError."""
    if not raw.startswith(b"ply"):
        raise ValueError(f"it begins with {raw[:4]!r}, not with b'ply'")
    end = raw.find(b"end_header", 0, _HEADER_BYTES)
    if end < 0:
        raise ValueError("its header has no end_header")
    order: str | None = None
    elements: list[_Element] = []
    for line in raw[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2 and words[1] in _ORDERS:
            order = _ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit():
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) == 3 and words[1] in _TYPES:
            elements[-1].properties.append(_Property(words[2], _TYPES[words[1]], None))
        elif words[0] == "property" and elements and len(words) == 5 and words[1] == "list" and {words[2], words[3]} <= {*_TYPES}:
            elements[-1].properties.append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
        else:
            raise ValueError(f"its header has a line {line[:80]!r}")
    if order is None:
        raise ValueError("its header has no format")
    newline = raw.find(b"\n", end)
    return order, elements, newline + 1 if newline >= 0 else len(raw)


def _vertices(raw: bytes, order: str, elements: list[_Element], start: int) -> Columns:
    """The columns of the vertices by name. ValueError: there are less than the header says."""
    reader = _Binary(raw, order, start) if order else _Ascii(raw, start)
    for element in elements:
        if element.name == "vertex":
            return reader.flat(element) if element.is_flat else _by_rows(element, reader.rows(element))
        reader.skip(element)
    raise AssertionError


def _by_rows(element: _Element, rows: Iterator[list[Any]]) -> Columns:
    import numpy as np

    found: list[list[Any]] = [[] for _ in element.properties]
    for row in rows:
        for values, value in zip(found, row, strict=True):
            values.append(value)
    return {
        prop.name: np.array(values, prop.type) if prop.length is None else [bytes(v) if prop.type == "u1" else None for v in values]
        for prop, values in zip(element.properties, found, strict=True)
    }


class _Binary:
    def __init__(self, raw: bytes, order: str, start: int) -> None:
        self._raw, self._order, self._at = raw, order, start

    def flat(self, element: _Element) -> Columns:
        import numpy as np

        if not element.properties or not element.rows:
            return {prop.name: np.empty(0, prop.type) for prop in element.properties}
        row = np.dtype([(f"{i}", self._order + prop.type) for i, prop in enumerate(element.properties)])
        there = (len(self._raw) - self._at) // row.itemsize
        if there < element.rows:
            raise ValueError(f"it is cut off: {there:,} of {element.rows:,} of {element.name!r} are there")
        table = np.frombuffer(self._raw, row, element.rows, self._at)
        self._at += element.rows * row.itemsize
        return {prop.name: table[f"{i}"] for i, prop in enumerate(element.properties)}

    def rows(self, element: _Element) -> Iterator[list[Any]]:
        import numpy as np

        types = [(np.dtype(self._order + p.type), p.length and np.dtype(self._order + p.length)) for p in element.properties]
        for number in range(element.rows):
            row = []
            for kind, length in types:
                count = 1
                if length is not None:
                    count = int(self._take(length, 1, element, number)[0])
                values = self._take(kind, count, element, number)
                row.append(values if length is not None else values[0])
            yield row

    def _take(self, kind: Any, count: int, element: _Element, number: int) -> Any:
        import numpy as np

        size = kind.itemsize * count
        if count < 0 or self._at + size > len(self._raw):
            raise ValueError(f"it is cut off or damaged: {number:,} of {element.rows:,} of {element.name!r} are there")
        found = np.frombuffer(self._raw, kind, count, self._at)
        self._at += size
        return found

    def skip(self, element: _Element) -> None:
        if element.is_flat:
            self.flat(element)
        else:
            for _ in self.rows(element):
                pass


class _Ascii:
    """Elements of a text: one a line."""

    def __init__(self, raw: bytes, start: int) -> None:
        self._raw, self._at = raw, start

    def _line(self, element: _Element, number: int) -> list[bytes]:
        while self._at < len(self._raw):
            end = self._raw.find(b"\n", self._at)
            end = end if end >= 0 else len(self._raw)
            words = self._raw[self._at : end].split()
            self._at = end + 1
            if words:
                return words
        raise ValueError(f"it is cut off: {number:,} of {element.rows:,} of {element.name!r} are there")

    def flat(self, element: _Element) -> Columns:
        import io

        import numpy as np

        if not element.properties or not element.rows:
            return {prop.name: np.empty(0, prop.type) for prop in element.properties}
        row = np.dtype([(f"{i}", prop.type) for i, prop in enumerate(element.properties)])
        most = min(element.rows, len(self._raw))
        text = io.StringIO(self._raw[self._at :].decode("latin-1"))
        with warnings.catch_warnings(action="ignore"):  # of no rows at all
            table: NDArray[Any] = np.loadtxt(text, row, comments=None, max_rows=most, ndmin=1, usecols=range(len(element.properties)))
        if len(table) < element.rows:
            raise ValueError(f"it is cut off: {len(table):,} of {element.rows:,} of {element.name!r} are there")
        return {prop.name: table[f"{i}"] for i, prop in enumerate(element.properties)}

    def rows(self, element: _Element) -> Iterator[list[Any]]:
        for number in range(element.rows):
            words = iter(self._line(element, number))
            row: list[Any] = []
            try:
                for prop in element.properties:
                    one = float if prop.type[0] == "f" else int
                    if prop.length is None:
                        row.append(one(next(words)))
                    else:
                        row.append([one(next(words)) for _ in range(int(next(words)))])
            except (StopIteration, RuntimeError):
                raise ValueError(f"{element.name!r} {number:,} has less than its {len(element.properties)} values") from None
            yield row

    def skip(self, element: _Element) -> None:
        for number in range(element.rows):
            self._line(element, number)


# ---- meaning


def _floats(name: str, columns: Columns) -> NDArray[Any]:
    """A property in single precision. ValueError: it is a list."""
    import numpy as np

    column = columns[name]
    if isinstance(column, list):
        raise ValueError(f"its property {name!r} is a list, not a number")  # noqa: TRY004
    with np.errstate(over="ignore"):
        found: NDArray[Any] = column.astype(np.float32)
    return found


def _bytes(name: str, columns: Columns) -> NDArray[Any]:
    """A channel of a colour: floats are 0 to 1, integers are cut to 8 bits. ValueError: it is a list."""
    import numpy as np

    column = columns[name]
    if isinstance(column, list):
        raise ValueError(f"its property {name!r} is a list, not a number")  # noqa: TRY004
    if column.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            column = np.nan_to_num(np.clip(column * column.dtype.type(255), 0, 255))
    found: NDArray[Any] = column.astype(np.uint8)
    return found


def _points(task: Task, vertex: _Element, columns: Columns) -> None:
    import numpy as np

    axes = "xyz" if "z" in columns else "xy"
    archetype: Any = archetype_class("Points3D" if "z" in columns else "Points2D")
    colors = None
    if {"red", "green", "blue"} <= columns.keys():
        channels = [_bytes(name, columns) for name in ("red", "green", "blue")]
        channels.append(_bytes("alpha", columns) if "alpha" in columns else np.full(vertex.rows, 255, np.uint8))
        colors = np.stack(channels, axis=1)
    radii = _floats("radius", columns) if "radius" in columns else None
    given, labels = columns.get("label"), None
    if isinstance(given, list) and any(label is not None for label in given):
        labels = [label.decode("utf-8", "replace") if label is not None else "undef" for label in given]
    positions = np.stack([_floats(axis, columns) for axis in axes], axis=1)
    task.log(task.entity_path, archetype(positions, colors=colors, radii=radii, labels=labels))


def _splats(task: Task, _: _Element, columns: Columns) -> None:
    import numpy as np

    archetype: Any = archetype_class("GaussianSplats3D")
    centers = np.stack([_floats(axis, columns) for axis in "xyz"], axis=1)
    scales = _exp(np.stack([_floats(f"scale_{i}", columns) for i in range(3)], axis=1))
    w, x, y, z = (_floats(f"rot_{i}", columns) for i in range(4))
    norm = np.sqrt(w * w + x * x + y * y + z * z)
    with np.errstate(invalid="ignore", divide="ignore"):
        quaternions = np.stack([x / norm, y / norm, z / norm, w / norm], axis=1)
    quaternions[~(norm > 0)] = (0, 0, 0, 1)
    task.log(
        task.entity_path,
        archetype(
            centers, scales=scales, quaternions=quaternions, colors=_splat_colors(columns), sh_coefficients=_harmonics(task, columns)
        ),
    )


def _exp(values: NDArray[Any]) -> NDArray[Any]:
    """Rounded correctly, which NumPy's own in single precision is not."""
    import numpy as np

    with np.errstate(over="ignore"):
        found: NDArray[Any] = np.exp(values.astype(np.float64)).astype(np.float32)
    return found


def _splat_colors(columns: Columns) -> NDArray[Any]:
    """Colours out of the harmonics of degree 0, and the logit of the opacity."""
    import numpy as np

    def channel(values: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(invalid="ignore"):
            found: NDArray[Any] = np.nan_to_num(np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        return found

    weight = np.float32(0.5) * np.sqrt(np.float32(1) / np.float32(np.pi))
    found = [channel(np.float32(0.5) + weight * _floats(f"f_dc_{i}", columns)) for i in range(3)]
    found.append(channel(np.float32(1) / (np.float32(1) + _exp(-_floats("opacity", columns)))))
    return np.stack(found, axis=1)


def _harmonics(task: Task, columns: Columns) -> NDArray[Any] | None:
    """Coefficients of the degrees 1 to 3, which lie channel by channel in the file."""
    import numpy as np

    count, more = divmod(sum(name.startswith("f_rest_") for name in columns), 3)
    if more:
        task.warn(f"the harmonics of the splats are left out: {count * 3 + more} of f_rest_* are no three channels")
    if more or not count:
        return None
    if count > _HARMONICS:
        task.warn(f"harmonics above degree 3 are left out: {_HARMONICS} of {count} are kept")
    found = np.zeros((len(columns["x"]), _HARMONICS, 3), np.float16)
    for channel in range(3):
        for coefficient in range(min(count, _HARMONICS)):
            name = f"f_rest_{channel * count + coefficient}"
            if name in columns:
                found[:, coefficient, channel] = _floats(name, columns)
    return found
