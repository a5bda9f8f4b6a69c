"""Archetypes: conversion of values, batches, columns and rows."""

from __future__ import annotations

import base64
import datetime as dt
import importlib
import inspect
import json
import os
import pickle
import subprocess
import sys
import types
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmrerun import archetypes, components, encodings, errors
from shmrerun.model import any_values, batches, time_columns
from shmrerun.model.arrow_types import parts_to_array
from shmrerun.model.convert import finder
from shmrerun.model.parts import ColumnSet
from shmrerun.model.tables.archetypes import ARCHETYPES

with open(os.path.join(os.path.dirname(__file__), "..", "golden", "archetypes.json"), encoding="utf-8") as file:
    GOLDEN = json.load(file)["cases"]


class Namespace:
    """What a golden case calls ``rr``: the names of this package, wherever they stand."""

    archetypes = archetypes
    components = components
    encodings = encodings

    def __getattr__(self, name):
        for module in (archetypes, components, batches, any_values, time_columns):
            found = getattr(module, name, None)
            if found is not None:
                return found
        raise AttributeError(name)


rr = Namespace()


def plain(value, kind):
    """Write an Arrow value as the golden file does."""
    if value is None:
        return None
    if pa.types.is_union(kind):
        field = kind.field(value.type_code)
        return {"$union": field.name, "v": plain(value.value, field.type)}
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind} if value.is_valid else None
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [plain(item, kind.value_type) for item in value.values] if value.is_valid else None
    if pa.types.is_temporal(kind):
        return value.value
    value = value.as_py()
    if isinstance(value, float) and not np.isfinite(value):
        return {"$float": repr(value)}
    return {"$b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def rows_of(batches):
    """Write batches or columns as the golden file does."""
    out = []
    for batch in batches:
        descriptor, array = batch.component_descriptor(), batch.as_arrow_array()
        array.validate(full=True)
        out.append(
            {
                "component": descriptor.component,
                "archetype": descriptor.archetype,
                "type": descriptor.component_type,
                "arrow": str(array.type),
                "values": [plain(item, array.type) for item in array],
            }
        )
    return out


@pytest.fixture
def strictly():
    """Return set_strict_mode, and put the mode back afterwards."""
    before = errors.strict_mode()
    yield errors.set_strict_mode
    errors.set_strict_mode(before)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["expr"])
def test_golden_case(case, strictly):
    """Calls give the batches, columns, errors and warnings that rerun-sdk 0.41 gave."""
    strictly(case.get("strict", False))
    scope = {"rr": rr, "np": np, "pa": pa, "dt": dt}
    result = error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = eval(case["expr"], scope)
            result = made
            if case["kind"] == "array":
                array = made.as_arrow_array()
                result = {"arrow": str(array.type), "values": [plain(item, array.type) for item in array]}
            elif case["kind"] != "value":
                result = rows_of(made.as_component_batches() if case["kind"] == "batches" else made)
        except Exception as raised:
            error = raised
    if "raises" in case:
        assert type(error).__name__ == case["raises"]["type"]
        assert str(error).startswith(case["raises"]["message"].replace("Ext.__init__", ".__init__"))  # their classes
    else:
        assert error is None
        expected = case.get("out", case.get("value"))
        if case["kind"] == "batches":
            for row, want in zip(result, expected, strict=True):
                if want.pop("values_ignored", False):  # bytes of a JPEG
                    row["len"] = len(row.pop("values"))
        assert result == expected
    got = [[item.category.__name__, str(item.message)] for item in caught]
    want = case.get("warnings", [])
    assert len(got) == len(want)
    assert all(g[0] == w[0] and g[1].startswith(w[1]) for g, w in zip(got, want, strict=True))
    assert all(item.filename in ("<string>", __file__) for item in caught)


# --- rerun-sdk as the oracle ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle():
    """Return the real package."""
    return pytest.importorskip("rerun")


