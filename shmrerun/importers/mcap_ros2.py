"""ROS 2 messages out of MCAP files: their definitions, and their values in the common data representation (CDR).

Source: the ROS 2 interface definition (``.msg``), DDS-XTypes 1.3 (plain CDR); which components they become: rerun-sdk 0.41.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.task import Column, lists_of_one

if TYPE_CHECKING:
    from shmrerun.importers.task import Entities

_NUMBERS = {  # NumPy code of each type
    "bool": "u1", "byte": "u1", "char": "u1", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4",
    "uint32": "u4", "int64": "i8", "uint64": "u8", "float32": "f4", "float64": "f8",
}  # fmt: skip
_FIELD = re.compile(r"([\w/]+)(?:<=\d+)?(\[(?:<=)?(\d*)\])?\s+([A-Za-z]\w*)\s*(=)?")
_SEPARATOR = re.compile(r"^=+\s*$", re.MULTILINE)
_MOST_DEEP = 60


class Field(NamedTuple):
    """A field of a message."""

    name: str
    type: str  # of a number, "string", or a message's full name
    is_list: bool
    size: int | None  # of a list of that many


Messages = dict[str, list[Field]]


def parse(name: str, text: str) -> tuple[str, Messages]:
    """The full name of a message, and the fields of it and of all that it is made of. ValueError: something is missing, or unknown."""
    parts = _SEPARATOR.split(text)
    texts = {_short(name): parts[0]}
    for part in parts[1:]:
        head, _, rest = part.strip().partition("\n")
        texts[_short(head.removeprefix("MSG:").strip())] = rest
    messages = {found: _fields(found, body, texts) for found, body in texts.items()}
    _check(_short(name), messages, 0)
    return _short(name), messages


def _short(name: str) -> str:
    """A message's name, as package and name alone."""
    words = name.split("/")
    return "/".join([words[0], words[-1]]) if len(words) > 1 else name


def _fields(message: str, text: str, known: dict[str, str]) -> list[Field]:
    found = []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        match = _FIELD.match(line)
        if match is None:
            raise ValueError(f"{message!r} has a line {line[:80]!r}")
        kind, is_list, count, name, is_constant = match.groups()
        if is_constant:
            continue
        if kind not in _NUMBERS and kind != "string":
            own = f"{message.partition('/')[0]}/{kind}" if "/" not in kind else _short(kind)
            if own not in known:
                raise ValueError(f"{message!r} has a field of type {kind!r}, which is not defined")
            kind = own
        found.append(
            Field(name, kind, bool(is_list), int(count) if count and "<=" not in line.partition(name)[0].rpartition("[")[2] else None)
        )
    return found


def _check(name: str, messages: Messages, depth: int) -> None:
    if depth > _MOST_DEEP:
        raise ValueError(f"messages hold one another, {name!r} among them")
    for field in messages[name]:
        if field.type in messages:
            _check(field.type, messages, depth + 1)


# ---- values


class Reader:
    """One message's bytes."""

    def __init__(self, messages: Messages, data: bytes) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] not in (0, 1, 6, 7):
            raise ValueError(f"not in CDR: it begins with {bytes(data[:4]).hex()}")
        self._messages, self._data, self._at = messages, data, 4
        self._order = "<" if data[1] & 1 else ">"
        self._byte_order: Any = "little" if data[1] & 1 else "big"
        self._most = 4 if data[1] >= 6 else 8  # that values are aligned to

    def message(self, name: str) -> dict[str, Any]:
        """Fields by name: numbers, texts, NumPy arrays, lists, messages. ValueError: the bytes end before."""
        return {field.name: self._field(field) for field in self._messages[name]}

    def _field(self, field: Field) -> Any:
        if not field.is_list:
            return self._one(field.type)
        count = field.size if field.size is not None else self._length()
        if field.type in _NUMBERS:
            return self._numbers(_NUMBERS[field.type], count)
        if count > len(self._data):
            raise ValueError(f"{field.name!r} has {count:,} values in {len(self._data):,} bytes")
        return [self._one(field.type) for _ in range(count)]

    def _one(self, kind: str) -> Any:
        if kind in _NUMBERS:
            found = self._numbers(_NUMBERS[kind], 1)[0].item()
            return bool(found) if kind == "bool" else found
        if kind == "string":
            size = self._length()
            return self._take(size).rstrip(b"\0").decode("utf-8", "replace")
        return self.message(kind)

    def _align(self, size: int) -> None:
        size = min(size, self._most)
        self._at = 4 + -(-(self._at - 4) // size) * size

    def _length(self) -> int:
        self._align(4)
        return int.from_bytes(self._take(4), self._byte_order)

    def _take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise ValueError(f"it ends at byte {len(self._data):,} of {self._at + size:,}")
        found = self._data[self._at : self._at + size]
        self._at += size
        return bytes(found)

    def _numbers(self, code: str, count: int) -> Any:
        import numpy as np

        kind = np.dtype(self._order + code)
        if count:
            self._align(kind.itemsize)
        if self._at + count * kind.itemsize > len(self._data):
            raise ValueError(f"it ends at byte {len(self._data):,} of {self._at + count * kind.itemsize:,}")
        found = np.frombuffer(self._data, kind, count, self._at).astype(code, copy=False)
        self._at += count * kind.itemsize
        return found


def stamp_of(message: dict[str, Any]) -> int | None:
    """The time that a message says of itself, in nanoseconds; None: it says none, or one before 1970."""
    header = message.get("header", message)
    stamp = header.get("stamp") if isinstance(header, dict) else None
    if not isinstance(stamp, dict) or "sec" not in stamp or "nanosec" not in stamp:
        return None
    found = int(stamp["sec"]) * 1_000_000_000 + int(stamp["nanosec"])
    return found if found >= 0 else None


# ---- messages of any type


class AnyMessage:
    """Each message as one struct."""

    timeline = "ros2_timestamp"

    def __init__(self, name: str, root: str, messages: Messages) -> None:
        self._archetype, self._root, self._messages = name.replace("/", "."), root, messages
        self._type = _struct(root, messages)

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        import pyarrow as pa

        return [("", [Column(f"{self._archetype}:message", lists_of_one(pa.array(values, self._type)), self._archetype)])]

    def constants(self) -> list[Any]:
        return []


def _struct(name: str, messages: Messages) -> Any:
    """The type of a message: all is there, but structs in lists may be null."""
    import pyarrow as pa

    fields = []
    for field in messages[name]:
        is_message = field.type in messages
        kind = _struct(field.type, messages) if is_message else _plain(field.type)
        if field.is_list:
            kind = pa.list_(pa.field("item", kind, nullable=is_message))
        fields.append(pa.field(field.name, kind, nullable=False))
    return pa.struct(fields)


def _plain(kind: str) -> Any:
    import numpy as np
    import pyarrow as pa

    if kind in ("bool", "string"):
        return pa.bool_() if kind == "bool" else pa.string()
    return pa.from_numpy_dtype(np.dtype(_NUMBERS[kind]))
