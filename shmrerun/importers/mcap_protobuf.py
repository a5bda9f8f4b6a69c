"""Protobuf messages out of MCAP files, each as one struct.

Source: the types that rerun-sdk 0.41 gives them.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from shmrerun.importers.task import Column, lists_of_one

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from shmrerun.importers.task import Entities

_DYNAMIC = ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue")
_NAME = "ARROW:extension:name"
_ENUM, _JSON, _SELF = "rerun.datatypes.ProtobufEnum", "google.protobuf.Struct", "rerun.datatypes.ProtobufSelfReferential"


def message_class(name: str, descriptors: bytes) -> Any:
    """The class of a type, which is told by a set of file descriptors. ValueError: it is not in there."""
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            pool.Add(file)
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except (DecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


class ProtobufDecoder:
    """Messages of a class, each as one struct."""

    timeline = ""

    def __init__(self, make: Any) -> None:
        self._class = make
        self._name = make.DESCRIPTOR.full_name
        self._type = _struct(make.DESCRIPTOR)

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        try:
            return [(None, _values(self._class.FromString(data)))]
        except DecodeError as error:
            raise ValueError(f"{error}") from None

    def columns(self, values: list[Any]) -> Entities:
        return [("", [Column(f"{self._name}:message", lists_of_one(_array(values, self._type)), self._name)])]

    def constants(self) -> list[Any]:
        return []


# ---- types


def _groups(message: Descriptor) -> list[Any]:
    """Fields, and choices of several fields where their first one stands."""
    found: list[Any] = []
    for field in sorted(message.fields, key=lambda one: one.number):
        choice = field.containing_oneof
        if choice is None or len(choice.fields) < 2:
            found.append(field)
        elif choice not in found:
            found.append(choice)
    return found


def _choice(found: Any) -> list[Any]:
    return sorted(found.fields, key=lambda one: one.number)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED)


def _is_circular(message: Any) -> bool:
    """Whether a message holds itself, directly or through others."""
    stack, seen = [field.message_type for field in message.fields if field.message_type], set()
    while stack:
        found = stack.pop()
        if found is message:
            return True
        if found.full_name not in seen:
            seen.add(found.full_name)
            stack += [field.message_type for field in found.fields if field.message_type]
    return False


def _extension(field: Any) -> str | None:
    if field.enum_type is not None:
        return _ENUM
    if field.message_type is None:
        return None
    if field.message_type.full_name in _DYNAMIC:
        return _JSON
    return _SELF if not _is_map(field) and _is_circular(field.message_type) else None


def _struct(message: Any) -> Any:
    import pyarrow as pa

    fields = []
    for found in _groups(message):
        if isinstance(found, FieldDescriptor):
            fields.append(_field(found))
        else:
            fields.append(pa.field(found.name, pa.struct([_field(one) for one in _choice(found)]), nullable=True))
    return pa.struct(fields)


def _field(field: Any) -> Any:
    import pyarrow as pa

    is_nullable = field.has_presence or _is_repeated(field)
    return _named(pa.field(field.name, _type(field), nullable=is_nullable), _extension(field))


def _named(field: Any, extension: str | None) -> Any:
    return field.with_metadata({_NAME: extension}) if extension else field


def _type(field: Any) -> Any:
    import pyarrow as pa

    if _is_map(field):
        key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        return pa.map_(
            pa.field("key", _single(key), nullable=False), _named(pa.field("value", _single(value), nullable=False), _extension(value))
        )
    return pa.list_(pa.field("item", _single(field), nullable=False)) if _is_repeated(field) else _single(field)


def _single(field: Any) -> Any:
    import pyarrow as pa

    extension = _extension(field)
    if extension == _JSON:
        return pa.string()
    if extension == _SELF:
        return pa.binary()
    if extension == _ENUM:
        return pa.struct([pa.field("name", pa.string()), pa.field("value", pa.int32())])
    if field.message_type is not None:
        return _struct(field.message_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return pa.binary()
    plain = {
        FieldDescriptor.CPPTYPE_BOOL: pa.bool_(), FieldDescriptor.CPPTYPE_DOUBLE: pa.float64(), FieldDescriptor.CPPTYPE_FLOAT: pa.float32(),
        FieldDescriptor.CPPTYPE_INT32: pa.int32(), FieldDescriptor.CPPTYPE_INT64: pa.int64(), FieldDescriptor.CPPTYPE_UINT32: pa.uint32(),
        FieldDescriptor.CPPTYPE_UINT64: pa.uint64(), FieldDescriptor.CPPTYPE_STRING: pa.string(),
    }  # fmt: skip
    return plain[field.cpp_type]


# ---- values


def _array(values: list[Any], kind: Any) -> Any:
    """An array of values, in which what lies within a null is null too."""
    import numpy as np
    import pyarrow as pa

    missing = pa.array([value is None for value in values], pa.bool_())
    if pa.types.is_struct(kind):
        children = [_array([None if value is None else value.get(field.name) for value in values], field.type) for field in kind]
        if not children:
            return pa.array([None if value is None else {} for value in values], kind)
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=missing)
    if pa.types.is_list(kind):
        offsets = pa.array(np.cumsum([0, *(len(value or ()) for value in values)], dtype=np.int32))
        items = _array([item for value in values for item in value or ()], kind.value_type)
        return pa.ListArray.from_arrays(offsets, items, type=kind, mask=missing)
    return pa.array(values, kind)


def _values(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in _groups(message.DESCRIPTOR):
        if isinstance(group, FieldDescriptor):
            found[group.name] = _value(message, group)
        else:
            which = message.WhichOneof(group.name)
            found[group.name] = None if which is None else {which: _value(message, group.fields[0].containing_type.fields_by_name[which])}
    return found


def _value(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    if _is_map(field):
        kind = field.message_type.fields_by_name["value"]
        return [(key, _one(value[key], kind)) for key in sorted(value)] or None
    if _is_repeated(field):
        return [_one(one, field) for one in value] or None
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(value, field)


def _one(value: Any, field: Any) -> Any:
    extension = _extension(field)
    if extension == _ENUM:
        if value not in field.enum_type.values_by_number:
            raise ValueError(f"{field.full_name} has {value}, which is none of {field.enum_type.full_name}")
        return {"name": field.enum_type.values_by_number[value].name, "value": value}
    if extension == _JSON:
        return json.dumps(_json(value), separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    if extension == _SELF:
        return value.SerializeToString()
    return _values(value) if field.message_type is not None else value


def _json(value: Any) -> Any:
    """A dynamic value as JSON has it; numbers that JSON lacks are texts."""
    name = value.DESCRIPTOR.full_name
    if name == "google.protobuf.Struct":
        return {key: _json(value.fields[key]) for key in value.fields}
    if name == "google.protobuf.ListValue":
        return [_json(one) for one in value.values]
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    found = getattr(value, kind)
    if kind == "number_value":
        if math.isnan(found):
            return "NaN"
        return found if math.isfinite(found) else "Infinity" if found > 0 else "-Infinity"
    return _json(found) if kind in ("struct_value", "list_value") else found
