"""Selectors and casts find in Arrow arrays what rerun-sdk's find."""

import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import rerun.chunk as theirs

import shmrerun.chunk as ours
from shmrerun.rrd.cast import cast

STRUCTS = pa.array([{"a": 1, "b": [1, 2], "c": {"d": 1.5}}, None, {"a": None, "b": None, "c": None}, {"a": 4, "b": [], "c": {"d": None}}])
FIXED = pa.array([[1, 2], None, [3, None], [None, None]], pa.list_(pa.int64(), 2))
FULL = pa.StructArray.from_arrays(
    [pa.array([1.0, 2.0]), pa.array([3.0, 4.0])],
    fields=[pa.field("x", pa.float64(), nullable=False), pa.field("y", pa.float64(), nullable=False)],
)
ARRAYS = {
    "structs": STRUCTS,
    "lists": pa.array([[1, 2], None, [], [3, None], [None]]),
    "fixed": FIXED,
    "lists of lists": pa.array([[[1, 2], [3]], None, [], [None, []], [[4]]]),
    "lists of structs": pa.array([[{"a": 1}, {"a": 2}], None, [], [{"a": None}], [None]]),
    "rows of structs": pa.ListArray.from_arrays([0, 2, 2, 4], STRUCTS),
    "rows of fixed": pa.ListArray.from_arrays([0, 2, 2, 4], FIXED),
    "texts": pa.array(["a", None, ""]),
    "rows of texts": pa.array([["a", None], None, [""], []]),
    "without nulls": FULL,
    "rows without nulls": pa.ListArray.from_arrays([0, 1, 2], FULL),
    "large": pa.array([[1], []], pa.large_list(pa.int64())),
    "no rows": pa.ListArray.from_arrays([0, 2, 2, 4], STRUCTS).slice(0, 0),
}
ARRAYS |= {f"end of {name}": array.slice(1) for name, array in ARRAYS.items() if len(array) > 1}
ARRAYS |= {f"middle of {name}": array.slice(1, len(array) - 2) for name, array in list(ARRAYS.items()) if len(array) > 2}
QUERIES = (
    *(".", ".a", ".a!", ".zz", ".zz?", ".zz!", ".c.d", ".c.d!", ".b", ".b[0]", ".b[0]!", ".b[]", ".b[]!", ".b![0]", ".c", ".c!.d"),
    *("[0]", "[1]", "[5]", "[0]!", "[0]?", "[]", "[]!", "[].a", "[][0]", "[18446744073709551615]", "[]?!"),
    *("map(.)", "map(.a)", "map(.a!)", "map([0])", "map([])", ".b | map(.)", "pack(.a!)", "pack(.a!, .c.d!)", "pack(.a!, .a!)"),
    *("pack(.a)", "pack([0]!, [1]!)", "pack(.zz!)", "pack(.zz?!)", "pack(.)", "pack(.x, .y)", "pack(.y)", "pack(.x!, .y) | []"),
    *("pack(.b[0]!, .a!)", "pack(.c | .d!)", "pack(.c.d!, .c.d!)", "pack(.a!) | []", '"k"', '.a | "k"', '[] | "k"', 'map("k")'),
    *('string_prefix("p")', '[] | string_prefix("p")', "string_prefix()", "string_prefix", 'string_suffix("p")', "nope", ".a?.b"),
)


def outcome(call):
    """An array as type and values, or the class of the error."""
    try:
        found = call()
    except (RuntimeError, ValueError, TypeError) as error:
        return type(error).__name__
    if found is None:
        return None
    found.validate(full=True)
    return found.type, found.to_pylist()


@pytest.mark.parametrize("query", QUERIES)
def test_values(query):
    """All kinds of paths, of all kinds of arrays and parts of them, as wholes and row by row."""
    for name, array in ARRAYS.items():
        for way in ("execute", "execute_per_row"):
            ours_found = outcome(lambda: getattr(ours.Selector(query), way)(array))  # noqa: B023
            copy = array.take(pa.array(range(len(array)), pa.int64()))  # parts of arrays of structs end the program in rerun-sdk
            assert ours_found == outcome(lambda: getattr(theirs.Selector(query), way)(copy)), (name, way)  # noqa: B023


