"""Protobuf message classes of Rerun's log messages and of its gRPC proxy.

The classes are made at import from the tables below, in a descriptor pool of their own: generated modules would claim
the names that rerun-sdk's own descriptors and package have.

Source: rerun-sdk 0.41, protobuf packages ``rerun.common.v1alpha1``, ``rerun.log_msg.v1alpha1`` and
``rerun.sdk_comms.v1alpha1`` (proto3).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Enumerations: values from 0 up, in order. They are named in full because protobuf wants them unique in a package.
_ENUMS = {
    "rerun.common.v1alpha1": {
        "StoreKind": "STORE_KIND_UNSPECIFIED STORE_KIND_RECORDING STORE_KIND_BLUEPRINT",
        "Compression": "COMPRESSION_UNSPECIFIED COMPRESSION_NONE COMPRESSION_LZ4",
        "EncoderVersion": "ENCODER_VERSION_UNSPECIFIED ENCODER_VERSION_V0",
    },
    "rerun.log_msg.v1alpha1": {
        "Encoding": "ENCODING_UNSPECIFIED ENCODING_ARROW_IPC",
        "StoreSourceKind": "STORE_SOURCE_UNSPECIFIED STORE_SOURCE_C_SDK STORE_SOURCE_PYTHON_SDK STORE_SOURCE_RUST_SDK "
        "STORE_SOURCE_FILE STORE_SOURCE_VIEWER STORE_SOURCE_OTHER",
        "FileSourceKind": "FILE_SOURCE_UNSPECIFIED FILE_SOURCE_CLI FILE_SOURCE_URI FILE_SOURCE_DRAG_AND_DROP "
        "FILE_SOURCE_FILE_DIALOG FILE_SOURCE_SDK",
    },
    "rerun.sdk_comms.v1alpha1": {},
}

# Messages: "number name type" of each field; "?" marks a field with presence, "[]" a repeated one, "|" an arm of the
# oneof ``msg``. Types in lower case are protobuf's own.
_MESSAGES = {
    "rerun.common.v1alpha1": {
        "Tuid": "1 time_ns fixed64?, 2 inc fixed64?",
        "ApplicationId": "1 id string",
        "StoreId": "1 kind StoreKind, 2 recording_id string, 3 application_id ApplicationId",
        "TableId": "1 id string",
        "Schema": "1 arrow_schema bytes?",
        "DataframePart": "1 encoder_version EncoderVersion, 2 payload bytes?, 3 compression Compression, 4 uncompressed_size uint64",
    },
    "rerun.log_msg.v1alpha1": {
        "PythonVersion": "1 major int32, 2 minor int32, 3 patch int32, 4 suffix string",
        "CrateInfo": "1 rustc_version string, 2 llvm_version string",
        "FileSource": "1 kind FileSourceKind",
        "StoreSourceExtra": "1 payload bytes",
        "StoreSource": "1 kind StoreSourceKind, 2 extra StoreSourceExtra",
        "StoreVersion": "1 crate_version_bits int32",
        "StoreInfo": "1 application_id ApplicationId, 2 store_id StoreId, 5 store_source StoreSource, 6 store_version StoreVersion",
        "SetStoreInfo": "1 row_id Tuid, 2 info StoreInfo",
        "ArrowMsg": "1 store_id StoreId, 2 compression Compression, 3 uncompressed_size uint64, 4 encoding Encoding, "
        "5 payload bytes, 6 chunk_id Tuid, 7 is_static bool?",
        "BlueprintActivationCommand": "1 blueprint_id StoreId, 2 make_active bool, 3 make_default bool",
        "LogMsg": "1 set_store_info SetStoreInfo|, 2 arrow_msg ArrowMsg|, 3 blueprint_activation_command BlueprintActivationCommand|",
        "RrdManifest": "1 store_id StoreId, 2 sorbet_schema Schema, 3 sorbet_schema_sha256 bytes?, 4 data DataframePart",
        "RrdFooter": "1 manifests RrdManifest[]",
    },
    "rerun.sdk_comms.v1alpha1": {
        "WriteMessagesRequest": "1 log_msg LogMsg",
        "WriteMessagesResponse": "",
        "ReadMessagesRequest": "",
        "ReadMessagesResponse": "1 log_msg LogMsg",
        "WriteTableRequest": "1 id TableId, 2 data DataframePart",
        "WriteTableResponse": "",
        "ReadTablesRequest": "",
        "ReadTablesResponse": "1 id TableId, 2 data DataframePart",
    },
}

_Field = descriptor_pb2.FieldDescriptorProto


def _add_field(message: Any, text: str, names: dict[str, str]) -> None:
    """Add one field of the table to a message descriptor."""
    number, name, kind = text.split()
    plain = kind.rstrip("?[]|")
    field = message.field.add(name=name, number=int(number))
    field.label = _Field.LABEL_REPEATED if kind.endswith("[]") else _Field.LABEL_OPTIONAL
    if plain.islower():
        field.type = getattr(_Field, "TYPE_" + plain.upper())
    else:
        is_enum = any(plain in enums for enums in _ENUMS.values())
        field.type = _Field.TYPE_ENUM if is_enum else _Field.TYPE_MESSAGE
        field.type_name = names[plain]
    if kind.endswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="msg")
        field.oneof_index = 0
    elif kind.endswith("?"):  # presence of a proto3 scalar is a oneof with one arm
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name="_" + name)


def _make_classes() -> dict[str, Any]:
    """Build the descriptors of all packages and return the message classes by short name."""
    pool = descriptor_pool.DescriptorPool()
    names: dict[str, str] = {}  # short name -> ".package.Name"
    files: list[str] = []
    for package, messages in _MESSAGES.items():
        names |= {name: f".{package}.{name}" for name in (*_ENUMS[package], *messages)}
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        file.dependency.extend(files)
        for name, values in _ENUMS[package].items():
            enum = file.enum_type.add(name=name)
            for number, value in enumerate(values.split()):
                enum.value.add(name=value, number=number)
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for text in filter(None, fields.split(", ")):
                _add_field(message, text, names)
        pool.AddSerializedFile(file.SerializeToString())
        files.append(file.name)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for package, messages in _MESSAGES.items()
        for name in messages
    }


_classes = _make_classes()

Tuid: Any = _classes["Tuid"]
ApplicationId: Any = _classes["ApplicationId"]
StoreId: Any = _classes["StoreId"]
TableId: Any = _classes["TableId"]
Schema: Any = _classes["Schema"]
DataframePart: Any = _classes["DataframePart"]

PythonVersion: Any = _classes["PythonVersion"]
CrateInfo: Any = _classes["CrateInfo"]
FileSource: Any = _classes["FileSource"]
StoreSourceExtra: Any = _classes["StoreSourceExtra"]
StoreSource: Any = _classes["StoreSource"]
StoreVersion: Any = _classes["StoreVersion"]
StoreInfo: Any = _classes["StoreInfo"]
SetStoreInfo: Any = _classes["SetStoreInfo"]
ArrowMsg: Any = _classes["ArrowMsg"]
BlueprintActivationCommand: Any = _classes["BlueprintActivationCommand"]
LogMsg: Any = _classes["LogMsg"]
RrdManifest: Any = _classes["RrdManifest"]
RrdFooter: Any = _classes["RrdFooter"]

WriteMessagesRequest: Any = _classes["WriteMessagesRequest"]
WriteMessagesResponse: Any = _classes["WriteMessagesResponse"]
ReadMessagesRequest: Any = _classes["ReadMessagesRequest"]
ReadMessagesResponse: Any = _classes["ReadMessagesResponse"]
WriteTableRequest: Any = _classes["WriteTableRequest"]
WriteTableResponse: Any = _classes["WriteTableResponse"]
ReadTablesRequest: Any = _classes["ReadTablesRequest"]
ReadTablesResponse: Any = _classes["ReadTablesResponse"]
