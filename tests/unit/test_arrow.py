"""Tests of shmrerun.model.arrow_types: types as text, arrays as parts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from shmrerun.model import arrow_types
from shmrerun.model.parts import BOOL, BUFFERS, FIXED, FIXED_LIST, LIST, NULL, OPAQUE, STRUCT, UNION, VARBIN
from shmrerun.model.tables import components


def item(t, name="item", nullable=False):
    return pa.field(name, t, nullable=nullable)


U8 = pa.list_(item(pa.uint8()))
TENSOR_BUFFER = pa.dense_union(
    [
        pa.field("_null_markers", pa.null()),
        item(U8, "U8"),
        item(pa.list_(item(pa.float16())), "F16"),
    ]
)
TENSOR = pa.struct(
    [
        item(pa.list_(item(pa.uint64())), "shape"),
        pa.field("names", pa.list_(item(pa.string()))),
        pa.field("buffer", TENSOR_BUFFER),
    ]
)

# Types that rerun-sdk 0.41 logs, with the texts that stand in its components' descriptions.
KNOWN = {
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "list<item: uint8 not null>": U8,
    "fixed_size_list<item: float not null>[3]": pa.list_(item(pa.float32()), 3),
    "fixed_size_list<item: fixed_size_list<item: halffloat not null>[3] not null>[15]": pa.list_(item(pa.list_(item(pa.float16()), 3)), 15),
    "struct<axis: fixed_size_list<item: float not null>[3] not null, angle: float not null>": pa.struct(
        [
            item(pa.list_(item(pa.float32()), 3), "axis"),
            item(pa.float32(), "angle"),
        ]
    ),
    "struct<width: uint32 not null, pixel_format: uint8>": pa.struct(
        [
            item(pa.uint32(), "width"),
            pa.field("pixel_format", pa.uint8()),
        ]
    ),
    "dense_union<_null_markers: null=0, CursorRelative: int64 not null=1, Infinite: null=3>": pa.dense_union(
        [pa.field("_null_markers", pa.null()), item(pa.int64(), "CursorRelative"), pa.field("Infinite", pa.null())],
        [0, 1, 3],
    ),
    "struct<shape: list<item: uint64 not null> not null, names: list<item: string not null>, buffer: "
    "dense_union<_null_markers: null=0, U8: list<item: uint8 not null> not null=1, "
    "F16: list<item: halffloat not null> not null=2>>": TENSOR,
}

PLAIN = [
    *(getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)),
    pa.null(), pa.float16(), pa.binary(), pa.large_string(), pa.large_binary(), pa.string_view(), pa.binary_view(),
    pa.binary(16), pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.duration("ns"), pa.timestamp("ns"),
    pa.timestamp("us", "UTC"), pa.timestamp("s", "Europe/Paris"), pa.decimal128(10, 2), pa.month_day_nano_interval(),
    pa.large_list(pa.int8()), pa.list_(pa.field("x", pa.int8())), pa.struct([]), pa.list_(pa.int8(), 0),
    pa.sparse_union([pa.field("a", pa.int8())], [5]),
    pa.struct([pa.field("", pa.int8()), pa.field("with space", pa.int8())]),
]  # fmt: skip

OTHERS = [
    pa.struct([pa.field("a: b", pa.int32())]),
    pa.struct([pa.field("a: int32, b", pa.int64())]),
    pa.list_(pa.field("x: int8 not null>", pa.int8())),
    pa.map_(pa.string(), pa.int32()),
    pa.dictionary(pa.int8(), pa.string()),
    pa.list_(pa.field("item", pa.int8(), metadata={"unit": "m"})),
    pa.run_end_encoded(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("text", sorted({*components.ARROW.values()}))
def test_types_of_components_travel_as_pyarrow_prints_them(text):
    """The text of each type of the tables gives the type that pyarrow prints so, and is what type_text gives for it."""
    t = arrow_types.parse_type(text)
    assert str(t) == text == arrow_types.type_text(t)
    assert t.equals(KNOWN.get(text, t), check_metadata=True)


@pytest.mark.parametrize("t", [*KNOWN.values(), *PLAIN, *OTHERS], ids=str)
def test_every_type_comes_back(t):
    """Any type comes back from its text: names that mean something to Arrow, metadata of nested fields and rare types too."""
    text = arrow_types.type_text(t)
    assert text.startswith("ipc:") or text == str(t)
    assert arrow_types.parse_type(text).equals(t, check_metadata=True)


def test_what_producers_write_is_short():
    """Plain types, lists of them and the types of components need no serialized schema."""
    for t in (pa.float64(), pa.string(), pa.timestamp("ns"), pa.list_(pa.int64()), pa.list_(pa.string()), pa.list_(item(pa.float32()), 3)):
        assert arrow_types.type_text(t) == str(t)


def test_extension_types_are_their_storage():
    """An extension type, nested or not, travels as its storage."""
    nested = pa.list_(pa.field("item", pa.uuid()))
    assert arrow_types.type_text(pa.uuid()) == "fixed_size_binary[16]"
    assert arrow_types.type_text(nested) == "list<item: fixed_size_binary[16]>"
    ids = pa.array([b"a" * 16, None, b"b" * 16], pa.binary(16))
    for array in (ids, pa.ListArray.from_arrays([0, 2, 3], ids)):
        extension = pa.uuid() if array is ids else nested
        parts = arrow_types.parts_of(array.cast(extension) if array is ids else as_uuid_lists(ids))
        assert arrow_types.parts_to_array(arrow_types.type_text(extension), parts).equals(array)


def as_uuid_lists(ids):
    return pa.ListArray.from_arrays([0, 2, 3], pa.ExtensionArray.from_storage(pa.uuid(), ids))


@pytest.mark.parametrize(
    "text",
    [
        "", "int", "int65", "struct<a: int8>",
        "fixed_size_list<item: float not null>[5]", "list", "list<", "list<int8>", "list<item: int8", "list<item: int8>>",
        "struct<a: int8,b: int8>",
        "fixed_size_list<item: int8>", "fixed_size_list<item: int8>[99999999999]",
        "fixed_size_list<item: int8>[4294967295]",
        "dense_union<a: int8>", "dense_union<a: int8=999>", "dense_union<a: int8=200>",
        "map<string, int8>", "timestamp[x]",
        "decimal128(99, 2)", "ipc:", "ipc:!!!!", "ipc:AAAA",
        "list<item: " * 1000, "\ud800", "int8 ", "extension<arrow.uuid>",
    ],
)  # fmt: skip
def test_bad_text_is_a_value_error(text):
    """Text that is no type raises ValueError and nothing else."""
    with pytest.raises(ValueError, match="Not an Arrow type"):
        arrow_types.parse_type(text)


@pytest.mark.parametrize(
    ("t", "nodes"),
    [
        (pa.float64(), ((FIXED, 8),)),
        (pa.binary(16), ((FIXED, 16),)),
        (pa.decimal128(9, 1), ((FIXED, 16),)),
        (pa.timestamp("ns"), ((FIXED, 8),)),
        (pa.date32(), ((FIXED, 4),)),
        (pa.bool_(), ((BOOL, 0),)),
        (pa.null(), ((NULL, 0),)),
        (pa.string(), ((VARBIN, 0),)),
        (U8, ((LIST, 0), (FIXED, 1))),
        (pa.list_(item(pa.float32()), 3), ((FIXED_LIST, 3), (FIXED, 4))),
        (
            TENSOR,
            (
                *((STRUCT, 3), (LIST, 0), (FIXED, 8), (LIST, 0), (VARBIN, 0), (UNION, 3), (NULL, 0)),
                *((LIST, 0), (FIXED, 1), (LIST, 0), (FIXED, 2)),
            ),
        ),
        (pa.uuid(), ((FIXED, 16),)),
        (pa.large_string(), ((OPAQUE, 0),)),
        (pa.string_view(), ((OPAQUE, 0),)),
        (pa.map_(pa.string(), pa.int8()), ((OPAQUE, 0),)),
        (pa.struct([pa.field("a", pa.int8()), pa.field("b", pa.dictionary(pa.int8(), pa.string()))]), ((OPAQUE, 0),)),
        (pa.sparse_union([pa.field("a", pa.int8())]), ((OPAQUE, 0),)),
        (pa.dense_union([pa.field("a", pa.int8())], [3]), ((OPAQUE, 0),)),
    ],
    ids=str,
)
def test_layout(t, nodes):
    """The layout lists a type's nodes in preorder, or is OPAQUE as a whole."""
    assert arrow_types.layout(t) == nodes


