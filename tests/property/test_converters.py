"""What is made of arrays of any dtype, shape and layout, and of nested sequences, is what rerun-sdk 0.41 makes of them."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shmrerun

rerun = pytest.importorskip("rerun")

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">i4")
QUICKLY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def outcome(make):
    """Types and values of the batches that a call gives, and the contexts and errors of its warnings; or the type of its exception."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = make()
            batches = made.as_component_batches() if hasattr(made, "as_component_batches") else list(made)
            result = [(str(b.component_descriptor()), str(b.as_arrow_array().type), repr(b.as_arrow_array().to_pylist())) for b in batches]
        except Exception as error:
            result = type(error).__name__
    return result, [str(item.message).partition("(")[0] for item in caught if item.category.__name__ == "RerunWarning"]


# --- inputs --------------------------------------------------------------------------------------------------------

NUMBERS = (
    st.integers(-3, 300) | st.floats(-2, 2, width=32) | st.sampled_from([float("nan"), float("inf"), 1e300, 70_000, 2**40, -(2**31), True])
)
LAYOUTS = ("plain", "transposed", "reversed", "strided", "fortran", "broadcast", "read-only", "masked axis")


def laid_out(values, layout):
    """The same kind of array in another layout of memory."""
    if layout == "transposed":
        return values.T
    if layout == "reversed" and values.ndim:
        return values[::-1]
    if layout == "strided" and values.ndim:
        return np.repeat(values, 2, axis=-1)[..., ::2]
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "broadcast":
        return np.broadcast_to(values, (2, *values.shape))
    if layout == "read-only":
        values.flags.writeable = False
    if layout == "masked axis":
        return values[..., np.newaxis]
    return values


