"""``import rerun`` means shmrerun: for programs and libraries that cannot be edited.

Rerun has a file for each class, and libraries name those files. Here they are made of the table of names: a module that looks its names
up where they are, when it is asked for one.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import shmrerun

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = (  # with a file for each class, there
    "archetypes", "components", "encodings", "datatypes", "blueprint.archetypes", "blueprint.components", "blueprint.encodings",
    "blueprint.views", "blueprint.visualizers",
)  # fmt: skip
_FILES = {  # file there: where its names are, nearest first
    "_baseclasses": ("model.batches", "model.values.base", ""),
    "_log": ("integrations.alias", ""), "_logging_handler": ("",), "_memory": ("",), "_properties": ("",), "_script_helpers": ("",),
    "_send_chunks": ("",), "_send_columns": ("", "model.time_columns"), "_send_dataframe": ("",), "_spawn": ("",),
    "any_batch_value": ("",), "any_value": ("",),
    "dynamic_archetype": ("",), "notebook": ("",), "recording_stream": ("recording_stream", ""), "sinks": ("sinks", ""),
    "time": ("", "model.times"), "web": ("",),
}  # fmt: skip
_RENAMED = {"BaseBatch": "ComponentBatch"}


def install_as_rerun() -> None:
    """Make ``import rerun``, from now on and in this process, give shmrerun and its submodules, by the names of Rerun's files, too.

    Call it before anything imports the real ``rerun``. Spawned workers need it too, at the top of the main module.

    Raises
    ------
    RuntimeError
        The real ``rerun`` is imported already.
    """
    present = sys.modules.get("rerun")
    if present is shmrerun:
        return
    if present is not None:
        raise RuntimeError("the real rerun is imported already; call shmrerun.install_as_rerun() before anything imports it")
    sys.modules["rerun"] = shmrerun
    sys.meta_path.insert(0, _Finder())
    for file, sources in _FILES.items():
        _add("rerun", shmrerun, file, *(f"shmrerun.{source}".removesuffix(".") for source in sources))
    for package in _PACKAGES:
        parent = import_module(f"rerun.{package}")
        for file in _files_of(parent):
            _add(f"rerun.{package}", parent, file, parent.__name__)


def _log_components(entity_path: Any, components: list[Any], *, static: bool = False, recording: Any = None) -> None:
    """What ``log`` ends in there, by which others log batches that they have: Rerun's own benchmarks, for example."""
    shmrerun.log(entity_path, components, static=static, recording=recording)


def _add(package: str, parent: ModuleType, file: str, *sources: str) -> None:
    """Have ``import package.file`` find these modules' names; ``package.file`` is there without an import, too."""
    name = f"{package}.{file}"
    sys.modules[name] = found = _Names(name, *sources)
    if file not in vars(parent):
        setattr(parent, file, found)


class _Names(ModuleType):
    """A file of Rerun's whose names are in other modules here."""

    def __init__(self, name: str, *sources: str) -> None:
        super().__init__(name, f"Names of Rerun's file {name}.")
        self._sources = sources

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for source in self._sources:
                try:
                    return getattr(import_module(source), _RENAMED.get(name, name))
                except AttributeError:
                    continue
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _files_of(package: ModuleType) -> Iterator[str]:
    """The files that Rerun has for the classes of a package: ``TextLogLevel`` is in ``text_log_level``."""
    for name in package.__all__:
        if not name.endswith(("Batch", "Like")):
            yield re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\dD)(?=[A-Z])", "_", name).lower()


class _Finder:
    """Finds ``rerun.x`` as ``shmrerun.x``: the same module object under both names."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Spec of a submodule of ``rerun``."""
        del path, target
        if not name.startswith("rerun."):
            return None
        ours = f"shmrerun.{name.removeprefix('rerun.')}"
        try:
            module = import_module(ours)
        except ModuleNotFoundError as error:
            if error.name != ours:
                raise
            return None  # the import system says it by the name that was asked for
        found = ModuleSpec(name, _Loader(module))  # type: ignore[arg-type]
        if module.__spec__ is not None:
            found.submodule_search_locations = module.__spec__.submodule_search_locations
        return found


class _Loader:
    """Gives a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return it."""
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Give it its own spec back: the import system set the alias's."""
        if self._spec is not None:
            module.__spec__ = self._spec
