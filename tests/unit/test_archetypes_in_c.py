"""What a call of an archetype's class does in C is what its constructor does."""

import gc
import inspect
import math
import pickle
import sys
import threading
import warnings
from array import array

import numpy as np
import pytest

import shmrerun as rr
from shmrerun import errors
from shmrerun.model.archetype import _KINDS, archetype_class
from shmrerun.model.convert.buffers import as_numpy
from shmrerun.model.tables.archetypes import ALL


class Float(float):
    """A float that is not exactly one."""


class Text(str):
    """A text that is not exactly one."""

    __slots__ = ()


class Indexed:
    """A number by its conversion, which collects garbage and makes archetypes meanwhile."""

    def __float__(self):
        gc.collect()
        rr.Points3D([[1.0, 2.0, 3.0]])
        return 0.25

    def __index__(self):
        return 7


SHAPES = (), (0,), (3,), (4,), (5,), (0, 3), (1, 3), (2, 3), (1, 4), (5, 4), (3, 2), (2, 2, 3)
VALUES = [
    None, 0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63,
    0.0, -0.0, 0.1, 1e300, 3.5e38, 3.4028235677973366e38, 1e-46, math.inf, -math.inf, math.nan, True, False, Float(0.5), Indexed(),
    "", "INFO", "solid", "Solid", "nothing of the kind", "déjà", "\ud800", "nul\0", Text("text"), b"", b"\1\2\3", "x" * 5000,
    [], (), [[]], [()], [None], [True, False], [1, 2], [1, 2, 3], (1, 2, 3), [1.5, 2, 3.25], [1, 2, 3, 4], [255, 256, 0], [2**64],
    [-1, 0, 0], [2**32 - 1, 0, 1, 2, 3], [1e300, 0.0, 1.0], [2**53, 1, 2], [2**60, 1.0], [True, 1, 2], [Indexed(), 1, 2], [math.nan] * 3,
    [[1, 2]], [[1, 2, 3]], ((1, 2, 3), [4, 5, 6]), [(1, 2, 3), (4, 5, 6), (7, 8, 9)], [[1, 2], [3, 4]], [[1.5, 2.5, 3.5, 4.5]] * 4,
    [[1, 2, 3], [1, 2, 3, 4]], [[1, 2, 3], 4], [[1, 2, "3"]], [[1e39, 0, 0]], [[[1, 2, 3]]], [[255, 0, 0, 128]] * 9, [[0.5, 0.5, 0.5]],
    [1, 2, 3, 4, 5, 6], list(range(300)), ["a", "b"], ("a", ""), ["a", "é"], ["a", 1], [Text("a")], [Float(1.0), 2.0, 3.0], ["\ud800"],
    array("d", [1.0, 2.0]), memoryview(b"abcd"), range(3), {1: 2}, {1, 2, 3}, object,
    np.float64(0.3), np.float32(0.3), np.int64(3), np.uint8(3), np.bool_(True), np.datetime64(5, "ns"),
    *(np.ones(shape, dtype) for dtype in "fdBIlLiH" for shape in SHAPES),
    np.arange(12, dtype=np.float32).reshape(4, 3)[::2], np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3)),
    np.arange(12, dtype=">f4").reshape(4, 3), np.arange(12, dtype=np.uint8).reshape(4, 3)[:, ::-1], np.arange(8, dtype=np.uint32)[::2],
    np.array(["a", "b"]), np.array([object()]), np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), np.array([True, False]),
]  # fmt: skip


FEW = [0.5, 1, "INFO", "solid", True, [1.0, 2.0, 3.0], [[1, 2, 3]], ["a"], [[0.5, 1.0]], [], "é", np.ones((2, 3), np.float32)]


def cases():
    """Values to try for each parameter of each archetype: all of them once for each converter that C has."""
    seen, found = set(), {}
    for name, spec in ALL.items():
        if spec.init or not all(step.given for step in spec.prepare):
            continue  # always made by the constructor
        converters = {spec.renamed.get(field.name, field.name): field.converter for field in spec.fields}
        for parameter in spec.parameters:
            converter = converters.get(parameter.name, "")
            all_of_them = (converter in _KINDS or converter.startswith("enum:")) and converter not in seen
            found.setdefault(name, []).append((parameter.name, VALUES if all_of_them else FEW))
            seen.add(converter)
    return found


CASES = cases()


