"""Encodings: the types that components are made of (``Vec3D``, ``Quaternion``, ``Rgba32``), and their batches.

Classes are made at first access; see :mod:`shmrerun.components`. :mod:`shmrerun.datatypes` is the older name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.components import _likes, batch_class, encoding_class
from shmrerun.components._table import ENCODED_ENUMS, ENCODINGS

if TYPE_CHECKING:
    from typing import Any

_NAMES = frozenset((*ENCODINGS, *ENCODED_ENUMS))
__all__ = sorted([*_NAMES, *(f"{name}Batch" for name in _NAMES), *_likes.names_of(_NAMES)])  # noqa: PLE0605  the table is the list


def __getattr__(name: str) -> Any:
    plain = name.removesuffix("Batch")
    if name in _NAMES:
        found = encoding_class(name)
    elif plain != name and plain in _NAMES:
        found = batch_class(plain, encoding=True)
    else:
        found = _likes.alias(name, _NAMES, encoding_class)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