def tensors():
    union = pa.UnionArray.from_dense(
        pa.array([1, 0, 2, 1], pa.int8()),
        pa.array([0, 0, 0, 1], pa.int32()),
        [pa.nulls(1), pa.array([[1, 2], [3]], U8), pa.array([np.array([1, 2], "f2")], pa.list_(item(pa.float16())))],
        ["_null_markers", "U8", "F16"],
    )
    fields = [TENSOR_BUFFER.field(i) for i in range(3)]
    union = pa.Array.from_buffers(pa.dense_union(fields), 4, union.buffers()[:3], 0, 0, [union.field(i) for i in range(3)])
    shapes = pa.array([[1, 2], [], [2], [1]], TENSOR.field(0).type)
    names = pa.array([["w", "h"], None, ["x"], []], TENSOR.field(1).type)
    return pa.StructArray.from_arrays([shapes, names, union], fields=[TENSOR.field(i) for i in range(3)])


ARRAYS = {
    "ints": pa.array([1, None, 3, 4, 5, None, 7, 8, 9, 10]),
    "floats": pa.array([1.0, 2.0, 3.0]),
    "bools": pa.array([True, None, False, True, True, False, True, False, None, True]),
    "texts": pa.array(["a", "", None, "b\u00e9", "long enough to matter"]),
    "bytes": pa.array([b"a", b"\0", None]),
    "nulls": pa.nulls(5),
    "empty": pa.array([], pa.string()),
    "lists": pa.array([[1], None, [], [2, 3], [None]]),
    "nested lists": pa.array([[["a"], []], None, [None, ["b", "c"]]]),
    "fixed lists": pa.array([[1.0, 2.0], None, [3.0, None], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
    "structs": pa.array([{"a": 1, "b": [True]}, None, {"a": None, "b": None}, {"a": 4, "b": []}]),
    "tensors": tensors(),
    "decimals": pa.array([1, None, 2], pa.decimal128(5, 0)),
    "times": pa.array([1, None, 2], pa.timestamp("us", "UTC")),
    "large": pa.array(["x", None, "z"], pa.large_string()),
    "maps": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int32())),
    "dictionary": pa.array(["a", "b", None, "a"]).dictionary_encode(),
    "views": pa.array(["a", None, "a text too long to be inlined"], pa.string_view()),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_parts_round_trip_with_all_slices(name):
    """Every slice of an array, cut into parts and built again, equals the slice."""
    array = ARRAYS[name]
    text = arrow_types.type_text(array.type)
    for start in range(len(array) + 1):
        for length in range(len(array) - start + 1):
            part = array.slice(start, length)
            back = arrow_types.parts_to_array(text, arrow_types.parts_of(part))
            back.validate(full=True)
            assert back.equals(part)
            assert back.type.equals(array.type, check_metadata=True)


@pytest.mark.parametrize("name", [n for n in ARRAYS if arrow_types.layout(ARRAYS[n].type)[0][0] != OPAQUE])
def test_parts_have_the_promised_shape(name):
    """Parts are lengths and buffers in preorder, of exact size, offsets from 0, validity only where there are nulls."""
    array = ARRAYS[name][1:]
    parts = list(arrow_types.parts_of(array))
    for kind, argument in arrow_types.layout(array.type):
        length, *buffers = (parts.pop(0) for _ in range(1 + BUFFERS[kind]))
        sizes = [None if buffer is None else memoryview(buffer).nbytes for buffer in buffers]
        assert all(memoryview(buffer).c_contiguous for buffer in buffers if buffer is not None)
        if kind != UNION and buffers:
            assert sizes[0] in (None, (length + 7) // 8)
        if kind == FIXED:
            assert sizes[1] == length * argument
        elif kind == BOOL:
            assert sizes[1] == (length + 7) // 8
        elif kind in (VARBIN, LIST):
            offsets = np.frombuffer(buffers[1], np.int32)
            assert len(offsets) == length + 1
            assert not offsets[0]
            assert kind == LIST or sizes[2] == offsets[-1]
    assert not parts


def test_absent_validity_is_none():
    """A slice without nulls has no validity bitmap though its array has one."""
    assert arrow_types.parts_of(pa.array([None, 1, 2])[1:])[1] is None


def test_parts_of_text_are_as_documented():
    """The example in the docstring of model/parts.py holds."""
    length, validity, offsets, data = arrow_types.parts_of(pa.array(["ab"]))
    assert (length, validity, bytes(offsets), bytes(data)) == (1, None, b"\0\0\0\0\2\0\0\0", b"ab")


def test_opaque_rows_are_joined():
    """Gathered rows of an OPAQUE type become one array, dictionaries unified."""
    rows = [pa.array(texts).dictionary_encode() for texts in (["a"], ["b", "a"], [])]
    t = rows[0].type
    streams = [arrow_types.parts_of(row)[1] for row in rows]
    assert arrow_types.build_array(t, [3, streams]).to_pylist() == ["a", "b", "a"]
    with pytest.raises(ValueError, match="announced"):
        arrow_types.build_array(t, [4, streams])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("double", (2, None, b"1234567")),
        ("double", (1, None)),
        ("double", (1, None, b"12345678", b"")),
        ("double", (-1, None, b"")),
        ("double", ("x", None, b"")),
        ("double", (9, b"\0", b"0" * 72)),
        ("bool", (9, None, b"\0")),
        ("string", (1, None, b"\0\0\0\0\5\0\0\0", b"abc")),
        ("string", (1, None, b"\0\0\0\0", b"abc")),
        ("list<item: int8>", (1, None, b"\0\0\0\0\2\0\0\0", 1, None, b"a")),
        ("fixed_size_list<item: int8>[3]", (1, None, 2, None, b"ab")),
        ("struct<a: int8>", (3, None, 2, None, b"ab")),
        ("null", (-3,)),
        ("large_string", (1, b"no stream")),
        ("large_string", (1,)),
    ],
)
def test_parts_that_do_not_fit_are_refused(text, parts):
    """Buffers that are too small or of a wrong number raise ValueError; they may come out of a damaged lane."""
    with pytest.raises(ValueError):
        arrow_types.parts_to_array(text, parts)


def test_only_arrays_are_cut():
    """A chunked array is refused by name."""
    with pytest.raises(TypeError, match="ChunkedArray"):
        arrow_types.parts_of(pa.chunked_array([[1]]))


def test_importing_the_module_imports_no_pyarrow():
    """A producer that logs no Arrow array pays for no pyarrow and no numpy."""
    code = "import sys, shmrerun.model.arrow_types; sys.exit(bool({'pyarrow', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
