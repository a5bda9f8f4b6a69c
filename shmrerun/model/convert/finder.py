"""Converters by name, and columns of archetypes: the one place that knows every converter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.batches import FieldBatch
from shmrerun.model.convert import blueprints, structs
from shmrerun.model.convert.annotations import make as annotation_contexts
from shmrerun.model.convert.buffers import is_arrow
from shmrerun.model.convert.converters import CONVERTERS
from shmrerun.model.convert.enums import enums
from shmrerun.model.parts import Column
from shmrerun.model.tables.archetypes import ALL

if TYPE_CHECKING:
    from typing import Any

    from shmrerun.model.convert.converters import Converter

    Parts = tuple[Any, ...]


def converter(name: str) -> Converter:
    """Return the converter of this name, made at the first call; ``"enum:ColorModel"`` converts to members of that enum."""
    found = CONVERTERS.get(name)
    if found is None:
        if name.startswith("enum:"):
            made = enums(name.removeprefix("enum:"))
        else:
            own = blueprints.make(name)
            made = own if own is not None else annotation_contexts() if name == "annotations" else structs.make(name)
        found = CONVERTERS.setdefault(name, made)  # two threads: both get the first one
    return found


def take(found: Converter, arrow: str, value: Any) -> Parts:
    """Convert a value (not None): batches and Arrow arrays of the right type as they are, others by rule."""
    if isinstance(value, FieldBatch):
        if value._column.arrow == arrow:
            return value._parts
        value = value.as_arrow_array()
    elif hasattr(value, "as_arrow_array") and not hasattr(value, "_converter"):
        value = value.as_arrow_array()
    if is_arrow(value):
        import pyarrow as pa

        from shmrerun.model.arrow_types import parts_of, type_text

        if not isinstance(value, pa.Array):
            value = pa.array(value)
        if type_text(value.type) == arrow:
            return parts_of(value)
    return found.convert(value)


def columns_of(archetype: str) -> tuple[Column, ...]:
    """Return the columns of an archetype's fields, in their order. KeyError: there is no such archetype."""
    spec = ALL[archetype]
    full = f"{spec.package}.archetypes.{archetype}"
    return tuple(Column(f"{archetype}:{field.name}", full, field.component_type, field.arrow) for field in spec.fields)
