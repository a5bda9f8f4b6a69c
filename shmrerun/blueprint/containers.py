"""The containers, by the name of the module that has them in Rerun."""

from __future__ import annotations

from shmrerun.blueprint.layout import Grid, Horizontal, Tabs, Vertical

__all__ = [
    "Grid",
    "Horizontal",
    "Tabs",
    "Vertical",
]
