"""Archetypes of tables, by the name of the module that has them in Rerun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.blueprint import archetypes

if TYPE_CHECKING:
    from typing import Any

__all__ = ["CardLayout", "PreviewsConfig", "TableBlueprint", "TableColumn", "TableColumnPreview", "TableLayout"]  # noqa: F822  looked up below


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(archetypes, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
