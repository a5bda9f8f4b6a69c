"""The enums: classes made at first access from their members in ``_table``."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shmrerun.model.tables.components import ENCODED_ENUMS, ENUMS

if TYPE_CHECKING:
    from typing import Any, Self

    import pyarrow as pa


class EnumBase(Enum):
    """What the enums have in common: conversion from names and wire values."""

    @classmethod
    def auto(cls, value: Any) -> Self:
        """Return the member that ``value`` names: a member, a wire value, or a name in any case.

        Raises
        ------
        ValueError
            There is no such member.
        """
        if isinstance(value, cls):
            return value
        if hasattr(value, "__index__"):
            return cls(int(value))
        name = str(value)
        found = cls.__members__.get(name)
        if found is None:
            for member in cls:
                if member.name.lower() == name.lower():
                    return member
            raise ValueError(f"Cannot convert {value} to {cls.__name__}")
        return found

    def __str__(self) -> str:
        return self.name

    @classmethod
    def arrow_type(cls) -> pa.DataType:
        """Return the Arrow type of the wire values."""
        from shmrerun.model.arrow_types import parse_type
        from shmrerun.model.tables.components import arrow_of

        return parse_type(arrow_of(f"enum:{cls.__name__}"))

    @classmethod
    def component_type(cls) -> str:
        """Return the full name of the component."""
        return f"rerun.components.{cls.__name__}"


_made: dict[str, type[EnumBase]] = {}


def enum_class(name: str) -> type[EnumBase]:
    """Return the enum of this name, made at the first call. KeyError: there is none."""
    found = _made.get(name)
    if found is None:
        module = f"shmrerun.{'encodings' if name in ENCODED_ENUMS else 'components'}"
        made: Any = EnumBase(name, ENUMS[name], module=module)  # type: ignore[call-arg]
        found = _made.setdefault(name, made)  # two threads: both get the first one
    return found
