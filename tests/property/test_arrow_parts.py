"""Arrow arrays of random types, cut into parts and put together again."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shmrerun.model import arrow_types

NAMES = st.sampled_from(["a", "b", "item", "", "a: int8", "x, y", "z>", "with space", "\u00e9"])
LEAVES = st.sampled_from([
    pa.int8(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), pa.binary(3), pa.null(),
    pa.timestamp("ns"), pa.duration("ns"), pa.large_string(), pa.string_view(),
])  # fmt: skip


def field(name, t, nullable):
    return pa.field(name, t, nullable=nullable or pa.types.is_null(t))


def nested(types):
    fields = st.builds(field, NAMES, types, st.booleans())
    several = st.lists(fields, min_size=1, max_size=3, unique_by=lambda f: f.name)
    return st.one_of(
        st.builds(pa.list_, fields),
        st.builds(pa.list_, fields, st.integers(0, 3)),
        st.builds(pa.struct, several),
        st.builds(pa.dense_union, several),
    )


TYPES = st.recursive(LEAVES, nested, max_leaves=6)


def values(t, *, nullable):
    """Python values of a type, for pa.array()."""
    if pa.types.is_null(t):
        return st.none()
    if pa.types.is_boolean(t):
        made = st.booleans()
    elif pa.types.is_integer(t):
        made = st.integers(0, 127)
    elif pa.types.is_floating(t):
        made = st.floats(width=32, allow_nan=False)
    elif pa.types.is_fixed_size_binary(t):
        made = st.binary(min_size=t.byte_width, max_size=t.byte_width)
    elif pa.types.is_binary(t):
        made = st.binary(max_size=4)
    elif pa.types.is_temporal(t):
        made = st.integers(0, 2**60)
    else:
        made = st.text(st.characters(codec="utf-8"), max_size=20)
    return made | st.none() if nullable else made


@st.composite
def arrays(draw, t, length, *, nullable=True):
    """Draw an array; its children are drawn by themselves, so that unused and null-covered values occur."""
    valid = draw(st.lists(st.booleans(), min_size=length, max_size=length)) if nullable else [True] * length
    mask = pa.array([not v for v in valid], pa.bool_())
    if pa.types.is_list(t):
        sizes = draw(st.lists(st.integers(0, 3), min_size=length, max_size=length))
        offsets = [sum(sizes[:i]) for i in range(length + 1)]
        child = draw(arrays(t.value_type, offsets[-1], nullable=t.value_field.nullable))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), child, type=t, mask=mask)
    if pa.types.is_fixed_size_list(t):
        child = draw(arrays(t.value_type, length * t.list_size, nullable=t.value_field.nullable))
        bits = sum(v << i for i, v in enumerate(valid)).to_bytes((length + 7) // 8, "little")
        return pa.Array.from_buffers(t, length, [pa.py_buffer(bits)], -1, 0, [child])
    if pa.types.is_struct(t):
        fields = [t.field(i) for i in range(t.num_fields)]
        children = [draw(arrays(f.type, length, nullable=f.nullable)) for f in fields]
        return pa.StructArray.from_arrays(children, fields=fields, mask=mask)
    if pa.types.is_union(t):
        fields = [t.field(i) for i in range(t.num_fields)]
        codes = draw(st.lists(st.integers(0, len(fields) - 1), min_size=length, max_size=length))
        places = [codes[:i].count(code) for i, code in enumerate(codes)]
        children = [draw(arrays(f.type, codes.count(i) + 1, nullable=f.nullable)) for i, f in enumerate(fields)]
        buffers = [None, pa.array(codes, pa.int8()).buffers()[1], pa.array(places, pa.int32()).buffers()[1]]
        return pa.Array.from_buffers(t, length, buffers, 0, 0, children)
    made = draw(st.lists(values(t, nullable=nullable), min_size=length, max_size=length))
    return pa.array(made, t)


@st.composite
def sliced(draw):
    t = draw(TYPES)
    length = draw(st.integers(0, 12))
    array = draw(arrays(t, length))
    start = draw(st.integers(0, length))
    return array.slice(start, draw(st.integers(0, length - start)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sliced())
def test_any_array_comes_back_equal(array):
    """Type text and parts of any array, sliced anywhere, make an equal array of an equal type."""
    text = arrow_types.type_text(array.type)
    back = arrow_types.parts_to_array(text, arrow_types.parts_of(array))
    back.validate(full=True)
    assert back.type.equals(array.type, check_metadata=True)
    assert back.equals(array)


@settings(max_examples=300, deadline=None)
@given(TYPES)
def test_any_type_comes_back_equal(t):
    """The text of any type parses to that type."""
    assert arrow_types.parse_type(arrow_types.type_text(t)).equals(t, check_metadata=True)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abilnstru<>:[]()=, _0123456789", max_size=40) | st.text(max_size=20))
def test_any_text_parses_or_raises_value_error(text):
    """No text makes the parser fail in another way than by ValueError."""
    try:
        t = arrow_types.parse_type(text)
    except ValueError:
        return
    assert isinstance(t, pa.DataType)