def plain(archetype):
    """What an archetype holds, as ints, None and bytes."""
    columns, parts = archetype._row()
    return columns, [part if isinstance(part, int | None) else bytes(part) for part in parts]


def outcome(make):
    """What comes of a call: what was made, the warnings, or the exception."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            made = plain(make())
        except Exception as error:
            made = type(error), str(error)
    return made, [(each.category, str(each.message)) for each in seen]


def by_constructor(cls, *args, **kwargs):
    """Make an archetype as Python does."""
    made = cls.__new__(cls)
    cls.__init__(made, *args, **kwargs)
    return made


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_same_as_the_constructor(name, strict):
    """Every value: the same parts, warnings and errors."""
    as_numpy(0)
    cls = archetype_class(name)
    required = {each.name: None for each in ALL[name].parameters if each.required}
    errors.set_strict_mode(strict)
    try:
        for parameter, value in ((parameter, value) for parameter, values in CASES[name] for value in values):
            given = required | {parameter: value}
            assert outcome(lambda given=given: cls(**given)) == outcome(lambda given=given: by_constructor(cls, **given)), value
    finally:
        errors.set_strict_mode(False)


def test_common_calls_run_no_python():
    """The values that are understood are all done in C."""
    as_numpy(0)
    calls = []
    classes = rr.Scalars, rr.TextLog, rr.Boxes3D, rr.Transform3D, rr.Points3D
    points, colors = np.zeros((9, 3), np.float32), np.zeros((9, 4), np.uint8)
    gc.collect()
    gc.disable()  # finalizers of others would be seen
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        scalars, text_log, boxes3d, transform3d, points3d = classes
        scalars(0.5)
        scalars([1, 2.0])
        scalars(np.float64(0.5))
        text_log("text", level="INFO", color=(255, 0, 0))
        boxes3d(half_sizes=[[1, 2, 3]], centers=[[1.0, 2.0, 3.0]], labels=["a"], fill_mode="solid", colors=0xFF0000FF)
        transform3d(translation=(1, 2, 3), quaternion=[0, 0, 0, 1], child_frame="a", relation="ChildFromParent")
        points3d(points, colors=colors, radii=0.1, class_ids=[1, 2], show_labels=True)
    finally:
        sys.setprofile(None)
        gc.enable()
    assert calls == []


def test_without_numpy():
    """Arrays are known once NumPy has been met; before that the constructor takes them."""
    import subprocess

    program = (
        "import sys, shmrerun as rr\nmade = rr.Points3D([[1, 2, 3]], radii=0.5, labels=['a'])\nassert 'numpy' not in sys.modules\n"
        "import numpy as np\nfor _ in range(2): print(bytes(rr.Scalars(np.arange(3.0))._row()[1][2]).hex())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (np.arange(3.0).tobytes().hex() + "\n") * 2


def test_arguments_that_do_not_fit():
    """The texts of the errors are Python's own."""
    for args, kwargs in (
        ((), {}), ((1, 2), {}), ((1,), {"scalars": 2}), ((), {"scalar": 2}), ((1,), {"more": 2}),
    ):  # fmt: skip
        with pytest.raises(TypeError) as found:
            rr.Scalars(*args, **kwargs)
        with pytest.raises(TypeError) as expected:
            by_constructor(rr.Scalars, *args, **kwargs)
        assert str(found.value) == str(expected.value)
    with pytest.raises(TypeError, match="positional argument"):
        rr.Points3D([[1, 2, 3]], 0.5)
    name = "".join(list("scalars"))  # not interned
    assert plain(rr.Scalars(**{name: 0.5})) == plain(rr.Scalars(0.5))
    assert str(inspect.signature(rr.TextLog)) == "(text, *, level=None, color=None)"


def test_subclasses_and_other_constructors():
    """A subclass has its own constructor, and one that is put into a class counts."""

    class Loss(rr.Scalars):
        def __init__(self, value, factor=2):
            super().__init__(value * factor)
            self.factor = factor

    made = Loss(0.5, factor=4)
    assert made.factor == 4
    assert plain(made) == plain(rr.Scalars(2.0))
    assert pickle.loads(pickle.dumps(rr.Scalars(2.0))) == rr.Scalars(2.0)

    class Bare(rr.TextLog):
        pass

    assert plain(Bare("a", level="INFO")) == plain(rr.TextLog("a", level="INFO"))
    cls = archetype_class("TextDocument")
    before, calls = cls.__init__, []
    cls("text")

    def counting(self, *args, **kwargs):
        calls.append(args)
        before(self, *args, **kwargs)

    cls.__init__ = counting
    try:
        cls("text")
        assert calls == [("text",)]
    finally:
        cls.__init__ = before
    cls("text")
    assert len(calls) == 1


