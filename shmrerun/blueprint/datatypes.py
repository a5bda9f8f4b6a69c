"""The older name of :mod:`shmrerun.blueprint.encodings`; every name there is one here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.blueprint import encodings
from shmrerun.blueprint.encodings import __all__ as __all__  # noqa: PLC0414  re-exported

if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    try:
        return getattr(encodings, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
