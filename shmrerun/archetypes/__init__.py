"""Archetypes: the things that can be logged. Each class is made at first access from its row in ``_table``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables.archetypes import ROWS

if TYPE_CHECKING:
    from typing import Any

_OTHERS = {"Archetype": "archetype", "Box2DFormat": "convert.rules"}  # where they stand

__all__ = sorted([*ROWS, *_OTHERS])  # noqa: PLE0605  the table is the list


def __getattr__(name: str) -> Any:
    if name in ROWS:
        from shmrerun.model.archetype import make_class

        return globals().setdefault(name, make_class(name))  # two threads: both get the first one
    if name in _OTHERS:
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(f"shmrerun.model.{_OTHERS[name]}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
