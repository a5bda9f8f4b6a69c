"""The form of the table's entries: an archetype as data, its fields as text."""

from __future__ import annotations

from typing import NamedTuple

from shmrerun.model.tables.components import arrow_of
from shmrerun.model.tables.types import COMPONENTS, full_name


class Field(NamedTuple):
    """One field of an archetype.

    ``component_type`` is the full name of the component, ``arrow`` the text of its Arrow type, ``converter`` names its
    converter in ``model.convert.finder``.
    """

    name: str
    component_type: str
    arrow: str
    converter: str


class Parameter(NamedTuple):
    """One parameter of a constructor; those that are not ``required`` default to None."""

    name: str
    required: bool
    keyword: bool


class Step(NamedTuple):
    """Something that a constructor does before its fields are set: a function of some parameters makes others of them.

    Parameters
    ----------
    function : str
        Name of a function of ``model.convert.arguments``.
    takes, makes : str
        Names of parameters and fields that it is called with, and of those that are set to what it returns.
    given : str
        Parameters of which one must be given (not None), or the step is left out; empty: it never is.
    """

    function: str
    takes: str
    makes: str
    given: str = ""


class ArchetypeSpec:
    """One archetype.

    Parameters
    ----------
    doc : str
        What it is.
    text : str
        One field a line: its name, its component, and the converter if it is not the component's.
    required : int
        Number of parameters without a default: the first fields.
    keyword : bool
        Whether those are keyword-only; the others always are.
    parameters : str
        The constructor's parameters, where they are not the fields: names, ``*``, ``!`` after required ones and ``?``
        after positional ones with a default.
    prepare : tuple of Step
        What makes the fields of the parameters; an exception in it leaves all fields unset, with a warning.
    renamed : dict
        Fields that are set from a parameter of another name.
    init : str
        ``module:function`` of a constructor of its own, with its own signature.
    extras : tuple of str
        ``module:function`` of further methods.
    finish : str
        ``module:function`` that is called with the class when it is made.
    package : str
        What its full name begins with: ``rerun``, or ``rerun.blueprint`` for what only a blueprint has.
    """

    __slots__ = (
        "_fields",
        "doc",
        "extras",
        "finish",
        "init",
        "keyword",
        "package",
        "parameters_text",
        "prepare",
        "renamed",
        "required",
        "text",
    )

    def __init__(
        self,
        doc: str,
        text: str,
        *,
        required: int = 0,
        keyword: bool = False,
        parameters: str = "",
        prepare: tuple[Step, ...] = (),
        renamed: dict[str, str] | None = None,
        init: str = "",
        extras: tuple[str, ...] = (),
        finish: str = "",
        package: str = "rerun",
    ) -> None:
        self.doc = doc
        self.text = text
        self.required = required
        self.keyword = keyword
        self.parameters_text = parameters
        self.prepare = prepare
        self.renamed = renamed or {}
        self.init = init
        self.extras = extras
        self.finish = finish
        self.package = package
        self._fields: tuple[Field, ...] | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, in the order of their columns."""
        if self._fields is None:
            made = []
            for line in self.text.strip().splitlines():
                name, component, *own = line.split()
                converter = own[0] if own else COMPONENTS[component][1]
                made.append(Field(name, full_name(component), arrow_of(converter), converter))
            self._fields = tuple(made)
        return self._fields

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The constructor's parameters in order, unless ``init`` has its own."""
        if not self.parameters_text:
            return tuple(
                Parameter(field.name, at < self.required, self.keyword or at >= self.required) for at, field in enumerate(self.fields)
            )
        made = []
        keyword = False
        for word in self.parameters_text.split():
            if word == "*":
                keyword = True
            else:
                made.append(Parameter(word.rstrip("!?"), word.endswith("!"), keyword))
        return tuple(made)
