"""Enums as their facts in the tables have them: from members, wire values and names to wire values and parts.

The classes of the enums (``values.enums``) add themselves to the quick tables here.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING

from shmrerun.model.convert.converters import EMPTY, Converter
from shmrerun.model.tables.components import arrow_of
from shmrerun.model.tables.types import ENUMS

if TYPE_CHECKING:
    from typing import Any

    Parts = tuple[Any, ...]


def code_of(name: str, value: Any) -> int:
    """Return the wire value of what names a member: a member of any enum, a wire value, or a name in any case.

    Raises
    ------
    ValueError
        There is no such member.
    """
    members = ENUMS[name]
    if isinstance(value, Enum):
        value = value.value
    if hasattr(value, "__index__"):
        if value not in members.values():
            raise ValueError(f"{value} is not a valid {name}")
        return int(value)
    text = str(value)
    found = members.get(text)
    if found is None:
        found = next((code for key, code in members.items() if key.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"Cannot convert {value} to {name}")
    return found


def enums(name: str) -> Converter:
    """Make the converter of an enum: members, wire values, names, or sequences of them."""
    pack = Struct("<I" if arrow_of(f"enum:{name}") == "uint32" else "B").pack

    def convert(value: Any) -> Parts:
        if isinstance(value, str | int | Enum):
            value = (value,)
        codes = [pack(code_of(name, getattr(item, "value", item))) for item in value]
        return len(codes), None, b"".join(codes)

    known: dict[Any, Parts] = {}
    for key, code in ENUMS[name].items():
        known.update(dict.fromkeys((code, key, key.lower(), key.upper()), (1, None, pack(code))))
    return Converter(convert, EMPTY, 1, {str: known.__getitem__, int: known.__getitem__})
