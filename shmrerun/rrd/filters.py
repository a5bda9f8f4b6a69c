"""Which entities a reader is to show: expressions such as ``/robot/**``, and the most specific one that fits decides.

Source: entity path filters of rerun-sdk 0.41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.entity_paths import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROPERTIES = "/__properties"


class EntityFilter:
    """Expressions that say which entities are meant.

    Parameters
    ----------
    expressions
        Texts, or one text with an expression a line: ``/a`` is that entity, ``/a/**`` it and all below it. ``+`` before an expression
        adds (as does nothing), ``-`` takes away. The most specific expression that fits a path decides; none: it is not meant.
        None: all. What lies below ``/__properties`` is meant only where an expression names it.

    Raises
    ------
    TypeError
        An expression that is no text.
    ValueError
        A star anywhere but in ``/**`` at the end, or an expression without a path.

    """

    __slots__ = ("_rules",)

    def __init__(self, expressions: str | Iterable[str] | None) -> None:
        texts = ["/**"] if expressions is None else [expressions] if isinstance(expressions, str) else list(expressions)
        rules = {(_PROPERTIES, True): False}  # (path, with all below) -> whether it is meant
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"an expression is a text such as '/robot/**', got {type(text).__name__}")
            for line in filter(None, map(str.strip, text.splitlines())):
                sign = line[0] if line[0] in "+-" else ""
                path = line.removeprefix(sign).strip()
                below = path == "**" or path.endswith("/**")
                path = path.removesuffix("**") if below else path
                if "*" in path.replace("\\*", "") or not (path or below):
                    raise ValueError(f"{line!r}: an expression is a path, or a path that ends in '/**'")
                rules[canonical(path), below] = sign != "-"
        self._rules = rules

    def __call__(self, entity_path: str) -> bool:
        """Tell whether an entity is meant, by its canonical path."""
        rules = self._rules
        found = rules.get((entity_path, False))
        path = entity_path
        while found is None:
            found = rules.get((path, True))
            if path == "/":
                break
            path = _parent(path)
        return bool(found)


def _parent(path: str) -> str:
    """The path without its last part; a slash in a part has a backslash before it."""
    end = len(path)
    while True:
        end = path.rindex("/", 0, end)
        before = len(path[:end]) - len(path[:end].rstrip("\\"))
        if before % 2 == 0:
            return path[:end] or "/"
