"""AnyValues, DynamicArchetype, columns of times, and single values of components."""

from __future__ import annotations

import datetime as dt
import itertools
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest
from test_archetypes import rows_of

from shmrerun import components, datatypes, encodings, errors
from shmrerun.model import any_values, batches, time_columns
from shmrerun.model.parts import Column, ColumnSet

NAIVE = dt.datetime(2020, 1, 1)  # noqa: DTZ001  taken as UTC, which is the point
fresh = (f"fresh{number}" for number in itertools.count())


def plain_repr(value):
    """Name a case alike in every process."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


@pytest.fixture(scope="module")
def oracle():
    """Return the real package."""
    return pytest.importorskip("rerun")


def outcome(make):
    """Batches or columns, and contexts of the warnings (of a type's memory, rerun-sdk warns besides)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make()
        rows = rows_of(made.as_component_batches() if hasattr(made, "as_component_batches") else made)
    texts = [str(item.message) for item in caught]
    return rows, [text.partition(":")[0] for text in texts if not text.startswith("Type for")]


VALUES = [
    1, -1.5, True, "text", b"bytes", "", None, [], [None], [1, None], {"a": 1}, [{"a": 1}], range(3), {1, 2}, [1, "a"],
    bytearray(b"ab"), 2**70, NAIVE, dt.date(2020, 1, 1), dt.timedelta(seconds=1), [[1, 2], [3]],
    np.array(["a", "b"]), np.array([1, 2], np.uint8), np.array([True, False]), np.datetime64(5, "s"), np.float32(1.5),
    np.array([1, 2], "M8[s]"), pa.chunked_array([[1, 2]]), np.array([1, 2, 3])[::2], ("a", "b"), (1, 2.5), [1, 2],
    np.array([], np.float32), complex(1, 2), np.zeros((2, 2)), [True, False], [b"a", b"b"], [2**63], "ä",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=plain_repr)
@pytest.mark.parametrize("drop", [True, False])
def test_any_values_equal_rerun(oracle, value, drop):
    """The types that values get, and what is dropped or refused, are those of rerun-sdk."""
    name = next(fresh)
    ours = outcome(lambda: any_values.AnyValues(drop, **{name: value}))
    assert ours == outcome(lambda: oracle.AnyValues(drop, **{name: value}))


@pytest.mark.parametrize("first", [1, 1.5, "x", True])
@pytest.mark.parametrize("second", [1, 1.5, "x", True, None, [], [1, 2], [2.0], ["a"]])
def test_types_are_remembered(oracle, first, second):
    """The first value of a name sets its type for later ones, as in rerun-sdk."""
    name = next(fresh)
    for value in (first, second):
        ours = outcome(lambda value=value: any_values.AnyValues(**{name: value}))
        theirs = outcome(lambda value=value: oracle.AnyValues(**{name: value}))
        assert ours == theirs


def test_fractions_are_never_cut():
    """A list of fractions after integers is refused, as a single one is (rerun-sdk 0.41 cuts those of lists)."""
    any_values.AnyValues(fractions=1)
    for value in (1.5, [1.5], [1, 2.5], np.array([1.5])):
        with pytest.warns(errors.RerunWarning, match=r"Converting data for 'fractions': ValueError\(Cannot convert"):
            assert any_values.AnyValues(fractions=value).component_batches == []
    rows = rows_of(any_values.AnyValues(fractions=[2.0]).component_batches)
    assert (rows[0]["arrow"], rows[0]["values"]) == ("int64", [2])


@pytest.mark.parametrize(
    "values",
    [
        {"a": [1, 2], "b": ["a", "b"], "c": [[1, 2], [3]], "d": np.array([1, 2]), "e": "abc"},
        {"f": np.zeros((2, 2))},
        {"g": pa.array([1, 2]), "h": None, "i": []},
        {"j": 5, "k": [[1.5], [2]], "l": [{"a": 1}], "m": [b"a", b"b"], "n": [np.array([1, 2]), np.array([3])]},
        {"o": pa.array([[1, 2], [3]])},
        {},
        {"p": object()},
    ],
    ids=",".join,
)
def test_columns_of_any_values_equal_rerun(oracle, values):
    """Columns have the rows that rerun-sdk makes: one a value, or one a list."""
    values = {f"columns_{name}": value for name, value in values.items()}
    assert outcome(lambda: any_values.AnyValues.columns(**values)) == outcome(lambda: oracle.AnyValues.columns(**values))


def test_names_and_types_of_components(oracle):
    """AnyValues have bare names; DynamicArchetype puts its own before them; overrides carry a component type."""
    for module in (any_values, oracle):
        values = module.AnyValues(n1=1).with_component_from_data("Foo:n2", [1])
        values = values.with_component_override("n3", "my.T", [2.5])
        dynamic = module.DynamicArchetype("rerun.archetypes.Foo", components={"n4": [1, 2]})
        dynamic = dynamic.with_component_override("n5", "T", "x")
        got = [
            (d.component, d.archetype, d.component_type)
            for made in (values, dynamic)
            for d in (batch.component_descriptor() for batch in made.as_component_batches())
        ]
        assert got == [
            ("n1", None, None),
            ("Foo:n2", None, None),
            ("n3", None, "my.T"),
            ("Foo:n4", "rerun.archetypes.Foo", None),
            ("Foo:n5", "rerun.archetypes.Foo", "T"),
        ]


def test_rows_without_pyarrow():
    """Plain numbers and texts become rows without NumPy or pyarrow; the columns are one object for equal names."""
    made = any_values.AnyValues(r1=1.5, r2="x")
    columns, parts = batches.row_of(made)
    assert columns is ColumnSet((Column("r1", None, None, "double"), Column("r2", None, None, "string")))
    assert len(parts) == 7
    assert made._row()[0] is columns
    code = (
        "import sys; from shmrerun.model import any_values\n"
        "any_values.AnyValues(a=1, b=2.5, c='x', d=b'y', e=[1, 2], f=True)._row()\n"
        "bad = {'numpy', 'pyarrow'} & set(sys.modules)\nassert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_to_log():
    """No component at all is a warning when logged; asking for the batches is not."""
    empty = any_values.AnyValues()
    assert empty.component_batches == []
    with pytest.warns(errors.RerunWarning, match=r"AnyValues: ValueError\(No valid component batches to return\.\)"):
        assert batches.row_of(empty) == (ColumnSet(()), ())
    with pytest.warns(errors.RerunWarning, match="drop_untyped_nones must be a bool, got int"):
        any_values.AnyValues(5)
    with pytest.warns(errors.RerunWarning, match="archetype must be a str, got int"):
        any_values.DynamicArchetype(5)


def test_any_batch_value():
    """An AnyBatchValue is a batch of one component; what cannot be inferred is none."""
    made = any_values.AnyBatchValue("v1", [1, 2])
    assert made.is_valid()
    assert made.as_arrow_array().to_pylist() == [1, 2]
    assert not any_values.AnyBatchValue("v2", None).is_valid()
    assert any_values.AnyBatchValue("v3", None).as_arrow_array() is None
    descriptor = batches.ComponentDescriptor("v4", "A", "T")
    assert any_values.AnyBatchValue(descriptor, 1).component_descriptor() == descriptor
    assert any_values.AnyBatchValue.column("v5", [1, 2]).as_arrow_array().to_pylist() == [[1], [2]]
    assert batches.row_of([made])[0].columns == (Column("v1", None, None, "int64"),)


TIMES = [
    {"sequence": [1.5]}, {"sequence": [1, None]}, {"sequence": np.array([1, 2], np.uint8)}, {"sequence": range(3)},
    {"sequence": 5}, {"sequence": np.array([1.5])}, {"sequence": pa.array([1, 2])}, {"sequence": ["a"]}, {},
    {"sequence": [1], "duration": [1]}, {"duration": [1, 2.5, dt.timedelta(milliseconds=1), np.timedelta64(3, "s")]},
    {"duration": np.array([1.5, 2])}, {"duration": np.array([1, 2], "m8[s]")}, {"duration": np.array([1, 2], "M8[s]")},
    {"duration": np.array(["a"])}, {"duration": ["a"]}, {"duration": 5}, {"duration": []}, {"duration": [float("nan")]},
    {"timestamp": [1, 2.5, NAIVE, np.datetime64(3, "s")]}, {"timestamp": [1e12]},
    {"timestamp": np.array([1, 2], "M8[ms]")}, {"timestamp": ["a"]},
    {"timestamp": np.array([1.1234567891234])}, {"timestamp": [True]}, {"timestamp": np.array([True])},
]  # fmt: skip


@pytest.mark.parametrize("given", TIMES, ids=plain_repr)
def test_time_columns_equal_rerun(oracle, given):
    """Columns of times are those of rerun-sdk; so are the types of errors and, for the first check, the message."""
    found = []
    for module in (time_columns, oracle):
        try:
            made = module.TimeColumn("t", **given)
            array = made.as_arrow_array()
            values = array.to_pylist() if array.type == pa.int64() else array.cast(pa.int64()).to_pylist()
            found.append((made.timeline_name(), str(array.type), values))
        except Exception as error:
            found.append((type(error).__name__, str(error) if len(given) != 1 else ""))
    assert found[0] == found[1]


def test_times_that_do_not_fit_are_refused():
    """Arrays of times are never wrapped round: what nanoseconds cannot hold is an OverflowError; integers are exact."""
    for given in (
        {"timestamp": np.array([1e12])},
        {"duration": np.array([2**60])},
        {"duration": np.array([np.nan])},
        {"timestamp": np.array([2**40], "M8[s]")},
        {"duration": np.array([2**60], "m8[us]")},
    ):
        with pytest.raises(OverflowError):
            time_columns.TimeColumn("t", **given)
    made = time_columns.TimeColumn("t", timestamp=np.array([2**33 + 1]))
    assert made.as_arrow_array().cast(pa.int64()).to_pylist() == [(2**33 + 1) * 10**9]
    kept = time_columns.TimeColumn("t", timestamp=np.array([5, "NaT"], "M8[ms]")).as_arrow_array()
    assert kept.cast(pa.int64())[0].as_py() == 5_000_000


def test_older_time_columns():
    """The older columns give indices, and timestamps in seconds (cut) and nanoseconds."""
    for made, kind, values in (
        (time_columns.TimeSequenceColumn("t", [1, 2]), "int64", [1, 2]),
        (time_columns.TimeSecondsColumn("t", [1.5, 0.1]), "timestamp[ns]", [1_500_000_000, 100_000_000]),
        (time_columns.TimeNanosColumn("t", [7, 8]), "timestamp[ns]", [7, 8]),
    ):
        array = made.as_arrow_array()
        assert (made.timeline_name(), str(array.type)) == ("t", kind)
        assert array.cast(pa.int64()).to_pylist() == values


# --- single values -------------------------------------------------------------------------------------------------


def test_values_show_and_compare_by_their_fields():
    """Single values print as rerun-sdk's do, are equal by their fields, hash and pickle."""
    made = [
        components.Position3D([1, 2, 3]),
        components.Radius(0.5),
        components.ClassId(3),
        components.Text("a"),
        components.Blob(b"abc"),
        encodings.Quaternion(xyzw=[0, 0, 0, 1]),
        encodings.RotationAxisAngle([1, 0, 0], degrees=90),
        encodings.AnnotationInfo(1, "a", [1, 2, 3]),
        encodings.ClassDescription(info=1, keypoint_connections=[(1, 2)]),
        encodings.Rgba32([1, 2, 3]),
        components.ViewCoordinates.RDF,
        components.FillMode.Solid,
        encodings.TimeRange(encodings.TimeRangeBoundary.infinite(), encodings.TimeRangeBoundary.absolute(seq=3)),
    ]
    for value in made:
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert hash(again) == hash(value)
    assert repr(made[0]) == "Position3D(xyz=array([1., 2., 3.], dtype=float32))"
    assert repr(made[1]) == "Radius(value=0.5)"
    assert made[0] != components.Position3D([1, 2, 4])
    assert float(made[1]) == 0.5
    assert int(made[2]) == 3
    assert components.MediaType.PNG == "image/png"


def test_value_errors():
    """Value classes refuse what rerun-sdk refuses."""
    for call in (
        lambda: encodings.RotationAxisAngle([1, 0, 0]),
        lambda: encodings.RotationAxisAngle([1, 0, 0], 1, degrees=3),
        encodings.Angle,
        components.VideoTimestamp,
        lambda: components.VideoTimestamp(seconds=1, nanoseconds=2),
        encodings.TimeInt,
        lambda: components.ClassId("a"),
        lambda: components.Position3D("abc"),
        lambda: components.FillMode.auto("nope"),
        encodings.TensorData,
        lambda: components.TransformMat3x3([1, 2]),
    ):
        with pytest.raises(ValueError):
            call()


def test_batches_of_components():
    """A batch takes what a field takes, has its component's name, and turns errors into warnings."""
    batch = components.Position3DBatch([[1, 2, 3], [4, 5, 6]])
    assert len(batch) == 2
    assert batch == components.Position3DBatch(np.array([[1, 2, 3], [4, 5, 6]]))
    assert pickle.loads(pickle.dumps(batch)) == batch
    assert batch.partition([2]).component_descriptor().component == "rerun.components.Position3D"
    assert components.Position3D.arrow_type() == batch.as_arrow_array().type
    assert components.FillMode.arrow_type() == pa.uint8()
    assert len(components.RadiusBatch(None)) == 0
    with pytest.warns(errors.RerunWarning, match="Position3DBatch: ValueError"):
        assert len(components.Position3DBatch([1, 2, 3, 4])) == 0


def test_older_name_of_encodings():
    """``datatypes`` has what ``encodings`` has; unknown names are AttributeErrors in all three modules."""
    assert datatypes.Quaternion is encodings.Quaternion
    assert set(encodings.__all__) <= set(dir(datatypes))
    for module in (components, encodings, datatypes):
        with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
            module.Nonsense  # noqa: B018
        for name in module.__all__:
            assert getattr(module, name) is getattr(module, name)


def test_value_modules_import_nothing_heavy():
    """Importing the modules, enums, texts and rotations needs neither NumPy nor pyarrow."""
    code = (
        "import sys; from shmrerun import components as c, encodings as e, datatypes, archetypes as a\n"
        "c.FillMode.Solid, c.TextLogLevel.INFO, c.MediaType.PNG, c.Radius(1)\n"
        "a.Boxes3D(half_sizes=[[1, 2, 3]], quaternions=[e.Quaternion(xyzw=[0, 0, 0, 1])], fill_mode='solid')._row()\n"
        "a.Transform3D(translation=[1, 2, 3], rotation=e.RotationAxisAngle([1, 0, 0], degrees=90), scale=2)._row()\n"
        "a.LineStrips3D([[0, 0, 0], [1, 1, 1]], colors=[1, 2, 3])._row(); a.Clear(recursive=True)._row()\n"
        "a.EncodedImage(contents=b'abc', media_type='image/png')._row()\n"
        "bad = {'numpy', 'pyarrow', 'json', 'dataclasses', 'inspect'} & set(sys.modules)\nassert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def batch_of_users(package):
    """A batch and a value as users write them on one of the packages."""

    class ConfidenceBatch(package.ComponentBatchMixin):
        _COMPONENT_TYPE = "user.Confidence"
        _ARROW_DATATYPE = pa.float32()

        def __init__(self, values):
            self.values = [float(value) for value in values]

        def as_arrow_array(self):
            return pa.array(self.values, self._ARROW_DATATYPE)

    class Confidence(package.ComponentMixin):
        _BATCH_TYPE = ConfidenceBatch

        def __init__(self, value):
            self.value = value

        def __float__(self):
            return self.value

    return ConfidenceBatch, Confidence


def test_batches_of_users_equal_rerun(oracle):
    """Users' batches and values, made on the mixins, give the descriptors, rows and types that rerun-sdk's give."""
    import shmrerun

    def shown(package):
        batch_class, value_class = batch_of_users(package)
        batch, value = batch_class([1, 2, 3]), value_class(0.5)
        described = batch.described(package.ComponentDescriptor("own", archetype="user.Own"))
        columns = [batch.partition([1, 2]), batch.partition()]
        told = [(column.component_descriptor().component, column.as_arrow_array().to_pylist()) for column in columns]
        types = [batch.component_type(), value_class.component_type(), value_class.arrow_type(), value.as_arrow_array().to_pylist()]
        return rows_of([described]), told, types, isinstance(batch, package.ComponentBatchLike)

    assert shown(shmrerun) == shown(oracle)


def test_mixins_know_the_packages_classes(oracle):
    """Batches and values of components are instances of the mixins and name their types; batches of encodings do not."""
    import shmrerun

    for package in (shmrerun, oracle):
        batch, value = package.components.ColorBatch([1]), package.components.Color(1)
        assert isinstance(batch, package.ComponentBatchMixin)
        assert isinstance(value, package.ComponentMixin)
        assert value._BATCH_TYPE is package.components.ColorBatch
        assert ("rerun.components.Color", pa.uint32()) == (batch._COMPONENT_TYPE, batch._ARROW_DATATYPE)
        assert package.components.ScalarBatch._COMPONENT_TYPE == "rerun.components.Scalar"
        assert package.components.MarkerShapeBatch._COMPONENT_TYPE == "rerun.components.MarkerShape"
        assert not hasattr(package.encodings.Rgba32Batch, "_COMPONENT_TYPE")
        assert pa.uint32() == package.encodings.Rgba32Batch._ARROW_DATATYPE


def test_types_of_derived_batches(oracle):
    """A class derived from a batch or a value of the package brings its own component type."""
    import shmrerun

    for package in (shmrerun, oracle):
        own = type("OwnBatch", (package.components.Position3DBatch,), {"_COMPONENT_TYPE": "user.Own"})
        value = type("Own", (package.components.Position3D,), {"_BATCH_TYPE": own})
        assert own([[1, 2, 3]]).component_type() == value.component_type() == "user.Own"
        assert own([[1, 2, 3]]).partition().component_descriptor().component == "user.Own"
        assert value([1, 2, 3]).as_arrow_array().to_pylist() == [[1, 2, 3]]


def test_batches_of_users_need_an_array():
    """A batch that does not say how its array is made tells so."""
    own = type("OwnBatch", (batches.ComponentBatchMixin,), {})
    with pytest.raises(NotImplementedError, match="OwnBatch needs a method as_arrow_array"):
        own().as_arrow_array()


# --- what single values can do -------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [[1.2345], [1.5e-9, 2.5e-9], [1, 2], [], np.arange(3), np.array([[1.5], [2.0]])])
@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "nanoseconds"])
def test_batches_of_video_times_equal_rerun(times, unit):
    """Times of a video in any unit are cut to nanoseconds as rerun-sdk does."""
    oracle = pytest.importorskip("rerun").components.VideoTimestamp
    ours = getattr(components.VideoTimestamp, unit)(times)
    assert ours.as_arrow_array().equals(getattr(oracle, unit)(np.ravel(times)).as_arrow_array())


def test_a_single_video_time_is_a_batch_of_one():
    """A bare number is one time (rerun-sdk 0.41 raises a TypeError)."""
    assert components.VideoTimestamp.seconds(2).as_arrow_array().to_pylist() == [2_000_000_000]


def test_planes_have_normal_and_distance():
    """A plane gives its normal and distance, and the same plane at another distance."""
    plane = components.Plane3D((1, 2, 3), 4)
    assert plane.normal().tolist() == [1, 2, 3]
    assert plane.distance() == 4
    assert plane.with_distance(9).xyzd.tolist() == [1, 2, 3, 9]
    assert plane.xyzd.tolist() == [1, 2, 3, 4]


def test_colors_of_texts_are_the_same_in_all_processes():
    """The colour of a text does not depend on the process, unlike Python's hash; it is opaque, and differs from text to text."""
    assert int(components.Color.from_string("left arm")) == 0x768013FF
    assert len({int(components.Color.from_string(str(number))) for number in range(50)}) > 40
    assert int(components.Color.from_string("")) & 0xFF == 0xFF


def test_paths_and_batches_have_the_members_of_rerun():
    """An entity path has ``path``; ``strict`` of a batch wins over the process's mode."""
    assert components.EntityPath("a/b").path == "a/b"
    assert type(components.EntityPath("a/b").path) is str
    with pytest.raises(ValueError, match="multiple of 3"):
        components.Position3DBatch([1, 2], strict=True)
    with pytest.warns(errors.RerunWarning, match="Position3DBatch"):
        assert len(components.Position3DBatch([1, 2], strict=False)) == 0


def test_rows_of_any_batch_values():
    """With ``expect_column`` nested data are lists, one a row, of items of the type that is remembered."""
    made = any_values.AnyBatchValue("rows_of_any", [[1, 2], [3]], expect_column=True)
    assert str(made.as_arrow_array().type) == "list<item: int64>"
    again = any_values.AnyBatchValue("rows_of_any", [[4.0]], expect_column=True)
    assert str(again.as_arrow_array().type) == "list<item: int64>"
    assert any_values.AnyBatchValue("rows_of_any", 5).as_arrow_array().to_pylist() == [5]
