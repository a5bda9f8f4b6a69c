"""The archetypes as data: all rows by name."""

from __future__ import annotations

from shmrerun.model.tables import data, spatial
from shmrerun.model.tables.spec import Field, Row

__all__ = ["ROWS", "Field", "Row"]

ROWS: dict[str, Row] = dict(sorted({**data.ROWS, **spatial.ROWS}.items()))
