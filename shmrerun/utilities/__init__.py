"""Points and colours for examples and tests, and an interpolation that goes back and forth.

Source: results observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from math import tau
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shmrerun.utilities.turbo import RGB

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["ColorGrid", "ColorSpiral", "bounce_lerp", "build_color_grid", "build_color_spiral"]

_HALF = 10.0  # half the edge of the cube


class ColorGrid(NamedTuple):
    """Points of a cube, shape (n, 3), and their colours, uint8 of the same shape."""

    positions: NDArray[np.float64]
    colors: NDArray[np.uint8]


class ColorSpiral(NamedTuple):
    """Points of a spiral, shape (n, 3), and their colours from 0 to 1, of the same shape."""

    positions: NDArray[np.float64]
    colors: NDArray[np.float64]


def build_color_grid(x_count: int = 10, y_count: int = 10, z_count: int = 10, *, twist: float = 0) -> ColorGrid:
    """Make a cube of points, from -10 to 10 on each axis, whose colours are their places in it; z changes fastest.

    Parameters
    ----------
    x_count, y_count, z_count : int
        Number of points along each axis.
    twist : float
        By how many radians the top is turned around z against the bottom.
    """
    counts = (x_count, y_count, z_count)
    x, y, z = (axis.ravel() for axis in np.meshgrid(*(np.linspace(-_HALF, _HALF, count) for count in counts), indexing="ij"))
    shades = np.meshgrid(*(np.linspace(0, 255, count).astype(np.uint8) for count in counts), indexing="ij")
    turn = z / _HALF * (twist / 2)
    cos, sin = np.cos(turn), np.sin(turn)
    positions = np.stack((x * cos - y * sin, x * sin + y * cos, z), axis=1)
    return ColorGrid(positions, np.stack([shade.ravel() for shade in shades], axis=1))


def build_color_spiral(
    num_points: int = 100,
    *,
    radius: float = 2,
    angular_step: float = 0.02,
    angular_offset: float = 0,
    z_step: float = 0.1,
) -> ColorSpiral:
    """Make points on a spiral around z, coloured from one end of the Turbo colour map to the other.

    Parameters
    ----------
    num_points : int
        Number of points.
    radius : float
        Their distance from the axis.
    angular_step : float
        Turn from one point to the next, as a part of a full turn.
    angular_offset : float
        Where the first point is, in radians.
    z_step : float
        Rise from one point to the next.
    """
    at = np.arange(num_points)
    angle = at * angular_step * tau + angular_offset
    positions = np.stack((radius * np.cos(angle), radius * np.sin(angle), at * z_step), axis=1)
    shades = np.frombuffer(RGB, np.uint8).reshape(-1, 3)
    return ColorSpiral(positions, shades[np.linspace(0, len(shades) - 1, num_points).astype(np.intp)] / 255.0)


def bounce_lerp(a: Any, b: Any, t: Any) -> Any:
    """Interpolate between ``a`` (``t`` 0) and ``b`` (``t`` 1), going back to ``a`` until ``t`` is 2, and so on.

    Parameters
    ----------
    a, b : float or array
        The two ends.
    t : float or array
        Where between them. Arrays are broadcast against ``a`` and ``b``.

    Notes
    -----
    Below 0, ``t`` steps on as Rerun's does: from the end that ``int(t)`` names, by what ``t`` is above the next integer below.

    Examples
    --------
    >>> [bounce_lerp(0, 10, t) for t in (0.0, 0.5, 1.0, 1.25, 2.0)]
    [0.0, 5.0, 10.0, 7.5, 0.0]
    """
    part = t % 1
    if getattr(t, "ndim", 0):
        part = np.where(np.trunc(t) % 2 == 0, part, 1 - part)
    elif int(t) % 2:
        part = 1 - part
    return a * (1 - part) + b * part


def __getattr__(name: str) -> ColorGrid | ColorSpiral:
    if name == "color_grid":
        found: ColorGrid | ColorSpiral = build_color_grid()
    elif name == "color_spiral":
        found = build_color_spiral()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)  # type: ignore[no-any-return]