@pytest.mark.parametrize("query", ["[][]", "[] | []", "[][]!", "[].b[]"])
def test_lists_of_lists(query):
    """All values of all lists in lists, none of which is null itself."""
    for values in ([[[1, 2], [3]], [], [[]], [[4]]], [[[{"b": [1]}], []]], [[{"b": [1, 2]}, {"b": []}], []]):
        array = pa.array(values)
        for way in ("execute", "execute_per_row"):
            found = [outcome(lambda: getattr(package.Selector(query), way)(array)) for package in (ours, theirs)]  # noqa: B023
            assert found[0] == found[1], (values, way)


def test_nulls_below_lists():
    """Where rerun-sdk ends the program, of lists that are null and values that are: rows without any value are null."""
    lists = pa.array([[[[1], None], None, []], None, [None], [[None]]])
    assert ours.Selector("[][]").execute_per_row(lists).to_pylist() == [[1], None, None, None]
    rows = pa.array([[[{"a": 1}, {"a": None}], None], [[{"a": None}]], [[]], [None]])
    assert ours.Selector("[].a!").execute_per_row(rows).to_pylist() == [[1, None], None, [], None]


TEXTS = (
    *(
        ".",
        ".a",
        "a",
        ".a.b",
        ".a .b",
        ".a|.b",
        ".a | .b?",
        ".a?!",
        ".[0]",
        ".a[0]",
        "[]",
        ".[]",
        "..a",
        ".a.",
        ".a.[0]",
        "[].x",
        "map(.a)",
    ),
    *("map()", "map", "map(.a | .b)", ".a | map(.b)[0]", "pack(.a, .b)", "pack()", "pack(.a,)", "pack(.[])", 'pack("x")', "pack(map(.))"),
    *(
        '"abc"',
        '"a\\"b\\n\\\\"',
        '.a | "x"',
        '"x".a',
        "f()",
        'f("a";"b")',
        'f("a","b")',
        "f(.a)",
        ".a-b",
        "._a",
        ".1",
        ".a1",
        "[-1]",
        "[1:2]",
    ),
    *(
        '["a"]',
        '."a"',
        "",
        "  ",
        "@",
        ".a ?",
        ".a\n|.b",
        '"x',
        '"\\x"',
        "[99999999999999999999]",
        ".é",
        "pack(.a | .b, .)",
        ".a,.b",
        "(.a)",
    ),
    *("{a:.b}", "1", ".a == 1", "!", ".?", ".a||.b", "|", ".a|", ".a!!", "_a", "[1 ]", "[ ]", "a.b", "a?", 'f("a"'),
)


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text):
    """What is a selector, and how it is written again."""
    found = []
    for package in (ours, theirs):
        try:
            selector = package.Selector(text)
            found.append((repr(selector), str(selector)))
        except ValueError:
            found.append(None)
    assert found[0] == found[1]


def test_errors_say_where():
    """A text that is no selector: what was expected, what is there, and where."""
    with pytest.raises(ValueError, match=r"selector '\.a\.': expected '\|' or the end, but found '\.' at character 3"):
        ours.Selector(".a.")
    with pytest.raises(ValueError, match=r"301 words, which is more than 300"):
        ours.Selector(".a" * 300)
    str(ours.Selector(".a" * 299))
    for bad in (None, 5, b".a"):
        with pytest.raises(TypeError, match="a selector is a text"):
            ours.Selector(bad)
    with pytest.raises(TypeError, match=r"works on a pyarrow\.Array, not list"):
        ours.Selector(".").execute([1])


