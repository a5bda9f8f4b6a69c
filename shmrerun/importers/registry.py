"""Which importer takes which file."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from shmrerun.importers.archetypes import DEPTH_IMAGES, IMAGES, MESHES, TEXTS
from shmrerun.importers.task import extension

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.task import Task


class Importer(NamedTuple):
    """A function of a module here, and where it runs: in the caller's thread, or in a process of its own."""

    module: str
    function: str
    is_inline: bool

    def load(self) -> Callable[[Task], None]:
        """The function."""
        found: Callable[[Task], None] = getattr(import_module(f"shmrerun.importers.{self.module}"), self.function)
        return found


RRD = Importer("rrd", "rrd", is_inline=False)
IMPORTERS = {
    **dict.fromkeys(TEXTS, Importer("archetypes", "text", is_inline=True)),
    **dict.fromkeys(IMAGES, Importer("archetypes", "image", is_inline=True)),
    **dict.fromkeys(DEPTH_IMAGES, Importer("archetypes", "depth_image", is_inline=True)),
    **dict.fromkeys(MESHES, Importer("archetypes", "mesh", is_inline=True)),
    "ply": Importer("ply", "ply", is_inline=True),
    "mp4": Importer("video", "mp4", is_inline=True),
    "mcap": Importer("mcap", "mcap", is_inline=False),
    "parquet": Importer("parquet", "parquet", is_inline=False),
    "urdf": Importer("urdf", "urdf", is_inline=False),
    "rrd": RRD,
    "rbl": RRD,
}


def importer_of(path: str, *, in_memory: bool = False) -> Importer | None:
    """The importer of a file by its name; what is neither file nor directory is read as a stream of messages. None: no built-in one."""
    if in_memory or os.path.isfile(path):
        return IMPORTERS.get(extension(path))
    return None if os.path.isdir(path) else RRD


def load(task: Task, *, in_memory: bool = False) -> bool:
    """Load a file or directory with whatever takes it; False: nothing does.

    ImportFailedError, OSError, ValueError: it is damaged. What was read before is logged.
    """
    importer = importer_of(task.path, in_memory=in_memory)
    if importer is not None:
        importer.load()(task)
        return True
    if in_memory:
        return False
    from shmrerun.importers.external import Offers

    offers = Offers(task)
    is_loaded = False
    if os.path.isdir(task.path):
        from shmrerun.importers.directory import directory
        from shmrerun.importers.lerobot import is_dataset, lerobot

        if is_dataset(task.path):
            lerobot(task)
        else:
            directory(task, load)
        is_loaded = True
    return offers.wait() or is_loaded
