"""Aliases of what parameters take: ``Vec3DLike`` one value, ``Vec3DArrayLike`` several. Made at first access, for annotations only.

At run time everything that is not an enum counts as ``Any``; the stubs say more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.values.enums import EnumBase

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def split(name: str) -> tuple[str, bool] | None:
    """Return the name of the class and whether several values are meant; None: it is not the name of an alias."""
    if not name.endswith("Like"):
        return None
    plain = name.removesuffix("Like")
    return plain.removesuffix("Array"), plain.endswith("Array")


def alias(name: str, names: frozenset[str], find: Callable[[str], Any]) -> Any:
    """Return the alias ``name``, of one of the classes ``names`` that ``find`` gives; None: there is none."""
    found = split(name)
    if found is None or found[0] not in names:
        return None
    from collections.abc import Sequence
    from typing import Any, Literal

    cls: Any = find(found[0])
    one: Any = cls | Any
    if isinstance(cls, type) and issubclass(cls, EnumBase):
        texts = sorted({text for member in cls.__members__ for text in (member, member.lower())})
        one = cls | Literal[tuple(texts)] | int
    return one | Sequence[one] if found[1] else one


def names_of(names: frozenset[str]) -> list[str]:
    """Return the names of all aliases of these classes."""
    return [f"{name}{kind}" for name in names for kind in ("Like", "ArrayLike")]
