"""The rooms of the package: what each file may import.

Imports are read from the syntax trees, so those inside functions and those for type checkers count, and so do the
``module:name`` texts of the tables, which the files in ``NAMED`` resolve.
"""

from __future__ import annotations

import ast
import os
import re

import pytest

import shmrerun

ROOT = os.path.dirname(shmrerun.__file__)

BELOW = {  # room: rooms that it may import; each may import itself
    "errors": (),
    "_core": (),
    "framing": (),
    "loaded": (),
    "model": ("errors", "_core", "loaded"),
    "shm": ("errors", "_core", "framing", "loaded"),
    "rrd": ("errors", "_core", "framing", "model"),
    "chunk": ("rrd", "importers"),  # the face of its chunks and readers
    "urdf": ("errors", "model", "importers", "recording_stream", "faces", "chunk"),  # robots in hand
    "experimental": ("errors", "chunk", "api", "importers"),
    "sinks": ("errors",),
    "producer": ("errors", "_core", "framing", "loaded", "model", "rrd", "shm", "sinks"),
    "importers": ("errors", "_core", "framing", "model", "rrd", "shm", "producer", "faces"),
    "recording_stream": ("errors", "_core", "loaded", "model", "shm", "sinks", "producer", "importers"),
    "scopes": ("recording_stream",),
    "faces": ("errors", "model"),
    "api": ("errors", "_core", "model", "shm", "sinks", "producer", "importers", "recording_stream", "scopes", "faces"),
    "blueprint": ("errors", "model", "rrd", "producer", "faces"),  # what a blueprint is made of, and where it goes by itself
    "aggregator": ("errors", "_core", "framing", "model", "rrd", "shm", "sinks"),
    "live": ("errors", "_core", "framing", "rrd", "shm", "sinks"),
    "integrations": ("errors", "model", "producer", "api", "package", "faces", "recording_stream"),
    "cli": (
        *("errors", "_core", "framing", "shm", "rrd", "sinks", "producer", "blueprint", "api", "package", "faces"),
        *("recording_stream", "testing"),
    ),
    "testing": ("errors", "_core", "shm"),  # what users' tests wait for
    "utilities": ("errors", "model", "faces"),
    "__main__": ("cli",),
}
FACES = ("archetypes", "components", "encodings", "datatypes", "constants", "error_utils")
MODEL = ("tables", "convert", "values")  # layers of the model, from below; the files beside them are sorted by their imports
NAMED = {  # table: the file that imports what it names, and the package that the names are of
    "model/tables/blueprint.py": ("model/archetype.py", "model"),
    "model/tables/data.py": ("model/archetype.py", "model"),
    "model/tables/spatial.py": ("model/archetype.py", "model"),
    "model/values/factory.py": ("model/values/factory.py", "model/values"),
}
STILL: set[tuple[str, str]] = set()  # (file, file that it imports): violations that are known, until somebody cures them
STILL_CIRCLES: list[list[str]] = []  # the same for circles of files


def files():
    """All Python files of the package, as paths from its root."""
    for folder, _, names in sorted(os.walk(ROOT)):
        for name in sorted(names):
            if name.endswith(".py"):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


FILES = frozenset(files())


def file_of(module):
    """The file of a module's dotted name, less ``shmrerun``; None: it is none of ours (the extension, a name in a file)."""
    path = module.replace(".", "/")
    for found in (f"{path}.py", f"{path}/__init__.py" if path else "__init__.py"):
        if found in FILES:
            return found
    return "_core" if module == "_core" else None


def imported(path):
    """Files of the package that a file imports, whenever and for whatever it does."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write imports in full"
            names = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            if module.partition(".")[0] != "shmrerun":
                continue
            plain = module.removeprefix("shmrerun").lstrip(".")
            inner = file_of(f"{plain}.{name}".lstrip(".")) if name else None
            found.add(inner or file_of(plain))
    found |= {file for table, file in named() if NAMED[table][0] == path}
    return {file for file in found if file is not None and file != path}


def named():
    """Pairs of a table and a file that it names in a ``module:name`` text."""
    for table, (_, package) in NAMED.items():
        with open(os.path.join(ROOT, table), encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            match = re.fullmatch(r"([a-z_.]+):\w+( as \w+)?", text)
            if match:
                file = f"{package}/{match[1].replace('.', '/')}.py"
                assert file in FILES, f"{table} names {text}"
                yield table, file


IMPORTS = {path: imported(path) for path in FILES}


def room(path):
    """The room of a file."""
    first = path.partition("/")[0].removesuffix(".py")
    if first == "__init__":
        return "package"
    return "faces" if first in FACES else first


def allowed(path, other):
    """Whether a file may import another one."""
    mine, theirs = room(path), room(other)
    if mine == "package":  # a face of names that are looked up lazily
        return True
    if mine == theirs == "model":
        layers = [next((at for at, layer in enumerate(MODEL) if f"/{layer}/" in one), None) for one in (path, other)]
        if layers[0] == 0:
            return layers[1] == 0
        return layers[0] is None or layers[1] is None or layers[1] <= layers[0]
    return mine == theirs or theirs in BELOW[mine]


def violations():
    return {(path, other) for path in FILES for other in IMPORTS[path] if not allowed(path, other)}


def circles():
    """Groups of files of which each imports all others, directly or through others (Tarjan's algorithm)."""
    number, low, stack, found = {}, {}, [], []

    def visit(path):
        number[path] = low[path] = len(number)
        stack.append(path)
        for other in sorted(IMPORTS.get(path, ())):
            if room(other) == "package":  # it imports nothing by itself but what it re-exports
                continue
            if other not in number:
                visit(other)
                low[path] = min(low[path], low[other])
            elif other in stack:
                low[path] = min(low[path], number[other])
        if low[path] == number[path]:
            group = []
            while not group or group[-1] != path:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for path in sorted(FILES):
        if path not in number:
            visit(path)
    return found


def test_every_file_has_a_room():
    """Each file of the package lies in a room that the rule knows."""
    assert {room(path) for path in FILES} <= {*BELOW, "package"}


def test_imports_go_down():
    """No file imports one of a room that its own is not above; what is known to do so still does."""
    found = violations()
    for path, other in sorted(found & {*STILL}):
        print(f"still: {path} imports {other}")
    assert sorted(found - {*STILL}) == []
    assert sorted({*STILL} - found) == [], "cured: take them out of STILL"


def test_no_circles():
    """No two files import one another, not even inside functions or for type checkers."""
    found = sorted(circles())
    for circle in found:
        print(f"still: a circle of {', '.join(circle)}")
    assert found == STILL_CIRCLES


@pytest.mark.parametrize("path", sorted(path for path in FILES if path.startswith("model/")))
def test_model_is_closed(path):
    """The model imports errors, loaded, the extension and itself, so that it can be used on both sides of shared memory."""
    assert {room(other) for other in IMPORTS[path]} <= {"errors", "_core", "loaded", "model"}