@st.composite
def arrays(draw, last=None, dtypes=DTYPES):
    """Arrays of any small shape, the last dimension often ``last``."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3).map(tuple))
    if last and draw(st.integers(0, 3)):
        shape = (*shape[:2], last)
    values = np.arange(int(np.prod(shape)), dtype=np.float64) * draw(st.sampled_from([1, 0.25, 40]))
    return laid_out(values.astype(draw(st.sampled_from(dtypes))).reshape(shape), draw(st.sampled_from(LAYOUTS)))


@st.composite
def nested(draw, last=None):
    """Numbers, sequences of them, and sequences of those: lists, tuples and arrays, of equal lengths or not."""
    sizes = st.just(last) if last and draw(st.integers(0, 3)) else st.integers(0, 5)
    flat = sizes.flatmap(lambda size: st.lists(NUMBERS, min_size=size, max_size=size))
    inner = flat | flat.map(tuple) | arrays(last)
    rows = st.lists(flat, max_size=3) | st.lists(inner, max_size=3) | st.lists(flat.map(tuple), max_size=3).map(tuple)
    return draw(NUMBERS | flat | flat.map(tuple) | rows | rows.map(lambda value: [value]))


def scalars():
    """Numbers of NumPy, alone and in lists."""
    one = st.builds(lambda value, dtype: np.dtype(dtype).type(value), st.integers(0, 100), st.sampled_from(DTYPES[:12]))
    return one | st.lists(one, max_size=4)


def anything(last=None):
    return arrays(last) | nested(last) | scalars()


# --- what they are given to --------------------------------------------------------------------------------------------

POINTS = {"Points2D": {"positions": [[1, 2]]}, "Points3D": {"positions": [[1, 2, 3]]}, "Mesh3D": {"vertex_positions": [[1, 2, 3]]}}
FIELDS = {  # archetype and parameter: the usual size of the last dimension
    ("Points2D", "positions"): 2,
    ("Points3D", "positions"): 3,
    ("Points3D", "radii"): 1,
    ("Points3D", "class_ids"): 1,
    ("Points3D", "keypoint_ids"): 1,
    ("Points3D", "show_labels"): 1,
    ("Points3D", "colors"): 3,
    ("Points2D", "colors"): 4,
    ("Boxes3D", "half_sizes"): 3,
    ("Boxes3D", "sizes"): 3,
    ("Boxes3D", "quaternions"): 4,
    ("Boxes3D", "rotations"): 4,
    ("Arrows3D", "vectors"): 3,
    ("GeoPoints", "lat_lon"): 2,
    ("Transform3D", "translation"): 3,
    ("Transform3D", "mat3x3"): 3,
    ("Transform3D", "quaternion"): 4,
    ("Transform3D", "scale"): 3,
    ("Mesh3D", "triangle_indices"): 3,
    ("Mesh3D", "vertex_texcoords"): 2,
    ("Mesh3D", "albedo_factor"): 4,
    ("DepthImage", "depth_range"): 2,
    ("Scalars", "scalars"): 1,
    ("Ellipsoids3D", "radii"): 1,
    ("Ellipsoids3D", "half_sizes"): 3,
    ("SeriesLines", "widths"): 1,
    ("Pinhole", "image_from_camera"): 3,
    ("LineStrips2D", "strips"): 2,
    ("LineStrips3D", "strips"): 3,
    ("GeoLineStrings", "lat_lon"): 2,
    ("Tensor", "data"): 2,
    ("BarChart", "values"): 1,
    ("Image", "image"): 3,
    ("DepthImage", "image"): 4,
    ("SegmentationImage", "image"): 4,
    ("VideoFrameReference", "timestamp"): 1,
    ("AssetVideo", "contents"): 4,
    ("TextLog", "text"): 1,
}
BATCHES = {  # batches of components: the same
    **dict.fromkeys(("ClassId", "Colormap", "Count", "KeypointId", "Opacity", "Radius", "Scalar", "SchemaId", "ShowLabels", "Text"), 1),
    **dict.fromkeys(("Timestamp", "VideoTimestamp"), 1),
    **dict.fromkeys(("HalfSize2D", "LatLon", "LineStrip2D", "Position2D", "Resolution", "TensorData", "ValueRange"), 2),
    **dict.fromkeys(("Color", "LineStrip3D", "Position3D", "TransformMat3x3", "TriangleIndices", "Vector3D", "VoxelIndex"), 3),
    **dict.fromkeys(("Blob", "Plane3D", "RotationQuat", "SphericalHarmonics3Rgb"), 4),
}


def call(module, archetype, parameter, value):
    """Construct an archetype with one parameter of interest."""
    given_values = {**POINTS.get(archetype, {}), parameter: value}
    if archetype == "DepthImage" and parameter != "image":
        given_values["image"] = np.zeros((2, 2), np.uint8)
    return getattr(module, archetype)(**given_values)


def batch(module, name, value):
    """A batch of a component, under some descriptor."""
    return [getattr(module.components, f"{name}Batch")(value).described(rerun.ComponentDescriptor("x"))]


# --- what is not the same, and why -----------------------------------------------------------------------------------


def as_array(value):
    """The value as an array, if it is one kind of number in rows of one length; else None."""
    try:
        found = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    return found if found.dtype.kind in "biuf" else None


def holds(value, test):
    """Whether an item of nested sequences passes a test."""
    return test(value) or (isinstance(value, list | tuple) and any(holds(item, test) for item in value))


def is_half(value):
    return getattr(value, "dtype", None) == np.float16


def is_swapped(value):
    return isinstance(value, np.ndarray) and not value.dtype.isnative


def is_number(value):
    return isinstance(value, int | float | np.generic)


def dimensions(value):
    return value.ndim if isinstance(value, np.ndarray) else 0


def is_array_among_others(value):
    """Whether a sequence of rows of different lengths has an array of several colours for one of them."""
    return isinstance(value, list | tuple) and as_array(value) is None and holds(value, lambda item: dimensions(item) > 1)


def are_no_members(value):
    """Whether a value is a number of NumPy, or holds anything that is neither a member of an enum nor its number or name."""
    items = value if isinstance(value, list | tuple) else [value]
    return not all(isinstance(item, int | str) for item in items)


COLORS = {"colors", "albedo_factor", "Color"}
BLOBS = {"contents", "Blob"}
STRIPS = {"strips", "lat_lon", "LineStrip2D", "LineStrip3D"}
TENSORS = {"data", "values", "TensorData"}
IMAGES = {"image"}
ENUMS = {"Colormap"}
FAILED = "failed in both"  # in place of a predicate: neither has values of the field
DIFFERENCES = [  # where, of which values, why: everything else is equal, and most of these are as well
    (BLOBS, is_number, "a bare number is a TypeError; there an AttributeError about int"),
    (
        BLOBS,
        lambda v: dimensions(v) > 2,
        "each item of an array is one blob; there the second dimension is its length, and the rest is lost",
    ),
    (COLORS, lambda v: holds(v, is_half), "half floats are fractions as other floats are; there they are cut to bytes"),
    (COLORS, lambda v: holds(v, is_swapped), "floats of the other byte order are fractions; there only some are"),
    (COLORS, lambda v: np.ndim(as_array(v)) > 2, "arrays are colours along the last dimension; there more than two dimensions are garbled"),
    (COLORS, lambda v: np.ndim(as_array(v)) > 1 and as_array(v).shape[-1] > 4, "five numbers are no colour; there the first three are"),
    (COLORS, is_array_among_others, "one colour an item; there the first of an array"),
    (ENUMS, are_no_members, "numbers of NumPy are taken, other things are a ValueError; there some are an AttributeError"),
    (STRIPS, is_number, "one warning; there two for the same"),
    (
        STRIPS,
        lambda v: dimensions(v) > 2,
        "an array is strips along the last dimension; there the numbers are read flat, whatever its length",
    ),
    (TENSORS, lambda v: holds(v, is_swapped), "the other byte order is swapped; there an error, or the bytes as they lie"),
    (IMAGES, lambda v: holds(v, is_swapped), "the other byte order is swapped; there the bytes are taken as they lie, a wrong picture"),
    (TENSORS, FAILED, "the field is empty, with one warning; there it is unset, or with a second warning"),
    (
        {"scale"},
        lambda v: hasattr(v, "__len__") and len(v) == 1,
        "a sequence of one vector is one vector; there it is repeated three times",
    ),
]


def is_listed(where, value, ours, theirs):
    for names, applies, _ in DIFFERENCES:
        if where in names:
            if applies is FAILED:
                if ours[1] and theirs[1] and "[{" not in str(ours[0]) + str(theirs[0]):
                    return True
            elif applies(value):
                return True
    return False


def compare(where, make, value):
    ours, theirs = outcome(lambda: make(shmrerun, value)), outcome(lambda: make(rerun, value))
    assert ours == theirs or is_listed(where, value, ours, theirs)


@pytest.mark.parametrize(("archetype", "parameter"), FIELDS, ids=lambda name: name)
@QUICKLY
@given(data=st.data())
def test_constructors_equal_rerun(archetype, parameter, data):
    """Constructors make the Arrow arrays that rerun-sdk makes of a parameter, or give the same warnings and errors."""
    value = data.draw(anything(FIELDS[archetype, parameter]))
    compare(parameter, lambda module, given_value: call(module, archetype, parameter, given_value), value)


@pytest.mark.parametrize("name", BATCHES)
@QUICKLY
@given(data=st.data())
def test_batches_equal_rerun(name, data):
    """Batches of components make the Arrow arrays that rerun-sdk makes, or give the same warnings and errors."""
    value = data.draw(anything(BATCHES[name]))
    compare(name, lambda module, given_value: batch(module, name, given_value), value)


TEXTS = st.text(max_size=4) | st.sampled_from(["", "ä\n", "\0", "a" * 300])
SEVERAL_TEXTS = st.lists(TEXTS, max_size=4)


@QUICKLY
@given(
    value=TEXTS
    | SEVERAL_TEXTS
    | SEVERAL_TEXTS.map(tuple)
    | SEVERAL_TEXTS.map(np.array)
    | st.lists(TEXTS | st.none() | st.integers(), max_size=3)
)
def test_texts_equal_rerun(value):
    """Texts, alone, in sequences and in arrays, and what is no text among them, become the texts that rerun-sdk makes."""
    compare("labels", lambda module, given_value: call(module, "Points3D", "labels", given_value), value)


def test_half_floats_are_fractions():
    """Colours of half floats are fractions of 255 like those of other floats."""
    row = np.array([[1, 0.5, 0]], np.float16)
    assert shmrerun.components.ColorBatch(row) == shmrerun.components.ColorBatch(row.astype(np.float32))


def test_arrays_of_strips_keep_their_points():
    """An array of strips of another byte order or with more dimensions than three has all its points, none across strips."""
    points = np.arange(24.0).reshape(2, 3, 2, 2)
    found = shmrerun.components.LineStrip2DBatch(points).as_arrow_array().to_pylist()
    assert found == points.reshape(2, 6, 2).tolist()


def test_swapped_bytes_are_put_right():
    """Images and tensors of the other byte order hold the numbers that the array has."""
    values = np.arange(6, dtype=">u2").reshape(2, 3)
    assert shmrerun.DepthImage(values) == shmrerun.DepthImage(values.astype("=u2"))
    assert shmrerun.Tensor(values) == shmrerun.Tensor(values.astype("=u2"))


def test_times_that_are_no_numbers_are_refused():
    """NaN and infinity are no times of a video."""
    for value in (math.nan, math.inf):
        with pytest.warns(shmrerun.errors.RerunWarning):
            assert len(shmrerun.components.VideoTimestampBatch(value)) == 0
