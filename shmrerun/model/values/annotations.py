"""Values that are records: annotations of classes, pairs of texts, selections of dimensions, counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.batches import FieldBatch
from shmrerun.model.convert.finder import columns_of, converter
from shmrerun.model.convert.structs import pair_of
from shmrerun.model.values import generic
from shmrerun.model.values.base import Value
from shmrerun.model.values.media import Rgba32

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class AnnotationInfo(Value):
    """Label and colour of an id.

    Parameters
    ----------
    id : int, uint16
        Number of a class or keypoint.
    label : str, optional
        Text that is shown.
    color : int 0xRRGGBBAA, or array-like of shape (3,) or (4,), uint8 or float of 0 to 1, optional
        The colour.
    """

    __slots__ = ("color", "id", "label")
    _fields = ("id", "label", "color")
    _converter = "annotation_info"

    def __init__(self, id: Any, label: str | None = None, color: Any = None) -> None:  # noqa: A002  Rerun's name
        self.id = int(id)
        self.label = None if label is None else str(label)
        self.color = None if color is None else Rgba32(color)


class KeypointPair(Value):
    """Two keypoints that a line connects.

    Parameters
    ----------
    keypoint0, keypoint1 : int, uint16
        Their numbers.
    """

    __slots__ = ("keypoint0", "keypoint1")
    _fields = ("keypoint0", "keypoint1")
    _converter = "keypoint_pair"

    def __init__(self, keypoint0: Any, keypoint1: Any) -> None:
        self.keypoint0 = int(keypoint0)
        self.keypoint1 = int(keypoint1)


def info_of(value: Any) -> AnnotationInfo:
    """Return an AnnotationInfo of one, of an id, or of a tuple (id, label, color)."""
    if isinstance(value, AnnotationInfo):
        return value
    return AnnotationInfo(value) if isinstance(value, int | str) else AnnotationInfo(*value)


class ClassDescription(Value):
    """How the things of one class are shown, their keypoints and the lines between those included.

    Parameters
    ----------
    info : AnnotationInfo, int or tuple
        The class's id, label and colour.
    keypoint_annotations : sequence of the same, optional
        Those of its keypoints.
    keypoint_connections : sequence of KeypointPair or pairs of ints, optional
        Which keypoints are connected.
    """

    __slots__ = ("info", "keypoint_annotations", "keypoint_connections")
    _fields = ("info", "keypoint_annotations", "keypoint_connections")
    _converter = "class_description"

    def __init__(
        self,
        *,
        info: Any,
        keypoint_annotations: Iterable[Any] | None = (),
        keypoint_connections: Iterable[Any] | None = (),
    ) -> None:
        self.info = info_of(info)
        self.keypoint_annotations = [info_of(item) for item in keypoint_annotations or ()]
        self.keypoint_connections = [item if isinstance(item, KeypointPair) else KeypointPair(*item) for item in keypoint_connections or ()]

    def _key(self) -> tuple[Any, ...]:
        return self.info, tuple(self.keypoint_annotations), tuple(self.keypoint_connections)

    def as_component_batches(self) -> Any:
        """Return the batches of an annotation context with this class alone."""
        return [FieldBatch(columns_of("AnnotationContext")[0], converter("annotations").convert(self)).described()]


class ClassDescriptionMapElem(Value):
    """A class id with its description.

    Parameters
    ----------
    class_id : int, uint16
        Number of the class.
    class_description : ClassDescription
        How it is shown.
    """

    __slots__ = ("class_description", "class_id")
    _fields = ("class_id", "class_description")
    _converter = "class_element"

    def __init__(self, class_id: Any, class_description: ClassDescription) -> None:
        self.class_id = int(class_id)
        self.class_description = class_description


def element_of(value: Any) -> ClassDescriptionMapElem:
    """Return a map element of one, of a description, or of what makes an AnnotationInfo."""
    if isinstance(value, ClassDescriptionMapElem):
        return value
    if not isinstance(value, ClassDescription):
        value = ClassDescription(info=value)
    return ClassDescriptionMapElem(value.info.id, value)


class AnnotationContext:
    """The descriptions of all classes.

    Parameters
    ----------
    class_map : sequence of ClassDescription, AnnotationInfo, tuple (id, label, color) or int
        The classes.
    """

    __slots__ = ()

    def __init__(self, class_map: Any) -> None:
        super().__init__([element_of(item) for item in class_map])  # type: ignore[call-arg]


class Utf8Pair(Value):
    """Two texts.

    Parameters
    ----------
    first, second : str
        The texts.
    """

    __slots__ = ("first", "second")
    _fields = ("first", "second")
    _converter = "pair"

    def __init__(self, first: Any, second: Any) -> None:
        self.first = str(first)
        self.second = str(second)


class KeyValuePairs:
    """Keys with their values, both texts.

    Parameters
    ----------
    pairs : dict of str to str, or sequence of pairs of str
        The keys and values.
    """

    __slots__ = ()

    def __init__(self, pairs: Any) -> None:
        items = pairs.items() if isinstance(pairs, dict) else pairs
        super().__init__([Utf8Pair(*pair_of(item)) for item in items])  # type: ignore[call-arg]


class TensorDimensionIndexSelection(Value):
    """One index of one dimension of a tensor.

    Parameters
    ----------
    dimension : int, uint32
        Number of the dimension.
    index : int, uint64
        The index in it.
    """

    __slots__ = ("dimension", "index")
    _fields = ("dimension", "index")
    _converter = "index_selection"

    def __init__(self, dimension: int, index: int) -> None:
        self.dimension = int(dimension)
        self.index = int(index)


class TensorDimensionSelection(Value):
    """One dimension of a tensor, perhaps from its end.

    Parameters
    ----------
    dimension : int, uint32
        Number of the dimension.
    invert : bool, optional
        Whether it is shown from its end.
    """

    __slots__ = ("dimension", "invert")
    _fields = ("dimension", "invert")
    _converter = "selection"

    def __init__(self, dimension: int, *, invert: bool = False) -> None:
        self.dimension = int(dimension)
        self.invert = bool(invert)


class ChannelCountPair(Value):
    """A channel of an MCAP file and its number of messages.

    Parameters
    ----------
    channel_id : int, uint16
        Number of the channel.
    message_count : int, uint64
        How many messages it has.
    """

    __slots__ = ("channel_id", "message_count")
    _fields = ("channel_id", "message_count")
    _converter = "channel_count"

    def __init__(self, channel_id: Any, message_count: Any) -> None:
        self.channel_id = int(channel_id)
        self.message_count = int(message_count)


class Range2D(Value):
    """A range in the plane.

    Parameters
    ----------
    x_range, y_range : array-like of shape (2,), float64
        Lowest and highest value along each axis.
    """

    __slots__ = ("x_range", "y_range")
    _fields = ("x_range", "y_range")
    _converter = "range2"

    def __init__(self, x_range: Any, y_range: Any) -> None:
        kind = generic.encoding("Range1D")
        self.x_range = x_range if isinstance(x_range, kind) else kind(x_range)
        self.y_range = y_range if isinstance(y_range, kind) else kind(y_range)


class ClearIsRecursive:
    """Whether clearing an entity clears what is below it.

    Parameters
    ----------
    recursive : bool, optional
        Default True.
    """

    __slots__ = ()

    def __init__(self, recursive: bool = True) -> None:
        super().__init__(recursive)  # type: ignore[call-arg]


class GeoLineString:
    """A line on the map.

    Parameters
    ----------
    lat_lon : array-like of shape (n, 2), float64
        Latitude and longitude of each point in degrees, north and east positive.
    """

    __slots__ = ()

    def __init__(self, *, lat_lon: Any) -> None:
        super().__init__(lat_lon)  # type: ignore[call-arg]
