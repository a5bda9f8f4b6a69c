"""Docstrings of what is made from the tables: NumPy style, from the words there and the converters' shapes and dtypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.tables import blueprint_words, words
from shmrerun.model.tables.archetypes import ALL, BLUEPRINT
from shmrerun.model.tables.types import ENUMS

if TYPE_CHECKING:
    from collections.abc import Iterable


def form_of(converter: str, *, single: bool) -> str:
    """Return the form that a value, or several, of a converter take."""
    if converter.startswith("enum:"):
        name = converter.removeprefix("enum:")
        return f"{name}, str or int" if single else f"{name}, str or int, or sequence of n of them"
    one, several = words.FORMS.get(converter) or blueprint_words.FORMS.get(converter, ("object", "sequence"))
    return one if single else several


def section(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return a Parameters section of entries (name, form, text)."""
    lines = ["Parameters", "----------"]
    for name, form, text in entries:
        lines += [f"{name} : {form}", f"    {text}"]
    return "\n".join(lines)


def archetype(name: str, constructor: str | None) -> str:
    """Return the docstring of an archetype; ``constructor`` is that of a constructor of its own."""
    spec = ALL[name]
    if spec.init:
        return f"{spec.doc}\n\n{_after_summary(constructor)}"
    fields = {spec.renamed.get(field.name, field.name): field for field in spec.fields}
    entries = []
    for parameter in spec.parameters:
        field = fields.get(parameter.name)
        own = words.PARAMETERS.get(f"{name}.{parameter.name}") or words.PARAMETERS.get(parameter.name)
        if own is not None and (field is None or parameter.name in (*spec.renamed.values(), "scale")):
            form, text = own[0].format(d=name[-2]), own[1]
        else:
            assert field is not None
            key = f"{name}.{field.name}"
            if name in BLUEPRINT:
                form = form_of(field.converter, single=key not in blueprint_words.SEVERAL)
                text = blueprint_words.FIELDS.get(key) or blueprint_words.FIELDS[field.name]
            else:
                form = form_of(field.converter, single=field.name in words.SINGLE and key not in words.SEVERAL)
                text = words.FIELDS.get(key) or words.FIELDS[field.name]
        entries.append((parameter.name, form if parameter.required else f"{form}, optional", text))
    return f"{spec.doc}\n\n{section(entries)}\n"


def encoding(name: str, converter: str, field: str) -> str:
    """Return the docstring of an encoding with one field."""
    return f"One value of the encoding {name}.\n\n{section([(field, form_of(converter, single=True), 'The value.')])}\n"


def component(name: str, bases: tuple[type, ...]) -> str:
    """Return the docstring of a component: its own words, and the parameters of the constructor that it inherits."""
    own = words.COMPONENTS.get(name) or blueprint_words.COMPONENTS[name]
    for base in (parent for one in bases for parent in one.__mro__):
        if "Parameters\n" in (base.__doc__ or ""):
            return f"{own}\n\n{_after_summary(base.__doc__)}"
    return own


def enum(name: str) -> str:
    """Return the docstring of an enum."""
    meaning = words.COMPONENTS.get(name) or words.ENCODED_ENUMS.get(name) or blueprint_words.COMPONENTS[name]
    return f"{meaning}\n\nMembers: {', '.join(ENUMS[name])}."


def batch(name: str, converter: str) -> str:
    """Return the docstring of a batch of values."""
    entries = [
        ("data", f"{form_of(converter, single=False)}, or None", "The values; None: there are none."),
        ("strict", "bool, optional", "Whether an error is raised; else it is a warning, and the batch is empty. Default: the strict mode."),
    ]
    return f"Several values of {name}.\n\n{section(entries)}\n"


def _after_summary(text: str | None) -> str:
    """Return what follows the first paragraph of a docstring, without its indentation."""
    lines = (text or "").partition("\n\n")[2].splitlines()
    depth = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[depth:] for line in lines).strip() + "\n"