def outcome(make):
    """Batches that a constructor gives, and the warnings' contexts; an exception's type."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = rows_of(make().as_component_batches())
        except Exception as error:
            result = type(error).__name__
    return result, [str(item.message).partition("(")[0] for item in caught]


NUMBERS = st.integers(-(2**40), 2**40) | st.floats(width=32) | st.booleans()
SHAPES = st.lists(st.integers(0, 3), min_size=0, max_size=3)
DTYPES = st.sampled_from(["f8", "f4", "i8", "i4", "u1", "u2", "u4", "?", "f2"])


@st.composite
def arrays(draw):
    """Arrays of any small shape, C-ordered or not, of the usual dtypes."""
    shape = draw(SHAPES)
    size = int(np.prod(shape))
    values = np.array(draw(st.lists(st.integers(0, 255), min_size=size, max_size=size)), draw(DTYPES)).reshape(shape)
    return values.T if draw(st.booleans()) else values


@given(value=NUMBERS | st.lists(NUMBERS, max_size=5) | st.tuples(NUMBERS, NUMBERS) | arrays() | st.text(max_size=3))
@settings(deadline=None, max_examples=300)
def test_scalars_equal_rerun(oracle, value):
    """Scalars takes what rerun-sdk takes, and makes the same of it."""
    assert outcome(lambda: archetypes.Scalars(value)) == outcome(lambda: oracle.Scalars(value))


@given(text=st.text(max_size=5) | st.integers() | st.lists(st.text(max_size=3) | st.none(), max_size=4), level=st.text())
@settings(deadline=None, max_examples=200)
def test_text_log_equals_rerun(oracle, text, level):
    """TextLog takes what rerun-sdk takes, and makes the same of it."""
    assert outcome(lambda: archetypes.TextLog(text, level=level)) == outcome(lambda: oracle.TextLog(text, level=level))


BYTE = st.integers(0, 255)
UNIT = st.floats(0, 1, width=32)
ONE_COLOR = st.lists(BYTE, min_size=3, max_size=4) | st.lists(UNIT, min_size=3, max_size=4)
SEVERAL = st.lists(st.lists(BYTE, min_size=3, max_size=3), max_size=4) | st.lists(st.lists(BYTE, min_size=4, max_size=4))


@given(value=st.integers(0, 2**32 - 1) | ONE_COLOR | ONE_COLOR.map(tuple) | SEVERAL | st.lists(ONE_COLOR, max_size=3))
@settings(deadline=None, max_examples=300)
def test_colors_equal_rerun(oracle, value):
    """Colours are taken as rerun-sdk takes them, one or several, packed, bytes or fractions."""
    assert outcome(lambda: archetypes.TextLog("", color=value)) == outcome(lambda: oracle.TextLog("", color=value))


@given(rows=st.integers(0, 3), channels=st.integers(3, 4), dtype=st.sampled_from(["u1", "u2", "i8", "f4", "f8"]))
@settings(deadline=None)
def test_color_arrays_equal_rerun(oracle, rows, channels, dtype):
    """Arrays of shape (n, 3) and (n, 4) are n colours, bytes or fractions by dtype."""
    value = np.linspace(0, 1 if dtype[0] == "f" else 255, rows * channels).reshape(rows, channels).astype(dtype)
    assert outcome(lambda: archetypes.TextLog("", color=value)) == outcome(lambda: oracle.TextLog("", color=value))


@given(value=arrays() | st.lists(NUMBERS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=200)
def test_bar_charts_equal_rerun(oracle, value):
    """A bar chart of any array has the tensor that rerun-sdk makes; unsupported dtypes warn in both."""
    ours, theirs = outcome(lambda: archetypes.BarChart(value)), outcome(lambda: oracle.BarChart(value))
    if theirs[0]:
        assert ours == theirs
    else:  # the reference drops all fields there, after a second warning of its own
        assert [row["values"] for row in ours[0]] == [[]]
        assert ours[1] == theirs[1][:1]


@given(value=arrays().filter(lambda a: a.dtype != bool), model=st.sampled_from([None, "L", "rgb", "RGBA", "bgr"]))
@settings(deadline=None, max_examples=300)
def test_images_equal_rerun(oracle, value, model):
    """An image of any array has the buffer and format that rerun-sdk makes, or the same complaint."""
    assert outcome(lambda: archetypes.Image(value, model)) == outcome(lambda: oracle.Image(value, model))


@given(
    value=arrays().filter(lambda a: a.ndim),
    radii=st.none() | NUMBERS,
    ids=st.none() | st.lists(st.integers(0, 9), max_size=3),
)
@settings(deadline=None, max_examples=200)
def test_points_equal_rerun(oracle, value, radii, ids):
    """Points of any array, with radii and keypoint ids, are those of rerun-sdk."""
    ours = outcome(lambda: archetypes.Points3D(value, radii=radii, keypoint_ids=ids, show_labels=True))
    theirs = outcome(lambda: oracle.Points3D(value, radii=radii, keypoint_ids=ids, show_labels=True))
    assert ours == theirs


@pytest.mark.parametrize("name", sorted(ARCHETYPES))
def test_signatures_equal_rerun(oracle, name):
    """Constructor, columns and from_fields have the parameters, kinds and defaults of rerun-sdk."""
    ours, theirs = getattr(archetypes, name), getattr(oracle.archetypes, name)
    for method in ("__init__", "columns", "from_fields"):
        shapes = [
            [(p.name, p.kind, p.default) for p in inspect.signature(getattr(cls, method)).parameters.values()] for cls in (ours, theirs)
        ]
        assert shapes[0][1:] == shapes[1][1:] if method == "__init__" else shapes[0] == shapes[1]
    assert ours.archetype() == theirs.archetype()
    assert ours.archetype_short_name() == theirs.archetype_short_name()
    for field in ARCHETYPES[name].fields:
        mine = getattr(ours, f"descriptor_{field.name}")()
        real = getattr(theirs, f"descriptor_{field.name}")()
        assert (mine.component, mine.archetype, mine.component_type) == (
            real.component,
            real.archetype,
            real.component_type,
        )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Scalars", {"scalars": 1}),
        ("Scalars", {"scalars": []}),
        ("Scalars", {"scalars": np.zeros((2, 3, 2))}),
        ("Scalars", {"scalars": np.zeros((2, 1))}),
        ("Scalars", {"scalars": pa.array([1.0, 2.0])}),
        ("TextLog", {"text": "a"}),
        ("TextLog", {"text": ["a", "b"], "color": [0xFF, 0xEE]}),
        ("TextLog", {"text": ["a", "b"], "color": [[1, 2, 3], [4, 5, 6]]}),
        ("TextLog", {"text": ["a"], "color": [255, 0, 0]}),
        ("BarChart", {"values": [1, 2, 3], "widths": [1, 2]}),
        ("Points3D", {"positions": np.zeros((2, 4, 3)), "show_labels": [True, False]}),
        ("Points3D", {"positions": np.zeros((2, 3)), "class_ids": [[1, 2], [3, 4]]}),
        ("Image", {"buffer": [b"ab", b"cde"], "opacity": [0.1, 0.2]}),
        ("Image", {"buffer": np.zeros((2, 5), np.uint8)}),
    ],
)
def test_columns_equal_rerun(oracle, name, values):
    """Columns have the rows that rerun-sdk cuts the same arguments into."""
    ours = rows_of(getattr(archetypes, name).columns(**values))
    theirs = rows_of(getattr(oracle, name).columns(**values))
    assert ours == theirs


# --- the classes themselves ----------------------------------------------------------------------------------------


def test_row_has_one_column_set_a_combination_of_fields():
    """Rows of the same fields share one ColumnSet object, whatever the values."""
    first, parts = archetypes.TextLog("a", level="x")._row()
    second, _ = archetypes.TextLog("b", level=7)._row()
    third, _ = archetypes.TextLog("b", color=1)._row()
    assert first is second
    assert first is not third
    assert [column.component for column in first.columns] == ["TextLog:text", "TextLog:level"]
    assert len(parts) == 8
    assert archetypes.Scalars(None)._row() == (ColumnSet(()), ())


def test_arrays_of_the_right_type_are_not_copied():
    """A C-contiguous array of the field's dtype is passed on as it lies in memory."""
    for made, values in (
        (archetypes.Scalars, np.arange(5.0)),
        (archetypes.Points3D, np.zeros((4, 3), np.float32)),
        (archetypes.Image, np.zeros((2, 2, 3), np.uint8)),
        (archetypes.BarChart, np.arange(7)),
    ):
        views = [np.frombuffer(p, np.uint8) for p in made(values)._row()[1] if isinstance(p, memoryview)]
        assert any(np.shares_memory(view, values) for view in views)


