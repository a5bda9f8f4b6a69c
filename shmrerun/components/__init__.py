"""Single values of components, their batches, and the enums that constructors take.

``Name`` is one value, ``NameBatch`` several. Classes are made at first access from the tables; importing
this package costs nothing worth measuring and never imports NumPy or pyarrow. Types of values that are no components
of their own (``Vec3D``, ``Quaternion``) are in :mod:`shmrerun.encodings`; this module knows those names too.

Source: rerun-sdk 0.41.0 (names, members, wire values, Arrow types, as introspected).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables.components import COMPONENTS, ENCODINGS, ENUMS
from shmrerun.model.values import likes
from shmrerun.model.values.enums import EnumBase as EnumBase
from shmrerun.model.values.enums import enum_class as enum_class
from shmrerun.model.values.factory import OWN_LIKES, batch_class, component_class, encoding_class

if TYPE_CHECKING:
    from typing import Any

__all__ = sorted(  # noqa: PLE0605  the table is the list
    [*COMPONENTS, *(f"{name}Batch" for name in COMPONENTS), *likes.names_of(OWN_LIKES), "EnumBase", "enum_class"]
)


def __getattr__(name: str) -> Any:
    plain = name.removesuffix("Batch")
    if name in COMPONENTS:
        found = component_class(name)
    elif name in ENCODINGS or name in ENUMS:
        found = encoding_class(name)
    elif plain != name and plain in COMPONENTS:
        found = batch_class(plain)
    else:
        found = likes.alias(name, OWN_LIKES, component_class)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
