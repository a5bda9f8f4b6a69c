"""Values that are made from the table: one field each, a constructor that names it, and a property."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model import docs
from shmrerun.model.tables.components import ENCODINGS
from shmrerun.model.values.base import (
    TYPECODES,
    AnyValue,
    BlobValue,
    BoolValue,
    FloatValue,
    IntValue,
    TextValue,
    VectorValue,
)

if TYPE_CHECKING:
    from typing import Any

_made: dict[str, type[Any]] = {}


def encoding(name: str) -> type[Any]:
    """Return the class of an encoding with one field, made at the first call. KeyError: there is none."""
    found = _made.get(name)
    if found is None:
        found = _made.setdefault(name, one_field_class(name, *ENCODINGS[name]))  # two threads: both get the first one
    return found


def _property(slot: str, name: str) -> property:
    def get(self: Any) -> Any:
        value = getattr(self, slot)
        return self._numbers() if isinstance(self, VectorValue) else value

    return property(get, doc=f"The value's {name}.")


def generic_base(converter: str) -> type[Any]:
    """Return the class that values of this converter are made from."""
    if converter in TYPECODES:
        return VectorValue
    bases: dict[str, type[Any]] = {
        "float32": FloatValue, "float64": FloatValue, "uint16": IntValue, "uint32": IntValue, "uint64": IntValue,
        "time": IntValue, "video_time": IntValue, "bool": BoolValue, "text": TextValue, "blob": BlobValue,
    }  # fmt: skip
    return bases.get(converter, AnyValue)


def one_field_class(name: str, converter: str, field: str) -> type[Any]:
    """Make a class of single values with one field."""
    base = generic_base(converter)
    body: dict[str, Any] = {
        "__slots__": (),
        "__module__": "shmrerun.encodings",
        "__doc__": docs.encoding(name, converter, field),
        "_fields": (field,),
        "_converter": converter,
    }
    scope: dict[str, Any] = {"base": base}
    if base is TextValue:
        source = f"def __new__(cls, {field}):\n    return base.__new__(cls, {field})"
        if field != "value":
            body[field] = property(str.__str__, doc="The text.")
    else:
        source = f"def __init__(self, {field}):\n    base.__init__(self, {field})"
        body[field] = _property("_value", field)
    exec(source, scope)  # noqa: S102  our own table is the input
    method = "__new__" if base is TextValue else "__init__"
    body[method] = scope[method]
    return type(name, (base,), body)