def test_arrow_arrays_are_used_as_they_are():
    """A pyarrow array of the field's type keeps its nulls; a batch of the same component goes over as it is."""
    made = archetypes.TextLog(pa.array(["a", None]))
    assert made.text.as_arrow_array().to_pylist() == ["a", None]
    assert archetypes.TextDocument(made.text).text == made.text
    assert archetypes.Scalars(pa.array([1, 2])).scalars.as_arrow_array().to_pylist() == [1.0, 2.0]


def test_field_access_equality_and_text():
    """Fields are batches or None, archetypes compare by their fields, and print what they hold."""
    made = archetypes.TextLog("a", level=components.TextLogLevel.WARN)
    assert made.color is None
    assert made.level.as_arrow_array().to_pylist() == ["WARN"]
    assert made == archetypes.TextLog("a", level="WARN")
    assert made != archetypes.TextLog("a")
    assert str(made) == "rr.TextLog(\n  text=['a'],\n  level=['WARN']\n)"
    assert made.text.component_type() == "rerun.components.Text"


def test_cleared_and_from_fields():
    """Cleared archetypes hold an empty column for each field; from_fields leaves or clears the rest."""
    names = [len(batch.as_arrow_array()) for batch in archetypes.BarChart.cleared().as_component_batches()]
    assert names == [0, 0, 0, 0]
    kept = archetypes.TextLog.from_fields(level="x")
    assert [str(b.component_descriptor()) for b in kept.as_component_batches()] == ["TextLog:level"]
    cleared = archetypes.TextLog.from_fields(level="x", clear_unset=True)
    assert [b.as_arrow_array().to_pylist() for b in cleared.as_component_batches()] == [[], ["x"], []]


