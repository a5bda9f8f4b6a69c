"""Selectors: values within Arrow arrays, by a short text: :class:`shmrerun.chunk.Selector`.

Source: ``rerun.chunk.Selector`` of rerun-sdk 0.41, by experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shmrerun.rrd import selector_text as words
from shmrerun.rrd.arrays import valid

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt


class Selector:
    """A path to values within structs and lists, worked on whole columns at once.

    Parameters
    ----------
    query
        ``.name``
            a field of a struct. One that is not there: the result is None.
        ``[3]``, ``[]``
            one value of a list, null where there is none; all values, one after the other.
        ``.`` , ``a | b``
            the value as it is; ``b`` of what ``a`` gives. ``.a.b[0]`` needs no ``|``.
        ``step?``, ``step!``
            None where the step is an error; a row in which it finds nothing but nulls is null itself.
        ``map(...)``
            lists, with this done to their values.
        ``pack(.x, .y)``
            the values at these paths as lists of fixed size. They are of one type; where one may be null, write ``.x!``.
        ``"text"``, ``string_prefix("text")``
            the text for each value; it before each text.

    Raises
    ------
    ValueError
        The text is none of this.

    Notes
    -----
    Immutable; safe to share between threads, and to pickle unless a function of Python is in it.

    """

    __slots__ = ("_tree",)

    def __init__(self, query: str) -> None:
        self._tree = words.parse(query)

    def execute(self, source: pa.Array) -> pa.Array | None:
        """Find the values in an array.

        Parameters
        ----------
        source
            Of any type.

        Returns
        -------
        pyarrow.Array or None
            The values; None: a field is not there, or ``?`` stands after an error.

        Raises
        ------
        RuntimeError
            A step meets a type that it cannot be done to, or a function failed.
        TypeError
            Not an array.

        """
        found = _run(self._tree, _array(source), is_exact=False)
        return None if found is None else found.values

    def execute_per_row(self, source: pa.ListArray) -> pa.ListArray | None:
        """Find the values in each row of lists.

        Parameters
        ----------
        source
            A column of a component: ``list``.

        Returns
        -------
        pyarrow.ListArray or None
            As many rows, each with what is found in it; None as for :meth:`execute`.

        Raises
        ------
        RuntimeError
            As for :meth:`execute`; or a function gave another number of values than it got.
        TypeError
            Not an array of lists.

        """
        array = _array(source)
        if not pa.types.is_list(array.type):
            raise TypeError(f"rows of a selector are an array of lists, not of {array.type}")
        return _in_lists(self._tree, array)

    def pipe(self, func: Callable[[pa.Array], pa.Array | None] | Selector) -> Selector:
        """Put what this one finds through a function, or another selector.

        Parameters
        ----------
        func
            Gets an array and returns one, or None for nothing.

        Returns
        -------
        Selector
            A new one.

        Raises
        ------
        TypeError
            Neither of them.

        """
        if not isinstance(func, Selector) and not callable(func):
            raise TypeError(f"a selector is piped into a function or a Selector, not {type(func).__name__}")
        new = Selector.__new__(Selector)
        new._tree = words.Pipe(self._tree, func._tree if isinstance(func, Selector) else words.Function(func), is_written=True)
        return new

    def __repr__(self) -> str:
        return f"Selector({words.quoted(str(self))})"

    def __str__(self) -> str:
        return str(self._tree)

    def __reduce__(self) -> tuple[Any, ...]:
        if _has_function(self._tree):
            raise TypeError(f"cannot pickle {self!r}, which has a function in it; pipe it into a Selector instead")
        return Selector, (str(self),)


def as_selector(selector: Selector | str) -> Selector:
    """A selector that may be written as its text."""
    return selector if isinstance(selector, Selector) else Selector(selector)


class _Found(NamedTuple):
    """Values; where those of each value before the selector end, if they are not one each; which of those are there."""

    values: pa.Array
    offsets: npt.NDArray[np.int32] | None = None
    is_there: npt.NDArray[np.bool_] | None = None


def _array(source: Any) -> pa.Array:
    if not isinstance(source, pa.Array):
        raise TypeError(f"a selector works on a pyarrow.Array, not {type(source).__name__}")
    return source.storage if isinstance(source, pa.ExtensionArray) else source


def _has_function(tree: Any) -> bool:
    return isinstance(tree, words.Function) or (isinstance(tree, words.Pipe) and (_has_function(tree.left) or _has_function(tree.right)))


def _run(tree: Any, source: pa.Array, *, is_exact: bool) -> _Found | None:
    """Work a tree; ``is_exact``: functions give as many values as they get. RuntimeError: it cannot be done."""
    match tree:
        case words.Identity():
            return _Found(source)
        case words.Field(name):
            return _field(source, name)
        case words.Index(at):
            return _index(source, at)
        case words.Each():
            return _each(source)
        case words.Maybe(inner):
            try:
                return _run(inner, source, is_exact=is_exact)
            except RuntimeError:
                return None
        case words.NonNull(inner):
            found = _run(inner, source, is_exact=is_exact)
            if found is None or not found.values.null_count:
                return found
            return found._replace(is_there=_both(found.is_there, _any(found.offsets, valid(found.values))))
        case words.Pipe(left, right):
            return _pipe(left, right, source, is_exact=is_exact)
        case words.Text(text):
            return _Found(pa.repeat(text, len(source)))
        case words.Map(body):
            if not pa.types.is_list(source.type):
                raise RuntimeError(f"'map' is done to lists, not {source.type}")
            lists = _in_lists(body, source)
            return None if lists is None else _Found(lists)
        case words.Pack(paths):
            return _pack(paths, source)
        case words.Named(name, arguments):
            return _named(name, arguments, source)
    return _call(tree.function, source, is_exact=is_exact)


def _field(source: pa.Array, name: str) -> _Found | None:
    if not pa.types.is_struct(source.type):
        raise RuntimeError(f"cannot take the field '.{name}' of {source.type}")
    at = [i for i in range(source.type.num_fields) if source.type.field(i).name == name]
    return _Found(pc.struct_field(source, [at[0]])) if at else None


def _inside(lists: pa.Array) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """Where each list ends, from the beginning of the first, and the values of all, those behind nulls as well."""
    if not len(lists):
        return np.zeros(1, np.int32), lists.values.slice(0, 0)
    bounds = np.frombuffer(lists.buffers()[1], np.int32, len(lists) + 1, 4 * lists.offset)
    if not bounds[0] and bounds[-1] == len(lists.values):
        return bounds, lists.values
    return bounds - bounds[0], lists.values.slice(bounds[0], bounds[-1] - bounds[0])


def _index(source: pa.Array, at: int) -> _Found:
    if not pa.types.is_list(source.type):
        fixed = "; '[]' gives all of them" if pa.types.is_fixed_size_list(source.type) else ""
        raise RuntimeError(f"cannot take '[{at}]' of {source.type}{fixed}")
    ends, values = _inside(source)
    bounds = ends.astype(np.int64)
    is_there = valid(source) & (at < bounds[1:] - bounds[:-1])
    return _Found(values.take(pa.array(np.where(is_there, bounds[:-1] + min(at, 2**31), 0), mask=~is_there)))


def _each(source: pa.Array) -> _Found:
    is_there = valid(source) if source.null_count else None
    if pa.types.is_list(source.type):
        ends, values = _inside(source)
        return _Found(values, ends, is_there)
    if not pa.types.is_fixed_size_list(source.type):
        raise RuntimeError(f"cannot take '[]' of {source.type}")
    size = source.type.list_size
    values = source.values.slice(source.offset * size, len(source) * size)
    return _Found(values, np.arange(len(source) + 1, dtype=np.int32) * np.int32(size), is_there)


def _pipe(left: Any, right: Any, source: pa.Array, *, is_exact: bool) -> _Found | None:
    first = _run(left, source, is_exact=is_exact)
    second = None if first is None else _run(right, first.values, is_exact=is_exact)
    if first is None or second is None:
        return None
    inner = None if second.is_there is None else _any(first.offsets, second.is_there)
    return _Found(second.values, _through(first.offsets, second.offsets), _both(first.is_there, inner))


def _through(outer: npt.NDArray[np.int32] | None, inner: npt.NDArray[np.int32] | None) -> npt.NDArray[np.int32] | None:
    return inner if outer is None else outer if inner is None else inner[outer]


def _any(offsets: npt.NDArray[np.int32] | None, is_there: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which groups are empty, or have a value that is there."""
    if offsets is None:
        return is_there
    there = np.concatenate([[0], np.cumsum(is_there)])[offsets]
    found: npt.NDArray[np.bool_] = (offsets[1:] == offsets[:-1]) | (there[1:] > there[:-1])
    return found


