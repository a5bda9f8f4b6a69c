"""The language of selectors: a text, its tree, and the tree as a text again.

Source: what ``rerun.chunk.Selector`` of rerun-sdk 0.41 takes and prints, by experiment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t"}
_WRITTEN = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})
_TOKEN = re.compile(r'\.(?P<field>[^\W\d_][\w-]*)|(?P<name>[^\W\d][\w-]*)|(?P<number>[0-9]+)|(?P<text>")|(?P<mark>[.|?!\[\]();,])')
_MOST = 2**64 - 1
_MOST_WORDS = 300  # trees of more would be too deep for Python


class Identity(NamedTuple):
    """``.``: the value as it is."""

    def __str__(self) -> str:
        return "."


class Field(NamedTuple):
    """``.name``: a field of a struct."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


class Index(NamedTuple):
    """``[3]``: one value of a list."""

    at: int

    def __str__(self) -> str:
        return f"[{self.at}]"


class Each(NamedTuple):
    """``[]``: all values of a list."""

    def __str__(self) -> str:
        return "[]"


class Maybe(NamedTuple):
    """``inner?``: nothing where it fails."""

    inner: Any

    def __str__(self) -> str:
        return f"{self.inner}?"


class NonNull(NamedTuple):
    """``inner!``: a row without any value is null itself."""

    inner: Any

    def __str__(self) -> str:
        return f"{self.inner}!"


class Pipe(NamedTuple):
    """One after the other: ``left | right``, or side by side."""

    left: Any
    right: Any
    is_written: bool

    def __str__(self) -> str:
        return f"{self.left}{' | ' if self.is_written else ''}{self.right}"


class Text(NamedTuple):
    """``"text"``: it, for each value."""

    value: str

    def __str__(self) -> str:
        return quoted(self.value)


class Map(NamedTuple):
    """``map(body)``: each list, with the body done to its values."""

    body: Any

    def __str__(self) -> str:
        return f"map({self.body})"


class Pack(NamedTuple):
    """``pack(path, path)``: lists of fixed size of the values at the paths."""

    paths: tuple[Any, ...]

    def __str__(self) -> str:
        return f"pack({', '.join(map(str, self.paths))})"


class Named(NamedTuple):
    """``name`` or ``name("text"; "text")``: a function that the language has."""

    name: str
    arguments: tuple[str, ...] | None

    def __str__(self) -> str:
        return self.name if self.arguments is None else f"{self.name}({'; '.join(map(quoted, self.arguments))})"


class Function(NamedTuple):
    """A function of Python."""

    function: Callable[[Any], Any]

    def __str__(self) -> str:
        return "<function>"


def quoted(text: str) -> str:
    """A text as the language writes it."""
    return f'"{text.translate(_WRITTEN)}"'


class _Token(NamedTuple):
    kind: str
    value: Any
    at: int


def _tokens(text: str) -> list[_Token]:
    found = []
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"cannot read the selector {text!r}: {text[at]!r} at character {at + 1} means nothing")
        kind = match.lastgroup or ""
        start, at = at, match.end()
        value: Any = match[kind]
        if kind == "text":
            value, at = _text(text, at)
        elif kind == "number" and (value := int(value)) > _MOST:
            raise ValueError(f"cannot read the selector {text!r}: the number at character {start + 1} is more than {_MOST}")
        elif kind == "mark":
            kind = value
        found.append(_Token(kind, value, start))
    return [*found, _Token("end", None, len(text))]


def _text(text: str, at: int) -> tuple[str, int]:
    """A quoted text from after its first quote, and where what follows begins."""
    found: list[str] = []
    while at < len(text):
        letter = text[at]
        at += 1
        if letter == '"':
            return "".join(found), at
        if letter == "\\":
            letter, at = text[at : at + 1], at + 1
            if letter not in _ESCAPES:
                raise ValueError(f"cannot read the selector {text!r}: a backslash is before n, t, a quote or a backslash, not {letter!r}")
            letter = _ESCAPES[letter]
        found.append(letter)
    raise ValueError(f"cannot read the selector {text!r}: a quoted text has no end")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        if len(self._tokens) > _MOST_WORDS:
            raise ValueError(f"cannot read a selector of {len(self._tokens):,} words, which is more than {_MOST_WORDS}: {text[:80]!r}...")

    def parse(self) -> Any:
        tree = self._pipes(self._term)
        self._take("end")
        return tree

    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _is(self, *kinds: str) -> bool:
        if self._tokens[self._at].kind not in kinds:
            return False
        self._at += 1
        return True

    def _take(self, kind: str) -> _Token:
        token = self._next()
        if not self._is(kind):
            raise self._error(f"expected {_NAMES.get(kind, repr(kind))}")
        return token

    def _error(self, what: str) -> ValueError:
        token = self._next()
        found = "its end" if token.kind == "end" else f"{self._text[token.at : self._tokens[self._at + 1].at].strip()!r}"
        return ValueError(f"cannot read the selector {self._text!r}: {what}, but found {found} at character {token.at + 1}")

    def _pipes(self, term: Callable[[], Any]) -> Any:
        tree = term()
        while self._is("|"):
            tree = Pipe(tree, term(), is_written=True)
        return tree

    def _term(self) -> Any:
        token = self._next()
        if self._is("text"):
            return Text(token.value)
        if not self._is("name"):
            return self._path(has_each=True)
        if token.value == "map":
            self._take("(")
            body = self._pipes(self._term)
            self._take(")")
            return Map(body)
        if token.value == "pack":
            self._take("(")
            paths = [self._pipes(self._in_pack)]
            while self._is(","):
                paths.append(self._pipes(self._in_pack))
            self._take(")")
            return Pack(tuple(paths))
        return Named(token.value, self._arguments())

    def _arguments(self) -> tuple[str, ...] | None:
        if not self._is("("):
            return None
        if self._is(")"):
            return ()
        arguments = [self._take("text").value]
        while self._is(";"):
            arguments.append(self._take("text").value)
        self._take(")")
        return tuple(arguments)

    def _in_pack(self) -> Any:
        return self._path(has_each=False)

    def _path(self, *, has_each: bool) -> Any:
        if self._is(".") and self._next().kind not in ("field", "["):
            return Identity()
        tree = self._step(has_each=has_each)
        while self._next().kind in ("field", "["):
            tree = Pipe(tree, self._step(has_each=has_each), is_written=False)
        return tree

    def _step(self, *, has_each: bool) -> Any:
        token = self._next()
        tree: Any
        if self._is("field"):
            tree = Field(token.value)
        elif self._is("["):
            if has_each and self._is("]"):
                tree = Each()
            else:
                if self._next().kind == "]":
                    raise self._error("the paths in 'pack' have one value each: expected a number in the brackets")
                tree = Index(self._take("number").value)
                self._take("]")
        else:
            raise self._error("expected a path, such as '.name', '[0]' or '.'")
        while True:
            if self._is("?"):
                tree = Maybe(tree)
            elif self._is("!"):
                tree = NonNull(tree)
            else:
                return tree


_NAMES = {"end": "'|' or the end", "number": "a number", "text": "a text in double quotes"}


def parse(text: str) -> Any:
    """The tree of a selector. ValueError: the text is none, with what was expected and where."""
    if not isinstance(text, str):
        raise TypeError(f"a selector is a text, such as '.name', or a Selector, not {type(text).__name__}")
    return _Parser(text).parse()
