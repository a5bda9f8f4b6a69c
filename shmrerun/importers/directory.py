"""Directories: every file below that anything can be made of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.task import Task


def directory(task: Task, load: Callable[[Task], bool]) -> None:
    """Load each regular file below a directory, in order of name; links to directories are not followed.

    A file that cannot be loaded is told, and costs no other one.
    """
    task.begun()
    for folder, folders, names in os.walk(task.path, onerror=task.warn):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            one = task.of(path)
            try:
                if not load(one):
                    one.warn("nothing loads files of this type")
            except Exception as error:  # of any type: the others are to be loaded
                one.warn(error)
