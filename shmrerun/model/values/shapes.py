"""Values of geometry: angles, rotations, matrices, planes, directions of axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shmrerun.errors import warn
from shmrerun.model.batches import FieldBatch, OwnRow
from shmrerun.model.convert.buffers import as_numpy, pack_f32
from shmrerun.model.convert.finder import columns_of
from shmrerun.model.convert.structs import view_codes
from shmrerun.model.parts import ColumnSet
from shmrerun.model.tables.constants import VIEW_CONSTANTS, VIEW_LETTERS
from shmrerun.model.values import generic
from shmrerun.model.values.base import Value, VectorValue
from shmrerun.model.values.enums import enum_class

if TYPE_CHECKING:
    from typing import Any, ClassVar, Self

    from numpy.typing import NDArray

    Parts = tuple[Any, ...]


class Angle(Value):
    """An angle in radians.

    Parameters
    ----------
    rad : float, optional
        Radians; wins over ``deg``.
    deg : float, optional
        Degrees.

    Raises
    ------
    ValueError
        Neither is given.
    """

    __slots__ = ("radians",)
    _fields = ("radians",)
    _converter = "float32"

    def __init__(self, rad: float | None = None, deg: float | None = None) -> None:
        if rad is None and deg is None:
            raise ValueError("Either `rad` or `deg` must be provided.")
        self.radians = float(rad) if rad is not None else math.radians(float(deg or 0.0))

    def __float__(self) -> float:
        return self.radians

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.radians, dtype=dtype)


class Quaternion(VectorValue):
    """A rotation as four float32 numbers, the real one last; it need not be normalised.

    Parameters
    ----------
    xyzw : array-like of shape (4,), float32
        The numbers.
    """

    __slots__ = ()
    _fields = ("xyzw",)
    _converter = "quaternion"

    def __init__(self, *, xyzw: Any) -> None:
        super().__init__(xyzw)

    @property
    def xyzw(self) -> NDArray[Any]:
        """The four numbers."""
        return self._numbers()

    @classmethod
    def identity(cls) -> Self:
        """Return the rotation that changes nothing."""
        return cls(xyzw=(0.0, 0.0, 0.0, 1.0))

    @classmethod
    def invalid(cls) -> Self:
        """Return four zeros, which are no rotation: what is transformed by it is not shown."""
        return cls(xyzw=(0.0, 0.0, 0.0, 0.0))


class RotationAxisAngle(Value):
    """A rotation about an axis.

    Parameters
    ----------
    axis : array-like of shape (3,)
        Direction; it need not be normalised.
    angle : float or Angle, optional
        Radians.
    radians, degrees : float, optional
        The angle.

    Raises
    ------
    ValueError
        Not exactly one of ``angle``, ``radians``, ``degrees`` is given.
    """

    __slots__ = ("angle", "axis")
    _fields = ("axis", "angle")
    _converter = "axis_angle"

    def __init__(self, axis: Any, angle: Any = None, *, radians: float | None = None, degrees: float | None = None) -> None:
        if (angle is not None) + (radians is not None) + (degrees is not None) != 1:
            raise ValueError("Must provide exactly one of angle, radians, or degrees")
        kind = generic.encoding("Vec3D")
        self.axis = axis if isinstance(axis, kind) else kind(axis)
        if isinstance(angle, Angle):
            self.angle = angle
        else:
            self.angle = Angle(rad=radians if angle is None else angle, deg=degrees)

    def _parts(self) -> Parts:
        axis = self.axis._value
        if len(axis) != 3:
            return super()._parts()
        return 1, None, 1, None, 3, None, axis, 1, None, pack_f32(self.angle.radians)


class _Matrix(VectorValue):
    """A square matrix, kept column after column.

    Parameters
    ----------
    rows : array-like of shape (n, n) or (n * n,), optional
        The matrix row after row, as one writes it.
    columns : array-like, optional
        The same column after column; wins over ``rows``.
    """

    __slots__ = ()
    _fields = ("flat_columns",)
    _size: ClassVar[int]

    def __init__(self, rows: Any = None, *, columns: Any = None) -> None:
        import numpy as np

        size = self._size
        if rows is not None and columns is not None:
            warn("Can't specify both columns and rows of matrix.")
        if columns is not None:
            flat = as_numpy(columns, np.float32).reshape(-1)
            if flat.size != size * size:
                flat.reshape(size, size)  # raises, and says what was wrong
        elif rows is None:
            warn("Need to specify either columns or rows of matrix.")
            flat = np.eye(size, dtype=np.float32).reshape(-1)
        elif isinstance(rows, _Matrix):
            flat = rows._numbers()
        else:
            flat = as_numpy(rows, np.float32).reshape(size, size).T.reshape(-1)
        super().__init__(flat)

    @property
    def flat_columns(self) -> NDArray[Any]:
        """The numbers, column after column."""
        return self._numbers()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self._numbers().reshape(self._size, self._size).T, dtype=dtype)


class Mat3x3(_Matrix):
    """A square matrix.

    Parameters
    ----------
    rows : array-like of shape (3, 3) or (9,), float32, optional
        The matrix row after row, as one writes it.
    columns : array-like of shape (3, 3) or (9,), float32, optional
        The same column after column; wins over ``rows``.
    """

    __slots__ = ()
    _converter = "mat3"
    _size = 3


class Mat4x4(_Matrix):
    """A square matrix.

    Parameters
    ----------
    rows : array-like of shape (4, 4) or (16,), float32, optional
        The matrix row after row, as one writes it.
    columns : array-like of shape (4, 4) or (16,), float32, optional
        The same column after column; wins over ``rows``.
    """

    __slots__ = ()
    _converter = "mat4"
    _size = 4


class Plane3D(VectorValue):
    """An infinite plane.

    Parameters
    ----------
    normal : array-like of shape (3,)
        Direction; not normalised here.
    distance : float, optional
        From the origin along the normal; default 0.
    """

    __slots__ = ()
    _fields = ("xyzd",)
    _converter = "vec4"
    XY: ClassVar[Plane3D]
    YZ: ClassVar[Plane3D]
    ZX: ClassVar[Plane3D]

    def __init__(self, normal: Any, distance: float | None = None) -> None:
        import numpy as np

        axis = as_numpy(normal, np.float32).reshape(-1)
        super().__init__(np.append(axis, np.float32(distance or 0.0)))

    @property
    def xyzd(self) -> NDArray[Any]:
        """Normal and distance."""
        return self._numbers()

    def normal(self) -> NDArray[Any]:
        """Return the direction, three numbers."""
        normal: NDArray[Any] = self._numbers()[:3]
        return normal

    def distance(self) -> Any:
        """Return the distance from the origin."""
        return self._numbers()[3]

    def with_distance(self, distance: float) -> Plane3D:
        """Return the plane of the same direction at another distance."""
        return Plane3D(self.normal(), distance)


def finish_plane(cls: Any) -> None:
    """Set the planes of the axes as constants of the class."""
    cls.YZ, cls.ZX, cls.XY = cls((1, 0, 0)), cls((0, 1, 0)), cls((0, 0, 1))


class Radius:
    """Adds the radius in points of the user interface."""

    __slots__ = ()

    @staticmethod
    def ui_points(radii: Any) -> Any:
        """Return radii in points of the user interface: as negative numbers, float32."""
        import numpy as np

        return -np.abs(as_numpy(radii, np.float32))


class Scale3D:
    """A scale along three axes.

    Parameters
    ----------
    uniform_or_per_axis : float, or array-like of shape (3,), float32, optional
        One factor for all axes, or each; default 1.
    """

    __slots__ = ()

    def __init__(self, uniform_or_per_axis: Any = True) -> None:
        value = uniform_or_per_axis
        if value is None:
            value = math.nan
        if not hasattr(value, "__len__") and not hasattr(value, "__array__"):
            value = (float(value),) * 3
        super().__init__(value)  # type: ignore[call-arg]


class ViewCoordinates(Value):
    """Directions of the x, y and z axis; constants such as ``RDF`` are values of it.

    Parameters
    ----------
    coordinates : sequence of three ViewDir, int (uint8) or str
        The directions.
    """

    __slots__ = ("coordinates",)
    _fields = ("coordinates",)
    _converter = "view"

    def __init__(self, coordinates: Any) -> None:
        self.coordinates = view_codes(coordinates)

    def _key(self) -> tuple[Any, ...]:
        return tuple(self.coordinates)

    def _parts(self) -> Parts:
        return 1, None, 3, None, bytes(self.coordinates)


def finish_view(cls: Any) -> None:
    """Set the constants of the component class, and the enum of its directions."""
    cls.ViewDir = enum_class("ViewDir")
    for name, letters in VIEW_CONSTANTS.items():
        setattr(cls, name, cls([VIEW_LETTERS[letter] for letter in letters]))


class LoggableView(OwnRow):
    """Makes a ``ViewCoordinates`` component something that can be logged itself."""

    __slots__ = ()
    ViewDir: ClassVar[Any]

    def _cells(self) -> Any:
        given: Any = self
        yield columns_of("ViewCoordinates")[0], given._parts()

    def _row(self) -> Any:
        ((column, parts),) = self._cells()
        return ColumnSet((column,)), parts

    def as_component_batches(self) -> Any:
        """Return the batches of the archetype that holds this value."""
        return [FieldBatch(column, parts).described() for column, parts in self._cells()]
