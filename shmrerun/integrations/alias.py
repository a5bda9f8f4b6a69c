"""``import rerun`` means shmrerun: for programs and libraries that cannot be edited."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import shmrerun

if TYPE_CHECKING:
    from types import ModuleType


def install_as_rerun() -> None:
    """Make ``import rerun``, from now on and in this process, give shmrerun and its submodules.

    Call it before anything imports the real ``rerun``. Spawned workers need it too, at the top of the main module.

    Raises
    ------
    RuntimeError
        The real ``rerun`` is imported already.
    """
    present = sys.modules.get("rerun")
    if present is not None and present is not shmrerun:
        raise RuntimeError("the real rerun is imported already; call shmrerun.install_as_rerun() before anything imports it")
    sys.modules["rerun"] = shmrerun
    sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]  # its annotations are looser


class _Finder:
    """Finds ``rerun.x`` as ``shmrerun.x``: the same module object under both names."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> object:
        """Spec of a submodule of ``rerun``."""
        del path, target
        if not name.startswith("rerun."):
            return None
        from importlib import import_module
        from importlib.machinery import ModuleSpec

        module = import_module("shmrerun" + name.removeprefix("rerun"))

        class Loader:
            @staticmethod
            def create_module(spec: ModuleSpec) -> object:
                del spec
                return module

            @staticmethod
            def exec_module(loaded: ModuleType) -> None:
                loaded.__spec__ = spec  # the import system gave it the alias's

        spec = module.__spec__
        found = ModuleSpec(name, Loader())  # type: ignore[arg-type]
        if spec is not None:
            found.submodule_search_locations = spec.submodule_search_locations
        return found
