"""All types by name, those of recordings and those of blueprints: no name is of both."""

from __future__ import annotations

from shmrerun.model.tables import blueprint_types, components

ENUMS = {**components.ENUMS, **blueprint_types.ENUMS}
ENCODED_ENUMS = (*components.ENCODED_ENUMS, *blueprint_types.ENCODED_ENUMS)
ENCODINGS = {**components.ENCODINGS, **blueprint_types.ENCODINGS}
COMPONENTS = {**components.COMPONENTS, **blueprint_types.COMPONENTS}


def package_of(name: str, *, encoding: bool = False) -> str:
    """Return what comes before ``.components`` or ``.encodings`` in the full name of a type: ``rerun`` or ``rerun.blueprint``."""
    if encoding:
        is_ours = name in blueprint_types.ENCODINGS or name in blueprint_types.ENCODED_ENUMS
    else:
        is_ours = name in blueprint_types.COMPONENTS
    return "rerun.blueprint" if is_ours else "rerun"


def full_name(component: str) -> str:
    """Return the full name of a component, as it is on the wire."""
    return f"{package_of(component)}.components.{component}"


def module_of(name: str, *, encoding: bool = False) -> str:
    """Return the module in which users find the class of a type."""
    return f"shm{package_of(name, encoding=encoding)}.{'encodings' if encoding else 'components'}"
