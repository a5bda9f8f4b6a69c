"""URDF robots: the frame of each link, its shapes, and the transforms between them.

Source: entities and components as rerun-sdk 0.41 records them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.archetypes import MESHES
from shmrerun.importers.task import Column, ImportFailedError, extension
from shmrerun.importers.urdf_robot import link_at, need, numbers, pose_of, read_robot, shape_of, walk
from shmrerun.model import entity_paths
from shmrerun.model.archetype import archetype_class
from shmrerun.model.convert.arguments import media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shmrerun.importers.task import Task
    from shmrerun.importers.urdf_robot import Robot

    Row = tuple[str, Any]  # entity path, and what is logged there

TRANSFORMS = "/tf_static"


def urdf(task: Task) -> None:
    """Log a robot; its transforms are static, all else is at the times of the calling thread. ImportFailedError: no robot, or damaged."""
    try:
        rows = RobotRows(read_robot(task.read(), os.path.dirname(task.path)), task.prefix, "")
        for path, entity in rows.geometries(task.warn):
            task.log_now(path, entity)
        transforms = list(rows.transforms())
    except ValueError as error:
        raise ImportFailedError(f"cannot read the URDF file: {error}: {task.path}") from None
    if transforms:
        task.send_columns(TRANSFORMS, [], columns_of(transforms))  # of one chunk, however long the robot took


def _make(archetype: str, **fields: Any) -> Any:
    """An archetype of just these components."""
    found: Any = archetype_class(archetype)
    return found.from_fields(**fields)


def columns_of(rows: list[Any]) -> list[Column]:
    """Rows of one archetype, with the same components set, as columns."""
    import numpy as np
    import pyarrow as pa

    columns = []
    for batches in zip(*(row.as_component_batches() for row in rows), strict=True):
        arrays = [batch.as_arrow_array() for batch in batches]
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
        descriptor = batches[0].component_descriptor()
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.concat_arrays(arrays))
        columns.append(Column(descriptor.component, lists, descriptor.archetype, descriptor.component_type))
    return columns


class RobotRows(NamedTuple):
    """What is recorded of a robot."""

    robot: Robot
    prefix: str  # an entity path, or nothing
    frames: str  # what the names of its frames begin with

    @property
    def path(self) -> str:
        """The robot's entity path."""
        return self.prefix + entity_paths.canonical([self.robot.name])

    def visuals(self, link: Any) -> Iterator[Row]:
        """Entity path and element of each visual of a link."""
        for number, visual in enumerate(link.iterfind("visual")):
            parts = [need(link, "name"), visual.get("name") or f"visual_{number}"]
            yield f"{self.path}/visual_geometries" + entity_paths.canonical(parts), visual

    def collisions(self, link: Any) -> Iterator[Row]:
        """Entity path and element of each collision of a link. ValueError: one has no shape."""
        for number, collision in enumerate(link.iterfind("collision")):
            parts = [shape_of(collision).tag, need(link, "name"), collision.get("name") or f"collision_{number}"]
            yield f"{self.path}/collision_geometries" + entity_paths.canonical(parts), collision

    def geometries(self, warn: Callable[[str], None]) -> Iterator[Row]:
        """The root's frame, then all visuals and collisions, from the root on. ValueError: one is damaged; ``warn``: a mesh is left out."""
        yield self.path, _make("CoordinateFrame", frame=self.frames + self.robot.root)
        for link, _ in walk(self.robot):
            for path, visual in self.visuals(link):
                yield from self._part(link, path, visual, self._material(visual), warn)
            for path, collision in self.collisions(link):
                yield from self._part(link, path, collision, None, warn)

    def transforms(self) -> Iterator[Any]:
        """The transform of each joint as it is built, from the root on."""
        for _, joint in walk(self.robot):
            if joint is not None:
                translation, quaternion = pose_of(joint)
                yield _make(
                    "Transform3D",
                    translation=translation,
                    quaternion=quaternion,
                    parent_frame=self.frames + link_at(joint, "parent"),
                    child_frame=self.frames + link_at(joint, "child"),
                )

    def _material(self, visual: Any) -> Any:
        found = visual.find("material")
        if found is not None and found.find("color") is None and found.find("texture") is None:
            return self.robot.materials.get(need(found, "name"))
        return found

    def _part(self, link: Any, path: str, xml: Any, material: Any, warn: Callable[[str], None]) -> Iterator[Row]:
        """One visual or collision of a link."""
        shape = shape_of(xml)
        translation, quaternion = pose_of(xml)
        poses: dict[str, Any] = {"translations": [translation], "quaternions": [quaternion]}
        if shape.tag == "mesh" and shape.get("scale") is not None:
            poses["scales"] = [list(numbers(shape.get("scale"), 3))]
        yield path, _make("InstancePoses3D", **poses)
        yield path, _make("CoordinateFrame", frame=self.frames + need(link, "name"))
        if shape.tag != "mesh":
            archetype, fields = _solid(shape)
            yield path, _make(archetype, **fields, colors=[_color(material) or (255, 255, 255, 255)])
            return
        name = need(shape, "filename")
        try:
            contents = _resource(self.robot.folder, name)
        except (OSError, ValueError) as error:
            warn(f"a mesh is left out, {error}")
            return
        if material is not None and material.find("texture") is not None:
            warn("textures of materials are left out")
        color = _color(material)
        file = name.partition("?")[0].partition("#")[0]
        kind = MESHES.get(extension(file)) or media_type_of(file)
        fields = {"blob": contents, "media_type": kind, "albedo_factor": color}
        yield path, _make("Asset3D", **{field: value for field, value in fields.items() if value is not None})


def _solid(shape: Any) -> tuple[str, dict[str, Any]]:
    if shape.tag == "box":
        return "Boxes3D", {"half_sizes": [[side / 2 for side in numbers(shape.get("size"), 3)]]}
    (radius,) = numbers(shape.get("radius"), 1)
    if shape.tag == "sphere":
        return "Ellipsoids3D", {"half_sizes": [[radius] * 3]}
    (length,) = numbers(shape.get("length"), 1)
    return ("Cylinders3D" if shape.tag == "cylinder" else "Capsules3D"), {"lengths": [length], "radii": [radius]}


def _color(material: Any) -> tuple[int, ...] | None:
    """Colour of a material, from linear to sRGB, as exact as one that was multiplied by its alpha is; None: it has none."""
    import numpy as np

    found = material.find("color") if material is not None else None
    if found is None:
        return None
    *channels, part = numbers(found.get("rgba"), 4)
    part = min(max(part, 0.0), 1.0)
    alpha = int(part * 255 + 0.5)
    if not alpha:
        return (0, 0, 0, 0)
    multiplied = (int(np.float32(_srgb(channel)) * np.float32(part) + np.float32(0.5)) for channel in channels)
    return (*(min(int(one * 255 / alpha + 0.5), 255) for one in multiplied), alpha)


def _srgb(linear: float) -> int:
    if linear <= 0.0:
        return 0
    if linear <= 0.0031308:
        return int(3294.6 * linear + 0.5)
    return int(269.025 * linear ** (1 / 2.4) - 14.025 + 0.5) if linear <= 1.0 else 255


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