@pytest.mark.parametrize("name", sorted(finder.CONVERTERS))
def test_empty_columns_are_valid(name):
    """The column without values of each converter is an array of its type."""
    arrow = {field.converter: field.arrow for row in ARCHETYPES.values() for field in row.fields}.get(name)
    if arrow is not None:
        array = parts_to_array(arrow, finder.CONVERTERS[name].empty)
        array.validate(full=True)
        assert len(array) == 0


def test_archetypes_pickle():
    """Archetypes survive pickling with their values, buffers included."""
    for made in (archetypes.Scalars(np.arange(3.0)), archetypes.TextLog("a"), archetypes.BarChart([1, 2])):
        assert pickle.loads(pickle.dumps(made)) == made


def test_image_format_reads_back():
    """An image tells the format that its bytes are in."""
    made = archetypes.Image(bytes=b"\0" * 6, width=2, height=2, pixel_format="NV12").image_format()
    assert made == components.ImageFormat(2, 2, pixel_format="NV12")
    assert archetypes.Image(np.zeros((2, 3))).image_format().channel_datatype.name == "F64"


def test_tensor_data_names_dimensions(oracle):
    """A TensorData with dimension names keeps them; a wrong number warns and is dropped, as in rerun-sdk."""
    for names in (["q"], ["q", "r"]):
        got = outcome(lambda names=names: archetypes.BarChart(components.TensorData(array=np.zeros(3), dim_names=names)))
        assert got == outcome(lambda names=names: oracle.BarChart(oracle.TensorData(array=np.zeros(3), dim_names=names)))


def test_module_lists_its_classes():
    """Every row of the table is an attribute, is listed, and is made once."""
    assert set(archetypes.__all__) <= set(dir(archetypes))
    assert archetypes.Scalars is archetypes.Scalars
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        archetypes.Nonsense  # noqa: B018
    assert importlib.import_module("shmrerun.archetypes") is archetypes