def _both(a: npt.NDArray[np.bool_] | None, b: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
    return b if a is None else a if b is None else a & b


def _in_lists(body: Any, lists: pa.Array) -> pa.Array | None:
    """The same lists, with a body done to their values."""
    bounds, values = _inside(lists)
    found = _run(body, values, is_exact=True)
    if found is None:
        return None
    is_there = _both(
        valid(lists) if lists.null_count else None,
        None if found.is_there is None else _any(bounds, found.is_there),
    )
    offsets = bounds if found.offsets is None else found.offsets[bounds]
    validity = None if is_there is None else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    t = pa.list_(pa.field("item", found.values.type, nullable=True))
    return pa.Array.from_buffers(t, len(lists), [validity, pa.py_buffer(np.ascontiguousarray(offsets))], -1, 0, [found.values])


def _named(name: str, arguments: tuple[str, ...] | None, source: pa.Array) -> _Found:
    if name != "string_prefix":
        raise RuntimeError(f"there is no function {name!r} in selectors, but 'string_prefix'; Selector.pipe takes functions of Python")
    if arguments is None or len(arguments) != 1:
        raise RuntimeError(f"'string_prefix' takes one text, not {len(arguments or ())}")
    if not pa.types.is_string(source.type):
        raise RuntimeError(f"'string_prefix' is done to texts, not {source.type}")
    return _Found(pc.binary_join_element_wise(pa.scalar(arguments[0]), source, ""))


def _call(function: Callable[[pa.Array], Any], source: pa.Array, *, is_exact: bool) -> _Found | None:
    try:
        made = function(source)
    except Exception as error:
        raise RuntimeError(f"a function in the selector failed: {type(error).__name__}: {error}") from error
    if made is None:
        return None
    if not isinstance(made, pa.Array):
        raise RuntimeError(f"a function in the selector returned {type(made).__name__}; a pyarrow.Array or None was expected")  # noqa: TRY004
    if is_exact and len(made) != len(source):
        raise RuntimeError(f"a function in the selector returned {len(made):,} values for {len(source):,}; each row keeps its own")
    return _Found(_array(made))


class _Typed(NamedTuple):
    type: pa.DataType
    is_nullable: bool
    is_marked: bool = False


def _typed(path: Any, before: _Typed) -> _Typed:
    """What a path in a ``pack`` finds, from types alone."""
    match path:
        case words.Identity():
            return before._replace(is_marked=False)
        case words.Field(name):
            if not pa.types.is_struct(before.type):
                raise RuntimeError(f"'pack' cannot take the field '.{name}' of {before.type}")
            fields = {field.name: field for field in reversed(list(before.type))}
            if name not in fields:
                raise RuntimeError(f"'pack' finds no field '.{name}' among {', '.join(list(fields)[::-1][:20])}")
            return _Typed(fields[name].type, before.is_nullable or fields[name].nullable)
        case words.Index(at):
            if not (pa.types.is_list(before.type) or pa.types.is_fixed_size_list(before.type)):
                raise RuntimeError(f"'pack' cannot take '[{at}]' of {before.type}")
            return _Typed(before.type.value_type, is_nullable=True)
        case words.NonNull(inner):
            return _typed(inner, before)._replace(is_marked=True)
        case words.Maybe(inner):
            return _typed(inner, before)
    return _typed(path.right, _typed(path.left, before))


def _pack(paths: tuple[Any, ...], source: pa.Array) -> _Found | None:
    types = [_typed(path, _Typed(source.type, bool(source.null_count))) for path in paths]
    for path, found in zip(paths, types, strict=True):
        if found.is_nullable and not found.is_marked:
            raise RuntimeError(f"the path '{path}' in 'pack' may be null, and so would be the whole list: write '{path}!' to agree")
        if found.type != types[0].type:
            raise RuntimeError(f"the paths in 'pack' are of one type, but '{path}' is {found.type} and '{paths[0]}' {types[0].type}")
    columns = []
    is_there = None
    for path in paths:
        one = _run(path, source, is_exact=True)
        if one is None:
            return None
        columns.append(one.values)
        is_there = _both(is_there, one.is_there)
    order = np.arange(len(source) * len(paths)).reshape(len(paths), -1).T.ravel()
    values = pa.concat_arrays(columns).take(pa.array(order))
    t = pa.list_(pa.field("item", values.type, nullable=any(found.is_nullable for found in types)), len(paths))
    validity = None if is_there is None else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    return _Found(pa.Array.from_buffers(t, len(source), [validity], -1, 0, [values]))
