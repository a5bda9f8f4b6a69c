"""Archetype classes, made from the entries of the table.

Speed decides the form. Each instance keeps its fields' *parts* in numbered slots. The constructor of a class is written
out as source with the field names in it and compiled once, at first access: no loop over fields, no ``**kwargs``, real
signatures. A call of the class with nothing but the commonest values does not even get there: C (``bind_archetype.c``)
does it, by a plan made here of the same entry, and leaves cells in the slots, of which ``field_parts`` makes the parts
when somebody asks. ``log`` reads the slots in C.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from shmrerun import _core, errors
from shmrerun.loaded import loaded
from shmrerun.model import docs, visualizers
from shmrerun.model.batches import ComponentColumn, ComponentColumnList, FieldBatch, OwnRow, describe
from shmrerun.model.convert import buffers, converters, finder
from shmrerun.model.parts import Column, ColumnSet
from shmrerun.model.tables.archetypes import ALL, BLUEPRINT, VISUALIZERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar, Self

    from shmrerun.model.batches import DescribedComponentBatch
    from shmrerun.model.convert.converters import Converter
    from shmrerun.model.tables.archetypes import ArchetypeSpec, Field

    Parts = tuple[Any, ...]

_FAST = {  # converter: type that the constructor converts itself, and how
    "float64": ("float", "(1, None, pack_f64({0}))"),
    "text": ("str", "(1, None, pack_offsets(0, len(raw := {0}.encode())), raw)"),
}
_EXACT = 2**53  # ints below this are floats without loss; others take the long way


class Archetype(OwnRow):
    """A set of components that make sense together; base of the classes in :mod:`shmrerun.archetypes`."""

    __slots__ = ()
    NAME: ClassVar[str]
    _fields: ClassVar[tuple[str, ...]]
    _columns_all: ClassVar[tuple[Column, ...]]
    _converters: ClassVar[tuple[Converter, ...]]
    _sets: ClassVar[dict[int, ColumnSet]]

    @classmethod
    def _make_set(cls, mask: int) -> ColumnSet:
        """Find the ColumnSet of the fields whose bits are in ``mask``, and remember it."""
        found = cls._sets[mask] = ColumnSet(
            tuple(column for at, column in enumerate(cls._columns_all) if mask >> at & 1),
        )
        return found

    def _cells(self) -> Iterator[tuple[Column, Parts]]:
        """Column and parts of each field that is set."""
        for at, column in enumerate(self._columns_all):
            parts = _core.field_parts(self, at)
            if parts is not None:
                yield column, parts

    def _row(self) -> tuple[ColumnSet, Parts]:
        """Columns and flattened parts of the fields that are set; ``log`` itself reads them in C, once the columns have a number."""
        mask, flat = 0, ()
        for at in range(len(self._fields)):
            parts = _core.field_parts(self, at)
            if parts is not None:
                mask |= 1 << at
                flat += parts
        return self._sets.get(mask) or self._make_set(mask), flat

    @classmethod
    def _take(cls, at: int, value: Any) -> Parts:
        """Convert a value of field ``at``: arrays of the right Arrow type and batches as they are, others by rule."""
        return finder.take(cls._converters[at], cls._columns_all[at].arrow, value)

    @classmethod
    def _guarded(cls, at: int, value: Any) -> Parts | None:
        """Convert as ``_take`` does; None stays None; an error is reported and leaves an empty column."""
        if value is None:
            return None
        try:
            return cls._take(at, value)
        except Exception as error:
            error.__suppress_context__ = True  # that the quick way did not take it says nothing
            errors.report(cls._context(at), error)
            return cls._converters[at].empty

    @classmethod
    def _context(cls, at: int) -> str:
        return f"{(cls._columns_all[at].component_type or '').rpartition('.')[2]}Batch"

    def _put(self, name: str, value: Any) -> None:
        """Set a field from a custom constructor."""
        at = self._fields.index(name)
        if value is None:
            parts = None
        else:
            try:
                parts = self._converters[at].quick[type(value)](value)
            except Exception:
                parts = self._guarded(at, value)
        setattr(self, f"_{at}", parts)

    @classmethod
    def archetype(cls) -> str:
        """Return the full name."""
        return cls.NAME

    @classmethod
    def archetype_short_name(cls) -> str:
        """Return the name without ``rerun.archetypes.``."""
        return cls.NAME.rpartition(".")[2]

    def as_component_batches(self) -> list[DescribedComponentBatch]:
        """Return the fields that are set; their pyarrow arrays are made when asked for."""
        return [FieldBatch(column, parts).described() for column, parts in self._cells()]

    @staticmethod
    def _other(name: str) -> Any:
        """Return another archetype's class: for methods that are written below this module."""
        return archetype_class(name)

    @classmethod
    def cleared(cls) -> Self:
        """Return an archetype that clears all fields when logged."""
        return cls._build({}, clear_unset=True)

    @classmethod
    def _build(cls, values: dict[str, Any], *, clear_unset: bool) -> Self:
        made = cls.__new__(cls)
        for at, name in enumerate(cls._fields):
            parts = cls._guarded(at, values.get(name))
            setattr(made, f"_{at}", cls._converters[at].empty if parts is None and clear_unset else parts)
        return made

    @classmethod
    def _column_list(cls, values: dict[str, Any]) -> ComponentColumnList:
        return ComponentColumnList(cls._column(at, values[name]) for at, name in enumerate(cls._fields) if values[name] is not None)

    @classmethod
    def _column(cls, at: int, value: Any) -> ComponentColumn:
        """Rows of one field: the leading dimension of the argument, where it has numbers for values."""
        parts = cls._guarded(at, value)
        assert parts is not None
        batch = FieldBatch(cls._columns_all[at], parts)
        count = len(batch)
        width = cls._converters[at].width
        pa = loaded("pyarrow")
        lengths = None  # one value a row
        if width and not (isinstance(value, FieldBatch) or (pa is not None and isinstance(value, pa.Array))):
            import numpy as np

            try:
                shape = np.shape(value)
            except ValueError:  # rows of different lengths
                shape = ()
            if width == 1 and not shape:
                lengths = [count]
            elif shape and (width == 1 or len(shape) > 1):
                lengths = [count // shape[0]] * shape[0] if shape[0] and count != shape[0] else None
        return ComponentColumn(describe(cls._columns_all[at]), batch, lengths=lengths)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        from pprint import pformat

        lines = [
            f"  {name}={pformat(batch.as_arrow_array().to_pylist(), indent=4)}"
            for name in self._fields
            if (batch := getattr(self, name)) is not None
        ]
        return f"rr.{type(self).__name__}(" + ("\n" + ",\n".join(lines) + "\n" if lines else "") + ")"

    def __reduce__(self) -> tuple[Any, ...]:
        values = [_core.field_parts(self, at) for at in range(len(self._fields))]
        plain = [
            None if parts is None else tuple(part if isinstance(part, int | None) else bytes(part) for part in parts) for parts in values
        ]
        return _restore, (type(self), plain)


def _restore(cls: type[Archetype], values: list[Parts | None]) -> Archetype:
    made = cls.__new__(cls)
    for at, parts in enumerate(values):
        setattr(made, f"_{at}", parts)
    return made


_made: dict[str, type[Archetype]] = {}


def archetype_class(name: str) -> type[Archetype]:
    """Return the class of an archetype, made at the first call. KeyError: there is none."""
    found = _made.get(name)
    return found if found is not None else _made.setdefault(name, _make_class(name))  # two threads: both get the first one


def _make_class(name: str) -> type[Archetype]:
    """Make the class of one entry of the table.

    Raises
    ------
    KeyError
        There is no such archetype.
    """
    spec = ALL[name]
    columns = finder.columns_of(name)
    functions = _compile(name, spec)
    body: dict[str, Any] = {
        "__slots__": tuple(f"_{at}" for at in range(len(columns))),
        "__module__": f"shm{spec.package}.archetypes",
        "NAME": f"{spec.package}.archetypes.{name}",
        "_fields": tuple(field.name for field in spec.fields),
        "_columns_all": columns,
        "_converters": tuple(finder.converter(field.converter) for field in spec.fields),
        "_sets": {},
        "from_fields": classmethod(functions["from_fields"]),
    }
    if name not in BLUEPRINT:
        body["columns"] = classmethod(functions["columns"])
    if name in VISUALIZERS:
        body["visualizer"] = visualizers.visualizer
    for at, (field, column) in enumerate(zip(spec.fields, columns, strict=True)):
        body[field.name] = _field_property(at, column)
        body[f"descriptor_{field.name}"] = staticmethod(_descriptor_of(field, column))
    constructor = body["__init__"] = _imported(spec.init) if spec.init else functions["__init__"]
    body["__doc__"] = docs.archetype(name, constructor.__doc__)
    constructor.__doc__ = constructor.__doc__ or body["__doc__"]
    for extra in spec.extras:
        where, _, alias = extra.partition(" as ")
        body[alias or where.partition(":")[2]] = _imported(where)
    made: type[Archetype] = type(name, (Archetype,), body)
    if spec.finish:
        _imported(spec.finish)(made)
    functions["__init__"].__globals__["cls"] = made
    for function in (functions["columns"], functions["from_fields"], functions["__init__"]):
        function.__qualname__ = f"{name}.{function.__name__}"
    _plan(made, spec, constructor)
    return made


def _imported(where: str) -> Any:
    from importlib import import_module

    module, _, function = where.partition(":")
    return getattr(import_module(f"shmrerun.model.{module}"), function)


def _field_property(at: int, column: Column) -> property:
    def get(self: Archetype) -> FieldBatch | None:
        parts = _core.field_parts(self, at)
        return None if parts is None else FieldBatch(column, parts)

    return property(get, doc=f"Values of {column.component} ({column.component_type}), or None.")


def _descriptor_of(field: Field, column: Column) -> Any:
    def descriptor() -> Any:
        return describe(column)

    descriptor.__name__ = f"descriptor_{field.name}"
    descriptor.__doc__ = f"Return the descriptor of {column.component}."
    return descriptor


class _Source:
    """Loader of a compiled class: :mod:`linecache` asks it for the lines that a traceback shows, and only then."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, _: str) -> str:
        """Return the source that was compiled."""
        return self._text


def _compile(name: str, spec: ArchetypeSpec) -> dict[str, Any]:
    """Compile ``__init__``, ``columns`` and ``from_fields`` of one class."""
    names = [field.name for field in spec.fields]
    optional = [f"{field}=None" for field in names]
    lines = [f"def __init__({', '.join(['self', *_parameters(spec)])}):"]
    if spec.prepare:
        prepared = [f"        {line}" for line in _prepared(spec)]
        unset = " = ".join(f"self._{at}" for at in range(len(names)))
        lines += [
            "    try:",
            *prepared,
            "    except Exception as error:",
            f"        report({name!r}, error)",
            f"        {unset} = None",
            "        return",
        ]
    for at, field in enumerate(spec.fields):
        lines += _assignment(at, field, spec.renamed.get(field.name, field.name))
    lines += [
        f"def columns(cls, *, {', '.join(optional)}):",
        f"    return cls._column_list({{{', '.join(f'{field!r}: {field}' for field in names)}}})",
        f"def from_fields(cls, *, clear_unset: bool = False, {', '.join(optional)}):",
        f"    return cls._build({{{', '.join(f'{field!r}: {field}' for field in names)}}}, clear_unset=clear_unset)",
    ]
    source = "\n".join(lines) + "\n"
    scope: dict[str, Any] = {
        "__name__": "shmrerun.archetypes",
        "__loader__": _Source(source),
        "pack_f64": buffers.pack_f64,
        "pack_offsets": buffers.pack_offsets,
        "report": errors.report,
        "rule": _rule,
        **{f"q{at}": finder.converter(field.converter).quick for at, field in enumerate(spec.fields)},
    }
    exec(compile(source, f"shmrerun archetype {name}", "exec"), scope)  # noqa: S102  our own table is the input
    scope["columns"].__doc__ = "Make columns for ``send_columns``: one row for each leading element of every argument."
    scope["from_fields"].__doc__ = "Make an archetype of some fields; ``clear_unset`` empties the others when logged."
    return scope


_KINDS: dict[str, tuple[str, int, int]] = {  # converter: what C takes by itself: code, bytes of a number, numbers of a value
    "text": ("s", 1, 1),
    "color": ("c", 4, 1),
    "bool": ("?", 1, 1),
    **{name: (code, array(code).itemsize, 1) for name, code in converters.CODES.items()},
    **{f"vec{size}": ("f", 4, size) for size in (2, 3, 4)},
    **{f"uvec{size}": ("I", 4, size) for size in (2, 3, 4)},
    "dvec2": ("d", 8, 2),
    "range64": ("d", 8, 2),
    "ivec3": ("i", 4, 3),
    "quaternion": ("f", 4, 4),
}


def _kind(name: str) -> tuple[str, int, int, dict[Any, Any] | None]:
    """What C does for a converter: nothing where it has no entry; members of enums are in the dict of its quick table."""
    if name.startswith("enum:"):
        return "e", 0, 1, finder.converter(name).quick[str].__self__  # type: ignore[attr-defined]
    return *_KINDS.get(name, ("-", 0, 1)), None


def _plan(made: type[Archetype], spec: ArchetypeSpec, constructor: Any) -> None:
    """Tell C how instances lie, and how the constructor's parameters become fields where no step has to be done before."""
    slots = tuple(made.__dict__[f"_{at}"] for at in range(len(spec.fields)))
    fields = {spec.renamed.get(field.name, field.name): at for at, field in enumerate(spec.fields)}
    for step in spec.prepare:
        for name in step.given.split():
            fields.pop(name, None)
    short = not spec.init and all(step.given for step in spec.prepare)
    given = tuple((entry.name, fields.get(entry.name, -1), entry.required) for entry in spec.parameters) if short else ()
    positional = next((at for at, entry in enumerate(spec.parameters) if entry.keyword), len(spec.parameters)) if short else 0
    kinds = tuple(_kind(field.converter) for field in spec.fields)
    _core.plan(made, made._sets, constructor if short else None, slots, kinds, given, positional)


def _prepared(spec: ArchetypeSpec) -> list[str]:
    """Source of what is done before the fields are set."""
    lines = []
    known = {parameter.name for parameter in spec.parameters}
    for step in spec.prepare:
        made, given = step.makes.split(), step.given.split()
        call = f"{', '.join(made)} = rule({step.function!r})({', '.join(step.takes.split())})"
        if not given:
            lines.append(call)
            continue
        lines += [f"{name} = None" for name in made if name not in known]
        lines += [f"if {' or '.join(f'{name} is not None' for name in given)}:", f"    {call}"]
    return lines


def _parameters(spec: ArchetypeSpec) -> list[str]:
    """Source of the constructor's parameters after ``self``."""
    words = []
    for parameter in spec.parameters:
        if parameter.keyword and "*" not in words:
            words.append("*")
        words.append(parameter.name if parameter.required else f"{parameter.name}=None")
    return words


_rules: dict[str, Any] = {}


def _rule(name: str) -> Any:
    """Return a function of ``convert.arguments``, which is imported only when a constructor needs it."""
    found = _rules.get(name)
    if found is None:
        found = _rules[name] = _imported(f"convert.arguments:{name}")
    return found


def _assignment(at: int, field: Field, value: str) -> list[str]:
    """Source that sets slot ``at`` from the parameter: fast case, None, quick table, and everything else guarded."""
    slow = f"cls._guarded({at}, {value})"
    kind, expression = _FAST.get(field.converter, ("", ""))
    expression = expression.format(value)
    lines = [f"    if {value} is None:", f"        self._{at} = None"]
    if kind == "str":  # a lone surrogate: let the guarded way say so
        lines = [
            f"    if type({value}) is str:",
            "        try:",
            f"            self._{at} = {expression}",
            "        except UnicodeEncodeError:",
            f"            self._{at} = {slow}",
            f"    elif {value} is None:",
            f"        self._{at} = None",
        ]
    elif kind:
        lines = [
            f"    if type({value}) is {kind}:",
            f"        self._{at} = {expression}",
            f"    elif type({value}) is int and -{_EXACT} < {value} < {_EXACT}:",
            f"        self._{at} = {expression}",
            f"    elif {value} is None:",
            f"        self._{at} = None",
        ]
    return [
        *lines,
        "    else:",
        "        try:",
        f"            self._{at} = q{at}[type({value})]({value})",
        "        except Exception:",
        f"            self._{at} = {slow}",
    ]
