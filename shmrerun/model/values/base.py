"""What values of components have in common.

A value knows its converter (by name) and gives its *parts* at once, so that constructors need not look at it twice.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, ClassVar

from shmrerun.errors import report
from shmrerun.model.batches import ComponentMixin, FieldBatch
from shmrerun.model.convert.buffers import as_numpy
from shmrerun.model.convert.converters import blobs, one_blob
from shmrerun.model.convert.finder import converter, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

    import pyarrow as pa
    from numpy.typing import NDArray

    from shmrerun.model.parts import Column

    Parts = tuple[Any, ...]

TYPECODES = {
    "vec2": "f", "vec3": "f", "vec4": "f", "quaternion": "f", "mat3": "f", "mat4": "f", "dvec2": "d", "range64": "d",
    "uvec2": "I", "uvec3": "I", "uvec4": "I", "ivec3": "i", "uuid": "B",
}  # fmt: skip


class Value:
    """One value: compared, hashed and printed by its fields."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()
    _converter: ClassVar[str] = ""

    def _key(self) -> tuple[Any, ...]:
        values = [getattr(self, name) for name in self._fields]
        return tuple(value.tobytes() if hasattr(value, "tobytes") else value for value in values)

    def _parts(self) -> Parts:
        """Parts of a column that holds this value."""
        return converter(self._converter).convert([self])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value) or other._fields != self._fields:
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({shown})"


class Lazy:
    """Attribute of a class that is looked up when it is first asked for."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __get__(self, instance: object, owner: Any) -> Any:
        return self._make(owner)


class Component(ComponentMixin):
    """What a value of a component can do: give its Arrow array and the names of its types."""

    __slots__ = ()
    _converter: ClassVar[str]


def _arrow_type(batch: type[ComponentBatch]) -> pa.DataType:
    from shmrerun.model.arrow_types import parse_type

    return parse_type(batch._own_column.arrow)


class FloatValue(Value):
    """A number; ``float(value)`` gives it back."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = float(value)

    def __float__(self) -> float:
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self._value, dtype=dtype)


class IntValue(Value):
    """A whole number; ``int(value)`` gives it back."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = int(value)

    def __int__(self) -> int:
        return self._value

    def __index__(self) -> int:
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self._value, dtype=dtype)


class BoolValue(Value):
    """A truth value."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = bool(value)

    def __bool__(self) -> bool:
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self._value, dtype=dtype)


class VectorValue(Value):
    """Some numbers, as ``numpy.asarray(value)`` gives them back."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        code = TYPECODES[self._converter]
        if isinstance(value, bytes):  # of an id
            value = list(value)
        if type(value) is list or type(value) is tuple:
            try:
                self._value: Any = array(code, value)
            except (TypeError, OverflowError):
                pass  # nested or no numbers: NumPy takes it or says what is wrong
            else:
                return
        import numpy as np

        self._value = np.ascontiguousarray(as_numpy(value, np.dtype(code)))

    def _parts(self) -> Parts:
        found = converter(self._converter)
        value = self._value
        if len(value) != found.width:
            return found.convert(self._numbers())
        return 1, None, found.width, None, value

    def _numbers(self) -> NDArray[Any]:
        import numpy as np

        return np.asarray(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[float]:
        return iter(self._value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self._value, dtype=dtype)


class TextValue(str):
    """A text: a str with a ``value``, for those who look for one."""

    __slots__ = ()
    _converter: ClassVar[str] = "text"
    _fields: ClassVar[tuple[str, ...]] = ("value",)

    def __new__(cls, value: Any = "") -> TextValue:
        return super().__new__(cls, str(value))

    @property
    def value(self) -> str:
        """The text."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._fields[0]}={str(self)!r})"


class BlobValue(Value):
    """Some bytes; given as an array of uint8."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = bytes(one_blob(value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.frombuffer(self._value, np.uint8).astype(np.uint8 if dtype is None else dtype)

    def _parts(self) -> Parts:
        return blobs(self._value)


class AnyValue(Value):
    """Something that is converted only when it is asked for: strips, maps, coefficients."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self._value, dtype=dtype)


class ComponentBatch(FieldBatch):
    """Values of one component, made of what its fields take.

    Parameters
    ----------
    data
        None: no values.
    strict : bool, optional
        Whether an error is raised; else it is a warning and the batch is empty. Default: the process's strict mode.
    """

    __slots__ = ()
    _own_column: ClassVar[Column]
    _own_converter: ClassVar[str]
    _COMPONENT_TYPE: ClassVar[str]  # batches of encodings have none
    _ARROW_DATATYPE: ClassVar[pa.DataType] = Lazy(_arrow_type)

    def __init__(self, data: Any, strict: bool | None = None) -> None:
        super().__init__(self._own_column, self._convert(data, strict))

    def component_type(self) -> str | None:
        """Return the full name of the component type; that of a class derived from this one counts."""
        return getattr(self, "_COMPONENT_TYPE", None)

    @classmethod
    def _converter(cls, data: Any) -> Self | None:
        """Return a batch, or None for None. For code that converts with Rerun's classes by itself."""
        return None if data is None else cls(data)

    @classmethod
    def _convert(cls, data: Any, strict: bool | None = None) -> Parts:
        found = converter(cls._own_converter)
        if data is None:
            return found.empty
        try:
            return take(found, cls._own_column.arrow, data)
        except Exception as error:
            report(cls.__name__, error, strict)
            return found.empty

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.as_arrow_array(),)
