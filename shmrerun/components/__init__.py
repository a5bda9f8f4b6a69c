"""Single values of components, their batches, and the enums that constructors take.

``Name`` is one value, ``NameBatch`` several. Classes are made at first access from the rows of ``_table``; importing
this package costs nothing worth measuring and never imports NumPy or pyarrow. Types of values that are no components
of their own (``Vec3D``, ``Quaternion``) are in :mod:`shmrerun.encodings`; this module knows those names too.

Source: rerun-sdk 0.41.0 (names, members, wire values, Arrow types, as introspected).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.components import _likes
from shmrerun.components._enums import EnumBase as EnumBase
from shmrerun.components._enums import enum_class
from shmrerun.components._table import COMPONENTS, ENCODED_ENUMS, ENCODINGS, ENUMS, arrow_of

if TYPE_CHECKING:
    from typing import Any


_WRITTEN = {  # encodings that are written out, with their modules
    **dict.fromkeys(
        ("Angle", "Mat3x3", "Mat4x4", "Plane3D", "Quaternion", "RotationAxisAngle", "ViewCoordinates"), "_shapes",
    ),
    **dict.fromkeys(("ImageFormat", "Rgba32", "TensorBuffer", "TensorData"), "_media"),
    **dict.fromkeys(("AbsoluteTimeRange", "TimeInt", "TimeRange", "TimeRangeBoundary", "VisibleTimeRange"), "_times"),
    **dict.fromkeys(
        (
            "AnnotationInfo", "ChannelCountPair", "ClassDescription", "ClassDescriptionMapElem", "KeypointPair",
            "Range2D", "TensorDimensionIndexSelection", "TensorDimensionSelection", "Utf8Pair",
        ),
        "_annotations",
    ),
}  # fmt: skip
_MIXINS = {  # components with something of their own: module and class
    "AnnotationContext": "_annotations:AnnotationContext",
    "ClearIsRecursive": "_annotations:ClearIsRecursive",
    "Color": "_media:Color",
    "GeoLineString": "_annotations:GeoLineString",
    "KeyValuePairs": "_annotations:KeyValuePairs",
    "MediaType": "_media:MediaType",
    "Radius": "_shapes:Radius",
    "Scale3D": "_shapes:Scale3D",
    "VideoTimestamp": "_times:VideoTimestamp",
    "ViewCoordinates": "_shapes:LoggableView",
}
_FINISH = {  # called with the class when it is made: constants
    "MediaType": "_media:finish_media_type",
    "Plane3D": "_shapes:finish_plane",
    "TextLogLevel": "_media:finish_level",
    "ViewCoordinates": "_shapes:finish_view",
}
_ONLY_FIELDS = {  # fields of components without an encoding
    "AnnotationContext": "class_map", "ChannelMessageCounts": "counts", "GeoLineString": "lat_lon",
    "KeyValuePairs": "pairs", "LineStrip2D": "points", "LineStrip3D": "points",
}  # fmt: skip

_OWN_LIKES = frozenset((*_ONLY_FIELDS, *(name for name in COMPONENTS if name in ENUMS)))  # others are aliases of encodings

__all__ = sorted(  # noqa: PLE0605  the table is the list
    [*COMPONENTS, *(f"{name}Batch" for name in COMPONENTS), *_likes.names_of(_OWN_LIKES), "EnumBase", "enum_class"]
)

_encodings: dict[str, Any] = {}
_components: dict[str, Any] = {}
_batches: dict[str, Any] = {}


def _find(where: str) -> Any:
    from importlib import import_module

    module, _, name = where.partition(":")
    return getattr(import_module(f"shmrerun.components.{module}"), name)


def _fast(converter: str, cls: Any) -> None:
    """Let constructors take the parts of values of this class without looking further."""
    if hasattr(cls, "_parts"):
        from shmrerun.archetypes._convert import converter as find

        find(converter).quick.setdefault(cls, cls._parts)


def encoding_class(name: str) -> Any:
    """Return the class of an encoding, made at the first call. KeyError: there is none."""
    found = _encodings.get(name)
    if found is None:
        if name in ENCODED_ENUMS:
            found = enum_class(name)
        else:
            converter, field = ENCODINGS[name]
            if name in _WRITTEN:
                found = _find(f"{_WRITTEN[name]}:{name}")
                found.__module__ = "shmrerun.encodings"
            else:
                from shmrerun.components._base import generic_encoding

                found = generic_encoding(name, converter, field)
            if name in _FINISH and name not in _MIXINS:  # else the component alone has them
                _find(_FINISH[name])(found)
            _fast(converter, found)
        found = _encodings.setdefault(name, found)
    return found


def component_class(name: str) -> Any:
    """Return the class of a component's single value, made at the first call. KeyError: there is none."""
    found = _components.get(name)
    if found is None:
        encoding, converter = COMPONENTS[name]
        if converter.startswith("enum:"):
            found = enum_class(name)
        else:
            from shmrerun.components._base import Component, batch_type, generic_encoding

            base = encoding_class(encoding) if encoding else generic_encoding(name, converter, _ONLY_FIELDS[name])
            mixins = (_find(_MIXINS[name]),) if name in _MIXINS else ()
            body = {
                "__slots__": (),
                "__module__": __name__,
                "__doc__": (mixins or (base,))[0].__doc__,
                "_BATCH_TYPE": batch_type(name),
            }
            found = type(name, (*mixins, base, Component), body)
            if name in _FINISH:
                _find(_FINISH[name])(found)
            _fast(converter, found)
        found = _components.setdefault(name, found)
    return found


def batch_class(name: str, *, encoding: bool = False) -> Any:
    """Return ``<name>Batch`` of a component or an encoding, made at the first call. KeyError: there is none."""
    key = f"encodings.{name}" if encoding else name
    found = _batches.get(key)
    if found is None:
        from shmrerun._batches import ComponentBatchMixin
        from shmrerun._record import Column
        from shmrerun.components._base import ComponentBatch

        if encoding:
            converter = f"enum:{name}" if name in ENCODED_ENUMS else ENCODINGS[name][0]
        else:
            converter = COMPONENTS[name][1]
        full = None if encoding else f"rerun.components.{name}"
        body = {
            "__slots__": (),
            "__module__": "shmrerun.encodings" if encoding else __name__,
            "__doc__": f"Several values of {name}.",
            "_own_column": Column(full or name, None, full, arrow_of(converter)),
            "_own_converter": converter,
        }
        if full is not None:
            body["_COMPONENT_TYPE"] = full
        bases = (ComponentBatch,) if full is None else (ComponentBatch, ComponentBatchMixin)
        found = _batches.setdefault(key, type(f"{name}Batch", bases, body))
    return found


def __getattr__(name: str) -> Any:
    plain = name.removesuffix("Batch")
    if name in COMPONENTS:
        found = component_class(name)
    elif name in ENCODINGS or name in ENUMS:
        found = encoding_class(name)
    elif plain != name and plain in COMPONENTS:
        found = batch_class(plain)
    else:
        found = _likes.alias(name, _OWN_LIKES, component_class)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