def test_functions():
    """Functions of Python and other selectors in a pipe, and functions that fail."""
    for package in (ours, theirs):
        twice = package.Selector(".a").pipe(lambda array: pc.multiply(array, 2))
        assert twice.execute(STRUCTS).to_pylist() == [2, None, None, 8]
        assert twice.pipe(package.Selector('"k"')).execute(STRUCTS).to_pylist() == ["k"] * 4
        assert package.Selector(".a").pipe(lambda _: None).execute(STRUCTS) is None
        assert (repr(twice), str(package.Selector(".a").pipe(package.Selector(".b")))) == ('Selector(".a | <function>")', ".a | .b")
        assert str(pickle.loads(pickle.dumps(package.Selector(".a | [0]?")))) == ".a | [0]?"
        with pytest.raises(TypeError):
            pickle.dumps(twice)
        for bad in (lambda _: 1 / 0, lambda _: "x"):
            with pytest.raises(RuntimeError):
                package.Selector(".a").pipe(bad).execute(STRUCTS)
    with pytest.raises(RuntimeError, match="returned 3 values for 4"):
        ours.Selector(".a").pipe(lambda array: array.slice(1)).execute_per_row(ARRAYS["rows of structs"])
    with pytest.raises(TypeError, match="not str"):
        ours.Selector(".a").pipe(".b")


F32, F64 = pa.float32(), pa.float64()
CASTS = [
    ([1.7, -1.7, 1e30, None, float("nan")], F64, pa.int32()),
    ([1e19, 9.3e18, -9.3e18], F64, pa.int64()),
    ([300, -1, 5, None], pa.int64(), pa.uint8()),
    ([2**64 - 1, 1], pa.uint64(), pa.int64()),
    ([1e300, 0.1], F64, F32),
    (["1", "x", None, " 2", "3.5"], pa.string(), pa.int64()),
    (["1", "x", None, " 2", "3.5", "1e3"], pa.string(), F32),
    (["2020-01-01", "x"], pa.string(), pa.timestamp("ns")),
    ([1.0, 2.5], F64, pa.timestamp("ns")),
    ([1, 2], pa.timestamp("us"), pa.timestamp("ns")),
    ([1, 2], pa.int64(), pa.string()),
    ([1, 2], pa.int64(), pa.list_(F32)),
    ([1, None], pa.int64(), pa.list_(F32, 1)),
    ([[1, 2], None, [3]], pa.list_(pa.int64()), pa.list_(F32)),
    ([[1, 2], None, [3]], pa.list_(pa.int64()), pa.list_(F32, 2)),
    ([[1, 2], None, [3, None]], pa.list_(pa.int64(), 2), pa.list_(F32)),
    ([[1, 2], None, [3, 4]], pa.list_(F64, 2), pa.list_(pa.field("item", F32, nullable=False), 2)),
    ([[1, None]], pa.list_(F64, 2), pa.list_(pa.field("item", F32, nullable=False), 2)),
    ([{"x": 1, "y": 2}, None], pa.struct({"x": pa.int64(), "y": pa.int64()}), pa.struct({"y": F32, "x": F32})),
    ([{"x": 1, "y": 2}], pa.struct({"x": pa.int64(), "y": pa.int64()}), pa.struct({"a": F32})),
    ([[1]], pa.list_(pa.int64()), pa.int64()),
    ([{"x": 1}], pa.struct({"x": pa.int64()}), pa.int64()),
    ([b"ab"], pa.binary(), pa.list_(pa.uint8())),
    ([None, None], pa.null(), F32),
]


@pytest.mark.parametrize(("values", "before", "after"), CASTS, ids=str)
def test_casts(values, before, after):
    """A value that the type has not becomes null; what cannot be cast at all is an error."""
    array = pa.array([values[0], *values], before)
    column = pa.ListArray.from_arrays([0, len(array)], array)
    chunk = theirs.Chunk.from_record_batch(pa.record_batch({"t": [1], "c": column}), index="t")[0]
    lens = theirs.DeriveLens("c").to_component("q", ".", cast_to=after)
    expected = outcome(lambda: chunk.apply_lenses(lens)[0].to_record_batch().column("q").values)
    assert outcome(lambda: cast(array, after)) == expected
    part = outcome(lambda: cast(array.slice(1), after))
    assert part == (expected if isinstance(expected, str) else (after, expected[1][1:]))
