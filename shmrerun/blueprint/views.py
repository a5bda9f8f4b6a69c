"""The kinds of views. Each class is made at first access from its entry in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.blueprint.view import View
from shmrerun.model.archetype import archetype_class
from shmrerun.model.docs import section
from shmrerun.model.tables.views import VIEWS

if TYPE_CHECKING:
    from typing import Any

__all__ = sorted(VIEWS)  # noqa: PLE0605  the table is the list

_COMMON = (
    ("origin", "str", "Entity that everything is seen from, ``$origin`` in the contents."),
    ("contents", "str, sequence of str, or ViewContents", "Entities that it shows: ``+ /world/**`` adds, ``- /world/floor`` takes out."),
    ("name", "str, optional", "Name that is shown."),
    ("visible", "bool, optional", "Whether it is shown."),
    ("titlebar", "bool, optional", "Whether it has a title bar."),
    ("defaults", "iterable of archetypes or described batches, optional", "Components for entities that do not have them."),
    ("overrides", "mapping of str, optional", "For the path of an entity: a visualizer or archetype, or several, instead of its own."),
)


def _property(archetype: str, value: Any) -> Any:
    """Return a property as its archetype: what is one already as it is, that of rerun-sdk too."""
    make: Any = archetype_class(archetype)
    if isinstance(value, make) or getattr(type(value), "__name__", "") == archetype:
        return value
    return make(value)


def _make(name: str) -> type[View]:
    """Make the class of one entry of the table, with its parameters in its signature."""
    spec = VIEWS[name]
    own = [one.parameter for one in spec.properties]
    parameters = [
        'origin="/"',
        'contents="$origin/**"',
        *(f"{parameter}=None" for parameter in ("name", "visible", "titlebar", "defaults", "overrides", *own)),
    ]
    source = "\n".join(
        [
            f"def __init__(self, *, {', '.join(parameters)}):",
            "    properties = {}",
            *(
                f"    if {one.parameter} is not None:\n        properties[{one.archetype!r}] = make({one.archetype!r}, {one.parameter})"
                for one in spec.properties
            ),
            f"    View.__init__(self, class_identifier={spec.identifier!r}, origin=origin, contents=contents, name=name,",
            "        visible=visible, titlebar=titlebar, properties=properties, defaults=defaults, overrides=overrides)",
        ]
    )
    scope: dict[str, Any] = {"View": View, "make": _property, "__name__": __name__}
    exec(source, scope)  # noqa: S102  our own table is the input
    scope["__init__"].__qualname__ = f"{name}.__init__"
    entries = [*_COMMON, *((one.parameter, f"{one.form}, optional", one.doc) for one in spec.properties)]
    body = {"__module__": __name__, "__doc__": f"{spec.doc}\n\n{section(entries)}\n", "__init__": scope["__init__"]}
    return type(name, (View,), body)


def __getattr__(name: str) -> Any:
    if name in VIEWS:
        return globals().setdefault(name, _make(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
