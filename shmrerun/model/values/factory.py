"""Makes the classes of single values, batches and encodings at first access, from the table of components.

It knows all modules of values. Those know :mod:`generic` alone, for the encodings that need no code of their own.

Source: rerun-sdk 0.41.0 (names, members, wire values, Arrow types, as introspected).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model import docs
from shmrerun.model.batches import ComponentBatchMixin
from shmrerun.model.convert.finder import converter as find_converter
from shmrerun.model.parts import Column
from shmrerun.model.tables import blueprint_types
from shmrerun.model.tables.components import COMPONENTS as OF_RECORDINGS
from shmrerun.model.tables.components import arrow_of
from shmrerun.model.tables.types import COMPONENTS, ENCODED_ENUMS, ENCODINGS, ENUMS, full_name, module_of
from shmrerun.model.values import generic
from shmrerun.model.values.base import Component, ComponentBatch, Lazy
from shmrerun.model.values.enums import enum_class

if TYPE_CHECKING:
    from typing import Any

_WRITTEN = {  # encodings that are written out, with their modules
    **dict.fromkeys(
        ("Angle", "Mat3x3", "Mat4x4", "Plane3D", "Quaternion", "RotationAxisAngle", "ViewCoordinates"), "shapes",
    ),
    **dict.fromkeys(("ImageFormat", "Rgba32", "TensorBuffer", "TensorData"), "media"),
    **dict.fromkeys(("AbsoluteTimeRange", "TimeInt", "TimeRange", "TimeRangeBoundary", "VisibleTimeRange"), "times"),
    **dict.fromkeys(
        (
            "AnnotationInfo", "ChannelCountPair", "ClassDescription", "ClassDescriptionMapElem", "KeypointPair",
            "Range2D", "TensorDimensionIndexSelection", "TensorDimensionSelection", "Utf8Pair",
        ),
        "annotations",
    ),
    **dict.fromkeys(blueprint_types.ENCODINGS, "blueprints"),
}  # fmt: skip
_MIXINS = {  # components with something of their own: module and class
    "AnnotationContext": "annotations:AnnotationContext",
    "ClearIsRecursive": "annotations:ClearIsRecursive",
    "Color": "media:Color",
    "GeoLineString": "annotations:GeoLineString",
    "KeyValuePairs": "annotations:KeyValuePairs",
    "MediaType": "media:MediaType",
    "Radius": "shapes:Radius",
    "Scale3D": "shapes:Scale3D",
    "VideoTimestamp": "times:VideoTimestamp",
    "ViewCoordinates": "shapes:LoggableView",
    "ColumnOrder": "blueprints:ColumnOrder",
    "VisualBounds2D": "blueprints:VisualBounds2D",
}
_FINISH = {  # called with the class when it is made: constants
    "MediaType": "media:finish_media_type",
    "Plane3D": "shapes:finish_plane",
    "TextLogLevel": "media:finish_level",
    "ViewCoordinates": "shapes:finish_view",
}
_ONLY_FIELDS = {  # fields of components without an encoding
    "AnnotationContext": "class_map", "ColumnOrder": "entity_paths", "ChannelMessageCounts": "counts", "GeoLineString": "lat_lon",
    "KeyValuePairs": "pairs", "LineStrip2D": "points", "LineStrip3D": "points",
}  # fmt: skip

_LIKES = frozenset((*_ONLY_FIELDS, *(name for name in COMPONENTS if name in ENUMS)))  # others are aliases of encodings
OWN_LIKES = _LIKES & OF_RECORDINGS.keys()
BLUEPRINT_LIKES = _LIKES & blueprint_types.COMPONENTS.keys()

_encodings: dict[str, Any] = {}
_components: dict[str, Any] = {}
_batches: dict[str, Any] = {}


def _find(where: str) -> Any:
    from importlib import import_module

    module, _, name = where.partition(":")
    return getattr(import_module(f"shmrerun.model.values.{module}"), name)


def _fast(converter: str, cls: Any) -> None:
    """Let constructors take the parts of values of this class without looking further."""
    if hasattr(cls, "_parts"):
        find_converter(converter).quick.setdefault(cls, cls._parts)


def encoding_class(name: str) -> Any:
    """Return the class of an encoding, made at the first call. KeyError: there is none."""
    found = _encodings.get(name)
    if found is None:
        if name in ENCODED_ENUMS:
            found = enum_class(name)
        else:
            converter, _ = ENCODINGS[name]
            if name in _WRITTEN:
                found = _find(f"{_WRITTEN[name]}:{name}")
                found.__module__ = module_of(name, encoding=True)
            else:
                found = generic.encoding(name)
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
            base = encoding_class(encoding) if encoding else generic.one_field_class(name, converter, _ONLY_FIELDS[name])
            mixins = (_find(_MIXINS[name]),) if name in _MIXINS else ()
            body = {
                "__slots__": (),
                "__module__": module_of(name),
                "__doc__": docs.component(name, (*mixins, base)),
                "_BATCH_TYPE": Lazy(lambda _: batch_class(name)),
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
        if encoding:
            converter = f"enum:{name}" if name in ENCODED_ENUMS else ENCODINGS[name][0]
        else:
            converter = COMPONENTS[name][1]
        full = None if encoding else full_name(name)
        body = {
            "__slots__": (),
            "__module__": module_of(name, encoding=encoding),
            "__doc__": docs.batch(name, converter),
            "_own_column": Column(full or name, None, full, arrow_of(converter)),
            "_own_converter": converter,
        }
        if full is not None:
            body["_COMPONENT_TYPE"] = full
        bases = (ComponentBatch,) if full is None else (ComponentBatch, ComponentBatchMixin)
        found = _batches.setdefault(key, type(f"{name}Batch", bases, body))
    return found
