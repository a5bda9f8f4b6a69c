"""The enums: classes made at first access from their members in the table."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shmrerun.model import docs
from shmrerun.model.convert.enums import code_of
from shmrerun.model.convert.finder import converter
from shmrerun.model.tables.components import arrow_of
from shmrerun.model.tables.types import ENCODED_ENUMS, ENUMS, full_name, module_of

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
        return value if isinstance(value, cls) else cls(code_of(cls.__name__, value))

    def __str__(self) -> str:
        return self.name

    @classmethod
    def arrow_type(cls) -> pa.DataType:
        """Return the Arrow type of the wire values."""
        from shmrerun.model.arrow_types import parse_type

        return parse_type(arrow_of(f"enum:{cls.__name__}"))

    @classmethod
    def component_type(cls) -> str:
        """Return the full name of the component."""
        return full_name(cls.__name__)


_made: dict[str, type[EnumBase]] = {}


def enum_class(name: str) -> type[EnumBase]:
    """Return the enum of this name, made at the first call. KeyError: there is none."""
    found = _made.get(name)
    if found is None:
        module = module_of(name, encoding=name in ENCODED_ENUMS)
        made: Any = EnumBase(name, ENUMS[name], module=module)  # type: ignore[call-arg]
        made.__doc__ = docs.enum(name)
        found = _made.setdefault(name, made)  # two threads: both get the first one
        quick = converter(f"enum:{name}").quick
        quick[found] = {member: quick[int](member.value) for member in found}.__getitem__
    return found
