"""Methods that single archetypes have besides those of their fields, and constants of their classes. The table names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.convert.buffers import as_numpy
from shmrerun.model.tables.constants import VIEW_CONSTANTS
from shmrerun.model.values.factory import component_class

if TYPE_CHECKING:
    from typing import Any


@classmethod  # type: ignore[misc]
def flat(cls: Any) -> Any:
    """Return a Clear of the entity alone."""
    return cls(recursive=False)


@classmethod  # type: ignore[misc]
def recursive(cls: Any) -> Any:
    """Return a Clear of the entity and all below it."""
    return cls(recursive=True)


def _video_columns(cls: Any, values: Any, nanos: int) -> Any:
    import numpy as np

    return cls.columns(timestamp=as_numpy(values).astype(np.int64) * nanos)


@classmethod  # type: ignore[misc]
def columns_secs(cls: Any, seconds: Any) -> Any:
    """Make columns of whole seconds; fractions are lost."""
    return _video_columns(cls, seconds, 10**9)


@classmethod  # type: ignore[misc]
def columns_millis(cls: Any, milliseconds: Any) -> Any:
    """Make columns of whole milliseconds; fractions are lost."""
    return _video_columns(cls, milliseconds, 10**6)


@classmethod  # type: ignore[misc]
def columns_nanos(cls: Any, nanoseconds: Any) -> Any:
    """Make columns of whole nanoseconds; fractions are lost."""
    return _video_columns(cls, nanoseconds, 1)


def view_constants(cls: Any) -> None:
    """Give the archetype ViewCoordinates the constants of the component of that name."""
    component = component_class("ViewCoordinates")
    for name in VIEW_CONSTANTS:
        setattr(cls, name, getattr(component, name))
