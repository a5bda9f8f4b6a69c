"""The default of ``index=`` where tables are taken for chunks. Source: rerun-sdk 0.41."""

from __future__ import annotations


class AutoIndex:
    """Stands for "the index columns that the metadata name"."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "AUTO_INDEX"

    def __reduce__(self) -> str:
        return "AUTO_INDEX"  # there is one a process


AUTO_INDEX = AutoIndex()
