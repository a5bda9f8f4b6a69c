"""The archetypes as data: all entries by name."""

from __future__ import annotations

from shmrerun.model.tables import data, spatial
from shmrerun.model.tables.spec import ArchetypeSpec, Field, Parameter, Step

__all__ = ["ARCHETYPES", "ArchetypeSpec", "Field", "Parameter", "Step"]

ARCHETYPES: dict[str, ArchetypeSpec] = dict(sorted({**data.ARCHETYPES, **spatial.ARCHETYPES}.items()))
