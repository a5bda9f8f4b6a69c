"""Types of values that only blueprints have, and their batches; see :mod:`shmrerun.encodings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables.blueprint_types import ENCODED_ENUMS, ENCODINGS
from shmrerun.model.values import likes
from shmrerun.model.values.factory import batch_class, encoding_class

if TYPE_CHECKING:
    from typing import Any

_NAMES = frozenset((*ENCODINGS, *ENCODED_ENUMS))
__all__ = sorted([*_NAMES, *(f"{name}Batch" for name in _NAMES), *likes.names_of(_NAMES)])  # noqa: PLE0605  the table is the list


def __getattr__(name: str) -> Any:
    plain = name.removesuffix("Batch")
    if name in _NAMES:
        found = encoding_class(name)
    elif plain != name and plain in _NAMES:
        found = batch_class(plain, encoding=True)
    else:
        found = likes.alias(name, _NAMES, encoding_class)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
