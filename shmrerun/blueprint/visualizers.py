"""Visualizers, by the name of the module that has them in Rerun."""

from __future__ import annotations

from shmrerun.model.visualizers import VisualizableArchetype, Visualizer

__all__ = [
    "VisualizableArchetype",
    "Visualizer",
]