def test_scalar_path_imports_nothing_heavy():
    """Plain numbers and texts are made into rows without NumPy, pyarrow, json or logging."""
    code = (
        "import sys; from shmrerun import archetypes as a; from shmrerun.model import batches\n"
        "batches.row_of(a.Scalars(1.0)); batches.row_of(a.Scalars([1, 2.5]))\n"
        "a.TextLog('x', level='INFO', color=[1, 2, 3])._row(); a.Scalars(3)._row()\n"
        "bad = {'numpy', 'pyarrow', 'json', 'logging', 'dataclasses', 'inspect', 'asyncio'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- rows of anything that can be logged ---------------------------------------------------------------------------


def test_single_archetype_gives_its_own_row():
    """One archetype of this package without extras is its own row."""
    made = archetypes.Scalars(1.0)
    assert batches.row_of(made) == made._row()


def test_foreign_objects_may_have_any_other_attribute():
    """A user's object is asked for its batches, whatever private names it has besides."""

    class Own:
        _row = _cells = None

        def as_component_batches(self):
            return archetypes.Scalars(2.0).as_component_batches()

    columns, _ = batches.row_of(Own())
    assert columns is archetypes.Scalars(1.0)._row()[0]


def test_real_rerun_objects_give_the_same_row(oracle):
    """An archetype of rerun-sdk comes to the columns and values that ours comes to."""
    columns, parts = batches.row_of(oracle.Points3D([[1, 2, 3]], labels=["a"]))
    ours, _ = batches.row_of(archetypes.Points3D([[1, 2, 3]], labels=["a"]))
    assert columns is ours
    assert parts_to_array(columns.columns[0].arrow, parts[:5]).to_pylist() == [[1.0, 2.0, 3.0]]


def test_extras_and_lists_are_merged_in_order():
    """Archetypes, lists of described batches and users' own classes make one row, in order; None arrays are skipped."""
    nothing = types.SimpleNamespace(component_descriptor=lambda: None, as_arrow_array=lambda: None)
    own = types.SimpleNamespace(as_component_batches=archetypes.TextLog("x").as_component_batches)
    extra = batches.DescribedComponentBatch(
        types.SimpleNamespace(as_arrow_array=lambda: pa.array([1, 2], pa.int16())),
        batches.ComponentDescriptor("own"),
    )
    columns, parts = batches.row_of(archetypes.Scalars(1.0), ([nothing, extra], own))
    assert [column[:3] for column in columns.columns] == [
        ("Scalars:scalars", "rerun.archetypes.Scalars", "rerun.components.Scalar"),
        ("own", None, None),
        ("TextLog:text", "rerun.archetypes.TextLog", "rerun.components.Text"),
    ]
    assert len(parts) == 10
    assert columns.columns[1].arrow == "int16"


def test_duplicates_warn_and_the_first_counts(strictly):
    """The same descriptor twice warns and keeps the first; in strict mode it is a ValueError."""
    message = "Component Scalars:scalars was included multiple times. Only the first instance will be used."
    with pytest.warns(errors.RerunWarning, match=message):
        columns, parts = batches.row_of(archetypes.Scalars(1.0), (archetypes.Scalars(2.0),))
    assert len(columns.columns) == 1
    assert parts == archetypes.Scalars(1.0)._row()[1]
    strictly(True)
    with pytest.raises(ValueError, match=message):
        batches.row_of(archetypes.Scalars(1.0), (archetypes.Scalars(2.0),))


def test_same_component_of_another_type_the_last_wins():
    """Descriptors that are equal in the component alone do not warn; the last one is kept, in the first one's place."""
    arrays = [pa.array([1]), pa.array(["x"])]
    described = [
        batches.DescribedComponentBatch(
            types.SimpleNamespace(as_arrow_array=lambda a=a: a), batches.ComponentDescriptor("c", None, str(a.type))
        )
        for a in arrays
    ]
    columns, _ = batches.row_of(described)
    assert [column.arrow for column in columns.columns] == ["string"]


@pytest.mark.parametrize(
    ("entity", "error", "message"),
    [
        (
            5,
            TypeError,
            "Expected an object implementing rerun.AsComponents or an iterable of rerun.Described.* <class 'int'>",
        ),
        ("text", AttributeError, "component_descriptor"),
        (archetypes.Scalars, TypeError, "missing 1 required positional argument: 'self'"),
        ([[1]], AttributeError, "component_descriptor"),
        (
            [batches.DescribedComponentBatch(types.SimpleNamespace(as_arrow_array=lambda: [1]), batches.ComponentDescriptor("c"))],
            TypeError,
            "Expected instance of pyarrow.lib.Array, got builtins.list",
        ),
    ],
)
def test_what_cannot_be_logged(entity, error, message):
    """Objects that give no batches are refused with the errors of rerun-sdk."""
    with pytest.raises(error, match=message):
        batches.row_of(entity)


def test_descriptors(oracle):
    """Descriptors behave as those of rerun-sdk do."""
    for module in (batches, oracle):
        make = module.ComponentDescriptor
        full = make("c", "a", "t")
        assert (full.component, full.archetype, full.component_type) == ("c", "a", "t")
        assert full == make("c", "a", "t")
        assert hash(full) == hash(make("c", "a", "t"))
        assert full != make("c", "a")
        assert str(full) == "c"
        assert full.with_overrides(archetype="b") == make("c", "b", "t")
        assert make("c", "a").or_with_overrides("b", "t") == make("c", "a", "t")
        assert make("c").with_builtin_archetype("rerun.archetypes.X") == make("X:c", "rerun.archetypes.X")
        assert make("c").with_builtin_archetype("own.X") == make("own.X:c", "own.X")
        with pytest.raises(RuntimeError):
            make("")
        with pytest.raises(TypeError):
            make(5)


def test_component_columns():
    """Columns are cut by lengths or offsets, never both; lengths are 1-D."""
    batch = archetypes.Scalars([1, 2, 3]).scalars
    assert batch.partition([2, 1]).as_arrow_array().to_pylist() == [[1.0, 2.0], [3.0]]
    column = batches.ComponentColumn("x", batch, offsets=[0, 0, 3])
    assert column.as_arrow_array().to_pylist() == [[], [1.0, 2.0, 3.0]]
    assert column.component_descriptor() == batches.ComponentDescriptor("x")
    assert batches.ComponentColumn("x", batch).as_arrow_array().to_pylist() == [[1.0], [2.0], [3.0]]
    with pytest.raises(ValueError, match=r"Cannot specify both `lengths` and `offsets`\."):
        batches.ComponentColumn("x", batch, lengths=[3], offsets=[0, 3])
    with pytest.raises(ValueError, match=r"Lengths must be a 1D array\."):
        batches.ComponentColumn("x", batch, lengths=[[3]])
    columns = archetypes.Scalars.columns(scalars=[1, 2, 3, 4]).partition([2, 2])
    assert [c.as_arrow_array().to_pylist() for c in columns] == [[[1.0, 2.0], [3.0, 4.0]]]
    assert isinstance(batch, batches.ComponentBatchLike)
    assert isinstance(archetypes.Scalars(1), batches.AsComponents)


def test_an_image_like_the_last_one_is_made_of_its_own_values():
    """What is kept of earlier images is what follows from shape and dtype; all else is looked at each time."""
    from shmrerun.model.images import _kept as kept

    images = archetypes.Image, archetypes.DepthImage, archetypes.SegmentationImage
    noise = np.random.default_rng(0)
    shapes = [(4, 6), (6, 4), (1, 4, 6), (4, 6, 1)]
    arrays = [noise.integers(0, 200, shape).astype(kind) for shape in shapes for kind in (np.uint8, np.float32, ">u2", np.int64)]
    arrays += [array[::-1] for array in arrays] + [array[..., ::2] for array in arrays]
    arrays = [array for array in arrays if array.shape[-1] > 1]

    def parts(made, array):
        return [bytes(part) if isinstance(part, memoryview) else part for part in made(array)._row()[1]]

    for made in images:
        alone = []
        for array in arrays:
            kept.clear()
            alone.append(parts(made, array))
        assert [parts(made, array) for array in arrays * 2] == alone * 2

    class Exotic:
        """Of the same shape and dtype, and no array of numpy."""

        shape, dtype = (4, 6), arrays[0].dtype

        def __array__(self, dtype=None, copy=None):
            return np.full((4, 6), 7, np.uint8)

    class Unhashable(Exotic):
        shape = [4, 6]

    for other in (Exotic(), Unhashable()):
        assert bytes(images[0](other)._0[-1]) == bytes([7] * 24)
    masked = np.ma.masked_array(arrays[0], arrays[0] > 100)
    assert bytes(images[0](masked)._0[-1]) == arrays[0].tobytes()
    for number in range(200):  # more shapes than are kept
        assert images[0](np.zeros((2, number + 2, 3), np.uint8))._row()[1][3] == 6 * (number + 2)
    with pytest.raises(ValueError, match="Expected a 2D or 3D tensor"):
        images[0](np.zeros((4, 6, 3, 2), np.uint8))
    with pytest.raises(ValueError, match="must be 2D"):
        images[1](np.zeros((2, 5, 3), np.uint8))
