"""The quick ways of the converters give what the general ones give."""

import struct

import numpy as np
import pytest

from shmrerun import RotationAxisAngle
from shmrerun.model.convert import colors, finder
from shmrerun.model.convert.buffers import as_numpy

ARCHETYPES = [(1, 2, 3), (4, 5, 6)]
CASES = [
    ("float32", np.float64(0.1)),
    ("float64", np.float32(0.1)),
    ("float64", np.int64(-3)),
    ("uint16", np.int64(7)),
    ("bool", [True, False, True]),
    ("bool", (True,) * 9),
    ("vec3", np.array([0.1, 2.0, 3.0])),
    ("vec3", np.array([[0.1, 2.0, 3.0]])),
    ("vec3", np.arange(6.0, dtype=np.float32)[::2]),
    ("mat3", np.arange(9.0).reshape(3, 3)),
    ("mat3", np.arange(9, dtype=np.float32).reshape(3, 3).T),
    ("pair", [("a", "b"), ["c", "déjà"]]),
]


def plain(parts):
    """Parts as ints, None and bytes."""
    return [part if isinstance(part, int | None) else bytes(part) for part in parts]


@pytest.mark.parametrize(("name", "value"), CASES, ids=repr)
def test_quick_is_general(name, value):
    """An entry of a quick table gives the parts that the converter itself gives."""
    found = finder.converter(name)
    as_numpy(0)  # makes the entries for NumPy
    as_array = np.array(value) if name == "bool" else value
    assert plain(found.quick[type(value)](value)) == plain(found.convert(as_array))


def test_quick_refuses_what_it_does_not_understand():
    """What does not fit raises, so that the general way decides."""
    for name, value in (
        ("uint16", np.float64(1.0)),
        ("uint16", np.int64(-1)),
        ("vec3", np.array([1e300, 0.0, 0.0])),
        ("pair", [("a", 1)]),
        ("pair", ["ab"]),
        ("pair", [("a", "b", "c")]),
    ):
        as_numpy(value)
        if name == "vec3":
            with pytest.raises(OverflowError), np.errstate(over="ignore"):
                finder.converter(name).quick[np.ndarray](value)
            continue
        with pytest.raises((TypeError, struct.error)):
            finder.converter(name).quick[type(value)](value)


def test_enum_names_in_the_usual_cases():
    """A name as declared, in capitals or small is looked up at once."""
    look = finder.converter("enum:FillMode").quick[str]
    assert look("Solid") == look("SOLID") == look("solid") == (1, None, b"\3")


@pytest.mark.parametrize(
    ("rows", "array"),
    [
        (ARCHETYPES, np.array(ARCHETYPES, np.uint8)),
        ([list(row) for row in ARCHETYPES], np.array(ARCHETYPES)),
        ([(1, 2, 3, 4)], np.array([[1, 2, 3, 4]], np.uint8)),
        ([(1, 2, 3), (4, 5, 6, 7)], np.array([(1, 2, 3, 255), (4, 5, 6, 7)], np.uint8)),
        ([0xFF0000FF, 5], np.array([0xFF0000FF, 5], np.uint32)),
        ([0xFF0000FF] * 8, np.array([0xFF0000FF] * 8, np.uint32)),
    ],
    ids=repr,
)
def test_lists_of_colours(rows, array):
    """Lists of ints give what the same numbers give as an array."""
    assert plain(colors.colors(rows)) == plain(colors.colors(array))


def test_several_axis_angles():
    """Several rotations are each as one alone."""
    convert = finder.converter("axis_angle").convert
    rotations = [RotationAxisAngle([0, 0, 1], degrees=30), RotationAxisAngle(np.array([1.0, 2.0, 3.0]), radians=2)]
    both = plain(convert(rotations))
    each = [plain(convert([rotation])) for rotation in rotations]
    assert both[6] == each[0][6] + each[1][6]
    assert both[-1] == each[0][-1] + each[1][-1]
    assert both[:6] == [2, None, 2, None, 6, None]


def test_tracebacks_show_the_compiled_source():
    """An error inside a compiled constructor is shown with its line of source, though no file has it."""
    import traceback

    import shmrerun
    from shmrerun import errors

    errors.set_strict_mode(True)
    try:
        shmrerun.Points3D([[1, 2]])
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))
    finally:
        errors.set_strict_mode(False)
    assert "shmrerun archetype Points3D" in shown
    assert "self._0 = " in shown
