"""Sinks as plain values, for ``set_sinks``: what users name, compare and pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


class FileSink:
    """A file as a sink for ``set_sinks``. Equal by path and flag."""

    __slots__ = ("path", "write_footer")

    def __init__(self, path: str | os.PathLike[str], *, write_footer: bool = True) -> None:
        self.path = str(path)
        self.write_footer = write_footer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileSink) and (self.path, self.write_footer) == (other.path, other.write_footer)

    def __hash__(self) -> int:
        return hash((self.path, self.write_footer))

    def __repr__(self) -> str:
        return f'FileSink("{self.path}", write_footer={str(self.write_footer).lower()})'
