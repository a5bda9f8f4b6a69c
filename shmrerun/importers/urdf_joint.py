"""Joints of a URDF robot: what the file says, and the pose that a value makes.

Source: the URDF format; single precision, and what is multiplied with what, as rerun-sdk 0.41 has them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.urdf_robot import half_turn, link_at, need, numbers, pose_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

_KINDS = ("revolute", "continuous", "prismatic", "fixed", "floating", "planar", "spherical")
_UNITS = {"revolute": "rad", "prismatic": "m"}  # of joints with limits


class JointSpec(NamedTuple):
    """A joint, as its file has it."""

    name: str
    kind: str
    parent: str
    child: str
    parent_frame: str
    child_frame: str
    axis: tuple[float, float, float]
    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    rotation: list[float]  # of rpy
    limits: tuple[float, float, float, float]  # least and greatest value, effort, velocity
    mimic: tuple[str, float, float] | None  # joint, multiplier, offset

    def clamped(self, value: float) -> tuple[float, str]:
        """The value within the limits, and what there is to say; nothing if it was. TypeError: it is no number."""
        value = _number(self.name, value)
        unit = _UNITS.get(self.kind)
        lower, upper = self.limits[:2]
        if unit is None or lower <= value <= upper:
            return value, ""
        said = f"joint {self.name!r} cannot be at {value:.4f} {unit}: its limits are [{lower:.4f}, {upper:.4f}], the nearest is taken"
        return (value if math.isnan(value) else min(max(value, lower), upper)), said

    def pose(self, value: float) -> tuple[list[float], list[float]]:
        """Translation and quaternion at a value. NotImplementedError: that takes more than one; TypeError: it is no number."""
        import numpy as np

        value = _number(self.name, value)
        if self.kind in ("floating", "planar", "spherical"):
            raise NotImplementedError(f"joint {self.name!r} is {self.kind}: one value does not say where it is")
        origin, rotation = np.array(self.xyz, np.float32), np.array(self.rotation, np.float32)
        axis = np.array(self.axis, np.float32)
        with np.errstate(all="ignore"):
            if self.kind == "prismatic":
                origin += _turned(rotation, axis * np.float32(value))
            elif self.kind != "fixed":
                sine, cosine = half_turn(value)
                rotation = _product(rotation, np.append(axis * sine, cosine))
        return origin.tolist(), rotation.tolist()


def read_joint(xml: Any, frames: str) -> JointSpec:
    """A joint of a file, ``frames`` before the names of its frames. ValueError: it is damaged."""
    name, kind = need(xml, "name"), need(xml, "type")
    if kind not in _KINDS:
        raise ValueError(f"joint {name!r} is {kind!r}, not one of {', '.join(_KINDS)}")
    origin, axis, limit, mimic = (xml.find(part) for part in ("origin", "axis", "limit", "mimic"))
    xyz, rpy = ("0 0 0", "0 0 0") if origin is None else (origin.get("xyz", "0 0 0"), origin.get("rpy", "0 0 0"))
    parent, child = link_at(xml, "parent"), link_at(xml, "child")
    return JointSpec(
        name,
        kind,
        parent,
        child,
        frames + parent,
        frames + child,
        _three("1 0 0" if axis is None else need(axis, "xyz")),
        _three(xyz),
        _three(rpy),
        pose_of(xml)[1],
        _limits(limit),
        None if mimic is None else (need(mimic, "joint"), _one(mimic, "multiplier", "1"), _one(mimic, "offset", "0")),
    )


def _limits(xml: Any) -> tuple[float, float, float, float]:
    if xml is None:
        return (0.0, 0.0, 0.0, 0.0)
    return (_one(xml, "lower", "0"), _one(xml, "upper", "0"), _one(xml, "effort", None), _one(xml, "velocity", None))


def _one(xml: Any, name: str, default: str | None) -> float:
    return numbers(need(xml, name) if default is None else xml.get(name, default), 1)[0]


def _three(text: str) -> tuple[float, float, float]:
    x, y, z = numbers(text, 3)
    return (x, y, z)


def _number(joint: str, value: Any) -> float:
    try:
        return float(value.__index__() if hasattr(value, "__index__") else value.__float__())
    except AttributeError:
        raise TypeError(f"the value of joint {joint!r} must be a number, got {type(value).__name__}") from None


def _product(a: Any, b: Any) -> Any:
    """The rotation ``b``, then ``a``."""
    import numpy as np

    (ax, ay, az, aw), (bx, by, bz, bw) = a, b
    first = np.array([ax, ay, az, aw]) * bw + np.array([aw, az, -ay, -ax]) * bx
    return first + (np.array([-az, aw, ax, -ay]) * by + np.array([ay, -ax, aw, -az]) * bz)


def _turned(rotation: Any, vector: Any) -> Any:
    """A vector, rotated."""
    import numpy as np

    (x, y, z, w), (vx, vy, vz), two = rotation, vector, np.float32(2)
    axis = rotation[:3]
    along, square = (vx * x + vy * y) + vz * z, (x * x + y * y) + z * z
    across = np.array([y * vz - vy * z, z * vx - vz * x, x * vy - vx * y])
    return (vector * (w * w - square) + axis * (along * two)) + across * (w * two)


def transform_batches(names: pa.Array, values: pa.Array, at: Callable[[str, float], tuple[Any, ...]]) -> pa.Array:
    """Lists of transforms, for lists of joints' names and values; ``at`` makes one of them. TypeError; ValueError."""
    import pyarrow as pa

    for what, array in (("names", names), ("values", values)):
        if not isinstance(array, pa.Array):
            raise TypeError(f"{what} must be a pyarrow.Array, got {type(array).__name__}")
        if not pa.types.is_list(array.type):
            raise ValueError(f"{what} must be lists, got {array.type}")
    if names.type.value_type != pa.string():
        raise ValueError(f"names must be lists of utf8, got {names.type}")
    if len(names) != len(values):
        raise ValueError(f"names have {len(names)} rows, values {len(values)}")
    values = values.cast(pa.list_(pa.float64()), safe=False)
    made = []
    for number, (row, numbers_of_row) in enumerate(zip(names.to_pylist(), values.to_pylist(), strict=True)):
        if row is None or numbers_of_row is None or None in row or None in numbers_of_row:
            raise ValueError(f"row {number} of names and values holds null")
        if len(row) != len(numbers_of_row):
            raise ValueError(f"row {number} has {len(row)} names and {len(numbers_of_row)} values")
        made.append([at(name, value) for name, value in zip(row, numbers_of_row, strict=True)])
    fields = [("translation", _vector(3)), ("quaternion", _vector(4)), ("parent_frame", pa.string()), ("child_frame", pa.string())]
    kind = pa.struct([pa.field(name, of, nullable=False) for name, of in fields])
    rows = [[dict(zip(("translation", "quaternion", "parent_frame", "child_frame"), one, strict=True)) for one in row] for row in made]
    return pa.array(rows, pa.list_(pa.field("item", kind, nullable=False)))


def _vector(size: int) -> Any:
    import pyarrow as pa

    return pa.list_(pa.field("item", pa.float32(), nullable=False), size)
