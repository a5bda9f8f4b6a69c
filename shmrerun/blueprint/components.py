"""Single values of the components that only blueprints have, their batches and enums; see :mod:`shmrerun.components`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables.blueprint_types import COMPONENTS
from shmrerun.model.values import likes
from shmrerun.model.values.factory import BLUEPRINT_LIKES, batch_class, component_class

if TYPE_CHECKING:
    from typing import Any

__all__ = sorted(  # noqa: PLE0605  the table is the list
    [*COMPONENTS, *(f"{name}Batch" for name in COMPONENTS), *likes.names_of(BLUEPRINT_LIKES)]
)


def __getattr__(name: str) -> Any:
    plain = name.removesuffix("Batch")
    if name in COMPONENTS:
        found = component_class(name)
    elif plain != name and plain in COMPONENTS:
        found = batch_class(plain)
    else:
        found = likes.alias(name, BLUEPRINT_LIKES, component_class)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
