"""Lenses: components and timelines made of a component: :class:`shmrerun.chunk.DeriveLens`, :class:`shmrerun.chunk.MutateLens`.

Source: the classes of that name in ``rerun.chunk`` of rerun-sdk 0.41, by experiment.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from shmrerun.model.entity_paths import canonical
from shmrerun.rrd.arrays import valid
from shmrerun.rrd.cast import cast
from shmrerun.rrd.fields import Descriptor
from shmrerun.rrd.selector import Selector, as_selector

_TIMES = {
    "sequence": pa.int64(),
    **dict.fromkeys(("duration_ns", "duration"), pa.duration("ns")),
    **dict.fromkeys(("timestamp_ns", "timestamp"), pa.timestamp("ns")),
}
_CastTo: TypeAlias = "pa.DataType | Literal['auto'] | None"


class ComponentOutput(NamedTuple):
    """A component that a lens makes."""

    descriptor: Descriptor
    selector: Selector
    cast_to: _CastTo


class TimeOutput(NamedTuple):
    """A timeline that a lens makes."""

    name: str
    type: pa.DataType
    selector: Selector


class DeriveLens:
    """Makes components, and timelines, of what is within a component.

    Parameters
    ----------
    input_component
        The component's name, such as ``"Imu:accel"``; chunks without it are not touched.
    output_entity
        Where the results go. Without: the chunk's own entity.
    scatter
        Whether each value becomes a row of its own. Rows without values are kept.

    Notes
    -----
    Immutable: the methods return a new lens that makes one thing more. At least one of them is a component.

    """

    __slots__ = ("_components", "_input", "_is_scattered", "_output_entity", "_times")

    def __init__(self, input_component: str, *, output_entity: str | None = None, scatter: bool = False) -> None:
        self._input = input_component
        self._output_entity = None if output_entity is None else canonical(output_entity)
        self._is_scattered = scatter
        self._components: tuple[ComponentOutput, ...] = ()
        self._times: tuple[TimeOutput, ...] = ()

    def to_component(self, component: Any, selector: Selector | str, *, cast_to: _CastTo = None) -> DeriveLens:
        """Make a component.

        Parameters
        ----------
        component
            Its name, or a descriptor, such as ``Scalars.descriptor_scalars()``.
        selector
            What it is made of, within the input. Where it finds no such field, the component is not made.
        cast_to
            An Arrow type, or ``"auto"`` for that of the descriptor's component type. Values that the type does not have become null.

        """
        descriptor = (
            Descriptor(None, component, None)
            if isinstance(component, str)
            else Descriptor(component.archetype, component.component, component.component_type)
        )
        return self._with(components=(*self._components, ComponentOutput(descriptor, as_selector(selector), cast_to)))

    def to_timeline(self, timeline_name: str, timeline_type: str, selector: Selector | str) -> DeriveLens:
        """Make a timeline.

        Parameters
        ----------
        timeline_name
            Its name.
        timeline_type
            ``"sequence"``, ``"duration_ns"`` or ``"timestamp_ns"`` (``"duration"``, ``"timestamp"``: nanoseconds as well).
        selector
            Finds one int64 in each row; where it is null, the time is 0.

        Raises
        ------
        ValueError
            There is no such type.

        """
        if timeline_type not in _TIMES:
            raise ValueError(f"timeline_type is one of {', '.join(map(repr, _TIMES))}, not {timeline_type!r}")
        return self._with(times=(*self._times, TimeOutput(timeline_name, _TIMES[timeline_type], as_selector(selector))))

    def to_packed_component(self, component: Any, *fields: str, cast_to: _CastTo = "auto") -> DeriveLens:
        """Make a component of several fields, as one list of fixed size; null where one of them is.

        Parameters
        ----------
        component, cast_to
            As for :meth:`to_component`.
        *fields
            Paths, such as ``"x"`` or ``"pose.x"``, of one type.

        Raises
        ------
        ValueError
            No field.

        """
        if not fields:
            raise ValueError("to_packed_component needs a field at least")
        return self.to_component(component, f"pack({', '.join(f'.{field}!' for field in fields)})", cast_to=cast_to)

    def to_translation(self, x: str, y: str, z: str) -> DeriveLens:
        """Make ``Transform3D:translation`` of three fields."""
        return self.to_packed_component(_transform("translation", "Translation3D"), x, y, z)

    def to_quaternion(self, x: str, y: str, z: str, w: str) -> DeriveLens:
        """Make ``Transform3D:quaternion`` of four fields, in this order."""
        return self.to_packed_component(_transform("quaternion", "RotationQuat"), x, y, z, w)

    def to_scale(self, x: str, y: str, z: str) -> DeriveLens:
        """Make ``Transform3D:scale`` of three fields."""
        return self.to_packed_component(_transform("scale", "Scale3D"), x, y, z)

    def to_rotation_axis_angle(self, axis_x: str, axis_y: str, axis_z: str, angle: str) -> DeriveLens:
        """Make ``Transform3D:rotation_axis_angle`` of four fields; the angle is in radians. Null where there is no struct at all."""

        def rotation(struct: pa.StructArray) -> pa.StructArray:
            columns = [
                np.asarray(cast(struct.field(name), pa.float32()).to_numpy(zero_copy_only=False)) for name in (axis_x, axis_y, axis_z)
            ]
            axes = pa.array(np.stack(columns, axis=1).ravel(), pa.float32())
            axis = pa.FixedSizeListArray.from_arrays(axes, type=pa.list_(pa.field("item", pa.float32(), nullable=False), 3))
            turned = pa.array(cast(struct.field(angle), pa.float32()).to_numpy(zero_copy_only=False), pa.float32())
            fields = [pa.field("axis", axis.type, nullable=False), pa.field("angle", pa.float32(), nullable=False)]
            return pa.StructArray.from_arrays([axis, turned], fields=fields, mask=pa.array(~valid(struct)))

        return self.to_component(_transform("rotation_axis_angle", "RotationAxisAngle"), Selector(".").pipe(rotation))

    def to_scalars(self, *fields: str) -> DeriveLens:
        """Make ``Scalars:scalars`` of fields, a series for each. ValueError: no field."""
        if not fields:
            raise ValueError("to_scalars needs a field at least")
        packed = f"pack({', '.join(f'.{field}!' for field in fields)}) | []"
        descriptor = Descriptor("rerun.archetypes.Scalars", "Scalars:scalars", "rerun.components.Scalar")
        return self.to_component(descriptor, packed if len(fields) > 1 else f".{fields[0]}")

    def _with(self, components: tuple[ComponentOutput, ...] | None = None, times: tuple[TimeOutput, ...] | None = None) -> DeriveLens:
        new = DeriveLens(self._input, output_entity=self._output_entity, scatter=self._is_scattered)
        new._components = self._components if components is None else components
        new._times = self._times if times is None else times
        return new


class MutateLens:
    """Replaces a component by what is found in it.

    Parameters
    ----------
    input_component
        The component's name; chunks without it are not touched.
    selector
        What it is replaced by. Where it finds no such field, the component goes.
    keep_row_ids
        Whether rows keep their ids; without, they get new ones, in the order of their times.
    """

    __slots__ = ("_input", "_keeps_row_ids", "_selector")

    def __init__(self, input_component: str, selector: Selector | str, *, keep_row_ids: bool = False) -> None:
        self._input = input_component
        self._selector = as_selector(selector)
        self._keeps_row_ids = keep_row_ids


Lens: TypeAlias = DeriveLens | MutateLens


def _transform(name: str, component_type: str) -> Descriptor:
    return Descriptor("rerun.archetypes.Transform3D", f"Transform3D:{name}", f"rerun.components.{component_type}")