def test_made_without_a_constructor():
    """An instance without fields is an error to read, not a crash."""
    made = rr.Points3D.__new__(rr.Points3D)
    with pytest.raises(AttributeError):
        made._row()
    made._0 = 5
    with pytest.raises(TypeError):
        _ = made.positions


def test_lists_are_copied_and_arrays_are_not():
    """A list may be changed afterwards; an array is referred to, as it always was."""
    values = [1.0, 2.0]
    made = rr.Scalars(values)
    values[0] = 9.0
    assert made.scalars.as_arrow_array().to_pylist() == [1.0, 2.0]
    values = as_numpy([1.0, 2.0])
    made = rr.Scalars(values)
    values[0] = 9.0
    assert made.scalars.as_arrow_array().to_pylist() == [9.0, 2.0]


def test_references():
    """What is made and thrown away leaves nothing behind, in the good case and in every bad one."""
    value, text, rows = 0.5 + id(object()), "a text of its own", [[1.0, 2.0, 3.0]]
    values = np.zeros((10, 3), np.float32)
    label = ["a", "b"]
    as_numpy(0)

    def attack():
        rr.Scalars(value)._row()
        rr.TextLog(text, level=text)
        rr.Points3D(rows, labels=label, colors=[[1, 2, 3]], radii=[0.5, 1e300])
        rr.Points3D(values, labels=["é"])
        rr.Points3D(values, labels=label).positions  # noqa: B018
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rr.Points3D(values, labels=text, radii="none")
        for bad in ({"scalars": value, "more": text}, {}):
            with pytest.raises(TypeError):
                rr.Scalars(**bad)

    attack()
    gc.collect()
    held = [value, text, rows, values, label, rr.Scalars, rr.Points3D]
    before = [sys.getrefcount(each) for each in held]
    for _ in range(1000):
        attack()
    gc.collect()
    assert [sys.getrefcount(each) for each in held] == before


def test_cycles_are_collected():
    """An archetype that refers to itself through a subclass is collected."""
    import weakref

    class Node(rr.Scalars):
        pass

    node = Node(0.5)
    node.itself = node
    ref = weakref.ref(node)
    del node
    gc.collect()
    assert ref() is None


def test_memory_runs_out():
    """Whichever allocation fails: MemoryError or a row, no crash, and nothing is left."""
    testcapi = pytest.importorskip("_testcapi")
    cases = [
        lambda: rr.Scalars(1.5 + 1)._row(),
        lambda: rr.TextLog("a", level="INFO")._row(),
        lambda: rr.Points3D([[1.0, 2.0, 3.0]], colors=[[1, 2, 3]], labels=["a", "b"])._row(),
    ]
    for case in cases:
        expected = case()
        for start in range(60):
            found = None
            testcapi.set_nomemory(start, start + 1)
            try:
                found = case()
            except BaseException as error:
                failed = type(error)
            finally:
                testcapi.remove_mem_hooks()
            if found is None:
                assert issubclass(failed, MemoryError), failed
        assert case() == expected


def test_finalizers_in_the_middle():
    """Finalizers that the making of an archetype sets off may change what it is made of."""
    values = [[float(at), 1.0, 2.0] for at in range(50)]

    class Bomb:
        def __init__(self):
            self.itself = self

        def __del__(self):
            values.clear()
            rr.Points3D([[1, 2, 3]], labels=["x"])

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            values[:] = [[float(at), 1.0, 2.0] for at in range(50)]
            Bomb()
            made = rr.Points3D(values, labels=["a"], radii=np.zeros(3, np.float32))
            assert len(made.positions) in (0, 50)
    finally:
        gc.set_threshold(*threshold)


def test_threads_change_fields_while_others_read():
    """Slots may be set while another thread reads them."""
    made = rr.Scalars(0.5)
    other = rr.Scalars([1.0, 2.0])._row()[1]
    done = threading.Event()

    def change():
        while not done.is_set():
            made._0 = other
            made._0 = None

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(20_000):
            assert len(made._row()[1]) in (0, 3)
    finally:
        done.set()
        thread.join()
