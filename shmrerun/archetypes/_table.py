"""The archetypes as data: all rows by name."""

from __future__ import annotations

from shmrerun.archetypes import _rows_data, _rows_spatial
from shmrerun.archetypes._row import Field, Row

__all__ = ["ROWS", "Field", "Row"]

ROWS: dict[str, Row] = dict(sorted({**_rows_data.ROWS, **_rows_spatial.ROWS}.items()))
