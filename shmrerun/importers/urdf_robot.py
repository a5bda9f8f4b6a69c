"""URDF robots, read: links, joints, materials, and where things are.

Source: the URDF format; single precision as in rerun-sdk 0.41.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_DEEP = 500  # links in a row
_SHAPES = {"mesh", "box", "cylinder", "capsule", "sphere"}


class Robot(NamedTuple):
    """A robot as its file has it: elements of XML, by their names."""

    name: str
    folder: str  # that its meshes are looked for in
    links: dict[str, Any]
    joints: list[Any]
    materials: dict[str, Any]
    root: str  # the link that no joint leads to


def read_robot(data: bytes, folder: str) -> Robot:
    """Read a file. ValueError: it is no robot, or damaged."""
    try:
        xml = ET.fromstring(data)  # noqa: S314 - expat bounds entities
    except ET.ParseError as error:
        raise ValueError(str(error)) from None
    if xml.tag != "robot":
        raise ValueError(f"it is a {xml.tag!r}, not a 'robot'")
    links = {need(link, "name"): link for link in xml.iterfind("link")}
    joints = list(xml.iterfind("joint"))
    for joint in joints:
        name = need(joint, "name")
        for what in ("child", "parent"):
            link = link_at(joint, what)
            if link not in links:
                raise ValueError(f"joint {name!r} has the {what} link {link!r}, which is not there")
    children = {link_at(joint, "child") for joint in joints}
    roots = [name for name in links if name not in children]
    if len(roots) != 1:
        raise ValueError(f"it has {len(roots)} root links, not 1: {roots[:5]}")
    materials = {need(found, "name"): found for found in xml.iterfind("material")}
    return Robot(need(xml, "name"), folder, links, joints, materials, roots[0])


def need(xml: Any, name: str) -> str:
    """An attribute. ValueError: it is not there."""
    found = xml.get(name)
    if found is None:
        raise ValueError(f"a {xml.tag!r} has no {name!r}")
    return str(found)


def link_at(joint: Any, name: str) -> str:
    """The link at an end of a joint. ValueError: there is none."""
    found = joint.find(name)
    if found is None:
        raise ValueError(f"joint {joint.get('name')!r} has no {name!r}")
    return need(found, "link")


def numbers(text: str | None, count: int) -> tuple[float, ...]:
    """So many numbers of a text. ValueError."""
    found = tuple(map(float, (text or "").split()))
    if len(found) != count:
        raise ValueError(f"{text!r} are not {count} numbers")
    return found


def walk(robot: Robot) -> Iterator[tuple[Any, Any]]:
    """Links from the root on, depth first, each with the joint that leads there."""
    below: dict[str, list[Any]] = {}
    for joint in robot.joints:
        below.setdefault(link_at(joint, "parent"), []).append(joint)
    stack: list[tuple[str, Any, int]] = [(robot.root, None, 0)]
    while stack:
        name, led, depth = stack.pop()
        if depth > _MOST_DEEP:
            raise ValueError(f"more than {_MOST_DEEP} links hang in a row, or in a circle: {name!r}")
        yield robot.links[name], led
        stack += [(link_at(child, "child"), child, depth + 1) for child in reversed(below.get(name, []))]


def pose_of(xml: Any) -> tuple[list[float], list[float]]:
    """Translation, and rotation as x, y, z, w, of the origin of an element."""
    origin = xml.find("origin")
    if origin is None:
        return [0.0, 0.0, 0.0], rotation((0.0, 0.0, 0.0))
    return list(numbers(origin.get("xyz", "0 0 0"), 3)), rotation(numbers(origin.get("rpy", "0 0 0"), 3))


def rotation(angles: tuple[float, ...]) -> list[float]:
    """Of roll, pitch and yaw about fixed axes, in single precision."""
    import numpy as np

    (sx, cx), (sy, cy), (sz, cz) = map(half_turn, angles)
    cc, cs, sc, ss = np.multiply.outer((cx, sx), (cz, sz)).ravel()
    return [float(value) for value in (cy * sc - sy * cs, cy * ss + sy * cc, cy * cs - sy * sc, cy * cc + sy * ss)]


def half_turn(angle: float) -> tuple[Any, Any]:
    """Sine and cosine of half an angle, by the C library's functions of single precision: NumPy's and double ones round otherwise."""
    import numpy as np

    half = np.float32(angle) * np.float32(0.5)
    return np.float32(_sinf(half)), np.float32(_cosf(half))


def _single(name: str) -> Any:
    function = getattr(ctypes.CDLL(None), name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function


_sinf, _cosf = _single("sinf"), _single("cosf")


def shape_of(xml: Any) -> Any:
    """The geometry of a visual or collision. ValueError: there is none."""
    geometry = xml.find("geometry")
    found = next((shape for shape in geometry if shape.tag in _SHAPES), None) if geometry is not None else None
    if found is None:
        raise ValueError(f"a {xml.tag!r} has no geometry of {sorted(_SHAPES)}")
    return found
