"""Modules that the program has imported, looked at without importing them."""

from __future__ import annotations

import sys
from typing import Any


def loaded(name: str) -> Any:
    """A module, whole; None: it was not imported, or a thread is at it, so that nothing of it can have been handed to us yet.

    ``sys.modules`` has it from the first line of its import on, without the names that are to come.
    """
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module
