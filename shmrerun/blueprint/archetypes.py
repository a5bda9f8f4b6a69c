"""Archetypes that only blueprints have: properties of views, panels, containers. Made at first access from their entries in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables.archetypes import BLUEPRINT

if TYPE_CHECKING:
    from typing import Any

__all__ = sorted(BLUEPRINT)  # noqa: PLE0605  the table is the list


def __getattr__(name: str) -> Any:
    if name in BLUEPRINT:
        from shmrerun.model.archetype import archetype_class

        return globals().setdefault(name, archetype_class(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
