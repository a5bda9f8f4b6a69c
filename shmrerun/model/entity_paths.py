r"""Entity paths: the forgiving parse of what users write, and the one canonical text that goes into lanes and chunks.

A canonical path begins with ``/`` and joins its parts with ``/``. Within a part, letters and digits of any script and
``_ - .`` stand for themselves; newline, carriage return and tab are ``\n \r \t``; other ASCII punctuation and the space
have a backslash before them; everything else is ``\u{XXXX}`` in upper-case hex of at least four digits. The root is
``/``. Two paths are the same entity exactly if their canonical texts are equal.

Source: observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shmrerun.errors import say_once

if TYPE_CHECKING:
    from collections.abc import Iterable

_CACHE_SIZE = 65_536
_cache: dict[str, str] = {}

# Unicode's White_Space: what the parser warns about (str.isspace has four control characters more).
_WHITESPACE = frozenset("\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000").union(map(chr, range(0x2000, 0x200B)))
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_UNESCAPES = {text: "\\" + letter for letter, text in _ESCAPES.items()}
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
_ESCAPE_AHEAD = 8  # characters that "\u" may reach for: brace, six digits, brace

_plain_path = re.compile(r"(?:/[A-Za-z0-9_.-]+)+").fullmatch  # canonical as it stands
_plain_part = re.compile(r"[A-Za-z0-9_.-]*").fullmatch
_hex_escape = re.compile(r"\{([0-9A-Fa-f]{1,6})\}").fullmatch

# Code points that count as letters though str.isalnum says no (vowel signs, circled letters, newer scripts): Unicode's
# property Alphabetic less the categories L and N. Hex: gap from the end of the range before, "+" further code points.
_MORE_LETTERS = (
    "345 1e+c 241+d 2 2+1 2+1 2 49+a 31+c 2+6 11 66+6 5+7 5 24+2e 67+a 66+1 4+11 63 8 3d+b 4+6 7+4b 3+e 2+1 "
    "6+e 1e+2 3b+6 3+1 3+1 b b+1 1e+2 3b+4 5+1 3+1 5 1f+5 c+2 3b+7 2+2 2+1 16+1 17+2 5+2 3b+6 3+1 3+1 a+1 b+1 "
    "1f 3c+4 4+2 2+2 b 29+4 3a+6 2+2 2+2 9+1 6 6+1 1e+2 3b+6 2+2 2+2 9+1 6 6+1 10 d+3 3b+6 2+2 2+2 b+c 1e+2 "
    "4c+5 2 2+7 13+1 3e+9 13 64+8 2+1 11 a4+12 a+a 2+23 6f+b 2 3+3 18+47 675+1 1f+1 1f+1 1f+1 43+12 bd+24 77+b "
    "5+8 df+4 3a+9 3+13 4b+1 c+2 32+4 31+e 3d+29 3+1 3a+a 33+12 53+1 149+21 6c2+33 8f7+1f 7875+7 23+1 12c+11 "
    "15+11 9+1c 59+43 2 3a+2b 1d+b 2e+3 31+b 26 44+d d+a 2e+43 2d+4 6 ee+7 4f34 858+4 246+33 34d+19 a8+2 2+1 "
    "6+3 315+3 19+25 4 6+16 126+1 16+5 33+2 104+45 2e+1 c+38 a 3e+32 13+1 3a+3f f+1 5d+8 3 7+3 9e+9 18+3 3b+6 "
    "3+1 3+1 b b+1 1d+9 2 3 2+25 2+9 2 3 2+3 2+1 4 2 62+c 2+2 6b+11 ee+6 3+6 1e+1 53+e 2 6b+a 1b+13 3a+d 102+c "
    "f8+5 2+1 3+1 4+2 8f+6 3+5 5 1d+9 2b+9 13+46 c9+7 59+20 10+9 36+7 2+6 54+15 2+d 7b+5 4 2+1 2+2 2 4 43+4 "
    "2+1 2+3 1a+2b 5+9 10a+3 a+10 2+28 4+2 10+9 14d6 12+5 1a+f9a 1d06+2e 2+9 c07+2c 4+9 127+18 3+18 7c+38 8+3 "
    "5e+6 1802+7 500+1f 62+72 2340 23 b49 1052+9 5c7+13 c52+5 d6+6 2+10 3+6 2+1 2+4 6+3d 22 441+1b 5+9 d7+1d "
    "3+a c6+1e 2+15 9+1 248 7e9+19 7+19 7+19 c5b0+6 1763+b 1d43+26d 24f3+2129 "
)
_more_letters: set[str] = set()


def canonical(path: str | list[object]) -> str:
    r"""Return the canonical text of an entity path.

    Parameters
    ----------
    path : str or list
        A str is parsed forgivingly: split at ``/`` with no backslash before, empty parts vanish, escapes are undone
        (``\n \r \t``, ``\u{hex}``, backslash and ASCII punctuation or space), a trailing backslash is itself.
        Unknown escapes lose their backslash, and these and unescaped whitespace are told once a path on stderr.
        Of a list, the ``str()`` of each item is one part, unsplit; empty ones vanish. (One that ends in a backslash
        swallows the slash behind it: Rerun's readers know no text for such a path.)

    Raises
    ------
    TypeError
        For anything else, tuples and bytes too.
    UnicodeEncodeError
        The path holds a lone surrogate.

    Notes
    -----
    A dict lookup for a str seen before (the 65,536 last ones or so), else 1 us for a plain path. Thread safe.

    Examples
    --------
    >>> canonical("world//points 3d"), canonical(["a/b", 1]), canonical("")
    ('/world/points\\ 3d', '/a\\/b/1', '/')
    """
    if isinstance(path, str):
        found = _cache.get(path)
        if found is None:
            if len(_cache) >= _CACHE_SIZE:
                _cache.clear()
            found = _cache[path] = path if _plain_path(path) else _join(_parse(path))
        return found
    if isinstance(path, list):
        joined = _join([str(part) for part in path])
        return joined if "//" not in joined and "\\\\/" not in joined and joined[-1] != "/" else canonical(joined)
    shown = f"'{path}'" if path is None else f"{type(path).__name__!r} object"
    raise TypeError(f"argument 'entity_path': {shown} is not an instance of 'str'")


def escape_entity_path_part(part: str) -> str:
    """Escape one part of an entity path, so that it can be joined to others with ``/``.

    Raises
    ------
    TypeError
        ``part`` is not a str.
    UnicodeEncodeError
        ``part`` holds a lone surrogate.
    """
    if not isinstance(part, str):
        shown = "'None'" if part is None else f"{type(part).__name__!r} object"
        raise TypeError(f"argument 'part': {shown} is not an instance of 'str'")
    if _plain_part(part):
        return str(part)
    part.encode()  # refuses lone surrogates
    return "".join(map(_escape_character, part))


def new_entity_path(entity_path: Iterable[object]) -> str:
    """Make an entity path of parts, each the ``str()`` of one item, escaped.

    Empty parts are kept as Rerun keeps them here (``["a", ""]`` is ``/a/``); they vanish when the path is logged to.

    Raises
    ------
    TypeError
        ``entity_path`` is not iterable.
    UnicodeEncodeError
        A part holds a lone surrogate.
    """
    return _join([str(part) for part in entity_path])


def parts_of(path: str) -> list[str]:
    """The parts of a canonical path, without escapes."""
    return _parse(path)


def _join(parts: list[str]) -> str:
    return "/" + "/".join(map(escape_entity_path_part, parts))


def _escape_character(character: str) -> str:
    if character.isalnum() or character in "_-.":
        return character
    if character in _PUNCTUATION:
        return "\\" + character
    return _UNESCAPES.get(character) or (character if _is_more_letter(character) else f"\\u{{{ord(character):04X}}}")


def _is_more_letter(character: str) -> bool:
    if character < "\x80":
        return False
    if not _more_letters:
        at = 0
        letters: set[str] = set()
        for word in _MORE_LETTERS.split():
            gap, _, more = word.partition("+")
            first = at + int(gap, 16)
            at = first + int(more or "0", 16)
            letters.update(map(chr, range(first, at + 1)))
        _more_letters.update(letters)
    return character in _more_letters


def _parse(path: str) -> list[str]:
    """Split a path at unescaped slashes, drop empty parts, undo escapes; tell what is odd about it."""
    parts = []
    start = 0
    for at, character in enumerate(path):
        # as in Rerun's readers, whatever stands before that backslash: "\\\\/" does not split
        if character == "/" and path[at - 1 : at] != "\\":
            parts.append(path[start:at])
            start = at + 1
    parts.append(path[start:])
    oddities: list[str] = []
    parsed = [_unescape(part, oddities) for part in parts if part]
    if oddities:
        told = "; ".join(dict.fromkeys(oddities))
        say_once(("entity path", path), f"entity path {path!r}: {told}. It is taken as {_join(parsed)}")
    return parsed


def _unescape(part: str, oddities: list[str]) -> str:
    out = []
    at = 0
    while at < len(part):
        character = part[at]
        at += 1
        if character != "\\" or at == len(part):
            if character in _WHITESPACE:
                oddities.append("unescaped whitespace")
            out.append(character)
            continue
        escaped = part[at]
        at += 1
        if escaped == "u":
            brace = part.find("}", at, at + _ESCAPE_AHEAD)
            ahead = part[at : brace + 1 if brace >= 0 else at + _ESCAPE_AHEAD]
            at += len(ahead)
            digits = _hex_escape(ahead)
            code = int(digits[1], 16) if digits else -1
            # what is no character stays as it was written
            out.append(chr(code) if 0 <= code < 0xD800 or 0xDFFF < code < 0x110000 else "\\u" + ahead)
        elif escaped in _ESCAPES:
            out.append(_ESCAPES[escaped])
        else:
            if escaped not in _PUNCTUATION:
                oddities.append(f"unknown escape {chr(92) + escaped!r}")
            out.append(escaped)
    return "".join(out)
