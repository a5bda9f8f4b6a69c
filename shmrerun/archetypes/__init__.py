"""Archetypes: the things that can be logged. Each class is made at first access from its entry in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables.archetypes import ARCHETYPES

if TYPE_CHECKING:
    from typing import Any

_OTHERS = {"Archetype": "archetype", "Box2DFormat": "convert.arguments"}  # where they stand

__all__ = sorted([*ARCHETYPES, *_OTHERS])  # noqa: PLE0605  the table is the list


def __getattr__(name: str) -> Any:
    if name in ARCHETYPES:
        from shmrerun.model.archetype import archetype_class

        return globals().setdefault(name, archetype_class(name))
    if name in _OTHERS:
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(f"shmrerun.model.{_OTHERS[name]}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
