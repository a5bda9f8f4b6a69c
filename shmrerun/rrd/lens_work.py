"""Lenses at work on a chunk: what they make, what is forwarded, and when that cannot be.

Source: ``apply_lenses``, ``apply_selector`` and ``lenses`` of ``rerun.chunk`` of rerun-sdk 0.41, by experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun.model.arrow_types import parse_type
from shmrerun.model.tables.components import arrow_of
from shmrerun.model.tables.types import COMPONENTS, full_name
from shmrerun.rrd.arrays import ints, of_ints, valid
from shmrerun.rrd.cast import cast
from shmrerun.rrd.fields import Descriptor
from shmrerun.rrd.from_arrow import assemble, in_time_order
from shmrerun.rrd.lens import DeriveLens, MutateLens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shmrerun.rrd.lens import ComponentOutput, Lens, TimeOutput
    from shmrerun.rrd.selector import Selector

MODES = ("drop_unmatched", "forward_unmatched", "forward_all")

_Times = list[tuple[str, pa.Array]]


class _Parts(NamedTuple):
    """What a chunk consists of; components by name."""

    entity_path: str
    row_ids: pa.Array
    times: _Times
    components: dict[str, tuple[Descriptor, pa.Array]]


def _parts(batch: pa.RecordBatch) -> _Parts:
    times: _Times = []
    components = {}
    for field, column in list(zip(batch.schema, batch.columns, strict=True))[1:]:
        about = {key.decode(): value.decode("utf-8", "replace") for key, value in (field.metadata or {}).items()}
        if about.get("rerun:kind") == "index":
            times.append((field.name, column))
        else:
            name = about.get("rerun:component", field.name)
            components[name] = Descriptor(about.get("rerun:archetype"), name, about.get("rerun:component_type")), column
    return _Parts(batch.schema.metadata[b"rerun:entity_path"].decode("utf-8", "replace"), batch.column(0), times, components)


def as_lenses(lenses: Lens | Sequence[Lens]) -> list[Lens]:
    """Several lenses, or one.

    Raises
    ------
    TypeError
        Something else among them.
    ValueError
        A lens that makes no component, or what it is made of, of the same entity.

    """
    found = [lenses] if isinstance(lenses, DeriveLens | MutateLens) else list(lenses)
    for lens in found:
        if not isinstance(lens, DeriveLens | MutateLens):
            raise TypeError(f"lenses are DeriveLens or MutateLens, not {type(lens).__name__}")
        if isinstance(lens, MutateLens):
            continue
        if not lens._components:
            raise ValueError(f"the lens of {lens._input!r} makes no component; call to_component on it")
        if lens._output_entity is None and any(output.descriptor.component == lens._input for output in lens._components):
            raise ValueError(f"a DeriveLens of {lens._input!r} makes {lens._input!r} of the same entity; that is what a MutateLens does")
    return found


def apply_lenses(batch: pa.RecordBatch, lenses: list[Lens], mode: str) -> list[pa.RecordBatch]:
    """Put a chunk through lenses.

    Parameters
    ----------
    batch
        The chunk.
    lenses
        As :func:`as_lenses` gives them. Those whose input the chunk does not have do nothing.
    mode
        Which of the chunk's components are forwarded beside those that a :class:`MutateLens` replaced: ``"drop_unmatched"``: none;
        ``"forward_unmatched"``: those that no lens takes; ``"forward_all"``: all.

    Returns
    -------
    list of pyarrow.RecordBatch
        What is forwarded, with what lenses make for the same rows; then a chunk for each lens with timelines, rows or an entity of its
        own.

    Raises
    ------
    ValueError
        A selector or a cast fails, two lenses make the same component, or columns do not have the same rows.

    """
    parts = _parts(batch)
    matching = [lens for lens in lenses if lens._input in parts.components]
    mutations: dict[str, MutateLens] = {}
    merged: list[DeriveLens] = []
    derived: list[DeriveLens] = []
    claimed: set[tuple[str, str]] = set()
    for lens in matching:
        if isinstance(lens, MutateLens):
            if lens._input in mutations:
                raise ValueError(f"two lenses replace {lens._input!r} of {parts.entity_path}")
            mutations[lens._input] = lens
            continue
        for output in lens._components:
            place = (lens._output_entity or parts.entity_path, output.descriptor.component)
            if place in claimed:
                raise ValueError(f"two lenses make {place[1]!r} of {place[0]}")
            claimed.add(place)
        is_merged = lens._output_entity is None and not lens._is_scattered and not lens._times
        (merged if is_merged else derived).append(lens)
    forwarded = dict(parts.components)
    if mode == "drop_unmatched":
        forwarded = {name: column for name, column in forwarded.items() if name in mutations}
    elif mode == "forward_unmatched":
        taken = {lens._input for lens in (*merged, *derived)} - mutations.keys()
        forwarded = {name: column for name, column in forwarded.items() if name not in taken}
    made = _forward(batch, parts, forwarded, mutations, merged)
    own = [lens for lens in derived if lens._output_entity is None] + [lens for lens in derived if lens._output_entity is not None]
    return [one for one in (made, *(_derive(parts, lens) for lens in own)) if one is not None]


def _forward(
    batch: pa.RecordBatch,
    parts: _Parts,
    components: dict[str, tuple[Descriptor, pa.Array]],
    mutations: dict[str, MutateLens],
    merged: list[DeriveLens],
) -> pa.RecordBatch | None:
    if not mutations and not merged and len(components) == len(parts.components):
        return batch
    for name, lens in mutations.items():
        descriptor, column = components.pop(name)
        changed = _select(lens._selector, column, name, name, parts.entity_path)
        if changed is not None:
            components[name] = descriptor, changed
    for derive in merged:
        components |= _components(parts, derive)
    if not components:
        return None
    if all(lens._keeps_row_ids for lens in mutations.values()):
        return assemble(parts.entity_path, parts.times, list(components.values()), row_ids=parts.row_ids)
    return assemble(parts.entity_path, *in_time_order(parts.times, list(components.values())))


def _select(selector: Selector, column: pa.Array, source: str, target: str, entity_path: str) -> pa.Array | None:
    try:
        return selector.execute_per_row(column)
    except RuntimeError as error:
        raise ValueError(f"cannot make {target!r} of {source!r} of {entity_path} by the selector {str(selector)!r}: {error}") from error


def _components(parts: _Parts, lens: DeriveLens) -> dict[str, tuple[Descriptor, pa.Array]]:
    """The components that a lens makes, by name."""
    made = {}
    for output in lens._components:
        name = output.descriptor.component
        column = _select(output.selector, parts.components[lens._input][1], lens._input, name, parts.entity_path)
        if column is not None:
            made[name] = output.descriptor, _cast(column, output, parts.entity_path)
    return made


def _cast(column: pa.Array, output: ComponentOutput, entity_path: str) -> pa.Array:
    to = output.cast_to
    if to is None:
        return column
    if isinstance(to, str):
        component = (output.descriptor.component_type or "").rpartition(".")[2]
        if to != "auto" or component not in COMPONENTS or full_name(component) != output.descriptor.component_type:
            what = f"cast_to is an Arrow type, 'auto' or None, not {to!r}" if to != "auto" else "'auto' needs a known component type"
            raise ValueError(f"cannot cast {output.descriptor.component!r} of {entity_path}: {what}; give an Arrow type")
        to = parse_type(arrow_of(COMPONENTS[component][1]))
    if column.type.value_type == to:
        return column
    try:
        values = cast(column.values, to)
    except ValueError as error:
        raise ValueError(f"cannot cast {output.descriptor.component!r} of {entity_path}: {error}") from None
    buffers = column.buffers()[:2]
    return pa.Array.from_buffers(pa.list_(pa.field("item", to, nullable=True)), len(column), buffers, -1, column.offset, [values])


def _derive(parts: _Parts, lens: DeriveLens) -> pa.RecordBatch | None:
    """The chunk of a lens with rows, timelines or an entity of its own; None: nothing is found in a static chunk."""
    entity_path = lens._output_entity or parts.entity_path
    components = list(_components(parts, lens).values())
    if not components and not parts.times and not lens._is_scattered:
        return None
    if not components:
        raise ValueError(f"the lens of {lens._input!r} of {parts.entity_path} finds nothing to make components of {entity_path} of")
    found = [(output, _time(parts, lens._input, output)) for output in lens._times]
    new = [(output, column) for output, column in found if column is not None]
    if not lens._is_scattered:
        times = dict(parts.times) | {output.name: _numbers(output, column, np.arange(len(column))) for output, column in new}
        return assemble(entity_path, *in_time_order(list(times.items()), components))
    rows = _rows(components[0][1])
    for descriptor, column in components[1:]:
        if not np.array_equal(_rows(column), rows):
            raise ValueError(
                f"rows are scattered by the values of {components[0][0].component!r}, {len(rows):,} in all, "
                f"but {descriptor.component!r} has others, {len(_rows(column)):,} in all"
            )
    times = {name: column.take(of_ints(rows)) for name, column in parts.times}
    times |= {output.name: _numbers(output, column, rows) for output, column in new}
    return assemble(entity_path, *in_time_order(list(times.items()), [(one, _scattered(column)) for one, column in components]))


def _time(parts: _Parts, source: str, output: TimeOutput) -> pa.Array | None:
    column = _select(output.selector, parts.components[source][1], source, output.name, parts.entity_path)
    if column is not None and column.type.value_type != pa.int64():
        raise ValueError(f"times of {output.name!r} are int64, but {str(output.selector)!r} finds {column.type.value_type}")
    return column


def _bounds(column: pa.Array) -> Any:
    return np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, 4 * column.offset) if len(column) else np.zeros(1, np.int32)


def _counts(column: pa.Array) -> Any:
    """How many values each row has; none where it is null."""
    bounds = _bounds(column)
    return np.where(valid(column), bounds[1:] - bounds[:-1], 0)


def _values(column: pa.Array) -> Any:
    """Where the values of each row are, of rows that are there."""
    bounds, counts = _bounds(column), _counts(column)
    return np.repeat(bounds[:-1] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())


def _numbers(output: TimeOutput, column: pa.Array, rows: Any) -> pa.Array:
    """Times of a timeline, one for each row. ValueError: there are more, or fewer."""
    at = _values(column)
    if not np.array_equal(np.repeat(np.arange(len(column)), _counts(column)), rows):
        raise ValueError(f"{str(output.selector)!r} finds {len(at):,} times of {output.name!r} for {len(rows):,} rows; each row needs one")
    numbers = ints(column.values)[at]
    return of_ints(np.where(valid(column.values)[at], numbers, 0), output.type)


def _rows(column: pa.Array) -> Any:
    """Which row each scattered row is of: one for each value, and for each row without."""
    return np.repeat(np.arange(len(column)), np.maximum(_counts(column), 1))


def _scattered(column: pa.Array) -> pa.Array:
    """Lists of one value; null for a value or a row that is null, empty for an empty row."""
    counts = _counts(column)
    there = np.repeat(counts > 0, np.maximum(counts, 1))
    values = column.values.take(of_ints(_values(column)))
    is_valid = np.repeat(valid(column), np.maximum(counts, 1))
    is_valid[there] = valid(values)
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    t = pa.list_(pa.field("item", values.type, nullable=True))
    return pa.Array.from_buffers(
        t, len(there), [pa.py_buffer(np.packbits(is_valid, bitorder="little")), pa.py_buffer(offsets)], -1, 0, [values]
    )


def apply_selector(batch: pa.RecordBatch, component: str, selector: Selector) -> pa.RecordBatch:
    """Replace a component by what is found in it; the rows get new ids.

    Raises
    ------
    ValueError
        The chunk has no such component, nothing is found, or the selector fails.

    """
    parts = _parts(batch)
    if component not in parts.components:
        raise ValueError(f"the chunk of {parts.entity_path} has no component {component!r}; it has {', '.join(parts.components)}")
    descriptor, column = parts.components[component]
    changed = _select(selector, column, component, component, parts.entity_path)
    if changed is None:
        raise ValueError(f"{str(selector)!r} finds nothing in {component!r} of {parts.entity_path}")
    components: Iterable[Any] = (parts.components | {component: (descriptor, changed)}).values()
    return assemble(parts.entity_path, parts.times, list(components))
