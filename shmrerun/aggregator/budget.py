"""The budget of shared memory, counted from what exists: deaths at bad moments leave its word wrong, and it is never given up to them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from shmrerun.shm import places
from shmrerun.shm.words import TreeView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shmrerun.shm.tree import Tree


def lanes_exist(token: str) -> int:
    """Bytes of a tree's lane generations in shared memory. OSError: they cannot be listed."""
    total = 0
    with os.scandir(places.SHM) as found:
        for entry in found:
            if entry.name.startswith(f"shmrerun-{token}.") and entry.name.count(".") == 3:
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat().st_size
    return total


def recount(tree: Tree, sessions: Iterable[list[tuple[int, ...]]]) -> bool:
    """Set the word to what exists. False: a lane is being made at this moment, try again later.

    Whoever makes a lane stores its intent first, then takes from the budget. So if no intent is seen before and after the listing, and the
    word has not changed meanwhile, it counts what the listing found.

    Parameters
    ----------
    sessions
        The member tables of all sessions, read anew when iterated: by this function, twice.
    """
    before = tree.words.budget_used
    if _is_any_intent(sessions):
        return False
    try:
        exist = lanes_exist(tree.token)
    except OSError:
        return True
    if _is_any_intent(sessions):
        return False
    return exist == before or tree.words.swap(TreeView.budget_used, before, exist)


def _is_any_intent(sessions: Iterable[list[tuple[int, ...]]]) -> bool:
    return any(intent for members in sessions for _, _, _, intent, _, _, _ in members)
