"""URDF robots: the frame of each link, its shapes, and the transforms between them.

Source: the URDF format; entities and components as rerun-sdk 0.41 records them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

from shmrerun.importers.task import ImportFailedError
from shmrerun.model import entity_paths
from shmrerun.model.archetype import archetype_class
from shmrerun.model.convert.arguments import media_type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.importers.task import Task

    Color = tuple[float, ...] | None

_TRANSFORMS = "/tf_static"
_MOST_DEEP = 500  # links in a row
_SHAPES = {"mesh", "box", "cylinder", "capsule", "sphere"}


class _Robot(NamedTuple):
    name: str
    folder: str
    links: dict[str, Any]
    joints: dict[str, list[Any]]  # by the parent link
    materials: dict[str, Any]
    root: str


def urdf(task: Task) -> None:
    """Log a robot; its transforms are static, all else is at the times of the calling thread. ImportFailedError: no robot, or damaged."""
    try:
        robot = _robot(ET.fromstring(task.read()), os.path.dirname(task.path))  # noqa: S314 - expat bounds entities
        root = task.prefix + entity_paths.canonical([robot.name])
        task.log_now(root, _make("CoordinateFrame", frame=robot.root))
        transforms = []
        for link, joint in _walk(robot):
            if joint is not None:
                transforms.append(_transform(joint))
            _link(task, robot, root, link)
    except (ET.ParseError, ValueError) as error:
        raise ImportFailedError(f"cannot read the URDF file: {error}: {task.path}") from None
    for transform in transforms:
        task.log(_TRANSFORMS, transform)


def _make(archetype: str, **fields: Any) -> Any:
    """An archetype of just these components."""
    found: Any = archetype_class(archetype)
    return found.from_fields(**fields)


# ---- reading


def _robot(xml: Any, folder: str) -> _Robot:
    if xml.tag != "robot":
        raise ValueError(f"it is a {xml.tag!r}, not a 'robot'")
    links = {_need(link, "name"): link for link in xml.iterfind("link")}
    joints: dict[str, list[Any]] = {}
    children = set()
    for joint in xml.iterfind("joint"):
        name, parent, child = _need(joint, "name"), _end(joint, "parent"), _end(joint, "child")
        for what, link in (("child", child), ("parent", parent)):
            if link not in links:
                raise ValueError(f"joint {name!r} has the {what} link {link!r}, which is not there")
        joints.setdefault(parent, []).append(joint)
        children.add(child)
    roots = [name for name in links if name not in children]
    if len(roots) != 1:
        raise ValueError(f"it has {len(roots)} root links, not 1: {roots[:5]}")
    materials = {_need(found, "name"): found for found in xml.iterfind("material")}
    return _Robot(_need(xml, "name"), folder, links, joints, materials, roots[0])


def _need(xml: Any, name: str) -> str:
    found = xml.get(name)
    if found is None:
        raise ValueError(f"a {xml.tag!r} has no {name!r}")
    return str(found)


def _end(joint: Any, name: str) -> str:
    found = joint.find(name)
    if found is None:
        raise ValueError(f"joint {joint.get('name')!r} has no {name!r}")
    return _need(found, "link")


def _numbers(text: str | None, count: int) -> tuple[float, ...]:
    found = tuple(map(float, (text or "").split()))
    if len(found) != count:
        raise ValueError(f"{text!r} are not {count} numbers")
    return found


def _walk(robot: _Robot) -> Iterator[tuple[Any, Any]]:
    """Links from the root on, depth first, each with the joint that leads there."""
    stack: list[tuple[str, Any, int]] = [(robot.root, None, 0)]
    while stack:
        name, joint, depth = stack.pop()
        if depth > _MOST_DEEP:
            raise ValueError(f"more than {_MOST_DEEP} links hang in a row, or in a circle: {name!r}")
        yield robot.links[name], joint
        stack += [(_end(child, "child"), child, depth + 1) for child in reversed(robot.joints.get(name, []))]


def _pose(xml: Any) -> tuple[list[float], list[float]]:
    """Translation, and rotation as x, y, z, w, of the origin of an element."""
    origin = xml.find("origin")
    if origin is None:
        return [0.0, 0.0, 0.0], _quaternion((0.0, 0.0, 0.0))
    return list(_numbers(origin.get("xyz", "0 0 0"), 3)), _quaternion(_numbers(origin.get("rpy", "0 0 0"), 3))


def _quaternion(angles: tuple[float, ...]) -> list[float]:
    """Of roll, pitch and yaw about fixed axes, in single precision."""
    import numpy as np

    half = (np.array(angles, np.float32) * np.float32(0.5)).astype(np.float64)  # the functions of single precision round otherwise
    (sx, sy, sz), (cx, cy, cz) = np.sin(half).astype(np.float32), np.cos(half).astype(np.float32)
    cc, cs, sc, ss = cx * cz, cx * sz, sx * cz, sx * sz
    return [float(value) for value in (cy * sc - sy * cs, cy * ss + sy * cc, cy * cs - sy * sc, cy * cc + sy * ss)]


# ---- logging


def _transform(joint: Any) -> Any:
    translation, quaternion = _pose(joint)
    return _make(
        "Transform3D",
        translation=translation,
        quaternion=quaternion,
        parent_frame=_end(joint, "parent"),
        child_frame=_end(joint, "child"),
    )


def _link(task: Task, robot: _Robot, root: str, link: Any) -> None:
    name = _need(link, "name")
    for number, visual in enumerate(link.iterfind("visual")):
        path = [visual.get("name") or f"visual_{number}"]
        shape = _shape(visual)
        material = visual.find("material")
        if material is not None and material.find("color") is None and material.find("texture") is None:
            material = robot.materials.get(_need(material, "name"))
        _part(task, robot, name, f"{root}/visual_geometries" + entity_paths.canonical([name, *path]), visual, shape, material)
    for number, collision in enumerate(link.iterfind("collision")):
        shape = _shape(collision)
        path = [shape.tag, name, collision.get("name") or f"collision_{number}"]
        _part(task, robot, name, f"{root}/collision_geometries" + entity_paths.canonical(path), collision, shape, None)


def _shape(xml: Any) -> Any:
    geometry = xml.find("geometry")
    found = next((shape for shape in geometry if shape.tag in _SHAPES), None) if geometry is not None else None
    if found is None:
        raise ValueError(f"a {xml.tag!r} has no geometry of {sorted(_SHAPES)}")
    return found


def _part(task: Task, robot: _Robot, link: str, path: str, xml: Any, shape: Any, material: Any) -> None:
    """One visual or collision of a link."""
    translation, quaternion = _pose(xml)
    poses: dict[str, Any] = {"translations": [translation], "quaternions": [quaternion]}
    if shape.tag == "mesh" and shape.get("scale") is not None:
        poses["scales"] = [list(_numbers(shape.get("scale"), 3))]
    task.log_now(path, _make("InstancePoses3D", **poses))
    task.log_now(path, _make("CoordinateFrame", frame=link))
    if shape.tag == "mesh":
        _mesh(task, robot, path, shape, material)
        return
    archetype, fields = _solid(shape)
    task.log_now(path, _make(archetype, **fields, colors=[_color(material) or (255, 255, 255, 255)]))


def _solid(shape: Any) -> tuple[str, dict[str, Any]]:
    if shape.tag == "box":
        return "Boxes3D", {"half_sizes": [[side / 2 for side in _numbers(shape.get("size"), 3)]]}
    (radius,) = _numbers(shape.get("radius"), 1)
    if shape.tag == "sphere":
        return "Ellipsoids3D", {"half_sizes": [[radius] * 3]}
    (length,) = _numbers(shape.get("length"), 1)
    return ("Cylinders3D" if shape.tag == "cylinder" else "Capsules3D"), {"lengths": [length], "radii": [radius]}


def _color(material: Any) -> tuple[int, ...] | None:
    """Colour of a material, from linear to sRGB, as exact as one that was multiplied by its alpha is; None: it has none."""
    found = material.find("color") if material is not None else None
    if found is None:
        return None
    *channels, part = _numbers(found.get("rgba"), 4)
    alpha = int(min(max(part, 0.0), 1.0) * 255 + 0.5)
    if not alpha:
        return (0, 0, 0, 0)
    return (*(int(int(_srgb(channel) * alpha / 255 + 0.5) * 255 / alpha + 0.5) for channel in channels), alpha)


def _srgb(linear: float) -> int:
    if linear <= 0.0:
        return 0
    if linear <= 0.0031308:
        return int(3294.6 * linear + 0.5)
    return int(269.025 * linear ** (1 / 2.4) - 14.025 + 0.5) if linear <= 1.0 else 255


def _mesh(task: Task, robot: _Robot, path: str, shape: Any, material: Any) -> None:
    name = _need(shape, "filename")
    try:
        contents = _resource(robot.folder, name)
    except (OSError, ValueError) as error:
        task.warn(f"a mesh is left out, {error}")
        return
    if material is not None and material.find("texture") is not None:
        task.warn("textures of materials are left out")
    color = _color(material)
    fields = {"blob": contents, "media_type": media_type_of(name.partition("?")[0].partition("#")[0]), "albedo_factor": color}
    task.log_now(path, _make("Asset3D", **{field: value for field, value in fields.items() if value is not None}))


def _resource(folder: str, name: str) -> bytes:
    """A file that a robot names. OSError; ValueError: it cannot be found."""
    scheme, is_url, rest = name.partition("://")
    if not is_url:
        path = os.path.join(folder, name)
    elif scheme == "file":
        path = rest
    elif scheme == "package":
        path = _package_file(rest)
    else:
        raise ValueError(f"{name!r} is not fetched: only files are read")
    with open(path, "rb") as file:
        return file.read()


def _package_file(rest: str) -> str:
    """A file of a ROS package."""
    package, _, path = rest.partition("/")
    folders = [os.path.join(root, package) for root in os.environ.get("ROS_PACKAGE_PATH", "").split(":") if root]
    folders += [os.path.join(root, "share", package) for root in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if root]
    for folder in folders:
        if os.path.exists(folder):
            return os.path.join(folder, path)
    raise ValueError(f"the package {package!r} is neither on ROS_PACKAGE_PATH nor on AMENT_PREFIX_PATH")
