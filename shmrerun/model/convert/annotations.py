"""Annotation contexts: what users give as classes and keypoints, as plain tuples and as parts.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING

from shmrerun.model.convert.buffers import ZERO_OFFSET, offsets_of, pack_offsets
from shmrerun.model.convert.colors import packed_color
from shmrerun.model.convert.converters import EMPTY, EMPTY_TEXT, Converter, texts
from shmrerun.model.convert.structs import shorts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Parts = tuple[Any, ...]
    Info = tuple[int, str | None, int | None]  # id, label, packed colour
    Description = tuple[Info, list[Info], list[tuple[int, int]]]  # of the class, of its keypoints, their connections


def info(value: Any) -> Info:
    """Return id, label and colour of an object with these attributes, of an id, or of a tuple of the three."""
    given: tuple[Any, ...]
    if hasattr(value, "label") and hasattr(value, "id"):
        given = (value.id, value.label, value.color)
    else:
        given = (value,) if isinstance(value, int | str) else tuple(value)
    number, label, color = given + (None,) * (3 - len(given))
    return int(number), None if label is None else str(label), None if color is None else packed_color(color)


def _connection(value: Any) -> tuple[int, int]:
    first, second = (value.keypoint0, value.keypoint1) if hasattr(value, "keypoint0") else value
    return int(first), int(second)


def element(value: Any) -> tuple[int, Description]:
    """Return id and description of a class: of a map element, of a description, or of what :func:`info` takes."""
    number = None
    if hasattr(value, "class_description"):
        number, value = int(value.class_id), value.class_description
    if hasattr(value, "keypoint_annotations"):
        keypoints = [info(item) for item in value.keypoint_annotations or ()]
        made = (info(value.info), keypoints, [_connection(pair) for pair in value.keypoint_connections or ()])
    else:
        made = (info(value), [], [])
    return made[0][0] if number is None else number, made


def _infos(infos: Sequence[Info]) -> Parts:
    """Parts of a column of AnnotationInfo."""
    ids = shorts([number for number, _, _ in infos])
    labels = [label for _, label, _ in infos]
    colors = [color for _, _, color in infos]
    raw = texts([label or "" for label in labels])
    return (
        len(infos), None,
        len(infos), None, ids,
        raw[0], _valid(labels), *raw[2:],
        len(infos), _valid(colors), array("I", [color or 0 for color in colors]),
    )  # fmt: skip


def _valid(values: Sequence[Any]) -> bytes | None:
    if all(value is not None for value in values):
        return None
    bits = sum(1 << at for at, value in enumerate(values) if value is not None)
    return bits.to_bytes((len(values) + 7) // 8, "little")


def _descriptions(items: Sequence[Description]) -> Parts:
    """Parts of a column of ClassDescription."""
    keypoints = [infos for _, infos, _ in items]
    lines = [pairs for _, _, pairs in items]
    ends = [*chain.from_iterable(lines)]
    first, second = shorts([end[0] for end in ends]), shorts([end[1] for end in ends])
    return (
        len(items), None,
        *_infos([one for one, _, _ in items]),
        len(items), None, offsets_of([len(infos) for infos in keypoints]), *_infos([*chain.from_iterable(keypoints)]),
        len(items), None, offsets_of([len(line) for line in lines]),
        len(ends), None, len(ends), None, first, len(ends), None, second,
    )  # fmt: skip


def annotation_contexts(value: Any) -> Parts:
    """Convert one annotation context: a description, or an iterable of ids, tuples, infos, descriptions, elements."""
    if hasattr(value, "class_map"):
        value = value.class_map
    if hasattr(value, "keypoint_annotations"):
        value = [value]
    elif isinstance(value, list | tuple) and len(value) == 1 and hasattr(value[0], "class_map"):
        value = value[0].class_map
    elements = [element(item) for item in value]
    return (
        1, None, pack_offsets(0, len(elements)),
        len(elements), None,
        len(elements), None, shorts([number for number, _ in elements]),
        *_descriptions([description for _, description in elements]),
    )  # fmt: skip


_INFO_EMPTY: Parts = (0, None, *EMPTY, *EMPTY_TEXT, *EMPTY)
_CONTEXTS_EMPTY: Parts = (
    0, None, ZERO_OFFSET,
    0, None, *EMPTY,
    0, None, *_INFO_EMPTY, 0, None, ZERO_OFFSET, *_INFO_EMPTY, 0, None, ZERO_OFFSET, 0, None, *EMPTY, *EMPTY,
)  # fmt: skip


def make() -> Converter:
    """Make the converter of annotation contexts."""
    return Converter(annotation_contexts, _CONTEXTS_EMPTY, 0, {list: annotation_contexts})
