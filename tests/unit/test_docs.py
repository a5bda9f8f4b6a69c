"""Docstrings: every public class has one, and its constructor's parameters are described."""

import enum
import inspect
import re

import pytest

import shmrerun
from shmrerun import archetypes, components, encodings

CLASSES = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (archetypes, components, encodings)
    for name in module.__all__
    if inspect.isclass(getattr(module, name))
}
BASES = {"archetypes.Archetype", "archetypes.Box2DFormat", "components.EnumBase"}
ARRAY = re.compile(r"shape|u?int(8|16|32|64)|float(16|32|64)")


def described(doc):
    """Parameters that a docstring describes: name, and the text of its form and meaning."""
    section = re.split(r"\n\n(?=\w+\n-{3,})", doc.partition("Parameters\n----------\n")[2])[0]
    found = {}
    for names, rest in re.findall(r"^(\w[\w, *]*) : (.*(?:\n(?:    .*)?)*)", section, re.MULTILINE):
        found.update(dict.fromkeys((name.strip() for name in names.split(",")), rest))
    return found


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_class_is_described(name):
    """A class says what it is and describes each parameter of its constructor, arrays with their shape or dtype."""
    cls = CLASSES[name]
    doc = inspect.getdoc(cls)
    assert doc
    assert cls.__doc__ is not None
    assert not doc.startswith("None")
    if name in BASES:
        return
    if issubclass(cls, enum.Enum):
        assert all(member in doc for member in cls.__members__)
        return
    found = described(doc)
    parameters = {key: one for key, one in inspect.signature(cls).parameters.items() if key not in ("self", "cls")}
    assert [*found] == [*parameters] or {*found} == {*parameters}
    for key, text in found.items():
        assert len(text.splitlines()) > 1, key
        assert text.splitlines()[1].strip(), key
        if "array-like" in text or "NumPy" in text.splitlines()[0]:
            assert ARRAY.search(text) or "NumPy type" in text, key
        assert ("optional" in text.splitlines()[0]) == (parameters[key].default is not inspect.Parameter.empty) or key == "data", key


@pytest.mark.parametrize("name", sorted(archetypes.ARCHETYPES))
def test_constructor_is_described(name):
    """The constructor of an archetype has the same section, for editors that show it instead of the class."""
    cls = getattr(archetypes, name)
    assert described(inspect.getdoc(cls.__init__)) == described(inspect.getdoc(cls))


@pytest.mark.parametrize("name", [name for name in shmrerun.__all__ if inspect.isroutine(getattr(shmrerun, name))])
def test_function_is_described(name):
    """Each function of the package says what it does."""
    assert inspect.getdoc(getattr(shmrerun, name))
