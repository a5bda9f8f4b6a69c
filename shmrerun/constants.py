"""Constants and types of Rerun's package that stand in no other module. Source: rerun-sdk 0.41.0 (names and values)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.model import auto_index
from shmrerun.model.batches import ComponentBatchLike

if TYPE_CHECKING:
    from typing import TypeAlias

#: What a value of :class:`shmrerun.AnyValues` may be: a batch, an Arrow array, anything that NumPy makes an array of.
ComponentValueLike: TypeAlias = ComponentBatchLike | Any

AUTO_INDEX = auto_index.AUTO_INDEX
EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE = 66  # an importer that a viewer starts ends with it for a file that it does not know
RECORDING_PROPERTIES_PATH = "/__properties"  # the entity that holds the recording's properties

# Keys and values of the metadata of Arrow columns and schemas in recordings
RERUN_KIND = b"rerun:kind"
RERUN_KIND_CONTROL = b"control"
RERUN_KIND_INDEX = b"index"
SORBET_ARCHETYPE_NAME = b"rerun:archetype"
SORBET_COMPONENT = b"rerun:component"
SORBET_COMPONENT_TYPE = b"rerun:component_type"
SORBET_ENTITY_PATH = b"rerun:entity_path"
SORBET_INDEX_NAME = b"rerun:index_name"
SORBET_IS_TABLE_INDEX = b"rerun:is_table_index"


def __getattr__(name: str) -> Any:
    if name == "EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE":
        from shmrerun.errors import _emit

        _emit(f"{name} is deprecated; use EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE", DeprecationWarning)
        return EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
