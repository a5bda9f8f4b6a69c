"""Robots of URDF files in hand: to be logged, and moved joint by joint.

Source: names and behaviour of ``rerun.urdf`` of rerun-sdk 0.41.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shmrerun import errors
from shmrerun.archetypes import Transform3D
from shmrerun.importers.urdf import TRANSFORMS, RobotRows, columns_of
from shmrerun.importers.urdf_joint import JointSpec, read_joint
from shmrerun.importers.urdf_robot import read_robot, walk
from shmrerun.model import entity_paths
from shmrerun.recording_stream import get_data_recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from shmrerun.chunk import Chunk, LazyChunkStream
    from shmrerun.model.batches import ComponentColumnList
    from shmrerun.recording_stream import RecordingStream

__all__ = ["UrdfJoint", "UrdfLink", "UrdfMimic", "UrdfTree"]


class UrdfMimic:
    """How a joint follows another one: ``multiplier * value + offset``."""

    def __init__(self, inner: Any) -> None:
        self._joint, self._multiplier, self._offset = inner

    @property
    def joint(self) -> str:
        """Name of the joint that is followed."""
        return str(self._joint)

    @property
    def multiplier(self) -> float:
        """Factor; 1 where the file says nothing."""
        return float(self._multiplier)

    @property
    def offset(self) -> float:
        """What is added, in radians or metres; 0 where the file says nothing."""
        return float(self._offset)

    def __repr__(self) -> str:
        return f'UrdfMimic(joint="{self.joint}", multiplier={self.multiplier:g}, offset={self.offset:g})'


class UrdfJoint:
    """A joint: what the file says of it, and the transform that it makes at a value. Only a :class:`UrdfTree` makes them."""

    def __init__(self, inner: Any) -> None:
        self._inner: JointSpec = inner

    @property
    def name(self) -> str:
        """Name of the joint."""
        return self._inner.name

    @property
    def joint_type(self) -> str:
        """``revolute``, ``continuous``, ``prismatic``, ``fixed``, ``floating``, ``planar`` or ``spherical``."""
        return self._inner.kind

    @property
    def parent_link(self) -> str:
        """Name of the link that it hangs on, without the prefix of frames."""
        return self._inner.parent

    @property
    def child_link(self) -> str:
        """Name of the link that it moves, without the prefix of frames."""
        return self._inner.child

    @property
    def axis(self) -> tuple[float, float, float]:
        """Axis that it turns about or moves along, as the file has it; (1, 0, 0) where that says nothing."""
        return self._inner.axis

    @property
    def origin_xyz(self) -> tuple[float, float, float]:
        """Where it is in its parent, in metres."""
        return self._inner.xyz

    @property
    def origin_rpy(self) -> tuple[float, float, float]:
        """How it is turned in its parent: roll, pitch and yaw in radians."""
        return self._inner.rpy

    @property
    def limit_lower(self) -> float:
        """Least value, in radians or metres; 0 where the file says nothing, as for the other limits."""
        return self._inner.limits[0]

    @property
    def limit_upper(self) -> float:
        """Greatest value, in radians or metres."""
        return self._inner.limits[1]

    @property
    def limit_effort(self) -> float:
        """Greatest force, in newtons or newton metres."""
        return self._inner.limits[2]

    @property
    def limit_velocity(self) -> float:
        """Greatest speed, in radians or metres a second."""
        return self._inner.limits[3]

    @property
    def mimic(self) -> UrdfMimic | None:
        """The joint that this one follows; None: it moves by itself."""
        return None if self._inner.mimic is None else UrdfMimic(self._inner.mimic)

    def compute_transform(self, value: float, clamp: bool = True) -> Transform3D:
        """Make the transform from parent to child at a value, ready to be logged.

        Parameters
        ----------
        value
            Angle in radians, or distance in metres; a fixed joint has none, and ignores it.
        clamp
            Whether a value outside the limits is moved to the nearest one, with a UserWarning. A continuous joint has no limits.

        Returns
        -------
        Transform3D
            Translation, quaternion and both frames. The axis is taken as it is: one that is not of length 1 gives a quaternion that is not.

        Raises
        ------
        NotImplementedError
            The joint is floating, planar or spherical.
        TypeError
            The value is no number.

        """
        translation, quaternion = self._at(value, clamp)
        return Transform3D.from_fields(
            translation=translation, quaternion=quaternion, parent_frame=self._inner.parent_frame, child_frame=self._inner.child_frame
        )

    def compute_transform_columns(self, values: Sequence[float], *, clamp: bool = True) -> ComponentColumnList:
        """Make the transforms at many values, for :func:`shmrerun.send_columns`; see :meth:`compute_transform`."""
        poses = [self._at(value, clamp) for value in values]
        return Transform3D.columns(
            translation=[pose[0] for pose in poses],
            quaternion=[pose[1] for pose in poses],
            parent_frame=[self._inner.parent_frame] * len(poses),
            child_frame=[self._inner.child_frame] * len(poses),
        )

    def _at(self, value: float, clamp: bool) -> tuple[list[float], list[float]]:
        if clamp:
            value, warning = self._inner.clamped(value)
            if warning:
                errors._emit(warning, UserWarning)
        return self._inner.pose(value)

    def __repr__(self) -> str:
        joint = self._inner
        return f'UrdfJoint(name="{joint.name}", type={joint.kind}, parent="{joint.parent}", child="{joint.child}")'


class UrdfLink:
    """A link of a robot. Only a :class:`UrdfTree` makes them."""

    def __init__(self, inner: Any) -> None:
        self._name = str(inner)

    @property
    def name(self) -> str:
        """Name of the link, without the prefix of frames."""
        return self._name

    def __repr__(self) -> str:
        return f'UrdfLink(name="{self._name}")'


class UrdfTree:
    """A robot: its links, and the joints between them. Made by :meth:`from_file_path`; it does not change, and can be used in any thread.

    :meth:`log_urdf_to_recording` logs it as it is built; then log :meth:`UrdfJoint.compute_transform` of each joint that moves.
    """

    def __init__(self, inner: Any) -> None:
        self._rows: RobotRows = inner[0]
        self._transforms_path: str = inner[1]
        self._frame_prefix: str | None = inner[2]
        self._joints = [UrdfJoint(read_joint(joint, self._rows.frames)) for joint in self._rows.robot.joints]

    @staticmethod
    def from_file_path(
        path: str | os.PathLike[str],
        entity_path_prefix: str | None = None,
        *,
        frame_prefix: str | None = None,
        static_transform_entity_path: str | None = None,
    ) -> UrdfTree:
        """Read a file.

        Parameters
        ----------
        path
            Of the file; meshes are looked for from its directory on, and in ROS packages.
        entity_path_prefix
            A part that is put before the entity paths of the robot; slashes in it are part of its name.
        frame_prefix
            What the names of all frames begin with, so that a robot can be there twice.
        static_transform_entity_path
            Where the transforms of the robot as it is built go; default: ``/tf_static``. No prefix is put before it.

        Raises
        ------
        RuntimeError
            There is no such file, or it is no robot, or damaged.
        TypeError
            An argument is no text.

        """
        path = os.fspath(path)
        given = {
            "path": path,
            "entity_path_prefix": entity_path_prefix,
            "frame_prefix": frame_prefix,
            "static_transform_entity_path": static_transform_entity_path,
        }
        for name, value in given.items():
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a str, got {type(value).__name__}")
        prefix = entity_paths.canonical([entity_path_prefix]) if entity_path_prefix else ""
        try:
            with open(path, "rb") as file:
                robot = read_robot(file.read(), os.path.dirname(path))
            list(walk(robot))
            rows = RobotRows(robot, prefix, frame_prefix or "")
            transforms = TRANSFORMS if static_transform_entity_path is None else entity_paths.canonical(static_transform_entity_path)
            return UrdfTree((rows, transforms, frame_prefix))
        except (OSError, ValueError) as error:
            raise RuntimeError(f"cannot load the URDF file: {error}: {path}") from None

    @property
    def name(self) -> str:
        """Name of the robot."""
        return self._rows.robot.name

    @property
    def frame_prefix(self) -> str | None:
        """What the names of all frames begin with."""
        return self._frame_prefix

    def root_link(self) -> UrdfLink:
        """Return the link that no joint leads to."""
        return UrdfLink(self._rows.robot.root)

    def joints(self) -> list[UrdfJoint]:
        """Return all joints, in the order of the file."""
        return list(self._joints)

    def get_joint_by_name(self, joint_name: str) -> UrdfJoint | None:
        """Return the joint of a name; None: there is none."""
        return next((joint for joint in self._joints if joint.name == joint_name), None)

    def get_joint_child(self, joint: UrdfJoint) -> UrdfLink:
        """Return the link that a joint moves."""
        return UrdfLink(joint.child_link)

    def get_link_by_name(self, link_name: str) -> UrdfLink | None:
        """Return the link of a name; None: there is none."""
        return UrdfLink(link_name) if link_name in self._rows.robot.links else None

    def get_visual_geometry_paths(self, link: str | UrdfLink) -> list[str]:
        """Return the entity paths of a link's visuals; of an unknown one, none."""
        return self._paths(self._rows.visuals, link)

    def get_collision_geometry_paths(self, link: str | UrdfLink) -> list[str]:
        """Return the entity paths of a link's collisions; of an unknown one, none."""
        return self._paths(self._rows.collisions, link)

    def _paths(self, parts: Any, link: str | UrdfLink) -> list[str]:
        found = self._rows.robot.links.get(link if isinstance(link, str) else link.name)
        return [] if found is None else [path for path, _ in parts(found)]

    def log_urdf_to_recording(self, recording: RecordingStream | None = None) -> None:
        """Log the robot as it is built, as static data. Meshes that cannot be read are left out, with a line on stderr.

        Parameters
        ----------
        recording
            Where; None: the active recording, if there is one.

        Raises
        ------
        ValueError
            A shape of the robot is damaged; what comes before it is logged.

        """
        found = get_data_recording(recording)
        if found is None:
            return
        for path, entity in self._rows.geometries(errors.say):
            found.log(path, entity, static=True)
        for transform in self._rows.transforms():
            found.log(self._transforms_path, transform, static=True)

    def stream(self, *, include_joint_transforms: bool = True) -> LazyChunkStream:
        """Return the chunks that :meth:`log_urdf_to_recording` would log, those of the joints' transforms if asked for."""
        from shmrerun.chunk import Chunk, LazyChunkStream

        def chunks() -> Iterator[Chunk]:
            for path, entity in self._rows.geometries(errors.say):
                yield Chunk.from_columns(path, [], columns_of([entity]))
            if include_joint_transforms and self._joints:
                yield Chunk.from_columns(self._transforms_path, [], columns_of(list(self._rows.transforms())))

        return LazyChunkStream(chunks)

    def compute_joint_transform_batches(self, names: pa.Array, values: pa.Array, *, clamp: bool = False) -> pa.Array:
        """Make the transforms of joints that are named in one column, at values in another one.

        Parameters
        ----------
        names
            ``list<utf8>``: names of joints, for each row.
        values
            Lists of as many numbers, or of what can be cast to ``float64``.
        clamp
            See :meth:`UrdfJoint.compute_transform`.

        Returns
        -------
        pyarrow.Array
            A list for each row, of structs of ``translation``, ``quaternion``, ``parent_frame`` and ``child_frame``.

        Raises
        ------
        ValueError
            Lists of different lengths, nulls, other types, or a joint that is not there.
        TypeError
            No Arrow arrays.
        NotImplementedError
            A joint is floating, planar or spherical.

        """
        from shmrerun.importers.urdf_joint import transform_batches

        def at(name: str, value: float) -> tuple[Any, ...]:
            joint = self.get_joint_by_name(name)
            if joint is None:
                raise ValueError(f"the robot {self.name!r} has no joint {name!r}")
            return (*joint._at(value, clamp), joint._inner.parent_frame, joint._inner.child_frame)

        return transform_batches(names, values, at)

    def __repr__(self) -> str:
        return f'UrdfTree(name="{self.name}")'
